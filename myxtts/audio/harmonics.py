"""Harmonic combs: the mel of a harmonic sound with a flat envelope, for each pitch.

In the lower channels, which are narrower than the spacing of harmonics, a voiced frame is a spectral envelope times
this comb. A decoder conditioned on the comb only has to predict the smooth envelope; one conditioned on the mean pitch
of a token blurs the harmonics, and the voice becomes hoarse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from myxtts.audio.framing import bins_hz
from myxtts.audio.mel import mel_basis
from myxtts.config.schema import AudioConfig

FloatArray = npt.NDArray[np.float32]

STEPS = 320
"""Number of pitches in the table; from one to the next, the tenth harmonic moves by a fifth of a channel."""
VALLEY = 0.05
"""Added to the comb before the logarithm: recorded speech is never silent between two harmonics."""


@dataclass(frozen=True, eq=False)
class HarmonicTable:
    """Combs of a range of pitches: float32[I, C], natural log relative to a flat spectrum of the same power.

    `lowest` and `highest` are the first and last pitch as ln F0 normalized by the corpus; the spacing is even.
    """

    lowest: float
    highest: float
    comb_IC: FloatArray


def harmonic_table(audio: AudioConfig, pitch_mean: float, pitch_std: float) -> HarmonicTable:
    """Combs for the range of the pitch tracker, by normalized ln F0: (ln F0 - pitch_mean) / pitch_std."""
    low, high = math.log(audio.pitch_low_hz), math.log(audio.pitch_high_hz)
    return HarmonicTable((low - pitch_mean) / pitch_std, (high - pitch_mean) / pitch_std, _combs(audio))


@lru_cache(maxsize=8)
def _combs(audio: AudioConfig) -> FloatArray:
    combs = np.stack([comb(hz, audio) for hz in np.geomspace(audio.pitch_low_hz, audio.pitch_high_hz, STEPS)])
    combs.flags.writeable = False
    return combs


def comb(pitch_hz: float, audio: AudioConfig) -> FloatArray:
    """Log-mel float32[C] of harmonics of equal strength at multiples of a pitch, minus that of a flat spectrum.

    Each harmonic is the main lobe of the mel's Hann window; their powers add up, as with random phases.
    """
    harmonic_hz = pitch_hz * np.arange(1, int(audio.sample_rate_hz / 2.0 / pitch_hz) + 1)
    distance = (bins_hz(audio)[:, None] - harmonic_hz[None, :]) * audio.fft_samples / audio.sample_rate_hz
    power = np.square(hann_lobe(distance)).sum(axis=1)
    # normalized to the total power of a flat spectrum with mean power 1
    power *= pitch_hz * audio.fft_samples / audio.sample_rate_hz / 1.5
    basis = mel_basis(audio).astype(np.float64)
    flat = basis.sum(axis=1)
    comb_mel = basis @ np.sqrt(power)
    ratio = np.where(flat > 0.0, comb_mel / np.where(flat > 0.0, flat, 1.0), 1.0)
    return np.log(ratio + VALLEY).astype(np.float32)


def hann_lobe(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Magnitude of the main lobe of a Hann window's transform at a distance in bins, 1 at 0; without side lobes."""
    inside = np.abs(distance) < 2.0
    x = np.where(inside, distance, 0.0)
    singular = np.abs(np.abs(x) - 1.0) < 1e-6
    value = np.sinc(x) / np.where(singular, 1.0, 1.0 - np.square(x))
    return np.where(inside, np.where(singular, 0.5, value), 0.0)
