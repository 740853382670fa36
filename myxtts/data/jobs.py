"""The jobs of a worker process: computing the features of one recording, or encoding some texts.

Functions here run in the processes of `pool.py`; `features.py` makes the jobs and collects the outcomes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile

from myxtts import text as text_package
from myxtts.audio import mel, pitch, waveform
from myxtts.audio.activity import SoundFigures, measure_sound
from myxtts.config.schema import AudioConfig, TextConfig
from myxtts.data.feature_store import ClipFacts, TokenArray, check_entry, write_entry
from myxtts.data.pool import job_limits
from myxtts.data.records import (
    EMPTY_TEXT,
    SILENT,
    TOO_LONG,
    TOO_SHORT,
    UNKNOWN_LANGUAGE,
    UNKNOWN_SYMBOLS,
    UNREADABLE,
)
from myxtts.errors import DataError
from myxtts.messages import escaped, quoted
from myxtts.text.symbols import RESERVED, SymbolTable
from myxtts.text.tokenizer import EncodedText, Tokenizer

FEATURES_VERSION = 2
"""Raise this when features of the same recording and settings change: another trimming, another pitch tracker."""
CHECKS_VERSION = 2
"""Raise this when a recording that was accepted may now be rejected: all are checked again, features are kept."""
_SYSTEM_ERROR = 2
"""libsndfile's code for an error of the operating system; its other codes concern the content of the file."""
NO_TOKENS: TokenArray = np.zeros(0, np.int32)


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
    """Result of an `AudioJob`. `reason` is empty for a clip whose features are in the cache under `key`.

    The figures of the recording are 0 if its header could not be read; `trimmed_samples` and `frames` are 0 if no
    features were computed.
    """

    reason: str = ""
    value: str = ""
    key: str = ""
    sample_rate_hz: int = 0
    channels: int = 0
    samples: int = 0
    trimmed_samples: int = 0
    frames: int = 0
    sound: SoundFigures = field(default_factory=SoundFigures)

    @property
    def seconds(self) -> float:
        """Length of the recording according to its header."""
        return self.samples / self.sample_rate_hz if self.sample_rate_hz else 0.0


@dataclass(frozen=True)
class TransientOutcome(AudioOutcome):
    """A rejection because the disk or the memory failed, not the recording. It must not be cached."""


@dataclass(frozen=True)
class TextJob:
    """Texts of one language to encode; `table` is the symbol table as JSON text."""

    texts: tuple[str, ...]
    language: str
    text: TextConfig
    table: str
    dictionary: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TextOutcome:
    """The tokens of a text, or the reason why there are none."""

    tokens: TokenArray
    reason: str = ""
    value: str = ""


def audio_settings(audio: AudioConfig) -> str:
    """Short hash of every setting and definition that features depend on."""
    defining = [FEATURES_VERSION, mel.fingerprint(audio), audio.pitch_low_hz, audio.pitch_high_hz, audio.trim_db]
    return hashlib.blake2b(json.dumps(defining).encode(), digest_size=8).hexdigest()


def entry_path(cache: Path, key: str) -> Path:
    """The feature file for a key."""
    return Path(f"{cache}/features/{key[:2]}/{key}.f32")  # once per clip and start: faster than joining


def is_key(key: object) -> bool:
    """Whether this is a key as `extract` makes them; keys become part of a path."""
    return isinstance(key, str) and re.fullmatch(r"[0-9a-f]{32}", key) is not None


def extract(job: AudioJob) -> AudioOutcome:
    """Computes the features of a recording unless they are cached. Errors: StorageError if they cannot be written."""
    with job_limits():
        try:
            info = waveform.probe(job.path)
            reason, value = length_problem(info.seconds, job.min_seconds, job.max_seconds)
            if reason:
                return AudioOutcome(reason, value, "", info.sample_rate_hz, info.channels, info.samples)
            return _computed(job, info)
        except DataError as error:
            return (TransientOutcome if _is_system_error(error) else AudioOutcome)(UNREADABLE, str(error))
        except (OSError, MemoryError) as error:
            return TransientOutcome(
                UNREADABLE, f"{escaped(str(job.path))}: {type(error).__name__} {escaped(str(error))}"
            )


