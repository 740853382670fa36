"""Words with times: those that were recognized, or those of a given text, aligned with what was recognized."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from myxtts.dataset.recognizer_client import RecognizedWord
from myxtts.text.normalization import normalize

_MARKS = re.compile(r"[\W_]+")
_NO_WORD = re.compile(r"\s*[\[(*\u266a].*[\])*\u266a]\s*|[\s\u266a]*")
"""What Whisper writes for music and noise: [Music], (applause), a note."""
_SPOKEN_SIGNS = "&%+="
_ANCHORS = (12, 8, 4, 3, 2, 1)
_MOST_CELLS = 1_000_000
_SKIP_COST, _LEAST_SIMILARITY = 0.6, 0.4
_UNSPOKEN = 2
_FAR_SECONDS = 0.3


@dataclass(frozen=True)
class TimedWord:
    """A word of the text of a clip.

    Attributes:
        text: as it is written, with punctuation.
        start: where it begins in the recording, in seconds.
        end: where it ends.
        score: confidence, 0 to 1.
        spoken: false for a word of the given text where nothing was recognized.
    """

    text: str
    start: float
    end: float
    score: float
    spoken: bool = True

    @property
    def middle(self) -> float:
        """The middle of its time."""
        return 0.5 * (self.start + self.end)


def key_words(text: str, language: str) -> list[str]:
    """The words of a text as they are compared: spoken, in lower case, without marks; numbers are words."""
    if not any(character.isalnum() or character in _SPOKEN_SIGNS for character in text):
        return []
    plain = unicodedata.normalize("NFKC", normalize(text, language)).casefold()
    return [word for word in (_MARKS.sub("", part) for part in plain.split()) if word]


def recognized_words(words: Sequence[RecognizedWord], speech: Sequence[tuple[float, float]]) -> list[TimedWord]:
    """The recognized words as the text; continuations such as "'s" join their word.

    Items that are not words are omitted, as are words far from `speech`: recognizers invent some in silence.
    """
    found: list[TimedWord] = []
    for word in words:
        if _NO_WORD.fullmatch(word.text) or not any(
            start - _FAR_SECONDS < word.end and word.start < end + _FAR_SECONDS for start, end in speech
        ):
            continue
        text = " ".join(word.text.replace("|", " ").split())
        joins = bool(found) and not word.text[:1].isspace() and word.start - found[-1].end < 0.2
        if joins:
            before = found[-1]
            found[-1] = replace(
                before, text=before.text + text, end=word.end, score=min(before.score, word.probability)
            )
        else:
            found.append(TimedWord(text, word.start, word.end, word.probability))
    return found


def align(text: str, recognized: Sequence[TimedWord], language: str) -> list[TimedWord]:
    """The words of `text` with the times of the recognized words that they match.

    Words are compared as they are spoken; the score of a word is how similar it is to what was recognized. What nothing
    matches lies between its neighbours: at the times of other recognized words there, else at the end of the words
    before it up to the end of their sentence, and of the words behind it after that.
    """
    written, keys, owner = _expanded(text.split(), language)
    recognized_keys: list[str] = []
    recognized_owner: list[int] = []
    for at, word in enumerate(recognized):
        for key in key_words(word.text, language):
            recognized_keys.append(key)
            recognized_owner.append(at)
    pairs = _pairs(keys, recognized_keys)
    times: list[list[int]] = [[] for _ in written]
    scores: list[float] = [0.0] * len(written)
    letters = [0] * len(written)
    for key, at in zip(keys, owner, strict=True):
        letters[at] += len(key)
    for own, other in pairs:
        at = owner[own]
        times[at].append(recognized_owner[other])
        scores[at] += similarity(keys[own], recognized_keys[other]) * len(keys[own]) / letters[at]
    return _timed(written, times, scores, recognized)


def _expanded(words: Sequence[str], language: str) -> tuple[list[str], list[str], list[int]]:
    """The written words, a mark by itself joined to its neighbour; their keys; and the word of each key."""
    spoken: Callable[[str], list[str]] = lru_cache(maxsize=65_536)(lambda word: key_words(word, language))
    written: list[str] = []
    keys: list[str] = []
    owner: list[int] = []
    opening = ""
    for word in words:
        own = spoken(word)
        if not own and written:
            written[-1] += " " + word
        elif not own:
            opening += word + " "
        else:
            keys += own
            owner += [len(written)] * len(own)
            written.append(opening + word)
            opening = ""
    return written, keys, owner


def _timed(
    written: Sequence[str], times: Sequence[Sequence[int]], scores: Sequence[float], recognized: Sequence[TimedWord]
) -> list[TimedWord]:
    """The written words with the times of `recognized[times]`, and times for those without."""
    found: list[TimedWord] = []
    at, last = 0, -1
    while at < len(written):
        if times[at]:
            first_word, last_word = recognized[times[at][0]], recognized[times[at][-1]]
            found.append(TimedWord(written[at], first_word.start, last_word.end, min(1.0, scores[at])))
            last = times[at][-1]
            at += 1
            continue
        end = next((place for place in range(at, len(written)) if times[place]), len(written))
        following = times[end][0] if end < len(written) else len(recognized)
        found += _between(written[at:end], recognized, last, following)
        at = end
    return found


def _between(words: Sequence[str], recognized: Sequence[TimedWord], last: int, following: int) -> list[TimedWord]:
    """Times of unmatched words between the recognized words `last` and `following`."""
    others = recognized[last + 1 : following]
    if others:  # misrecognized: each gets the word at its share of them
        share = len(others) / len(words)
        places = [others[min(len(others) - 1, int((at + 0.5) * share))] for at in range(len(words))]
        return [TimedWord(word, place.start, place.end, 0.0) for word, place in zip(words, places, strict=True)]
    before = recognized[last].end if last >= 0 else None
    after = recognized[following].start if following < len(recognized) else None
    ends = [at for at, word in enumerate(words) if ends_sentence(word)]
    split = ends[0] + 1 if ends and before is not None else 0
    if after is None:
        split = len(words)
    spoken = len(words) < _UNSPOKEN
    low, high = before if before is not None else after or 0.0, after if after is not None else before or 0.0
    return [
        TimedWord(word, low if at < split else high, low if at < split else high, 0.0, spoken)
        for at, word in enumerate(words)
    ]


def ends_sentence(word: str) -> bool:
    """Whether a written word ends with the mark of a sentence's end."""
    return word.rstrip("\"')]\u201d\u2019\u00bb").endswith((".", "!", "?", "\u2026", "\u061f", "\u06d4"))


