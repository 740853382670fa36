"""Which readings a Persian homograph or an inflected form of one can have, and the features of its context.

The readings of «گل‌ها» and «می‌خورد» are those of «گل» and «خورد» with the sounds of the suffix or prefix; only readings
of a fitting kind have that form: a verb has no plural.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from myxtts.text.normalization.characters import ZWNJ

NOUN, ADJECTIVE, NAME, PAST, PRESENT, CLITIC = "noun", "adjective", "name", "past", "present", "clitic"
KINDS = frozenset({NOUN, ADJECTIVE, NAME, PAST, PRESENT, CLITIC, "imperative", "particle"})
"""Of readings: the part of speech, for verbs also the tense, and "clitic" for a noun with a possessive suffix."""
_NOMINAL, _VERBAL = frozenset({NOUN, ADJECTIVE, NAME}), frozenset({PAST, PRESENT})
_WITHOUT_EZAFE = frozenset({PAST, PRESENT, CLITIC})
_SILENT_H = "ه"
_VOWELS = "aeiouA"
_EZAFE_LETTER, _EZAFE = "ی", "ye"
_WINDOW = 7
_NEAR = 3

_NEGATED = f"نمی{ZWNJ}"
_PREFIXES = {f"می{ZWNJ}": "mi", _NEGATED: "nemi"}
_PLURAL = {
    "ها": "hA", "های": "hAye", "هایی": "hAyi", "هایش": "hAyaS", "هایم": "hAyam", "هایت": "hAyat", "هایشان": "hAyeSAn",
    "هایمان": "hAyemAn",
}  # fmt: skip
_SUFFIXES: Mapping[str, Sequence[tuple[str, frozenset[str]]]] = {
    **{written: ((spoken, _NOMINAL),) for written, spoken in _PLURAL.items()},
    **{ZWNJ + written: ((spoken, _NOMINAL),) for written, spoken in _PLURAL.items()},
    **{joiner + "تر": (("tar", frozenset({ADJECTIVE})),) for joiner in ("", ZWNJ)},
    **{joiner + "ترین": (("tarin", frozenset({ADJECTIVE})),) for joiner in ("", ZWNJ)},
    **{joiner + "شان": (("eSAn", frozenset({NOUN})),) for joiner in ("", ZWNJ)},
    **{joiner + "مان": (("emAn", frozenset({NOUN})),) for joiner in ("", ZWNJ)},
    **{joiner + "تان": (("etAn", frozenset({NOUN})),) for joiner in ("", ZWNJ)},
    ZWNJ + "ای": (("'i", _NOMINAL),), ZWNJ + "اش": (("'aS", _NOMINAL),), ZWNJ + "ام": (("'am", _NOMINAL),),
    ZWNJ + "ی": (("ye", _NOMINAL),),
    "ی": (("i", frozenset({*_NOMINAL, PAST})),), "م": (("am", frozenset({NOUN, PAST})),),
    "ش": (("aS", frozenset({NOUN})),), "ت": (("at", frozenset({NOUN})),),
    "یم": (("im", frozenset({PAST})),), "ید": (("id", frozenset({PAST})),), "ند": (("and", frozenset({PAST})),),
}  # fmt: skip
"""Written suffix -> its sounds, and the kinds of readings that can have it."""
_LAST = frozenset({
    *(joiner + written for joiner in ("", ZWNJ) for written in ("شان", "مان", "تان", "هایش", "هایم", "هایت", "هایشان")),
    "هایمان", ZWNJ + "هایمان", ZWNJ + "اش", ZWNJ + "ام", "م", "ش", "ت", "یم", "ید", "ند",
})  # fmt: skip
"""Suffixes that no ezafe follows."""
_SHORT = frozenset({"ی", "م", "ش", "ت", "یم", "ید", "ند"})
"""Suffixes that are written otherwise after a silent he."""


_ENDINGS = (
    *(ZWNJ + written for written in sorted(_PLURAL, key=len, reverse=True)),
    *sorted(_PLURAL, key=len, reverse=True),
    *(ZWNJ + ending for ending in ("اش", "ام", "ای")), "شان", "مان", "یم", "ید", "ند", "ی", "ش", "م", "ت",
)  # fmt: skip
_SHORTEST_STEM = 3


@dataclass(frozen=True)
class Homograph:
    """The readings of a written word.

    shares: reading -> how frequent it is, from 0 to 1; kinds: reading -> its kind.
    """

    shares: Mapping[str, float]
    kinds: Mapping[str, str]


@dataclass(frozen=True)
class Candidate:
    """A reading of `base`, applied to the given word with the suffix or prefix `form` ("" for none)."""

    base: str
    reading: str
    phonemes: str
    kind: str
    share: float
    form: str

    @property
    def can_have_ezafe(self) -> bool:
        """Whether an ezafe can follow: not after a finite verb or a possessive suffix."""
        return self.kind not in _WITHOUT_EZAFE and self.form not in _LAST


def candidates(word: str, known: Mapping[str, Homograph], *, listed: bool) -> list[Candidate]:
    """The readings that a word can have; empty for words that are no form of a homograph.

    listed: whether the lexicon has the word itself.
    """
    if word in known:
        return _formed(word, known[word], "", "", KINDS, prefix=False)
    if word.startswith(_NEGATED) and word[1:] in known:
        return _formed(word[1:], known[word[1:]], _NEGATED, "ne", _VERBAL, prefix=True)
    for prefix, sound in _PREFIXES.items():
        base = word.removeprefix(prefix)
        if base != word and base in known:
            return _formed(base, known[base], prefix, sound, _VERBAL, prefix=True)
    for suffix, sounds in _SUFFIXES.items():
        base = word.removesuffix(suffix)
        # words that the lexicon lists, «کرمان» or «فرمان», only look as if they had the suffix
        if base == word or base not in known or (listed and not suffix.startswith(ZWNJ)) or not _fits(base, suffix):
            continue
        found = [
            made for sound, kinds in sounds for made in _formed(base, known[base], suffix, sound, kinds, prefix=False)
        ]
        if found:
            return found
    return []


def _fits(base: str, suffix: str) -> bool:
    """Whether the suffix is written after the last letter of the base as it is: «خانه‌ای», but «کتابی»."""
    silent = suffix in {ZWNJ + "ای", ZWNJ + "اش", ZWNJ + "ام", ZWNJ + "ی"}
    return (base.endswith(_SILENT_H) if silent else not base.endswith(_SILENT_H)) or suffix not in {
        *_SHORT, ZWNJ + "ای", ZWNJ + "اش", ZWNJ + "ام", ZWNJ + "ی"
    }  # fmt: skip


def _formed(
    base: str, homograph: Homograph, form: str, sound: str, kinds: frozenset[str], *, prefix: bool
) -> list[Candidate]:
    fitting = {reading: share for reading, share in homograph.shares.items() if homograph.kinds[reading] in kinds}
    total = sum(fitting.values())

    def spoken(reading: str) -> str:
        if prefix:
            return sound + reading
        # the ی of «بنای» and «موی» is an ezafe
        return reading + (_EZAFE if form == _EZAFE_LETTER and reading[-1] in _VOWELS else sound)

    return [
        Candidate(base, reading, spoken(reading), homograph.kinds[reading], share / total, form)
        for reading, share in fitting.items()
    ]


def stem(word: str, topics: Mapping[str, Sequence[str]]) -> str:
    """A word without its ending, if it has one: the topics know the stem, or it has three letters or more."""
    if word in topics:
        return word
    for ending in _ENDINGS:
        rest = word.removesuffix(ending)
        if rest != word and (len(rest) >= _SHORTEST_STEM or rest in topics):
            return rest
    return word


def context(
    words: Sequence[str],
    kinds: Sequence[str],
    at: int,
    ezafe: Sequence[bool],
    form: str,
    topics: Mapping[str, Sequence[str]],
) -> tuple[list[str], list[str]]:
    """Features of the context of words[at]: for readings of this homograph alone, and for all readings of a kind.

    kinds: the part of speech of each word; ezafe: whether each has one; form: the suffix or prefix of words[at];
    topics: stem -> what it is about, so that a word that no sentence of the training has counts as well.
    """
    own = ["b", f"e={ezafe[at]}", f"pe={at > 0 and ezafe[at - 1]}", f"f={form}"]
    for position in range(max(0, at - _WINDOW), min(len(words), at + _WINDOW + 1)):
        if position != at:
            other = words[position]
            other_stem = stem(other, topics)
            own += [f"c={other}", f"cs={other_stem}", *(f"t={topic}" for topic in topics.get(other_stem, ()))]
            if abs(position - at) < _NEAR:
                own += [f"{position - at}={other}", f"{position - at}s={other[-2:]}", f"{position - at}p={other[:2]}"]
    own += [f"{side}=none" for side, there in ((-1, at > 0), (1, at + 1 < len(words))) if not there]

    def near(values: Sequence[str], offset: int) -> str:
        return values[at + offset] if 0 <= at + offset < len(words) else "<>"

    own += [f"k-1={near(kinds, -1)}", f"k1={near(kinds, 1)}"]
    flags = f"{ezafe[at]:d}{at > 0 and ezafe[at - 1]:d}"
    shared = [
        "b", f"e={flags}", f"f={form}", f"-1={near(words, -1)}", f"1={near(words, 1)}", f"-2={near(words, -2)}",
        f"2={near(words, 2)}", f"last={words[-1]}",
        f"k-1={near(kinds, -1)}", f"k1={near(kinds, 1)}", f"k-2={near(kinds, -2)}", f"k2={near(kinds, 2)}",
        f"kk={near(kinds, -1)}|{near(kinds, 1)}", f"ek={flags}|{near(kinds, 1)}", f"ke={flags}|{near(kinds, -1)}",
        f"s-1={near(words, -1)[-2:]}", f"s1={near(words, 1)[-2:]}", f"p1={near(words, 1)[:3]}",
        f"p-1={near(words, -1)[:3]}", f"fk={form}|{near(kinds, -1)}",
    ]  # fmt: skip
    return own, shared


def buckets(candidate: Candidate, features: tuple[list[str], list[str]], bits: int) -> list[int]:
    """The indices of the weights of a candidate in a context, in a table of 2 ** bits weights."""
    own, shared = features
    names = [f"{candidate.base}|{candidate.reading}|{name}" for name in own]
    names += [f"*{candidate.kind}|{name}" for name in shared]
    return sorted({zlib.crc32(name.encode("utf-8")) & ((1 << bits) - 1) for name in names})
