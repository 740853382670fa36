"""Reading: sentences that a model can speak, within its limit of tokens."""

import random

import pytest

from myxtts.config.schema import TextConfig
from myxtts.text.normalization import normalize
from myxtts.text.reading import read_text
from myxtts.text.symbols import default_table
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
