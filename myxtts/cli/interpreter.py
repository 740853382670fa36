"""The Python and the program that a printed command names: as a person would type them in the current directory."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]


def python_command() -> str:
    """`python3`, or the path of this Python where `python3` is another one than the virtual environment's.

    The path is relative where it lies below the current directory. Not quoted for the shell.
    """
    if sys.prefix == sys.base_prefix or not sys.executable or _leads_into(shutil.which("python3"), Path(sys.prefix)):
        return "python3"
    # The link in the environment is what makes it the environment's Python: its folder is resolved, it is not.
    executable = Path(sys.executable)
    folder, here = executable.parent.resolve(), Path.cwd().resolve()
    return str((folder / executable.name).relative_to(here)) if folder.is_relative_to(here) else str(executable)


def program_path(program: str) -> str:
    """A program of the repository, such as `train_main.py`, by the path that works in the current directory.

    `program` as it is for what is no file there, such as "-m myxtts train". Not quoted for the shell.
    """
    place, here = _REPOSITORY / program, Path.cwd().resolve()
    if not place.is_file():
        return program
    return str(place.relative_to(here)) if place.is_relative_to(here) else str(place)


def _leads_into(program: str | None, prefix: Path) -> bool:
    return program is not None and Path(program).parent.resolve().is_relative_to(prefix.resolve())
