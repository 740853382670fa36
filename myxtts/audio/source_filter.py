"""Source-filter synthesis in the domain of the short-time Fourier transform, and its excitation, in NumPy.

A pulse train at the pitch passes a complex filter per bin, noise a gain per bin; the gain may follow the phase of the
pitch, as breath does. What the filters are is the business of a network (myxtts.vocoder). Windows are half as long and
half as far apart as those of the mel, so each mel frame has two.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy.fft

from myxtts.audio.excitation import fundamental, harmonic_sum, interpolated_hz
from myxtts.audio.framing import hann
from myxtts.audio.mel import channel_centres_hz, mel_basis
from myxtts.config.schema import AudioConfig

Array = npt.NDArray[np.float32]

SUBFRAMES = 2
"""Windows of the synthesis per mel frame."""
KINDS = 5
"""Filters per bin: real and imaginary part for the pulses, gain of the noise, cosine and sine of its modulation."""
HIGHEST_HARMONIC_SHARE = 0.476
"""Highest harmonic of the pulses as a share of the sample rate: 10.5 kHz at 22,050 Hz."""


@dataclass(frozen=True)
class Excitation:
    """What drives the filters, float32 (N,) each."""

    pulses_N: Array
    """Harmonics of the pitch with the spectral density of white noise of variance 1."""
    phase_N: Array
    """Phase of the fundamental in radians, 0 to 2 pi."""
    noise_N: Array
    """White noise of variance 1."""

    def part(self, start: int, end: int) -> Excitation:
        """The samples from `start` to `end`, exclusive."""
        return Excitation(self.pulses_N[start:end], self.phase_N[start:end], self.noise_N[start:end])


def window_samples(audio: AudioConfig) -> int:
    """Samples of a synthesis window."""
    return audio.fft_samples // SUBFRAMES


def bins(audio: AudioConfig) -> int:
    """Frequency bins of a synthesis window."""
    return window_samples(audio) // 2 + 1


def excite(pitch_hz_M: Array, audio: AudioConfig, seed: int = 0) -> Excitation:
    """The excitation of a pitch float32 (M,) in Hz, 0 where unvoiced; N = M * hop. The noise follows from `seed`."""
    phase_N, hz_N = fundamental(pitch_hz_M, audio)
    noise_N = np.random.default_rng(seed).standard_normal(len(phase_N), np.float32)
    pulses_N, wrapped_N = driving_pulses(phase_N, hz_N, audio)
    return Excitation(pulses_N, wrapped_N, noise_N)


def driving_pulses(
    phase_N: npt.NDArray[np.float64], hz_N: npt.NDArray[np.float64], audio: AudioConfig
) -> tuple[Array, Array]:
    """Pulses of unit density and wrapped phase (N,) of a fundamental phase and frequency (N,)."""
    summed_N = harmonic_sum(phase_N, np.floor(HIGHEST_HARMONIC_SHARE * audio.sample_rate_hz / hz_N))
    density_N = np.sqrt(4.0 * hz_N / audio.sample_rate_hz).astype(np.float32)
    return summed_N * density_N, (phase_N % (2.0 * np.pi)).astype(np.float32)


def filled_pitch(pitch_hz_M: Array, audio: AudioConfig) -> Array:
    """The pitch in Hz at the centre of each frame (M,), interpolated over unvoiced frames; never 0."""
    after_centre = 0.5 / audio.hop_samples  # of the sample that follows the centre of a frame
    at_M = np.arange(len(pitch_hz_M), dtype=np.float64) + after_centre
    return interpolated_hz(pitch_hz_M, at_M).astype(np.float32)


@lru_cache(maxsize=8)
def envelope_matrix(audio: AudioConfig) -> tuple[Array, Array]:
    """(C, F) and (F,): a log-mel (C,) times the first plus the second is the log spectral envelope of white noise 1.

    Between the centres of the mel channels the envelope is linear in Hz, beyond them constant.
    """
    hz_F = np.linspace(0.0, audio.sample_rate_hz / 2.0, bins(audio))
    centres_C = channel_centres_hz(audio)
    matrix_CF = np.stack([np.interp(hz_F, centres_C, row) for row in np.eye(len(centres_C))])
    # the magnitude of white noise of variance 1 in one bin of the mel's window: a Rayleigh mean
    level = np.log(np.sqrt(np.square(hann(audio.fft_samples), dtype=np.float64).sum()) * np.sqrt(np.pi) / 2.0)
    offset_F = -np.log(mel_basis(audio).sum(axis=1, dtype=np.float64)) @ matrix_CF - level
    return matrix_CF.astype(np.float32), offset_F.astype(np.float32)


def transform(samples_N: Array, audio: AudioConfig) -> npt.NDArray[np.complex64]:
    """Short-time Fourier transform (SUBFRAMES * M, F) of N = M * hop samples; window k is centred on k + 1/2 hops."""
    length, hop = window_samples(audio), audio.hop_samples // SUBFRAMES
    left = (length - hop) // 2
    padded = np.pad(samples_N, (left, length - hop - left))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
    found: npt.NDArray[np.complex64] = scipy.fft.rfft(frames * hann(length), axis=-1)
    return found


def inverse(spectrum_MF: npt.NDArray[np.complex64], audio: AudioConfig) -> Array:
    """The samples (N,) of a short-time Fourier transform, divided by the sum of the squared windows."""
    length, hop = window_samples(audio), audio.hop_samples // SUBFRAMES
    window, count = hann(length), len(spectrum_MF)
    frames = scipy.fft.irfft(spectrum_MF, length, axis=-1) * window
    blocks = -(-length // hop)
    total = np.zeros((2, count + blocks - 1, hop), np.float32)
    for block in range(blocks):
        part = slice(block * hop, (block + 1) * hop)
        width = frames[:, part].shape[1]
        total[0, block : block + count, :width] += frames[:, part]
        total[1, block : block + count, :width] += np.square(window[part])
    left = (length - hop) // 2
    samples, weight = total.reshape(2, -1)[:, left : left + count * hop]
    return np.asarray(samples / np.maximum(weight, 1e-3), np.float32)


def synthesize(filters_M5F: Array, excitation: Excitation, audio: AudioConfig) -> Array:
    """Samples (N,) of filters (SUBFRAMES * M, KINDS, F) driven by an excitation of N = M * hop samples."""
    real, imaginary, gain, cosine, sine = np.moveaxis(filters_M5F, 1, 0)
    noise = excitation.noise_N
    loud = noise * np.float32(np.sqrt(2.0))
    noise_MF = transform(noise, audio)
    noise_MF += cosine * transform(loud * np.cos(excitation.phase_N), audio)
    noise_MF += sine * transform(loud * np.sin(excitation.phase_N), audio)
    noise_MF *= gain
    filters = np.empty(real.shape, np.complex64)
    filters.real, filters.imag = real, imaginary
    filters *= transform(excitation.pulses_N, audio)
    filters += noise_MF
    return inverse(filters, audio)
