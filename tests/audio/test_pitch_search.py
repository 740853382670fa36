"""The compiled loops of the pitch tracker against the same in NumPy, bit by bit."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from myxtts.audio import pitch, pitch_plain, pitch_search
from myxtts.config.schema import AudioConfig

RANDOM = np.random.default_rng(4)
FRAMES, LAGS, FIRST, LEAST_LAG = 40, 120, 9, 9.3


def test_peaks_are_those_of_the_whole_array() -> None:
    correlation = RANDOM.normal(size=[FRAMES, LAGS]).astype(np.float32)
    correlation[4, 20:30] = 0.9  # equal neighbours
    correlation[:, 0] = 2.0
    correlation[3] = 0.0  # a silent frame
    window = np.linspace(1.0, 0.4, LAGS, dtype=np.float32)
    heights, lags, ends = np.empty(FRAMES * LAGS), np.empty(FRAMES * LAGS), np.zeros(FRAMES, np.int64)
    found = pitch_search.peaks(correlation, window, FIRST, 0.2, LEAST_LAG, heights, lags, ends)

    plain_heights, plain_lags, plain_ends = np.empty_like(heights), np.empty_like(lags), np.zeros_like(ends)
    arguments = (correlation, window, FIRST, 0.2, LEAST_LAG, plain_heights, plain_lags, plain_ends)
    assert found == pitch_plain.peaks(*arguments) > FRAMES
    assert np.array_equal(ends, plain_ends)
    assert np.array_equal(lags[:found], plain_lags[:found])
    assert np.array_equal(heights[:found], plain_heights[:found])


def test_the_strongest_are_sorted_and_of_equal_ones_the_first_comes_first() -> None:
    counts = np.array([0, 1, 5, 30, 4])
    strengths = np.round(RANDOM.normal(size=counts.sum()), 1)
    hz = RANDOM.uniform(60.0, 600.0, counts.sum())
    made = []
    for loops in (pitch_search, pitch_plain):
        hz_MX, strength_MX = np.zeros([5, 4]), np.full([5, 4], -np.inf)
        loops.strongest(strengths, hz, np.cumsum(counts), hz_MX, strength_MX)
        made.append((hz_MX, strength_MX))
        assert np.all(hz_MX[0] == 0.0) and np.all(np.isneginf(strength_MX[0]))
        assert np.all(np.diff(strength_MX[3]) <= 0.0) and strength_MX[3, 0] == strengths[6:36].max()
    assert all(np.array_equal(a, b) for a, b in zip(*made, strict=True))


def test_the_best_path_is_that_of_the_plain_search() -> None:
    octaves = np.log2(RANDOM.uniform(60.0, 600.0, [300, 5]))
    octaves[:, 0] = np.nan
    strength = RANDOM.uniform(0.0, 1.0, [300, 5])
    missing = RANDOM.random([300, 5]) < 0.3
    missing[:, 0] = False
    octaves[missing], strength[missing] = np.nan, -np.inf
    assert np.array_equal(
        pitch_search.best_path(octaves, strength, 0.3, 0.1), pitch_plain.best_path(octaves, strength, 0.3, 0.1)
    )


def test_a_recording_has_the_same_pitch_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    time = np.arange(22_050) / 22_050
    samples = (0.3 * np.sin(2 * np.pi * (150 + 40 * time) * time) * (time % 0.3 < 0.2)).astype(np.float32)
    compiled = pitch.track(samples, AudioConfig())
    monkeypatch.delitem(sys.modules, "numba")
    assert np.array_equal(pitch.track(samples, AudioConfig()), compiled) and compiled.any()
