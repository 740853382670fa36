"""Small files that are either the old or the new one, never half of both, and JSON without NaN."""

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
    errno.ELOOP: "put a file in the place of the link, or move the link away",
    errno.EINVAL: "move it away",
    errno.ENXIO: "move it away",
}
_OPEN_FLAGS = {"rb": os.O_RDONLY, "ab": os.O_WRONLY | os.O_APPEND | os.O_CREAT, "r+b": os.O_RDWR | os.O_CREAT}


def temporary_name(suffix: str = "") -> str:
    """A name `tmp.<id><suffix>` that no other process chooses; what is left under it the next writer removes."""
    return f"tmp.{os.getpid()}-{secrets.token_hex(4)}{suffix}"


def is_temporary(name: str) -> bool:
    """Whether `name` is one that `temporary_name` gave: strict, since what has such a name gets deleted."""
    return _TEMPORARY.fullmatch(name) is not None


def is_own_temporary(name: str) -> bool:
    """Whether `name` is one that `temporary_name` gave in this process, which is known to use it no more."""
    return is_temporary(name) and name.startswith(f"tmp.{os.getpid()}-")


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
    """Opens a regular file of a run; "ab" and "r+b", unbuffered, make it where it is missing. Raises OSError.

    A link is not followed: it may lead out of the run, into a file of somebody else. A FIFO or a device is refused
    before it can block the program or never end.
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
    """Bytes of a regular file; no more than `limit` is allocated.

    Raises OSError as `open_regular`, or ValueError for a file that is too large or becomes shorter while it is read.
    """
    with open_regular(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if limit is not None and size > limit:
            raise ValueError(f"{size} bytes are more than the {limit} it may have")
        try:
            content = bytearray(size)
        except MemoryError:
            raise ValueError(f"its {size} bytes do not fit into the memory") from None
        view = memoryview(content)
        filled = 0
        while filled < size:
            count = file.readinto(view[filled:])  # type: ignore[attr-defined]  # unbuffered: it has readinto
            if not count:
                raise ValueError("it became shorter while it was read")
            filled += count
    return content


def write_bytes_atomic(path: Path, content: bytes, doing: str = "writing") -> None:
    """Replaces the file at `path` by `content`: after a crash it is the old or the new one. Raises StorageError."""

    def write(temporary: Path) -> None:
        with temporary.open("xb") as file:
            file.write(content)
            faults.point("file.in_atomic_write")
            file.flush()
            os.fsync(file.fileno())

    write_atomic(path, write, doing)


def write_atomic(path: Path, write: Callable[[Path], object], doing: str, *, durable: bool = True) -> None:
    """Replaces the file at `path` by what `write` makes, on the disk, at the path that it is given. StorageError.

    Not `durable`: for what can be made again, and proves itself; a crash of the machine may lose it.
    """
    temporary = path.parent / temporary_name(f".{path.name[:40]}")  # a name of 255 bytes may have no longer one
    try:
        try:
            write(temporary)
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):  # the first error is the one to tell; a leftover harms nothing
                temporary.unlink(missing_ok=True)
            raise
        if durable:
            fsync_directory(path.parent)
    except OSError as error:
        raise storage_error(doing, path, error) from error


def write_text_atomic(path: Path, text: str) -> None:
    """Replaces the file at `path` by `text` in UTF-8: after a crash it is the old or the new one. StorageError."""
    write_bytes_atomic(path, text.encode("utf-8"))


def strict_json(content: bytes | bytearray) -> object:
    """The value in the JSON `content`. Raises ValueError, also for NaN, infinity, doubled keys and absurd nesting."""
    try:
        return json.loads(
            content, parse_constant=_refuse_constant, parse_float=_finite_float, object_pairs_hook=_without_doubles
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def canonical_json(value: object) -> bytes:
    """The one spelling of `value`: sorted keys, ASCII, one line. Raises ValueError for NaN and infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _finite_float(text: str) -> float:
    value = float(text)
    if value - value != 0.0:
        raise ValueError(f"{text[:40]} is too large for a number")
    return value


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return result
