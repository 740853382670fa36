"""Word and character error rates between an expected and a recognized text."""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from myxtts.text.normalization import normalize

_PERSIAN_VOWEL_MARKS = dict.fromkeys(range(0x064B, 0x0653))
_APOSTROPHES = dict.fromkeys(map(ord, "\u2019\u2018\u02bc\u00b4`"), "'")


@dataclass(frozen=True)
class ErrorRates:
    """Edits relative to the words and to the characters of the expected text, whose numbers are given; may exceed 1."""

    wer: float
    cer: float
    words: int
    characters: int


def spoken_form(text: str, language: str) -> str:
    """The spoken words of a text in lower case, separated by single spaces.

    First the language's normalization (numbers, dates, abbreviations, symbols), so that "Dr. 5" and "doctor five" are
    equal; then Unicode NFKC and case folding. Letters, combining marks, digits and apostrophes inside words are kept;
    everything else, including hyphens and the zero-width non-joiner, separates words.
    """
    folded = unicodedata.normalize("NFKC", normalize(text, language)).casefold().translate(_APOSTROPHES)
    if language.split("-")[0] == "fa":
        folded = folded.translate(_PERSIAN_VOWEL_MARKS)  # the normalization writes some, a recognizer none
    kept = "".join(c if c == "'" or unicodedata.category(c)[0] in "LMN" else " " for c in folded)
    return " ".join(word.strip("'") for word in kept.split() if word.strip("'"))


def error_rates(text: str, recognized: str, language: str) -> ErrorRates | None:
    """Error rates of the recognized text against the expected one; None for a text without a word."""
    wanted, got = spoken_form(text, language), spoken_form(recognized, language)
    if not wanted:
        return None
    words = wanted.split()
    return ErrorRates(edits(words, got.split()) / len(words), edits(wanted, got) / len(wanted), len(words), len(wanted))


def edits(wanted: Sequence[Hashable], got: Sequence[Hashable]) -> int:
    """The least number of insertions, deletions and substitutions that turn one sequence into the other.

    Source: Levenshtein (1966); Wagner, Fischer (1974), "The string-to-string correction problem", algorithm X.
    """
    row = list(range(len(got) + 1))
    for i, item in enumerate(wanted, start=1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(got, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (item != other))
    return row[-1]
