"""Plans the repair of a run before anything is written: the checkpoint to resume from, what is reset, and why."""

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
from myxtts.doctor.messages import Message, message
from myxtts.doctor.run.checkpoints import Examined
from myxtts.doctor.run.look import NEUTRAL_FACTORS, RunSummary, factor, look_at_run
from myxtts.doctor.settings.check import STABLE, STABLE_LEVEL
from myxtts.doctor.settings.fix import with_values
from myxtts.doctor.settings.read import Settings, read_settings
from myxtts.errors import CheckpointError, ConfigError
from myxtts.health.tracker import Health
from myxtts.progress import Progress
from myxtts.storage.files import read_regular_file
from myxtts.storage.run_directory import RunDirectory

Arrays = dict[str, dict[str, npt.NDArray[np.generic]]]

MANY_SKIPS, SKIPS_IN_A_ROW = 10, 3
"""A run counts as diverged with more skips than this in the last 200 updates, or this many in a row."""
COMMENT = "lowered by fix_nan_loss.py"
_LOWERED: Mapping[str, str] = {
    "optimizer.learning_rate": "rate_factor",
    "optimizer.clip_norm": "clip_factor",
    "loss.mel_weight": "mel_factor",
    "loss.flow_weight": "mel_factor",
}
"""Settings that are lowered to the stable value if a run diverged, and the ladder's factor for each."""
_PATHS: Mapping[str, str] = {"data.train_path": DataConfig().train_path, "data.val_path": DataConfig().val_path}


@dataclass(frozen=True)
class Lowered:
    """A setting of the run that is changed."""

    key: str
    before: Value
    after: Value
    reason: str


@dataclass
class RepairPlan:
    """What a repair would do; `empty` means that there is nothing to do."""

    run: Path
    good: Examined
    aside: list[Examined] = field(default_factory=list)
    reasons: list[Message] = field(default_factory=list)
    reset: list[Message] = field(default_factory=list)
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


def make_plan(run: Path, progress: Progress, always_reset: bool = False) -> RepairPlan:
    """Plans the repair of the run in `run`; writes nothing.

    Args:
        run: the run directory.
        progress: called for each checkpoint.
        always_reset: reset the moments even if nothing shows that the run diverged.
    Errors: DataError if it is not a run; CheckpointError if no checkpoint is intact and finite; ConfigError if neither
        the run's settings nor those of the checkpoint can be read.
    """
    summary = look_at_run(run, progress)
    check_inside(run)
    good = _chosen(summary)
    plan = RepairPlan(run, good)
    plan.aside = [e for e in summary.checkpoints if e.bad is not None or (e.update > good.update)]
    plan.reasons = _reasons(summary, good)
    diverged = bool(plan.reasons) or always_reset
    text, settings = _settings_of(run, good)
    plan.program = "train_stable.py" if settings.value("optimization_level") == STABLE_LEVEL else "train_main.py"
    if diverged:
        _plan_reset(plan, summary)
        _plan_settings(plan, summary, settings)
    if plan.empty and not plan.lowered:
        return plan
    plan.without = _absent_defaults(settings)
    if plan.lowered or plan.without or not RunDirectory(run).config_path.is_file():
        plan.config_text = with_values(text, {low.key: low.after for low in plan.lowered}, plan.without, COMMENT)
    return plan


def check_inside(run: Path) -> None:
    """Rejects a run whose folders lead out of it, so that nothing is written outside the given path.

    Errors: CheckpointError.
    """
    real = run.resolve()
    for path in (RunDirectory(run).checkpoints_path, RunDirectory(run).recovery_path):
        if path.is_symlink() or not path.resolve().is_relative_to(real):
            raise CheckpointError(
                f"{str(path)!r} is a link to {str(path.resolve())!r}, and nothing is written outside {str(real)!r}: "
                "name the directory that the link leads to"
            )


def _chosen(summary: RunSummary) -> Examined:
    """The newest intact and finite checkpoint, preferably one without signs of divergence."""
    intact = [examined for examined in summary.checkpoints if examined.bad is None]
    if not intact:
        reasons = "; ".join(
            f"{examined.path.name}: {dict(examined.bad.values).get('reason', examined.bad.key)}"
            for examined in summary.checkpoints[:3]
            if examined.bad is not None
        )
        raise CheckpointError(
            f"no checkpoint in {str(summary.run)!r} is intact and finite{f' ({reasons})' if reasons else ''}: "
            "restore one from a backup, or start over with --fresh"
        )
    lost = ("finite", "loss falls")
    healthy = [examined for examined in intact if not any(check.name in lost for check in examined.ill)]
    return (healthy or intact)[0]


