"""Messages of the repair tool in English and Persian: one file per language, with named placeholders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from myxtts.config.presets import LEVELS
from myxtts.messages import escaped, plain
from myxtts.rungs import RUNGS

LANGUAGES = ("en", "fa")


@dataclass(frozen=True)
class Message:
    """A message by its key in the language files, with the values of its placeholders."""

    key: str
    values: tuple[tuple[str, object], ...] = ()


def message(key: str, /, **values: object) -> Message:
    """A message with its values."""
    return Message(key, tuple(values.items()))


@cache
def templates(language: str) -> Mapping[str, str]:
    """Key -> text with placeholders."""
    texts = {key: text for key, text in _content(language).items() if isinstance(text, str)}
    return texts | ({f"rung_{rung}": text for rung, text in RUNGS.items()} if language == "en" else {})


@cache
def reasons(language: str) -> Mapping[str, str]:
    """The reasons of the stable level in a language other than English: English reason -> its translation."""
    translated = _content(language).get("reasons", {})
    assert isinstance(translated, dict)
    return {override.reason: translated[override.key] for override in LEVELS["basic"] if override.key in translated}


@cache
def _content(language: str) -> Mapping[str, object]:
    content = yaml.safe_load((Path(__file__).parent / f"{language}.yaml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def render(message: Message, language: str, python: str = "python3") -> str:
    """The message in `language` with its values; a line break in a value cannot forge a line.

    `python` is how a command in a message calls Python.
    """
    values = {name: _rendered(value, language, python) for name, value in message.values}
    return templates(language)[message.key].format(python=python, **values)


def _rendered(value: object, language: str, python: str) -> str:
    if isinstance(value, Message):
        return render(value, language, python)
    if isinstance(value, float):
        return plain(float(f"{value:.6g}"))
    if isinstance(value, str):
        value = reasons(language).get(value, value)
    return escaped(plain(value))
