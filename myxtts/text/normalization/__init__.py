"""Written text to text that can be spoken as written, by language."""

from __future__ import annotations

from myxtts.text.normalization import english, persian
from myxtts.text.normalization.characters import clean


def normalize(text: str, language: str) -> str:
    """The text with one form for each character and, in English and Persian, numbers and abbreviations in words.

    Other languages keep their numbers: eSpeak NG reads them. Characters that nothing can speak (emoji, control
    characters, lone surrogates) are kept, so that the tokenizer can report them.
    """
    text = clean(text)
    base = language.lower().replace("_", "-").split("-")[0]
    if base == "en":
        return english.normalize(text, day_first=not language.lower().replace("_", "-").startswith(("en-us", "en-ca")))
    if base == "fa":
        return persian.normalize(text)
    return text
