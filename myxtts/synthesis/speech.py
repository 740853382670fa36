"""What a synthesis gives, and how its sentences become one piece of speech."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from myxtts.config.schema import AudioConfig
from myxtts.units import frames_of_seconds

FloatArray = npt.NDArray[np.float32]

PAUSE_SECONDS = 0.25
HIGHEST_PEAK = 0.98
_FADE_SECONDS = 0.005


@dataclass(frozen=True)
class SpokenSentence:
    """A sentence as it was given and as it was read, and where in the speech it stands."""

    text: str
    normalized: str
    start_seconds: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Speech:
    """A text that was spoken.

    `samples` float32[N] within -1..1; `mel_MC` float32[M, C] natural-log mel, N = M * hop, for a vocoder of one's own;
    `voice` and `language` say what was used, `notes` what a listener should know. `gain`: what all samples were
    multiplied by so that no peak clips, 1 where none would.
    """

    samples: FloatArray
    sample_rate_hz: int
    mel_MC: FloatArray
    seconds: float
    compute_seconds: float
    sentences: tuple[SpokenSentence, ...]
    voice: str
    language: str
    notes: tuple[str, ...]
    gain: float = 1.0

    @property
    def real_time_factor(self) -> float:
        """Seconds of computing for a second of speech."""
        return self.compute_seconds / self.seconds


def sane_mel(mel_MC: FloatArray, audio: AudioConfig) -> FloatArray:
    """A natural-log mel that is nowhere under the floor of the convention."""
    floored: FloatArray = np.maximum(mel_MC, np.float32(math.log(audio.log_floor))).astype(np.float32)
    return floored


def level_db(mel_MC: FloatArray) -> float:
    """Mean power of a sentence in decibels, from its natural-log mel; what it is relative to does not matter."""
    return 10.0 * math.log10(float(np.exp(2.0 * mel_MC.astype(np.float64)).sum(axis=1).mean()))


def louder(mel_MC: FloatArray, decibels: float) -> FloatArray:
    """A natural-log mel of the same sound, louder."""
    return mel_MC + np.float32(decibels * math.log(10.0) / 20.0)


def ready_to_join(
    mel_MC: FloatArray, wave_N: FloatArray, audio: AudioConfig, speed: float, *, first: bool
) -> tuple[FloatArray, FloatArray]:
    """Mel [M, C] and samples [N] of a sentence with a pause before it, unless it is the first; N = M * hop."""
    wave_N = _faded(wave_N, audio.sample_rate_hz)
    if first:
        return mel_MC, wave_N
    pause = frames_of_seconds(PAUSE_SECONDS / speed, audio.sample_rate_hz, audio.hop_samples)
    silence_MC = np.full((pause, audio.mel_channels), math.log(audio.log_floor), np.float32)
    silence_N = np.zeros(pause * audio.hop_samples, np.float32)
    return np.concatenate([silence_MC, mel_MC]), np.concatenate([silence_N, wave_N])


def gain_for(samples_N: FloatArray) -> float:
    """What samples are multiplied by so that no peak clips; 1 where none would."""
    peak = float(np.abs(samples_N).max(initial=0.0))
    return HIGHEST_PEAK / peak if peak > HIGHEST_PEAK else 1.0


def _faded(wave_N: FloatArray, sample_rate_hz: int) -> FloatArray:
    """A wave whose ends rise from and fall to zero within 5 ms, so that no click stands at a pause."""
    count = min(round(_FADE_SECONDS * sample_rate_hz), len(wave_N) // 2)
    ramp = np.linspace(0.0, 1.0, count, dtype=np.float32)
    faded = np.array(wave_N, np.float32)
    faded[:count] *= ramp
    faded[len(faded) - count :] *= ramp[::-1]
    return faded
