"""Whether a reference recording holds the speech of one person: noise, music and several speakers are recognized.

The limits are from 110 recordings of about 60 readers (16 to 22 kHz, studio to home), synthetic music, noise, and
pairs of readers one after the other; docs/log/2026-12-01-inputs.md has the figures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from myxtts.audio import pitch
from myxtts.audio.activity import smooth_levels
from myxtts.audio.speaker_changes import similarity_of_parts
from myxtts.config.schema import AudioConfig
from myxtts.units import frames_of_seconds

Array = npt.NDArray[np.float32]

_LOUD_DB = 30.0
_LEAST_VOICED = 0.2
"""Of the loud frames, 0.39 and more are voiced in speech; in noise at most 0.06."""
_MOST_STILL, _STILL_SEMITONES = 0.3, 0.03
"""Share of voiced frames whose pitch does not move: at most 0.19 in speech, over 0.45 in the notes of instruments."""
_LEAST_LEVEL_CHANGE_DB, _LEAST_QUIET, _QUIET_POWER = 6.8, 0.12, 0.25
"""Speech varies by over 7 dB, and a tenth of each second is quiet; music and a crowd do not pause."""
LEAST_SIMILARITY = 0.42
"""Of the parts of a recording: 2% of those with one speaker are below it, 89% of those with two."""


def reference_problem(samples_N: Array, audio: AudioConfig) -> str:
    """What is wrong with a trimmed recording as a reference, for a note; empty if it is the speech of one person."""
    level_M = smooth_levels(samples_N, audio)
    pitch_M = pitch.track(samples_N, audio)[: len(level_M)]
    voiced_M = pitch_M > 0
    loud_M = level_M > np.percentile(level_M, 95.0) - _LOUD_DB
    share = float(voiced_M[loud_M].mean()) if loud_M.any() else 0.0
    if share < _LEAST_VOICED:
        return f"only {share:.0%} of it is voiced: it seems to be noise, not speech"
    semitone_M = 12.0 * np.log2(np.where(voiced_M, pitch_M, 1.0))
    both_M = voiced_M[1:] & voiced_M[:-1]
    steps = np.abs(np.diff(semitone_M))[both_M]
    if len(steps) and float((steps < _STILL_SEMITONES).mean()) > _MOST_STILL:
        return "its pitch stays the same from frame to frame: it seems to be music or tones, not speech"
    if float(level_M.std()) < _LEAST_LEVEL_CHANGE_DB and _quiet_share(level_M, audio) < _LEAST_QUIET:
        return "its level hardly ever drops: it seems to contain music, loud noise, or several voices at once"
    similarity = similarity_of_parts(samples_N, audio.sample_rate_hz)
    if similarity < LEAST_SIMILARITY:
        return (
            f"its parts sound like different people (similarity {similarity:.2f}, of one person mostly over "
            f"{LEAST_SIMILARITY:g}): it seems to contain several speakers; cut it to one of them"
        )
    return ""


def _quiet_share(level_M: npt.NDArray[np.float64], audio: AudioConfig) -> float:
    """Share of the frames whose power is under a quarter of the mean of their second."""
    power_M = 10.0 ** (level_M / 10.0)
    second = frames_of_seconds(1.0, audio.sample_rate_hz, audio.hop_samples)
    parts = np.array_split(power_M, max(1, len(power_M) // second))
    return float(np.mean([(part < _QUIET_POWER * part.mean()).mean() for part in parts]))
