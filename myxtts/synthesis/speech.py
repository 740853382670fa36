"""What a synthesis gives, and how its sentences become one piece of speech."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from myxtts.config.schema import AudioConfig
from myxtts.units import frames_of_seconds, seconds_of_frames

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
    `voice` and `language` say what was used, `notes` what a listener should know.
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

    @property
    def real_time_factor(self) -> float:
        """Seconds of computing for a second of speech."""
        return self.compute_seconds / self.seconds


def sane_mel(mel_MC: FloatArray, audio: AudioConfig) -> FloatArray:
    """A natural-log mel that is nowhere under the floor of the convention."""
    floored: FloatArray = np.maximum(mel_MC, np.float32(math.log(audio.log_floor))).astype(np.float32)
    return floored


def join(
    mels: Sequence[FloatArray], waves: Sequence[FloatArray], audio: AudioConfig, speed: float
) -> tuple[FloatArray, FloatArray, list[tuple[float, float]]]:
    """Sentences with pauses between them: samples [N], mel [M, C], (start, length) of each in seconds; N = M * hop."""
    hop, rate = audio.hop_samples, audio.sample_rate_hz
    pause = frames_of_seconds(PAUSE_SECONDS / speed, rate, hop)
    silence_MC = np.full((pause, audio.mel_channels), math.log(audio.log_floor), np.float32)
    all_mels: list[FloatArray] = []
    all_waves: list[FloatArray] = []
    places: list[tuple[float, float]] = []
    frames = 0
    for mel_MC, wave_N in zip(mels, waves, strict=True):
        if places:
            all_mels.append(silence_MC)
            all_waves.append(np.zeros(pause * hop, np.float32))
            frames += pause
        all_mels.append(mel_MC)
        all_waves.append(_faded(wave_N, rate))
        places.append((seconds_of_frames(frames, rate, hop), seconds_of_frames(len(mel_MC), rate, hop)))
        frames += len(mel_MC)
    return within_full_scale(np.concatenate(all_waves)), np.concatenate(all_mels), places


def within_full_scale(samples_N: FloatArray) -> FloatArray:
    """Samples, all of them softer where a peak would clip."""
    peak = float(np.abs(samples_N).max(initial=0.0))
    return samples_N * np.float32(HIGHEST_PEAK / peak) if peak > HIGHEST_PEAK else samples_N


def _faded(wave_N: FloatArray, sample_rate_hz: int) -> FloatArray:
    """A wave whose ends rise from and fall to zero within 5 ms, so that no click stands at a pause."""
    count = min(round(_FADE_SECONDS * sample_rate_hz), len(wave_N) // 2)
    ramp = np.linspace(0.0, 1.0, count, dtype=np.float32)
    faded = np.array(wave_N, np.float32)
    faded[:count] *= ramp
    faded[len(faded) - count :] *= ramp[::-1]
    return faded
