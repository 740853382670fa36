"""What a worker process does with one recording: hash, decode, trim, mel, energy, pitch, into the cache."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from myxtts.audio import mel, pitch, waveform
from myxtts.config.schema import AudioConfig
from myxtts.data.entry import ClipFacts, check_entry, write_entry
from myxtts.data.pool import job_limits
from myxtts.data.records import SILENT, TOO_LONG, TOO_SHORT, UNREADABLE, visible
from myxtts.errors import DataError

FEATURES_VERSION = 1
"""Raised by hand when features of the same recording and settings change: a new trimming, a new pitch tracker."""
CHECKS_VERSION = 1
"""Raised by hand when a recording that was good may be refused: all are looked at again, features stay."""
_SYSTEM_ERROR = 2
"""libsndfile's code where the operating system refused; others are about the content of the file."""


@dataclass(frozen=True)
class AudioJob:
    """A recording to compute features of."""

    path: Path
    audio: AudioConfig
    cache: Path
    min_seconds: float
    max_seconds: float
    speed: float = 1.0


@dataclass(frozen=True)
class AudioOutcome:
    """What came of it. `reason` is empty for a clip whose features are in the cache under `key`.

    Recording figures are 0 where the header could not be read; `trimmed_samples` and `frames` where nothing was made.
    """

    reason: str = ""
    value: str = ""
    key: str = ""
    sample_rate_hz: int = 0
    channels: int = 0
    samples: int = 0
    trimmed_samples: int = 0
    frames: int = 0

    @property
    def seconds(self) -> float:
        """Length of the recording by its header."""
        return self.samples / self.sample_rate_hz if self.sample_rate_hz else 0.0


@dataclass(frozen=True)
class PassingOutcome(AudioOutcome):
    """A rejection that may not come again: the disk or the memory failed, not the recording. Not to be remembered."""


def audio_settings(audio: AudioConfig) -> str:
    """Short hash of every setting and definition that features depend on."""
    defining = [FEATURES_VERSION, mel.fingerprint(audio), audio.pitch_low_hz, audio.pitch_high_hz, audio.trim_db]
    return hashlib.blake2b(json.dumps(defining).encode(), digest_size=8).hexdigest()


def entry_path(cache: Path, key: str) -> Path:
    """File of the features under a key."""
    return cache / "features" / key[:2] / f"{key}.f32"


def is_key(key: object) -> bool:
    """Whether this is a key as `extract` makes them: it becomes a part of a path."""
    return isinstance(key, str) and re.fullmatch(r"[0-9a-f]{32}", key) is not None


def extract(job: AudioJob) -> AudioOutcome:
    """Computes the features of a recording unless the cache has them. Errors: StorageError if the disk refuses."""
    with job_limits():
        try:
            info = waveform.probe(job.path)
            reason, value = length_problem(info.seconds, job.min_seconds, job.max_seconds)
            if reason:
                return AudioOutcome(reason, value, "", info.sample_rate_hz, info.channels, info.samples)
            return _computed(job, info)
        except DataError as error:
            return (PassingOutcome if _is_of_the_system(error) else AudioOutcome)(UNREADABLE, str(error))
        except (OSError, MemoryError) as error:
            return PassingOutcome(UNREADABLE, f"{visible(str(job.path))}: {type(error).__name__} {visible(str(error))}")


def _is_of_the_system(error: DataError) -> bool:
    """Whether reading a recording failed by the operating system, and not by what is in the file."""
    cause = error.__cause__
    return isinstance(cause, OSError) or (isinstance(cause, soundfile.LibsndfileError) and cause.code == _SYSTEM_ERROR)


def _computed(job: AudioJob, info: waveform.AudioInfo) -> AudioOutcome:
    """Features of a recording whose header is good."""
    with job.path.open("rb") as file:
        content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    content.update(audio_settings(job.audio).encode())
    if job.speed != 1.0:
        content.update(repr(job.speed).encode())
    key = content.hexdigest()
    path = entry_path(job.cache, key)
    facts = check_entry(path, job.audio.mel_channels)
    if facts is None:
        samples_N = waveform.read(job.path, job.audio, job.max_seconds)
        if waveform.is_silent(samples_N):
            return AudioOutcome(SILENT, f"{info.seconds:.2f} s", key, info.sample_rate_hz, info.channels, info.samples)
        samples_N = waveform.faster(waveform.trim(samples_N, job.audio), job.speed)
        mel_MC, energy_M = mel.features(samples_N, job.audio)
        pitch_M = pitch.track(samples_N, job.audio)
        if not all(np.isfinite(array).all() for array in (mel_MC, energy_M, pitch_M)):
            raise DataError(f"{visible(str(job.path))}: its features are not finite; record or convert it again")
        facts = ClipFacts(
            frames=len(mel_MC),
            mel_channels=job.audio.mel_channels,
            sample_rate_hz=info.sample_rate_hz,
            channels=info.channels,
            samples=info.samples,
            trimmed_samples=len(samples_N),
        )
        write_entry(path, facts, mel_MC, pitch_M, energy_M)
    return AudioOutcome(
        key=key,
        sample_rate_hz=info.sample_rate_hz,
        channels=info.channels,
        samples=info.samples,
        trimmed_samples=facts.trimmed_samples,
        frames=facts.frames,
    )


def length_problem(seconds: float, min_seconds: float, max_seconds: float) -> tuple[str, str]:
    """(reason, value) if a clip is too short or too long, else ("", "")."""
    if seconds < min_seconds:
        return TOO_SHORT, f"{seconds:.2f} s, at least {min_seconds:g} s"
    if seconds > max_seconds:
        return TOO_LONG, f"{seconds:.2f} s, at most {max_seconds:g} s (data.max_clip_seconds)"
    return "", ""
