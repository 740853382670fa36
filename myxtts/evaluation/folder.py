"""The folder of an evaluation: made beside its place, moved there when all is done."""

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
    """Why an evaluation cannot be written to a folder, to end a sentence with; None where it can."""
    nearest = next(place for place in [out, *out.absolute().parents] if place.exists())
    if not nearest.is_dir():
        return "is a file; name a folder" if nearest == out else "lies in a file; choose another place"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return "cannot be written to; choose another place"
    if nearest == out and not (out / NAME).is_file() and not _is_half_moved(out):
        return f"holds other files and no {NAME}; name a new folder"
    return None


def _is_half_moved(out: Path) -> bool:
    """Whether a folder without a document holds nothing but what an evaluation puts there before it, or nothing."""
    sounds = out / AUDIO_FOLDER
    own = {path.name for path in out.iterdir()} <= {AUDIO_FOLDER, PAGE_NAME}
    return own and (not sounds.is_dir() or all(_SOUND_NAME.fullmatch(path.name) for path in sounds.iterdir()))


@contextlib.contextmanager
def work_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that is there until the evaluation is done or fails. Raises StorageError."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent)
    except OSError as error:
        raise storage_error("making a folder for the evaluation", out.parent, error) from error
    with folder as path:
        (Path(path) / AUDIO_FOLDER).mkdir()
        yield Path(path)


def put_in_place(made: Path, out: Path) -> None:
    """Moves what was made to its place. Of an older evaluation there its own files go; other files stay. StorageError.

    The document goes last: a folder that has one has all that belongs to it.
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
