"""The folder that an export is written to: it appears complete, or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from myxtts.messages import quoted
from myxtts.storage.files import fsync_directory, storage_error, temporary_name


def folder_problem(out: Path) -> str | None:
    """Why a folder cannot be created, as one line; None where it can. An empty one is replaced."""
    name = f"--out is {quoted(str(out), 200)}"
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        return f"{name}, which is a file or a link; name a new folder"
    if out.is_dir() and any(out.iterdir()):
        return f"{name}, which contains files; name a new folder, or remove it first"
    parent = out.absolute().parent
    if not parent.is_dir():
        return f"{name}, its parent folder does not exist; create it first"
    if not os.access(parent, os.W_OK | os.X_OK):
        return f"{name}, its parent folder cannot be written to; choose another place"
    return None


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A temporary folder next to `out`, which becomes `out` at the end of the block, and is removed after an error.

    Raises StorageError where it cannot be created or moved.
    """
    out = out.absolute()
    made = out.parent / temporary_name(f".{out.name[:40]}")
    try:
        made.mkdir()
    except OSError as error:
        raise storage_error("creating the folder of the export", out.parent, error) from error
    try:
        yield made
        try:
            made.replace(out)
            fsync_directory(out.parent)
        except OSError as error:
            raise storage_error("moving the export into place", out, error) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
