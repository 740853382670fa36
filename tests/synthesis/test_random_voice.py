"""Random voices: distributed like those of the training speakers, of unit length, and new."""

import numpy as np
import pytest

from myxtts.errors import DataError
from myxtts.synthesis.voices import nearest_voice, random_voice, voice_distribution


def voices(speakers: int, width: int = 16, seed: int = 1) -> np.ndarray:
    """Unit vectors that differ in a few directions alone."""
    rng = np.random.default_rng(seed)
    raw = 1.0 + rng.normal(size=(speakers, 3)) @ rng.normal(size=(3, width))
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)


def test_the_same_seed_gives_the_same_voice_and_another_one_another() -> None:
    voice_ZE = voices(20)
    voice, style = random_voice(voice_ZE, 4, 7)
    again, style_again = random_voice(voice_ZE, 4, 7)
    assert np.array_equal(voice, again) and np.array_equal(style, style_again)
    assert voice.dtype == style.dtype == np.float32 and style.shape == (4,)
    assert np.linalg.norm(voice) == pytest.approx(1.0, abs=1e-6)
    other, _ = random_voice(voice_ZE, 4, 8)
    assert voice @ other < 0.999
    assert all(abs(float(voice @ known)) < 0.9999 for known in voice_ZE)


def test_a_voice_lies_in_the_span_of_the_speakers() -> None:
    voice_ZE = voices(3, width=32)
    basis = np.linalg.svd(voice_ZE.astype(np.float64), full_matrices=False)[2]
    for seed in range(5):
        voice, _ = random_voice(voice_ZE, 4, seed)
        assert np.linalg.norm(basis @ voice) == pytest.approx(1.0, abs=1e-5)


def test_many_voices_have_the_mean_and_the_spread_of_the_speakers() -> None:
    rng = np.random.default_rng(2)
    voice_ZE = rng.normal(size=(300, 4)) * [1.0, 0.5, 0.2, 0.1] + [3.0, 0.0, 0.0, 0.0]
    mean, directions = voice_distribution(voice_ZE.astype(np.float32))
    drawn = mean + rng.normal(size=(4000, len(directions))) @ directions
    assert np.allclose(drawn.mean(axis=0), voice_ZE.mean(axis=0), atol=0.06)
    assert np.allclose(drawn.std(axis=0), [1.0, 0.5, 0.2, 0.1], rtol=0.2)


def test_few_speakers_spread_alike_in_every_direction() -> None:
    """A few speakers do not determine a covariance, only how much they differ."""
    rng = np.random.default_rng(3)
    _, directions = voice_distribution((rng.normal(size=(4, 64)) * np.linspace(1.0, 0.3, 64)).astype(np.float32))
    lengths = np.linalg.norm(directions, axis=1)
    assert len(directions) == 3 and lengths.max() / lengths.min() < 1.2


def test_two_speakers_are_enough_and_one_is_not() -> None:
    voice, _ = random_voice(voices(2), 4, 1)
    assert np.isfinite(voice).all()
    same, _ = random_voice(np.repeat(voices(1), 3, axis=0), 4, 1)
    assert np.allclose(same, voices(1)[0], atol=1e-6)
    for few in (0, 1):
        with pytest.raises(DataError, match=f"at least 2 training speakers, and this model has {few}; give a"):
            random_voice(voices(2)[:few], 4, 1)
    with pytest.raises(DataError, match="random voice 1 has length zero; use another seed"):
        random_voice(np.zeros((3, 8), np.float32), 4, 1)


def test_the_nearest_speaker() -> None:
    voice_ZE = voices(5)
    index, cosine = nearest_voice(voice_ZE[3] * 2, voice_ZE)
    assert index == 3 and cosine == pytest.approx(1.0, abs=1e-6)
