"""Where a long recording is cut: at pauses, preferably long ones and at the ends of sentences."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from myxtts.dataset.speech import Phrase
from myxtts.dataset.words import TimedWord, ends_part, ends_sentence

CONTEXT_SECONDS = 0.1
"""Kept on both sides of a clip, if the pause is that long."""
_LONGEST_INNER_PAUSE, _FREE_INNER_PAUSE = 1.2, 0.7
_GOOD_PAUSE, _SHORT_PAUSE_COST = 0.5, 2.0
_WITHIN_SENTENCE, _AT_COMMA, _WITHIN_WORD = 2.0, 0.8, 5.0
_BEST_SECONDS, _LENGTH_COST = 6.0, 0.3
_DROP_COST, _DROP_COST_PER_SECOND = 2.0, 1.5

TOO_SHORT = "too short"
TOO_LONG = "no pause"


@dataclass(frozen=True)
class Span:
    """A part of a recording, in seconds: a clip, or what is dropped for a reason."""

    start: float
    end: float
    reason: str = ""

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start


class WordPlaces:
    """The words of one recording by their times."""

    def __init__(self, words: Sequence[TimedWord]) -> None:
        self.words = words
        self._middles: list[float] = []
        for word in words:  # increasing, since the words are in the order of the text
            self._middles.append(max(word.middle, self._middles[-1] if self._middles else word.middle))

    def before(self, seconds: float) -> int:
        """How many words are before a time."""
        return bisect_left(self._middles, seconds)

    def between(self, start: float, end: float) -> Sequence[TimedWord]:
        """The words of a part."""
        return self.words[self.before(start) : self.before(end)]

    def cost_of_cut(self, start: float, end: float) -> float:
        """The cost of a cut in a pause for the text."""
        at = self.before(0.5 * (start + end))
        for word in self.words[max(0, at - 1) : at + 1]:
            if word.start < start - 0.15 and word.end > end + 0.15:
                return _WITHIN_WORD
        if at == 0 or at == len(self.words):
            return 0.0
        last = self.words[at - 1]
        if ends_sentence(last.text):
            return 0.0
        return _AT_COMMA if ends_part(last.text) else _WITHIN_SENTENCE


def cut(phrases: Sequence[Phrase], places: WordPlaces | None, shortest: float, longest: float) -> list[Span]:
    """Clips of `shortest` to `longest` seconds, and dropped parts with a reason, in order.

    Dynamic programming over the pauses between phrases of speech finds the cheapest division. Parts without speech, and
    pauses of over 1.2 s, are never inside a clip.
    """
    spans: list[Span] = []
    stretch: list[Phrase] = []
    for at, phrase in enumerate(phrases):
        gap = phrase.start - phrases[at - 1].end if at else 0.0
        if stretch and (phrase.problem or gap > _LONGEST_INNER_PAUSE):
            spans += _divided(stretch, places, shortest, longest)
            stretch = []
        if phrase.problem:
            spans.append(Span(phrase.start, phrase.end, phrase.problem))
        else:
            stretch.append(phrase)
    if stretch:
        spans += _divided(stretch, places, shortest, longest)
    return _with_context(spans)


def _divided(phrases: Sequence[Phrase], places: WordPlaces | None, shortest: float, longest: float) -> list[Span]:
    """The cheapest clips of phrases between which there are pauses."""
    count = len(phrases)
    cut_costs = [0.0] * (count + 1)
    for at in range(1, count):
        start, end = phrases[at - 1].end, phrases[at].start
        cut_costs[at] = _SHORT_PAUSE_COST * max(0.0, 1.0 - (end - start) / _GOOD_PAUSE)
        if places is not None:
            cut_costs[at] += places.cost_of_cut(start, end)
    best = [0.0] + [float("inf")] * count
    came: list[tuple[int, bool]] = [(0, False)] * (count + 1)
    room = 2.0 * CONTEXT_SECONDS
    for first in range(count):
        lone = phrases[first]
        dropped = best[first] + _DROP_COST + _DROP_COST_PER_SECOND * lone.seconds + cut_costs[first + 1]
        if dropped < best[first + 1]:
            best[first + 1], came[first + 1] = dropped, (first, False)
        pauses = 0.0
        for last in range(first, count):
            seconds = phrases[last].end - lone.start
            if seconds + room > longest:
                break
            if last > first:
                pauses += 2.0 * max(0.0, phrases[last].start - phrases[last - 1].end - _FREE_INNER_PAUSE)
            if seconds + room < shortest:
                continue
            cost = best[first] + pauses + _LENGTH_COST * ((seconds - _BEST_SECONDS) / 4.0) ** 2 + cut_costs[last + 1]
            if cost < best[last + 1]:
                best[last + 1], came[last + 1] = cost, (first, True)
    spans: list[Span] = []
    at = count
    while at:
        first, is_clip = came[at]
        start, end = phrases[first].start, phrases[at - 1].end
        reason = "" if is_clip else TOO_LONG if end - start + room > longest else TOO_SHORT
        spans.append(Span(start, end, reason))
        at = first
    return spans[::-1]


def _with_context(spans: Sequence[Span]) -> list[Span]:
    """The spans with the beginning and the end of the pauses around them."""
    widened: list[Span] = []
    for at, span in enumerate(spans):
        before = span.start - spans[at - 1].end if at else 2.0 * span.start
        after = spans[at + 1].start - span.end if at + 1 < len(spans) else 2.0 * CONTEXT_SECONDS
        start, end = span.start - min(CONTEXT_SECONDS, 0.5 * before), span.end + min(CONTEXT_SECONDS, 0.5 * after)
        widened.append(Span(start, end, span.reason))
    return widened
