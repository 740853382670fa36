"""What the repair of a run would do, decided before anything is written: which checkpoint, what is reset, and why."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from myxtts.config.fields import LEAVES, Value, coerce
from myxtts.config.files import MOST_BYTES
from myxtts.config.schema import DataConfig
from myxtts.doctor.checkpoints import Examined
from myxtts.doctor.history import NEUTRAL_FACTORS, factor
from myxtts.doctor.messages import Message as Said
from myxtts.doctor.messages import message as said
from myxtts.doctor.run_check import Seen, look_at_run
from myxtts.doctor.settings.check import STABLE, STABLE_LEVEL
from myxtts.doctor.settings.fix import with_values
from myxtts.doctor.settings.read import Settings, read_settings
from myxtts.errors import CheckpointError, ConfigError
from myxtts.health.tracker import Health
from myxtts.progress import Progress
from myxtts.storage.files import read_regular_file
from myxtts.storage.run_directory import RunDirectory

Arrays = dict[str, dict[str, npt.NDArray[np.generic]]]

REFUSED_MANY, REFUSED_IN_A_ROW = 10, 3
"""More refused updates than this of the last 200, or so many in a row, and the run counts as diverged."""
COMMENT = "lowered by fix_nan_loss.py"
_LOWERED: Mapping[str, str] = {
    "optimizer.learning_rate": "rate_factor",
    "optimizer.clip_norm": "clip_factor",
    "loss.mel_weight": "mel_factor",
    "loss.flow_weight": "mel_factor",
}
"""Settings that a diverged run must not have over the stable value, and the ladder's factor on each."""
_PATHS: Mapping[str, str] = {"data.train_path": DataConfig().train_path, "data.val_path": DataConfig().val_path}


@dataclass(frozen=True)
class Lowered:
    """A setting of the run that is changed."""

    key: str
    before: Value
    after: Value
    reason: str


@dataclass
class Plan:
    """What a repair would do. Nothing of it is done yet; `empty` means that there is nothing to do."""

    run: Path
    good: Examined
    aside: list[Examined] = field(default_factory=list)
    reasons: list[Said] = field(default_factory=list)
    reset: list[Said] = field(default_factory=list)
    lowered: list[Lowered] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    config_text: str | None = None
    """The new config.yaml; None if it stays."""
    arrays: Arrays | None = None
    """The arrays of the new checkpoint; None if the good one stays as it is."""
    state: dict[str, Any] = field(default_factory=dict)
    program: str = "train_main.py"

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.aside or self.config_text is not None or self.arrays is not None)


def make_plan(run: Path, progress: Progress, always_reset: bool = False) -> Plan:
    """Decides what to do about the run in `run`; reads only.

    Args:
        run: the run directory.
        progress: told of the checkpoints.
        always_reset: reset the moments also where nothing shows that the run diverged.
    Errors: DataError if it is no run; CheckpointError if no checkpoint is whole and finite; ConfigError if neither the
        run's settings nor those of the checkpoint can be read.
    """
    seen = look_at_run(run, progress)
    check_inside(run)
    good = _chosen(seen)
    plan = Plan(run, good)
    plan.aside = [e for e in seen.checkpoints if e.bad is not None or (e.update > good.update)]
    plan.reasons = _reasons(seen, good)
    diverged = bool(plan.reasons) or always_reset
    text, settings = _settings_of(run, good)
    plan.program = "train_stable.py" if settings.value("optimization_level") == STABLE_LEVEL else "train_main.py"
    if diverged:
        _plan_reset(plan, seen)
        _plan_settings(plan, seen, text, settings)
    if plan.empty and not plan.lowered:
        return plan
    plan.without = _absent_defaults(settings)
    if plan.lowered or plan.without or not RunDirectory(run).config_path.is_file():
        plan.config_text = with_values(text, {low.key: low.after for low in plan.lowered}, plan.without, COMMENT)
    return plan


def check_inside(run: Path) -> None:
    """Refuses a run whose folders lead out of it: nothing is written outside the path that was given.

    Errors: CheckpointError.
    """
    real = run.resolve()
    for path in (RunDirectory(run).checkpoints_path, RunDirectory(run).recovery_path):
        if path.is_symlink() or not path.resolve().is_relative_to(real):
            raise CheckpointError(
                f"{str(path)!r} is a link to {str(path.resolve())!r}, and nothing is written outside {str(real)!r}: "
                "name the directory that really holds the run"
            )


def _chosen(seen: Seen) -> Examined:
    """The newest checkpoint that is whole and finite, and, where there is one, without signs of divergence."""
    whole = [examined for examined in seen.checkpoints if examined.bad is None]
    if not whole:
        told = "; ".join(
            f"{examined.path.name}: {dict(examined.bad.values).get('reason', examined.bad.key)}"
            for examined in seen.checkpoints[:3]
            if examined.bad is not None
        )
        raise CheckpointError(
            f"no checkpoint in {str(seen.run)!r} is whole and finite{f' ({told})' if told else ''}: restore one from a "
            "copy, or start over with --fresh"
        )
    lost = ("finite", "loss falls")
    well = [examined for examined in whole if not any(check.name in lost for check in examined.ill)]
    return (well or whole)[0]


