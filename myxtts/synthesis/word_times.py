"""When each written word of a sentence is spoken, from the durations of its tokens."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from myxtts.models.prosody import IntArray
from myxtts.text.symbols import RESERVED

_MARKS = ".,;:!?\u2026\u060c\u061b\u061f\"'()\u00ab\u00bb"


@dataclass(frozen=True)
class WordTime:
    """A word as written, and when it is spoken, in seconds from the start of its sentence."""

    text: str
    start_seconds: float
    end_seconds: float


def word_times(
    written: str, normalized: str, symbols: Sequence[str], duration_T: IntArray, frame_seconds: float
) -> tuple[WordTime, ...]:
    """The words of a sentence in order, with times that never go back.

    The times of spoken words are exact where a blank separates them in the tokens. Words that are spoken together ("of
    the"), and those that normalization replaced ("$25"), share the time of their group by their letters.

    Args:
        written: the sentence as written.
        normalized: as it is spoken, in words.
        symbols: names of its tokens.
        duration_T: frames of each token.
        frame_seconds: length of a frame.
    """
    words, spoken = written.split(), [word for word in normalized.split() if _letters(word)]
    if not words or not spoken or len(symbols) != len(duration_T):
        return ()
    edges = _spoken_edges(spoken, symbols, np.asarray(duration_T, np.float64) * frame_seconds)
    edges = _written_edges(words, spoken, edges) if edges else []
    return tuple(WordTime(word, *edge) for word, edge in zip(words, edges, strict=bool(edges)))


def _letters(word: str) -> int:
    return sum(character.isalnum() for character in word)


def _spoken_edges(
    spoken: Sequence[str], symbols: Sequence[str], second_T: npt.NDArray[np.float64]
) -> list[tuple[float, float]]:
    """Start and end of each spoken word."""
    groups: list[tuple[float, float, int]] = []
    start = at = 0.0
    sounds = 0
    for symbol, seconds in zip((*symbols, " "), (*second_T, 0.0), strict=True):
        if symbol == " ":
            if sounds:
                groups.append((start, at, sounds))
            start, sounds = at + seconds, 0
        else:
            sounds += symbol not in RESERVED and symbol.isalnum()
        at += seconds
    if not groups or len(groups) == len(spoken):
        return [(begin, end) for begin, end, _ in groups]
    # as many letters of all letters lie before a place as sounds of all sounds
    letters = np.cumsum([0, *(_letters(word) for word in spoken)], dtype=np.float64)
    sounds_before = np.cumsum([0, *(count for *_, count in groups)], dtype=np.float64)
    places = letters / letters[-1] * sounds_before[-1]
    times = np.interp(places, sounds_before, [groups[0][0], *(end for _, end, _ in groups)]).tolist()
    return list(pairwise(times))


def _written_edges(
    words: Sequence[str], spoken: Sequence[str], edges: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Start and end of each written word; what was replaced shares the time of what replaced it."""
    bare = [[word.strip(_MARKS).casefold() for word in side] for side in (words, spoken)]
    found: list[tuple[float, float]] = []
    at = 0.0
    for kind, a, b, c, d in difflib.SequenceMatcher(None, bare[0], bare[1], autojunk=False).get_opcodes():
        if kind == "equal":
            found += edges[c:d]
        elif b > a:
            begin, end = (edges[c][0], edges[d - 1][1]) if d > c else (at, at)
            parts = np.cumsum([0, *(max(1, _letters(word)) for word in words[a:b])])
            times = (begin + parts / parts[-1] * (end - begin)).tolist()
            found += pairwise(times)
        at = found[-1][1] if found else 0.0
    return found
