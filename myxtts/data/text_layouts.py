"""Layouts without a table: Kaldi, LibriSpeech, LibriTTS, label tracks, a text beside each recording."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from myxtts.data.audio_files import AUDIO_FOLDERS, AUDIO_SUFFIXES, AudioFiles
from myxtts.data.records import MISSING_FILE, MISSING_TEXT, Rejection
from myxtts.data.source import LAYOUTS, ReadOptions, SourceRows, Split, cut_parts, parts_folder, text_lines, walk
from myxtts.data.table import TableRow
from myxtts.messages import escaped, quoted

_TEXT_FOLDERS = ("txt", "text", "texts", "transcript", "transcripts", "transcriptions", "lab", "labels", "lyrics")
_LABEL = re.compile(r"\s*\d+(?:[.,]\d+)?\t\s*\d+(?:[.,]\d+)?(?:\t.*)?")


def read_kaldi(root: Path, split: Split, options: ReadOptions) -> SourceRows | None:
    """wav.scp, text, utt2spk and segments, in the root or in data/SPLIT."""
    names = ("train",) if split == "train" else ("dev", "val", "valid", "test", "eval")
    folders = [root, *(root / "data" / name for name in names), *(root / name for name in names)]
    place = next((folder for folder in folders if (folder / "wav.scp").is_file()), None)
    if place is None or not (place / "text").is_file() or (place == root and split == "val"):
        return None
    rejections: list[Rejection] = []
    recordings = _kaldi_file(place / "wav.scp", rejections)
    speakers = _kaldi_file(place / "utt2spk", rejections) if (place / "utt2spk").is_file() else {}
    segments = _kaldi_file(place / "segments", rejections) if (place / "segments").is_file() else {}
    rows: list[TableRow] = []
    for name, (number, text) in _kaldi_file(place / "text", rejections).items():
        source = f"{place / 'text'}:{number}"
        recording, start, end = name, 0.0, 0.0
        if segments:
            found = re.fullmatch(r"(\S+)\s+([\d.]+)\s+([\d.]+)", segments.get(name, (0, ""))[1])
            if found is None:
                rejections.append(Rejection(source, escaped(name), MISSING_FILE, f"{quoted(name)} is not in segments"))
                continue
            recording, start, end = found[1], float(found[2]), float(found[3])
        path = recordings.get(recording, (0, ""))[1]
        if not path or path.endswith("|"):
            value = f"{quoted(path or recording)}: {'a command, which is not run' if path else 'not in wav.scp'}"
            rejections.append(Rejection(source, escaped(name), MISSING_FILE, value))
            continue
        speaker = speakers.get(name, (0, ""))[1]
        rows.append(TableRow(number, path, text, speaker=speaker, place=source, start=start, end=end))
    files = AudioFiles(root, options.follow_links)
    note = f"{place / 'text'}: {len(rows)} rows, layout Kaldi (wav.scp, text{', segments' if segments else ''})"
    if segments:
        rows = cut_parts(rows, files, place / "text", options, rejections)
        files = AudioFiles(parts_folder(place / "text", options))
    return SourceRows("kaldi", place / "text", rows, rejections, note, files)


def _kaldi_file(path: Path, rejections: list[Rejection]) -> dict[str, tuple[int, str]]:
    """Key -> (line, rest of the line)."""
    found: dict[str, tuple[int, str]] = {}
    for number, line in text_lines(path, rejections):
        key, rest = [*line.split(maxsplit=1), ""][:2]
        found.setdefault(key, (number, rest.strip()))
    return found


def read_librispeech(root: Path, split: Split, options: ReadOptions) -> SourceRows | None:
    """ID and text in SPEAKER/CHAPTER/*.trans.txt."""
    return _beside(root, options, "librispeech", lambda path: path.name.endswith(".trans.txt"), _trans_rows)


def _trans_rows(path: Path, root: Path, rejections: list[Rejection]) -> Iterator[TableRow]:
    folder = path.parent.relative_to(root)
    for number, line in text_lines(path, rejections):
        name, _, text = line.strip().partition(" ")
        speaker = folder.parts[-2] if len(folder.parts) > 1 else ""  # SPEAKER/CHAPTER
        yield TableRow(number, str(folder / name), text, speaker=speaker, place=f"{escaped(str(path))}:{number}")


def read_label_tracks(root: Path, split: Split, options: ReadOptions) -> SourceRows | None:
    """Label tracks beside recordings, of the same name."""
    rejections: list[Rejection] = []

    def is_track(path: Path) -> bool:
        if path.suffix != ".txt" or not _recording_beside(path):
            return False
        lines = [line for _, line in text_lines(path, [])][:20]
        return bool(lines) and all(_LABEL.fullmatch(line) or line.startswith("\\") for line in lines)

    source = _beside(root, options, "audacity", is_track, _label_rows, rejections)
    if source is None:
        return None
    rows = cut_parts(source.rows, source.files, source.metadata, options, rejections)
    files = AudioFiles(parts_folder(source.metadata, options))
    return SourceRows("audacity", source.metadata, rows, rejections, source.note, files)


def _label_rows(path: Path, root: Path, rejections: list[Rejection]) -> Iterator[TableRow]:
    for number, line in text_lines(path, rejections):
        if line.startswith("\\"):  # the frequencies of the label above
            continue
        start, end, text = [*line.split("\t"), "", ""][:3]
        place = f"{escaped(str(path))}:{number}"
        if text.strip():
            times = [float(time.replace(",", ".")) for time in (start, end)]
            name = str(_recording_beside(path).relative_to(root))  # type: ignore[union-attr]
            yield TableRow(number, name, text.strip(), place=place, start=times[0], end=times[1])
        else:
            rejections.append(Rejection(place, "", MISSING_TEXT, f"a label without a text: {quoted(line)}"))


def read_text_files(root: Path, split: Split, options: ReadOptions) -> SourceRows | None:
    """A text beside each recording: .normalized.txt (LibriTTS), .txt or .lab."""
    endings = (".normalized.txt", ".txt", ".lab")
    found: dict[Path, Path] = {}
    for ending in endings:
        for path in walk(root, options.follow_links):
            name = path.name.lower()
            if name.endswith(ending) and not name.endswith(".original.txt"):
                recording = _recording_beside(path, ending)
                if recording is not None:
                    found.setdefault(recording, path)
    if not found:
        return None
    libritts = any(path.name.endswith(endings[0]) for path in found.values())
    texts = set(found.values())
    source = _beside(root, options, "libritts" if libritts else "text_files", lambda path: path in texts, _text_row)
    return source if libritts or source is None else replace(source, note=source.note + _shared_folder(root, found))


def _shared_folder(root: Path, recordings: Iterable[Path]) -> str:
    """A remark if all recordings are in one folder with several others below: these may be the speakers."""
    folders = {_folders(path.relative_to(root)) for path in recordings}
    below = {folder[:2] for folder in folders if len(folder) > 1}
    if len({folder[:1] for folder in folders}) > 1 or len(below) < 2:
        return ""
    first = next(iter(folders))[0]
    return (
        f"; all are of speaker {quoted(first)}, in {len(below)} folders below {escaped(first)}/: if those are the "
        "speakers, name that folder"
    )


def _folders(relative: Path) -> tuple[str, ...]:
    """The folders of a recording below the root and its folder of recordings."""
    parts = relative.parts[:-1]
    return parts[1:] if parts and parts[0] in AUDIO_FOLDERS else parts


def _text_row(path: Path, root: Path, rejections: list[Rejection]) -> Iterator[TableRow]:
    ending = next(e for e in (".normalized.txt", ".txt", ".lab") if path.name.lower().endswith(e))
    recording = _recording_beside(path, ending)
    lines = [line for _, line in text_lines(path, rejections)]
    place = f"{escaped(str(path))}:1"
    if not lines:
        rejections.append(Rejection(place, escaped(path.stem), MISSING_TEXT, "the file is empty"))
    elif recording is not None:
        relative = recording.relative_to(root)
        folders = _folders(relative)
        if ending == ".normalized.txt":  # SPEAKER/CHAPTER
            folders = folders[-2:]
        yield TableRow(1, str(relative), " ".join(lines), speaker=folders[0] if folders else "", place=place)


def _beside(
    root: Path,
    options: ReadOptions,
    layout: str,
    is_text: Callable[[Path], bool],
    rows_of: Callable[[Path, Path, list[Rejection]], Iterator[TableRow]],
    rejections: list[Rejection] | None = None,
) -> SourceRows | None:
    """The rows of text files that are in the folders of the recordings."""
    texts = sorted(path for path in walk(root, options.follow_links) if is_text(path))
    if not texts:
        return None
    rejections = [] if rejections is None else rejections
    rows = [row for path in texts for row in rows_of(path, root, rejections)]
    note = f"{root}: {len(rows)} rows of {len(texts)} files, layout {LAYOUTS[layout]}"
    return SourceRows(layout, root / "texts", rows, rejections, note, AudioFiles(root, options.follow_links))


def _recording_beside(text: Path, ending: str | None = None) -> Path | None:
    """The recording with the name of a text file, in its folder, or in wavs/ and the like where it is in txt/."""
    stem = text.name[: -len(ending or text.suffix)]
    names = [stem + cased for suffix in AUDIO_SUFFIXES for cased in (suffix, suffix.upper())]
    found = next((place for place in map(text.with_name, names) if place.is_file()), None)
    if found is not None:
        return found
    at = next((at for at in (1, 2) if len(text.parts) > at and text.parts[-1 - at].lower() in _TEXT_FOLDERS), 0)
    if not at:
        return None
    above, between = text.parents[at], text.parts[-at:-1]
    places = (above.joinpath(folder, *between, name) for folder in AUDIO_FOLDERS[:-1] for name in names)
    return next((place for place in places if place.is_file()), None)
