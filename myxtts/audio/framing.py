"""Framing and the short-time Fourier transform, shared by mel, energy, pitch and Griffin-Lim so that frames align."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.fft

from myxtts.config.schema import AudioConfig
from myxtts.units import frames_of_samples

Array = npt.NDArray[np.float32]


def left_padding(audio: AudioConfig) -> int:
    """Samples before the clip in the first frame: (fft - hop) / 2, so that frame m is centred on (m + 1/2) hops."""
    return max(0, (audio.fft_samples - audio.hop_samples) // 2)


def padded_samples(frames: int, audio: AudioConfig) -> int:
    """Number of samples spanned by `frames` overlapping frames."""
    return (frames - 1) * audio.hop_samples + audio.fft_samples


def pad(samples_N: Array, audio: AudioConfig) -> Array:
    """The clip with reflect padding at both ends, for exactly ceil(N / hop) frames.

    A clip shorter than the window is first padded with zeros to the length of one window.
    """
    frames = frames_of_samples(len(samples_N), audio.hop_samples)
    total, left = padded_samples(frames, audio), left_padding(audio)
    if len(samples_N) < audio.fft_samples:
        samples_N = np.pad(samples_N, (0, audio.fft_samples - len(samples_N)))
    right = max(0, total - left - len(samples_N))
    padded: Array = np.pad(samples_N, (left, right), mode="reflect")[:total]
    return padded


def frames_view(padded: Array, length: int, hop: int) -> Array:
    """Overlapping frames [M, length] of an array, `hop` apart, as a read-only view."""
    return np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]


def transform(samples_N: Array, audio: AudioConfig) -> npt.NDArray[np.complex64]:
    """Short-time Fourier transform complex64[M, fft / 2 + 1] of a clip."""
    frames = frames_view(pad(samples_N, audio), audio.fft_samples, audio.hop_samples)
    spectrum: npt.NDArray[np.complex64] = scipy.fft.rfft(frames * hann(audio.fft_samples), axis=-1)
    return spectrum


def bins_hz(audio: AudioConfig) -> npt.NDArray[np.float64]:
    """Frequencies of the transform's bins in Hz, (fft / 2 + 1,)."""
    return np.linspace(0.0, audio.sample_rate_hz / 2.0, audio.fft_samples // 2 + 1)


def hann(length: int) -> Array:
    """The periodic Hann window."""
    window: Array = (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)).astype(np.float32)
    return window
