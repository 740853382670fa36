"""Conversions between seconds, samples and frames.

A mel frame is `hop_samples` samples; a clip of N samples has ceil(N / hop_samples) frames.
"""

from __future__ import annotations

import math


def frames_of_samples(samples: int, hop_samples: int) -> int:
    """Frames of a clip of `samples` samples: ceil(samples / hop)."""
    return -(-samples // hop_samples)


def seconds_of_samples(samples: int, sample_rate_hz: int) -> float:
    """Duration in seconds of `samples` samples."""
    return samples / sample_rate_hz


def samples_of_seconds(seconds: float, sample_rate_hz: int) -> int:
    """Number of samples in `seconds` seconds, rounded to the nearest."""
    return round(seconds * sample_rate_hz)


def seconds_of_frames(frames: float, sample_rate_hz: int, hop_samples: int) -> float:
    """Duration in seconds of `frames` frames."""
    return frames * hop_samples / sample_rate_hz


def frames_of_seconds(seconds: float, sample_rate_hz: int, hop_samples: int) -> int:
    """Number of frames in `seconds` seconds, rounded up."""
    return math.ceil(seconds * sample_rate_hz / hop_samples)
