"""Options of a synthesis: default, range, unit and meaning of each, for the library, the command line and servers.

Imports neither NumPy nor TensorFlow, so that `--help` stays fast.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from myxtts.config.schema import AudioConfig
from myxtts.errors import ConfigError
from myxtts.messages import quoted
from myxtts.units import frames_of_seconds

HIGHEST_SEED = 2**31 - 1
LONGEST_TEXT = 100_000
"""Characters of a text: over an hour of speech."""
LONGEST_TOKEN_SECONDS = 1.5
LONGEST_SENTENCE_SECONDS = 60.0
LONGEST_SENTENCE_TOKENS = 2_000
"""Longer sentences are split even where data.max_text_tokens allows more: attention grows with the square."""
LARGEST_SPECTROGRAM = 30_000_000
"""Frames times frequency bins of a sentence at speed 1, for which Griffin-Lim needs about 2 GB. A minute with the
default audio settings is a tenth of it; with the most expensive ones (hop 32 at 48 kHz) it would take 20 GB."""


@dataclass(frozen=True)
class OptionInfo:
    """Describes one option. `low` and `high` are inclusive and None for text; `whole` restricts to integers.

    `flow_only` options affect models with a flow decoder and no others.
    """

    default: float | str | None
    description: str
    low: float | None = None
    high: float | None = None
    unit: str = ""
    whole: bool = False
    flow_only: bool = False

    @property
    def range(self) -> str:
        """The allowed values with their unit, as "0.25 to 4 times"; empty for text."""
        if self.low is None or self.high is None:
            return ""
        return f"{self.low:.12g} to {self.high:.12g}{f' {self.unit}' if self.unit else ''}"

    @property
    def default_text(self) -> str:
        """The default as a reader sees it."""
        return "as in the model's settings" if self.default is None else f"{self.default:g}"

    def problem(self, value: object) -> str | None:
        """What is expected instead of `value`; None where it is allowed."""
        if value is None and self.default is None:
            return None
        if self.low is None or self.high is None:
            return None if isinstance(value, str) else "text"
        if not isinstance(value, numbers.Real):
            return f"a number, {self.range}"
        real: Any = value  # not as a float: a whole number may be too large for one
        if not self.low <= real <= self.high:
            return self.range
        if self.whole and not isinstance(value, numbers.Integral):
            return f"a whole number, {self.range}"
        return None


def _option(
    default: float | str | None, description: str, low: float | None = None, high: float | None = None, **more: Any
) -> Any:
    return field(default=default, metadata={"option": OptionInfo(default, description, low, high, **more)})


@dataclass(frozen=True)
class SpeakOptions:
    """How a text is spoken. Raises ConfigError with one line per value out of range.

    `SPEAK_OPTIONS` holds the description of each field.
    """

    language: str | None = _option(None, "language of the text, one that the model was trained on")
    speed: float = _option(1.0, "speaking rate; 2 is twice as fast", 0.25, 4.0, unit="times")
    pitch: float = _option(0.0, "pitch shift", -24.0, 24.0, unit="semitones")
    pitch_range: float = _option(
        1.0, "scales the range of the intonation the model predicts; 0 is monotone", 0.0, 4.0, unit="times"
    )
    energy: float = _option(0.0, "change of the loudness", -30.0, 30.0, unit="dB")
    vary: float = _option(
        0.0, "varies the style of the voice, the seed selects how; scale of the noise added to it", 0.0, 2.0
    )
    seed: int = _option(1, "random seed; the same seed gives the same samples", 0, HIGHEST_SEED, whole=True)
    temperature: float = _option(0.667, "flow decoder: scale of its noise", 0.0, 2.0, flow_only=True)
    steps: int | None = _option(
        None,
        "flow decoder: number of Euler steps, 0 uses only its draft",
        0,
        200,
        unit="steps",
        whole=True,
        flow_only=True,
    )

    def __post_init__(self) -> None:
        if problems := option_problems({name: getattr(self, name) for name in SPEAK_OPTIONS}):
            raise ConfigError(problems)


SPEAK_OPTIONS: dict[str, OptionInfo] = {item.name: item.metadata["option"] for item in fields(SpeakOptions)}
"""Field of SpeakOptions -> its description, in the order of the fields."""


def option_problems(values: Mapping[str, object], prefix: str = "") -> list[str]:
    """One line for each value that is not allowed, with the option's name behind `prefix`; "--" as in a command."""
    found = []
    for name, value in values.items():
        if (expected := SPEAK_OPTIONS[name].problem(value)) is not None:
            option = prefix + (name.replace("_", "-") if prefix else name)
            found.append(f"{option} is {quoted(value)}, expected {expected}")
    return found


def text_problems(text: str, what: str = "the text") -> list[str]:
    """One line if a text is empty or too long."""
    if not text.strip():
        return [f"{what} is empty; write at least one word"]
    if len(text) > LONGEST_TEXT:
        return [f"{what} has {len(text)} characters, at most {LONGEST_TEXT} are allowed; split it"]
    return []


def longest_sentence(audio: AudioConfig, seconds: float) -> int:
    """Most frames of a sentence: those of `seconds`, or fewer where the waveform would need too much memory."""
    frames = frames_of_seconds(seconds, audio.sample_rate_hz, audio.hop_samples)
    return min(frames, LARGEST_SPECTROGRAM // (audio.fft_samples // 2 + 1))
