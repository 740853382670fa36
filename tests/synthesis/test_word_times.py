"""When each written word is spoken: exact where blanks separate words, by letters where words are spoken together."""

import numpy as np
import pytest

from myxtts.synthesis.word_times import word_times


def spoken(phonemes: str) -> tuple[list[str], np.ndarray]:
    symbols = list(phonemes)
    return symbols, np.full(len(symbols), 2, np.int32)


def test_words_that_a_blank_separates_have_exact_times() -> None:
    found = word_times("To be, not", "To be, not", *spoken("tu bi, nt"), frame_seconds=0.5)
    assert [(word.text, word.start_seconds, word.end_seconds) for word in found] == [
        ("To", 0.0, 2.0), ("be,", 3.0, 6.0), ("not", 7.0, 9.0)
    ]  # fmt: skip


def test_words_spoken_together_share_the_time_of_their_group() -> None:
    found = word_times("of the man", "of the man", *spoken("avda man"), frame_seconds=1.0)
    assert found[0].start_seconds == 0.0 and found[-1].end_seconds == 16.0
    edges = [edge for word in found for edge in (word.start_seconds, word.end_seconds)]
    assert edges == sorted(edges) and all(word.end_seconds > word.start_seconds for word in found)


def test_what_normalization_replaced_has_the_time_of_what_is_spoken() -> None:
    found = word_times(
        "It costs $25 now", "It costs twenty-five dollars now", *spoken("it ks tf dl nw"), frame_seconds=1
    )
    assert [word.text for word in found] == ["It", "costs", "$25", "now"]
    assert (found[2].start_seconds, found[2].end_seconds) == (12.0, 22.0) and found[3].start_seconds == 24.0


@pytest.mark.parametrize("written", ["", "—", "a — b", "... a"])
def test_marks_alone(written: str) -> None:
    found = word_times(written, "a b", *spoken("a b"), frame_seconds=1.0)
    assert len(found) == len(written.split())
    assert word_times("a", "", [], np.zeros(0, np.int32), 1.0) == ()
