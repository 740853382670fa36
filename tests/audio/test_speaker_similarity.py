"""Cosines of the same and of other speakers, and the equal error rate, on examples that can be counted by hand."""

import numpy as np
import pytest

from myxtts.audio.speaker_similarity import cosine, equal_error_rate, verify_pairs, verify_speakers


def test_cosine() -> None:
    assert cosine(np.array([3.0, 0.0]), np.array([0.5, 0.5])) == pytest.approx(np.sqrt(0.5))
    with pytest.raises(ValueError, match="length zero"):
        cosine(np.zeros(2), np.ones(2))


@pytest.mark.parametrize(
    ("same", "other", "rate"),
    [
        ([0.9, 0.8], [0.1, 0.2, 0.3], 0.0),
        ([0.1, 0.2], [0.8, 0.9], 1.0),
        ([0.9, 0.7, 0.6, 0.2], [0.8, 0.5, 0.4, 0.1], 0.25),
        ([0.5] * 4, [0.5] * 4, 0.5),
    ],
)
def test_equal_error_rate(same: list[float], other: list[float], rate: float) -> None:
    assert equal_error_rate(same, other) == pytest.approx(rate)


def test_voices_drawn_alike_give_a_coin() -> None:
    rng = np.random.default_rng(0)
    assert equal_error_rate(rng.normal(size=4_000), rng.normal(size=4_000)) == pytest.approx(0.5, abs=0.03)


def test_separation_of_recordings() -> None:
    voices = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    found = verify_speakers(voices, ["a", "a", "b", "b"])
    assert (found.same_mean, found.other_mean, found.equal_error_rate) == (1.0, 0.0, 0.0)
    assert (found.same_pairs, found.other_pairs) == (2, 4)


def test_what_is_missing_is_none() -> None:
    one_each = verify_speakers(np.eye(3), ["a", "b", "c"])
    assert (one_each.same_mean, one_each.other_mean, one_each.equal_error_rate) == (None, 0.0, None)
    one_speaker = verify_speakers(np.eye(2), ["a", "a"])
    assert (one_speaker.same_mean, one_speaker.other_mean, one_speaker.equal_error_rate) == (0.0, None, None)
    with pytest.raises(ValueError, match="some of each"):
        equal_error_rate([1.0], [])
    with pytest.raises(ValueError, match="not finite"):
        verify_pairs([np.nan], [True])
    with pytest.raises(ValueError, match="2 speakers"):
        verify_speakers(np.eye(3), ["a", "b"])
