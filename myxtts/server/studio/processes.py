"""Commands as separate processes, which outlive the server; each has a record next to its log."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from myxtts.errors import DataError
from myxtts.storage.files import read_regular_file, storage_error, strict_json, write_text_atomic

_LARGEST_RECORD = 1 << 20
_TAIL_BYTES = 64 << 10
MOST_LINES = 200
_children: dict[int, subprocess.Popen[bytes]] = {}
"""Processes that this one has started, whose exit codes it can read."""


@dataclass(frozen=True)
class ProcessRecord:
    """A process: its purpose, its command, and how it is identified.

    Attributes:
        kind: such as "train"; with `key` it names the process.
        key: such as the name of a run.
        words: the command.
        pid: of the process.
        born: its start time according to the system, which distinguishes it from another process with the same id.
        started: seconds since 1970.
        stops: how often a stop was requested.
        exit_code: None while it runs, or if it ended while no server was running.
        note: free for the caller.
    """

    kind: str
    key: str
    words: tuple[str, ...]
    pid: int
    born: str
    started: float
    stops: int = 0
    exit_code: int | None = None
    note: str = ""


class Processes:
    """The processes whose records are in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()

    def start(self, kind: str, key: str, words: Sequence[str], note: str = "") -> ProcessRecord:
        """Starts a command in its own session. Raises DataError if it is already running, StorageError."""
        with self._lock:
            if self.running(kind, key):
                raise DataError(f"{kind} {key!r} is running already")
            path = self._path(kind, key)
            log = path.with_suffix(".log")
            try:
                log.parent.mkdir(parents=True, exist_ok=True)
                with log.open("wb") as output:
                    child = subprocess.Popen(
                        list(words),
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                        env={**os.environ, "PYTHONUNBUFFERED": "1"},
                    )
            except OSError as error:
                raise storage_error(f"starting {kind}", log, error) from error
            _children[child.pid] = child
            record = ProcessRecord(kind, key, tuple(words), child.pid, _born(child.pid), time.time(), note=note)
            self._write(record)
            return record

    def get(self, kind: str, key: str) -> ProcessRecord | None:
        """The newest process of this kind and key; None if there is none."""
        with self._lock:
            record = self._read(self._path(kind, key))
            child = None if record is None else _children.get(record.pid)
            if record is not None and record.exit_code is None and child is not None:
                code = child.poll()
                if code is not None:
                    del _children[record.pid]
                    record = replace(record, exit_code=code)
                    self._write(record)
            return record

    def running(self, kind: str, key: str) -> bool:
        """Whether it runs."""
        record = self.get(kind, key)
        return record is not None and record.exit_code is None and is_process(record.pid, record.born)

    def stop(self, kind: str, key: str) -> bool:
        """Sends it SIGINT, like Ctrl-C; a second one may end it immediately. False if it does not run."""
        with self._lock:
            record = self.get(kind, key)
            if record is None or not self.running(kind, key):
                return False
            self._write(replace(record, stops=record.stops + 1))
            os.kill(record.pid, signal.SIGINT)
            return True

    def log(self, kind: str, key: str, lines: int = MOST_LINES) -> list[str]:
        """The last lines of what it printed."""
        path = self._path(kind, key).with_suffix(".log")
        try:
            with path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
                content = file.read(_TAIL_BYTES)
        except OSError:
            return []
        return [line.rstrip() for line in content.decode("utf-8", "replace").split("\n") if line.strip()][-lines:]

    def keys(self, kind: str) -> list[str]:
        """The keys of all processes of a kind, the newest last."""
        records = [self._read(path) for path in self._folder.glob(f"{kind}-*.json")]
        return [record.key for record in sorted((r for r in records if r), key=lambda record: record.started)]

    def _path(self, kind: str, key: str) -> Path:
        return self._folder / f"{kind}-{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:20]}.json"

    def _write(self, record: ProcessRecord) -> None:
        write_text_atomic(self._path(record.kind, record.key), json.dumps(asdict(record), ensure_ascii=False))

    def _read(self, path: Path) -> ProcessRecord | None:
        try:
            value = strict_json(read_regular_file(path, _LARGEST_RECORD))
            if not isinstance(value, dict):
                return None
            return ProcessRecord(**{**value, "words": tuple(value["words"])})
        except (OSError, ValueError, KeyError, TypeError):
            return None


def is_process(pid: int, born: str) -> bool:
    """Whether the process with this start time is still running."""
    return bool(born) and _born(pid) == born


def _born(pid: int) -> str:
    """Start time of a process according to the system; "" if it has ended or is not on this machine."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        if sys.platform == "linux":
            return ""
    words = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    state, _, began = done.stdout.strip().partition(" ")
    return "" if not state or state.startswith("Z") else began.strip()
