"""Sentences of the repair tool in English and Persian: one table, looked up by name, values made safe to print."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from myxtts.doctor.findings import Said
from myxtts.doctor.sentences_data import DATA
from myxtts.doctor.sentences_reasons import REASONS
from myxtts.doctor.sentences_runs import RUNS
from myxtts.doctor.sentences_screen import SCREEN
from myxtts.doctor.sentences_settings import SETTINGS
from myxtts.messages import plain

LANGUAGES = ("en", "fa")
SENTENCES: Mapping[str, tuple[str, str]] = {**SCREEN, **SETTINGS, **DATA, **RUNS}
"""Name -> the sentence in English and in Persian, with the same placeholders."""

_UNSAFE = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTIONS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def words(sentence: Said, language: str, python: str = "python3") -> str:
    """The sentence in `language`, its values filled in; a line break in a value cannot forge a line.

    `python` is how a printed command calls Python.
    """
    template = SENTENCES[sentence.name][LANGUAGES.index(language)]
    return template.format(**{"python": python, **{name: _shown(v, language, python) for name, v in sentence.values}})


def _shown(value: object, language: str, python: str) -> str:
    if isinstance(value, Said):
        return words(value, language, python)
    if isinstance(value, float):
        return plain(float(f"{value:.6g}"))
    if language == "fa" and isinstance(value, str):
        value = REASONS.get(value, value)
    return safe(plain(value))


def safe(text: str) -> str:
    """`text` with control characters, line breaks and marks that turn the direction of writing made visible."""
    return "".join(repr(c)[1:-1] if _is_unsafe(c) else c for c in text)


def _is_unsafe(character: str) -> bool:
    return character in _DIRECTIONS or unicodedata.category(character) in _UNSAFE
