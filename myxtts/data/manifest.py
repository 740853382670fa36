"""Reads a data root: which metadata is used, and the recording, text and speaker of each row.

The layouts are in layouts.py, except for VCTK: wav48*/SPEAKER/NAME.wav (or NAME_mic1.flac) with txt/SPEAKER/NAME.txt.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from myxtts.data.audio_files import AUDIO_SUFFIXES, FOLLOW_LINKS, NotFound
from myxtts.data.columns import LANGUAGE_CODE
from myxtts.data.layouts import METADATA_NAMES, read_source
from myxtts.data.records import (
    DUPLICATE,
    ESCAPES_ROOT,
    MISSING_FILE,
    MISSING_TEXT,
    NOT_UTF8,
    UNKNOWN_LANGUAGE,
    Rejection,
    RootManifest,
    Utterance,
    name_problem,
    text_problem,
)
from myxtts.data.source import LARGEST_TEXT_BYTES, LAYOUTS, ReadOptions, SourceRows, Split
from myxtts.data.table import TableRow, in_utf8
from myxtts.errors import DataError
from myxtts.messages import escaped, quoted

VCTK_MICROPHONES = ("_mic1", "_mic2")
_SAMPLE_CHARACTERS = 60


def expected(split: Split) -> str:
    """What a data root must contain, for a message."""
    *names, last = METADATA_NAMES[split]
    return f"{', '.join(names)} or {last}, or wav48*/ and txt/ (VCTK), or another layout that --layout names"


def default_speaker(root: Path) -> str:
    """The speaker of rows without a speaker or a speaker's folder: the name of the root."""
    return root.resolve().name or "speaker"


def default_speakers(roots: Sequence[Path]) -> list[str]:
    """The default speaker of each root, numbered if two roots have the same name, as these are two speakers."""
    names = [default_speaker(root) for root in roots]
    if len(set(names)) < len(names):
        names = [f"{number}-{name}" for number, name in enumerate(names, 1)]
    return names


def read_root(
    root: Path,
    split: Split,
    default_language: str,
    speaker: str | None = None,
    options: ReadOptions | None = None,
) -> RootManifest:
    """Utterances of a data root before any recording is opened.

    Args:
        root: folder with metadata and recordings.
        split: which metadata is preferred if there are several files.
        default_language: language of rows without a language.
        speaker: speaker of rows without a speaker, by default the name of the root.
        options: layout and columns that the user names, and the cache for recordings that are no files of their own.
    Errors: DataError if the root is not a folder or has no metadata that can be read.
    """
    try:
        return _read_root(root, split, default_language, speaker, options or ReadOptions())
    except OSError as error:
        raise DataError(f"{root}: cannot be read ({error.strerror}); check the path and its permissions") from error


def read_roots(
    roots: Sequence[Path],
    split: Split,
    default_language: str,
    speakers: Sequence[str] | None = None,
    options: ReadOptions | None = None,
) -> list[RootManifest]:
    """The manifest of each root; if there are several, ids begin with the name of their root.

    Args:
        roots: as in `read_root`, and so are `split`, `default_language` and `options`.
        speakers: for each root the speaker of rows without a speaker, by default that of `default_speakers`.
    Errors: DataError as `read_root`.
    """
    names = default_speakers(roots) if speakers is None else speakers
    manifests = [
        read_root(root, split, default_language, name, options) for root, name in zip(roots, names, strict=True)
    ]
    return [
        replace(manifest, utterances=[replace(u, id=prefix + u.id) for u in manifest.utterances])
        for prefix, manifest in zip(id_prefixes(roots), manifests, strict=True)
    ]


def id_prefixes(roots: Sequence[Path]) -> list[str]:
    """What the ids of each root begin with: nothing if there is only one, else its name."""
    return [""] if len(roots) == 1 else [f"{name}/" for name in default_speakers(roots)]


