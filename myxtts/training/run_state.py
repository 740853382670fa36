"""The state of a run besides its weights: position, health, recovery ladder and clip losses.

Everything here goes into each checkpoint as JSON or arrays, so that a resumed run continues bit-exact. The other parts
of a run read it, and change it only through the methods of RunState.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from myxtts.data.loader import Loaded
from myxtts.health.tracker import Health
from myxtts.storage.checkpoint import Checkpoint
from myxtts.training.accumulation import ClipLosses
from myxtts.training.cluster import Cluster
from myxtts.training.recovery.state import LossWatch, Recovery

BestFields = tuple[float | None, int, int, int]


@dataclass
class Position:
    """How far a run has come. All randomness is determined by the seed and these numbers."""

    update: int = 0
    """Applied updates."""
    micro_batches: int = 0
    """Computed micro-batches, skipped ones included."""
    epoch: int = 0
    index: int = 0
    """The next micro-batch is number `index` of epoch `epoch`."""
    skipped: int = 0
    """Skipped updates."""
    trained_seconds: float = 0.0
    best: float | None = None
    """Best value of the validation metric."""
    best_update: int = 0
    best_metric: str = ""
    """The metric of `best`."""
    validations_since_best: int = 0
    critic_seen: int = 0
    """1 once the decoder was trained by the critic at full weight at a validation."""
    validated_update: int = -1
    """The update of the newest validation."""
    validation_clips: str = ""
    """Hash of the validation clips."""
    order: str = ""
    """Hash of what determines the order of the data; `epoch` and `index` are valid in this order only."""

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Position:
        """The position in a checkpoint. Raises TypeError for anything else."""
        if missing := vars(cls()).keys() - state.keys():
            raise TypeError(f"position.{min(missing)} is missing")
        found = cls(**state)
        for name, value in vars(found).items():
            kind = str if name in ("order", "best_metric", "validation_clips") else (int, float)
            odd = isinstance(value, bool) or not isinstance(value, kind)
            if odd and not (name == "best" and value is None):
                raise TypeError(f"position.{name} is {value!r}")
        return found

    def best_fields(self) -> BestFields:
        """The fields that a validation changes when it improves."""
        return self.best, self.best_update, self.validations_since_best, self.critic_seen

    def best_validation(self) -> tuple[int, float] | None:
        """Update and value of the best validation."""
        return None if self.best is None else (self.best_update, self.best)

    def same_goal(self, other: Position) -> bool:
        """Whether the best is determined by the same metric on the same clips."""
        return (self.best_metric, self.validation_clips) == (other.best_metric, other.validation_clips)


class RunState:
    """Position, health, recovery ladder and clip losses of a run.

    Args:
        clips: training clips, rows of the feature store.
    """

    def __init__(self, clips: int) -> None:
        self.position, self.health = Position(), Health()
        self.recovery, self.clip_losses = Recovery(), ClipLosses(clips)
        self.best_reset = False
        """Whether the best is chosen again from the next validation on; its line in the metrics says so."""
        self.losses_reset = False
        """Whether the next update is the first with another loss function; its line in the metrics says so."""

    # --- updates

    def take(self, loaded: Loaded) -> None:
        """Move the data position past a micro-batch."""
        position = self.position
        if loaded.last_of_epoch:
            position.epoch, position.index = loaded.epoch + 1, 0
        else:
            position.epoch, position.index = loaded.epoch, loaded.index + 1

    def count_micro_batch(self) -> int:
        """Count a micro-batch; returns its number."""
        self.position.micro_batches += 1
        return self.position.micro_batches

    def data_position(self) -> tuple[int, int, int]:
        """Computed micro-batches, epoch and index, for `return_to`."""
        return self.position.micro_batches, self.position.epoch, self.position.index

    def return_to(self, data_position: tuple[int, int, int]) -> None:
        """Undo the micro-batches of an unfinished update."""
        self.position.micro_batches, self.position.epoch, self.position.index = data_position

    def add_time(self, seconds: float) -> None:
        """Count time towards training.max_minutes."""
        self.position.trained_seconds += seconds

    def skip(self, number: int) -> None:
        """Record that update `number` was skipped."""
        self.recovery.skip(number)
        self.position.skipped += 1

    # --- the best checkpoint

    def set_best(self, fields: BestFields) -> None:
        """Return to an earlier best, from Position.best_fields."""
        position = self.position
        position.best, position.best_update, position.validations_since_best, position.critic_seen = fields
        self.health.set_best(position.best_validation())

    def validated(self, value: float, *, improved: bool, equal: bool, scheduled: bool) -> None:
        """Record a validation: a new best, one as good as the best, or neither.

        An unscheduled one, at the end of a run, does not count towards early stopping.
        """
        position = self.position
        if improved:
            position.best, position.best_update, position.validations_since_best = value, position.update, 0
        elif scheduled:
            position.validations_since_best += 1
        if equal:
            position.best_update = position.update
        position.validated_update = position.update

    def see_critic(self, seen: int) -> None:
        """Record whether the decoder of the newest validation was trained by the critic at full weight."""
        self.position.critic_seen = seen

    def forget_best(self) -> None:
        """Choose the best again: earlier values are not comparable with those that follow."""
        position = self.position
        self.best_reset = self.best_reset or position.best is not None
        position.best, position.best_update, position.validations_since_best = None, 0, 0
        self.health.forget_best()

    def forget_losses(self) -> None:
        """The loss function changes: earlier losses, and a best by them, are not comparable with those that follow."""
        self.recovery.watch = LossWatch()
        self.health.forget_losses()
        self.losses_reset = True
        if self.position.best_metric == "total":
            self.forget_best()

    def adopt(self, *, order: str, metric: str, clips: str) -> list[str]:
        """Adapt the position to the data and the metric of this command; returns a message for each change.

        In another order, (epoch, index) would refer to other clips, so the run continues with the next epoch.
        """
        notes: list[str] = []
        position = self.position
        if position.order and position.order != order:
            position.epoch, position.index = position.epoch + 1, 0
            notes.append(
                "the order of the data has changed (clips, batch size, seed or buckets differ): continuing at the "
                f"start of epoch {position.epoch}"
            )
        if position.best_metric not in ("", metric):
            self.forget_best()
            notes.append(f"the best is chosen by {metric} from now on, not by {position.best_metric}")
        elif position.validation_clips not in ("", clips):
            self.forget_best()
            notes.append("the validation clips have changed: the best checkpoint is chosen again from now on")
        position.order, position.best_metric, position.validation_clips = order, metric, clips
        return notes

    # --- checkpoints

    def to_json(self) -> dict[str, object]:
        """The state as JSON values; the clip losses are arrays of the checkpoint."""
        return {
            "position": dict(vars(self.position)),
            "health": self.health.to_json(),
            "recovery": self.recovery.to_json(),
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint. Raises KeyError, TypeError or ValueError for an invalid state."""
        state = checkpoint.state
        self.position = Position.from_json(state["position"])
        self.health = Health.from_json(state["health"])
        self.recovery = Recovery.from_json(state["recovery"])
        self.clip_losses.restore(checkpoint.arrays["utterances"])

    def share(self, cluster: Cluster) -> None:
        """Take over the state of the chief."""
        if cluster.size == 1:
            return
        state, arrays = cluster.share(self.to_json()), self.clip_losses.arrays()
        content = cluster.broadcast(b"".join(x.tobytes() for x in arrays.values()))
        if cluster.chief:
            return
        start = 0
        for name, x in arrays.items():
            arrays[name] = np.frombuffer(content, x.dtype, x.size, start)
            start += x.nbytes
        position = self.position
        self.restore(Checkpoint(Path(), 0, False, {"utterances": arrays}, state, {}))
        vars(position).update(vars(self.position))  # the loop holds this object, and a rollback moves the chief's
        self.position = position

    def roll_back(self, checkpoint: Checkpoint) -> LossWatch:
        """Return to the update of a checkpoint; strikes, counts and the position in the data continue.

        Returns:
            The loss watch at that update.

        Raises:
            KeyError, TypeError or ValueError: the state is invalid.
        """
        then = Position.from_json(checkpoint.state["position"])
        later, self.health = self.health, Health.from_json(checkpoint.state["health"])
        self.health.carry_over(later)
        watch = Recovery.from_json(checkpoint.state["recovery"]).watch
        self.position.update, self.position.validated_update = then.update, then.validated_update
        self.set_best(then.best_fields())
        if not then.same_goal(self.position):
            self.forget_best()
        return watch

    def finish_rollback(self, recovery: Recovery, position: Mapping[str, Any]) -> None:
        """Adopt ladder, counts and data position of a rollback that was decided but not finished."""
        self.recovery = recovery
        same_order = position.get("order") == self.position.order
        for name in ("micro_batches", "skipped", *(("epoch", "index") if same_order else ())):
            setattr(self.position, name, int(position[name]))
