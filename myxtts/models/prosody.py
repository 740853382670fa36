"""Integer durations, and shifts of pitch and energy, from the predictions of a model. NumPy only.

T text tokens. Log-durations are ln(1 + frames); pitch and energy are normalized by the corpus statistics.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from myxtts.errors import NonFiniteError

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]

PROSODY_LIMIT = 6.0
"""Limit of the decoder's pitch and energy, in deviations of the corpus: beyond it there is no training data."""
LARGEST_LOG_DURATION = 20.0
_NOISE_STREAM = 17


@dataclass(frozen=True)
class Durations:
    """Frames of each token, int32[T].

    `capped` tokens were predicted too long and cut; `squeezed`: all were shortened, as their sum exceeded the limit.
    """

    frames_T: IntArray
    capped: int
    squeezed: bool


def round_durations(
    log_duration_T: FloatArray, spoken_T: npt.NDArray[np.bool_], *, speed: float, longest_token: int, longest: int
) -> Durations:
    """Integer durations of the tokens of one sentence.

    The end of each token is rounded, not its length, so that the total is exact to half a frame. It is longer only
    where spoken tokens get the one frame that is their minimum.

    Args:
        log_duration_T: predicted ln(1 + frames).
        spoken_T: False for blanks, which may have no frame.
        speed: 2 halves all durations.
        longest_token: most frames of a token at speed 1.
        longest: most frames of the sentence at speed 1.

    Raises NonFiniteError for a prediction that is not finite.
    """
    if not np.isfinite(log_duration_T).all():
        at = int(np.flatnonzero(~np.isfinite(log_duration_T))[0])
        raise NonFiniteError(f"the predicted duration of token {at} is {log_duration_T[at]}; use another checkpoint")
    predicted = np.maximum(np.expm1(np.minimum(log_duration_T.astype(np.float64), LARGEST_LOG_DURATION)), 0.0)
    capped = int((predicted > longest_token).sum())
    wanted = np.minimum(predicted, longest_token)
    total = float(wanted.sum())
    if total > longest:
        wanted *= longest / total
    end_T = np.floor(np.cumsum(wanted) / speed + 0.5).astype(np.int64)
    frames_T = np.zeros(len(end_T), np.int32)
    at = 0
    for token, end in enumerate(end_T):
        frames_T[token] = max(int(end) - at, int(spoken_T[token]))
        at += int(frames_T[token])
    return Durations(frames_T, capped, total > longest)


def shift_prosody(value_T: FloatArray, shift: float) -> FloatArray:
    """Normalized pitch or energy shifted by `shift` deviations, limited to -PROSODY_LIMIT..PROSODY_LIMIT."""
    shifted: FloatArray = np.clip(value_T + np.float32(shift), -PROSODY_LIMIT, PROSODY_LIMIT).astype(np.float32)
    return shifted


def decoder_noise(seed: int, frames: int, channels: int) -> FloatArray:
    """Noise float32[M, C] of deviation 1 for a flow decoder; fewer frames are the beginning of more."""
    return np.random.default_rng([seed, _NOISE_STREAM]).standard_normal((frames, channels), np.float32)


def semitones_to_deviations(semitones: float, pitch_std: float) -> float:
    """A pitch shift in deviations of the corpus's ln F0."""
    return semitones * math.log(2.0) / 12.0 / pitch_std


def decibels_to_deviations(decibels: float, energy_std: float) -> float:
    """A change of the loudness in deviations of the corpus's log energy."""
    return decibels * math.log(10.0) / 20.0 / energy_std
