"""The compiled loops of the pitch tracker against the same in NumPy, bit by bit."""

from __future__ import annotations

import numpy as np

from myxtts.audio import pitch_search

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

    normalized = (correlation / np.maximum(correlation[:, :1], np.float32(1e-12)) / window).astype(np.float64)
    before, here, after = (normalized[:, FIRST + d : LAGS - 1 + d] for d in (-1, 0, 1))
    is_peak = (here > before) & (here >= after) & (here > 0.2)
    shift = np.where(is_peak, 0.5 * (after - before) / np.where(is_peak, 2.0 * here - before - after, 1.0), 0.0)
    height = here + 0.25 * (after - before) * shift
    lag = np.arange(FIRST, LAGS - 1) + shift
    is_peak &= lag >= LEAST_LAG
    assert found == is_peak.sum() > FRAMES
    assert np.array_equal(ends, np.cumsum(is_peak.sum(axis=1)))
    assert np.array_equal(lags[:found], lag[is_peak])
    assert np.array_equal(heights[:found], np.where(height > 1.0, 1.0 / np.maximum(height, 1e-9), height)[is_peak])


def test_the_strongest_are_sorted_and_of_equal_ones_the_first_comes_first() -> None:
    counts = np.array([0, 1, 5, 30, 4])
    strengths = np.round(RANDOM.normal(size=counts.sum()), 1)
    hz = RANDOM.uniform(60.0, 600.0, counts.sum())
    hz_MX, strength_MX = np.zeros([5, 4]), np.full([5, 4], -np.inf)
    pitch_search.strongest(strengths, hz, np.cumsum(counts), hz_MX, strength_MX)
    for m, end in enumerate(np.cumsum(counts)):
        own = np.arange(end - counts[m], end)
        order = own[np.argsort(-strengths[own], kind="stable")][:4]
        assert np.array_equal(strength_MX[m, : len(order)], strengths[order])
        assert np.array_equal(hz_MX[m, : len(order)], hz[order])
        assert np.all(hz_MX[m, len(order) :] == 0.0) and np.all(np.isneginf(strength_MX[m, len(order) :]))


def test_the_best_path_is_that_of_the_plain_search() -> None:
    octaves = np.log2(RANDOM.uniform(60.0, 600.0, [300, 5]))
    octaves[:, 0] = np.nan
    strength = RANDOM.uniform(0.0, 1.0, [300, 5])
    missing = RANDOM.random([300, 5]) < 0.3
    missing[:, 0] = False
    octaves[missing], strength[missing] = np.nan, -np.inf
    assert np.array_equal(pitch_search.best_path(octaves, strength, 0.3, 0.1), plain_path(octaves, strength, 0.3, 0.1))


def plain_path(octaves: np.ndarray, strength: np.ndarray, jump_cost: float, voicing_cost: float) -> list[int]:
    voiced = ~np.isnan(octaves)
    score, came_from = strength[0], []
    for m in range(1, len(octaves)):
        jump = jump_cost * np.abs(octaves[m - 1][:, None] - octaves[m])
        change = (voiced[m - 1][:, None] != voiced[m]) * voicing_cost
        reached = score[:, None] - np.where(voiced[m - 1][:, None] & voiced[m], jump, change)
        came_from.append(reached.argmax(axis=0))
        score = reached.max(axis=0) + strength[m]
    path = [int(score.argmax())]
    for back in reversed(came_from):
        path.append(int(back[path[-1]]))
    return path[::-1]
