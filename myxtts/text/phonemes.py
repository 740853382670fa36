"""Text to IPA with eSpeak NG, whose library and voices are in the wheel `espeakng-loader`: no system package is needed.

eSpeak NG only gets runs of words. This module puts the punctuation between their phonemes, as phonemizer would lose
empty lines; and it finds what eSpeak NG cannot speak beforehand, as it would drop that or spell out its name. Persian
is read word by word (myxtts.text.persian), since eSpeak NG knows neither the ezafe nor homographs.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from threading import Lock

import espeakng_loader
from phonemizer.backend.espeak.wrapper import EspeakWrapper

from myxtts.errors import DataError
from myxtts.text.dictionary import key_of
from myxtts.text.normalization.characters import ZWJ, ZWNJ
from myxtts.text.persian import reading as persian

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


FIRST_STAND_IN, STAND_INS = 0xE000, 6_400
"""Private characters, which stand for phonemes that a text gives: words of the dictionary."""

ESPEAK = "eSpeak NG"
"""The reason for phonemes that eSpeak NG gave."""


@dataclass(frozen=True)
class SpokenWord:
    """A word, or words that are spoken as one, with its phonemes and the reasons for them."""

    written: str
    phonemes: str
    notes: tuple[str, ...] = (ESPEAK,)


@dataclass(frozen=True)
class Transcription:
    """A text in IPA; `unreadable` are the characters that cannot be spoken and are missing from it.

    `words` are its words in order, without punctuation.
    """

    phonemes: str
    unreadable: tuple[str, ...]
    words: tuple[SpokenWord, ...] = field(default=(), compare=False, repr=False)


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


def transcribe(texts: Sequence[str], language: str, dictionary: Mapping[str, str] | None = None) -> list[Transcription]:
    """IPA of normalized texts, with stress marks and punctuation. Errors: DataError for an unknown language.

    dictionary: phonemes of words, which win over everything else; keys as by `dictionary.key_of`.
    """
    code = canonical_language(language)
    spoken: dict[str, str] = {}
    return [_transcription(text, code, spoken, dictionary or {}) for text in texts]


def espeak(words: str, language: str) -> str:
    """The phonemes of words by eSpeak NG alone. Errors: DataError for an unknown language."""
    return _spoken(words, canonical_language(language), {})


def _transcription(text: str, code: str, spoken: dict[str, str], dictionary: Mapping[str, str]) -> Transcription:
    """IPA of one text; `spoken` caches the phonemes of runs."""
    base = code.split("-")[0]
    kinds = "".join("w" if _is_stand_in(c) and c in dictionary else _kind(c, base) for c in text)
    tokens = [
        (match.lastgroup, text[match.start() : match.end()], kinds[match.start()]) for match in _TOKENS.finditer(kinds)
    ]
    readings = _readings(tokens, code, spoken, dictionary)
    parts: list[str] = []
    unreadable: list[str] = []
    words: list[SpokenWord] = []
    for (group, written, kind), read in zip(tokens, readings, strict=True):
        if group == "blank":
            parts.append(" ")
        elif group == "mark":
            parts.append(_mark(written))
        elif group == "other":
            if kind != "z":
                unreadable.append(written)
        else:
            phonemes = " ".join(word.phonemes for word in read if word.phonemes)
            parts.append(f"\0{phonemes}\0" if phonemes else "")
            words += [word for word in read if word.phonemes]
            silent = (character for word in read if not word.phonemes for character in word.written)
            unreadable += list(dict.fromkeys(character for character in silent if not character.isspace()))
    # Adjacent runs are separate words: "5%" is two of them.
    joined = "".join(parts).replace("\0\0", " ").replace("\0", "")
    return Transcription(re.sub(" +", " ", joined).strip(" "), tuple(dict.fromkeys(unreadable)), tuple(words))


_Token = tuple[str | None, str, str]
"""A group of `_TOKENS`, the text, and the kind of its first character."""


def _readings(
    tokens: Sequence[_Token], code: str, spoken: dict[str, str], dictionary: Mapping[str, str]
) -> list[list[SpokenWord]]:
    """The words of each token; none of blanks and marks."""
    is_spoken = [group in ("run", "sign") for group, _, _ in tokens]
    if code != "fa":
        return [
            _run(written, code, spoken, dictionary) if speaks else []
            for (_, written, _), speaks in zip(tokens, is_spoken, strict=True)
        ]
    words: list[str] = []
    speaks_words: list[bool] = []
    counts: list[int] = []
    for (group, written, _), speaks in zip(tokens, is_spoken, strict=True):
        new = written.split() if speaks else [written] if group == "mark" else []
        words += new
        speaks_words += [speaks] * len(new)
        counts.append(len(new) if speaks else -len(new))
    given = [_respelled(dictionary.get(key_of(word)), code, spoken) for word in words]
    found = iter(
        SpokenWord(word, reading.phonemes, reading.notes)
        for word, reading in zip(
            words, persian.readings(words, speaks_words, lambda word: _spoken(word, code, spoken), given), strict=True
        )
    )
    by_token = [[next(found) for _ in range(abs(count))] for count in counts]
    return [read if count > 0 else [] for read, count in zip(by_token, counts, strict=True)]


def _run(written: str, code: str, spoken: dict[str, str], dictionary: Mapping[str, str]) -> list[SpokenWord]:
    """The words of a run; eSpeak NG speaks those between words of the dictionary together."""
    found: list[SpokenWord] = []
    together: list[str] = []
    words = written.split()

    def speak_together() -> None:
        if together:
            phonemes = _spoken(written if len(together) == len(words) else " ".join(together), code, spoken)
            each = phonemes.split(" ")
            if len(each) == len(together):
                found.extend(SpokenWord(word, one) for word, one in zip(together, each, strict=True))
            else:
                found.append(SpokenWord(" ".join(together), phonemes))
            together.clear()

    for word in words:
        given = _respelled(dictionary.get(key_of(word)), code, spoken) if dictionary else None
        if given is None:
            together.append(word)
        else:
            speak_together()
            found.append(SpokenWord(word, given, ("dictionary",)))
    speak_together()
    return found


def _respelled(entry: str | None, code: str, spoken: dict[str, str]) -> str | None:
    """The phonemes of a dictionary entry: those between slashes, or what eSpeak NG makes of a respelling."""
    if entry is None:
        return None
    return entry[1:-1] if entry.startswith("/") else _spoken(entry, code, spoken)


def _spoken(written: str, code: str, spoken: dict[str, str]) -> str:
    """The phonemes of words by eSpeak NG."""
    return " ".join(filter(None, (_speak(part, code, spoken) for part in _short_runs(written, code))))


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
        phonemes = unicodedata.normalize("NFD", " ".join(phonemes.split()))
        # eSpeak NG's mnemonic of the sound of ق and غ, which is no IPA.
        spoken[written] = phonemes.replace("q1", "q") if code == "fa" else phonemes
    return spoken[written]


def _is_stand_in(character: str) -> bool:
    return FIRST_STAND_IN <= ord(character) < FIRST_STAND_IN + STAND_INS


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


def language_of(text: str, usual: str, languages: Sequence[str]) -> str:
    """`usual`; if most letters of a text are not of its script, the one of `languages` that reads the most of them."""

    def spoken(code: str) -> int:
        base = code.partition("-")[0]
        return sum(count for character, count in letters.items() if _is_spoken_script(character, base))

    letters = Counter(character for character in text if unicodedata.category(character)[0] == "L")
    return usual if 2 * spoken(usual) >= letters.total() else max([usual, *languages], key=spoken)


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
