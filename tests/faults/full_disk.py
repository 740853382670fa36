"""A disk that is full from any given write on: everything that needs space below a folder fails with ENOSPC.

Python's own files make their system calls in C; `_pyio`, their counterpart in Python, calls `os.write`, so that each
single write can be counted and fail, also half done.

`python -m tests.faults.full_disk` fills it at each write of a real training in turn, and compares the resumed runs with
an uninterrupted one (test_every_write.py does that with a training without TensorFlow, and at some writes).
"""

from __future__ import annotations

import _pyio
import builtins
import errno
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from myxtts.errors import StorageError

NEEDS_SPACE = ("open", "write", "pwrite", "fsync", "mkdir", "rename", "replace")


class FullDisk:
    """Counts the operations below `folder` that need space; from number `first` on (0: never) they fail.

    once: only that one fails, as on a disk that somebody else fills and empties. The failing write takes half of its
    bytes first.
    """

    def __init__(self, folder: Path, first: int, *, once: bool) -> None:
        self.folder, self.first, self.once = folder, first, once
        self.count = 0

    def refuses(self, place: Any) -> bool:
        """Count an operation on a path or a file descriptor."""
        try:
            path = Path(f"/proc/self/fd/{place}").readlink() if isinstance(place, int) else Path(os.fspath(place))
        except (OSError, TypeError):
            return False
        if not path.is_relative_to(self.folder):
            return False
        self.count += 1
        return bool(self.first) and (self.count == self.first if self.once else self.count >= self.first)

    def wrapped(self, name: str) -> Callable[..., Any]:
        """The function of `os` on this disk."""
        real: Callable[..., Any] = getattr(os, name)

        def call(place: Any, *more: Any, **named: Any) -> Any:
            creates = name != "open" or (more and more[0] & os.O_CREAT and not os.path.lexists(place))
            if creates and self.refuses(place):
                if name in ("write", "pwrite") and self.count == self.first and len(more[0]) > 1:
                    self.first += self.once
                    return real(place, memoryview(more[0])[: len(more[0]) // 2], *more[1:])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(place, *more, **named)

        return call


@contextmanager
def full_from(folder: Path, first: int = 0, *, once: bool = False) -> Iterator[FullDisk]:
    """A context in which the disk of `folder` is full from operation number `first` on."""
    disk = FullDisk(folder, first, once=once)
    with pytest.MonkeyPatch.context() as patch:
        for name in NEEDS_SPACE:
            patch.setattr(os, name, disk.wrapped(name))
        for module in (io, builtins):
            patch.setattr(module, "open", _pyio.open)
        yield disk


def training_on_full_disk(folder: Path, run: str, first: int, *, once: bool) -> tuple[int, str]:
    """A real training of folder/run whose disk is full from operation `first` on, and its resume.

    Returns:
        The number of operations up to the end of the first process, and in what the resumed run differs from
        folder/unbroken; empty if in nothing.
    """
    from tests.training import made_run

    settings = {"training__max_updates": 3, "training__checkpoint_every_updates": 1}
    if not (folder / "unbroken").exists():
        made_run.train(folder, "unbroken", **settings)
    problem = ""
    with full_from(folder / run, first, once=once) as disk:
        try:
            made_run.train(folder, run, **settings)
        except StorageError as error:
            if "[ENOSPC]" not in str(error) or "\n" in str(error):
                problem = f"the message {str(error)!r}"
    made_run.train(folder, run, **settings)
    if made_run.losses(folder / run) != made_run.losses(folder / "unbroken"):
        problem = "the losses"
    elif made_run.hashes(folder / run) != made_run.hashes(folder / "unbroken"):
        problem = "the tensors"
    return disk.count, problem


def main() -> int:
    """Fill the disk at each operation; 0 if every resumed run was equal."""
    from tests.training.made_run import KeptTrainers, make_root

    with tempfile.TemporaryDirectory(prefix="myxtts-full-disk-") as temporary, KeptTrainers().in_use():
        folder, number, problems = Path(temporary), 0, 0
        make_root(folder / "root")
        while True:
            number += 1
            count, problem = training_on_full_disk(folder, f"run-{number}", number, once=number % 2 == 0)
            if count < number:
                break
            problems += bool(problem)
            print(f"full {'at' if number % 2 == 0 else 'from'} operation {number}: {problem or 'equal'}", flush=True)
    print(f"{number - 1} operations, {problems} resumed runs differ from the uninterrupted one")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
