"""How each word of a Persian sentence is read: by its vowel marks, its context, a lexicon, or eSpeak NG.

Written marks override every prediction: vowel marks, a written ezafe (kasra, «هٔ», «ه‌ی»), a mark on the last letter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from myxtts.text.normalization import persian_numbers, persian_phrases
from myxtts.text.normalization.characters import ZWNJ
from myxtts.text.persian import everyday
from myxtts.text.persian.compounds import split_as
from myxtts.text.persian.marks import agrees
from myxtts.text.persian.stress import VOWELS as _VOWELS
from myxtts.text.persian.stress import stressed
from myxtts.text.persian.tagger import UNKNOWN, VERB, Tagger, weights

KASRA, HAMZA_ABOVE = "\u0650", "\u0654"
_VOWEL_MARKS = "\u064b-\u0652\u0670"
_MARKS = re.compile(f"[{_VOWEL_MARKS}]")
_ENDS_WITHOUT_EZAFE = re.compile("[\u064b-\u064f\u0652]\u0651?$")
_WRITTEN_EZAFE = re.compile(f"(?:{KASRA}\u0651?|\u0651{KASRA}|ه{HAMZA_ABOVE}|ه{ZWNJ}ی)$")
_SILENT_H = "ه"
_LETTERS = re.compile("[\u0621-\u064a\u066e-\u06d3]")
_AND, _NO = "و", "نه"
_OPERATORS = frozenset({"ضربدر", "دات", "ات", "منهای", "به‌علاوه"})
_BEFORE_NUMBERS = frozenset({"ممیز", "منفی", "مثبت"})
"""Words that the normalizer writes, and that have no ezafe: some of them before numbers only."""
_POSSESSIVES = {f"{ZWNJ}م": "am", f"{ZWNJ}ت": "at", f"{ZWNJ}ش": "aʃ"}
_NUMBERS = persian_numbers.WORDS
_ORDINALS = frozenset(
    persian_numbers.ordinal(str(number)) for number in (*range(1, 20), *range(20, 100, 10), 100, 1_000)
)
_IPA = {
    "A": "ɑ", "C": "tʃ", "J": "dʒ", "S": "ʃ", "Z": "ʒ", "y": "j", "g": "ɡ", "'": "ʔ",
}  # fmt: skip
"""The lexicon's letters that differ from eSpeak NG's IPA."""

Speak = Callable[[str], str]
"""A written word -> its phonemes by eSpeak NG."""


@dataclass(frozen=True)
class Reading:
    """The phonemes of a word, and the reasons for them in words."""

    phonemes: str
    notes: tuple[str, ...]


def bare(word: str) -> str:
    """A word without vowel marks, as the models and the lexicon have it; the ezafe of «خانهٔ» is a mark too."""
    return _MARKS.sub("", word).replace(HAMZA_ABOVE, "") if _MARKS.search(word) or HAMZA_ABOVE in word else word


def readings(words: Sequence[str], spoken: Sequence[bool], speak: Speak, given: Sequence[str | None]) -> list[Reading]:
    """Readings of the words of a sentence.

    words: normalized words and punctuation marks; spoken: which of them are words; given: phonemes of the user's
    dictionary, None for words that it lacks. The reading of a mark is empty.
    """
    tagger, _ = weights()
    words = [
        _with_joiner(word, tagger) if speaks and entry is None else word
        for word, speaks, entry in zip(words, spoken, given, strict=True)
    ]
    groups = [
        split_as(word, tagger.parts(bare(word))) if speaks and entry is None else [word]
        for word, speaks, entry in zip(words, spoken, given, strict=True)
    ]
    apart = [part for group in groups for part in group]
    speaks_apart = [speaks for group, speaks in zip(groups, spoken, strict=True) for _ in group]
    joined = [at + 1 < len(group) for group in groups for at in range(len(group))]
    plain = [bare(part) for part in apart]
    scores = tagger.ezafe(plain, joined)
    ezafe = [_has_ezafe(apart, plain, at, scores[at], speaks_apart, joined) for at in range(len(apart))]

    def read(first: int, end: int, entry: str | None) -> Reading:
        """The reading of apart[first:end] as one word."""
        word, word_plain = ZWNJ.join(apart[first:end]), ZWNJ.join(plain[first:end])
        near, near_plain = [*apart[:first], word, *apart[end:]], [*plain[:first], word_plain, *plain[end:]]
        return _reading(near, near_plain, first, [*ezafe[:first], *ezafe[end - 1 :]], speak, entry)

    found: list[Reading] = []
    start = 0
    for group, speaks, entry in zip(groups, spoken, given, strict=True):
        end = start + len(group)
        ends = list(accumulate(tagger.units(plain[start:end]), initial=start))
        units = list(pairwise(ends))
        if not speaks:
            found.append(Reading("", ()))
        elif any(ezafe[last - 1] for last in ends[1:-1]) or tagger.spoken_apart(
            [ZWNJ.join(plain[first:last]) for first, last in units]
        ):
            every = [read(first, last, entry) for first, last in units]
            notes = dict.fromkeys(note for reading in every for note in reading.notes)
            found.append(Reading(" ".join(reading.phonemes for reading in every), tuple(notes)))
        else:
            found.append(read(start, end, entry))
        start = end
    return found


def _reading(
    words: Sequence[str], plain: Sequence[str], at: int, ezafe: Sequence[bool], speak: Speak, given: str | None
) -> Reading:
    written = bool(_WRITTEN_EZAFE.search(words[at]))
    if given is not None:
        phonemes, note = given, "dictionary"
        has_ezafe = written
    else:
        phonemes, note, can_have_ezafe = _phonemes(words, plain, at, ezafe, speak)
        has_ezafe = written or (ezafe[at] and can_have_ezafe)
        if _LETTERS.search(words[at]):
            verb = weights()[0].parts_of_speech.of(plain[at]) == VERB and not has_ezafe
            phonemes = stressed(plain[at], phonemes, verb=verb)
    notes = (note, "ezafe as written") if written else (note, "ezafe") if has_ezafe else (note,)
    if has_ezafe:
        return Reading(with_ezafe(phonemes, plain[at]), notes)
    return Reading(phonemes if given is not None else _single_end(phonemes), notes)


def _with_joiner(word: str, tagger: Tagger) -> str:
    """«می‌پرم» for «میپرم», if the reading of the first is known, and nothing of the second."""
    made = everyday.with_joiner(word)
    readable = made != word and (everyday.reading(made) or made in weights()[1] or tagger.candidates(made))
    return made if readable and tagger.parts_of_speech.of(word) == UNKNOWN else word


def _has_ezafe(
    words: Sequence[str], plain: Sequence[str], at: int, score: float, spoken: Sequence[bool], joined: Sequence[bool]
) -> bool:
    if _WRITTEN_EZAFE.search(words[at]):
        return True
    if _ENDS_WITHOUT_EZAFE.search(words[at]) or not _LETTERS.search(words[at]):
        return False
    word = f"{plain[at - 1]}{ZWNJ}{plain[at]}" if at and joined[at - 1] else plain[at]
    if at + 1 < len(plain) and plain[at + 1] in persian_phrases.HONORIFICS:
        return False
    before_number = at + 1 < len(plain) and (_is_number(plain, at + 1) or plain[at + 1] == _NO)
    if word in _OPERATORS or (before_number and word in _BEFORE_NUMBERS):
        return False
    return score > 0 and at + 1 < len(words) and spoken[at + 1]


def _phonemes(
    words: Sequence[str], plain: Sequence[str], at: int, ezafe: Sequence[bool], speak: Speak
) -> tuple[str, str, bool]:
    """The phonemes of a word without its ezafe, where they are from, and whether such a word can have an ezafe."""
    tagger, lexicon = weights()
    text = _without_written_ezafe(words[at])
    if _MARKS.search(text):
        return _marked(text, speak)
    numeral = _numeral(plain, at)
    if numeral:
        return numeral, "number", True
    if plain[at] in everyday.BEFORE_HOMOGRAPHS:
        return ipa(everyday.BEFORE_HOMOGRAPHS[plain[at]]), "lexicon", True
    chosen = tagger.chosen(plain, at, ezafe, written=bool(_WRITTEN_EZAFE.search(words[at])))
    if chosen is not None:
        return ipa(chosen.phonemes), "homograph", chosen.can_have_ezafe
    word = bare(text)
    listed = everyday.reading(word) or lexicon.get(word)
    if listed:
        return ipa(listed), "lexicon", True
    for suffix, sound in _POSSESSIVES.items():
        base = plain[at].removesuffix(suffix)
        if base != plain[at] and len(base) > 1:
            alone = [*plain[:at], base, *plain[at + 1 :]]
            phonemes, note, _ = _phonemes(alone, alone, at, ezafe, speak)
            return _possessed(phonemes, sound), note, False
    kind = tagger.parts_of_speech.of
    for base, sound, can_have in everyday.with_suffix(word, unknown=kind(word) == UNKNOWN):
        if kind(base) != UNKNOWN or everyday.reading(base):
            alone = [*plain[:at], base, *plain[at + 1 :]]
            phonemes, note, _ = _phonemes(alone, alone, at, ezafe, speak)
            return _suffixed(phonemes, ipa(sound).replace("ˈ", "")), note, can_have
    pair = everyday.joined_by_and(word)
    if pair and kind(_AND + pair[1]) == UNKNOWN and UNKNOWN not in (kind(pair[0]), kind(pair[1])):
        return f"{speak(pair[0]).rstrip('ː')}o{speak(pair[1])}", "eSpeak NG", True
    return speak(word), "eSpeak NG", True


def _marked(text: str, speak: Speak) -> tuple[str, str, bool]:
    """The same of a word with vowel marks: its only known reading that agrees with them, or else eSpeak NG's."""
    tagger, lexicon = weights()
    word = bare(text)
    choices = {choice.phonemes: choice.can_have_ezafe for choice in tagger.candidates(word)}
    choices.update(dict.fromkeys(everyday.PAST.get(word, ()), False))
    listed = everyday.reading(word) or lexicon.get(word)
    if listed:
        choices.setdefault(listed, True)
    fitting = [phonemes for phonemes in choices if agrees(text, phonemes)]
    if len(fitting) == 1:
        return ipa(fitting[0]), "vowel marks", choices[fitting[0]]
    return speak(text), "vowel marks", True


