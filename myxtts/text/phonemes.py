"""Text to IPA with eSpeak NG, whose library and voices are in the wheel `espeakng-loader`: no system package is needed.

eSpeak NG only gets runs of words. This module puts the punctuation between their phonemes, as phonemizer would lose
empty lines; and it finds what eSpeak NG cannot speak beforehand, as it would drop that or spell out its name.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from threading import Lock

import espeakng_loader
from phonemizer.backend.espeak.wrapper import EspeakWrapper

from myxtts.errors import DataError
from myxtts.text.normalization.characters import ZWJ, ZWNJ

_ALIASES = {"en": "en-us", "fr": "fr-fr", "zh": "cmn", "no": "nb", "iw": "he", "fil": "en-us"}
_WITHOUT_DICTIONARY = frozenset({"fo", "kaa", "xex"})
"""Voices in the wheel that have no dictionary."""
_LONGEST_WORD = 80
"""In letters; eSpeak NG silently drops the end of words of 150 letters and more."""
_LONGEST_RUN = {"my": 60}
"""In letters; on long Burmese nonsense eSpeak NG 1.52 overflows a buffer and crashes the process."""
_LONGEST_RUN_ELSEWHERE = 200

_PUNCTUATION = {
    **{mark: mark for mark in ',.!?;:\u2026\u2014"()\u00bf\u00a1'},
    "\u2013": "\u2014", "\u00ab": '"', "\u00bb": '"', "\u060c": ",", "\u061b": ";", "\u061f": "?", "\u06d4": ".",
    "\u3001": ",", "\u3002": ".", "\uff0c": ",", "\uff0e": ".", "\uff01": "!", "\uff1f": "?", "\uff1a": ":",
    "\uff1b": ";", "\u300c": '"', "\u300d": '"', "\u300e": '"', "\u300f": '"', "\uff08": "(", "\uff09": ")",
    "\u0964": ".", "\u0965": ".", "\u0589": ".", "\u1362": ".", "\u1363": ",", "\u1367": "?", "\u037e": ";",
    "\u00b7": ",", "\u0387": ";", "\u30fb": ",", "\u104a": ",", "\u104b": ".",
}  # fmt: skip
_LATIN_SCRIPT_LANGUAGES = frozenset({
    "af", "an", "ca", "cs", "cy", "da", "de", "en", "eo", "es", "et", "eu", "fi", "fr", "ga", "gd", "hr", "hu", "id",
    "is", "it", "la", "lb", "lt", "lv", "ms", "mt", "nb", "nl", "pl", "pt", "ro", "sk", "sl", "sq", "sv", "sw", "tr",
    "vi",
})  # fmt: skip
_OTHER_SCRIPTS = {
    "fa": ("ARABIC",), "ar": ("ARABIC",), "ur": ("ARABIC",), "ru": ("CYRILLIC",), "uk": ("CYRILLIC",),
    "bg": ("CYRILLIC",), "el": ("GREEK",), "he": ("HEBREW",),
}  # fmt: skip
# Kinds of characters: w letter, d digit, a apostrophe, h hyphen, o full stop, n other sign inside numbers, z joiner,
# s space, p punctuation, x a sign that is spoken by itself, u what cannot be spoken.
_WORD = (
    r"(?:a|h(?=d))?[wd](?:[wdza]|h(?=[wd])|[on](?<=d.)(?=d)|o(?<=(?<![wd])w.)(?=w(?![wd])))*"
    # Words also contain full stops and signs between digits, and full stops between single letters as in "z.B".
)
_TOKENS = re.compile(f"(?P<run>{_WORD}(?:s{_WORD})*)|(?P<blank>s+)|(?P<mark>[ponha])|(?P<sign>x)|(?P<other>.)", re.S)
_SWITCH = re.compile(r"\([^()]*\)")
"""The (en) that eSpeak NG writes where it changes language; its input never contains brackets."""


@dataclass(frozen=True)
class Transcription:
    """A text in IPA; `unreadable` are the characters that cannot be spoken and are missing from it."""

    phonemes: str
    unreadable: tuple[str, ...]


def canonical_language(language: str) -> str:
    """eSpeak NG's code of a language: en-us for en_US, fr-fr for fr. Errors: DataError, which names similar codes."""
    wanted = language.strip().replace("_", "-").lower()
    wanted = _ALIASES.get(wanted, wanted)
    by_lower = {code.lower(): code for code in _languages()}
    if wanted in by_lower:
        return by_lower[wanted]
    base = wanted.split("-")[0]
    near = [code for code in _languages() if base and code.split("-")[0] == base]
    near += [code for code in difflib.get_close_matches(wanted, by_lower, n=5, cutoff=0.4) if code not in near]
    raise DataError(
        f"language {language!r:.60}: eSpeak NG has no such language; "
        + (f"nearest: {', '.join(near[:5])}; " if near else "")
        + f"known are {len(by_lower)}, such as en-us, en-gb, fa, de, fr-fr, es, ar"
    )


