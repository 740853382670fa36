"""Recordings that are not separate files: inside Parquet and Arrow files, or parts of longer recordings.

They are written to the cache once, in a folder per source. Training then reads them like any other recording.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import soundfile

from myxtts.audio.waveform import open_recording
from myxtts.data.cache import short_hash
from myxtts.data.columns import UNREAD, columns_of_header, kind_of_name
from myxtts.data.feature_store import write_to_cache
from myxtts.data.pool import Died, job_limits, run_isolated
from myxtts.data.table import TableRow
from myxtts.errors import DataError
from myxtts.messages import escaped, has_control_character, quoted

ARROW_SUFFIXES = (".parquet", ".arrow")
CUT_WORKERS = 2
_ROWS_AT_ONCE = 64
_MAGIC = ((b"RIFF", ".wav"), (b"fLaC", ".flac"), (b"OggS", ".ogg"), (b"ID3", ".mp3"), (b"\xff\xfb", ".mp3"),
          (b"\xff\xf3", ".mp3"), (b"FORM", ".aiff"), (b"caff", ".caf"), (b".snd", ".au"))  # fmt: skip


@dataclass(frozen=True)
class EmbeddedRows:
    """The rows of Parquet or Arrow files, whose recordings are in `folder`; `columns` says how they were read."""

    rows: list[TableRow]
    folder: Path
    columns: tuple[str, ...]


def read_embedded(files: Sequence[Path], cache: Path, chosen: tuple[str, ...] | None) -> EmbeddedRows:
    """The rows of a Hugging Face data set in Parquet or Arrow files, with its recordings written to the cache.

    Args:
        files: in their order, all with the same columns.
        cache: the cache folder.
        chosen: meaning of the columns where the user names them.
    Errors: DataError without pyarrow, for damaged files, or without columns for recording and text; StorageError if the
    cache cannot be written.
    """
    folder = cache / "embedded" / short_hash(*(f"{os.path.realpath(f)} {f.stat().st_mtime_ns}" for f in files))
    columns: tuple[str, ...] = ()
    rows: list[TableRow] = []
    names: set[str] = set()
    for file in files:
        number = 0
        for batch in _batches(file):
            columns = columns or chosen or _columns(batch.schema, file)
            for values in batch.to_pylist():
                number += 1
                rows.append(_row(list(values.values()), columns, file, number, folder, names))
    return EmbeddedRows(rows, folder, columns)


def _batches(file: Path) -> Iterator[Any]:
    """Record batches of a file. Raises DataError."""
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(
            f"{file}: Hugging Face data in {file.suffix} files needs pyarrow; install it with "
            "`pip install 'myxtts[hf]'`"
        ) from error
    try:
        if file.suffix == ".parquet":
            with pyarrow.parquet.ParquetFile(file) as opened:
                yield from opened.iter_batches(batch_size=_ROWS_AT_ONCE)
            return
        with pyarrow.memory_map(str(file)) as source:
            try:
                yield from pyarrow.ipc.open_stream(source)
            except pyarrow.ArrowInvalid:
                source.seek(0)
                with pyarrow.ipc.open_file(source) as opened:
                    yield from (opened.get_batch(at) for at in range(opened.num_record_batches))
    except (pyarrow.ArrowException, OSError) as error:
        said = " ".join(str(error).split())
        raise DataError(f"{file}: cannot be read ({quoted(said, 160)}); download it again") from error


def _columns(schema: Any, file: Path) -> tuple[str, ...]:
    """Meaning of the columns of a data set, by their names and types; a column of recordings is one of bytes."""
    recordings = [field.name for field in schema if _holds_recordings(field.type)]
    names = [UNREAD if recordings and kind_of_name(field.name) == "id" else field.name for field in schema]
    if recordings:
        names = ["audio" if field.name == recordings[0] else name for field, name in zip(schema, names, strict=True)]
    columns = columns_of_header(names, f"{file}:1")
    if columns is None:
        raise DataError(
            f"{file}:1: no columns for recording and text; found {quoted(', '.join(schema.names), 200)}; name them in "
            "order with --columns"
        )
    return columns


def _holds_recordings(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        return "bytes" in [kind.field(at).name for at in range(kind.num_fields)]
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _row(
    values: Sequence[Any], columns: Sequence[str], file: Path, number: int, folder: Path, names: set[str]
) -> TableRow:
    """One row; its recording is written to `folder` unless it exists."""
    cells = {kind: value for kind, value in zip(columns, values, strict=False) if kind}
    audio = cells.pop("id", None)
    content, name = (audio.get("bytes"), audio.get("path")) if isinstance(audio, dict) else (audio, None)
    if isinstance(content, str):
        content, name = None, content
    if content is not None:
        name = _free_name(str(name or ""), content, number, names)
        target = folder / name
        try:
            there = target.stat().st_size == len(content)
        except OSError:
            there = False
        if not there:
            write_to_cache(target, bytes(content))
    texts = {kind: "" if value is None else str(value) for kind, value in cells.items()}
    return TableRow(
        line=number,
        id=str(name or ""),
        text=texts.get("text", "").strip(),
        normalized=texts.get("normalized", "").strip(),
        speaker=texts.get("speaker", "").strip(),
        language=texts.get("language", "").strip(),
        place=f"{file}:{number}",
    )


def _free_name(path: str, content: bytes, number: int, names: set[str]) -> str:
    """A unique file name for a recording, with the suffix of its content."""
    given = PurePosixPath(path.replace("\\", "/")).name
    stem, suffix = os.path.splitext(given)  # noqa: PTH122
    suffix = next((own for magic, own in _MAGIC if content.startswith(magic)), suffix.lower() or ".wav")
    if not stem or has_control_character(stem) or len(stem.encode()) > 200:
        stem = f"row{number}"
    name = f"{stem}{suffix}"
    while name in names:
        stem = f"{stem}-{number}"
        name = f"{stem}{suffix}"
    names.add(name)
    return name


@dataclass(frozen=True)
class Part:
    """A part of a recording to be written to `target`: from `start` to `end`, in seconds."""

    target: Path
    start: float
    end: float


@dataclass(frozen=True)
class CutJob:
    """A recording and its parts."""

    path: Path
    parts: tuple[Part, ...]


def cut(jobs: Sequence[CutJob]) -> dict[Path, str]:
    """Writes the parts of recordings, in worker processes; returns what is wrong by target.

    Errors: StorageError if the cache cannot be written.
    """
    todo = [CutJob(job.path, parts) for job in jobs if (parts := tuple(p for p in job.parts if not p.target.exists()))]
    problems: dict[Path, str] = {}
    for at, result in run_isolated(cut_one, todo, CUT_WORKERS) if todo else ():
        if isinstance(result, Died):
            said = f"{escaped(str(todo[at].path))}: decoding it crashed or took too long; convert it again"
            result = {part.target: said for part in todo[at].parts}
        problems.update(result)
    return problems


def cut_one(job: CutJob) -> dict[Path, str]:
    """Writes the parts of one recording as FLAC; for worker processes."""
    problems: dict[Path, str] = {}
    with job_limits():
        try:
            with open_recording(job.path) as file:
                rate, frames = file.samplerate, file.frames
                for part in job.parts:
                    begin, end = round(part.start * rate), min(round(part.end * rate), frames)
                    if begin >= end:
                        problems[part.target] = f"{part.start:g} to {part.end:g} s, of {frames / rate:.2f} s"
                        continue
                    file.seek(begin)
                    samples = file.read(end - begin, dtype="float32", always_2d=True)
                    encoded = io.BytesIO()
                    soundfile.write(encoded, samples, rate, format="FLAC", subtype="PCM_16")
                    write_to_cache(part.target, encoded.getbuffer())
        except DataError as error:
            return {part.target: str(error) for part in job.parts}
        except soundfile.LibsndfileError as error:
            return {part.target: f"{escaped(str(job.path))}: {error.error_string}" for part in job.parts}
    return problems