def _possessed(phonemes: str, sound: str) -> str:
    """Phonemes with a possessive suffix: ketɑb, ketɑbam; xɑne, xɑneʔam; pɑ, pɑm."""
    base = phonemes.rstrip("ː")
    if not base.endswith(tuple(_VOWELS)):
        return base + sound
    return f"{base}ʔ{sound}" if base.endswith("e") else base + sound[1:]


def _suffixed(phonemes: str, sound: str) -> str:
    """Phonemes with a spoken suffix: qaʃanɡ, qaʃanɡe; xubi, xubije; pɑ, pɑʃo."""
    base = phonemes.rstrip("ː")
    if not (base.endswith(tuple(_VOWELS)) and sound.startswith(tuple(_VOWELS))):
        return base + sound
    return f"{base}j{sound}" if base.endswith("i") or len(sound) == 1 else base + sound[1:]


def _without_written_ezafe(word: str) -> str:
    """A word without its written ezafe: کتاب for «کتابِ», خانه for «خانهٔ» and «خانه‌ی»."""
    found = _WRITTEN_EZAFE.search(word)
    if found is None:
        return word
    silent = _SILENT_H if found.group().startswith(_SILENT_H) else ""
    doubled = "\u0651" if "\u0651" in found.group() else ""
    return word[: found.start()] + silent + doubled


