"""Whether a reading of a word agrees with the vowel marks that are written: «می‌کُشد» is mikoSad, not mikeSad."""

from __future__ import annotations

import re
from functools import lru_cache

from myxtts.text.normalization.characters import ZWNJ

_CONSONANTS = {
    "ب": "b", "پ": "p", "ت": "t", "ط": "t", "ث": "s", "س": "s", "ص": "s", "ج": "J", "چ": "C", "ح": "h", "خ": "x",
    "د": "d", "ذ": "z", "ز": "z", "ض": "z", "ظ": "z", "ر": "r", "ژ": "Z", "ش": "S", "غ": "q", "ق": "q", "ف": "f",
    "ک": "k", "گ": "g", "ل": "l", "م": "m", "ن": "[nm]",
}  # fmt: skip
_OTHERS = {"ا": "'?A?", "آ": "'?A", "ه": "h?", "و": "(?:v|ow?|u|w)?", "ی": "(?:yi?|iy?|ey?|A)?", ZWNJ: "'?"}
_GUTTURAL = "'?"
_FATHATAN, _FATHA, _DAMMA, _KASRA, _SHADDA, _SUKUN = "\u064b", "\u064e", "\u064f", "\u0650", "\u0651", "\u0652"
_LETTER = re.compile("(.)([\u064b-\u0652]*)(?=(.?))")
_LONG = {_DAMMA + "و": "[ou]?", _KASRA + "ی": "[ei]?", _FATHA + "ا": "a?"}
"""A mark before the letter of its long vowel."""
_MARKS = {_FATHA: "a", _DAMMA: "o", _KASRA: "e", _SUKUN: "", _FATHATAN: "an"}


def agrees(written: str, phonemes: str) -> bool:
    """Whether phonemes, in the letters of the lexicon, can be those of a word with some of its vowel marks."""
    return bool(_pattern(written).fullmatch(phonemes))


@lru_cache(maxsize=1_000)
def _pattern(written: str) -> re.Pattern[str]:
    found = ""
    for letter, marks, following in _LETTER.findall(written):
        sound = _CONSONANTS.get(letter) or _OTHERS.get(letter, _GUTTURAL)
        mark = marks.replace(_SHADDA, "")[:1]
        found += f"{sound}{sound}?" if letter in _CONSONANTS else sound
        found += _LONG.get(mark + following) or (_MARKS.get(mark, "") if mark else "[aeo]?")
    return re.compile(found)
