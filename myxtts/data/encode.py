"""What a worker process does with texts: normalize, phonemes, token ids."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

from myxtts import text as text_package
from myxtts.config.schema import TextConfig
from myxtts.data.cache import NO_TOKENS, TextOutcome
from myxtts.data.pool import job_limits
from myxtts.data.records import EMPTY_TEXT, UNKNOWN_LANGUAGE, UNKNOWN_SYMBOLS, shown
from myxtts.errors import DataError
from myxtts.text.symbols import RESERVED, SymbolTable
from myxtts.text.tokenizer import Encoding, Tokenizer


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
        tokenizer = Tokenizer(job.text, _table(job.table))
        try:
            encodings = tokenizer.encode(job.texts, job.language)
        except DataError as error:  # the tokenizer refuses nothing but a language
            return [TextOutcome(NO_TOKENS, UNKNOWN_LANGUAGE, str(error))] * len(job.texts)
        return [_outcome(encoding) for encoding in encodings]


def _outcome(encoding: Encoding) -> TextOutcome:
    """An encoding as tokens, or the symbols that the table does not know."""
    if encoding.unknown:
        unknown = ", ".join(f"{shown(symbol)} (U+{ord(symbol[0]):04X})" for symbol in dict.fromkeys(encoding.unknown))
        return TextOutcome(NO_TOKENS, UNKNOWN_SYMBOLS, f"{shown(unknown, 120)} in {shown(encoding.normalized, 60)}")
    if not any(symbol.isalnum() for symbol in encoding.symbols if symbol not in RESERVED):
        return TextOutcome(NO_TOKENS, EMPTY_TEXT, f"nothing to speak in {shown(encoding.normalized)}")
    return TextOutcome(np.asarray(encoding.tokens, dtype=np.int32))


@lru_cache(maxsize=1)
def text_definition() -> str:
    """Short hash of all that turns texts into tokens: our own code for it and the versions of what it drives."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(text_package.__file__ or ".").parent.rglob("*.py")):
        digest.update(path.read_bytes())
    for package in ("espeakng-loader", "phonemizer"):
        digest.update(f"{package} {version(package)}".encode())
    return digest.hexdigest()


@lru_cache(maxsize=2)
def _table(table: str) -> SymbolTable:
    """The symbol table of a job."""
    return SymbolTable.from_json(json.loads(table))
