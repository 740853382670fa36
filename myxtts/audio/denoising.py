"""Stationary noise is subtracted from a reference: the hiss of a microphone, a fan, a street behind a window.

The spectrum of the noise is that of the quietest frames, so a recording over silence stays nearly as it is.

Source: spectral subtraction of power with a floor, as in Berouti et al. (1979), "Enhancement of speech corrupted by
acoustic noise". Differs: the power of the speech is smoothed over time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy  # its parts are imported at their first use

from myxtts.audio.framing import hann
from myxtts.config.schema import AudioConfig

Array = npt.NDArray[np.float32]

QUIET_SHARE, LEAST_QUIET_FRAMES = 0.1, 4
"""Frames from which the noise is estimated."""
OVERESTIMATE = 1.5
"""Factor of the subtracted power: the quietest frames have less noise than the average one."""
FLOOR = 0.1
"""Least gain of a bin, in amplitude."""
_SMOOTHED_BINS = 9
_MEMORY = 0.5
"""Share of the frame before in the smoothed power."""


def without_noise(samples_N: Array, audio: AudioConfig) -> Array:
    """The samples float32 (N,) of a recording with less stationary noise; unchanged if shorter than one window."""
    length, hop = audio.fft_samples, audio.fft_samples // 4
    if len(samples_N) < length:
        return samples_N
    transform = scipy.signal.ShortTimeFFT(hann(length), hop, audio.sample_rate_hz)
    spectrum_FM = transform.stft(samples_N)
    power_FM = np.square(np.abs(spectrum_FM))
    loudness_M = power_FM.sum(axis=0)
    inside = np.flatnonzero(loudness_M > 0.0)  # windows over nothing but padding are no noise
    quiet = inside[np.argsort(loudness_M[inside])[: max(LEAST_QUIET_FRAMES, int(QUIET_SHARE * len(inside)))]]
    if not len(quiet):
        return samples_N
    noise_F = scipy.signal.medfilt(power_FM[:, quiet].mean(axis=1), _SMOOTHED_BINS)
    smoothed_FM = scipy.signal.lfilter([1.0 - _MEMORY], [1.0, -_MEMORY], power_FM, axis=1)
    share_FM = OVERESTIMATE * noise_F[:, None] / np.maximum(smoothed_FM, np.finfo(np.float64).tiny)
    gain_FM = np.sqrt(np.maximum(1.0 - share_FM, FLOOR**2))
    return np.asarray(transform.istft(spectrum_FM * gain_FM, k1=len(samples_N)), np.float32)
