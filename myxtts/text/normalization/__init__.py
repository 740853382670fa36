"""Normalization: written text to the words that are spoken, by language."""

from __future__ import annotations

from myxtts.text.normalization import english, persian
from myxtts.text.normalization.characters import clean
from myxtts.text.normalization.english_signs import spell_dashes
from myxtts.text.normalization.markup import spell_addresses, without_markup


def normalize(text: str, language: str) -> str:
    """The text with one form of each character and, in English and Persian, numbers and abbreviations in words.

    In other languages eSpeak NG reads the numbers. Characters that cannot be spoken (emoji, control characters, lone
    surrogates) are kept, so that the tokenizer can report them.
    """
    base = language.lower().replace("_", "-").split("-")[0]
    text = without_markup(text)
    if base == "en":
        text = spell_dashes(spell_addresses(text))
    text = clean(text)
    if base == "en":
        return english.normalize(text, day_first=not language.lower().replace("_", "-").startswith(("en-us", "en-ca")))
    if base == "fa":
        return persian.normalize(text)
    return text
