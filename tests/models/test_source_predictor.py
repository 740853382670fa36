"""Pitch, voicing and comb of each frame."""

from __future__ import annotations

import made_batch
import numpy as np
import pytest
import tensorflow as tf

from myxtts.models.layers import sequence_mask
from myxtts.models.source_predictor import SourcePredictor

HARMONICS = made_batch.HARMONICS
ROWS, CHANNELS = HARMONICS.comb_IC.shape
MASK = sequence_mask(tf.constant([9, 6]), 9)


def normal(*shape: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@pytest.fixture(scope="module")
def source() -> SourcePredictor:
    made = SourcePredictor(made_batch.model_config(), HARMONICS)
    made(normal(2, 9, 19), normal(2, 9, 2), normal(2, 12), MASK)
    made_batch.stir(made.trainable_variables)
    return made


def test_a_comb_where_there_is_a_voice(source: SourcePredictor) -> None:
    at = HARMONICS.lowest + (HARMONICS.highest - HARMONICS.lowest) * np.float32([0, 3, 4.25, ROWS - 1]) / (ROWS - 1)
    pitch = tf.constant(np.concatenate([at, [-50.0, 50.0, 0.5]])[None, :].astype(np.float32))
    voiced = tf.constant([[1.0, 1, 1, 1, 1, 1, 0]])
    found = source.features(pitch, voiced).numpy()[0]
    comb = HARMONICS.comb_IC
    between = 0.75 * comb[4] + 0.25 * comb[5]
    for frame, expected in enumerate((comb[0], comb[3], between, comb[-1], comb[0], comb[-1])):
        np.testing.assert_allclose(found[frame, :CHANNELS], expected, atol=1e-4)
        assert found[frame, CHANNELS] == pitch[0, frame] and found[frame, CHANNELS + 1] == 1.0
    assert not found[6].any(), "an unvoiced frame has neither comb nor pitch"


def test_moving_the_pitch_of_all_tokens_moves_that_of_all_frames_by_as_much(source: SourcePredictor) -> None:
    text, prosody, condition = normal(2, 9, 19), normal(2, 9, 2, seed=1), normal(2, 12, seed=2)
    plain = source(text, prosody, condition, MASK)
    moved = source(text, prosody + tf.constant([1.25, 0.0]), condition, MASK)
    for row, frames in enumerate([9, 6]):
        own = slice(0, frames)
        np.testing.assert_allclose(moved["pitch_BM"][row, own] - plain["pitch_BM"][row, own], 1.25, atol=1e-5)
        np.testing.assert_allclose(moved["voicing_BM"][row, own], plain["voicing_BM"][row, own], atol=1e-5)
    course = source(text, prosody * tf.constant([2.0, 1.0]), condition, MASK)
    assert np.abs(course["voicing_BM"] - plain["voicing_BM"]).max() > 1e-4, (
        "the course of the pitch changes the voicing"
    )


def test_no_gradient_reaches_the_text_and_no_padding_is_heard(source: SourcePredictor) -> None:
    text, prosody, condition = normal(2, 9, 19), normal(2, 9, 2, seed=1), normal(2, 12, seed=2)
    with tf.GradientTape() as tape:
        tape.watch([text, condition])
        found = source(text, prosody, condition, MASK)
        total = tf.reduce_sum(found["pitch_BM"]) + tf.reduce_sum(found["voicing_BM"])
    to_text, to_voice = tape.gradient(total, [text, condition])
    assert to_text is None and np.abs(to_voice).max() > 1e-5
    alone = source(text[1:, :6], prosody[1:, :6], condition[1:], MASK[1:, :6])
    for key in ("pitch_BM", "voicing_BM"):
        np.testing.assert_allclose(found[key][1, :6], alone[key][0], atol=1e-5, err_msg=key)


def test_a_pitch_that_is_not_finite_ends_no_program(source: SourcePredictor) -> None:
    pitch = tf.constant([[np.nan, np.inf, -np.inf, 0.5]], tf.float32)
    found = source.features(pitch, tf.ones([1, 4])).numpy()[0]
    assert not np.isfinite(found[:3, CHANNELS]).any(), "the losses must see it"
    assert np.isfinite(found[:, :CHANNELS][3]).all()
