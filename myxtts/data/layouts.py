"""The supported data layouts besides a `metadata.csv` table: how they are recognized, and their rows.

Each is recognized by files that no other layout has. The layout, detected or named by `--layout`, is in the audit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from myxtts.data.audio_files import AudioFiles, Found
from myxtts.data.columns import columns_of_header
from myxtts.data.embedded import ARROW_SUFFIXES, read_embedded
from myxtts.data.records import BAD_COLUMNS, Rejection
from myxtts.data.source import ReadOptions, SourceRows, Split, cut_parts, parts_folder, text_lines, walk
from myxtts.data.table import SEPARATOR_NAMES, Table, TableRow, read_table
from myxtts.data.text_layouts import read_kaldi, read_label_tracks, read_librispeech, read_text_files
from myxtts.errors import DataError
from myxtts.messages import quoted

METADATA_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("metadata_train.csv", "metadata_train.txt", "metadata.csv", "metadata.txt"),
    "val": ("metadata_eval.csv", "metadata_eval.txt", "metadata_val.csv", "metadata.csv", "metadata.txt"),
}
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".list", ".lst")
_VALIDATION_WORDS = re.compile(r"(?:^|[^a-z])(?:val|valid|validation|eval|evaluation|dev|test)(?:[^a-z]|$)", re.I)
_TRAIN_WORDS = re.compile(r"(?:^|[^a-z])(?:train|training|validated)(?:[^a-z]|$)", re.I)
_JSON_NAMES = re.compile(r".*\.jsonl|.*manifest.*\.json|(?:metadata|train|val|valid|dev|test|eval)\.json", re.I)


Reader = Callable[[Path, Split, ReadOptions], "SourceRows | None"]


def read_source(root: Path, split: Split, options: ReadOptions) -> SourceRows | None:
    """The rows of a root in the layout that is named or found; None if there is none. Raises DataError, OSError.

    VCTK is not here: its texts are separate files, read with their recordings.
    """
    readers: dict[str, Reader] = {
        "table": _named_table,
        "json_lines": _json_lines,
        "huggingface": _embedded,
        "kaldi": read_kaldi,
        "common_voice": _common_voice,
        "librispeech": read_librispeech,
        "audacity": read_label_tracks,
        "libritts": read_text_files,
        "text_files": read_text_files,
    }
    if options.layout != "auto":
        found = readers[options.layout](root, split, options)
        return found or (_other_table(root, split, options) if options.layout == "table" else None)
    for reader in (*dict.fromkeys(readers.values()), _other_table):
        if (found := reader(root, split, options)) is not None:
            return found
    return None


def has_validation_files(root: Path) -> bool:
    """Whether a root contains validation data besides its training data."""
    if any((root / name).is_file() for name in METADATA_NAMES["val"][:3]):
        return True
    if any((root / name).is_file() for name in METADATA_NAMES["train"]):
        return False
    found = [*_json_files(root), *_arrow_files(root), *_tables(root)]
    return any(_is_validation(path, root) for path in found) and any(not _is_validation(path, root) for path in found)


def _is_validation(path: Path, root: Path) -> bool:
    """Whether the name of a file, or of its folders below the root, marks it as validation data."""
    relative = path.relative_to(root)
    names = " ".join([*relative.parts[:-1], relative.stem])
    return bool(_VALIDATION_WORDS.search(names)) and not _TRAIN_WORDS.search(names)


def _of_split(paths: Sequence[Path], root: Path, split: Split) -> list[Path]:
    """The files of a split; for training, those named accordingly, or else all that are not for validation."""
    if split == "val":
        held = [path for path in paths if _is_validation(path, root)]
        first = next((p for word in ("val", "dev", "eval", "test") for p in held if word in str(p).lower()), None)
        same = [p for p in held if first and p.parent == first.parent and _stem_kind(p) == _stem_kind(first)]
        return same or list(paths)
    others = [path for path in paths if not _is_validation(path, root)]
    return [path for path in others if _TRAIN_WORDS.search(str(path.relative_to(root)))] or others


def _stem_kind(path: Path) -> str:
    """A file name without the number of its shard."""
    return re.sub(r"[-_]?\d+(?:-of-\d+)?$", "", path.stem)


def _named_table(root: Path, split: Split, options: ReadOptions) -> SourceRows | None:
    """metadata_train.csv and the others of METADATA_NAMES, in the root or in a folder named as the split."""
    folders = ("train",) if split == "train" else ("validation", "val", "test")
    for folder in (root, *(root / name for name in folders)):
        present = [name for name in METADATA_NAMES[split] if (folder / name).is_file()]
        if present:
            ignored = f"; {', '.join(present[1:])} not read, since {present[0]} is preferred for {split}"
            return _table(folder, folder / present[0], options, ignored if present[1:] else "")
    return None


def _table(root: Path, metadata: Path, options: ReadOptions, note: str = "", layout: str = "table") -> SourceRows:
    files = AudioFiles(root, options.follow_links)
    table = read_table(metadata, options.columns, files.is_recording)
    columns = ", ".join(column or "(not read)" for column in table.columns)
    header = "header" if table.has_header else "no header"
    how = ", named by --columns" if options.columns else "" if table.has_header else ", by their contents"
    note = (
        f"{metadata}: {len(table.rows)} rows, {_kind_of_table(table)}, {SEPARATOR_NAMES[table.separator]}, {header}, "
        f"columns {columns}{how}{note}"
    )
    guessed = not options.columns and not table.has_header
    return SourceRows(layout, metadata, table.rows, table.rejections, note, files, table.columns, guessed)


def _kind_of_table(table: Table) -> str:
    """The name of a table's format, by its header or its columns."""
    header = {cell.strip().lower() for cell in table.header}
    if {"client_id", "sentence"} <= header:
        return "layout Common Voice"
    if "file_name" in header:
        return "layout Hugging Face (file_name)"
    if {"audio_file", "speaker_name"} <= header:
        return "layout Coqui"
    if table.has_header:
        return "layout of its header"
    known = {
        ("id", "text", "normalized"): "layout LJSpeech",
        ("id", "speaker", "text"): "layout of VITS and Piper lists",
        ("id", "speaker", "language", "text"): "layout of GPT-SoVITS lists",
    }
    return known.get(table.columns, "a table without a name")


