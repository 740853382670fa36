"""The state of the ladder: what a run remembers of its trouble, and what follows from it. Numbers alone, no files.

Every decision follows from updates, micro-batches and values, never from the clock: a resumed run takes the same ones
as an unbroken one. The rungs are those of docs/explanation/reliability.md.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from myxtts.errors import CheckpointError
from myxtts.health.state import trimmed_mean

STRIKES = 3
"""Micro-batches in which an utterance was found guilty, before it is put in quarantine."""
SKIPS_IN_A_ROW = 3
SHARE_WINDOW, SHARE = 200, 0.05
"""Trouble: more than this share of so many updates was refused."""
CLEAN_UPDATES = 100
"""Clean updates after which a checkpoint counts as healthy."""
AGAIN_UPDATES = 1_000
"""Trouble within so many updates of a rollback is the same trouble, and climbs."""
REWARM_UPDATES = 200
"""Most updates over which the lowered learning rate rises anew."""
SEARCH_PAUSE = 20
"""Attempts after a search in vain in which none is made: it costs as much as a few updates."""
RATE_FACTOR, CLIP_FACTOR, MEL_FACTOR = 0.5, 1.0 / 3.0, 0.5
FIRST_ROLLBACK, LOWER_RATE, LOWER_CLIP, LOWER_MEL, GIVE_UP = 3, 4, 5, 6, 7

_BLOCK, _BLOCKS = 50, 64
_NEWEST = 25
_RISE_SHARE, _RISE_LEAST, _DEVIATIONS = 0.5, 0.3, 5.0


class LossWatch:
    """Tells a loss that diverges: its newest median far above the lowest that it had.

    How far losses differ by themselves is the mean distance from the median, as it usually is, and not as it was in the
    lowest block: with an easy and a hard corpus a block is lowest where chance gave it one kind of batches alone.
    """

    def __init__(self) -> None:
        self._block: list[float] = []
        self._newest: list[float] = []
        self._lowest: list[tuple[float, float]] = []

    def observe(self, loss: float) -> None:
        """Take in the loss of an accepted update."""
        self._newest = [*self._newest[-_NEWEST + 1 :], loss]
        self._block.append(loss)
        if len(self._block) == _BLOCK:
            middle = statistics.median(self._block)
            self._lowest.append((middle, trimmed_mean(abs(x - middle) for x in self._block)))
            self._lowest = self._lowest[-_BLOCKS:]
            self._block = []

    def trouble(self) -> str:
        """What is wrong, in words; empty while nothing is."""
        if not self._lowest or len(self._newest) < _NEWEST:
            return ""
        lowest = min(middle for middle, _ in self._lowest)
        deviation = statistics.median(deviation for _, deviation in self._lowest)
        bar = lowest + max(_RISE_SHARE * abs(lowest), _RISE_LEAST) + _DEVIATIONS * deviation
        now = statistics.median(self._newest)
        return f"the loss diverges: {now:.3g} now, {lowest:.3g} before" if now > bar else ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"block": self._block, "newest": self._newest, "lowest": [list(x) for x in self._lowest]}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> LossWatch:
        """What `to_json` gave."""
        watch = cls()
        watch._block = [float(x) for x in state["block"]]
        watch._newest = [float(x) for x in state["newest"]]
        watch._lowest = [(float(a), float(b)) for a, b in state["lowest"]]
        return watch


@dataclass(frozen=True)
class Rollback:
    """One climb of the ladder: the rung, where the run stood, where it went back to, and why."""

    rung: int
    from_update: int
    to_update: int
    cause: str


@dataclass
class Recovery:
    """What the ladder knows of a run."""

    rate_factor: float = 1.0
    clip_factor: float = 1.0
    mel_factor: float = 1.0
    rewarm_from: int | None = None
    """Update after which the lowered learning rate rises anew."""
    rollbacks: list[Rollback] = field(default_factory=list)
    strikes: dict[str, list[int]] = field(default_factory=dict)
    """Utterance -> numbers of the micro-batches in which it was found guilty."""
    quarantine: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Utterance -> the update and the cause."""
    attempts: int = 0
    """Updates that were tried, refused ones included."""
    refused: list[int] = field(default_factory=list)
    """Numbers of the newest attempts that were refused, since the last rollback."""
    refused_in_a_row: int = 0
    last_trouble: int = 0
    """Number of the newest update that was refused or lost a micro-batch."""
    proven: int | None = None
    """Update of the newest checkpoint that counts as healthy."""
    candidates: list[int] = field(default_factory=list)
    """Updates of checkpoints that are not proven yet."""
    searched_in_vain: int = -SEARCH_PAUSE
    """The newest attempt whose search for the guilty found no single utterance."""
    watch: LossWatch = field(default_factory=LossWatch)

    # --- what a run is told to do differently

    def rate(self, update: int, scheduled: float, warmup_updates: int) -> float:
        """The learning rate of an update under the overrides, from that of the schedule."""
        if self.rewarm_from is None:
            return scheduled * self.rate_factor
        length = max(1, min(REWARM_UPDATES, warmup_updates))
        return scheduled * self.rate_factor * min(1.0, max(1, update - self.rewarm_from) / length)

    def overrides(self) -> str:
        """The overrides in words; empty without one."""
        said = {"learning rate": self.rate_factor, "clip": self.clip_factor, "mel weight": self.mel_factor}
        return ", ".join(f"{name} x {factor:.3g}" for name, factor in said.items() if factor != 1.0)

    # --- what happened

    def applied(self, update: int, loss: float, *, clean: bool) -> None:
        """An update was made; `clean` if none of its micro-batches was dropped."""
        self.attempts += 1
        self.refused_in_a_row = 0
        if not clean:
            self.last_trouble = update
        self.watch.observe(loss)
        while self.candidates and update >= self.candidates[0] + CLEAN_UPDATES:
            candidate = self.candidates.pop(0)
            if self.last_trouble <= candidate:
                self.proven = candidate

    @property
    def may_search(self) -> bool:
        """Whether a search for the guilty is worth its time."""
        return self.attempts >= self.searched_in_vain + SEARCH_PAUSE

    def refuse(self, update: int) -> None:
        """Update number `update` was refused."""
        self.attempts += 1
        self.refused_in_a_row += 1
        self.last_trouble = update
        self.refused = [a for a in self.refused if a > self.attempts - SHARE_WINDOW] + [self.attempts]

    def add_candidate(self, update: int) -> bool:
        """A checkpoint is saved that may prove healthy; whether it was none before."""
        if update in self.candidates or update == self.proven:
            return False
        self.candidates.append(update)
        return True

    def kept(self) -> set[int]:
        """Updates whose checkpoints must not be pruned."""
        return {*self.candidates, *(() if self.proven is None else (self.proven,))}

    def strike(self, utterances: Iterable[str], micro_batch: int, update: int, cause: str) -> list[str]:
        """Count a strike for each; returns those that go into quarantine by it."""
        new: list[str] = []
        for name in utterances:
            numbers = self.strikes.setdefault(name, [])
            if name in self.quarantine or micro_batch in numbers:
                continue
            numbers.append(micro_batch)
            if len(numbers) >= STRIKES:
                self.quarantine[name] = {"update": update, "cause": cause}
                new.append(name)
        return new

    # --- the ladder

    def trouble(self) -> str:
        """Why the run must go back, in words; empty if it need not."""
        if self.refused_in_a_row >= SKIPS_IN_A_ROW:
            return f"{self.refused_in_a_row} updates in a row had to be refused"
        if len(self.refused) > SHARE * SHARE_WINDOW:
            return f"{len(self.refused)} of the last {min(self.attempts, SHARE_WINDOW)} updates had to be refused"
        return self.watch.trouble()

    def next_rung(self, update: int) -> int:
        """The rung that trouble at `update` climbs to.

        It is the same trouble if it comes soon after a rollback, or before any later checkpoint has proved healthy.
        """
        if not self.rollbacks:
            return FIRST_ROLLBACK
        last = self.rollbacks[-1]
        again = update - last.to_update <= AGAIN_UPDATES or self.proven == last.to_update
        return min(GIVE_UP, last.rung + 1) if again else FIRST_ROLLBACK

    def roll_back(self, rollback: Rollback, watch: LossWatch) -> None:
        """Take a rung: its overrides and those before it hold from now on.

        `watch` is that of the update gone back to.
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
        self.refused, self.refused_in_a_row = [], 0
        self.candidates = []
        self.proven = self.last_trouble = rollback.to_update
        self.watch = watch

    # --- in a checkpoint

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        rollbacks = [asdict(r) for r in self.rollbacks]
        return {"format": 1, **plain, "rollbacks": rollbacks, "watch": self.watch.to_json()}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Recovery:
        """What `to_json` gave. Raises CheckpointError for what it did not give."""
        try:
            found = cls(**{name: state[name] for name in _PLAIN})
            found.rollbacks = [Rollback(**r) for r in state["rollbacks"]]
            found.watch = LossWatch.from_json(state["watch"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"the ladder's state is damaged ({type(error).__name__}: {str(error)[:80]!r}); take an older checkpoint"
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
    "refused",
    "refused_in_a_row",
    "last_trouble",
    "proven",
    "candidates",
    "searched_in_vain",
)
