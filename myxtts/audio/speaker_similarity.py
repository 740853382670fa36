"""Speaker similarity and speaker verification: cosines of voice embeddings, and the equal error rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SpeakerVerification:
    """Mean cosines of pairs of recordings of the same and of different speakers, and the equal error rate, 0 to 1.

    None where there are no such pairs.
    """

    same_mean: float | None
    other_mean: float | None
    equal_error_rate: float | None
    same_pairs: int
    other_pairs: int


def cosine(one_E: FloatArray, other_E: FloatArray) -> float:
    """Cosine similarity of two voices, -1 to 1. Raises ValueError for a voice of length zero or not finite."""
    one, other = np.asarray(one_E, np.float64), np.asarray(other_E, np.float64)
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    if not np.isfinite(length) or length <= 0.0:
        raise ValueError("a voice of length zero, or not finite")
    return float(one @ other / length)


def verify_speakers(voice_NE: FloatArray, speakers: Sequence[str]) -> SpeakerVerification:
    """Speaker verification over all pairs of N recordings, given their voices and speaker names."""
    voices = np.asarray(voice_NE, np.float64)
    if voices.ndim != 2 or len(voices) != len(speakers):
        raise ValueError(f"voices of shape {voices.shape} and {len(speakers)} speakers")
    units = voices / np.linalg.norm(voices, axis=1, keepdims=True)
    rows, columns = np.triu_indices(len(units), k=1)
    names = np.asarray(speakers)
    return verify_pairs((units @ units.T)[rows, columns], names[rows] == names[columns])


def verify_pairs(cosine_P: npt.ArrayLike, same_P: npt.ArrayLike) -> SpeakerVerification:
    """Speaker verification over pairs, given their cosines and whether both recordings are of the same speaker."""
    cosines, is_same = np.asarray(cosine_P, np.float64), np.asarray(same_P, bool)
    if not np.isfinite(cosines).all():
        raise ValueError("cosines that are not finite")
    same, other = cosines[is_same], cosines[~is_same]
    rate = equal_error_rate(same, other) if len(same) and len(other) else None
    return SpeakerVerification(
        float(same.mean()) if len(same) else None,
        float(other.mean()) if len(other) else None,
        rate,
        len(same),
        len(other),
    )


def equal_error_rate(same_P: npt.ArrayLike, other_P: npt.ArrayLike) -> float:
    """The error rate at the threshold where false rejections and false acceptances are equally frequent, 0 to 1.

    0: perfectly separable; 0.5: chance. Where no threshold makes both rates equal, the result is their mean at the
    threshold where they are closest. Raises ValueError without a pair of each kind.
    """
    same, other = np.sort(np.asarray(same_P, np.float64)), np.sort(np.asarray(other_P, np.float64))
    if not len(same) or not len(other):
        raise ValueError(
            f"{len(same)} pairs of the same speaker and {len(other)} of different speakers, expected some of each"
        )
    thresholds = np.unique(np.concatenate([same, other, [np.inf]]))
    rejected = np.searchsorted(same, thresholds, side="left") / len(same)
    accepted = 1.0 - np.searchsorted(other, thresholds, side="left") / len(other)
    nearest = int(np.argmin(np.abs(rejected - accepted)))
    return float((rejected[nearest] + accepted[nearest]) / 2.0)
