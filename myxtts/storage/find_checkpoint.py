"""Finds the checkpoint to load: looks at the step folders, newest first, and verifies each one before using it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from myxtts.errors import CheckpointError
from myxtts.storage import STARTER
from myxtts.storage.checkpoint import (
    MANIFEST,
    Checkpoint,
    CheckpointManifest,
    Damage,
    DamagedError,
    check_sizes,
    read_checkpoint,
    read_manifest,
    step_name,
    update_of_name,
)

STARTER_PATH = Path(__file__).resolve().parents[1] / STARTER
_MOST_LISTED = 5


def steps_in(directory: Path) -> list[int]:
    """Updates of all step folders, newest first, damaged ones included. Raises CheckpointError."""
    try:
        names = [path.name for path in directory.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CheckpointError(f"{str(directory)!r} cannot be listed: {error.strerror}") from error
    return sorted((update for name in names if (update := update_of_name(name)) is not None), reverse=True)


def intact_steps(directory: Path) -> dict[int, CheckpointManifest]:
    """Update -> manifest of the folders whose file names and sizes are right; contents are not read."""
    steps = {}
    for update in steps_in(directory):
        with contextlib.suppress(CheckpointError):
            steps[update] = check_sizes(directory / step_name(update))
    return steps


def newest_in(directory: Path) -> tuple[Checkpoint | None, list[Damage]]:
    """The newest valid checkpoint, or None if there is no step folder; and the damaged ones passed over.

    Raises CheckpointError if there are step folders and none is valid, or if the newest has a later format.
    """
    checkpoint, damaged = _first_valid(directory, steps_in(directory), [])
    if checkpoint is None and damaged:
        raise CheckpointError(
            f"no checkpoint in {str(directory)!r} can be used: {_listed(damaged)}; restore one from a backup, "
            "or start over with --fresh"
        )
    return checkpoint, damaged


def best_in(directory: Path) -> tuple[Checkpoint | None, list[Damage]]:
    """The newest valid checkpoint that was saved as the best, or None; and the damaged ones. Raises CheckpointError."""
    marked = []
    damaged = []
    for update in steps_in(directory):
        try:
            if read_manifest(directory / step_name(update)).best:
                marked.append(update)
        except DamagedError as error:
            damaged.append(error.damage)
    return _first_valid(directory, marked, damaged)


def find(path: Path, prefer: Literal["best", "last"] = "best") -> Checkpoint:
    """The checkpoint at `path`: a run directory, its folder of checkpoints, a step folder, or STARTER by its name.

    prefer: which one of several, the best (the newest if none is marked best) or the last. Raises CheckpointError.
    """
    path = located(path)
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise CheckpointError(f"checkpoint {str(path)!r} {what}: give a run directory or a step-... folder")
    if (path / MANIFEST).exists() or update_of_name(path.name) is not None:
        return read_checkpoint(path)
    directory = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    best, passed_over = best_in(directory) if prefer == "best" else (None, [])
    if best is not None:
        return best
    newest, damaged = newest_in(directory)
    if newest is None:
        raise CheckpointError(
            f"there is no checkpoint in {str(path)!r}: give a run directory, its checkpoints folder "
            "or a step-... folder"
        )
    return _with_passed_over(newest, [*passed_over, *damaged])


def located(path: Path | str) -> Path:
    """The path itself, or the folder of the model that comes with MyXTTS for its name, unless such a folder exists."""
    path = Path(path)
    return STARTER_PATH if path == Path(STARTER) and not path.exists() else path


def _first_valid(
    directory: Path, updates: Iterable[int], damaged: list[Damage]
) -> tuple[Checkpoint | None, list[Damage]]:
    for update in updates:
        try:
            checkpoint = read_checkpoint(directory / step_name(update))
        except DamagedError as error:
            damaged = [*damaged, error.damage]
            continue
        return _with_passed_over(checkpoint, damaged), damaged
    return None, damaged


def _with_passed_over(checkpoint: Checkpoint, damaged: Iterable[Damage]) -> Checkpoint:
    return replace(checkpoint, passed_over=tuple(dict.fromkeys(damaged)))


def _listed(damaged: list[Damage]) -> str:
    reasons = [f"{damage.path.name}: {damage.reason}" for damage in damaged[:_MOST_LISTED]]
    if len(damaged) > _MOST_LISTED:
        reasons.append(f"and {len(damaged) - _MOST_LISTED} more")
    return "; ".join(reasons)
