"""Observes every update and every validation of a run, and judges it."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Mapping
from typing import Any

from myxtts.health import signs
from myxtts.health.signs import NORM_PATIENCE_UPDATES, SEVERITY, Verdict
from myxtts.health.state import FIRST_LOSSES, WINDOW_UPDATES, Point, State


class Health:
    """The health of a run. Call `observe` after every update and `observe_validation` after every validation."""

    def __init__(self, state: State | None = None) -> None:
        self._state = state or State()

    def observe(
        self,
        update: int,
        *,
        loss: float | None,
        grad_norm: float | None,
        clip_norm: float | None = None,
        skipped: bool = False,
        wait_share: float | None = None,
    ) -> None:
        """Observe one update; values of a skipped update are not judged. `grad_norm` is the norm before clipping."""
        state = self._state
        state.update = update
        state.seen += 1
        if clip_norm is not None and math.isfinite(clip_norm):
            state.clip_norm = clip_norm
        if wait_share is not None and math.isfinite(wait_share):
            state.waits.append(wait_share)
        if skipped:
            state.skips.append(update)
            state.skips_total += 1
            state.skips_in_a_row += 1
            return
        state.skips_in_a_row = 0
        if any(value is not None and not math.isfinite(value) for value in (loss, grad_norm)):
            state.not_finite_update = update
            return
        if grad_norm is not None:
            state.norms.append(grad_norm)
            if state.first_norm is None and len(state.norms) == WINDOW_UPDATES and state.seen < NORM_PATIENCE_UPDATES:
                state.first_norm = statistics.median(state.norms)
        if loss is not None:
            state.losses.append(loss)
            if len(state.first) < FIRST_LOSSES and not state.blocks:
                state.first.append(loss)
            state.keep_block(loss)

    @property
    def best(self) -> Point | None:
        """The best validation: its update and its value."""
        return self._state.best

    def observe_validation(self, update: int, value: float, best: Point | None) -> None:
        """Observe one validation by the metric that determines the best checkpoint; lower is better.

        Args:
            update: of the validation.
            value: of the metric.
            best: the best validation of the run now, by its BestRule; in a training, that of its position.
        """
        state = self._state
        if not math.isfinite(value):
            state.not_finite_update = update
            return
        state.newest_validation = (update, value)
        lower = best is not None and (state.best is None or best[1] < state.best[1])
        state.validations_since_best = 0 if lower else state.validations_since_best + 1
        state.best = best

    def set_best(self, best: Point | None) -> None:
        """Return to an earlier best: that of a validation whose checkpoint could not be saved does not count."""
        self._state.best = best

    def observe_total(self, update: int, total: float) -> None:
        """Observe the total loss of one validation, with the terms and weights of the loss of the updates."""
        if math.isfinite(total):
            self._state.newest_total = (update, total)

    def forget_best(self) -> None:
        """The validation metric changes: earlier values are not comparable with those that follow."""
        self._state.best, self._state.validations_since_best = None, 0

    def forget_losses(self) -> None:
        """The loss function changes: earlier losses are not comparable with those that follow."""
        state = self._state
        state.losses.clear()
        state.first.clear()
        state.block.clear()
        state.blocks.clear()
        state.newest_total = None

    def observe_voices(
        self,
        update: int,
        equal_error_rate: float,
        *,
        same: float | None = None,
        other: float | None = None,
        of: tuple[int, int] | None = None,
    ) -> None:
        """Observe the speaker verification of one validation: 0 separates all speakers, 0.5 is chance.

        Args:
            update: of the validation.
            equal_error_rate: ignored if it is not finite.
            same, other: mean cosine of two recordings of one speaker, and of two speakers.
            of: how many speakers these are, and how many of them are unseen.
        """
        if math.isfinite(equal_error_rate):
            state = self._state
            state.voices = (update, equal_error_rate)
            state.voices_seen += 1
            means = None if same is None or other is None else (same, other)
            state.voice_means = means if means and all(map(math.isfinite, means)) else None
            state.voices_of = of

    def set_people(self, people: int) -> None:
        """Set the number of training speakers, by which speaker verification is judged."""
        self._state.people = people

    def carry_over(self, later: Health) -> None:
        """After a rollback, keep what remains true of the later state: its speakers and its skipped updates."""
        state, then = self._state, later._state
        state.people = then.people
        state.skips = deque((min(update, state.update) for update in then.skips), maxlen=state.skips.maxlen)
        state.skips_total = then.skips_total

    def verdict(self) -> Verdict:
        """The verdict on the run now."""
        checks = signs.all_of(self._state)
        worst = max(checks, key=lambda check: SEVERITY[check.sign]).sign
        bad = sorted((c for c in checks if SEVERITY[c.sign] > SEVERITY["early"]), key=lambda c: -SEVERITY[c.sign])
        reasons = [check.sentence for check in bad or checks if check.sign != "healthy"]
        if not bad and self._state.seen < WINDOW_UPDATES:
            reasons = [signs.too_early(self._state.seen)]
        return Verdict(worst, reasons, checks)

    def to_json(self) -> dict[str, Any]:
        """The state as plain JSON values, for a checkpoint."""
        return self._state.to_json()

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Health:
        """The tracker of which `to_json` returned the state. Raises CheckpointError for anything else."""
        return cls(State.from_json(state))
