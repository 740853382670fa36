"""The run directory: where each file of a run is, and the lock that lets one process write there."""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from myxtts.errors import StorageError
from myxtts.storage.files import is_temporary, storage_error, strict_json, write_text_atomic

__all__ = ["LockOwner", "RunDirectory", "WriterLock", "write_text_atomic"]

_BEFORE_FIX = re.compile(r"before-fix-\d{8}-\d{6}(-\d+)?")
"""Folder that `fix_nan_loss.py` keeps what it changes in."""


@dataclass(frozen=True)
class LockOwner:
    """The process that wrote itself into the lock file."""

    pid: int
    host: str
    since: float
    """Seconds since 1970."""

    def __str__(self) -> str:
        moment = datetime.datetime.fromtimestamp(self.since).isoformat(sep=" ", timespec="seconds")
        return f"process {self.pid} on {self.host!r} since {moment}"


@dataclass
class WriterLock:
    """The right to write in a run directory; a proof for those functions that only a single writer may call."""

    path: Path
    owner: LockOwner
    taken_over: LockOwner | None
    """A process that had the lock and died without giving it back: its last save may be unfinished."""
    held: bool = field(default=True)


class RunDirectory:
    """Paths of everything that a run writes; nothing is made or read until it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @property
    def config_path(self) -> Path:
        """The complete settings, loadable."""
        return self.path / "config.yaml"

    @property
    def provenance_path(self) -> Path:
        """Where each setting came from."""
        return self.path / "provenance.json"

    @property
    def base_corpus_path(self) -> Path:
        """Corpus of the run whose weights this one began with; its scales hold here too."""
        return self.path / "base_corpus.json"

    @property
    def corpus_path(self) -> Path:
        """What the model remembers of its data."""
        return self.path / "corpus.json"

    @property
    def lock_path(self) -> Path:
        """Held by the one process that writes."""
        return self.path / "lock"

    @property
    def metrics_path(self) -> Path:
        """One line of figures for every update and every validation."""
        return self.path / "metrics.jsonl"

    @property
    def events_path(self) -> Path:
        """One line for everything that happened."""
        return self.path / "events.jsonl"

    @property
    def tensorboard_path(self) -> Path:
        """Folder of TensorBoard's files."""
        return self.path / "tensorboard"

    @property
    def checkpoints_path(self) -> Path:
        """Folder of the checkpoint store."""
        return self.path / "checkpoints"

    @property
    def samples_path(self) -> Path:
        """Folder of what was heard and seen at validations."""
        return self.path / "samples"

    @property
    def recovery_path(self) -> Path:
        """The state of the ladder, written at every rollback and quarantine."""
        return self.path / "recovery.json"

    @property
    def incidents_path(self) -> Path:
        """Folder of incident bundles, and of what a rollback cut off the metrics."""
        return self.path / "incidents"

    @property
    def stacks_path(self) -> Path:
        """What every thread was doing when something hung."""
        return self.path / "stacks.txt"

    @property
    def utterances_path(self) -> Path:
        """Ids of the training clips, one a line, in the order of the per-clip figures of a checkpoint."""
        return self.path / "utterances.txt"

    @property
    def report_path(self) -> Path:
        """The self-contained page."""
        return self.path / "report.html"

    @property
    def evaluations_path(self) -> Path:
        """Folder of the evaluations that were given no other."""
        return self.path / "evaluation"

    def entries(self) -> tuple[list[Path], list[Path]]:
        """What a run and its repairs write, and all else; without the lock. Raises OSError."""
        own = {
            self.config_path,
            self.provenance_path,
            self.base_corpus_path,
            self.corpus_path,
            self.metrics_path,
            self.events_path,
            self.tensorboard_path,
            self.checkpoints_path,
            self.samples_path,
            self.recovery_path,
            self.incidents_path,
            self.stacks_path,
            self.utterances_path,
            self.report_path,
            self.evaluations_path,
        }
        there = sorted(path for path in self.path.iterdir() if path != self.lock_path)
        written = [path for path in there if path in own or _BEFORE_FIX.fullmatch(path.name)]
        return written, [path for path in there if path not in written]

    def samples_of_update(self, update: int) -> Path:
        """Folder of the samples after `update` updates."""
        return self.samples_path / f"update-{update:07d}"

    @contextlib.contextmanager
    def lock(self) -> Iterator[WriterLock]:
        """Holds the right to write here, making the directory if need be.

        Raises StorageError if another process has it, naming that process. A lock that a dead process left is taken
        over, which `taken_over` tells.
        """
        descriptor = self._open_lock()
        try:
            taken_over = _read_owner(descriptor)
            owner = LockOwner(os.getpid(), socket.gethostname(), time.time())
            self._write_owner(descriptor, owner)
            self._remove_leftovers()
            lock = WriterLock(self.lock_path, owner, taken_over)
            try:
                yield lock
            finally:
                lock.held = False
                with contextlib.suppress(OSError):  # a full disk must not hide the error that ended the run
                    os.ftruncate(descriptor, 0)
        finally:
            _held.discard(descriptor)
            os.close(descriptor)

    def _open_lock(self) -> int:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise storage_error("locking the run directory", self.path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = _read_owner(descriptor)
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise storage_error("locking the run directory", self.path, error) from error
            raise StorageError(
                f"run directory {str(self.path)!r} is in use by {owner or 'another process'}: wait for it"
                f"{f', stop it (kill {owner.pid})' if owner else ''} or choose another --checkpoint-dir"
            ) from None
        _held.add(descriptor)
        return descriptor

    def _write_owner(self, descriptor: int, owner: LockOwner) -> None:
        content = json.dumps({"pid": owner.pid, "host": owner.host, "time": owner.since}).encode() + b"\n"
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, content, 0)
            os.fsync(descriptor)
        except OSError as error:
            raise storage_error("locking the run directory", self.path, error) from error

    def _remove_leftovers(self) -> None:
        """Removes the halves of small files and of incident bundles that a killed writer left."""
        incidents = self.incidents_path
        try:
            for path in self.path.iterdir():
                if is_temporary(path.name) and path.is_file() and not path.is_symlink():
                    path.unlink()
            for path in incidents.iterdir() if incidents.is_dir() and not incidents.is_symlink() else ():
                if is_temporary(path.name) and not path.is_symlink():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError as error:
            raise storage_error("removing what a killed run left", self.path, error) from error


def _read_owner(descriptor: int) -> LockOwner | None:
    """Who wrote itself into the lock file; None if nobody, or if its writing was cut short."""
    try:
        value = strict_json(os.pread(descriptor, 4096, 0))
    except (OSError, ValueError):
        return None
    if not isinstance(value, dict):
        return None
    pid, host, since = value.get("pid"), value.get("host"), value.get("time")
    if type(pid) is not int or not isinstance(host, str) or not isinstance(since, (int, float)):
        return None
    if not 0 <= since < 1e11:
        return None
    return LockOwner(pid, host, float(since))


# A worker process made by fork shares the lock and would hold it after its parent was killed, so it closes its copy.
_held: set[int] = set()


def _close_in_child() -> None:
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)
