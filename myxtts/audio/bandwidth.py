"""The bandwidth of a recording, which its sample rate does not tell: much speech at 22 kHz was 16 kHz before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.signal

Array = npt.NDArray[np.float32]

_FFT_SAMPLES = 2_048
_EDGE_HZ = 500.0
_DROP_DB = 20.0
"""A filter's edge falls by more than this within _EDGE_HZ; the long-term spectrum of a voice never does."""
_LOWEST_HZ = 3_000.0
_MARGIN_HZ = 200.0
_QUIETEST = 1e-12
"""Power density of -120 dB, below any recording's noise: an edge into less than this is one."""


def bandwidth_hz(samples_N: Array, sample_rate_hz: int) -> float:
    """Frequency in Hz up to which a recording float32 (N,) has content; half the sample rate if no edge is found."""
    nyquist = sample_rate_hz / 2.0
    if len(samples_N) < _FFT_SAMPLES:
        return nyquist
    hz, power = scipy.signal.welch(samples_N, sample_rate_hz, nperseg=_FFT_SAMPLES)
    bins = max(1, round(0.5 * _EDGE_HZ / (hz[1] - hz[0])))
    level_db = 10.0 * np.log10(np.maximum(power, _QUIETEST))
    smooth = np.convolve(level_db, np.full(bins, 1.0 / bins), mode="valid")
    drop = smooth[: -2 * bins] - smooth[2 * bins :]
    edges = hz[bins : bins + len(drop)] + 0.5 * _EDGE_HZ
    steep = np.flatnonzero((drop > _DROP_DB) & (edges > _LOWEST_HZ) & (edges < nyquist - _EDGE_HZ))
    if not len(steep):
        return nyquist
    near = drop[steep[0] : steep[0] + 2 * bins]
    return float(edges[steep[0] + int(np.argmax(near))] - _MARGIN_HZ)
