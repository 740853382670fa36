"""From a log-mel back to a waveform without a neural vocoder: good enough to judge a model by, no more."""

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
"""Far over any real log-mel: what an untrained model may give must not overflow."""


def waveform_of_mel(
    log_mel_MC: Array, audio: AudioConfig, iterations: int = 32, seed: int = 0, pitch_hz_M: Array | None = None
) -> Array:
    """Waveform float32[M * hop] whose mel is near `log_mel_MC` float32[M, C]; the same input gives the same output.

    `pitch_hz_M` float32[M], 0 where unvoiced: voiced frames get harmonics, also where the mel does not show them, and
    start with the phases of pulses at that pitch (audio.excitation). The others, and all without it, start with random
    ones from `seed`. Samples are mostly in -1..1 and not clipped.
    Source: Perraudin, Balazs, Sondergaard (2013), "A fast Griffin-Lim algorithm", algorithm 2.
    """
    if len(log_mel_MC) == 0:
        return np.zeros(0, np.float32)
    magnitude_MF = magnitude_of_mel(log_mel_MC, audio, pitch_hz_M)
    turn = np.random.default_rng(seed).random(magnitude_MF.shape, np.float32) * np.float32(2.0 * np.pi)
    if pitch_hz_M is not None:
        of_pulses, holds = excitation.phases(pitch_hz_M, audio)
        turn = np.where(holds, of_pulses, turn)
    spectrum: Complex = magnitude_MF * np.exp(1j * turn).astype(np.complex64)
    last: Complex | None = None
    for _ in range(iterations):
        consistent = transform(_overlap_add(spectrum, audio), audio)
        ahead = consistent if last is None else _ahead(consistent, last)
        last = consistent
        spectrum = ahead * (magnitude_MF / np.maximum(np.abs(ahead), 1e-12))
    return _overlap_add(spectrum, audio)


def _ahead(here: Complex, before: Complex) -> Complex:
    """A step past `here` in the direction that led to it: c_n + alpha (c_n - c_n-1)."""
    ahead: Complex = here + np.complex64(_MOMENTUM) * (here - before)
    return ahead


def magnitude_of_mel(log_mel_MC: Array, audio: AudioConfig, pitch_hz_M: Array | None = None) -> Array:
    """Magnitudes float32[M, fft / 2 + 1], not negative, whose mel is near exp(`log_mel_MC`).

    Starts from the pseudo-inverse, which has negative values; they are lifted, and multiplicative updates lead to the
    non-negative magnitudes with the least squared error. Of all the magnitudes with that mel they keep near those that
    they start from, so a comb of harmonics at `pitch_hz_M` is put on these, and more updates follow.
    Source: Lee, Seung (2000), "Algorithms for non-negative matrix factorization", eq. 4 with one factor fixed.
    """
    mel_MC = np.exp(np.minimum(np.asarray(log_mel_MC, np.float32), _LARGEST_LOG))
    basis_CF = mel_basis(audio)
    start_MF = mel_MC @ _pseudo_inverse(audio).T
    # A value of zero stays zero in a multiplicative update, so what the inverse made negative starts small instead.
    magnitude_MF = np.maximum(start_MF, 0.01 * np.abs(start_MF))
    _approach(magnitude_MF, mel_MC, basis_CF)
    if pitch_hz_M is not None:
        magnitude_MF *= excitation.combs(pitch_hz_M, audio)
        _approach(magnitude_MF, mel_MC, basis_CF)
    return magnitude_MF


def _approach(magnitude_MF: Array, mel_MC: Array, basis_CF: Array) -> None:
    """Multiplicative updates of magnitudes, in place, towards those whose mel is `mel_MC`."""
    wanted_MF = mel_MC @ basis_CF
    for _ in range(_MAGNITUDE_UPDATES):
        magnitude_MF *= wanted_MF / np.maximum((magnitude_MF @ basis_CF.T) @ basis_CF, 1e-12)


@lru_cache(maxsize=8)
def _pseudo_inverse(audio: AudioConfig) -> Array:
    inverse: Array = np.linalg.pinv(mel_basis(audio).astype(np.float64)).astype(np.float32)
    return inverse


@lru_cache(maxsize=8)
def _window_power(frames: int, audio: AudioConfig) -> Array:
    """Sum of the squared windows over each sample of `frames` frames, floored where no window reaches."""
    window = hann(audio.fft_samples) ** 2
    return np.maximum(_add_frames(np.broadcast_to(window, (frames, len(window))), audio), 1e-3)


def _overlap_add(spectrum_MF: Complex, audio: AudioConfig) -> Array:
    """The waveform [M * hop] whose transform is nearest to `spectrum_MF` in the least squares sense."""
    frames = scipy.fft.irfft(spectrum_MF, audio.fft_samples, axis=-1)
    frames *= hann(audio.fft_samples)
    padded = _add_frames(frames, audio) / _window_power(len(spectrum_MF), audio)
    left = left_padding(audio)
    return padded[left : left + len(spectrum_MF) * audio.hop_samples]


def _add_frames(frames: Array, audio: AudioConfig) -> Array:
    """Sum of overlapping frames [M, fft], `hop` apart: hop-long pieces of all frames are added at once."""
    hop, count = audio.hop_samples, len(frames)
    pieces = -(-audio.fft_samples // hop)
    total = np.zeros((count + pieces - 1, hop), np.float32)
    for piece in range(pieces):
        part = frames[:, piece * hop : (piece + 1) * hop]
        total[piece : piece + count, : part.shape[1]] += part
    flat: Array = total.reshape(-1)
    return np.pad(flat, (0, max(0, padded_samples(count, audio) - len(flat))))
