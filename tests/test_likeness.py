"""Cosines and equal error rate, worked out by hand and against chance."""

import numpy as np
import pytest

from myxtts.likeness import compared, equal_error_rate


@pytest.mark.parametrize(
    ("same", "other", "rate"),
    [
        ([0.9, 0.8], [0.1, 0.2, 0.3], 0.0),
        ([0.1], [0.9], 1.0),
        ([0.2, 0.8], [0.1, 0.5], 0.5),
        ([0.4, 0.6, 0.8, 0.9], [0.1, 0.2, 0.3, 0.5], 0.25),
        ([0.5, 0.5], [0.5, 0.5], 0.5),
    ],
)
def test_rates_by_hand(same: list[float], other: list[float], rate: float) -> None:
    assert equal_error_rate(same, other) == pytest.approx(rate)


def test_chance_is_a_half_and_two_bells_are_as_the_textbook_says() -> None:
    random = np.random.default_rng(1)
    assert equal_error_rate(random.normal(size=4_000), random.normal(size=9_000)) == pytest.approx(0.5, abs=0.02)
    found = equal_error_rate(random.normal(2.0, 1.0, 20_000), random.normal(0.0, 1.0, 20_000))
    assert found == pytest.approx(0.1587, abs=0.01)  # the normal distribution's tail beyond one deviation


def test_voices_in_pairs() -> None:
    east, north = np.eye(3, dtype=np.float32)[:2]
    middle = (0.8 * east + 0.6 * north).astype(np.float32)
    found = compared(np.stack([east, middle, north, north]), ["a", "a", "b", "b"])
    assert found is not None and found.speakers == 2
    assert found.same == pytest.approx(0.9) and found.other == pytest.approx(0.3)
    assert found.equal_error_rate == 0.0
    assert compared(np.stack([east, north]), ["a", "b"]) is None
    assert compared(np.stack([east, north]), ["a", "a"]) is None
