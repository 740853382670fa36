"""The result of every layout: rows, and where their recordings are; and the reading of text files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from myxtts.data.audio_files import AudioFiles, Found
from myxtts.data.cache import short_hash, stamp_of
from myxtts.data.embedded import CutJob, Part, cut
from myxtts.data.records import NOT_UTF8, UNREADABLE, Rejection
from myxtts.data.table import LARGEST_FILE_BYTES, MOST_LINES, TableRow, in_utf8
from myxtts.errors import DataError
from myxtts.messages import escaped, quoted

Split = Literal["train", "val"]

LAYOUTS = {
    "table": "a table with one row per recording",
    "vctk": "VCTK: wav48*/SPEAKER and txt/SPEAKER",
    "json_lines": "JSON lines, as of NeMo and Hugging Face: audio_filepath or file_name, and text",
    "huggingface": "Hugging Face data set in Parquet or Arrow files",
    "kaldi": "Kaldi: wav.scp, text, utt2spk, segments",
    "common_voice": "Common Voice: a .tsv with client_id, path and sentence, and clips/",
    "libritts": "LibriTTS: a .normalized.txt beside each recording",
    "librispeech": "LibriSpeech: a .trans.txt in the folder of the recordings",
    "audacity": "Audacity: a label track (.txt with start, end and text) beside each recording",
    "text_files": "a .txt or .lab beside each recording, or of the same name in txt/",
}
"""Names of `--layout` -> what is expected there."""
LARGEST_TEXT_BYTES = 1 << 20
_MOST_FILES = 1_000_000


@dataclass(frozen=True)
class SourceRows:
    """The rows of a data root before their recordings are looked up.

    `files` has the folder that the rows name recordings in, which is the root or a folder of the cache.
    """

    layout: str
    metadata: Path
    rows: list[TableRow]
    rejections: list[Rejection]
    note: str
    files: AudioFiles
    columns: tuple[str, ...] = ()
    guessed: bool = False
    """Whether the columns are known by their contents only."""


@dataclass(frozen=True)
class ReadOptions:
    """How a root is read: a layout of LAYOUTS or "auto", the columns that the user names, and the cache folder.

    `follow_links`: symbolic links may lead out of the root.
    """

    layout: str = "auto"
    columns: tuple[str, ...] | None = None
    cache: Path = Path("~/.cache/myxtts")
    follow_links: bool = False


def parts_folder(metadata: Path, options: ReadOptions) -> Path:
    """The folder in the cache for the parts of the recordings that `metadata` names."""
    return options.cache / "parts" / short_hash(str(metadata.resolve()))


def cut_parts(
    rows: Sequence[TableRow], files: AudioFiles, metadata: Path, options: ReadOptions, rejections: list[Rejection]
) -> list[TableRow]:
    """Rows whose recordings are parts of longer ones, cut and written to the cache."""
    folder = parts_folder(metadata, options)
    jobs: dict[Path, list[Part]] = {}
    cut_rows: list[tuple[TableRow, Path]] = []
    for row in rows:
        found = files.find(row.id)
        place = row.source(metadata)
        if not isinstance(found, Found):
            rejections.append(Rejection(place, quoted(row.id), found.reason, found.value))
            continue
        stamp = short_hash(str(found.path), str(stamp_of(found.path)))[:8]
        end = row.end or 1e9
        target = folder / f"{found.path.stem}-{row.start:.2f}-{row.end:.2f}-{stamp}.flac"
        jobs.setdefault(found.path, []).append(Part(target, row.start, end))
        cut_rows.append((row, target))
    problems = cut([CutJob(path, tuple(parts)) for path, parts in jobs.items()])
    made = []
    for row, target in cut_rows:
        place = row.source(metadata)
        if problem := problems.get(target):
            rejections.append(Rejection(place, quoted(row.id), UNREADABLE, problem))
        else:
            made.append(
                TableRow(row.line, target.name, row.text, row.normalized, row.speaker, row.language, place=place)
            )
    return made


def walk(root: Path, follow_links: bool = False) -> Iterator[Path]:
    """All files below a root, at most a million. Links to folders are followed only if wanted, each folder once."""
    for count, path in enumerate(sorted(_linked(root) if follow_links else root.rglob("*"))):
        if count >= _MOST_FILES:
            raise DataError(f"{root}: more than {_MOST_FILES} files; name its metadata metadata.csv")
        if path.is_file():
            yield path


def _linked(root: Path) -> Iterator[Path]:
    """All files below a root and in the folders that it links to, each folder once: links may form a loop."""
    seen: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (Path(folder) / name for name in files)


def text_lines(path: Path, rejections: list[Rejection]) -> Iterator[tuple[int, str]]:
    """(number, line) of the lines with content, in UTF-8 or UTF-16; others are rejected. Raises DataError."""
    size = path.stat().st_size
    if size > LARGEST_FILE_BYTES or not path.is_file():
        raise DataError(f"{path}: {size} bytes are more than a text file may have ({LARGEST_FILE_BYTES})")
    try:
        lines = in_utf8(path.read_bytes(), path).splitlines()
    except DataError as error:
        rejections.append(Rejection(f"{escaped(str(path))}:1", "", NOT_UTF8, str(error).partition(":1: ")[2]))
        return
    if len(lines) > MOST_LINES:
        raise DataError(f"{path}:{MOST_LINES + 1}: {len(lines)} lines, at most {MOST_LINES} are read")
    for number, raw in enumerate(lines, 1):
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            value = f"byte {raw[error.start : error.start + 1]!r} at {error.start}; save the file as UTF-8"
            rejections.append(Rejection(f"{escaped(str(path))}:{number}", "", NOT_UTF8, value))
            continue
        if line.strip():
            yield number, line