def ends_part(word: str) -> bool:
    """Whether a written word ends with a comma or another mark within a sentence."""
    return word.rstrip("\"')]\u201d\u2019\u00bb").endswith((",", ";", ":", "\u2014", "-", "\u060c", "\u061b"))


@lru_cache(maxsize=65_536)
def similarity(one: str, other: str) -> float:
    """1 minus the edit distance of two words as a share of the longer one."""
    if one == other:
        return 1.0
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        diagonal, row[0] = row[0], at
        for column, against in enumerate(other, 1):
            diagonal, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, diagonal + (letter != against)),
            )
    return 1.0 - row[-1] / max(len(one), len(other), 1)


def _pairs(own: Sequence[str], other: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of places of equal or similar words in two texts, in order.

    Runs of words that both have exactly once divide the texts; what lies between is aligned by edit distance.
    """
    found: list[tuple[int, int]] = []
    todo = [(0, len(own), 0, len(other))]
    while todo:
        a0, a1, b0, b1 = todo.pop()
        if a0 >= a1 or b0 >= b1:
            continue
        if (a1 - a0) * (b1 - b0) <= 64:
            found += _by_edits(own, other, (a0, a1, b0, b1))
            continue
        for size in _ANCHORS:
            anchors = _unique_runs(own[a0:a1], other[b0:b1], size)
            if anchors:
                break
        if not anchors:
            if (a1 - a0) * (b1 - b0) <= _MOST_CELLS:
                found += _by_edits(own, other, (a0, a1, b0, b1))
            continue
        before = (a0, b0)
        for a, b in anchors:
            todo.append((before[0], a0 + a, before[1], b0 + b))
            found.append((a0 + a, b0 + b))
            before = (a0 + a + 1, b0 + b + 1)
        todo.append((before[0], a1, before[1], b1))
    return sorted(found)


def _unique_runs(own: Sequence[str], other: Sequence[str], size: int) -> list[tuple[int, int]]:
    """Places where runs of `size` words that occur once in each text begin, the longest increasing sequence of them."""

    def runs(words: Sequence[str]) -> list[tuple[str, ...]]:
        return [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]

    own_runs, other_runs = runs(own), runs(other)
    own_counts, other_counts = Counter(own_runs), Counter(other_runs)
    places = {run: at for at, run in enumerate(other_runs) if other_counts[run] == 1}
    matches = [(at, places[run]) for at, run in enumerate(own_runs) if own_counts[run] == 1 and run in places]
    return _increasing(matches)


def _increasing(matches: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest sequence of matches that increases in both texts."""
    ends: list[int] = []
    holders: list[int] = []
    previous: list[int] = []
    for at, (_, place) in enumerate(matches):
        slot = bisect_left(ends, place)
        previous.append(holders[slot - 1] if slot else -1)
        ends[slot : slot + 1] = [place]
        holders[slot : slot + 1] = [at]
    chain: list[tuple[int, int]] = []
    at = holders[-1] if holders else -1
    while at >= 0:
        chain.append(matches[at])
        at = previous[at]
    return chain[::-1]


def _by_edits(own: Sequence[str], other: Sequence[str], part: tuple[int, int, int, int]) -> list[tuple[int, int]]:
    """Pairs of similar words of a part of two texts on the alignment of the lowest cost."""
    a0, a1, b0, b1 = part
    rows, columns = a1 - a0, b1 - b0
    cost = [[_SKIP_COST * column for column in range(columns + 1)]]
    for row in range(1, rows + 1):
        line = [_SKIP_COST * row]
        for column in range(1, columns + 1):
            same = similarity(own[a0 + row - 1], other[b0 + column - 1])
            pair = 1.0 - same if same >= _LEAST_SIMILARITY else 2.0
            line.append(min(cost[-1][column - 1] + pair, cost[-1][column] + _SKIP_COST, line[column - 1] + _SKIP_COST))
        cost.append(line)
    found: list[tuple[int, int]] = []
    row, column = rows, columns
    while row and column:
        same = similarity(own[a0 + row - 1], other[b0 + column - 1])
        pair = 1.0 - same if same >= _LEAST_SIMILARITY else 2.0
        if abs(cost[row][column] - cost[row - 1][column - 1] - pair) < 1e-9:
            if same >= _LEAST_SIMILARITY:
                found.append((a0 + row - 1, b0 + column - 1))
            row, column = row - 1, column - 1
        elif abs(cost[row][column] - cost[row - 1][column] - _SKIP_COST) < 1e-9:
            row -= 1
        else:
            column -= 1
    return found
