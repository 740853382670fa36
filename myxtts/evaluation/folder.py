"""The folder of an evaluation: created next to its destination and moved there when it is complete."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from myxtts.storage.files import storage_error

NAME = "evaluation.json"
PAGE_NAME = "index.html"
AUDIO_FOLDER = "audio"
_SOUND_NAME = re.compile(r"\d{3,}-[a-z]+\.wav")


def place_problem(out: Path) -> str | None:
    """Why an evaluation cannot be written to a folder, as the end of a sentence; None where it can."""
    nearest = next(place for place in [out, *out.absolute().parents] if place.exists())
    if not nearest.is_dir():
        return "is a file; name a folder" if nearest == out else "is inside a file; choose another folder"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return "cannot be written to; choose another folder"
    if nearest == out and not (out / NAME).is_file() and not _is_partly_moved(out):
        return f"contains other files and no {NAME}; name a new folder"
    return None


def _is_partly_moved(out: Path) -> bool:
    """Whether a folder without a document is empty or contains only what is moved there before the document."""
    sounds = out / AUDIO_FOLDER
    own = {path.name for path in out.iterdir()} <= {AUDIO_FOLDER, PAGE_NAME}
    return own and (not sounds.is_dir() or all(_SOUND_NAME.fullmatch(path.name) for path in sounds.iterdir()))


@contextlib.contextmanager
def work_folder(out: Path) -> Iterator[Path]:
    """A temporary folder next to `out`, removed at the end of the block. Raises StorageError."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent)
    except OSError as error:
        raise storage_error("creating a folder for the evaluation", out.parent, error) from error
    with folder as path:
        (Path(path) / AUDIO_FOLDER).mkdir()
        yield Path(path)


def move_into_place(made: Path, out: Path) -> None:
    """Moves a finished evaluation to its destination, replacing the files of an older one. Raises StorageError.

    Other files there stay. The document is moved last: a folder with a document is complete.
    """
    try:
        sounds = out / AUDIO_FOLDER
        sounds.mkdir(parents=True, exist_ok=True)
        (out / NAME).unlink(missing_ok=True)
        for path in sounds.iterdir():
            if _SOUND_NAME.fullmatch(path.name):
                path.unlink()
        for path in sorted((made / AUDIO_FOLDER).iterdir()):
            shutil.move(path, sounds / path.name)
        for name in (PAGE_NAME, NAME):
            (made / name).replace(out / name)
    except OSError as error:
        raise storage_error("writing the evaluation", out, error) from error
