"""Reads a data root: which metadata counts, which recording each row means, whose voice it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from myxtts.data import vctk
from myxtts.data.audio_files import AudioFiles, NotFound
from myxtts.data.records import (
    DUPLICATE,
    UNKNOWN_LANGUAGE,
    Manifest,
    Rejection,
    Utterance,
    name_problem,
    shown,
    text_problem,
    visible,
)
from myxtts.data.table import LANGUAGE_CODE, SEPARATOR_NAMES, Row, Table, read_table
from myxtts.errors import DataError

__all__ = [
    "METADATA_NAMES",
    "Manifest",
    "Rejection",
    "Split",
    "Utterance",
    "default_speakers",
    "expected",
    "id_prefixes",
    "read_root",
    "read_roots",
]

Split = Literal["train", "val"]

METADATA_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("metadata_train.csv", "metadata_train.txt", "metadata.csv", "metadata.txt"),
    "val": ("metadata_eval.csv", "metadata_eval.txt", "metadata_val.csv", "metadata.csv", "metadata.txt"),
}


def expected(split: Split) -> str:
    """What a data root has, for a message."""
    *names, last = METADATA_NAMES[split]
    return f"{', '.join(names)} or {last}, or wav48*/ and txt/ (VCTK)"


def default_speaker(root: Path) -> str:
    """The one speaker of a root whose rows and folders name none: the root's own name."""
    return root.resolve().name or "speaker"


def default_speakers(roots: Sequence[Path]) -> list[str]:
    """The default speaker of each root, numbered where two have the same name: other folders, other people."""
    names = [default_speaker(root) for root in roots]
    if len(set(names)) < len(names):
        names = [f"{number}-{name}" for number, name in enumerate(names, 1)]
    return names


def read_root(root: Path, split: Split, default_language: str, speaker: str | None = None) -> Manifest:
    """Utterances of a data root before any recording is opened.

    Args:
        root: folder with metadata and recordings.
        split: which metadata comes first where there are several.
        default_language: language of rows that name none.
        speaker: name of rows without a speaker, by default that of the root.
    Errors: DataError if the root is no folder, has no metadata, or its metadata is no table.
    """
    try:
        return _read_root(root, split, default_language, speaker)
    except OSError as error:
        raise DataError(f"{root}: cannot be read ({error.strerror}); check the path and its permissions") from error


def read_roots(
    roots: Sequence[Path], split: Split, default_language: str, speakers: Sequence[str] | None = None
) -> list[Manifest]:
    """The manifest of each root; of several, ids begin with their root's name.

    Args:
        roots: as in `read_root`, and so are `split` and `default_language`.
        speakers: of each root the name of rows without a speaker, by default that of `default_speakers`.
    Errors: DataError as `read_root`.
    """
    names = default_speakers(roots) if speakers is None else speakers
    manifests = [read_root(root, split, default_language, name) for root, name in zip(roots, names, strict=True)]
    return [
        replace(manifest, utterances=[replace(u, id=prefix + u.id) for u in manifest.utterances])
        for prefix, manifest in zip(id_prefixes(roots), manifests, strict=True)
    ]


def id_prefixes(roots: Sequence[Path]) -> list[str]:
    """What the ids of each root begin with: nothing where there is one root, else its name."""
    return [""] if len(roots) == 1 else [f"{name}/" for name in default_speakers(roots)]


def _read_root(root: Path, split: Split, default_language: str, speaker: str | None) -> Manifest:
    """As `read_root`, with the errors of the disk as they come."""
    if not root.exists():
        raise DataError(f"{root}: there is no such folder; expected {expected(split)}")
    if not root.is_dir():
        raise DataError(f"{root}: is a file; name the folder that holds {expected(split)}")
    present = [name for name in METADATA_NAMES[split] if (root / name).is_file()]
    audio = vctk.audio_folder(root)
    if not present and audio is not None:
        return vctk.read(root, audio, default_language)
    if not present:
        found = ", ".join(sorted(path.name for path in root.iterdir())[:8]) or "an empty folder"
        raise DataError(f"{root}: no metadata for {split}; expected {expected(split)}; found {shown(found, 200)}")
    metadata = root / present[0]
    table = read_table(metadata)
    note = f"{metadata}: {len(table.rows)} rows, {_understood(table)}"
    if present[1:]:
        note += f"; {', '.join(present[1:])} not read, since {present[0]} comes first for {split}"
    return _utterances(root, metadata, table, default_language, speaker or default_speaker(root), note)


def _understood(table: Table) -> str:
    """How the columns were understood, for the note."""
    columns = ", ".join(column or "(not read)" for column in table.columns)
    return f"{SEPARATOR_NAMES[table.separator]}, {'header' if table.has_header else 'no header'}, columns {columns}"


def _utterances(root: Path, metadata: Path, table: Table, language: str, speaker: str, note: str) -> Manifest:
    """Rows joined to their recordings; a second row of the same id or recording is rejected."""
    files = AudioFiles(root)
    utterances: list[Utterance] = []
    rejections = list(table.rejections)
    first_seen: dict[str, int] = {}
    for row in table.rows:
        made = _utterance(row, files, metadata, language, speaker)
        if isinstance(made, Rejection):
            rejections.append(made)
            continue
        seen = first_seen.setdefault(made.id, row.line)
        if seen != row.line:
            rejections.append(Rejection(made.source, made.id, DUPLICATE, f"{shown(row.id)} is in line {seen} already"))
        else:
            utterances.append(made)
    return Manifest(utterances, sorted(rejections, key=_line_of), metadata, [note])


def _line_of(rejection: Rejection) -> int:
    """Line of a rejection, to list them in the order of the file."""
    return int(rejection.source.rpartition(":")[2])


def _utterance(row: Row, files: AudioFiles, metadata: Path, language: str, speaker: str) -> Utterance | Rejection:
    """The utterance of one row, or why there is none. The normalized text counts where there is one."""
    source = f"{metadata}:{row.line}"
    found = files.find(row.id)
    if isinstance(found, NotFound):
        return Rejection(source, shown(row.id), found.reason, found.value)
    text = row.normalized or row.text
    speaker = row.speaker or found.folder or speaker
    problem = name_problem("file", found.id) or name_problem("speaker", speaker) or text_problem(text)
    if problem is None and row.language and not LANGUAGE_CODE.fullmatch(row.language):
        problem = UNKNOWN_LANGUAGE, f"{shown(row.language)} is no code of a language; expected one such as en-us or fa"
    if problem:
        return Rejection(source, visible(found.id), *problem)
    return Utterance(
        id=found.id,
        audio_path=found.path,
        text=" ".join(text.split()),
        speaker=speaker,
        language=row.language.replace("_", "-").lower() or language,
        source=source,
    )
