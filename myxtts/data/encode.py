"""What a worker process does with texts: normalize, phonemes, token ids."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from myxtts.config.schema import TextConfig
from myxtts.data.cache import NO_TOKENS, TextOutcome
from myxtts.data.pool import job_limits
from myxtts.data.records import EMPTY_TEXT, UNKNOWN_LANGUAGE, UNKNOWN_SYMBOLS, shown
from myxtts.errors import DataError
from myxtts.text.phonemes import known_languages
from myxtts.text.symbols import SymbolTable
from myxtts.text.tokenizer import Encoding, Tokenizer

TOKENS_VERSION = 1
"""Raised by hand when the same text gives other tokens: a new normalization, another phonemizer."""


@dataclass(frozen=True)
class TextJob:
    """Texts of one language to encode; `table` is the symbol table as JSON text."""

    texts: tuple[str, ...]
    language: str
    text: TextConfig
    table: str


def encode(job: TextJob) -> list[TextOutcome]:
    """Tokens of each text, or why there are none."""
    with job_limits():
        if job.text.symbols == "phonemes" and job.language not in _languages():
            outcome = TextOutcome(NO_TOKENS, UNKNOWN_LANGUAGE, f"{shown(job.language)}, expected one of eSpeak NG's")
            return [outcome] * len(job.texts)
        tokenizer = Tokenizer(job.text, _table(job.table))
        try:
            return [_outcome(encoding) for encoding in tokenizer.encode(job.texts, job.language)]
        except DataError as error:
            if len(job.texts) == 1:
                return [TextOutcome(NO_TOKENS, UNKNOWN_SYMBOLS, str(error))]
        # One text of several is at fault: alone, each gives its own outcome.
        return [
            outcome for text in job.texts for outcome in encode(TextJob((text,), job.language, job.text, job.table))
        ]


def _outcome(encoding: Encoding) -> TextOutcome:
    """An encoding as tokens, or the symbols that the table does not know."""
    if encoding.unknown:
        unknown = ", ".join(f"{shown(symbol)} (U+{ord(symbol[0]):04X})" for symbol in dict.fromkeys(encoding.unknown))
        return TextOutcome(NO_TOKENS, UNKNOWN_SYMBOLS, f"{shown(unknown, 120)} in {shown(encoding.normalized, 60)}")
    if not any(character.isalpha() for symbol in encoding.symbols for character in symbol):
        return TextOutcome(NO_TOKENS, EMPTY_TEXT, f"nothing to speak in {shown(encoding.normalized)}")
    return TextOutcome(np.asarray(encoding.tokens, dtype=np.int32))


@lru_cache(maxsize=1)
def _languages() -> frozenset[str]:
    """Languages that eSpeak NG speaks."""
    return frozenset(known_languages())


@lru_cache(maxsize=2)
def _table(table: str) -> SymbolTable:
    """The symbol table of a job."""
    return SymbolTable.from_json(json.loads(table))
