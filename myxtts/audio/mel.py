"""The one definition of the mel spectrogram; nothing else in MyXTTS computes one.

Periodic Hann window, reflect padding so that frames = ceil(samples / hop), magnitude (not power), Slaney's mel scale
with area-normalized triangles, natural logarithm with a floor. The default settings match the public LJSpeech and
universal HiFi-GAN vocoders.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy.fft

from myxtts.audio.framing import bins_hz, frames_view, hann, pad
from myxtts.config.schema import AudioConfig

Array = npt.NDArray[np.float32]

DEFINITION = 1
"""Version of the computation below, part of the fingerprint: old caches and models are then recognized as such."""
_DEFINING_SETTINGS = (
    "sample_rate_hz", "fft_samples", "hop_samples", "mel_channels", "mel_low_hz", "mel_high_hz", "log_floor",
)  # fmt: skip
_FRAMES_AT_ONCE = 1_024

# Slaney's scale (Auditory Toolbox, 1998): linear below 1 kHz, 200/3 Hz per mel; above, 27 mels per factor of 6.4.
_LINEAR_HZ = 200.0 / 3.0
_KNEE_HZ = 1_000.0
_KNEE_MEL = _KNEE_HZ / _LINEAR_HZ
_LOG_STEP = np.log(6.4) / 27.0


def mel_of_hz(hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Slaney's mel of a frequency in Hz."""
    hz = np.asarray(hz, np.float64)
    logarithmic = _KNEE_MEL + np.log(np.maximum(hz, _KNEE_HZ) / _KNEE_HZ) / _LOG_STEP
    return np.where(hz < _KNEE_HZ, hz / _LINEAR_HZ, logarithmic)


def hz_of_mel(mel: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Frequency in Hz of Slaney's mel."""
    mel = np.asarray(mel, np.float64)
    logarithmic = _KNEE_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _KNEE_MEL) - _KNEE_MEL))
    return np.where(mel < _KNEE_MEL, mel * _LINEAR_HZ, logarithmic)


@lru_cache(maxsize=8)
def mel_basis(audio: AudioConfig) -> Array:
    """The mel filters as a read-only matrix float32[C, fft / 2 + 1]; a mel is basis @ magnitudes."""
    bin_hz = bins_hz(audio)
    edges = _edges_hz(audio)
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bin_hz - lower) / (centre - lower)
    falling = (upper - bin_hz) / (upper - centre)
    basis: Array = (np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (upper - lower)).astype(np.float32)
    basis.flags.writeable = False
    return basis


def channel_centres_hz(audio: AudioConfig) -> npt.NDArray[np.float64]:
    """Centre of each mel channel in Hz, (C,)."""
    return _edges_hz(audio)[1:-1]


def _edges_hz(audio: AudioConfig) -> npt.NDArray[np.float64]:
    low, high = mel_of_hz([audio.mel_low_hz, audio.mel_high_hz])
    return hz_of_mel(np.linspace(low, high, audio.mel_channels + 2))


def features(samples_N: Array, audio: AudioConfig) -> tuple[Array, Array]:
    """Log-mel float32[M, C] and energy float32[M], the log L2 norm of each magnitude frame; M = ceil(N / hop)."""
    samples_N = np.asarray(samples_N, np.float32)
    if len(samples_N) == 0:
        return np.zeros((0, audio.mel_channels), np.float32), np.zeros(0, np.float32)
    frames = frames_view(pad(samples_N, audio), audio.fft_samples, audio.hop_samples)
    window, basis_t = hann(audio.fft_samples), mel_basis(audio).T
    mel = np.empty((len(frames), audio.mel_channels), np.float32)
    energy = np.empty(len(frames), np.float32)
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        rows = slice(start, start + _FRAMES_AT_ONCE)
        magnitude = np.abs(scipy.fft.rfft(frames[rows] * window, axis=-1))
        mel[rows] = magnitude @ basis_t
        energy[rows] = np.sqrt(np.einsum("mf,mf->m", magnitude, magnitude))
    return np.log(np.maximum(mel, audio.log_floor)), np.log(np.maximum(energy, audio.log_floor))


def log_mel(samples_N: Array, audio: AudioConfig) -> Array:
    """Log-mel float32[M, C] of a clip float32[N]; natural log, at least ln(log_floor); M = ceil(N / hop)."""
    return features(samples_N, audio)[0]


def fingerprint(audio: AudioConfig) -> str:
    """16 hex digits that change with everything that affects a mel: the settings and DEFINITION."""
    defining = {name: float(getattr(audio, name)) for name in _DEFINING_SETTINGS}
    text = json.dumps([DEFINITION, defining], sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]
