"""The alignment search of GPUs against that of processors: the durations are the same, whatever the scores."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from myxtts.models import monotonic, monotonic_graph

ROWS, TOKENS, FRAMES = 20, 17, 40
ANY = [
    tf.TensorSpec([None, None, None], tf.float32),
    tf.TensorSpec([None], tf.int32),
    tf.TensorSpec([None], tf.int32),
    tf.TensorSpec([None, None], tf.int32),
]


def cases(seed: int, rows: int = ROWS) -> tuple[np.ndarray, ...]:
    """Ragged rows: with and without blanks, crowded ones, one token, scores that are equal, a strong prior."""
    random = np.random.default_rng(seed)
    text = random.integers(1, TOKENS + 1, rows).astype(np.int32)
    first = random.integers(0, 2, rows)
    skippable = ((np.arange(TOKENS) + first[:, None]) % 2 * random.integers(0, 2, (rows, 1))).astype(np.int32)
    needed = np.array([t - skippable[row, :t].sum() for row, t in enumerate(text)])
    mel = np.minimum(np.maximum(1, needed) + random.integers(0, FRAMES - TOKENS, rows), FRAMES).astype(np.int32)
    score = random.normal(size=(rows, TOKENS, FRAMES))
    score = np.where(random.random((rows, 1, 1)) < 0.3, np.rint(score), score)
    score = score * np.where(random.random((rows, 1, 1)) < 0.2, 1e3, 1.0)
    return score.astype(np.float32), text, mel, skippable


@pytest.fixture(scope="module")
def in_graph() -> tf.types.experimental.PolymorphicFunction:
    return tf.function(monotonic_graph.search_in_graph, input_signature=ANY, autograph=False)


def test_equal_to_numba_on_1000_cases(in_graph: tf.types.experimental.PolymorphicFunction) -> None:
    for seed in range(1_000 // ROWS):
        given = cases(seed)
        assert np.array_equal(in_graph(*given).numpy(), monotonic.search(*given)), seed


def test_scores_that_are_not_finite_and_too_few_frames(in_graph: tf.types.experimental.PolymorphicFunction) -> None:
    score, text, mel, skippable = cases(3)
    for bad in (np.nan, np.inf, -np.inf):
        score[1::4, 2, 5], score[2::4, :, 1], score[3::4] = bad, bad, bad
        given = score, text, np.maximum(mel // 3, 1), skippable
        assert np.array_equal(in_graph(*given).numpy(), monotonic.search(*given))


def test_xla_gives_the_same() -> None:
    given = cases(7)
    assert np.array_equal(monotonic_graph.search(*given).numpy(), monotonic.search(*given))