def _tables(root: Path) -> list[Path]:
    """Tables in the root and in its folder filelists/, besides those of METADATA_NAMES."""
    taken = {name for names in METADATA_NAMES.values() for name in names}
    folders = [root, *(path for path in (root / "filelists", root / "transcripts") if path.is_dir())]
    found = [path for folder in folders for path in sorted(folder.iterdir()) if path.suffix.lower() in TABLE_SUFFIXES]
    return [path for path in found if path.name not in taken and path.is_file()]


def _other_table(root: Path, split: Split, options: ReadOptions) -> SourceRows | None:
    """The only table of another name whose rows name recordings of the root."""
    usable = []
    for path in _of_split(_tables(root), root, split):
        try:
            source = _table(root, path, options)
        except DataError:
            if split == "train" and len(_tables(root)) == 1:
                raise
            continue
        if any(isinstance(source.files.find(row.id), Found) for row in source.rows[:50]):
            usable.append(source)
    if len(usable) > 1:
        names = ", ".join(source.metadata.name for source in usable[:8])
        wanted = METADATA_NAMES[split][0]
        raise DataError(f"{root}: {len(usable)} tables could be the {split} data ({names}); name one of them {wanted}")
    return usable[0] if usable else None


def _common_voice(root: Path, split: Split, options: ReadOptions) -> SourceRows | None:
    """The .tsv files of Common Voice: train.tsv, else validated.tsv; dev.tsv, else test.tsv."""
    if not (root / "clips").is_dir():
        return None
    names = ("train.tsv", "validated.tsv") if split == "train" else ("dev.tsv", "test.tsv")
    present = [root / name for name in names if (root / name).is_file()]
    return _table(root, present[0], options, layout="common_voice") if present else None


def _json_files(root: Path) -> list[Path]:
    folders = [root, *(p for name in ("train", "validation", "val", "test") if (p := root / name).is_dir())]
    return [path for folder in folders for path in sorted(folder.iterdir()) if _JSON_NAMES.fullmatch(path.name)]


def _json_lines(root: Path, split: Split, options: ReadOptions) -> SourceRows | None:
    """A file with one JSON object per row, as of NeMo (audio_filepath) and Hugging Face (file_name)."""
    for metadata in _of_split(_json_files(root), root, split):
        read = _read_json_lines(metadata, AudioFiles(metadata.parent, options.follow_links), options)
        if read is not None:
            return read
    return None