def _read_root(
    root: Path, split: Split, default_language: str, speaker: str | None, options: ReadOptions
) -> RootManifest:
    """As `read_root`, but raises OSError where the disk fails."""
    if not root.exists():
        raise DataError(f"{root}: no such folder; expected {expected(split)}")
    if not root.is_dir():
        raise DataError(f"{root}: is a file; name the folder that holds {expected(split)}")
    audio = vctk_audio_folder(root)
    named = any((root / name).is_file() for name in METADATA_NAMES[split])
    if audio is not None and (options.layout == "vctk" or (options.layout == "auto" and not named)):
        return _with_samples(_read_vctk(root, audio, default_language, options.follow_links), root)
    source = None if options.layout == "vctk" else read_source(root, split, options)
    if source is None:
        found = quoted(", ".join(sorted(path.name for path in root.iterdir())[:8]) or "an empty folder", 200)
        if options.layout != "auto":
            layout = f"{options.layout} ({LAYOUTS[options.layout]})"
            raise DataError(f"{root}: no data in the layout {layout}; found {found}")
        raise DataError(f"{root}: no metadata for {split}; {_elsewhere(root)}expected {expected(split)}; found {found}")
    return _with_samples(_utterances(source, default_language, speaker or default_speaker(root)), root)


_MOST_SEARCHED = 2_000
"""Folders in which data is looked for, so that a wrong root such as / is reported at once."""


def _elsewhere(root: Path) -> str:
    """Where the data may be if the root is not the right folder, or what its metadata is saved as; else nothing."""
    books = sorted(path.name for path in root.iterdir() if path.suffix.lower() in (".xlsx", ".xls", ".ods", ".numbers"))
    if books:
        return f"{quoted(books[0])} is a spreadsheet: export it as CSV (UTF-8), named metadata.csv; "
    names = set(METADATA_NAMES["train"])
    below: list[Path] = []
    for folder, folders, files in itertools.islice(os.walk(root), _MOST_SEARCHED):
        relative = Path(folder).relative_to(root)
        if names & set(files) or vctk_audio_folder(Path(folder)) is not None:
            below.append(relative)
            folders.clear()
        folders[:] = sorted(folders)[:100] if len(relative.parts) < 5 else []
    if not below:
        return ""
    if len(below) == 1:
        return f"there is data in {quoted(str(below[0]))} below it: name that folder; "
    more = f"{len(below) - 1} more folder{'s' if len(below) > 2 else ''}"
    return f"there is data in {quoted(str(below[0]))} and {more} below it: name them, separated by ':'; "