def _reasons(summary: RunSummary, good: Examined) -> list[Message]:
    """Evidence that the run diverged; empty if nothing failed, or only the disk."""
    reasons: list[Message] = []
    poisoned = [examined for examined in summary.checkpoints if examined.poisoned]
    if poisoned:
        reasons.append(message("reason_poisoned", names=", ".join(examined.path.name for examined in poisoned[:5])))
    ill = {
        check.sentence for examined in summary.checkpoints if examined.update >= good.update for check in examined.ill
    }
    reasons += [message("reason_ill", sentence=sentence) for sentence in sorted(ill)]
    if summary.history.gave_up:
        reasons.append(message("reason_gave_up"))
    if summary.history.skips > MANY_SKIPS or summary.history.skips_in_a_row >= SKIPS_IN_A_ROW:
        reasons.append(message("reason_skipped", count=summary.history.skips))
    if any(factor(summary.recovery, name) != 1.0 for name in NEUTRAL_FACTORS):
        reasons.append(message("reason_factors"))
    return reasons


def _settings_of(run: Path, good: Examined) -> tuple[str, Settings]:
    """config.yaml of the run, or of the checkpoint if the run's is missing or damaged."""
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


def _plan_reset(plan: RepairPlan, summary: RunSummary) -> None:
    """Plans the new checkpoint: moments and detector zeroed, health and ladder reset, weights unchanged."""
    checkpoint = plan.good.checkpoint
    assert checkpoint is not None
    arrays: Arrays = {stem: dict(named) for stem, named in checkpoint.arrays.items()}
    state = copy.deepcopy(dict(checkpoint.state))
    moments = {name: _reset_moment(name, array) for name, array in arrays["moments"].items()}
    if any(not np.array_equal(moments[name], arrays["moments"][name]) for name in moments):
        plan.reset.append(message("reset_moments", count=len(moments)))
    detector = {name: np.zeros_like(array) for name, array in arrays["detector"].items()}
    if any(array.any() for array in arrays["detector"].values()):
        plan.reset.append(message("reset_detector"))
    arrays |= {"moments": moments, "detector": detector}
    _reset_recovery(plan, summary, state)
    if plan.good.ill or plan.reset:
        state["health"] = Health().to_json()
        if state["health"] != checkpoint.state.get("health"):
            plan.reset.append(message("reset_health"))
    if plan.reset:
        plan.arrays, plan.state = arrays, state


def _reset_moment(name: str, array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """A moment or step count set to zero; a learning rate in the optimizer's state is kept."""
    return array if name.rsplit("/", 1)[-1] == "learning_rate" else np.zeros_like(array)


def _reset_recovery(plan: RepairPlan, summary: RunSummary, state: dict[str, Any]) -> None:
    """Restarts the ladder at its first rung; strikes and quarantine, which are about clips, are kept."""
    if not isinstance(summary.recovery, dict):
        return
    recovery = {**copy.deepcopy(state.get("recovery") or {}), **copy.deepcopy(summary.recovery)}
    initial: dict[str, Any] = {name: 1.0 for name in NEUTRAL_FACTORS}
    initial |= {"rewarm_from": plan.good.update, "rollbacks": [], "skipped": [], "skipped_in_a_row": 0}
    initial |= {"last_trouble": plan.good.update, "proven": None, "candidates": []}
    initial |= {"watch": {"block": [], "newest": [], "lowest": [], "first": []}, "changes": [], "recent": []}
    changed = {name: value for name, value in initial.items() if name in recovery and recovery[name] != value}
    if changed or state.get("recovery") != recovery:
        plan.reset.append(message("reset_ladder"))
    state["recovery"] = {**recovery, **changed}


def _plan_settings(plan: RepairPlan, summary: RunSummary, settings: Settings) -> None:
    """Plans settings at most the stable value, including the ladder's factors, and fp32 instead of fp16."""
    for key, name in _LOWERED.items():
        value = settings.value(key)
        stable = float(coerce(LEAVES[key], STABLE[key].value))
        if not isinstance(value, float):
            value = float(coerce(LEAVES[key], LEAVES[key].default))
        after = min(stable, float(f"{value * factor(summary.recovery, name):.6g}"))
        if after < value:
            plan.lowered.append(Lowered(key, value, after, STABLE[key].reason))
    if settings.value("training.precision") == "fp16":
        reason = STABLE["training.precision"].reason
        plan.lowered.append(Lowered("training.precision", "fp16", "fp32", reason))


def _absent_defaults(settings: Settings) -> list[str]:
    """Data paths at a default that does not exist; named in a file, they would be an error."""
    absent = [key for key, default in _PATHS.items() if not Path(default).expanduser().exists()]
    return [key for key in absent if settings.value(key) == _PATHS[key]]
