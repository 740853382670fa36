"""Reading: sentences that a model can speak, within its limit of tokens."""

import random

import pytest

from myxtts.config.schema import TextConfig
from myxtts.errors import DataError
from myxtts.text.normalization import normalize
from myxtts.text.reading import read_text
from myxtts.text.symbols import RESERVED, default_table
from myxtts.text.tokenizer import Tokenizer

TOKENIZER = Tokenizer(TextConfig(), default_table("phonemes"))
LONGEST = 600


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("777,777,777,777 " * 12, "en-us"),
        ("He paid $3.50, then $1,234.56 and 17%, at 10:30 on 2024-01-15; " * 3, "en-us"),
        ("۷۷۷٬۷۷۷٬۷۷۷ " * 16, "fa"),
        ("777777777777 " * 15, "de"),
        ("你好世界" * 50, "cmn"),
    ],
)
def test_a_sentence_that_grows_when_it_is_read_is_cut_again(text: str, language: str) -> None:
    reading = read_text(text, language, TOKENIZER, [language], LONGEST)
    assert len(reading.sentences) == len(reading.encodings) > 1
    assert all(LONGEST / 4 < len(encoding.tokens) <= LONGEST for encoding in reading.encodings)
    spoken = "".join(encoding.normalized for encoding in reading.encodings)
    assert spoken.replace(" ", "") == normalize(text, language).replace(" ", "")
    assert reading.sentences == [encoding.normalized for encoding in reading.encodings]


@pytest.mark.parametrize("seed", range(5))
def test_what_is_cut_again_leaves_no_fragments(seed: int) -> None:
    drawn = random.Random(seed)
    text = " ".join(str(drawn.randrange(10**8, 10**9)) for _ in range(18))
    reading = read_text(text, "en-us", TOKENIZER, ["en-us"], LONGEST)
    assert all(LONGEST / 4 < len(encoding.tokens) <= LONGEST for encoding in reading.encodings)
    spoken = " ".join(encoding.normalized for encoding in reading.encodings)
    assert spoken == normalize(text, "en-us")


def test_a_sentence_that_fits_is_not_split() -> None:
    text = "The rain had stopped before the train came in, and 12 of 30 people were there to see it."
    reading = read_text(text, "en-us", TOKENIZER, ["en-us"], LONGEST)
    assert reading.sentences == [text] and len(reading.encodings[0].tokens) > 150
    assert read_text(text, "en-us", TOKENIZER, ["en-us"], 150).sentences[0] == (
        "The rain had stopped before the train came in,"
    )


def test_no_limit_is_too_low() -> None:
    reading = read_text("A fox.", "en-us", TOKENIZER, ["en-us"], 1)
    assert "".join(reading.sentences).replace(" ", "").startswith("Afox")


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("Hello there", "."),
        ("Hello there.", "."),
        ("Is it so?", "?"),
        ("Hello there,", "."),
        ('She said "yes"', '".'),
        ('She said "yes."', '."'),
        ("Wait \u2026", "\u2026"),
        ("A title\n\nA text", "."),
    ],
)
def test_every_text_ends_with_a_mark_and_is_kept_as_written(text: str, end: str) -> None:
    reading = read_text(text, "en-us", TOKENIZER, ["en-us"], LONGEST)
    for encoding in reading.encodings:
        marks = [symbol for symbol in encoding.symbols if symbol not in RESERVED]
        assert "".join(marks).replace(" ", "").endswith(end), marks
        assert [TOKENIZER.table.id_of(symbol) for symbol in encoding.symbols] == encoding.tokens.tolist()
        assert encoding.symbols[0] == encoding.symbols[-1] and encoding.symbols[0] in RESERVED, "blanks at both ends"
    assert "\n\n".join(reading.sentences) == text


def test_parts_of_a_sentence_are_spoken_as_parts() -> None:
    reading = read_text("one two three four five six seven " * 8, "en-us", TOKENIZER, ["en-us"], LONGEST)
    ends = ["".join(s for s in encoding.symbols if s not in RESERVED)[-1] for encoding in reading.encodings]
    assert len(ends) > 1 and ends[-1] == "." and set(ends[:-1]) == {","}
    assert all(len(encoding.tokens) <= LONGEST for encoding in reading.encodings)


def pauses(text: str) -> list[tuple[str, float | None]]:
    reading = read_text(text, "en-us", TOKENIZER, ["en-us"], LONGEST)
    return list(zip(reading.sentences, reading.pauses, strict=True))


def test_pauses_are_before_the_sentence_that_follows_them() -> None:
    assert pauses("One. Two.") == [("One.", None), ("Two.", None)]
    assert pauses("One [pause 1.5] two. Three.") == [("One", None), ("two.", 1.5), ("Three.", None)]
    assert pauses("[pause 2s] One.[pause]Two.") == [("One.", 2.0), ("Two.", 0.5)]
    assert pauses("One. [pause 1] ... [pause .25] Two.") == [("One.", None), ("Two.", 1.25)]


def test_a_part_before_a_pause_ends_as_the_sentence_goes_on() -> None:
    reading = read_text("Wait [pause 1] and see. Now [pause 1] Stop", "en-us", TOKENIZER, ["en-us"], LONGEST)
    ends = [[symbol for symbol in encoding.symbols if symbol not in RESERVED][-1] for encoding in reading.encodings]
    assert ends == [",", ".", ".", "."]


def test_a_pause_at_the_end_and_one_that_is_too_long() -> None:
    reading = read_text("One. [pause 1]", "en-us", TOKENIZER, ["en-us"], LONGEST)
    assert reading.pauses == [None] and any("pause at the end" in note for note in reading.notes)
    with pytest.raises(DataError, match=r"\[pause 99\].*at most 30 seconds"):
        pauses("One. [pause 99] Two.")
