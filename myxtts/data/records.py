"""Utterances of a data root, and rejected rows with their location and reason."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from myxtts.messages import has_control_character, quoted

MISSING_FILE = "missing file"
AMBIGUOUS_FILE = "ambiguous file"
ESCAPES_ROOT = "escapes the root"
DUPLICATE = "duplicate"
EMPTY_TEXT = "empty text"
MISSING_TEXT = "missing text"
CONTROL_CHARACTER = "control character"
NOT_UTF8 = "not UTF-8"
BAD_COLUMNS = "wrong columns"
OPEN_QUOTE = "open quote"
UNREADABLE = "unreadable"
DECODER_DIED = "decoder died"
SILENT = "silent"
TOO_SHORT = "too short"
TOO_LONG = "longer than the cap"
TEXT_OVER_FRAMES = "text longer than its frames"
TOO_MANY_TOKENS = "too many tokens"
UNKNOWN_SYMBOLS = "unknown symbols"
UNKNOWN_LANGUAGE = "unknown language"

REASONS = (
    MISSING_FILE,
    AMBIGUOUS_FILE,
    ESCAPES_ROOT,
    DUPLICATE,
    EMPTY_TEXT,
    MISSING_TEXT,
    CONTROL_CHARACTER,
    NOT_UTF8,
    BAD_COLUMNS,
    OPEN_QUOTE,
    UNREADABLE,
    DECODER_DIED,
    SILENT,
    TOO_SHORT,
    TOO_LONG,
    TEXT_OVER_FRAMES,
    TOO_MANY_TOKENS,
    UNKNOWN_SYMBOLS,
    UNKNOWN_LANGUAGE,
)


@dataclass(frozen=True)
class Utterance:
    """One recording and its text. `source` is the location of its row: "file:line".

    `speed` other than 1 is a copy of the recording, resampled to be faster by this factor, and higher in pitch.
    """

    id: str
    audio_path: Path
    text: str
    speaker: str
    language: str
    source: str
    speed: float = 1.0


@dataclass(frozen=True)
class NeededLimits:
    """What a row that exceeds a limit needs: seconds of its recording, tokens of its text; 0 for what is within."""

    seconds: float = 0.0
    tokens: int = 0


@dataclass(frozen=True)
class Rejection:
    """A row that is not used: its location, the reason (one of REASONS), and the value that was found."""

    source: str
    utterance_id: str
    reason: str
    value: str
    needs: NeededLimits = NeededLimits()
    """The limits under which the row would be accepted, if limits are all that excludes it."""

    def to_json(self) -> dict[str, Any]:
        """As plain values for a JSON file."""
        return {"source": self.source, "id": self.utterance_id, "reason": self.reason, "value": self.value}


@dataclass(frozen=True)
class RootManifest:
    """The utterances of a root before any recording is opened, the rejected rows, and notes on how it was read."""

    utterances: list[Utterance]
    rejections: list[Rejection]
    metadata: Path
    notes: list[str] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    """Meaning of the columns of a table, "" for one that is not read; empty for other layouts."""
    guessed: bool = False
    """Whether the columns are known by their contents only, not by a header or by the user."""


def name_problem(what: str, name: str) -> tuple[str, str] | None:
    """(reason, value) if the name of a file or speaker has a control character, else None."""
    if has_control_character(name):
        return CONTROL_CHARACTER, f"in the name of the {what} {quoted(name, 60)}; rename it"
    return None


_MISSING = frozenset({"nan", "NaN", "NULL", "null", "<NA>", "#N/A", "#REF!", "#VALUE!", "#NAME?"})
"""What programs and spreadsheets write where there is no text."""


def text_problem(text: str) -> tuple[str, str] | None:
    """(reason, value) if a text is empty, not UTF-8 or has a control character, else None."""
    if not text.strip() or text.strip() in _MISSING:
        return EMPTY_TEXT, quoted(text)
    if text.isprintable():
        return None
    if any("\ud800" <= character <= "\udfff" for character in text):
        return NOT_UTF8, quoted(text.encode("utf-8", "replace").decode())
    for character in text:
        if unicodedata.category(character) == "Cc" and not character.isspace():
            return CONTROL_CHARACTER, f"{character!r} in {quoted(text, 60)}"
    return None
