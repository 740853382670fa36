"""Sums over the frames of a clip, from which the statistics of a corpus follow without its features."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
SumArray = npt.NDArray[np.float64]


def sums_of(mel_MC: FloatArray, pitch_M: FloatArray, energy_M: FloatArray) -> SumArray:
    """Sums of a clip, (2 C + 6): C sums and C sums of squares of the mel, number, sum and sum of squares of ln F0 of
    the voiced frames, sum and sum of squares of the energy, and the number of frames."""
    mel, energy = np.asarray(mel_MC, np.float64), np.asarray(energy_M, np.float64)
    log_pitch = np.log(np.asarray(pitch_M[pitch_M > 0], np.float64))
    pitch = (len(log_pitch), log_pitch.sum(), (log_pitch * log_pitch).sum())
    rest = (*pitch, energy.sum(), (energy * energy).sum(), len(mel))
    return np.concatenate([mel.sum(axis=0), (mel * mel).sum(axis=0), rest])


class Place(NamedTuple):
    """Where the sums of a clip are: a table (A, 2 C + 6) and a row of it."""

    table: SumArray
    row: int


class Totals(NamedTuple):
    """The parts of sums of clips, (..., 2 C + 6)."""

    mel_C: SumArray
    mel_squares_C: SumArray
    voiced: float
    """Voiced frames."""
    pitch: float
    """Sum of ln F0 over the voiced frames."""
    pitch_squares: float
    energy: float
    energy_squares: float
    frames: float

    @classmethod
    def of(cls, sums: SumArray) -> Totals:
        """The parts of a row of sums."""
        channels = (len(sums) - 6) // 2
        return cls(sums[:channels], sums[channels : 2 * channels], *sums[2 * channels :].tolist())

    @property
    def pitch_figures(self) -> tuple[float, float]:
        """Mean and deviation of ln F0 over the voiced frames, of which there must be some."""
        mean = self.pitch / self.voiced
        return mean, float(np.sqrt(max(self.pitch_squares / self.voiced - mean**2, 0.0)))


def total(parts: Iterable[SumArray]) -> SumArray:
    """The sum over all rows of tables (A, 2 C + 6), one row after the other, however the rows are divided."""
    found: SumArray | None = None
    for part in parts:
        rows = part if found is None else np.concatenate([found[None], part])
        found = np.add.reduce(rows, axis=0)
    if found is None:
        raise ValueError("no clips")
    return found
