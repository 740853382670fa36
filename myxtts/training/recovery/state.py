"""The state of the ladder: what a run remembers of its trouble, and what follows from it. Numbers alone, no files.

Every decision follows from updates, micro-batches and values, never from the clock: a resumed run takes the same ones
as an unbroken one. The rungs are those of docs/explanation/reliability.md.
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
TOLD_CHANGES = 5
RATE_FACTOR, CLIP_FACTOR, MEL_FACTOR = 0.5, 1.0 / 3.0, 0.5
FIRST_ROLLBACK, LOWER_RATE, LOWER_CLIP, LOWER_MEL, GIVE_UP = 3, 4, 5, 6, 7

_BLOCK, _BLOCKS = 50, 64
_NEWEST = 25
_RISE_SHARE, _RISE_LEAST, _DEVIATIONS = 0.5, 0.3, 5.0
_FIRST, _EXPLODED = 5, 10
_FIRST_RISE_SHARE, _FIRST_RISE_LEAST = 1.5, 1.5
"""An explosion: the median of 10 losses lies this far above those that the model began with."""
_POOL = 8
"""Clips over which it is judged whether single ones are to blame."""


class LossWatch:
    """Tells a loss that diverges: its newest median far above the lowest that it had, or above where it began.

    The lowest is known after the first full block. Before that the losses of the first updates are the measure, so that
    an explosion does not become its own floor; the bar is higher there, for a warmup or a fine-tuning may rise a little
    before it falls.

    How far losses differ by themselves is the mean distance from the median, as it usually is, and not as it was in the
    lowest block: with an easy and a hard corpus a block is lowest where chance gave it one kind of batches alone.
    """

    def __init__(self) -> None:
        self._block: list[float] = []
        self._newest: list[float] = []
        self._lowest: list[tuple[float, float]] = []
        self._first: list[float] = []

    def observe(self, loss: float) -> None:
        """Take in the loss of an accepted update."""
        if len(self._first) < _FIRST and not self._lowest:
            self._first.append(loss)
        self._newest = [*self._newest[-_NEWEST + 1 :], loss]
        self._block.append(loss)
        if len(self._block) == _BLOCK:
            middle = statistics.median(self._block)
            self._lowest.append((middle, trimmed_mean(abs(x - middle) for x in self._block)))
            self._lowest = self._lowest[-_BLOCKS:]
            self._block = []

    def trouble(self) -> str:
        """What is wrong, in words; empty while nothing is."""
        return self._above_lowest() or self._above_first()

    def _above_first(self) -> str:
        if len(self._newest) < _EXPLODED or not self._first:
            return ""
        # the loss may explode within the first updates: no more than twice the lowest of them is taken for the start
        least, next_least = sorted([*self._first, math.inf])[:2]
        start = min(next_least, least + max(abs(least), _FIRST_RISE_LEAST))
        deviation = min(statistics.fmean(abs(x - start) for x in self._first), max(abs(start), _FIRST_RISE_LEAST))
        bar = start + max(_FIRST_RISE_SHARE * abs(start), _FIRST_RISE_LEAST) + _DEVIATIONS * deviation
        now = statistics.median_low(self._newest[-_EXPLODED:])
        return f"the loss diverges: {now:.3g} now, {start:.3g} at the start" if now > bar else ""

    def _above_lowest(self) -> str:
        if not self._lowest or len(self._newest) < _NEWEST:
            return ""
        lowest = min(middle for middle, _ in self._lowest)
        deviation = statistics.median(deviation for _, deviation in self._lowest)
        bar = lowest + max(_RISE_SHARE * abs(lowest), _RISE_LEAST) + _DEVIATIONS * deviation
        now = statistics.median(self._newest)
        return f"the loss diverges: {now:.3g} now, {lowest:.3g} before" if now > bar else ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "block": self._block,
            "newest": self._newest,
            "lowest": [list(x) for x in self._lowest],
            "first": self._first,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> LossWatch:
        """What `to_json` gave."""
        watch = cls()
        watch._block = [float(x) for x in state["block"]]
        watch._newest = [float(x) for x in state["newest"]]
        watch._lowest = [(float(a), float(b)) for a, b in state["lowest"]]
        # older states have no first losses: what they do have of their beginning takes their place
        first = [watch._lowest[0][0]] if watch._lowest else watch._block[:_FIRST]
        watch._first = [float(x) for x in state.get("first", first)]
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
    passed: dict[str, int] = field(default_factory=dict)
    """Utterance with strikes -> micro-batches since the first that it did no harm to."""
    recent: dict[str, bool] = field(default_factory=dict)
    """The newest clips, and whether each was bad alone: what a clip of a small micro-batch is compared with."""
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
    changes: list[str] = field(default_factory=list)
    """Settings that the newest resume with other ones changed, in words, if they bear on learning."""
    changed_at: int = 0
    """Update of that resume."""

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

    # --- what a resume means

    def take_up(self, update: int, changes: Sequence[str], *, ill: bool) -> None:
        """The run is resumed at `update`, with these changes of settings.

        Unless it was in trouble there, it goes back no further: what was trained before is not put at stake by what
        comes after. `ill` is what the signs of health say.
        """
        if changes:
            self.changes, self.changed_at = list(changes), update
        just_back = bool(self.rollbacks) and update - self.rollbacks[-1].to_update < CLEAN_UPDATES
        if not (ill or just_back or self.refused_in_a_row or self.trouble()):
            self.proven = update
            self.candidates = [candidate for candidate in self.candidates if candidate > update]

    def suspects(self, update: int) -> str:
        """Which changed settings may be behind trouble at `update`, in words; empty if none was changed of late."""
        if not self.changes or update - self.changed_at > AGAIN_UPDATES:
            return ""
        more = f" and {len(self.changes) - TOLD_CHANGES} more" if len(self.changes) > TOLD_CHANGES else ""
        return f"changed at the resume from update {self.changed_at}: {', '.join(self.changes[:TOLD_CHANGES])}{more}"

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

    def judge_clips(self, bad: Mapping[str, bool]) -> None:
        """Take in which clips of an update were bad alone, in the order in which they came."""
        for name in self.strikes.keys() & bad.keys():
            self.passed[name] = self.passed.get(name, 0) + (not bad[name])
        older = {name: was for name, was in self.recent.items() if name not in bad}
        self.recent = dict([*older.items(), *bad.items()][-_POOL:])

    def strike(self, utterances: Iterable[str], micro_batch: int, update: int, cause: str) -> list[str]:
        """Count a strike for each; returns those that go into quarantine by it.

        A clip that was harmless as often as not since its first strike stays: it is not what makes updates bad.
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
        plain = {name: getattr(self, name) for name in (*_PLAIN, *_LATER)}
        parts = {"rollbacks": [asdict(r) for r in self.rollbacks], "watch": self.watch.to_json()}
        return {"format": 1, **plain, **parts, "recent": [list(pair) for pair in self.recent.items()]}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Recovery:
        """What `to_json` gave. Raises CheckpointError for what it did not give."""
        try:
            found = cls(**{name: state[name] for name in _PLAIN})
            for name in _LATER:  # older states have none of these
                setattr(found, name, state.get(name, getattr(found, name)))
            found.recent = {str(name): bool(bad) for name, bad in state.get("recent", [])}
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
_LATER = ("passed", "changes", "changed_at")
