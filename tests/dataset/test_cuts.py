"""Where recordings are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest

from myxtts.dataset.cuts import TOO_LONG, TOO_SHORT, WordPlaces, cut
from myxtts.dataset.make import parts_of
from myxtts.dataset.speech import Phrase
from myxtts.dataset.words import TimedWord


def phrases(*lengths: float, pause: float = 0.5) -> list[Phrase]:
    found, at = [], 1.0
    for length in lengths:
        found.append(Phrase(at, at + length))
        at += length + pause
    return found


def clips(*arguments: object) -> list[tuple[float, float]]:
    return [(span.start, span.end) for span in cut(*arguments) if not span.reason]  # type: ignore[arg-type]


def test_clips_have_the_wanted_length_and_lose_no_phrase() -> None:
    made = phrases(*[1.3] * 30)
    found = cut(made, None, 2.0, 12.0)
    assert all(not span.reason and 2.0 <= span.seconds <= 12.0 for span in found)
    assert all(any(span.start < p.start and p.end < span.end for span in found) for p in made)
    assert all(one.end <= other.start for one, other in pairwise(found))


def test_sentences_are_not_cut_where_another_cut_is_possible() -> None:
    made = phrases(*[2.0] * 6, pause=0.5)
    words = [
        TimedWord(text, phrase.start, phrase.end, 1.0)
        for phrase, text in zip(made, ["one", "two.", "three", "four.", "five", "six."], strict=True)
    ]
    found = clips(made, WordPlaces(words), 2.0, 6.0)
    wanted = [(made[at].start - 0.1, made[at + 1].end + 0.1) for at in (0, 2, 4)]
    assert [time for clip in found for time in clip] == pytest.approx([time for clip in wanted for time in clip])


def test_a_word_is_never_cut_where_another_cut_is_possible() -> None:
    made = phrases(3.0, 3.0, 3.0, pause=0.3)
    over = TimedWord("long", made[0].end - 0.5, made[1].start + 0.5, 1.0)
    found = clips(made, WordPlaces([over]), 2.0, 7.0)
    assert found[0][1] > made[1].end


def test_long_pauses_music_and_what_is_too_short_or_long() -> None:
    made = [Phrase(0.0, 1.0), Phrase(3.0, 6.0), Phrase(6.5, 9.0, "noise"), Phrase(9.5, 25.0)]
    found = cut(made, None, 2.0, 12.0)
    assert [span.reason for span in found] == [TOO_SHORT, "", "noise", TOO_LONG]


def test_parts_for_the_recognizer_are_short_and_cut_at_the_longest_pause() -> None:
    made = phrases(*[2.0] * 30, pause=0.3)
    late = [Phrase(p.start + (1.0 if at >= 9 else 0.0), p.end + (1.0 if at >= 9 else 0.0)) for at, p in enumerate(made)]
    parts = list(parts_of(late))
    assert all(end - start <= 27.0 for start, end in parts)
    assert parts[0][1] < late[9].start < parts[1][0] + 0.3
    assert list(parts_of([Phrase(0.0, 5.0, "noise")])) == []
