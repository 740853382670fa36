"""The loops of pitch_search in NumPy, bit-exact: slower, but without the import of numba and its compiler, which take
longer than the pitch of one recording."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


def peaks(
    correlation_MA: Array,
    window_A: Array,
    first: int,
    least_height: float,
    least_lag: float,
    heights: Float64,
    lags: Float64,
    ends_M: Index,
) -> int:
    """As pitch_search.peaks."""
    energy_M1 = np.maximum(correlation_MA[:, :1], np.float32(1e-12))
    normalized = (correlation_MA / energy_M1 / window_A[: correlation_MA.shape[1]]).astype(np.float64)
    last = normalized.shape[1] - 1
    before, here, after = (normalized[:, first + d : last + d] for d in (-1, 0, 1))
    is_peak = (here > before) & (here >= after) & (here > least_height)
    shift = np.where(is_peak, 0.5 * (after - before) / np.where(is_peak, 2.0 * here - before - after, 1.0), 0.0)
    height = here + 0.25 * (after - before) * shift
    lag = np.arange(first, last) + shift
    is_peak &= lag >= least_lag
    found = int(is_peak.sum())
    ends_M[:] = np.cumsum(is_peak.sum(axis=1))
    lags[:found] = lag[is_peak]
    heights[:found] = np.where(height > 1.0, 1.0 / np.maximum(height, 1e-9), height)[is_peak]
    return found


def strongest(strengths: Float64, hz: Float64, ends_M: Index, hz_MX: Float64, strength_MX: Float64) -> None:
    """As pitch_search.strongest."""
    start = 0
    for m, end in enumerate(ends_M):
        order = start + np.argsort(-strengths[start:end], kind="stable")[: strength_MX.shape[1]]
        strength_MX[m, : len(order)], hz_MX[m, : len(order)] = strengths[order], hz[order]
        start = end


def best_path(octaves_MX: Float64, strength_MX: Float64, jump_cost: float, voicing_cost: float) -> Index:
    """As pitch_search.best_path."""
    voiced_MX = ~np.isnan(octaves_MX)
    score, columns = strength_MX[0], np.arange(strength_MX.shape[1])
    came_from = np.zeros(strength_MX.shape, np.int64)
    for m in range(1, len(octaves_MX)):
        jump = jump_cost * np.abs(octaves_MX[m - 1][:, None] - octaves_MX[m])
        change = (voiced_MX[m - 1][:, None] != voiced_MX[m]) * voicing_cost
        reached = score[:, None] - np.where(voiced_MX[m - 1][:, None] & voiced_MX[m], jump, change)
        came_from[m] = reached.argmax(axis=0)
        score = reached[came_from[m], columns] + strength_MX[m]
    path = np.empty(len(octaves_MX), np.int64)
    path[-1] = score.argmax()
    for m in range(len(octaves_MX) - 1, 0, -1):
        path[m - 1] = came_from[m, path[m]]
    return path
