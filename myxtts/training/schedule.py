"""Learning rate and alignment prior as closed forms of the update number, scanned before a run starts.

Updates count from 1: the first update has the rate of update 1. Nothing here depends on the number of epochs, so a
run can be extended without changing its earlier updates.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from myxtts.config.schema import OptimizerConfig, ScheduleConfig
from myxtts.errors import ConfigError

_LEAST_RATE = 2.0**-126
"""The smallest normal float32; TensorFlow treats smaller values as 0."""


def warmup_share(update: int, schedule: ScheduleConfig) -> float:
    """Share of the full rate during the warmup: update / warmup_updates, at most 1."""
    return 1.0 if schedule.warmup_updates == 0 else min(1.0, update / schedule.warmup_updates)


def _constant(after: int, schedule: ScheduleConfig) -> float:
    return 1.0


def _inverse_sqrt(after: int, schedule: ScheduleConfig) -> float:
    warm = max(1, schedule.warmup_updates)
    return math.sqrt(warm / (warm + after))


def _cosine_share(progress: float, floor: float) -> float:
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def _cosine(after: int, schedule: ScheduleConfig) -> float:
    return _cosine_share(after / schedule.decay_updates, schedule.floor_share)


def _cosine_restarts(after: int, schedule: ScheduleConfig) -> float:
    """Warm restarts (SGDR, arXiv 1608.03983, eq. 5) with growing periods, so that the schedule never ends."""
    first, growth = schedule.decay_updates, schedule.restart_growth
    if growth == 1.0:
        return _cosine_share((after % first) / first, schedule.floor_share)
    period = math.floor(math.log1p(after * (growth - 1.0) / first) / math.log(growth) + 1e-12)
    begin = first * (growth**period - 1.0) / (growth - 1.0)
    return _cosine_share((after - begin) / (first * growth**period), schedule.floor_share)


DECAYS: dict[str, Callable[[int, ScheduleConfig], float]] = {
    "constant": _constant,
    "inverse_sqrt": _inverse_sqrt,
    "cosine": _cosine,
    "cosine_restarts": _cosine_restarts,
}


def learning_rate(update: int, optimizer: OptimizerConfig, schedule: ScheduleConfig) -> float:
    """Learning rate of update number `update` (from 1)."""
    after = max(0, update - schedule.warmup_updates)
    return optimizer.learning_rate * warmup_share(update, schedule) * DECAYS[schedule.decay](after, schedule)


def prior_strength(update: int, schedule: ScheduleConfig) -> float:
    """Strength of the aligner's diagonal prior: 1 at the start, 0 from diagonal_prior_updates on."""
    if schedule.diagonal_prior_updates == 0:
        return 0.0
    return max(0.0, 1.0 - (update - 1) / schedule.diagonal_prior_updates)


def adversarial_strength(update: int, schedule: ScheduleConfig) -> float:
    """Factor on the weights of the adversarial terms: 0 up to the start, then rising linearly to 1."""
    after = update - schedule.adversarial_start_updates
    return min(1.0, max(0.0, after / max(1, schedule.adversarial_ramp_updates)))


def critic_learns(update: int, schedule: ScheduleConfig) -> bool:
    """Whether the critic is trained: from one ramp before its terms train the decoder; costs an eighth of a step."""
    return update > schedule.adversarial_start_updates - schedule.adversarial_ramp_updates


def scan(updates: int, optimizer: OptimizerConfig, schedule: ScheduleConfig) -> None:
    """Check before the run starts that the learning rate of every update is finite and positive.

    A rate below the smallest float32 counts as 0, because no weight would change. The last update may have rate 0,
    where a cosine without a floor ends.

    Raises:
        ConfigError: names the update and its learning rate.
    """
    for update in range(1, updates + 1):
        rate = learning_rate(update, optimizer, schedule)
        if not (math.isfinite(rate) and (rate >= _LEAST_RATE or (rate >= 0.0 and update == updates))):
            raise ConfigError(
                f"schedule.decay {schedule.decay!r} gives the learning rate {rate!r} at update {update}: "
                "change schedule.decay_updates, schedule.restart_growth or schedule.floor_share, or raise "
                "optimizer.learning_rate"
            )
