"""Splitting text into sentences."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myxtts.text.sentences import split_sentences


def without_blanks(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize(
    "sentences",
    [
        ["One.", "Two!", "Three?", "Four\u2026", "Five"],
        ["Dr. Smith met Mr. Jones at St. Paul.", "He left."],
        ["It cost $3.50, i.e. little.", "See No. 5, e.g. here."],
        ["J. R. R. Tolkien wrote it.", "I know.", "So do I.", "Good."],
        ["It was 5 p.m.", "He left at 6 p.m. with her."],
        ['"Stop!" she cried.', '"Now."', "(Really?)", "Yes."],
        ["He waited\u2026 and left."],
        ["سلام.", "خوبی؟", "بله!", "«برو.»", "۳.۵ نفر آمدند."],
        ["The U.S. Army won the battle.", "He lives in the U.S.", "She does not."],
        ["From Washington D.C. Mr. Smith wrote.", "It was the U.K.", "They agreed."],
        ["I waited... and waited. . . and waited… until noon...", "Then I left.", ".5 of it."],
        ["سال ۵۰۰ ق.م. بود.", "تمام شد."],
        ["The answer is no.", "12 men died.", "He said no.", "She agreed."],
        ["The official said No. 10 Downing Street.", "They say No. 1 seeds win.", "In violation of Art. 5 of it."],
        ["A work of art.", "5 stars.", "Wait a sec.", "10 of us come.", "She ate a fig.", "3 were left."],
        ["On jan. 5 he left.", "WASHINGTON, JAN. 5 - It was cold.", "After SEPT. 11 and thu. 3 feb. 2001."],
        ["See fig. A for more.", "Then art. IV, sec. B, fig. B and Symphony No. IX of it.", "FIG. A here."],
        ["I love art.", "A man said no.", "I left.", "There is no art.", "T-shirts sell.", "O'Neil is a man of art."],
        ["Is it the U.S.", "Are you sure?", "It is the U.S.", "However, he left.", "Was it the U.K.", "Don\u2019t go."],
        ["That was a P.S.", "Don't go, M.D.", "Both are in the U.S.", "Isn't it?", "To the U.S.", "Today it is."],
        ["(He lives in the U.S.)", 'Mary left "the U.K."', "John did not (nor the U.S. Navy)."],
        ["Really?", "...I don't know.", "Stop!", "...and he went.", "واقعا؟", "...نمی\u200cدانم."],
        ["Really? ...", "I left. ...and came."],
        ["See p.15.", "He left.", "On pp.3-5.", "Then vol.2.", "Then ch.7.", "Now no.12.", "In Fig.3.", "The end."],
        [
            "It is in the sun.",
            "Then we sat.",
            "10 men wed.",
            "3 came.",
            "They left on Sat. with Ann and come in Dec. with Bob.",
        ],
        ["See no. 5 in the list, fig. 3, art. 5 and No.\n7, p. 12.", "She is no. 1 of Vol. II, Fig. A."],
    ],
)
def test_sentences(sentences: list[str]) -> None:
    assert split_sentences(" ".join(sentences)) == sentences


def test_an_empty_line_ends_a_sentence_and_a_newline_does_not() -> None:
    assert split_sentences("A title\n\nThe text goes\non.") == ["A title", "The text goes\non."]
    assert split_sentences("你好。世界！") == ["你好。", "世界！"]


def test_long_sentences_are_cut_at_the_best_mark() -> None:
    assert split_sentences("one two three, four five; six seven eight", 28) == [
        "one two three, four five;",
        "six seven eight",
    ]
    assert split_sentences("one two three, four five", 18) == ["one two three,", "four five"]
    assert split_sentences("one two three four", 10) == ["one two", "three four"]
    assert split_sentences("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]


@pytest.mark.parametrize("text", ["", "   ", "\n\n\n"])
def test_nothing_gives_nothing(text: str) -> None:
    assert split_sentences(text) == []


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab Z.!?,;:\u2026\u061f\u060c\"')\n\u3002\u2014 5سl"), max_size=120), st.integers(1, 40))
def test_no_text_is_lost_and_no_piece_is_too_long(text: str, longest: int) -> None:
    pieces = split_sentences(text, longest)
    assert without_blanks("".join(pieces)) == without_blanks(text)
    assert all(0 < len(piece) <= longest and piece == piece.strip() for piece in pieces)
