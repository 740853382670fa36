"""Voices as a model conditions on them, and their means. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from myxtts.errors import NonFiniteError
from myxtts.models.prosody import FloatArray

_SMALLEST_NORM = 1e-3


@dataclass(frozen=True, eq=False)
class Voice:
    """Speaker embedding float32[E] of unit length, and style float32[Y]."""

    voice_E: FloatArray
    style_Y: FloatArray


def mean_voice(voices: Sequence[Voice], weights: Sequence[float] | None = None) -> Voice:
    """The mean of some voices, its embedding scaled to unit length; `weights` over 0, None for equal ones.

    Raises ValueError for no voices or voices that cancel out, NonFiniteError.
    """
    if not voices:
        raise ValueError("no voices to average")
    voice_E = _mean([voice.voice_E for voice in voices], weights)
    norm = float(np.linalg.norm(voice_E))
    if not np.isfinite(norm):
        raise NonFiniteError("the model computed a voice that is not finite; use another checkpoint")
    if norm <= _SMALLEST_NORM:
        raise ValueError("the voices cancel each other out")
    style_Y = _mean([voice.style_Y for voice in voices], weights)
    return Voice((voice_E / norm).astype(np.float32), style_Y.astype(np.float32))


def _mean(rows: Sequence[FloatArray], weights: Sequence[float] | None) -> npt.NDArray[np.float64]:
    stacked = np.stack(rows)
    if weights is None:
        plain: npt.NDArray[np.float64] = stacked.mean(axis=0, dtype=np.float64)
        return plain
    weighted: npt.NDArray[np.float64] = np.average(stacked.astype(np.float64), axis=0, weights=weights)
    return weighted
