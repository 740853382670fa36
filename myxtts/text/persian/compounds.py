"""Compounds with a half-space: «تیم‌ملی» and «شده‌است» are two words each, the first pair with an ezafe between them.

Suffixes and prefixes («بی‌نظیر», «هم‌کلاسی») stay with their word, and so do endings as in «وزارت‌خانه»; words that the
lexicon lists («پیش‌بینی») stay whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from myxtts.text.normalization.characters import ZWNJ
from myxtts.text.persian import everyday

_PREFIXES = frozenset({"می", "نمی"})
_SUFFIXES = frozenset({
    "ها", "های", "هایی", "هایش", "هایشان", "هایم", "هایمان", "هایت", "هایتان", "تر", "ترین", "تری", "ام", "ات", "اش",
    "ای", "ی", "یی", "اند", "ایم", "اید", "مان", "تان", "شان",
})  # fmt: skip
_AND = "و"
_BOUND = frozenset({"بی", "هم", "نا", "پیش", "پس", "باز", "بر", "در", "فرا", "فرو", "پر", "کم"})
_SEPARATE = frozenset({"این", "آن", "از", "که", "را", "است", "هست", "نیست", "بود", "باید", _AND, *_PREFIXES})
"""Words that never form one word with what is before them: «در‌این», «پس‌از», «کم‌است», «بر‌می‌گردد»."""
_LAST = frozenset({"خانه", "نامه", "گاه"})
"""Nouns that form one word with the noun before them."""
_APART = frozenset({"verb", "adposition", "conjunction", "pronoun", "determiner"})


def parts(word: str, kind: Callable[[str], str], unknown: str) -> list[str]:
    """The words of a compound; only the word itself if it is none, or if one of them is not in the lexicon.

    kind: a word -> its part of speech; unknown: that of words that are not in the lexicon.
    """
    if ZWNJ not in word or kind(word) != unknown or everyday.reading(word):
        return [word]
    found: list[str] = []
    after_prefix = False
    for segment in word.split(ZWNJ):
        if found and (after_prefix or segment in _SUFFIXES or _stays(found[-1], segment, kind)):
            found[-1] += ZWNJ + segment
        else:
            found.append(segment)
        after_prefix = segment in _PREFIXES
    at = 0
    while at + 1 < len(found):
        both = found[at] + ZWNJ + found[at + 1]
        if kind(both) == unknown:
            at += 1
        else:
            found[at : at + 2] = [both]
    known = all((len(part) > 1 or part == _AND) and kind(part) != unknown for part in found)
    return found if known else [word]


def _stays(before: str, segment: str, kind: Callable[[str], str]) -> bool:
    """Whether a segment is the second part or the spoken ending of the word before it."""
    return before not in _SEPARATE and not spoken_apart([kind(before)]) and everyday.is_second(before, segment)


def units(found: Sequence[str], kind: Callable[[str], str]) -> list[int]:
    """How many of the words of a compound each spoken word has: [1, 1] for «تیم‌ملی», [2] for «بی‌نظیر».

    The models see these words apart, as they have learned from them; found: of `parts`.
    """
    sizes = [1]
    for before, after in pairwise(found):
        first = after.split(ZWNJ)[0]
        prefixed = before in _BOUND and first not in _SEPARATE
        if prefixed or (first in _LAST and not spoken_apart([kind(before)])):
            sizes[-1] += 1
        else:
            sizes.append(1)
    return sizes


def spoken_apart(kinds: Sequence[str]) -> bool:
    """Whether the words of a compound are spoken as two: one of them can only be a verb or a function word.

    kinds: the parts of speech of the words; several of one are joined by plus signs.
    """
    return any(_APART.issuperset(kind.split("+")) for kind in kinds)


def split_as(word: str, found: Sequence[str]) -> list[str]:
    """The same words of a word with vowel marks, which has as many half-spaces."""
    segments = word.split(ZWNJ)
    result: list[str] = []
    for part in found:
        size = part.count(ZWNJ) + 1
        result.append(ZWNJ.join(segments[:size]))
        segments = segments[size:]
    return result
