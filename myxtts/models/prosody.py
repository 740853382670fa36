"""From predictions to integer frame counts and shifted pitch and energy: NumPy only, no network.

T text tokens. Log-durations are ln(1 + frames), pitch and energy are normalized by the corpus.
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
"""Pitch and energy that reach the decoder, in deviations of the corpus: further out it has learned nothing."""
_LARGEST_LOG_DURATION = 20.0


@dataclass(frozen=True)
class Manner:
    """How a text is spoken.

    speed: 2 is twice as fast. pitch_shift, energy_shift: in deviations of the corpus (see models.prosody). pitch_range:
    scale of the intonation around its mean, 1 as predicted. seed: of the decoder's noise. temperature:
    deviation of that noise. steps: Euler steps of the flow decoder, None: as in the model's settings. longest_token,
    longest: most frames of a token and of the text, at speed 1.
    """

    speed: float = 1.0
    pitch_shift: float = 0.0
    energy_shift: float = 0.0
    pitch_range: float = 1.0
    seed: int = 1
    temperature: float = 0.667
    steps: int | None = None
    longest_token: int = 129
    longest: int = 5_168


@dataclass(frozen=True)
class Durations:
    """Whole frames of each token, int32[T]; `capped` tokens were predicted longer than is allowed.

    `squeezed`: all tokens were shortened, since their sum exceeded the limit.
    """

    frames_T: IntArray
    capped: int
    squeezed: bool


def round_durations(
    log_duration_T: FloatArray, spoken_T: npt.NDArray[np.bool_], *, speed: float, longest_token: int, longest: int
) -> Durations:
    """Whole frames of the tokens of one sentence.

    The end of each token is rounded, not its length, so that the total stays right to half a frame; it exceeds it only
    where spoken tokens need the one frame that each of them gets.

    Args:
        log_duration_T: predicted ln(1 + frames).
        spoken_T: False for blanks, which may get no frame.
        speed: 2 makes everything half as long.
        longest_token: most frames of a token at speed 1.
        longest: most frames of the sentence at speed 1.

    Errors: NonFiniteError if a prediction is not finite.
    """
    if not np.isfinite(log_duration_T).all():
        at = int(np.flatnonzero(~np.isfinite(log_duration_T))[0])
        raise NonFiniteError(f"the predicted duration of token {at} is {log_duration_T[at]}; take another checkpoint")
    predicted = np.maximum(np.expm1(np.minimum(log_duration_T.astype(np.float64), _LARGEST_LOG_DURATION)), 0.0)
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


def shifted(value_T: FloatArray, shift: float) -> FloatArray:
    """Normalized pitch or energy, moved by `shift` deviations and kept where the decoder knows it, -6 to 6."""
    moved: FloatArray = np.clip(value_T + np.float32(shift), -PROSODY_LIMIT, PROSODY_LIMIT).astype(np.float32)
    return moved


def shift_of_semitones(semitones: float, pitch_std: float) -> float:
    """Semitones in deviations of the corpus's ln F0."""
    return semitones * math.log(2.0) / 12.0 / pitch_std


def shift_of_decibels(decibels: float, energy_std: float) -> float:
    """Decibels in deviations of the corpus's log energy."""
    return decibels * math.log(10.0) / 20.0 / energy_std
