"""What reading a data root gives: utterances, and what was rejected with its place and reason."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from myxtts.messages import escaped, has_control_character, quoted

shown, visible = quoted, escaped
MISSING_FILE = "missing file"
AMBIGUOUS_FILE = "ambiguous file"
ESCAPES_ROOT = "escapes the root"
DUPLICATE = "duplicate"
EMPTY_TEXT = "empty text"
MISSING_TEXT = "missing text"
CONTROL_CHARACTER = "control character"
NOT_UTF8 = "not UTF-8"
BAD_COLUMNS = "wrong columns"
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
    """One recording and its text. `source` is the place of its row: "file:line".

    `speed` other than 1: a copy of it, played so much faster, its voice so much higher.
    """

    id: str
    audio_path: Path
    text: str
    speaker: str
    language: str
    source: str
    speed: float = 1.0


@dataclass(frozen=True)
class CapNeeds:
    """What a row that is over a cap has of it: seconds of its recording, tokens of its text; 0 what is within."""

    seconds: float = 0.0
    tokens: int = 0


@dataclass(frozen=True)
class Rejection:
    """A row that is left out whole: where it stands, which reason (one of REASONS), and the value that was met."""

    source: str
    utterance_id: str
    reason: str
    value: str
    needs: CapNeeds = CapNeeds()
    """What the caps would have to be, where they alone keep the row out."""

    def to_json(self) -> dict[str, Any]:
        """As plain values for a JSON file."""
        return {"source": self.source, "id": self.utterance_id, "reason": self.reason, "value": self.value}


@dataclass(frozen=True)
class Manifest:
    """The utterances of a root before any recording was opened, the rejected rows, and what was taken why."""

    utterances: list[Utterance]
    rejections: list[Rejection]
    metadata: Path
    notes: list[str] = field(default_factory=list)


def name_problem(what: str, name: str) -> tuple[str, str] | None:
    """Why a name (of a file or speaker) cannot be used, as (reason, value), or None: a control character in it."""
    if has_control_character(name):
        return CONTROL_CHARACTER, f"in the name of the {what} {shown(name, 60)}; rename it"
    return None


def text_problem(text: str) -> tuple[str, str] | None:
    """Why a text cannot be spoken, as (reason, value), or None: empty, not UTF-8, a control character."""
    if not text.strip():
        return EMPTY_TEXT, shown(text)
    if any("\ud800" <= character <= "\udfff" for character in text):
        return NOT_UTF8, shown(text.encode("utf-8", "replace").decode())
    for character in text:
        if unicodedata.category(character) == "Cc" and not character.isspace():
            return CONTROL_CHARACTER, f"{character!r} in {shown(text, 60)}"
    return None
