"""What may be asked of a synthesis, in one place for the library and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from myxtts.config.schema import AudioConfig
from myxtts.units import frames_of_seconds


@dataclass(frozen=True)
class Limit:
    """Range of an argument, both ends included, and its unit."""

    low: float
    high: float
    unit: str = ""


LIMITS: dict[str, Limit] = {
    "speed": Limit(0.25, 4.0, "times"),
    "pitch": Limit(-24.0, 24.0, "semitones"),
    "pitch_range": Limit(0.0, 4.0, "times"),
    "energy": Limit(-30.0, 30.0, "dB"),
    "temperature": Limit(0.0, 2.0),
    "steps": Limit(0, 200, "steps"),
    "vary": Limit(0.0, 2.0),
    "seed": Limit(0, 2**31 - 1),
}
LONGEST_TEXT = 100_000
"""Characters of a text: over an hour of speech."""
LONGEST_SENTENCE_TOKENS = 2_000
"""A longer one is cut, whatever data.max_text_tokens was: attention grows with the square of it."""
LARGEST_SPECTROGRAM = 30_000_000
"""Frames times frequencies of a sentence at speed 1, two gigabytes of work for the waveform. A minute with the default
audio settings is a tenth of it; at their other end (a hop of 32 samples at 48 kHz) a minute would take 20 GB."""


def longest_sentence(audio: AudioConfig, seconds: float) -> int:
    """Frames of the longest sentence: of so many seconds, or what a waveform can be made of in memory."""
    frames = frames_of_seconds(seconds, audio.sample_rate_hz, audio.hop_samples)
    return min(frames, LARGEST_SPECTROGRAM // (audio.fft_samples // 2 + 1))


def limit_problems(values: Mapping[str, float | None], prefix: str = "") -> list[str]:
    """One line for each of `values` that is out of its range, `prefix` before its name; None is always allowed."""
    found = []
    for name, value in values.items():
        limit = LIMITS[name]
        if value is not None and not limit.low <= value <= limit.high:
            unit = f" {limit.unit}" if limit.unit else ""
            said = prefix + (name.replace("_", "-") if prefix else name)
            found.append(f"{said} is {value!r}, expected {limit.low:.12g} to {limit.high:.12g}{unit}")
    return found


def text_problems(text: str, what: str = "the text") -> list[str]:
    """One line if a text is empty or absurdly long."""
    if not text.strip():
        return [f"{what} is empty, there is nothing to speak; write at least a word"]
    if len(text) > LONGEST_TEXT:
        return [f"{what} has {len(text)} characters, at most {LONGEST_TEXT} are spoken at once; cut it into parts"]
    return []