def _is_system_error(error: DataError) -> bool:
    """Whether the operating system failed to read a recording, as opposed to a fault in the file's content."""
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
    recording = waveform.read_recording(job.path, job.audio, job.max_seconds)
    if waveform.is_silent(recording.samples_N):
        return AudioOutcome(SILENT, f"{info.seconds:.2f} s", key, info.sample_rate_hz, info.channels, info.samples)
    trimmed_N = waveform.trim(recording.samples_N, job.audio)
    if facts is None:
        samples_N = waveform.faster(trimmed_N, job.speed)
        mel_MC, energy_M = mel.features(samples_N, job.audio)
        pitch_M = pitch.track(samples_N, job.audio)
        if not all(np.isfinite(array).all() for array in (mel_MC, energy_M, pitch_M)):
            raise DataError(f"{escaped(str(job.path))}: its features are not finite; record or convert it again")
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
        sound=_sound_figures(recording, trimmed_N, job.audio),
    )


def _sound_figures(recording: waveform.Recording, trimmed_N: waveform.Array, audio: AudioConfig) -> SoundFigures:
    pause_seconds, level_db = measure_sound(trimmed_N, audio)
    return SoundFigures(
        offset_permille=round(1_000 * abs(recording.offset)),
        clipped_ppm=round(1e6 * recording.clipped),
        inverted=int(recording.inverted),
        quiet_ms=round(1_000 * pause_seconds),
        level_db=max(0, round(-level_db)),
        cut_ms=round(1_000 * (len(recording.samples_N) - len(trimmed_N)) / audio.sample_rate_hz),
    )


def length_problem(seconds: float, min_seconds: float, max_seconds: float) -> tuple[str, str]:
    """(reason, value) if a clip is too short or too long, else ("", "")."""
    if seconds < min_seconds:
        return TOO_SHORT, f"{seconds:.2f} s, at least {min_seconds:g} s"
    if seconds > max_seconds:
        return TOO_LONG, f"{seconds:.2f} s, at most {max_seconds:g} s (data.max_clip_seconds)"
    return "", ""


def encode(job: TextJob) -> list[TextOutcome]:
    """Tokens of each text, or why there are none."""
    with job_limits():
        tokenizer = Tokenizer(job.text, _table(job.table), dictionary=job.dictionary)
        try:
            encoded = tokenizer.encode(job.texts, job.language)
        except DataError as error:  # the tokenizer raises this for an unknown language only
            return [TextOutcome(NO_TOKENS, UNKNOWN_LANGUAGE, str(error))] * len(job.texts)
        return [_text_outcome(text) for text in encoded]


def _text_outcome(encoded: EncodedText) -> TextOutcome:
    """The tokens of an encoded text, or the symbols that the table does not have."""
    if encoded.unknown:
        unknown = ", ".join(f"{quoted(symbol)} (U+{ord(symbol[0]):04X})" for symbol in dict.fromkeys(encoded.unknown))
        return TextOutcome(NO_TOKENS, UNKNOWN_SYMBOLS, f"{quoted(unknown, 120)} in {quoted(encoded.normalized, 60)}")
    if not any(symbol.isalnum() for symbol in encoded.symbols if symbol not in RESERVED):
        return TextOutcome(NO_TOKENS, EMPTY_TEXT, f"nothing to speak in {quoted(encoded.normalized)}")
    return TextOutcome(np.asarray(encoded.tokens, dtype=np.int32))


@lru_cache(maxsize=1)
def text_definition() -> str:
    """Short hash of all that determines tokens besides settings: myxtts.text, its models, and eSpeak NG's version."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(text_package.__file__ or ".").parent.rglob("*")):
        if path.suffix in (".py", ".npz"):
            digest.update(path.read_bytes())
    for package in ("espeakng-loader", "phonemizer"):
        digest.update(f"{package} {version(package)}".encode())
    return digest.hexdigest()


@lru_cache(maxsize=2)
def _table(table: str) -> SymbolTable:
    """The symbol table of a job."""
    return SymbolTable.from_json(json.loads(table))
