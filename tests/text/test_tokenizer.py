"""Texts to tokens."""

from __future__ import annotations

import time

import numpy as np
import pytest

from myxtts.config.schema import TextConfig
from myxtts.errors import DataError
from myxtts.text.symbols import BLANK, SymbolTable, default_table
from myxtts.text.tokenizer import Tokenizer

PHONEMES = Tokenizer(TextConfig(), default_table("phonemes"))
CHARACTERS = Tokenizer(TextConfig(symbols="characters", blank_between=False), default_table("characters"))


def test_blanks_are_between_symbols_and_at_both_ends() -> None:
    [with_blanks] = PHONEMES.encode(["Hello, world!"], "en-us")
    [without] = Tokenizer(TextConfig(blank_between=False), PHONEMES.table).encode(["Hello, world!"], "en-us")
    assert with_blanks.tokens.dtype == np.int32
    assert len(with_blanks.tokens) == 2 * len(without.tokens) + 1
    assert np.all(with_blanks.tokens[::2] == BLANK)
    assert np.array_equal(with_blanks.tokens[1::2], without.tokens)
    assert "".join(without.symbols) == "həlˈoʊ, wˈɜːld!"
    assert [PHONEMES.table.id_of(symbol) for symbol in with_blanks.symbols] == with_blanks.tokens.tolist()


def test_characters() -> None:
    english, persian = CHARACTERS.encode(["Dr. Smith: 5!"], "en-us"), CHARACTERS.encode(["می‌روم؟"], "fa")
    assert "".join(english[0].symbols) == "doctor smith: five!" and english[0].normalized == "Doctor Smith: five!"
    assert "".join(persian[0].symbols) == "می\u200cروم؟" and not persian[0].unknown


def test_the_language_may_be_any_for_characters_but_not_for_phonemes() -> None:
    assert CHARACTERS.encode(["abc"], "xx")[0].symbols == ["a", "b", "c"]
    with pytest.raises(DataError, match="'xx': eSpeak NG has no such language"):
        PHONEMES.encode(["abc"], "xx")


@pytest.mark.parametrize("tokenizer", [PHONEMES, CHARACTERS])
def test_unknown_symbols_are_reported_once_and_skipped(tokenizer: Tokenizer) -> None:
    [found] = tokenizer.encode(["go \U0001f600 on \0 and \ud800 on \U0001f600"], "en-us")
    assert found.unknown == ["\U0001f600", "\0", "\ud800"]
    assert len(found.tokens) > 5 and found.tokens.min() > 0 and 2 not in found.tokens


def test_a_symbol_that_the_table_lacks_is_reported() -> None:
    small = Tokenizer(TextConfig(), SymbolTable("həloʊ"))
    [found] = small.encode(["hello"], "en-us")
    assert found.unknown == ["ˈ"] and "".join(found.symbols[1::2]) == "həloʊ"


@pytest.mark.parametrize("text", ["", "   ", "\ufeff", "!?", "\u200c", "\U0001f600", "\0", "\u202e\u202c"])
def test_a_text_without_speech_has_no_tokens(text: str) -> None:
    for tokenizer in (PHONEMES, CHARACTERS):
        [found] = tokenizer.encode([text], "fa")
        assert found.tokens.shape == (0,) and found.tokens.dtype == np.int32 and found.symbols == []


def test_a_hundred_thousand_letters() -> None:
    [found] = PHONEMES.encode(["letters and " * 8_333], "en-us")
    assert found.symbols.count("ɛ") == 8_333


def test_five_hundred_texts_in_under_two_seconds() -> None:
    texts = [f"Please enter the number {n}, followed by the pound key; then wait for the tone." for n in range(500)]
    PHONEMES.encode(["warm"], "en-us")
    start = time.process_time()
    assert len(PHONEMES.encode(texts, "en-us")) == 500
    assert time.process_time() - start < 2.0


def spoken(text: str, language: str = "en-us") -> str:
    [encoded] = Tokenizer(TextConfig(blank_between=False), PHONEMES.table).encode([text], language)
    assert not encoded.unknown
    return "".join(encoded.symbols)


@pytest.mark.parametrize("language", ["en-us", "fa", "ru", "de"])
def test_phonemes_in_a_text_are_spoken_as_they_are(language: str) -> None:
    assert spoken("[[ʃɪvˈɔːn]]!", language) == "ʃɪvˈɔːn!"
    assert spoken("[[ kˈæt ]], [[/dˈɒɡ/]]", language) == "kˈæt, dˈɒɡ"


def test_phonemes_within_a_sentence_and_in_several_texts() -> None:
    assert spoken("say [[kˈæt]] and say [[dˈɒɡ]] or [[kˈæt]]") == (
        f"{spoken('say')} kˈæt {spoken('and say')} dˈɒɡ {spoken('or')} kˈæt"
    )
    first, second = PHONEMES.encode(["[[kˈæt]]", "[[dˈɒɡ]]"], "en-us")
    assert first.normalized == "[[kˈæt]]" and second.normalized == "[[dˈɒɡ]]"
    assert spoken("کتاب [[kˈæt]]", "fa").endswith(" kˈæt")


def test_brackets_that_are_no_phonemes_and_symbols_the_model_lacks() -> None:
    assert spoken("a [b] c") == spoken("a (b) c")
    [encoded] = PHONEMES.encode(["[[k\u221a]] me"], "en-us")
    assert encoded.unknown == ["\u221a"]
    [private] = PHONEMES.encode(["me \ue000"], "en-us")
    assert private.unknown == ["\ue000"]


def test_a_pause_in_a_text_is_a_comma_to_the_model() -> None:
    assert spoken("one [pause 0.5] two") == spoken("one, two")
    assert spoken("one. [PAUSE] two") == spoken("one. two")