def transcribe(texts: Sequence[str], language: str) -> list[Transcription]:
    """IPA of normalized texts, with stress marks and punctuation. Errors: DataError for an unknown language."""
    code = canonical_language(language)
    spoken: dict[str, str] = {}
    return [_transcription(text, code, spoken) for text in texts]


def _transcription(text: str, code: str, spoken: dict[str, str]) -> Transcription:
    """IPA of one text; `spoken` caches the phonemes of runs."""
    parts: list[str] = []
    unreadable: list[str] = []
    base = code.split("-")[0]
    kinds = "".join(_kind(character, base) for character in text)
    for match in _TOKENS.finditer(kinds):
        written = text[match.start() : match.end()]
        if match.lastgroup == "blank":
            parts.append(" ")
        elif match.lastgroup == "mark":
            parts.append(_mark(written))
        elif match.lastgroup == "other":
            if kinds[match.start()] != "z":
                unreadable.append(written)
        else:
            phonemes = " ".join(filter(None, (_speak(part, code, spoken) for part in _short_runs(written, code))))
            if phonemes:
                parts.append(f"\0{phonemes}\0")
            else:
                unreadable += list(dict.fromkeys(character for character in written if not character.isspace()))
    # Adjacent runs are separate words: "5%" is two of them.
    joined = "".join(parts).replace("\0\0", " ").replace("\0", "")
    return Transcription(re.sub(" +", " ", joined).strip(" "), tuple(dict.fromkeys(unreadable)))


def _mark(written: str) -> str:
    """The symbol of a punctuation mark, the same in all languages; an apostrophe outside words is a quotation mark."""
    return {"-": "\u2014", "'": '"'}.get(written) or _PUNCTUATION[written]


def _short_runs(written: str, code: str) -> list[str]:
    """Splits a run of words into runs short enough for eSpeak NG to read completely."""
    longest = _LONGEST_RUN.get(code, _LONGEST_RUN_ELSEWHERE)
    if len(written) <= min(longest, _LONGEST_WORD):
        return [written]
    size = min(_LONGEST_WORD, longest)
    words = [word[at : at + size] for word in written.split() for at in range(0, len(word), size)]
    runs = [""]
    for word in words:
        if len(runs[-1]) + 1 + len(word) > longest:
            runs.append(word)
        else:
            runs[-1] = f"{runs[-1]} {word}".lstrip()
    return runs


def _speak(written: str, code: str, spoken: dict[str, str]) -> str:
    if written not in spoken:
        voice = _voice(code)
        with _LOCK:
            phonemes = voice.text_to_phonemes(written)
        phonemes = _SWITCH.sub("", phonemes.replace("_", ""))
        phonemes = "".join(character for character in phonemes if character == "\n" or character >= " ")
        spoken[written] = unicodedata.normalize("NFD", " ".join(phonemes.split()))
    return spoken[written]


@lru_cache(maxsize=65_536)
def _kind(character: str, base: str) -> str:
    """The kind of a character in a language, a letter of `_TOKENS`."""
    if character.isspace() and character >= " ":
        return "s"
    if character in _PUNCTUATION:
        return {".": "o", ",": "n", ":": "n"}.get(character, "p")
    simple = {"'": "a", "-": "h", "/": "x", ZWNJ: "z", ZWJ: "z"}.get(character)
    if simple is not None:
        return simple
    category = unicodedata.category(character)
    if category[0] == "L":
        return "w" if _is_spoken_script(character, base) else "u"
    if category[0] == "M":
        return "w"
    if category[0] == "N":
        return "d" if category == "Nd" else "w"
    # Arrows, dingbats and emoji: eSpeak NG would speak their names, which are in no recording.
    arrow = "\u2190" <= character <= "\u21ff"
    if category[0] == "C" or arrow or (category in ("So", "Sk") and character > "\u21ff"):
        return "u"
    return "x"


def _is_spoken_script(character: str, base: str) -> bool:
    """False for a letter that eSpeak NG would describe instead of speaking it, such as "Chinese letter"."""
    if base not in _LATIN_SCRIPT_LANGUAGES and base not in _OTHER_SCRIPTS:
        return True
    script = unicodedata.name(character, "").split(" ")[0]
    others = _OTHER_SCRIPTS.get(base, ())
    return script in ("LATIN", "GREEK", "FEMININE", "MASCULINE", "MICRO", "MODIFIER", *others)


_LOCK = Lock()


@lru_cache(maxsize=1)
def _prepare_library() -> None:
    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())


@lru_cache(maxsize=1)
def _languages() -> tuple[str, ...]:
    _prepare_library()
    return tuple(sorted({voice.language for voice in EspeakWrapper().available_voices()} - _WITHOUT_DICTIONARY))


@cache
def _voice(code: str) -> EspeakWrapper:
    """A copy of the library for each language, so that they do not affect each other."""
    _prepare_library()
    with _LOCK:
        voice = EspeakWrapper()
        voice.set_voice(code)
    return voice
