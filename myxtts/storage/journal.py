"""metrics.jsonl and events.jsonl: one JSON object per line, append-only, readable at any time.

A line that a kill or a full disk left incomplete ("torn") is skipped by every reader and removed by the next writer,
which first copies it to `incidents/`.

JSON has no NaN: such a figure is null, and the line lists its name under "nonfinite", so that a figure that was NaN
differs from one that was not measured.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from myxtts import faults
from myxtts.errors import StorageError
from myxtts.storage.files import free_path, fsync_directory, open_regular, storage_error, strict_json, temporary_name

Record = dict[str, Any]
COPIES = "incidents"
"""Folder beside a journal for the lines that were removed from it."""


class Journal:
    """Appends records to a file of JSON lines; use it in a `with` statement, or call `close`.

    path: the file; created if it is missing, in an existing directory.
    flush_lines, flush_seconds: buffered lines, which a kill can lose, and the age at which the next `write` flushes
        them. Call `flush(durable=True)` before saving a checkpoint, so that every update before it has its line.
    restored_update: for metrics, the update of the checkpoint that is resumed from; lines of later updates are moved
        away, since the run repeats those updates. None keeps all lines (events).
    check_owner: called before anything is written; if it raises, the lines stay buffered.
    `dropped_lines` lines were removed when it was opened; they are in the file `copy` (None if there were none).
    Raises StorageError if the disk fails; the lines stay buffered until the next `write` or `flush`.
    """

    def __init__(
        self,
        path: Path,
        *,
        flush_lines: int = 20,
        flush_seconds: float = 5.0,
        restored_update: int | None = None,
        check_owner: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = Path(path)
        self.restored_update = restored_update
        self.check_owner = check_owner
        self.flush_lines = flush_lines
        self.flush_seconds = flush_seconds
        self._waiting: list[bytes] = []
        self._last_flush = time.monotonic()
        try:
            copy = self.path.parent / COPIES / f"resume-{self.path.name}"
            self.dropped_lines, self.copy = _repair(self.path, restored_update, copy)
            self._open()
        except OSError as error:
            raise storage_error("opening the journal", self.path, error) from error

    def write(self, record: Mapping[str, object]) -> None:
        """Appends a record; values that are not finite become null and are named under "nonfinite"."""
        nonfinite: list[str] = []
        plain = {key: _plain(value, key, nonfinite) for key, value in record.items()}
        if nonfinite:
            plain["nonfinite"] = nonfinite
        self._waiting.append(json.dumps(plain, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n")
        self.check_owner()
        late = time.monotonic() - self._last_flush >= self.flush_seconds
        if late or len(self._waiting) >= self.flush_lines:
            self.flush()

    def flush(self, durable: bool = False) -> None:
        """Hands all lines to the operating system; `durable` also fsyncs. Raises StorageError."""
        self._last_flush = time.monotonic()
        self.check_owner()
        try:
            if self._file.closed:  # a cut_back failed
                self._open()
            if self._waiting:
                self._append(b"".join(self._waiting))
                self._waiting.clear()
            if durable:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise storage_error(f"writing {len(self._waiting)} lines", self.path, error) from error

    def cut_back(self, update: int, keep: Path) -> int:
        """Moves the lines of updates after `update` to the file `keep`, for a rollback to `update`.

        Returns how many. Raises StorageError; then no line was moved, and the journal can still be written to.
        """
        self.flush(durable=True)
        try:
            self._file.close()
            dropped, _ = _repair(self.path, update, keep)
            self._open()
        except OSError as error:
            raise storage_error("cutting the journal back", self.path, error) from error
        return dropped

    def close(self) -> None:
        """Flushes and closes. Raises StorageError."""
        try:
            self.flush()
        finally:
            self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
            return
        with contextlib.suppress(StorageError):  # report the error that ended the run
            self.close()

    def _open(self) -> None:
        self._file = open_regular(self.path, "ab")
        self._size = self._file.seek(0, os.SEEK_END)

    def _append(self, content: bytes) -> None:
        try:
            faults.point("journal.write")
            view = memoryview(content)
            while view:
                view = view[self._file.write(view) or 0 :]
        except OSError:
            with contextlib.suppress(OSError):  # the next writer removes a torn line that stays
                self._file.truncate(self._size)
            raise
        self._size += len(content)


class JournalReader:
    """Records of a journal, in order; each iteration reads the file again. `torn` counts skipped lines."""

    def __init__(self, path: Path, required: tuple[str, ...]) -> None:
        self.path = Path(path)
        self.torn = 0
        self._required = required

    def __iter__(self) -> Iterator[Record]:
        self.torn = 0
        try:
            file = open_regular(self.path, "rb")
        except FileNotFoundError:
            return
        except OSError as error:
            raise storage_error("reading the journal", self.path, error) from error
        with file:
            for line in file:
                record = _parse(line)
                if record is None or any(key not in record for key in self._required):
                    self.torn += 1
                else:
                    yield record


def read_metrics(path: Path) -> JournalReader:
    """Records of metrics.jsonl, each with at least "kind" and "update"; empty if there is no file. StorageError."""
    return JournalReader(path, ("kind", "update"))


def read_events(path: Path) -> JournalReader:
    """Records of events.jsonl, each with at least "event"; none if there is no file. Raises StorageError."""
    return JournalReader(path, ("event",))


def _parse(line: bytes) -> Record | None:
    try:
        value = strict_json(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _plain(value: object, name: str, nonfinite: list[str]) -> object:
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        nonfinite.append(name)
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{name}.{key}", nonfinite) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{name}[{index}]", nonfinite) for index, item in enumerate(value)]
    return value


def _repair(path: Path, restored_update: int | None, copy: Path) -> tuple[int, Path | None]:
    """Moves torn lines, and those after `restored_update`, to `copy` or the next free name like it.

    Returns how many, and the file they were moved to, which is on the disk before the journal is replaced.
    """
    temporary, aside = (path.parent / temporary_name(f"{kind}.{path.name}") for kind in ("", ".cut"))
    dropped, intact = 0, True
    try:
        with open_regular(path, "rb") as old, temporary.open("xb") as new, contextlib.ExitStack() as stack:
            # a hard link (cp -al) would share what is appended, so this run gets its own file
            intact = os.fstat(old.fileno()).st_nlink == 1
            cut: BinaryIO | None = None
            for line in old:
                record = _parse(line)
                if record is None or _is_later(record, restored_update):
                    cut = cut or stack.enter_context(aside.open("xb"))
                    cut.write(line.rstrip(b"\n") + b"\n")
                    dropped += 1
                    continue
                intact = intact and line.endswith(b"\n")
                new.write(line.rstrip(b"\n") + b"\n")
            for file in (new, cut) if cut else () if intact else (new,):
                file.flush()
                os.fsync(file.fileno())
        if dropped:
            copy.parent.mkdir(exist_ok=True)
            copy = free_path(copy.with_suffix(""), copy.suffix)
            aside.replace(copy)
            fsync_directory(copy.parent)
        if dropped or not intact:
            temporary.replace(path)
            fsync_directory(path.parent)
    except FileNotFoundError:
        return 0, None
    finally:
        temporary.unlink(missing_ok=True)
        aside.unlink(missing_ok=True)
    return dropped, copy if dropped else None


def _is_later(record: Record, restored_update: int | None) -> bool:
    update = record.get("update")
    return restored_update is not None and isinstance(update, int) and update > restored_update