def _read_json_lines(metadata: Path, files: AudioFiles, options: ReadOptions) -> SourceRows | None:
    keys: dict[str, str] = {}
    rows: list[TableRow] = []
    rejections: list[Rejection] = []
    for number, line in _json_objects(metadata, rejections):
        values: object = line
        if isinstance(line, str):
            try:
                values = json.loads(line)
            except (ValueError, RecursionError):
                values = None
        if not isinstance(values, dict):
            if number == 1:
                return None  # not one object a line
            rejections.append(
                Rejection(f"{metadata}:{number}", "", BAD_COLUMNS, f"no JSON object: {quoted(str(line))}")
            )
            continue
        if not keys:
            columns = columns_of_header(list(values), f"{metadata}:{number}")
            if columns is None:
                return None
            keys = {kind: key for kind, key in zip(columns, values, strict=True) if kind}
        rows.append(_json_row(number, values, keys))
    if not rows:
        return None
    parts = [row for row in rows if row.end]
    if parts:
        rows = cut_parts(rows, files, metadata, options, rejections)
        files = AudioFiles(parts_folder(metadata, options))
    listed = ", ".join(f"{key} is the {'file' if kind == 'id' else kind}" for kind, key in keys.items())
    note = f"{metadata}: {len(rows)} rows, layout JSON lines (NeMo, Hugging Face), {listed}"
    return SourceRows("json_lines", metadata, rows, rejections, note, files, tuple(keys))


def _json_objects(metadata: Path, rejections: list[Rejection]) -> Iterator[tuple[int, object]]:
    """(number, line) of the lines, or (number, value) of the values if the file is one array."""
    lines = list(text_lines(metadata, rejections))
    if lines and lines[0][1].lstrip().startswith("["):
        try:
            values = json.loads("\n".join(line for _, line in lines))
        except (ValueError, RecursionError):
            values = None
        if isinstance(values, list):
            yield from (
                (number, value if isinstance(value, dict) else str(value)) for number, value in enumerate(values, 1)
            )
            return
    yield from lines


def _json_row(number: int, values: Mapping[str, Any], keys: Mapping[str, str]) -> TableRow:
    def text(kind: str) -> str:
        value = values.get(keys.get(kind, ""))
        if isinstance(value, dict):  # {"path": ..., "bytes": ...}
            value = value.get("path")
        return str(value).strip() if isinstance(value, (str, int, float)) else ""

    start, seconds = values.get("offset"), values.get("duration")
    if not isinstance(start, (int, float)) or not isinstance(seconds, (int, float)) or start <= 0:
        start = seconds = 0.0
    return TableRow(
        number, text("id"), text("text"), text("normalized"), text("speaker"), text("language"),
        start=float(start), end=float(start + seconds),
    )  # fmt: skip


def _arrow_files(root: Path) -> list[Path]:
    found = [path for path in walk(root) if path.suffix in ARROW_SUFFIXES and not path.name.startswith("cache-")]
    return sorted(found)


def _embedded(root: Path, split: Split, options: ReadOptions) -> SourceRows | None:
    """Parquet files, as on the hub, or the Arrow files of save_to_disk."""
    marks = [*root.glob("*.parquet"), *root.glob("*.arrow"), *root.glob("*/*.parquet"), *root.glob("*/*.arrow")]
    if not marks and not any((root / name).exists() for name in ("dataset_dict.json", "dataset_infos.json")):
        return None
    files = _of_split(_arrow_files(root), root, split)
    if not files:
        return None
    read = read_embedded(files, options.cache, options.columns)
    embedded = read.folder.is_dir()
    columns = ", ".join(column or "(not read)" for column in read.columns)
    note = (
        f"{files[0]}{f' and {len(files) - 1} more' if files[1:] else ''}: {len(read.rows)} rows, layout Hugging Face "
        f"data set, columns {columns}{f'; its recordings are in {read.folder}' if embedded else ''}"
    )
    where = AudioFiles(read.folder if embedded else root, options.follow_links)
    return SourceRows("huggingface", files[0], read.rows, [], note, where, read.columns)
