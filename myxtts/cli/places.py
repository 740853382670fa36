"""Checks of the files and folders that a command reads and writes, before minutes of computing."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from myxtts.cli.arguments import Request
from myxtts.config.schema import Config
from myxtts.errors import ConfigError
from myxtts.messages import quoted

_KEY = "training.checkpoint_dir"


def text_of(option: str, path: Path | None, most_bytes: int, advice: str = "name a text file") -> str:
    """The text in a UTF-8 file that an option names, or on stdin if the path is None.

    Raises ConfigError, with `advice` where there is no such file.
    """
    name = f"{option} {quoted(path or '-', 200)}"
    try:
        if path is None:
            content = sys.stdin.buffer.read(most_bytes + 1)
        elif path.is_file():
            with path.open("rb") as file:
                content = file.read(most_bytes + 1)
        else:
            reason = "is not a regular file" if path.exists() else "does not exist"
            raise ConfigError(f"{name} {reason}; {advice}")
    except OSError as error:
        raise ConfigError(f"{name} cannot be read ({error.strerror}); check its permissions") from error
    if len(content) > most_bytes:
        raise ConfigError(f"{name} has over {most_bytes} bytes; split it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = content[: error.start].count(b"\n") + 1, content[error.start]
        raise ConfigError(f"{name}, line {line}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8") from None


def place_problems(
    option: str, path: Path, suffixes: Sequence[str], read: Sequence[tuple[str, Path]] = ()
) -> list[str]:
    """Why a file with one of `suffixes` cannot be written at `path`; at most one line.

    `read`: the files that the command reads, each with its option; they must not be overwritten.
    """
    name = quoted(str(path), 200)
    if path.suffix.lower() not in suffixes:
        return [f"{option} is {name}, expected a name that ends in {' or '.join(suffixes)}"]
    if path.is_dir():
        return [f"{option} is {name}, which is a folder; give a file name"]
    if not path.parent.is_dir():
        return [f"{option} is {name}, its folder does not exist; create it first"]
    if not os.access(path.parent, os.W_OK):
        return [f"{option} is {name}, its folder cannot be written to; choose another place"]
    for reader, other in read:
        if _is_same_file(path, other):
            return [f"{option} is {name}, which {reader} reads; name another file"]
    return []


def _is_same_file(path: Path, other: Path) -> bool:
    """Whether both paths exist and are the same file."""
    try:
        return path.samefile(other)
    except (OSError, ValueError):
        return False


def run_directory_problems(config: Config, request: Request) -> list[str]:
    """Why the run cannot be kept in `training.checkpoint_dir`; at most one line.

    Raises CheckpointError if existing checkpoints cannot be listed.
    """
    run = Path(config.training.checkpoint_dir).expanduser()
    try:
        return _file_at(run) or _data_in(run, config) or _run_in(run, request)
    except OSError:  # reported when the directory is opened
        return []


def _file_at(run: Path) -> list[str]:
    """A line if the path or one of its parents is a file."""
    nearest = next(place for place in (run, *run.parents, Path.cwd()) if place.exists())
    if nearest.is_dir():
        return []
    what = "is a file" if nearest == run else f"is inside the file {quoted(str(nearest), 200)}"
    return [f"{_KEY} is {quoted(str(run), 200)}, which {what}; name a folder"]


def _data_in(run: Path, config: Config) -> list[str]:
    """A line if the run directory is a data root."""
    from myxtts.data.roots import TRAIN_KEY, VALIDATION_KEY, roots_in

    place = Path(os.path.realpath(run))  # which also accepts a loop of links
    for key, value in ((TRAIN_KEY, config.data.train_path), (VALIDATION_KEY, config.data.val_path)):
        for root in roots_in(value):
            real = Path(os.path.realpath(root))
            if real == place and real.is_dir():
                return [
                    f"{_KEY} is {quoted(str(run), 200)}, which is the data of {key}; name another folder for the run"
                ]
    return []


def _run_in(run: Path, request: Request) -> list[str]:
    """A line if --init-from would start a run in a directory that has one."""
    from myxtts.storage.find_checkpoint import intact_steps
    from myxtts.storage.run_directory import RunDirectory

    if not request.init_from or request.fresh:
        return []
    updates = intact_steps(RunDirectory(run).checkpoints_path)
    if not updates:
        return []
    return [
        f"--init-from {quoted(request.init_from, 200)}: {quoted(str(run), 200)} holds a run already (update "
        f"{max(updates)}): resume it without --init-from, start over with --fresh, or choose another --checkpoint-dir"
    ]
