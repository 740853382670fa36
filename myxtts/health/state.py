"""The figures by which a run is judged; their size does not grow with the length of the run."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from myxtts.errors import CheckpointError
from myxtts.figures import finite_number, short_text, update_number

WINDOW_UPDATES = 100
"""Means and medians are taken over this many updates; nothing is judged earlier."""
FIRST_LOSSES = 5
"""Losses of the first updates, the reference for an explosion until there are others."""
SKIP_SHARE_UPDATES = 200
BLOCK_UPDATES = 50
_MAX_BLOCKS = 128
_TRIMMED_SHARE = 0.1
_LARGEST = 1e39
"""Above every float32, and small enough for sums."""

Point = tuple[int, float]
"""An update and a figure measured at it."""


def trimmed_mean(losses: Iterable[float]) -> float:
    """Mean without the highest and the lowest tenth, of at least one loss.

    Robust to single peaks, and less noisy than a median when small batches come from an easy or a hard corpus.
    """
    ordered = sorted(losses)
    trimmed = int(_TRIMMED_SHARE * len(ordered))
    return statistics.fmean(ordered[trimmed : len(ordered) - trimmed])


def _window() -> deque[float]:
    return deque(maxlen=WINDOW_UPDATES)


def _skips() -> deque[int]:
    return deque(maxlen=SKIP_SHARE_UPDATES)


@dataclass(frozen=True)
class Trend:
    """Loss now and around the update `then_update`; `noise` is the standard error of their difference."""

    now: float
    then_update: int
    then: float
    noise: float


@dataclass
class State:
    """The figures of a run at its newest update."""

    update: int = 0
    seen: int = 0
    """Observed updates, skipped ones included."""
    losses: deque[float] = field(default_factory=_window)
    norms: deque[float] = field(default_factory=_window)
    waits: deque[float] = field(default_factory=_window)
    clip_norm: float | None = None
    first_norm: float | None = None
    """Median of the first window, if the run was observed from its start."""
    first: list[float] = field(default_factory=list)
    """Losses of the first updates, or of the first after the loss function changed."""
    block: list[float] = field(default_factory=list)
    blocks: list[Point] = field(default_factory=list)
    """Trimmed mean loss of blocks of updates: of every block, later of every second, fourth and so on."""
    block_number: int = 0
    stride: int = 1
    skips: deque[int] = field(default_factory=_skips)
    skips_in_a_row: int = 0
    skips_total: int = 0
    not_finite_update: int | None = None
    best: Point | None = None
    """The best validation by the rule of the run (signs.BestRule)."""
    newest_validation: Point | None = None
    newest_total: Point | None = None
    validations_since_best: int = 0
    voices: Point | None = None
    voices_seen: int = 0
    voice_means: tuple[float, float] | None = None
    """Mean cosine of two recordings of one speaker and of two speakers, at the validation of `voices`."""
    voices_of: tuple[int, int] | None = None
    """How many speakers these are, and how many of them are unseen."""
    people: int | None = None
    """Training speakers; None if not known."""

    def start(self) -> float | None:
        """The loss at the start of the run, None until it is known: the lowest of the first losses.

        An explosion among them would otherwise raise its own reference.
        """
        return min(self.first) if self.first else None

    def keep_block(self, loss: float) -> None:
        """Keep the mean of every block of updates, of every second block once there are many, and so on."""
        self.block.append(loss)
        if len(self.block) < BLOCK_UPDATES:
            return
        if self.block_number % self.stride == 0:
            self.blocks.append((self.update, trimmed_mean(self.block)))
        self.block_number += 1
        self.block.clear()
        if len(self.blocks) > _MAX_BLOCKS:
            self.blocks = self.blocks[::2]
            self.stride *= 2

    def trend(self) -> Trend | None:
        """The loss of the newest quarter of the run against that of the quarter around its middle.

        The newest part is at least the window, the earlier one at least three blocks outside the newest window. None
        without such a block.
        """
        before = [block for block in self.blocks if block[0] <= self.update - WINDOW_UPDATES]
        near = sorted(before, key=lambda block: abs(block[0] - self.update / 2))
        near = near[: max(3, sum(abs(update - self.update / 2) <= self.update / 8 for update, _ in near))]
        if not near or not self.losses:  # no run saves blocks without losses
            return None
        newest = [loss for update, loss in self.blocks if update > 0.75 * self.update]
        if len(newest) * BLOCK_UPDATES <= WINDOW_UPDATES:
            now, taken = trimmed_mean(self.losses), WINDOW_UPDATES
        else:
            now, taken = statistics.fmean(newest), len(newest) * BLOCK_UPDATES
        parts = 1 / taken + 1 / (len(near) * BLOCK_UPDATES)
        then = statistics.fmean(loss for _, loss in near)
        return Trend(now, near[0][0], then, statistics.pstdev(self.losses) * math.sqrt(parts))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for a checkpoint."""
        return {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> State:
        """The state that `to_json` returned. Raises CheckpointError for anything else."""
        state = cls()
        try:
            for name in _NUMBERS:
                setattr(state, name, _natural(given[name]))
            for name in _LISTS:
                getattr(state, name).extend(_float(value) for value in given[name])
            state.skips.extend(_natural(update) for update in given["skips"])
            state.blocks = [(_natural(update), _float(value)) for update, value in given["blocks"]]
            for name in _POINTS:
                setattr(state, name, _point(given[name]))
            state.clip_norm = _float_or_none(given["clip_norm"])
            not_finite = given["not_finite_update"]
            state.not_finite_update = None if not_finite is None else _natural(not_finite)
            state.first_norm = _float_or_none(given["first_norm"])
            means, of, people = given["voice_means"], given["voices_of"], given["people"]
            state.voice_means = None if means is None else (_float(means[0]), _float(means[1]))
            state.voices_of = None if of is None else (_natural(of[0]), _natural(of[1]))
            state.people = None if people is None else _natural(people)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"health state of the checkpoint is damaged ({type(error).__name__}: {str(error)[:80]!r}); "
                "take an older checkpoint"
            ) from error
        if state.stride < 1:
            raise CheckpointError(f"health state of the checkpoint has stride {state.stride}; take an older checkpoint")
        return state


_NUMBERS = (
    "update",
    "seen",
    "block_number",
    "stride",
    "skips_in_a_row",
    "skips_total",
    "validations_since_best",
    "voices_seen",
)
_LISTS = ("losses", "norms", "waits", "first", "block")
_POINTS = ("best", "newest_validation", "voices", "newest_total")


def _plain(value: Any) -> Any:
    """Tuples and windows as lists."""
    return [_plain(one) for one in value] if isinstance(value, tuple | list | deque) else value


def _point(value: Any) -> Point | None:
    if value is None:
        return None
    update, measured = value
    return _natural(update), _float(measured)


def _float_or_none(value: Any) -> float | None:
    return None if value is None else _float(value)


def _float(value: Any) -> float:
    number = finite_number(value, _LARGEST)
    if number is None:
        raise ValueError(f"{short_text(value, 40)} is not a finite number")
    return number


def _natural(value: Any) -> int:
    if (number := update_number(value)) is None:
        raise ValueError(f"{short_text(value, 40)} is not a whole number")
    return number