def _is_number(plain: Sequence[str], at: int) -> bool:
    return 0 <= at < len(plain) and (plain[at] in _NUMBERS or plain[at] in _ORDINALS)


def _numeral(plain: Sequence[str], at: int) -> str:
    """«و» between number words is "o", and «نه» beside them is nine; elsewhere the phonemes are empty."""
    if plain[at] == _AND and _is_number(plain, at - 1) and at + 1 < len(plain):
        return "o" if _is_number(plain, at + 1) or plain[at + 1] == _NO else ""
    after_and = at > 1 and plain[at - 1] == _AND and _is_number(plain, at - 2)
    before_scale = at + 1 < len(plain) and plain[at + 1] in persian_numbers.SCALES
    if plain[at] == _NO and (after_and or before_scale):
        return "nˈoh"
    return ""


def ipa(phonemes: str) -> str:
    """The lexicon's phonemes as IPA, with the stress on the last vowel."""
    symbols = "".join(_IPA.get(letter, letter) for letter in phonemes)
    last = max((at for at, letter in enumerate(symbols) if letter in _VOWELS), default=-1)
    return f"{symbols[:last]}ˈ{symbols[last:]}" if last >= 0 else symbols


def with_ezafe(phonemes: str, plain: str) -> str:
    """Phonemes with the vowel of the ezafe: "e" after a consonant, "je" after a vowel."""
    end = phonemes.rstrip("ː ")
    if end.endswith("je") and plain.endswith("ی"):
        return end  # the ی of «صدای» is the ezafe
    return f"{end}je" if end.endswith(tuple(_VOWELS)) else f"{phonemes}e"


def _single_end(phonemes: str) -> str:
    """A double consonant at the end is long before a vowel only: haqq-e, but haq."""
    if len(phonemes) > 2 and phonemes[-1] == phonemes[-2] and phonemes[-1] not in _VOWELS:
        return phonemes[:-1]
    return phonemes
