"""Atomic writes of small files, safe reads of regular files, and JSON without NaN."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Literal

from myxtts import faults
from myxtts.errors import StorageError

_TEMPORARY = re.compile(r"tmp\.\d+-[0-9a-f]{8}(\..*)?")

_ADVICE = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space or raise the quota",
    errno.EROFS: "the file system is read-only: mount it writable or choose another directory",
    errno.EACCES: "give this user the right to write there or choose another directory",
    errno.EPERM: "give this user the right to write there or choose another directory",
    errno.ELOOP: "replace the link by a file, or remove it",
    errno.EINVAL: "move it away",
    errno.ENXIO: "move it away",
}
_OPEN_FLAGS = {"rb": os.O_RDONLY, "ab": os.O_WRONLY | os.O_APPEND | os.O_CREAT, "r+b": os.O_RDWR | os.O_CREAT}


def temporary_name(suffix: str = "") -> str:
    """A name `tmp.<id><suffix>` that no other process chooses; the next writer removes what is left under it."""
    return f"tmp.{os.getpid()}-{secrets.token_hex(4)}{suffix}"


def is_temporary(name: str) -> bool:
    """Whether `temporary_name` made `name`; strict, since what has such a name gets deleted."""
    return _TEMPORARY.fullmatch(name) is not None


def is_own_temporary(name: str) -> bool:
    """Whether `temporary_name` made `name` in this process, which no longer uses it."""
    return is_temporary(name) and name.startswith(f"tmp.{os.getpid()}-")


def free_path(path: Path, suffix: str = "") -> Path:
    """PATH + `suffix`, or the first of PATH-2 + `suffix`, PATH-3 + `suffix`, ... that is free."""
    found, number = path.with_name(path.name + suffix), 1
    while found.exists() or found.is_symlink():
        number += 1
        found = path.with_name(f"{path.name}-{number}{suffix}")
    return found


def storage_error(doing: str, path: Path, error: OSError) -> StorageError:
    """The one-line error for an OSError: what was being done, the path, the reason, what to do."""
    advice = _ADVICE.get(error.errno or 0, "check the disk")
    name = errno.errorcode.get(error.errno or 0, "OSError")
    return StorageError(f"{doing} failed at {str(path)!r}: {error.strerror or error} [{name}]; {advice}")


def fsync_directory(directory: Path) -> None:
    """Makes the names in `directory` durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_regular(path: Path, mode: Literal["rb", "ab", "r+b"]) -> BinaryIO:
    """Opens a regular file of a run; "ab" and "r+b", unbuffered, create it if it is missing. Raises OSError.

    Links are not followed, since they may lead out of the run. A FIFO or a device is rejected before it can block the
    program or supply data without end.
    """
    try:
        descriptor = os.open(path, _OPEN_FLAGS[mode] | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink():
            raise OSError(
                errno.ELOOP, f"it is a link to {str(path.readlink())[:200]!r}, which is not followed"
            ) from error
        if error.errno == errno.ENXIO:  # a FIFO without a reader, or a socket
            raise OSError(errno.ENXIO, "it is not a regular file") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return os.fdopen(descriptor, mode, buffering=-1 if mode == "rb" else 0)


def read_regular_file(path: Path, limit: int | None = None) -> bytearray:
    """The bytes of a regular file; at most `limit` bytes are allocated.

    Raises OSError as `open_regular`, or ValueError for a file that is too large or shrinks while it is read.
    """
    with open_regular(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if limit is not None and size > limit:
            raise ValueError(f"it has {size} bytes, over the limit of {limit}")
        try:
            content = bytearray(size)
        except MemoryError:
            raise ValueError(f"its {size} bytes do not fit into memory") from None
        view = memoryview(content)
        filled = 0
        while filled < size:
            count = file.readinto(view[filled:])  # type: ignore[attr-defined]  # unbuffered: it has readinto
            if not count:
                raise ValueError("it shrank while it was being read")
            filled += count
    return content


def write_bytes_atomic(path: Path, content: bytes, doing: str = "writing") -> None:
    """Replaces the file at `path` by `content`; after a crash it is the old or the new one. Raises StorageError."""

    def write(temporary: Path) -> None:
        with temporary.open("xb") as file:
            file.write(content)
            faults.point("file.in_atomic_write")
            file.flush()
            os.fsync(file.fileno())

    write_atomic(path, write, doing)


def write_atomic(path: Path, write: Callable[[Path], object], doing: str, *, durable: bool = True) -> None:
    """Replaces the file at `path` by the file that `write` creates at the path it is given. Raises StorageError.

    durable: fsync the folder; not needed for files that are verified when read and can be recreated, such as a cache.
    """
    temporary = path.parent / temporary_name(f".{path.name[:40]}")  # file names end at 255 bytes
    try:
        try:
            write(temporary)
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):  # report the first error; a leftover is harmless
                temporary.unlink(missing_ok=True)
            raise
        if durable:
            fsync_directory(path.parent)
    except OSError as error:
        raise storage_error(doing, path, error) from error


def write_text_atomic(path: Path, text: str) -> None:
    """Replaces the file at `path` by `text` in UTF-8; after a crash it is the old or the new one. StorageError."""
    write_bytes_atomic(path, text.encode("utf-8"))


def strict_json(content: bytes | bytearray) -> object:
    """The value in the JSON `content`. Raises ValueError, also for NaN, infinity, duplicate keys and deep nesting."""
    try:
        return json.loads(
            content, parse_constant=_reject_constant, parse_float=_finite_float, object_pairs_hook=_unique_keys
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def canonical_json(value: object) -> bytes:
    """The canonical JSON of `value`: sorted keys, ASCII, one line. Raises ValueError for NaN and infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _reject_constant(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")


def _finite_float(text: str) -> float:
    value = float(text)
    if value - value != 0.0:
        raise ValueError(f"{text[:40]} is too large for a number")
    return value


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key in an object")
    return result
