"""Pitch-conditioned Griffin-Lim: a waveform from a log-mel without a neural vocoder, to listen to a model's output."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy.fft

from myxtts.audio import excitation
from myxtts.audio.framing import hann, left_padding, padded_samples, transform
from myxtts.audio.mel import mel_basis
from myxtts.config.schema import AudioConfig

Array = npt.NDArray[np.float32]
Complex = npt.NDArray[np.complex64]

_MOMENTUM = 0.99
_MAGNITUDE_UPDATES = 8
_LARGEST_LOG = 12.0
"""Upper limit of a log-mel, far above real ones: the output of an untrained model must not overflow."""


def waveform_of_mel(
    log_mel_MC: Array, audio: AudioConfig, iterations: int = 32, seed: int = 0, pitch_hz_M: Array | None = None
) -> Array:
    """Waveform float32[M * hop] whose mel approximates `log_mel_MC`; deterministic.

    Args:
        log_mel_MC: natural-log mel float32[M, C].
        audio: definition of the mel.
        iterations: of the phase reconstruction.
        seed: of the random initial phases.
        pitch_hz_M: float32[M], 0 where unvoiced. Voiced frames get harmonics that the mel does not resolve, and the
            initial phases of a pulse train at this pitch (audio.excitation). None: no harmonics, random phases.

    Returns:
        Samples mostly within -1..1, not clipped.

    Source: Perraudin, Balazs, Sondergaard (2013), "A fast Griffin-Lim algorithm", algorithm 2.
    """
    if len(log_mel_MC) == 0:
        return np.zeros(0, np.float32)
    magnitude_MF = magnitude_of_mel(log_mel_MC, audio, pitch_hz_M)
    phase = np.random.default_rng(seed).random(magnitude_MF.shape, np.float32) * np.float32(2.0 * np.pi)
    if pitch_hz_M is not None:
        pulse_phase, valid = excitation.phases(pitch_hz_M, audio)
        phase = np.where(valid, pulse_phase, phase)
    spectrum: Complex = magnitude_MF * np.exp(1j * phase).astype(np.complex64)
    previous: Complex | None = None
    for _ in range(iterations):
        consistent = transform(_overlap_add(spectrum, audio), audio)
        estimate = consistent if previous is None else _accelerated(consistent, previous)
        previous = consistent
        spectrum = estimate * (magnitude_MF / np.maximum(np.abs(estimate), 1e-12))
    return _overlap_add(spectrum, audio)


def _accelerated(current: Complex, previous: Complex) -> Complex:
    """The momentum step: c_n + alpha (c_n - c_n-1)."""
    accelerated: Complex = current + np.complex64(_MOMENTUM) * (current - previous)
    return accelerated


def magnitude_of_mel(log_mel_MC: Array, audio: AudioConfig, pitch_hz_M: Array | None = None) -> Array:
    """Non-negative magnitudes float32[M, fft / 2 + 1] whose mel approximates exp(`log_mel_MC`).

    Multiplicative updates minimize the squared error, starting from the pseudo-inverse with its negative values made
    positive. Of all magnitudes with the same mel they find one near the start, so the harmonics of `pitch_hz_M` are
    applied to the result, followed by more updates.
    Source: Lee, Seung (2000), "Algorithms for non-negative matrix factorization", eq. 4 with one factor fixed.
    """
    mel_MC = np.exp(np.minimum(np.asarray(log_mel_MC, np.float32), _LARGEST_LOG))
    basis_CF = mel_basis(audio)
    start_MF = mel_MC @ _pseudo_inverse(audio).T
    # Zero stays zero in a multiplicative update, so negative values start small instead.
    magnitude_MF = np.maximum(start_MF, 0.01 * np.abs(start_MF))
    _refine(magnitude_MF, mel_MC, basis_CF)
    if pitch_hz_M is not None:
        magnitude_MF *= excitation.combs(pitch_hz_M, audio)
        _refine(magnitude_MF, mel_MC, basis_CF)
    return magnitude_MF


def _refine(magnitude_MF: Array, mel_MC: Array, basis_CF: Array) -> None:
    """Multiplicative updates of magnitudes, in place, towards the mel `mel_MC`."""
    wanted_MF = mel_MC @ basis_CF
    for _ in range(_MAGNITUDE_UPDATES):
        magnitude_MF *= wanted_MF / np.maximum((magnitude_MF @ basis_CF.T) @ basis_CF, 1e-12)


@lru_cache(maxsize=8)
def _pseudo_inverse(audio: AudioConfig) -> Array:
    inverse: Array = np.linalg.pinv(mel_basis(audio).astype(np.float64)).astype(np.float32)
    return inverse


@lru_cache(maxsize=8)
def _window_power(frames: int, audio: AudioConfig) -> Array:
    """Sum of the squared windows at each sample of `frames` frames, with a floor where no window reaches."""
    window = hann(audio.fft_samples) ** 2
    return np.maximum(_add_frames(np.broadcast_to(window, (frames, len(window))), audio), 1e-3)


def _overlap_add(spectrum_MF: Complex, audio: AudioConfig) -> Array:
    """The waveform [M * hop] whose transform is closest to `spectrum_MF` in the least-squares sense."""
    frames = scipy.fft.irfft(spectrum_MF, audio.fft_samples, axis=-1)
    frames *= hann(audio.fft_samples)
    padded = _add_frames(frames, audio) / _window_power(len(spectrum_MF), audio)
    left = left_padding(audio)
    return padded[left : left + len(spectrum_MF) * audio.hop_samples]


def _add_frames(frames: Array, audio: AudioConfig) -> Array:
    """Sum of overlapping frames [M, fft], `hop` apart, adding hop-sized blocks of all frames at once."""
    hop, count = audio.hop_samples, len(frames)
    blocks = -(-audio.fft_samples // hop)
    total = np.zeros((count + blocks - 1, hop), np.float32)
    for block in range(blocks):
        part = frames[:, block * hop : (block + 1) * hop]
        total[block : block + count, : part.shape[1]] += part
    flat: Array = total.reshape(-1)
    return np.pad(flat, (0, max(0, padded_samples(count, audio) - len(flat))))
