"""Parts of a voice: weights on a command line, shares, descriptions."""

import math

import pytest

from myxtts.errors import ConfigError, DataError
from myxtts.synthesis.voice_parts import VoicePart, describe, shares_of, split_weight, weight_problem


@pytest.mark.parametrize(
    ("text", "there", "name", "weight"),
    [
        ("a.wav", {"a.wav"}, "a.wav", None),
        ("a.wav:0.7", {"a.wav"}, "a.wav", 0.7),
        ("a:0.7", {"a:0.7"}, "a:0.7", None),
        ("a:0.7", {"a:0.7", "a"}, "a:0.7", None),
        ("a:0.7:2", {"a:0.7"}, "a:0.7", 2.0),
        ("missing.wav:1e1", set(), "missing.wav", 10.0),
        ("12:30 talk.wav", set(), "12:30 talk.wav", None),
        (":0.7", set(), ":0.7", None),
        ("", set(), "", None),
    ],
)
def test_the_weight_follows_the_last_colon(text: str, there: set[str], name: str, weight: float | None) -> None:
    assert split_weight(text, there.__contains__) == (name, weight)


@pytest.mark.parametrize("tail", ["0", "-1", "nan", "inf", "1e999", "", "half", "1_0", "0,7"])
def test_invalid_weights(tail: str) -> None:
    with pytest.raises(ConfigError) as caught:
        split_weight(f"a.wav:{tail}", {"a.wav"}.__contains__)
    assert f"the weight is '{tail}', expected a number over 0; write it as in 'a.wav:0.7'" in str(caught.value)


@pytest.mark.parametrize("tail", ["0,7", ",5", "1,0"])
def test_decimal_commas(tail: str) -> None:
    with pytest.raises(ConfigError, match=f"weight is '{tail}', expected a number over 0; write it as in 'a.wav:0.7'"):
        split_weight(f"a.wav:{tail}", {"b.wav:0,7"}.__contains__)
    assert split_weight("b.wav:0,7", {"b.wav:0,7"}.__contains__) == ("b.wav:0,7", None), "a name as it stands"
    assert split_weight("9:15, talk.wav", ().__contains__) == ("9:15, talk.wav", None)


def test_all_have_a_weight_or_none() -> None:
    assert weight_problem([("x", 1.0), ("y", 0.5)]) is None and weight_problem([("x", None), ("y", None)]) is None
    assert weight_problem([("x", None), ("y", 0.5)]) == (
        "y has a weight and x has none; give every part a weight, or none of them"
    )
    assert "the weight is inf" in str(weight_problem([("x", math.inf)]))


def test_shares_sum_to_one_whatever_the_weights() -> None:
    ann, bob = VoicePart("speaker", "ann", 7.0), VoicePart("speaker", "bob", 3.0)
    assert shares_of([ann, bob]) == pytest.approx([0.7, 0.3])
    assert shares_of([VoicePart("speaker", "ann"), VoicePart("speaker", "bob")]) == [0.5, 0.5]
    huge = [VoicePart("speaker", "ann", 1.7e308), VoicePart("speaker", "bob", 1.7e308)]
    assert shares_of(huge) == [0.5, 0.5]
    with pytest.raises(DataError, match="training speaker 'ann' has a weight and training speaker 'bob' has none"):
        shares_of([ann, VoicePart("speaker", "bob")])


def test_descriptions() -> None:
    file, bob = VoicePart("reference", "/home/me/a.wav", 1.4), VoicePart("speaker", "bob", 0.6)
    assert describe([file, bob]) == "mix of 70% reference '/home/me/a.wav' and 30% training speaker 'bob'"
    assert describe([file, bob], full_path=False) == "mix of 70% reference 'a.wav' and 30% training speaker 'bob'"
    assert describe([VoicePart("random", 7)]) == "random voice 7"
    many = [VoicePart("reference", f"{n}.wav") for n in range(5)]
    assert describe(many) == "mean of references '0.wav', '1.wav', '2.wav' and 2 more"
    assert describe([VoicePart("speaker", "bob\n"), VoicePart("voice", "x.voice")]) == (
        "mix of 50% training speaker 'bob\\n' and 50% voice 'x.voice'"
    )
