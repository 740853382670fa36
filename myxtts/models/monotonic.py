"""Monotonic alignment search: the most likely way to read the tokens in order along the frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from myxtts.compiled import compiled

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]


@compiled
def _search_one(score_TM: FloatArray, skippable_T: IntArray, durations_T: IntArray) -> None:
    tokens, frames = score_TM.shape
    never = np.float32(-1e30)
    best = np.full(tokens, never, dtype=np.float32)
    step_back = np.zeros((frames, tokens), dtype=np.int8)
    best[0] = score_TM[0, 0]
    if tokens > 1 and skippable_T[0]:
        best[1] = score_TM[1, 0]
    for m in range(1, frames):
        for t in range(tokens - 1, -1, -1):
            value, back = best[t], 0
            if t >= 1 and best[t - 1] > value:
                value, back = best[t - 1], 1
            if t >= 2 and skippable_T[t - 1] and best[t - 2] > value:
                value, back = best[t - 2], 2
            best[t] = value + score_TM[t, m] if value > never else never
            step_back[m, t] = back
    t = tokens - 1
    if tokens > 1 and skippable_T[t] and best[t - 1] > best[t]:
        t -= 1
    for m in range(frames - 1, -1, -1):
        durations_T[t] += 1
        t -= step_back[m, t]


@compiled
def _search(score: FloatArray, text_length: IntArray, mel_length: IntArray, skippable: IntArray) -> IntArray:
    durations = np.zeros(skippable.shape, dtype=np.int32)
    for b in range(score.shape[0]):
        t, m = text_length[b], mel_length[b]
        _search_one(score[b, :t, :m], skippable[b, :t], durations[b, :t])
    return durations


def search(score_BTM: FloatArray, text_length_B: IntArray, mel_length_B: IntArray, skippable_BT: IntArray) -> IntArray:
    """Durations of the most likely monotonic path.

    Every token gets at least one frame, but a skippable one (a blank) may get none.

    Args:
        score_BTM: log-likelihood of frame m under token t, finite.
        text_length_B: tokens of each row, at least 1.
        mel_length_B: frames of each row, at least the tokens that cannot be skipped.
        skippable_BT: 1 where a token may have no frame; never two neighbours.

    Returns:
        (B, T) int32 frames of each token; each row sums to its mel_length.

    Source: Glow-TTS, arXiv 2005.11129, algorithm 1. Differs: skips as in the topology of CTC (Graves 2006).
    """
    durations: IntArray = _search(score_BTM, text_length_B, mel_length_B, skippable_BT)
    return durations
