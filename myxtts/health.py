"""Is a run well? The signs that the training shows on the screen and the report shows on its page.

The signs: the loss falls and lies within 0.5 to 5 (or lower, if the validation's is as low), the gradient norm is
under 1, no update was skipped, the validation is not rising for long, and training does not wait for data. Memory is
constant however long the run is.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from myxtts.errors import CheckpointError

Sign = Literal["healthy", "watch", "ill"]
_SEVERITY: Mapping[Sign, int] = {"healthy": 0, "watch": 1, "ill": 2}

WINDOW_UPDATES = 100
"""Medians are taken over this many updates; nothing is judged before."""
LOSS_LOW, LOSS_HIGH = 0.5, 5.0
BY_HEART_RATIO = 1.25
"""A loss under LOSS_LOW is no fault unless that of the validation is so many times as high."""
NORM_HIGH, NORM_ILL = 1.0, 10.0
NORM_PATIENCE_UPDATES = 1_000
NORM_RISE = 1.2
"""A run may begin with a high norm: it is ill if it has not fallen after so many updates, or has risen so much."""
WAIT_HIGH = 0.2
SKIP_MEMORY_UPDATES = 1_000
"""A skipped update is shown as a sign for this many updates."""
SKIP_SHARE_UPDATES = 200
SKIP_SHARE_ILL = 0.05
SKIPS_IN_A_ROW_ILL = 3
FALL_SHARE, RISE_SHARE, DIVERGE_SHARE = 0.01, 0.05, 0.5
"""Change of the loss against its median at half the run: falling, rising, diverging."""
VALIDATIONS_PATIENCE = 5
VALIDATION_RISE_SHARE = 0.01
VOICES_PATIENCE = 3
EQUAL_ERROR_HIGH = 0.3
"""From the third validation on the voices of speakers should be told apart better than this; chance is 0.5."""

_BLOCK_UPDATES = 50
_MAX_BLOCKS = 128


@dataclass(frozen=True)
class Check:
    """One sign: its name, how it stands, and a sentence with the number and, where it is bad, what to do."""

    name: str
    sign: Sign
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """The worst of all signs; `reasons` are the sentences of those that are not healthy, worst first."""

    sign: Sign
    reasons: list[str]
    checks: list[Check]


class Health:
    """Follows a run update by update. Feed `observe` at every update and `observe_validation` at every validation."""

    def __init__(self) -> None:
        self._update = 0
        self._seen = 0
        self._losses: deque[float] = deque(maxlen=WINDOW_UPDATES)
        self._norms: deque[float] = deque(maxlen=WINDOW_UPDATES)
        self._waits: deque[float] = deque(maxlen=WINDOW_UPDATES)
        self._clip_norm: float | None = None
        self._first_norm: float | None = None
        self._block: list[float] = []
        self._blocks: list[tuple[int, float]] = []
        self._block_number = 0
        self._stride = 1
        self._skips: deque[int] = deque(maxlen=SKIP_SHARE_UPDATES)
        self._skips_in_a_row = 0
        self._skips_total = 0
        self._not_finite_update: int | None = None
        self._best: tuple[int, float] | None = None
        self._newest_validation: tuple[int, float] | None = None
        self._newest_total: tuple[int, float] | None = None
        self._validations_since_best = 0
        self._voices: tuple[int, float] | None = None
        self._voices_seen = 0

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
        self._update = update
        self._seen += 1
        if clip_norm is not None and math.isfinite(clip_norm):
            self._clip_norm = clip_norm
        if wait_share is not None and math.isfinite(wait_share):
            self._waits.append(wait_share)
        if skipped:
            self._skips.append(update)
            self._skips_total += 1
            self._skips_in_a_row += 1
            return
        self._skips_in_a_row = 0
        if any(value is not None and not math.isfinite(value) for value in (loss, grad_norm)):
            self._not_finite_update = update
            return
        if grad_norm is not None:
            self._norms.append(grad_norm)
            if self._first_norm is None and len(self._norms) == WINDOW_UPDATES and self._seen < NORM_PATIENCE_UPDATES:
                self._first_norm = statistics.median(self._norms)
        if loss is not None:
            self._losses.append(loss)
            self._keep_block(update, loss)

    def observe_validation(self, update: int, value: float) -> None:
        """Take in one validation by the metric that chooses the best checkpoint; lower is better."""
        if not math.isfinite(value):
            self._not_finite_update = update
            return
        self._newest_validation = (update, value)
        self._validations_since_best += 1
        if self._best is None or value < self._best[1]:
            self._best, self._validations_since_best = (update, value), 0

    def observe_total(self, update: int, total: float) -> None:
        """Take in the total of one validation, of the same terms and weights as the loss of the updates."""
        if math.isfinite(total):
            self._newest_total = (update, total)

    def forget_best(self) -> None:
        """What comes is another goal: the best so far says nothing about it."""
        self._best, self._validations_since_best = None, 0

    def observe_voices(self, update: int, equal_error_rate: float) -> None:
        """Take in how well one validation told the voices of its speakers apart, 0 (always) to 0.5 (by chance)."""
        if math.isfinite(equal_error_rate):
            self._voices, self._voices_seen = (update, equal_error_rate), self._voices_seen + 1

    def carry_skips(self, later: Health) -> None:
        """Take over the skips of the state that the run went back from: they happened."""
        self._skips = deque((min(update, self._update) for update in later._skips), maxlen=SKIP_SHARE_UPDATES)
        self._skips_total = later._skips_total

    def verdict(self) -> Verdict:
        """How the run stands now."""
        checks = [
            self._check_loss_trend(),
            self._check_loss_range(),
            self._check_norm(),
            self._check_skips(),
            self._check_validation(),
            self._check_wait(),
            *([self._check_voices(self._voices[1])] if self._voices else []),
        ]
        if self._not_finite_update is not None:
            sentence = f"NaN or Inf at update {self._not_finite_update:,}; go back to the newest good checkpoint"
            checks.insert(0, Check("finite", "ill", sentence))
        bad = sorted((c for c in checks if c.sign != "healthy"), key=lambda c: -_SEVERITY[c.sign])
        reasons = [check.sentence for check in bad]
        if not reasons and self._seen < WINDOW_UPDATES:
            reasons = [self._too_early()]
        return Verdict(bad[0].sign if bad else "healthy", reasons, checks)

    def _keep_block(self, update: int, loss: float) -> None:
        """Keep the median of every block of updates, of every second block once there are many, and so on."""
        self._block.append(loss)
        if len(self._block) < _BLOCK_UPDATES:
            return
        if self._block_number % self._stride == 0:
            self._blocks.append((update, statistics.median(self._block)))
        self._block_number += 1
        self._block.clear()
        if len(self._blocks) > _MAX_BLOCKS:
            self._blocks = self._blocks[::2]
            self._stride *= 2

    def _too_early(self, needed: int = WINDOW_UPDATES) -> str:
        return f"too early to judge: {min(self._seen, needed)} of {needed} updates"

    def _earlier(self) -> tuple[int, float] | None:
        """The loss at half the run: median of the three blocks nearest to it, none of them in the newest window."""
        before = [block for block in self._blocks if block[0] <= self._update - WINDOW_UPDATES]
        nearest = sorted(before, key=lambda block: abs(block[0] - self._update / 2))[:3]
        return (nearest[0][0], statistics.median(loss for _, loss in nearest)) if nearest else None

    def _check_loss_trend(self) -> Check:
        earlier = self._earlier()
        if earlier is None or len(self._losses) < WINDOW_UPDATES:
            return Check("loss falls", "healthy", "loss trend: " + self._too_early(WINDOW_UPDATES + _BLOCK_UPDATES))
        now = statistics.median(self._losses)
        then_update, then = earlier
        scale = max(abs(then), 1e-3)
        lowest_update, lowest = min(self._blocks, key=lambda block: block[1])
        was = f"{then:.3g} at update {then_update:,}"
        if now - lowest > DIVERGE_SHARE * max(abs(lowest), 0.1):
            sentence = (
                f"loss {now:.3g} is far above its lowest, {lowest:.3g} at update {lowest_update:,}; "
                "halve optimizer.learning_rate and resume from the best checkpoint"
            )
            return Check("loss falls", "ill", sentence)
        if now - then > RISE_SHARE * scale:
            sentence = f"loss rises: {now:.3g} now, {was}; if it goes on, halve optimizer.learning_rate"
            return Check("loss falls", "watch", sentence)
        if then - now < FALL_SHARE * scale:
            sentence = f"loss stands still: {now:.3g} now, {was}; stop, add data, or try level plateau_breaker"
            return Check("loss falls", "watch", sentence)
        return Check("loss falls", "healthy", f"loss falls: {now:.3g} now, {was}")

    def _check_loss_range(self) -> Check:
        name = "loss within 0.5 to 5"
        if len(self._losses) < WINDOW_UPDATES:
            return Check(name, "healthy", "loss: " + self._too_early())
        now = statistics.median(self._losses)
        if now > LOSS_HIGH:
            falls = self._check_loss_trend().sentence.startswith("loss falls")
            sentence = f"loss {now:.3g} is over {LOSS_HIGH:g}; " + (
                "it falls, so give it time" if falls else "check the data, then lower optimizer.learning_rate"
            )
            return Check(name, "watch" if falls else "ill", sentence)
        if now < LOSS_LOW:
            return self._low_loss(name, now)
        return Check(name, "healthy", f"loss {now:.3g}, within {LOSS_LOW:g} to {LOSS_HIGH:g}")

    def _low_loss(self, name: str, now: float) -> Check:
        if self._newest_total is None:
            sentence = f"loss {now:.3g} is under {LOSS_LOW:g}; compare it with the validation: it may learn by heart"
            return Check(name, "watch", sentence)
        update, total = self._newest_total
        if total > BY_HEART_RATIO * now:
            sentence = (
                f"loss {now:.3g}, on validation {total:.3g} at update {update:,}: it learns the clips by heart; "
                "take the best checkpoint, add data or raise model.dropout"
            )
            return Check(name, "watch", sentence)
        near = f"the validation's is near it: {total:.3g} at update {update:,}"
        return Check(name, "healthy", f"loss {now:.3g}, under {LOSS_LOW:g}, and {near}")

    def _check_norm(self) -> Check:
        name = "gradient norm under 1"
        if len(self._norms) < WINDOW_UPDATES:
            return Check(name, "healthy", "gradient norm: " + self._too_early())
        norm = statistics.median(self._norms)
        first = self._first_norm
        if first is not None and NORM_HIGH <= norm <= NORM_RISE * first and self._seen < NORM_PATIENCE_UPDATES:
            sentence = f"gradient norm {norm:.3g} is not under {NORM_HIGH:g}, began at {first:.3g}; give it time"
            return Check(name, "watch", sentence)
        if norm >= NORM_HIGH:
            sign: Sign = "ill" if norm >= NORM_ILL else "watch"
            return Check(name, sign, f"gradient norm {norm:.3g} is not under {NORM_HIGH:g}; halve the learning rate")
        clipped = ""
        if self._clip_norm is not None:
            share = sum(value > self._clip_norm for value in self._norms) / len(self._norms)
            clipped = f"; {share:.0%} of the updates clipped at {self._clip_norm:g}"
        return Check(name, "healthy", f"gradient norm {norm:.2g}, under {NORM_HIGH:g}{clipped}")

    def _check_skips(self) -> Check:
        name = "no skipped update"
        recent = [update for update in self._skips if update > self._update - SKIP_MEMORY_UPDATES]
        if not recent:
            before = f" in the last {SKIP_MEMORY_UPDATES:,} ({self._skips_total} before)" if self._skips_total else ""
            return Check(name, "healthy", f"no update skipped{before}")
        window = min(SKIP_SHARE_UPDATES, max(self._seen, 1))
        share = sum(update > self._update - SKIP_SHARE_UPDATES for update in recent) / window
        many = len(recent) >= SKIPS_IN_A_ROW_ILL and share > SKIP_SHARE_ILL
        counted = f"{len(recent)} {'update' if len(recent) == 1 else 'updates'} skipped, the last at {recent[-1]:,}"
        if self._skips_in_a_row >= SKIPS_IN_A_ROW_ILL or many:
            return Check(name, "ill", f"{counted}; look at events.jsonl and halve optimizer.learning_rate")
        return Check(name, "watch", f"{counted}; events.jsonl names the clips")

    def _check_validation(self) -> Check:
        name = "validation does not rise"
        if self._newest_validation is None or self._best is None:
            return Check(name, "healthy", "no validation yet")
        value, (best_update, best) = self._newest_validation[1], self._best
        stood = f"validation {value:.3g}, best {best:.3g} at update {best_update:,}"
        rises = value - best > VALIDATION_RISE_SHARE * max(abs(best), 1e-3)
        if rises and self._validations_since_best >= VALIDATIONS_PATIENCE:
            sentence = f"{stood}, {self._validations_since_best} validations ago; take the best checkpoint or add data"
            return Check(name, "watch", sentence)
        return Check(name, "healthy", stood)

    def _check_voices(self, rate: float) -> Check:
        name = "voices are told apart"
        told = f"equal error rate of the voices {rate:.0%} (0% always told apart, 50% chance)"
        if rate > EQUAL_ERROR_HIGH and self._voices_seen >= VOICES_PATIENCE:
            sentence = f"not enough speakers to clone: {told}; add recordings of more people"
            return Check(name, "watch", sentence)
        return Check(name, "healthy", told)

    def _check_wait(self) -> Check:
        name = "waiting for data under 20%"
        if len(self._waits) < WINDOW_UPDATES:
            return Check(name, "healthy", "waiting for data: " + self._too_early())
        wait = statistics.median(self._waits)
        if wait >= WAIT_HIGH:
            sentence = f"{wait:.0%} of the time waits for data; move data.cache_path to a faster disk"
            return Check(name, "watch", sentence)
        return Check(name, "healthy", f"waiting for data {wait:.0%}, under {WAIT_HIGH:.0%}")

    def to_json(self) -> dict[str, Any]:
        """The state as plain JSON values, for a checkpoint."""
        return {
            **{name: getattr(self, f"_{name}") for name in _NUMBERS},
            **{name: list(getattr(self, f"_{name}")) for name in _LISTS},
            "skips": list(self._skips),
            "blocks": [list(block) for block in self._blocks],
            **{
                name: getattr(self, f"_{name}") and list(getattr(self, f"_{name}"))
                for name in (*_POINTS, *_LATER_POINTS)
            },
            "clip_norm": self._clip_norm,
            "first_norm": self._first_norm,
            "voices_seen": self._voices_seen,
            "not_finite_update": self._not_finite_update,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Health:
        """The tracker that `to_json` described. Raises CheckpointError for a state that is not one."""
        health = cls()
        try:
            for name in _NUMBERS:
                setattr(health, f"_{name}", int(state[name]))
            for name in _LISTS:
                getattr(health, f"_{name}").extend(float(value) for value in state[name])
            health._skips.extend(int(update) for update in state["skips"])
            health._blocks = [(int(update), float(value)) for update, value in state["blocks"]]
            for name in _POINTS:
                setattr(health, f"_{name}", _point(state[name]))
            for name in _LATER_POINTS:
                setattr(health, f"_{name}", _point(state.get(name)))
            clip_norm, not_finite = state["clip_norm"], state["not_finite_update"]
            # states of before have neither
            health._voices_seen = int(state.get("voices_seen", 0))
            first_norm = state.get("first_norm")
            health._first_norm = None if first_norm is None else float(first_norm)
            health._clip_norm = None if clip_norm is None else float(clip_norm)
            health._not_finite_update = None if not_finite is None else int(not_finite)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"health state of the checkpoint is damaged ({type(error).__name__}: {str(error)[:80]!r}); "
                "take an older checkpoint"
            ) from error
        if health._stride < 1:
            raise CheckpointError(
                f"health state of the checkpoint has stride {health._stride}; take an older checkpoint"
            )
        return health


# The parts of the state by type, as attributes with a leading underscore and as keys of the JSON.
_NUMBERS = ("update", "seen", "block_number", "stride", "skips_in_a_row", "skips_total", "validations_since_best")
_LISTS = ("losses", "norms", "waits", "block")
_POINTS = ("best", "newest_validation")
_LATER_POINTS = ("voices", "newest_total")
"""States of before have none of these."""


def _point(value: Any) -> tuple[int, float] | None:
    if value is None:
        return None
    update, measured = value
    return int(update), float(measured)
