"""How well voices tell speakers apart: cosines of the same and of other speakers, and the equal error rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Separation:
    """Mean cosines of pairs of recordings by the same and by other speakers, and the equal error rate, 0 to 1.

    None where there is no such pair.
    """

    same_mean: float | None
    other_mean: float | None
    equal_error_rate: float | None
    same_pairs: int
    other_pairs: int


def cosine(one_E: FloatArray, other_E: FloatArray) -> float:
    """Cosine similarity of two voices, -1 to 1. Raises ValueError for one without a direction."""
    one, other = np.asarray(one_E, np.float64), np.asarray(other_E, np.float64)
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    if not np.isfinite(length) or length <= 0.0:
        raise ValueError("a voice of length zero, or not finite")
    return float(one @ other / length)


def separation(voice_NE: FloatArray, speakers: Sequence[str]) -> Separation:
    """Figures over all pairs of N recordings, each with its voice and the name of its speaker."""
    voices = np.asarray(voice_NE, np.float64)
    if voices.ndim != 2 or len(voices) != len(speakers):
        raise ValueError(f"voices of shape {voices.shape} and {len(speakers)} speakers")
    units = voices / np.linalg.norm(voices, axis=1, keepdims=True)
    rows, columns = np.triu_indices(len(units), k=1)
    names = np.asarray(speakers)
    return separated((units @ units.T)[rows, columns], names[rows] == names[columns])


def separated(cosine_P: npt.ArrayLike, same_P: npt.ArrayLike) -> Separation:
    """Figures over pairs: the cosine of each, and whether both are of one speaker."""
    cosines, is_same = np.asarray(cosine_P, np.float64), np.asarray(same_P, bool)
    if not np.isfinite(cosines).all():
        raise ValueError("cosines that are not finite")
    same, other = cosines[is_same], cosines[~is_same]
    rate = equal_error_rate(same, other) if len(same) and len(other) else None
    return Separation(
        float(same.mean()) if len(same) else None,
        float(other.mean()) if len(other) else None,
        rate,
        len(same),
        len(other),
    )


def equal_error_rate(same_P: npt.ArrayLike, other_P: npt.ArrayLike) -> float:
    """The share of errors, 0 to 1, at the threshold that refuses as many same pairs as it accepts other pairs.

    0: one threshold parts them; 0.5: no better than a coin. Between two thresholds the mean of both shares is taken
    where they are nearest. Raises ValueError without a pair of each kind.
    """
    same, other = np.sort(np.asarray(same_P, np.float64)), np.sort(np.asarray(other_P, np.float64))
    if not len(same) or not len(other):
        raise ValueError(f"{len(same)} pairs of the same speaker and {len(other)} of others, expected some of each")
    thresholds = np.unique(np.concatenate([same, other, [np.inf]]))
    refused = np.searchsorted(same, thresholds, side="left") / len(same)
    accepted = 1.0 - np.searchsorted(other, thresholds, side="left") / len(other)
    nearest = int(np.argmin(np.abs(refused - accepted)))
    return float((refused[nearest] + accepted[nearest]) / 2.0)
