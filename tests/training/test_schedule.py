"""The learning rate and the prior as closed forms, against walking through the run step by step."""

from __future__ import annotations

import math
from typing import Any

import pytest

from myxtts.config.schema import OptimizerConfig, ScheduleConfig
from myxtts.errors import ConfigError
from myxtts.training import schedule

OPTIMIZER = OptimizerConfig(learning_rate=2e-3)


def rate(update: int, **settings: Any) -> float:
    return schedule.learning_rate(update, OPTIMIZER, ScheduleConfig(**settings))


def test_the_warmup_ends_exactly_at_its_update() -> None:
    basic = {"warmup_updates": 3_000, "decay": "constant"}
    assert rate(1, **basic) == pytest.approx(2e-3 / 3_000)
    assert rate(1_500, **basic) == pytest.approx(1e-3)
    assert rate(2_999, **basic) < 2e-3 and rate(3_000, **basic) == 2e-3 == rate(3_001, **basic) == rate(10**6, **basic)
    assert rate(1, warmup_updates=0, decay="constant") == 2e-3


def test_inverse_root() -> None:
    settings = {"warmup_updates": 200, "decay": "inverse_sqrt"}
    assert rate(200, **settings) == 2e-3
    assert rate(800, **settings) == pytest.approx(1e-3) and rate(20_000, **settings) == pytest.approx(2e-4)


def test_cosine() -> None:
    settings = {"warmup_updates": 10, "decay": "cosine", "decay_updates": 100, "floor_share": 0.1}
    assert rate(10, **settings) == 2e-3
    assert rate(60, **settings) == pytest.approx(2e-3 * 0.55)
    assert rate(110, **settings) == pytest.approx(2e-4) == rate(10**6, **settings)


def test_the_critic_trains_the_decoder_from_its_start_on() -> None:
    settings = ScheduleConfig(adversarial_start_updates=100, adversarial_ramp_updates=50)
    shares = [schedule.adversarial_strength(update, settings) for update in (1, 100, 101, 125, 150, 10**6)]
    assert shares == [0.0, 0.0, 0.02, 0.5, 1.0, 1.0]
    at_once = ScheduleConfig(adversarial_start_updates=0, adversarial_ramp_updates=0)
    assert schedule.adversarial_strength(1, at_once) == 1.0


def test_the_critic_is_trained_from_one_ramp_earlier() -> None:
    settings = ScheduleConfig(adversarial_start_updates=100, adversarial_ramp_updates=30)
    assert [schedule.critic_learns(update, settings) for update in (1, 70, 71, 100)] == [False, False, True, True]
    for start, ramp in ((0, 0), (0, 1000), (10, 1000)):
        early = ScheduleConfig(adversarial_start_updates=start, adversarial_ramp_updates=ramp)
        assert schedule.critic_learns(1, early), "the decoder is never trained by an untrained critic"


@pytest.mark.parametrize("growth", [1.0, 1.5, 2.0, 10.0])
@pytest.mark.parametrize("first", [1, 7, 100])
def test_restarts_against_a_step_by_step_computation(growth: float, first: int) -> None:
    settings = {"warmup_updates": 5, "decay": "cosine_restarts", "decay_updates": first, "restart_growth": growth}
    begin, length = 0.0, float(first)
    for after in range(3_000):
        while after >= begin + length * (1.0 - 1e-12):
            begin, length = begin + length, length * growth
        share = min(1.0, max(0.0, (after - begin) / length))
        expected = 2e-3 * (0.05 + 0.95 * 0.5 * (1.0 + math.cos(math.pi * share)))
        assert rate(5 + after, **settings) == pytest.approx(expected, rel=1e-6), after


def test_restarts_stay_finite_over_a_million_updates() -> None:
    """Keras's own schedule gave NaN after 31,500 updates."""
    for growth in (1.0, 1.000001, 1.5, 10.0):
        settings = ScheduleConfig(
            warmup_updates=100, decay="cosine_restarts", decay_updates=2_000, restart_growth=growth
        )
        for update in [*range(1, 1_000_001, 997), 1_000_000, 10**9]:
            found = schedule.learning_rate(update, OPTIMIZER, settings)
            assert 0.0 < found <= 2e-3 and math.isfinite(found)


def test_the_diagonal_prior_fades() -> None:
    settings = ScheduleConfig(diagonal_prior_updates=400)
    assert schedule.prior_strength(1, settings) == 1.0 and schedule.prior_strength(201, settings) == 0.5
    assert schedule.prior_strength(401, settings) == 0.0 == schedule.prior_strength(10**6, settings)
    assert schedule.prior_strength(1, ScheduleConfig(diagonal_prior_updates=0)) == 0.0


def test_nothing_depends_on_the_length_of_the_run() -> None:
    for decay in schedule.DECAYS:
        schedule.scan(50, OPTIMIZER, ScheduleConfig(decay=decay, warmup_updates=5))


def test_a_cosine_may_end_at_zero_with_the_run() -> None:
    settings = ScheduleConfig(warmup_updates=5, decay="cosine", decay_updates=20, floor_share=0.0)
    assert schedule.learning_rate(25, OPTIMIZER, settings) == 0.0
    schedule.scan(25, OPTIMIZER, settings)
    with pytest.raises(ConfigError, match=r"learning rate 0\.0 at update 25"):
        schedule.scan(26, OPTIMIZER, settings)


def test_an_invalid_rate_stops_the_run_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ScheduleConfig(warmup_updates=5, decay="cosine", decay_updates=20, floor_share=0.0)
    with pytest.raises(ConfigError) as caught:
        schedule.scan(100, OPTIMIZER, settings)
    message = str(caught.value)
    assert "schedule.decay 'cosine' gives the learning rate 0.0 at update 25" in message
    assert "schedule.floor_share" in message and "\n" not in message
    monkeypatch.setitem(schedule.DECAYS, "constant", lambda after, _: math.nan if after > 30 else 1.0)
    with pytest.raises(ConfigError, match="learning rate nan at update 36"):
        schedule.scan(100, OPTIMIZER, ScheduleConfig(warmup_updates=5, decay="constant"))


def test_a_rate_that_vanishes_in_float32_stops_the_run_before_it_starts() -> None:
    with pytest.raises(ConfigError, match=r"learning rate 2.*e-41 at update 1: .*optimizer.learning_rate"):
        schedule.scan(10, OptimizerConfig(learning_rate=2e-38), ScheduleConfig(warmup_updates=1_000))
