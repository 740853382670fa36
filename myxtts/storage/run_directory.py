"""The run directory: the paths of its files, and the lock that allows one process to write there."""

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
from myxtts.storage.files import free_path, is_temporary, open_regular, storage_error, strict_json

_BEFORE_FIX = re.compile(r"before-fix-\d{8}-\d{6}(-\d+)?")
"""Backup folder of `fix_nan_loss.py`."""


@dataclass(frozen=True)
class LockOwner:
    """The process named in the lock file."""

    pid: int
    host: str
    since: float
    """Seconds since 1970."""

    def __str__(self) -> str:
        moment = datetime.datetime.fromtimestamp(self.since).isoformat(sep=" ", timespec="seconds")
        return f"process {self.pid} on {self.host!r} since {moment}"


class NotOwnerError(StorageError):
    """This process does not (or no longer) own the run directory and must not write there."""


@dataclass
class WriterLock:
    """The right to write in a run directory; functions that need exclusive access take it as an argument."""

    path: Path
    owner: LockOwner
    taken_over: LockOwner | None
    """A process that died with the lock, so its last save may be unfinished."""
    descriptor: int
    folder: tuple[int, int]
    """Device and inode of the run directory."""
    held: bool = field(default=True)

    def check(self) -> None:
        """Raises NotOwnerError, with the cause, unless the lock file is still the one that is held.

        A lock belongs to a file, not to a path: if the directory was moved, deleted or restored, or its lock file was
        removed, another process can own what is at that path now.
        """
        if _identity(self.path) == _identity(self.descriptor):
            return
        run = str(self.path.parent)
        if (moved := self.moved_to()) is not None:
            what = f"was moved to {str(moved)!r}"
        elif _identity(self.path.parent) is None:
            what = "was deleted"
        elif self.only_lock_deleted():
            what = f"lost its file {self.path.name!r}, which was deleted"
        else:
            what = f"was replaced, or its file {self.path.name!r} was (another process may own it now),"
        raise NotOwnerError(
            f"run directory {run!r} {what} while process {self.owner.pid} was writing there: this process stops "
            "writing; move or delete a run only after its training has ended"
        )

    def moved_to(self) -> Path | None:
        """The current path of the run directory if it was moved; None if it was not, or no longer exists."""
        try:
            if hasattr(fcntl, "F_GETPATH"):  # macOS
                name = os.fsdecode(fcntl.fcntl(self.descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
            else:
                name = str(Path(f"/proc/self/fd/{self.descriptor}").readlink())
        except OSError:
            return None
        place = Path(name)
        same = _identity(place) == _identity(self.descriptor)
        return place.parent if same and place.name == self.path.name else None

    def only_lock_deleted(self) -> bool:
        """Whether the directory is the one that was locked and has no lock file any more."""
        return _identity(self.path) is None and _identity(self.path.parent) == self.folder


class RunDirectory:
    """The paths of everything that a run writes; nothing is created or read."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @property
    def config_path(self) -> Path:
        """The complete settings, loadable."""
        return self.path / "config.yaml"

    @property
    def provenance_path(self) -> Path:
        """The origin of each setting."""
        return self.path / "provenance.json"

    @property
    def base_corpus_path(self) -> Path:
        """Corpus of the run that the initial weights come from; its scales apply here too."""
        return self.path / "base_corpus.json"

    @property
    def corpus_path(self) -> Path:
        """What synthesis needs to know about the training data: speakers, languages, symbols, scales."""
        return self.path / "corpus.json"

    @property
    def lock_path(self) -> Path:
        """Held by the one process that writes."""
        return self.path / "lock"

    @property
    def metrics_path(self) -> Path:
        """One line of metrics per update and per validation."""
        return self.path / "metrics.jsonl"

    @property
    def events_path(self) -> Path:
        """One line per event, such as a checkpoint, a skipped update or a rollback."""
        return self.path / "events.jsonl"

    @property
    def tensorboard_path(self) -> Path:
        """Folder of the TensorBoard logs."""
        return self.path / "tensorboard"

    @property
    def checkpoints_path(self) -> Path:
        """Folder of the checkpoint store."""
        return self.path / "checkpoints"

    @property
    def samples_path(self) -> Path:
        """Folder of the audio and pictures of validations."""
        return self.path / "samples"

    @property
    def recovery_path(self) -> Path:
        """State of the recovery ladder, written at every rollback and quarantine."""
        return self.path / "recovery.json"

    @property
    def incidents_path(self) -> Path:
        """Folder of incident bundles, and of the metrics that rollbacks removed."""
        return self.path / "incidents"

    @property
    def stacks_path(self) -> Path:
        """Stack of every thread when something hung."""
        return self.path / "stacks.txt"

    @property
    def utterances_path(self) -> Path:
        """Ids of the training clips, one per line, in the order of a checkpoint's per-clip arrays."""
        return self.path / "utterances.txt"

    @property
    def clips_path(self) -> Path:
        """All clips with their contents, speakers and texts, by which a resumed run knows them."""
        return self.path / "clips.jsonl"

    @property
    def report_path(self) -> Path:
        """The self-contained HTML report."""
        return self.path / "report.html"

    @property
    def evaluations_path(self) -> Path:
        """Default folder of evaluations."""
        return self.path / "evaluation"

    def entries(self) -> tuple[list[Path], list[Path]]:
        """(Entries that runs and repairs write, all other entries), without the lock. Raises OSError."""
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
            self.clips_path,
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
        """Locks the directory for writing and creates it if necessary.

        Raises NotOwnerError, naming the process, if another one holds the lock. A lock that a dead process left is
        taken over (see `WriterLock.taken_over`).
        """
        descriptor = self._open_lock()
        try:
            taken_over = _read_owner(descriptor)
            owner = LockOwner(os.getpid(), socket.gethostname(), time.time())
            self._write_owner(descriptor, owner)
            self._remove_leftovers()
            lock = WriterLock(self.lock_path, owner, taken_over, descriptor, _identity(self.path) or (0, 0))
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
            with open_regular(self.lock_path, "r+b") as file:
                descriptor = fcntl.fcntl(file.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)
        except OSError as error:
            raise storage_error("locking the run directory", self.path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = _read_owner(descriptor)
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise storage_error("locking the run directory", self.path, error) from error
            raise NotOwnerError(
                f"run directory {str(self.path)!r} is in use by {owner or 'another process'}: wait for it"
                f"{f', stop it (kill {owner.pid})' if owner else ''} or choose another --checkpoint-dir"
            ) from None
        if _identity(self.lock_path) != _identity(descriptor):  # deleted or replaced since it was opened
            os.close(descriptor)
            raise NotOwnerError(
                f"run directory {str(self.path)!r}: its file {self.lock_path.name!r} was replaced while it was being "
                "locked, so another process is starting there; try again, or choose another --checkpoint-dir"
            )
        _held.add(descriptor)
        return descriptor

    def beside(self, mark: str) -> RunDirectory:
        """A new path beside this directory, made of its name, `mark` and the time."""
        place = self.path.resolve()  # "." has no name of its own
        return RunDirectory(free_path(place.with_name(f"{place.name}.{mark}-{time.strftime('%Y%m%d-%H%M%S')}")))

    def _write_owner(self, descriptor: int, owner: LockOwner) -> None:
        content = json.dumps({"pid": owner.pid, "host": owner.host, "time": owner.since}).encode() + b"\n"
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, content, 0)
            os.fsync(descriptor)
        except OSError as error:
            raise storage_error("locking the run directory", self.path, error) from error

    def _remove_leftovers(self) -> None:
        """Removes incomplete small files and incident bundles that a killed writer left."""
        incidents = self.incidents_path
        try:
            for path in self.path.iterdir():
                if is_temporary(path.name) and path.is_file() and not path.is_symlink():
                    path.unlink()
            for path in incidents.iterdir() if incidents.is_dir() and not incidents.is_symlink() else ():
                if is_temporary(path.name) and not path.is_symlink():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError as error:
            raise storage_error("removing what an interrupted run left", self.path, error) from error


def _identity(place: Path | int) -> tuple[int, int] | None:
    """Device and inode of a path (links are not followed) or of an open file; None if it does not exist.

    Raises StorageError if it cannot be determined.
    """
    try:
        status = os.fstat(place) if isinstance(place, int) else place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise storage_error("looking at the lock", Path(str(place)), error) from error
    return status.st_dev, status.st_ino


def _read_owner(descriptor: int) -> LockOwner | None:
    """The process named in the lock file; None if there is none, or if its entry is incomplete."""
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


# A forked worker shares the lock and would keep it after its parent is killed, so it closes its copy.
_held: set[int] = set()


def _close_in_child() -> None:
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)
