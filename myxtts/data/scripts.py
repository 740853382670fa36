"""The script that a text is written in: for anomalies such as phonemes in place of text, or another language's text."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_PHONETIC = frozenset("ˈˌːˑɐɑɒɓɔɕɖɗəɘɚɛɜɝɞɟɠɡɣɤɥɦɨɪɫɬɭɮɯɰɱɲɳɴɵɸɹɺɻɽɾʀʁʂʃʈʉʊʋʌʍʎʏʐʑʒʔʕʘʙʝʟʡʢ")
"""Letters of the International Phonetic Alphabet that common spellings lack."""
_SOME_SPELLINGS_HAVE = frozenset("əɛɔɓɗɖɣɩʋɲʔɪʊɑɨʉɡ")
"""Of these, letters that some African, Caucasian and American spellings have."""
_ARPABET = re.compile(r"[A-Z]{1,2}[0-2]")
_PHONETIC_SHARE = 0.08
_GIVEN_PHONEMES = re.compile(r"\[\[[^\[\]\n]*\]\]")

_SCRIPTS = {
    "fa": "ARABIC", "ar": "ARABIC", "ur": "ARABIC", "ps": "ARABIC", "sd": "ARABIC", "ug": "ARABIC",
    "ru": "CYRILLIC", "uk": "CYRILLIC", "bg": "CYRILLIC", "be": "CYRILLIC", "mk": "CYRILLIC", "kk": "CYRILLIC",
    "ky": "CYRILLIC", "el": "GREEK", "grc": "GREEK", "he": "HEBREW", "hi": "DEVANAGARI", "mr": "DEVANAGARI",
    "ne": "DEVANAGARI", "bn": "BENGALI", "as": "BENGALI", "pa": "GURMUKHI", "gu": "GUJARATI", "ta": "TAMIL",
    "te": "TELUGU", "kn": "KANNADA", "ml": "MALAYALAM", "si": "SINHALA", "my": "MYANMAR", "ka": "GEORGIAN",
    "hy": "ARMENIAN", "am": "ETHIOPIC", "th": "THAI", "ko": "HANGUL", "cmn": "CJK", "yue": "CJK", "zh": "CJK",
    "ja": "CJK HIRAGANA KATAKANA",
}  # fmt: skip
"""Base code of a language -> the scripts it is written in; languages in Latin letters are in the next table."""
_LATIN_LIST = (
    "af an bs ca cs cy da de en eo es et eu fi fr ga gd gl hr ht hu ia id is it ku la lb lt lv mi ms mt nb nl no om pl "
    "pt ro sk sl sq sv sw tk tn tr vi"
)
_LATIN = frozenset(_LATIN_LIST.split())
_WITHOUT_BLANKS = frozenset({"CJK", "HIRAGANA", "KATAKANA", "THAI", "MYANMAR", "LAO", "KHMER", "TIBETAN"})


@lru_cache(maxsize=4_096)
def _script(character: str) -> str:
    """The script of a letter as its Unicode name begins, such as ARABIC; empty if it is no letter."""
    if not character.isalpha():
        return ""
    return unicodedata.name(character, "").partition(" ")[0].partition("-")[0]


def script_of(text: str) -> str:
    """The script of most letters of a text; empty without letters. Phonemes in [[ ]] do not count."""
    text = _spelled(text)
    if text.isascii():
        return "" if text.lower() == text.upper() else "LATIN"
    counts: dict[str, int] = {}
    for character in text:
        if script := _script(character):
            counts[script] = counts.get(script, 0) + 1
    return max(counts, key=lambda script: counts[script]) if counts else ""


def _spelled(text: str) -> str:
    """The text without phonemes in [[ ]]."""
    return _GIVEN_PHONEMES.sub(" ", text) if "[[" in text else text


def expected_scripts(language: str) -> frozenset[str]:
    """The scripts that a language is written in; empty if it is not known."""
    base = language.lower().replace("_", "-").partition("-")[0]
    if base in _LATIN:
        return frozenset({"LATIN"})
    return frozenset(_SCRIPTS.get(base, "").split())


def is_phonetic(text: str) -> bool:
    """Whether a text is written in phonemes: the International Phonetic Alphabet, or ARPAbet such as HH AH0 L OW1.

    In [[ ]], where phonemes belong, they do not count.
    """
    text = _spelled(text)
    words = text.split()
    if len(words) >= 3 and sum(bool(_ARPABET.fullmatch(word)) for word in words) * 5 >= len(words):
        return all(len(word) <= 3 for word in words)
    found = [character for character in text if character in _PHONETIC] if not text.isascii() else []
    if not found:
        return False
    letters = sum(character.isalpha() or character in "ˈˌː" for character in text)
    certain = any(character not in _SOME_SPELLINGS_HAVE for character in found)
    return certain and len(found) >= _PHONETIC_SHARE * max(1, letters)


def speaks_without_blanks(text: str) -> bool:
    """Whether a text is in a script that puts no blanks between words, such as Chinese or Thai."""
    return script_of(text) in _WITHOUT_BLANKS
