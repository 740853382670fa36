"""Whether a reference recording holds the speech of one person: noise, music and several speakers are recognized.

The limits are from 110 recordings of about 60 readers (16 to 22 kHz, studio to home), synthetic music, noise, and
pairs of readers one after the other; docs/log/2026-12-01-inputs.md has the figures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from myxtts.audio import mel, pitch
from myxtts.audio.activity import smooth_levels
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
_CHUNK_SECONDS, _LEAST_VOICED_FRAMES = 2.5, 50
_SEMITONES_PER_NEPER, _MOST_DIFFERENCE = 15.0, 0.9
"""Of pairs of readers, 62% differ by more between their parts; of single readers, 3%."""


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
    if _changes_speaker(samples_N, semitone_M, voiced_M, audio):
        return "its parts differ in pitch and timbre: it seems to contain several speakers"
    return ""


def _quiet_share(level_M: npt.NDArray[np.float64], audio: AudioConfig) -> float:
    """Share of the frames whose power is under a quarter of the mean of their second."""
    power_M = 10.0 ** (level_M / 10.0)
    second = frames_of_seconds(1.0, audio.sample_rate_hz, audio.hop_samples)
    parts = np.array_split(power_M, max(1, len(power_M) // second))
    return float(np.mean([(part < _QUIET_POWER * part.mean()).mean() for part in parts]))


def _changes_speaker(
    samples_N: Array, semitone_M: npt.NDArray[np.float64], voiced_M: npt.NDArray[np.bool_], audio: AudioConfig
) -> bool:
    """Whether the pitch and the mean spectrum of the voiced frames change at some place more than one voice does."""
    mel_MC = mel.log_mel(samples_N, audio)[: len(semitone_M)]
    chunk = frames_of_seconds(_CHUNK_SECONDS, audio.sample_rate_hz, audio.hop_samples)
    pitches: list[float] = []
    spectra: list[npt.NDArray[np.float32]] = []
    for frames in np.array_split(np.arange(len(mel_MC)), max(1, round(len(mel_MC) / chunk))):
        voiced = frames[voiced_M[frames]]
        if len(voiced) >= _LEAST_VOICED_FRAMES:
            pitches.append(float(np.median(semitone_M[voiced])))
            spectra.append((mel_MC[voiced] - mel_MC[voiced].mean(axis=1, keepdims=True)).mean(axis=0))
    for at in range(1, len(pitches)):
        timbre = np.mean(spectra[:at], axis=0) - np.mean(spectra[at:], axis=0)
        interval = abs(float(np.mean(pitches[:at])) - float(np.mean(pitches[at:])))
        if float(np.sqrt(np.mean(np.square(timbre)))) + interval / _SEMITONES_PER_NEPER > _MOST_DIFFERENCE:
            return True
    return False
