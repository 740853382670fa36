"""Examines the checkpoints of a run: intact, finite, within bounds, healthy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from myxtts.doctor.findings import Certainty, Report
from myxtts.doctor.messages import Message, message
from myxtts.errors import CheckpointError
from myxtts.health.signs import Check
from myxtts.health.tracker import Health
from myxtts.progress import Progress
from myxtts.storage.checkpoint import Checkpoint, DamagedError, FutureFormatError, read_checkpoint, step_name
from myxtts.storage.find_checkpoint import steps_in

STEMS = ("weights", "average", "moments", "detector")
"""Arrays that every checkpoint of a run holds and that resuming needs."""
LARGEST_WEIGHT = 1e4
"""No weight of a healthy network comes near this; beyond it the network is lost, finite or not."""
DIVERGED = ("finite", "loss falls", "no skipped update", "gradient norm under 1", "loss within 0.5 to 5")
"""Signs of health that indicate divergence when they are ill, rather than slow data or overfitting."""
_NOT_FINITE = re.compile(r"holds \d+ of \d+ values that are not finite")


@dataclass(frozen=True)
class Examined:
    """One checkpoint folder; `bad` says why a run must not resume from it, None if it may."""

    path: Path
    update: int
    bad: Message | None
    checkpoint: Checkpoint | None = None
    poisoned: bool = False
    """It is bad because values are not finite or out of bounds, so the run diverged; not because of the disk."""
    ill: tuple[Check, ...] = ()
    """Signs of divergence in the health that was saved with it."""
    largest: float = 0.0
    """Largest magnitude of a weight."""


def examine(folder: Path, update: int = 0) -> Examined:
    """One checkpoint folder, read and verified as when resuming."""
    try:
        checkpoint = read_checkpoint(folder)
    except DamagedError as error:
        poisoned = _NOT_FINITE.search(error.damage.reason) is not None
        return Examined(folder, update, message("damaged", reason=error.damage.reason), poisoned=poisoned)
    except FutureFormatError as error:
        return Examined(folder, update, message("damaged", reason=str(error)))
    return _examined(checkpoint)


def _examined(checkpoint: Checkpoint) -> Examined:
    path, update = checkpoint.path, checkpoint.update
    lacking = [stem for stem in STEMS if stem not in checkpoint.arrays]
    if lacking:
        return Examined(path, update, message("lacks", what=", ".join(f"{stem}.safetensors" for stem in lacking)))
    unreadable = [name for name, is_good in _STATE.items() if not is_good(checkpoint.state.get(name))]
    if unreadable:
        return Examined(
            path, update, message("lacks", what=", ".join(f"a readable {n} in state.json" for n in unreadable))
        )
    largest, where = largest_weight(checkpoint)
    if largest > LARGEST_WEIGHT:
        bad = message("exploded", name=where, value=largest, limit=LARGEST_WEIGHT)
        return Examined(path, update, bad, checkpoint, poisoned=True, largest=largest)
    return Examined(path, update, None, checkpoint, ill=ill_signs(checkpoint.state.get("health")), largest=largest)


def _is_position(value: Any) -> bool:
    return isinstance(value, dict) and type(value.get("update")) is int


def health_of(state: Any) -> Health | None:
    """A saved health; None where it is missing or cannot be read."""
    try:
        return Health.from_json(state) if isinstance(state, dict) else None
    except CheckpointError:
        return None


def _is_loss_scale(value: Any) -> bool:
    return isinstance(value, dict) and {"value", "good_updates"} <= value.keys()


def _is_recovery(value: Any) -> bool:
    """Whether this is a state of the recovery ladder."""
    return isinstance(value, dict) and all(isinstance(value.get(name), kind) for name, kind in _RECOVERY.items())


_STATE: Mapping[str, Callable[[Any], bool]] = {
    "position": _is_position,
    "health": lambda value: health_of(value) is not None,
    "loss_scale": _is_loss_scale,
    "recovery": _is_recovery,
}
_RECOVERY: Mapping[str, type | tuple[type, ...]] = {
    "rate_factor": (int, float),
    "clip_factor": (int, float),
    "mel_factor": (int, float),
    "rollbacks": list,
    "strikes": dict,
    "quarantine": dict,
}


def largest_weight(checkpoint: Checkpoint) -> tuple[float, str]:
    """The largest magnitude in weights and averaged weights, and the name of its tensor."""
    largest, where = 0.0, ""
    for stem in ("weights", "average"):
        for name, array in checkpoint.arrays[stem].items():
            if array.size and array.dtype.kind in "fV":
                value = float(np.abs(array.astype(np.float64)).max())
                largest, where = (value, f"{stem}/{name}") if value > largest else (largest, where)
    return largest, where


def ill_signs(state: Any) -> tuple[Check, ...]:
    """Signs of divergence in a saved health; none where it is missing or cannot be read."""
    health = health_of(state)
    checks = () if health is None else health.verdict().checks
    return tuple(check for check in checks if check.sign == "ill" and check.name in DIVERGED)


def examine_all(directory: Path, progress: Progress) -> list[Examined]:
    """Every step folder in a folder of checkpoints, newest first. Errors: CheckpointError if it cannot be listed."""
    updates = steps_in(directory)
    found = []
    for index, update in enumerate(updates):
        progress("checkpoints", index, len(updates))
        found.append(examine(directory / step_name(update), update))
    progress("checkpoints", len(updates), len(updates))
    return found


def check_checkpoint(folder: Path) -> Report:
    """Causes of NaN in one checkpoint folder."""
    examined = examine(folder)
    report = Report(str(folder), "checkpoint")
    add_checkpoint(report, examined, message("choose_older"))
    if examined.bad is None and examined.checkpoint is not None:
        report.facts.append(message("checkpoint_good", update=examined.update, largest=examined.largest))
    return report


def add_checkpoint(report: Report, examined: Examined, do: Message) -> None:
    """Adds what makes a checkpoint bad, or the signs of divergence in it."""
    if examined.bad is not None:
        certainty = Certainty.CERTAIN if examined.poisoned else Certainty.POSSIBLE
        report.add(certainty, examined.bad, str(examined.path), do)
    for check in examined.ill:
        what = message("ill_sign", sign=message(sign_name(check)), sentence=check.sentence)
        report.add(Certainty.LIKELY, what, str(examined.path), message("see_sign"))


SIGN_NAMES = {
    "finite": "sign_finite",
    "loss falls": "sign_falls",
    "loss within 0.5 to 5": "sign_range",
    "gradient norm under 1": "sign_norm",
    "no skipped update": "sign_skips",
    "validation does not rise": "sign_validation",
    "waiting for data under 20%": "sign_wait",
    "speakers": "sign_speakers",
    "speaker verification": "sign_voices",
}
"""Name of a sign of health -> key of its message."""


def sign_name(check: Check) -> str:
    """The key of the message with the name of a sign of health."""
    return SIGN_NAMES.get(check.name, "sign_other")
