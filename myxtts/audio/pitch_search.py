"""Compiled loops of the pitch tracker: the peaks of the autocorrelation, and the best path through the candidates.

Compiled when this module is imported, which takes some seconds the first time and is cached.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from myxtts.compiled import compiled

Array = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


def _peaks(
    correlation_MA: Array,
    window_A: Array,
    first: int,
    least_height: float,
    least_lag: float,
    heights: Float64,
    lags: Float64,
    ends_M: Index,
) -> int:
    """Finds the peaks of autocorrelations; returns their number.

    The vertex of the parabola through a peak and its neighbours gives height and lag with subsample precision.

    Args:
        correlation_MA: autocorrelation of each windowed frame, not normalized.
        window_A: autocorrelation of the window, 1 at lag 0.
        first: first lag that may be a peak; the last one is A - 2.
        least_height: peaks are higher than this before they are refined.
        least_lag: peaks of smaller refined lags do not count.
        heights, lags: get the peaks, those of the first frame first, in the order of their lags.
        ends_M: gets the end of each frame's peaks in them.
    """
    found = 0
    for m in range(correlation_MA.shape[0]):
        energy = max(correlation_MA[m, 0], np.float32(1e-12))
        before = np.float64((correlation_MA[m, first - 1] / energy) / window_A[first - 1])
        here = np.float64((correlation_MA[m, first] / energy) / window_A[first])
        for at in range(first, correlation_MA.shape[1] - 1):
            after = np.float64((correlation_MA[m, at + 1] / energy) / window_A[at + 1])
            if here > before and here >= after and here > least_height:
                shift = 0.5 * (after - before) / (2.0 * here - before - after)
                lag = at + shift
                height = here + 0.25 * (after - before) * shift
                if lag >= least_lag:
                    heights[found] = 1.0 / height if height > 1.0 else height
                    lags[found] = lag
                    found += 1
            before, here = here, after
        ends_M[m] = found
    return found


def _strongest(strengths: Float64, hz: Float64, ends_M: Index, hz_MX: Float64, strength_MX: Float64) -> None:
    """Sorts the X strongest peaks of each frame into rows; of equal ones the first comes first.

    Args:
        strengths, hz: of the peaks, those of the first frame first.
        ends_M: end of each frame's peaks.
        hz_MX, strength_MX: rows that get the candidates; places without one keep what they hold.
    """
    start = 0
    for m in range(len(ends_M)):
        count = 0
        for peak in range(start, ends_M[m]):
            place = count
            while place > 0 and strengths[peak] > strength_MX[m, place - 1]:
                if place < strength_MX.shape[1]:
                    strength_MX[m, place] = strength_MX[m, place - 1]
                    hz_MX[m, place] = hz_MX[m, place - 1]
                place -= 1
            if place < strength_MX.shape[1]:
                strength_MX[m, place] = strengths[peak]
                hz_MX[m, place] = hz[peak]
                count = min(count + 1, strength_MX.shape[1])
        start = ends_M[m]


def _best_path(octaves_MX: Float64, strength_MX: Float64, jump_cost: float, voicing_cost: float) -> Index:
    """The candidate of each frame on the path that maximizes strength minus transition costs, int64[M].

    Args:
        octaves_MX: log2 of the frequencies; NaN where unvoiced.
        strength_MX: strengths; minus infinity where there is no candidate.
        jump_cost: of a change by one octave.
        voicing_cost: of a change between voiced and unvoiced.
    """
    frames, candidates = octaves_MX.shape
    came_from = np.zeros((frames, candidates), np.int8)
    score = strength_MX[0].copy()
    reached = np.empty(candidates)
    for m in range(1, frames):
        for x in range(candidates):
            here = octaves_MX[m, x]
            best, best_from = -np.inf, 0
            for y in range(candidates):
                there = octaves_MX[m - 1, y]
                if np.isnan(here) != np.isnan(there):
                    cost = voicing_cost
                elif np.isnan(here):
                    cost = 0.0
                else:
                    cost = jump_cost * abs(there - here)
                if score[y] - cost > best:
                    best, best_from = score[y] - cost, y
            came_from[m, x] = best_from
            reached[x] = best + strength_MX[m, x]
        score[:] = reached
    path = np.empty(frames, np.int64)
    path[-1] = np.argmax(score)
    for m in range(frames - 1, 0, -1):
        path[m - 1] = came_from[m, path[m]]
    return path


peaks = compiled(_peaks, "i8(f4[:,:], f4[:], i8, f8, f8, f8[:], f8[:], i8[:])", error_model="numpy")
strongest = compiled(_strongest, "void(f8[:], f8[:], i8[:], f8[:,:], f8[:,:])", error_model="numpy")
best_path = compiled(_best_path, "i8[:](f8[:,:], f8[:,:], f8, f8)", error_model="numpy")
