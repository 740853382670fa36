"""Pitch-conditioned excitation for Griffin-Lim: harmonics in wide mel channels, and initial phases.

Above about 2 kHz a mel channel is wider than the spacing of harmonics, so the inverted spectrum is flat there and
vowels sound whispered. Where the pitch is known, so are the frequencies of the harmonics, and the phase advance of each
from frame to frame.

Source: harmonics up to a voiced frequency and noise above it as in Stylianou (2001), "Applying the harmonic plus noise
model in concatenative speech synthesis", section II.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from myxtts.audio.framing import bins_hz, transform
from myxtts.audio.harmonics import hann_lobe
from myxtts.config.schema import AudioConfig

Array = npt.NDArray[np.float32]
Double = npt.NDArray[np.float64]

VOICED_HZ = 5_000.0
"""Below this frequency a voiced frame consists of harmonics."""
NOISE_HZ = 7_000.0
"""Above this frequency it consists of noise; in between, harmonics fade into noise."""
VALLEY = 0.05
"""Magnitude between two harmonics, relative to them."""
UNVOICED_HZ = 120.0
"""Frequency of the fundamental where nothing is voiced."""
LEVEL = 0.6
"""Magnitude of noise relative to harmonics of magnitude 1."""


def combs(pitch_hz_M: Array, audio: AudioConfig) -> Array:
    """Relative magnitudes float32[M, fft / 2 + 1] of harmonics of equal strength; 1 where unvoiced (0 Hz)."""
    voiced_M1 = pitch_hz_M[:, None] > 0.0
    hz_M1 = np.where(voiced_M1, pitch_hz_M[:, None], 1.0)
    bin_hz = bins_hz(audio)
    nearest = np.maximum(np.round(bin_hz / hz_M1), 1.0)
    distance = (bin_hz - nearest * hz_M1) * audio.fft_samples / audio.sample_rate_hz
    comb = np.maximum(np.abs(hann_lobe(distance)), VALLEY)
    harmonic = np.clip((NOISE_HZ - bin_hz) / (NOISE_HZ - VOICED_HZ), 0.0, 1.0)
    found: Array = np.where(voiced_M1, comb * harmonic + LEVEL * (1.0 - harmonic), 1.0).astype(np.float32)
    return found


def phases(pitch_hz_M: Array, audio: AudioConfig) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Phases float32[M, fft / 2 + 1] in radians of a pulse train at the pitch, and a mask of where they are valid: in
    voiced frames below VOICED_HZ."""
    valid = (pitch_hz_M[:, None] > 0.0) & (bins_hz(audio) < highest_hz(audio))
    angle: Array = np.angle(transform(pulses(pitch_hz_M, audio), audio)).astype(np.float32)
    return angle, valid


def pulses(pitch_hz_M: Array, audio: AudioConfig) -> Array:
    """A pulse train float32[M * hop]: unit cosines at all multiples of the pitch up to VOICED_HZ; 0 without a voiced
    frame."""
    if not (pitch_hz_M > 0.0).any():
        return np.zeros(len(pitch_hz_M) * audio.hop_samples, np.float32)
    phase_N, hz_N = fundamental(pitch_hz_M, audio)
    return harmonic_sum(phase_N, np.floor(highest_hz(audio) / hz_N))


def fundamental(pitch_hz_M: Array, audio: AudioConfig) -> tuple[Double, Double]:
    """Phase in radians (not wrapped) and frequency in Hz of the fundamental, float64[M * hop] each.

    The log pitch is interpolated linearly between frame centres, also across unvoiced frames, so that what precedes a
    syllable changes its phases only by one common time shift. Without a voiced frame it is UNVOICED_HZ.
    """
    hz_N = interpolated_hz(pitch_hz_M, (np.arange(len(pitch_hz_M) * audio.hop_samples) + 0.5) / audio.hop_samples - 0.5)
    return 2.0 * np.pi * np.cumsum(hz_N) / audio.sample_rate_hz, hz_N


def interpolated_hz(pitch_hz_M: Array, at_N: Double) -> Double:
    """The pitch in Hz at moments in frames (0 is the centre of the first), as `fundamental` interpolates it."""
    voiced = np.flatnonzero(pitch_hz_M > 0.0)
    if not len(voiced):
        return np.full(len(at_N), UNVOICED_HZ)
    found: Double = np.exp(np.interp(at_N, voiced, np.log(pitch_hz_M[voiced].astype(np.float64))))
    return found


def harmonic_sum(phase_N: Double, count_N: Double) -> Array:
    """Sum of cos(k x phase) for k = 1 to count, in closed form (the Dirichlet kernel); float32[N].

    The phase is wrapped to -pi to pi first, where half of it is accurate in float32, whose sine is many times faster.
    """
    turns_N = phase_N / (2.0 * np.pi)
    half_N = (np.pi * (turns_N - np.rint(turns_N))).astype(np.float32)
    low = np.sin(half_N)
    near = np.abs(low) < 1e-6
    ratio = np.sin((2.0 * count_N + 1.0).astype(np.float32) * half_N) / np.where(near, np.float32(1.0), low)
    summed: Array = np.where(near, count_N.astype(np.float32), np.float32(0.5) * (ratio - np.float32(1.0)))
    return summed


def highest_hz(audio: AudioConfig) -> float:
    """VOICED_HZ, or less where the sample rate is too low for it."""
    return min(VOICED_HZ, 0.45 * audio.sample_rate_hz)
