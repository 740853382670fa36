"""The state and the decisions of the recovery ladder, without files.

Decisions depend on updates, micro-batches and values, never on the clock, so a resumed run makes the same ones as an
uninterrupted one. The rungs are described in docs/explanation/reliability.md.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from myxtts.errors import CheckpointError
from myxtts.health.state import trimmed_mean

STRIKES = 3
"""Bad micro-batches for which an utterance was to blame before it is put in quarantine."""
SKIPS_IN_A_ROW = 3
SHARE_WINDOW, SHARE = 200, 0.05
"""More than this share of this many updates skipped is trouble."""
CLEAN_UPDATES = 100
"""Clean updates after which a checkpoint counts as healthy."""
AGAIN_UPDATES = 1_000
"""Trouble within this many updates of a rollback is the same trouble, and climbs to the next rung."""
REWARM_UPDATES = 200
"""Largest length of the warmup of a lowered learning rate."""
SEARCH_PAUSE = 20
"""Attempts without a search after an unsuccessful one, because a search costs as much as a few updates."""
LISTED_CHANGES = 5
RATE_FACTOR, CLIP_FACTOR, MEL_FACTOR = 0.5, 1.0 / 3.0, 0.5
FIRST_ROLLBACK, LOWER_RATE, LOWER_CLIP, LOWER_MEL, GIVE_UP = 3, 4, 5, 6, 7

_BLOCK, _BLOCKS = 50, 64
_NEWEST = 25
_RISE_SHARE, _RISE_LEAST, _DEVIATIONS = 0.5, 0.3, 5.0
_FIRST, _EXPLODED = 5, 10
_FIRST_RISE_SHARE, _FIRST_RISE_LEAST = 1.5, 1.5
"""An explosion: the median of 10 losses is this far above the first losses."""
_POOL = 8
"""Number of clips by which it is judged whether single ones are to blame."""


class LossWatch:
    """Detects a diverging loss: its newest median is far above its lowest one, or above the first losses.

    The lowest median is known after the first 25 losses. Until then the losses of the first updates are the reference,
    so that an explosion does not become its own reference; the threshold is higher there, because the loss may rise a
    little during a warmup or in fine-tuning before it falls.

    The noise is the typical mean distance from the median of all blocks, not that of the lowest block: with an easy and
    a hard corpus, a block may be the lowest because it happened to have batches of one kind only.
    """

    def __init__(self) -> None:
        self._block: list[float] = []
        self._newest: list[float] = []
        self._lowest: list[tuple[float, float]] = []
        self._first: list[float] = []

    def observe(self, loss: float) -> None:
        """Observe the loss of an applied update."""
        if len(self._first) < _FIRST and not self._lowest:
            self._first.append(loss)
        self._newest = [*self._newest[-_NEWEST + 1 :], loss]
        self._block.append(loss)
        half = len(self._block) == _NEWEST and not self._lowest  # a reference as early as possible
        if half or len(self._block) == _BLOCK:
            middle = statistics.median(self._block)
            self._lowest.append((middle, trimmed_mean(abs(x - middle) for x in self._block)))
            self._lowest = self._lowest[-_BLOCKS:]
        if len(self._block) == _BLOCK:
            self._block = []

    def trouble(self) -> str:
        """A message on what is wrong; empty if nothing is."""
        return self._above_lowest() or self._above_first()

    def _above_first(self) -> str:
        if len(self._newest) < _EXPLODED or not self._first:
            return ""
        # the loss may explode within the first updates: the start is at most twice the lowest of them
        least, next_least = sorted([*self._first, math.inf])[:2]
        start = min(next_least, least + max(abs(least), _FIRST_RISE_LEAST))
        deviation = min(statistics.fmean(abs(x - start) for x in self._first), max(abs(start), _FIRST_RISE_LEAST))
        threshold = start + max(_FIRST_RISE_SHARE * abs(start), _FIRST_RISE_LEAST) + _DEVIATIONS * deviation
        now = statistics.median_low(self._newest[-_EXPLODED:])
        return f"the loss diverges: {now:.3g} now, {start:.3g} at the start" if now > threshold else ""

    def _above_lowest(self) -> str:
        if not self._lowest or len(self._newest) < _NEWEST:
            return ""
        lowest = min(middle for middle, _ in self._lowest)
        deviation = statistics.median(deviation for _, deviation in self._lowest)
        threshold = lowest + max(_RISE_SHARE * abs(lowest), _RISE_LEAST) + _DEVIATIONS * deviation
        now = statistics.median(self._newest)
        return f"the loss diverges: {now:.3g} now, {lowest:.3g} before" if now > threshold else ""

    def to_json(self) -> dict[str, Any]:
        """The state as JSON values."""
        return {
            "block": self._block,
            "newest": self._newest,
            "lowest": [list(x) for x in self._lowest],
            "first": self._first,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> LossWatch:
        """The watch of which `to_json` returned the state."""
        watch = cls()
        watch._block = [float(x) for x in state["block"]]
        watch._newest = [float(x) for x in state["newest"]]
        watch._lowest = [(float(a), float(b)) for a, b in state["lowest"]]
        watch._first = [float(x) for x in state["first"]]
        return watch


@dataclass(frozen=True)
class Rollback:
    """One climb of the ladder: the rung, the update before and after the rollback, and the cause."""

    rung: int
    from_update: int
    to_update: int
    cause: str


@dataclass
class Recovery:
    """The state of the recovery ladder of a run."""

    rate_factor: float = 1.0
    clip_factor: float = 1.0
    mel_factor: float = 1.0
    rewarm_from: int | None = None
    """Update at which the warmup of the lowered learning rate starts."""
    rollbacks: list[Rollback] = field(default_factory=list)
    strikes: dict[str, list[int]] = field(default_factory=dict)
    """Utterance -> numbers of the bad micro-batches for which it was to blame."""
    passed: dict[str, int] = field(default_factory=dict)
    """Utterance with strikes -> number of good micro-batches with it since its first strike."""
    recent: dict[str, bool] = field(default_factory=dict)
    """The newest clips, and whether each was bad alone; for judging small micro-batches."""
    quarantine: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Utterance -> the update and the cause."""
    attempts: int = 0
    """Attempted updates, skipped ones included."""
    skipped: list[int] = field(default_factory=list)
    """Numbers of the newest skipped attempts since the last rollback."""
    skipped_in_a_row: int = 0
    last_trouble: int = 0
    """Number of the newest update that was skipped or had a skipped micro-batch."""
    proven: int | None = None
    """Update of the newest checkpoint that counts as healthy."""
    candidates: list[int] = field(default_factory=list)
    """Updates of checkpoints that are not proven healthy yet."""
    searched_in_vain: int = -SEARCH_PAUSE
    """The newest attempt whose search found no single utterance to blame."""
    watch: LossWatch = field(default_factory=LossWatch)
    changes: list[str] = field(default_factory=list)
    """Messages on the training settings changed at the newest resume that changed any."""
    changed_at: int = 0
    """Update of that resume."""

    # --- overrides of settings

    def rate(self, update: int, scheduled: float, warmup_updates: int) -> float:
        """The learning rate of an update with the overrides applied to the scheduled one."""
        if self.rewarm_from is None:
            return scheduled * self.rate_factor
        length = max(1, min(REWARM_UPDATES, warmup_updates))
        return scheduled * self.rate_factor * min(1.0, max(1, update - self.rewarm_from) / length)

    def overrides(self) -> str:
        """The overrides as text for messages; empty if there are none."""
        factors = {"learning rate": self.rate_factor, "clip": self.clip_factor, "mel weight": self.mel_factor}
        return ", ".join(f"{name} x {factor:.3g}" for name, factor in factors.items() if factor != 1.0)

    # --- resuming

    def resumed(self, update: int, changes: Sequence[str], *, ill: bool) -> None:
        """Record that the run was resumed at `update` with these changes of settings.

        Unless it was in trouble then, it never rolls back further, so that later trouble does not cost earlier
        training. `ill` is the verdict of the signs of health.
        """
        if changes:
            self.changes, self.changed_at = list(changes), update
        just_back = bool(self.rollbacks) and update - self.rollbacks[-1].to_update < CLEAN_UPDATES
        if not (ill or just_back or self.skipped_in_a_row or self.trouble()):
            self.proven = update
            self.candidates = [candidate for candidate in self.candidates if candidate > update]

    def suspects(self, update: int) -> str:
        """A message on settings that may have caused trouble at `update`; empty if none were changed recently."""
        if not self.changes or update - self.changed_at > AGAIN_UPDATES:
            return ""
        more = f" and {len(self.changes) - LISTED_CHANGES} more" if len(self.changes) > LISTED_CHANGES else ""
        return f"changed at the resume from update {self.changed_at}: {', '.join(self.changes[:LISTED_CHANGES])}{more}"

    # --- observations

    def applied(self, update: int, loss: float, *, clean: bool) -> None:
        """Record an applied update; `clean` if none of its micro-batches was skipped."""
        self.attempts += 1
        self.skipped_in_a_row = 0
        if not clean:
            self.last_trouble = update
        self.watch.observe(loss)
        while self.candidates and update >= self.candidates[0] + CLEAN_UPDATES:
            candidate = self.candidates.pop(0)
            if self.last_trouble <= candidate:
                self.proven = candidate

    @property
    def may_search(self) -> bool:
        """Whether a search for the utterances to blame is worth its time."""
        return self.attempts >= self.searched_in_vain + SEARCH_PAUSE

    def skip(self, update: int) -> None:
        """Record that update number `update` was skipped."""
        self.attempts += 1
        self.skipped_in_a_row += 1
        self.last_trouble = update
        self.skipped = [a for a in self.skipped if a > self.attempts - SHARE_WINDOW] + [self.attempts]

    def add_candidate(self, update: int) -> bool:
        """Add a checkpoint that may prove healthy; returns whether it is new."""
        if update in self.candidates or update == self.proven:
            return False
        self.candidates.append(update)
        return True

    def kept(self) -> set[int]:
        """Updates whose checkpoints must not be pruned."""
        return {*self.candidates, *(() if self.proven is None else (self.proven,))}

    def judge_clips(self, bad: Mapping[str, bool]) -> None:
        """Record which clips of an update were bad alone, in their order."""
        for name in self.strikes.keys() & bad.keys():
            self.passed[name] = self.passed.get(name, 0) + (not bad[name])
        older = {name: was for name, was in self.recent.items() if name not in bad}
        self.recent = dict([*older.items(), *bad.items()][-_POOL:])

    def strike(self, utterances: Iterable[str], micro_batch: int, update: int, cause: str) -> list[str]:
        """Count a strike for each; returns the clips that are now put in quarantine.

        A clip that was in at least as many good micro-batches as bad ones since its first strike is not the cause.
        """
        new: list[str] = []
        for name in utterances:
            numbers = self.strikes.setdefault(name, [])
            if name in self.quarantine or micro_batch in numbers:
                continue
            numbers.append(micro_batch)
            if len(numbers) >= STRIKES and len(numbers) - 1 > self.passed.get(name, 0):
                self.quarantine[name] = {"update": update, "cause": cause}
                new.append(name)
        return new

    # --- the ladder

    def trouble(self) -> str:
        """A message on why the run must roll back; empty if it need not."""
        if self.skipped_in_a_row >= SKIPS_IN_A_ROW:
            return f"{self.skipped_in_a_row} updates in a row were skipped"
        if len(self.skipped) > SHARE * SHARE_WINDOW:
            return f"{len(self.skipped)} of the last {min(self.attempts, SHARE_WINDOW)} updates were skipped"
        return self.watch.trouble()

    def next_rung(self, update: int) -> int:
        """The rung for trouble at `update`.

        It is the same trouble if it comes soon after a rollback, or before any later checkpoint proved healthy.
        """
        if not self.rollbacks:
            return FIRST_ROLLBACK
        last = self.rollbacks[-1]
        again = update - last.to_update <= AGAIN_UPDATES or self.proven == last.to_update
        return min(GIVE_UP, last.rung + 1) if again else FIRST_ROLLBACK

    def roll_back(self, rollback: Rollback, watch: LossWatch) -> None:
        """Climb to a rung: its overrides apply from now on, besides earlier ones.

        `watch` is the loss watch of the update that the run goes back to.
        """
        self.rollbacks.append(rollback)
        if rollback.rung == LOWER_RATE:
            self.rate_factor *= RATE_FACTOR
        elif rollback.rung == LOWER_CLIP:
            self.clip_factor *= CLIP_FACTOR
        elif rollback.rung == LOWER_MEL:
            self.mel_factor *= MEL_FACTOR
        if rollback.rung >= LOWER_RATE:
            self.rewarm_from = rollback.to_update
        elif self.rewarm_from is not None:
            self.rewarm_from = min(self.rewarm_from, rollback.to_update)
        self.skipped, self.skipped_in_a_row = [], 0
        self.candidates = []
        self.proven = self.last_trouble = rollback.to_update
        self.watch = watch

    # --- state in a checkpoint

    def to_json(self) -> dict[str, Any]:
        """The state as JSON values."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        parts = {"rollbacks": [asdict(r) for r in self.rollbacks], "watch": self.watch.to_json()}
        return {"format": 1, **plain, **parts, "recent": [list(pair) for pair in self.recent.items()]}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Recovery:
        """The ladder of which `to_json` returned the state. Raises CheckpointError for anything else."""
        try:
            found = cls(**{name: state[name] for name in _PLAIN})
            found.recent = {str(name): bool(bad) for name, bad in state["recent"]}
            found.rollbacks = [Rollback(**r) for r in state["rollbacks"]]
            found.watch = LossWatch.from_json(state["watch"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"the state of the recovery ladder is damaged ({type(error).__name__}: {str(error)[:80]!r}); "
                "use an older checkpoint"
            ) from error
        return found


_PLAIN = (
    "rate_factor",
    "clip_factor",
    "mel_factor",
    "rewarm_from",
    "strikes",
    "quarantine",
    "attempts",
    "skipped",
    "skipped_in_a_row",
    "last_trouble",
    "proven",
    "candidates",
    "searched_in_vain",
    "passed",
    "changes",
    "changed_at",
)
