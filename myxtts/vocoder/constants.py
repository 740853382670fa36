"""What both forms of the vocoder's network share: the one that trains, and the one in NumPy."""

from __future__ import annotations

KERNEL = 7
"""Frames that a convolution sees."""
NORM_EPSILON = 1e-5
"""Added to the variance in a normalization, as in models.layers."""
LOUDEST = 5.0
"""Upper limit of a log envelope, far above real ones: what an untrained voice model predicts must not overflow."""
NOISE_AT_START = -0.7
"""Log gain of the noise against the envelope before training."""
GAIN_RANGE = 4.0
"""A log gain of the noise differs from the envelope by at most this, either way."""
MEL_CENTRE, MEL_SCALE, PITCH_HZ = -5.0, 2.5, 180.0
"""What brings a natural-log mel and a pitch to about unit size."""
NOISE_BESIDE_HARMONICS = 0.4
"""Share of the noise that speech lacks, unlike training, in a bin where harmonics are far louder
(docs/log/2026-12-01-vocoder.md)."""
NOISE_GATE_NEPERS = 5.0
"""Noise this far below the loudest bin of its window (43 dB) is attenuated in speech by the distance again, so that
what fills gaps and high frequencies falls silent."""
TINY = 1e-30
"""Added where a gain divides, against a division by zero."""
