"""Texts and confidences of clips."""

from __future__ import annotations

import pytest

from myxtts.dataset.clips import NO_SPEECH, NO_WORDS, Spoken, clips_of
from myxtts.dataset.cuts import Span
from myxtts.dataset.words import TimedWord, align


def said(text: str, start: float = 0.0, score: float = 0.95, pause: float = 0.0) -> list[TimedWord]:
    """Words of half a second, with a pause before each sentence but the first."""
    found, at = [], start
    for word in text.split():
        found.append(TimedWord(word, at, at + 0.5, score))
        at += 0.5 + (pause if word.endswith(".") else 0.0)
    return found


def clip(recognized: list[TimedWord], text: str | None = None, speech: float = 10.0) -> tuple[str, float, str]:
    words = recognized if text is None else align(text, recognized, "en-us")
    spoken = Spoken(recognized, words, [(0.0, speech)], text is not None)
    (found,) = clips_of("book", "ann", [Span(0.0, 6.0)], spoken, "en-us")
    return found.text, found.confidence, found.reason


def test_one_doubtful_word_makes_a_text_doubtful() -> None:
    sure = clip(said("the cat sat down by the warm fire"))
    words = said("the cat sat down by the warm fire")
    words[3] = TimedWord("town", 1.5, 2.0, 0.2)
    assert sure[1] > 0.9 and clip(words)[1] < 0.5


def test_a_heading_between_two_sentences_without_time_for_it_is_left_out() -> None:
    text = "The cat sat down. CHAPTER TWO. THE DOG. The dog got up."
    recognized = said("The cat sat down. The dog got up.", pause=0.4)
    assert clip(recognized, text)[:2] == ("The cat sat down. The dog got up.", 1.0)
    slow = said("The cat sat down. The dog got up.", pause=1.5)
    assert "CHAPTER" in clip(slow, text)[0] and clip(slow, text)[1] < 0.8


def test_what_is_said_and_not_in_the_text_makes_it_doubtful() -> None:
    recognized = said("the cat sat down I mean it really sat")
    found = clip(recognized, "The cat sat down.")
    assert found[0] == "The cat sat down." and found[1] < 0.8


@pytest.mark.parametrize(("words", "speech", "reason"), [([], 10.0, NO_WORDS), (said("a b"), 1.0, NO_SPEECH)])
def test_clips_without_speech_or_words_are_dropped(words: list[TimedWord], speech: float, reason: str) -> None:
    assert clip(words, speech=speech)[2] == reason


def test_an_odd_rate_is_doubtful_and_a_text_fits_its_cell() -> None:
    assert clip(said("hm"))[1] <= 0.3
    text = clip([TimedWord('"Say', 0.0, 1.0, 0.9), TimedWord("so | or\nnot, and do it now.", 1.0, 3.0, 0.9)])[0]
    assert text == "Say so or not, and do it now."
