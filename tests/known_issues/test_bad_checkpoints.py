"""Found by fuzzing checkpoints that are whole but hold what no training writes."""

from __future__ import annotations

import pytest

from myxtts.data.corpus import Corpus
from myxtts.errors import DataError
from tests import made_model


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pitch_std": "0.3"}, "pitch_std is '0.3', expected 0.001 to 10"),
        ({"energy_mean": None}, "energy_mean is None"),
        ({"pitch_mean": 1e308}, "pitch_mean is 1e"),
        ({"energy_std": True}, "energy_std is True"),
        ({"mel_mean_C": [1e308] * 80}, "expected -1000 to 100"),
        ({"mel_std_C": [1.0] * 79}, "wrong shape"),
        ({"mel_mean_C": [10**400] * 80}, "wrong shape or no numbers"),
        ({"speakers": ["ann", "ann", "bob"]}, "speakers are .* expected a list of distinct names"),
        ({"speakers": ["ann", "\x1b[2J", "bob"]}, "speakers are"),
        ({"languages": {"en-us": 1}}, "languages are"),
        ({"languages": [None]}, "languages are"),
    ],
)
def test_a_corpus_of_odd_values_was_a_traceback_or_believed(changes: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        Corpus.from_json({**made_model.corpus().to_json(), **changes})
    assert str(caught.value).isprintable()


def test_a_key_with_an_escape_sequence_reached_the_screen() -> None:
    stored = made_model.corpus().to_json()
    del stored["pitch_std"]
    with pytest.raises(DataError, match="pitch_std missing") as caught:
        Corpus.from_json({**stored, "\x1b[1mnew": 1})
    assert str(caught.value).isprintable()
