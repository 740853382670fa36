"""Places to write to, looked at before minutes of computing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from myxtts.messages import quoted


def place_problems(
    option: str, path: Path, suffixes: Sequence[str], read: Sequence[tuple[str, Path]] = ()
) -> list[str]:
    """What is in the way of writing a file with one of some suffixes; at most one line.

    `read`: the files that the command reads, each with its option; none of them may be written over.
    """
    name = quoted(str(path), 200)
    if path.suffix.lower() not in suffixes:
        return [f"{option} is {name}, expected a name that ends in {' or '.join(suffixes)}"]
    if path.is_dir():
        return [f"{option} is {name}, which is a folder; name a file"]
    if not path.parent.is_dir():
        return [f"{option} is {name}, its folder does not exist; make it first"]
    if not os.access(path.parent, os.W_OK):
        return [f"{option} is {name}, its folder cannot be written to; choose another place"]
    for reader, other in read:
        if _is_same_file(path, other):
            return [f"{option} is {name}, which {reader} reads; name another file"]
    return []


def _is_same_file(path: Path, other: Path) -> bool:
    """Whether both are one file that is there, by whatever names."""
    try:
        return path.samefile(other)
    except (OSError, ValueError):
        return False
