"""Stationary noise is subtracted from a reference: the hiss of a microphone, a fan, a street behind a window.

The spectrum of the noise is that of the quietest frames, so a recording over silence stays nearly as it is.

Source: spectral subtraction of power with a floor, as in Berouti et al. (1979), "Enhancement of speech corrupted by
acoustic noise". Differs: the power of the speech is smoothed over time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy  # its parts are imported at their first use

from myxtts.audio.framing import frames_view, hann
from myxtts.config.schema import AudioConfig

Array = npt.NDArray[np.float32]

QUIET_SHARE, LEAST_QUIET_FRAMES = 0.1, 4
"""Frames from which the noise is estimated."""
QUIETEST_DB = 60.0
"""Frames this far below the loudest one are gaps without noise, as a noise gate leaves them."""
OVERESTIMATE = 1.5
"""Factor of the subtracted power: the quietest frames have less noise than the average one."""
FLOOR = 0.1
"""Least gain of a bin, in amplitude."""
_SMOOTHED_BINS = 9
_MEMORY = 0.5
"""Share of the frame before in the smoothed power."""
_BLOCK_FRAMES = 1024
"""Frames at once, which bounds the memory for a long recording."""


def without_noise(samples_N: Array, audio: AudioConfig) -> Array:
    """The samples float32 (N,) of a recording with less stationary noise; unchanged if shorter than one window."""
    length, hop = audio.fft_samples, audio.fft_samples // 4
    if len(samples_N) < length:
        return samples_N
    padded = np.pad(samples_N, (length - hop, length))
    frames = frames_view(padded, length, hop)
    noise_F = _noise(frames, inside=slice(length // hop, len(samples_N) // hop), window=hann(length))
    if noise_F is None:
        return samples_N
    made_N, weight_N = np.zeros(len(padded), np.float32), np.zeros(len(padded), np.float32)
    window, state = hann(length), np.zeros((1, len(noise_F)), np.float32)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        spectrum_MF = scipy.fft.rfft(frames[start : start + _BLOCK_FRAMES] * window, axis=1)
        power_MF = np.square(spectrum_MF.real) + np.square(spectrum_MF.imag)
        smoothed_MF, state = scipy.signal.lfilter([1.0 - _MEMORY], [1.0, -_MEMORY], power_MF, axis=0, zi=state)
        share_MF = np.float32(OVERESTIMATE) * noise_F / np.maximum(smoothed_MF, np.finfo(np.float32).tiny)
        spectrum_MF *= np.sqrt(np.maximum(np.float32(1.0) - share_MF, np.float32(FLOOR**2)))
        parts = scipy.fft.irfft(spectrum_MF, length, axis=1) * window
        for number, part in enumerate(parts, start):
            made_N[number * hop : number * hop + length] += part
            weight_N[number * hop : number * hop + length] += np.square(window)
    kept = slice(length - hop, length - hop + len(samples_N))
    return made_N[kept] / weight_N[kept]


def _noise(frames: Array, inside: slice, window: Array) -> Array | None:
    """Power of the noise in each bin, (F,), by the quietest frames; None for silence. Frames beside `inside` contain
    padding and count only where there are no others."""
    loudness_M = np.concatenate(
        [
            np.square(frames[start : start + _BLOCK_FRAMES] * window).sum(axis=1)
            for start in range(0, len(frames), _BLOCK_FRAMES)
        ]
    )
    audible = loudness_M > loudness_M.max() * 10.0 ** (-QUIETEST_DB / 10.0)
    whole = np.zeros(len(frames), np.bool_)
    whole[inside] = True
    usable = np.flatnonzero(audible & whole)
    if not len(usable):
        usable = np.flatnonzero(audible)
    if not len(usable):
        return None
    count = max(LEAST_QUIET_FRAMES, int(QUIET_SHARE * len(usable)))
    quiet = usable[np.argsort(loudness_M[usable])[:count]]
    power_F = np.zeros(frames.shape[1] // 2 + 1, np.float64)
    for start in range(0, len(quiet), _BLOCK_FRAMES):
        spectrum = scipy.fft.rfft(frames[quiet[start : start + _BLOCK_FRAMES]] * window, axis=1)
        power_F += np.square(np.abs(spectrum)).sum(axis=0)
    smoothed_F: Array = scipy.signal.medfilt(power_F / len(quiet), _SMOOTHED_BINS).astype(np.float32)
    return smoothed_F
