"""Follows a run: takes in every update and every validation, and says how it stands."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Mapping
from typing import Any

from myxtts.health import signs
from myxtts.health.signs import NORM_PATIENCE_UPDATES, SEVERITY, Verdict
from myxtts.health.state import FIRST_LOSSES, WINDOW_UPDATES, State


class Health:
    """Follows a run update by update. Feed `observe` at every update and `observe_validation` at every validation."""

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
        """Take in one update. `grad_norm` is measured before clipping; values of a skipped update are not judged."""
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

    def observe_validation(self, update: int, value: float) -> None:
        """Take in one validation by the metric that chooses the best checkpoint; lower is better."""
        state = self._state
        if not math.isfinite(value):
            state.not_finite_update = update
            return
        state.newest_validation = (update, value)
        state.validations_since_best += 1
        if state.best is None or value < state.best[1]:
            state.best, state.validations_since_best = (update, value), 0

    def observe_total(self, update: int, total: float) -> None:
        """Take in the total of one validation, of the same terms and weights as the loss of the updates."""
        if math.isfinite(total):
            self._state.newest_total = (update, total)

    def forget_best(self) -> None:
        """What comes is another goal: the best so far says nothing about it."""
        self._state.best, self._state.validations_since_best = None, 0

    def forget_losses(self) -> None:
        """What comes is another loss, of other weights or terms: those so far are no measure of it."""
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
        """Take in how well one validation told the voices of its speakers apart, 0 (always) to 0.5 (by chance).

        Args:
            update: of the validation.
            equal_error_rate: see audio.speaker_similarity; one that is not finite is none.
            same, other: mean cosines of two recordings of one speaker and of two speakers.
            of: how many speakers these are, and how many of them were never trained on.
        """
        if math.isfinite(equal_error_rate):
            state = self._state
            state.voices = (update, equal_error_rate)
            state.voices_seen += 1
            means = None if same is None or other is None else (same, other)
            state.voice_means = means if means and all(map(math.isfinite, means)) else None
            state.voices_of = of

    def know_people(self, people: int) -> None:
        """Take in how many people are trained on, by which voices are judged."""
        self._state.people = people

    def carry_over(self, later: Health) -> None:
        """Take over what stays true of the state that the run went back from: its skips happened."""
        state, then = self._state, later._state
        state.people = then.people
        state.skips = deque((min(update, state.update) for update in then.skips), maxlen=state.skips.maxlen)
        state.skips_total = then.skips_total

    def verdict(self) -> Verdict:
        """How the run stands now."""
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
        """The tracker that `to_json` described. Raises CheckpointError for a state that is not one."""
        return cls(State.from_json(state))