def _reasons(seen: Seen, good: Examined) -> list[Said]:
    """What shows that the run diverged; empty where only the disk failed, or nothing."""
    reasons: list[Said] = []
    poisoned = [examined for examined in seen.checkpoints if examined.poisoned]
    if poisoned:
        reasons.append(said("reason_poisoned", names=", ".join(examined.path.name for examined in poisoned[:5])))
    ill = {check.sentence for examined in seen.checkpoints if examined.update >= good.update for check in examined.ill}
    reasons += [said("reason_ill", sentence=sentence) for sentence in sorted(ill)]
    if seen.history.gave_up:
        reasons.append(said("reason_gave_up"))
    if seen.history.refused > REFUSED_MANY or seen.history.refused_in_a_row >= REFUSED_IN_A_ROW:
        reasons.append(said("reason_refused", count=seen.history.refused))
    if any(factor(seen.recovery, name) != 1.0 for name in NEUTRAL_FACTORS):
        reasons.append(said("reason_factors"))
    return reasons


def _settings_of(run: Path, good: Examined) -> tuple[str, Settings]:
    """config.yaml of the run, or of the checkpoint where that of the run is missing or damaged."""
    places = [RunDirectory(run).config_path, good.path / "config.yaml"]
    problem: ConfigError | None = None
    for place in places:
        try:
            return read_regular_file(place, MOST_BYTES).decode("utf-8"), read_settings(place)
        except (OSError, ValueError) as error:
            problem = problem or ConfigError(f"{str(place)!r}: cannot be read: {error}; copy the settings there")
        except ConfigError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def _plan_reset(plan: Plan, seen: Seen) -> None:
    """The new checkpoint: moments and detector at nothing, health and ladder anew; weights as they are."""
    checkpoint = plan.good.checkpoint
    assert checkpoint is not None
    arrays: Arrays = {stem: dict(named) for stem, named in checkpoint.arrays.items()}
    state = copy.deepcopy(dict(checkpoint.state))
    moments = {name: _reset_moment(name, array) for name, array in arrays["moments"].items()}
    if any(not np.array_equal(moments[name], arrays["moments"][name]) for name in moments):
        plan.reset.append(said("reset_moments", count=len(moments)))
    detector = {name: np.zeros_like(array) for name, array in arrays["detector"].items()}
    if any(array.any() for array in arrays["detector"].values()):
        plan.reset.append(said("reset_detector"))
    arrays |= {"moments": moments, "detector": detector}
    _reset_recovery(plan, seen, state)
    if plan.good.ill or plan.reset:
        state["health"] = Health().to_json()
        if state["health"] != checkpoint.state.get("health"):
            plan.reset.append(said("reset_health"))
    if plan.reset:
        plan.arrays, plan.state = arrays, state


def _reset_moment(name: str, array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """A moment or step count at nothing; a learning rate that an optimizer keeps among its state stays."""
    return array if name.rsplit("/", 1)[-1] == "learning_rate" else np.zeros_like(array)


def _reset_recovery(plan: Plan, seen: Seen, state: dict[str, Any]) -> None:
    """The ladder begins at its foot; strikes and quarantine are facts about clips and stay."""
    if not isinstance(seen.recovery, dict) or ("recovery" not in state and "watch" not in seen.recovery):
        return
    recovery = {**copy.deepcopy(state.get("recovery") or {}), **copy.deepcopy(seen.recovery)}
    anew: dict[str, Any] = {name: 1.0 for name in NEUTRAL_FACTORS}
    anew |= {"rewarm_from": plan.good.update, "rollbacks": [], "skipped": [], "skipped_in_a_row": 0}
    anew |= {"last_trouble": plan.good.update, "proven": None, "candidates": []}
    anew |= {"watch": {"block": [], "newest": [], "lowest": [], "first": []}, "changes": [], "recent": []}
    changed = {name: value for name, value in anew.items() if name in recovery and recovery[name] != value}
    if changed or state.get("recovery") != recovery:
        plan.reset.append(said("reset_ladder"))
    state["recovery"] = {**recovery, **changed}


def _plan_settings(plan: Plan, seen: Seen, text: str, settings: Settings) -> None:
    """Lowers what is over the stable value, the ladder's own factors counted in, and takes fp16 back to fp32."""
    for key, name in _LOWERED.items():
        value = settings.value(key)
        stable = float(coerce(LEAVES[key], STABLE[key].value))
        if not isinstance(value, float):
            value = float(coerce(LEAVES[key], LEAVES[key].default))
        after = min(stable, float(f"{value * factor(seen.recovery, name):.6g}"))
        if after < value:
            plan.lowered.append(Lowered(key, value, after, STABLE[key].reason))
    if settings.value("training.precision") == "fp16":
        reason = STABLE["training.precision"].reason
        plan.lowered.append(Lowered("training.precision", "fp16", "fp32", reason))


def _absent_defaults(settings: Settings) -> list[str]:
    """Paths of data that stand at a default which does not exist: named in a file they would stop the run."""
    absent = [key for key, default in _PATHS.items() if not Path(default).expanduser().exists()]
    return [key for key in absent if settings.value(key) == _PATHS[key]]
