"""How well voices are told apart: cosines of the same and of other speakers, equal error rate; numbers alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

ENOUGH_SPEAKERS = 20
"""With fewer training speakers the encoder learns who these are, not what makes a voice."""


@dataclass(frozen=True)
class Likeness:
    """Mean cosine of two recordings of one speaker and of two speakers; equal error rate, 0.5 by chance."""

    same: float
    other: float
    equal_error_rate: float
    speakers: int


def equal_error_rate(same: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """The rate at which as many pairs of one speaker are refused as pairs of two speakers are accepted, 0 to 1.

    Between two thresholds the rates are taken as straight lines. Source: ISO/IEC 19795-1, detection error trade-off.
    """
    same_N, other_N = np.sort(np.asarray(same, np.float64)), np.sort(np.asarray(other, np.float64))
    threshold = np.unique(np.concatenate([same_N, other_N, [np.inf]]))
    refused = np.searchsorted(same_N, threshold, side="left") / len(same_N)
    accepted = 1.0 - np.searchsorted(other_N, threshold, side="left") / len(other_N)
    at = int(np.argmax(refused >= accepted))
    if at == 0 or refused[at] == accepted[at]:
        return float(max(refused[at], accepted[at]))
    before, after = accepted[at - 1] - refused[at - 1], refused[at] - accepted[at]
    share = before / (before + after)
    return float(refused[at - 1] + share * (refused[at] - refused[at - 1]))


def compared(voice_NE: FloatArray, speakers: Sequence[str]) -> Likeness | None:
    """All pairs of voices of unit length (N, E); None without a pair of one speaker and a pair of two."""
    names = np.asarray(list(speakers))
    cosine_NN = np.asarray(voice_NE, np.float64) @ np.asarray(voice_NE, np.float64).T
    first, second = np.triu_indices(len(names), k=1)
    alike = names[first] == names[second]
    cosines = cosine_NN[first, second]
    if not alike.any() or alike.all():
        return None
    same, other = cosines[alike], cosines[~alike]
    return Likeness(float(same.mean()), float(other.mean()), equal_error_rate(same, other), len(set(names.tolist())))