def _with_samples(manifest: RootManifest, root: Path) -> RootManifest:
    """The manifest with notes that show three of its rows as they were understood."""
    rows = manifest.utterances
    chosen = [rows[at] for at in sorted({0, len(rows) // 2, len(rows) - 1})] if rows else []
    lines = []
    for row in chosen:
        try:
            place = row.audio_path.relative_to(root)
        except ValueError:
            place = Path(row.audio_path.name)
        line = row.source.rpartition(":")[2]
        lines.append(
            f"  row {line}: file {quoted(str(place), 60)}, speaker {quoted(row.speaker, 40)}, language {row.language}, "
            f"text {quoted(row.text, _SAMPLE_CHARACTERS)}"
        )
    return replace(manifest, notes=[*manifest.notes, *lines])


def _utterances(source: SourceRows, language: str, speaker: str) -> RootManifest:
    """Rows with their recordings; a second row with the same id or recording is rejected."""
    utterances: list[Utterance] = []
    rejections = list(source.rejections)
    first_seen: dict[str, TableRow] = {}
    for row in source.rows:
        made = _utterance(row, source, language, speaker)
        if isinstance(made, Rejection):
            rejections.append(made)
            continue
        seen = first_seen.setdefault(made.id, row)
        if seen is not row:
            value = f"{quoted(row.id)} is in line {seen.line} already"
            rejections.append(Rejection(made.source, made.id, DUPLICATE, value))
        else:
            utterances.append(made)
    rejections.sort(key=_line_of)
    return RootManifest(
        utterances, rejections, source.metadata, [source.note], columns=source.columns, guessed=source.guessed
    )


def _line_of(rejection: Rejection) -> int:
    """Line of a rejection, to list them in file order."""
    return int(rejection.source.rpartition(":")[2])


def _utterance(row: TableRow, origin: SourceRows, language: str, speaker: str) -> Utterance | Rejection:
    """The utterance of one row, or why there is none. The normalized text is preferred to the text."""
    source = row.source(origin.metadata)
    found = origin.files.find(row.id)
    if isinstance(found, NotFound):
        return Rejection(source, quoted(row.id), found.reason, found.value)
    text = row.normalized or row.text
    speaker = row.speaker or found.folder or speaker
    problem = name_problem("file", found.id) or name_problem("speaker", speaker) or text_problem(text)
    if problem is None and row.language and not LANGUAGE_CODE.fullmatch(row.language):
        problem = UNKNOWN_LANGUAGE, f"{quoted(row.language)} is not a language code; expected one such as en-us or fa"
    if problem:
        return Rejection(source, escaped(found.id), *problem)
    return Utterance(
        id=found.id,
        audio_path=found.path,
        text=" ".join(text.split()),
        speaker=speaker,
        language=row.language.replace("_", "-").lower() or language,
        source=source,
    )


def vctk_audio_folder(root: Path) -> Path | None:
    """The folder wav48* of a root in the VCTK layout, or None if it has another one."""
    if not (root / "txt").is_dir():
        return None
    folders = sorted(path for path in root.glob("wav48*") if path.is_dir())
    return folders[-1] if folders else None


def _read_vctk(root: Path, audio: Path, language: str, follow_links: bool) -> RootManifest:
    """Utterances of a root in the VCTK layout; of two microphones the first is used."""
    real_root = Path(os.path.realpath(root))
    utterances: list[Utterance] = []
    rejections: list[Rejection] = []
    speakers = {path.name for folder in (audio, root / "txt") for path in folder.iterdir() if path.is_dir()}
    for speaker in sorted(speakers):
        recordings = _vctk_recordings(audio / speaker)
        texts = {path.stem: path for path in (root / "txt" / speaker).glob("*.txt")}
        for name in sorted(recordings.keys() | texts.keys()):
            source = f"{escaped(str(root / 'txt' / speaker / name))}.txt:1"
            if name not in recordings:
                rejections.append(Rejection(source, escaped(name), MISSING_FILE, quoted(str(audio / speaker / name))))
            elif name not in texts:
                rejections.append(Rejection(source, escaped(name), MISSING_TEXT, quoted(str(recordings[name]))))
            elif not follow_links and not all(_is_inside(p, real_root) for p in (recordings[name], texts[name])):
                link = f"{quoted(str(recordings[name]))} is a link; copy the file into the root, or set {FOLLOW_LINKS}"
                rejections.append(Rejection(source, escaped(name), ESCAPES_ROOT, link))
            else:
                made = _vctk_utterance(name, recordings[name], texts[name], speaker, language, source)
                if isinstance(made, Rejection):
                    rejections.append(made)
                else:
                    utterances.append(made)
    note = f"{root}: VCTK layout ({audio.name}/SPEAKER, txt/SPEAKER), {len(utterances)} texts with a recording"
    return RootManifest(utterances, rejections, root / "txt", [note])


def _vctk_recordings(folder: Path) -> dict[str, Path]:
    """Recordings of a speaker by the name of their text."""
    found: dict[str, Path] = {}
    if folder.is_dir():
        for path in sorted(folder.iterdir()):  # _mic1 sorts before _mic2, and the first one is kept
            if path.suffix.lower() in AUDIO_SUFFIXES:
                name = path.stem
                for microphone in VCTK_MICROPHONES:
                    name = name.removesuffix(microphone)
                found.setdefault(name, path)
    return found


def _is_inside(path: Path, real_root: Path) -> bool:
    """Whether the path is inside the root with all symbolic links resolved."""
    return Path(os.path.realpath(path)).is_relative_to(real_root)


def _vctk_utterance(
    name: str, recording: Path, text_path: Path, speaker: str, language: str, source: str
) -> Utterance | Rejection:
    """One recording with the text of its file."""
    problem = name_problem("file", name) or name_problem("speaker", speaker)
    if problem:
        return Rejection(source, escaped(name), *problem)
    try:
        status = text_path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a FIFO would wait forever
            return Rejection(source, name, MISSING_TEXT, f"{quoted(str(text_path))}: not a regular file")
        if status.st_size > LARGEST_TEXT_BYTES:
            return Rejection(source, name, NOT_UTF8, f"{status.st_size} bytes are too many for the text of a clip")
        raw = text_path.read_bytes()
        text = " ".join(in_utf8(raw, text_path).decode("utf-8").split())
    except UnicodeDecodeError as error:
        return Rejection(source, name, NOT_UTF8, f"byte {raw[error.start : error.start + 1]!r} at {error.start}")
    except OSError as error:
        return Rejection(source, name, MISSING_TEXT, f"{quoted(str(text_path))}: {error.strerror}")
    except DataError as error:
        return Rejection(source, name, NOT_UTF8, str(error).partition(":1: ")[2])
    problem = text_problem(text)
    if problem:
        return Rejection(source, name, *problem)
    return Utterance(f"{speaker}/{name}", recording, text, speaker, language, source)
