"""The parts of the networks against NumPy and against cases worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import made_batch
import numpy as np
import pytest
import tensorflow as tf

from myxtts.models import aligner
from myxtts.models.layers import Convolution, Depthwise, Norm, dropout, rotate, sequence_mask
from myxtts.models.mel_decoder import FlowDecoder, guided_of, time_features
from myxtts.models.predictors import token_means
from myxtts.models.segments import position_features
from myxtts.models.speaker_encoder import MAX_LOG_VARIANCE, SpeakerEncoder, attentive_statistics, plain_statistics
from myxtts.models.voice_cloner import style_sample


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_mask() -> None:
    np.testing.assert_array_equal(sequence_mask(tf.constant([2, 0, 3]), 3)[:, :, 0], [[1, 1, 0], [0, 0, 0], [1, 1, 1]])


def test_norm_of_a_constant_is_finite_with_a_finite_gradient() -> None:
    layer, x = Norm(), tf.fill([1, 2, 4], 3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    np.testing.assert_array_equal(y, np.zeros((1, 2, 4)))
    assert np.isfinite(tape.gradient(y, x)).all()


@pytest.mark.parametrize(("kernel", "stride", "size"), [(3, 1, 7), (8, 4, 16), (8, 4, 17), (8, 4, 1), (5, 1, 1)])
def test_convolution_is_a_convolution(kernel: int, stride: int, size: int) -> None:
    x = normal(2, size, 3)
    layer = Convolution(4, kernel, stride)
    found = layer(tf.constant(x)).numpy()
    weights, bias = (v.numpy() for v in layer.trainable_variables)
    left = (kernel - stride) // 2
    padded = np.pad(x, [(0, 0), (left, 2 * kernel), (0, 0)])
    places = range(0, size, stride)
    expected = np.stack([padded[:, p : p + kernel].reshape(2, -1) @ weights + bias for p in places], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("size", [1, 4, 9])
def test_depthwise_is_a_filter_for_each_channel(size: int) -> None:
    x, layer = normal(2, size, 3), Depthwise(7)
    layer(tf.constant(x))
    layer.bias.assign([1.0, 2.0, 3.0])
    filters = layer.filters.numpy()[:, 0, :, 0]
    padded = np.pad(x, [(0, 0), (3, 3), (0, 0)])
    expected = np.array([1, 2, 3]) + np.stack(
        [(padded[:, t : t + 7] * filters).sum(axis=1) for t in range(size)], axis=1
    )
    np.testing.assert_allclose(layer(tf.constant(x)), expected, atol=1e-5)


def test_rotary_positions_turn_pairs_and_keep_distances() -> None:
    x = normal(1, 6, 2, 8)
    found = rotate(tf.constant(x)).numpy()
    for t in range(6):
        for k in range(4):
            angle = t * 10_000.0 ** (-k / 4)
            pair = complex(*x[0, t, 1, [k, k + 4]]) * complex(math.cos(angle), math.sin(angle))
            np.testing.assert_allclose(found[0, t, 1, [k, k + 4]], [pair.real, pair.imag], atol=1e-5)
    same = rotate(tf.constant(np.tile(normal(1, 1, 1, 8, seed=1), (1, 9, 1, 1)))).numpy()[0, :, 0]
    product = same @ same.T
    for distance in range(8):
        np.testing.assert_allclose(np.diagonal(product, distance), product[0, distance], atol=1e-4)


def test_attentive_statistics() -> None:
    x, score = normal(2, 5, 3), normal(2, 5, 3, seed=1)
    lengths = [5, 2]
    found = attentive_statistics(tf.constant(x), tf.constant(score), sequence_mask(tf.constant(lengths), 5)).numpy()
    for b, n in enumerate(lengths):
        weight = np.exp(score[b, :n]) / np.exp(score[b, :n]).sum(axis=0)
        mean = (weight * x[b, :n]).sum(axis=0)
        deviation = np.sqrt((weight * (x[b, :n] - mean) ** 2).sum(axis=0) + 1e-4)
        np.testing.assert_allclose(found[b], np.concatenate([mean, deviation]), rtol=1e-4, atol=1e-6)


def test_statistics_of_a_constant_have_a_finite_gradient() -> None:
    x = tf.fill([1, 4, 2], 2.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = attentive_statistics(x, tf.zeros_like(x), tf.ones([1, 4, 1]))
    assert np.isfinite(tape.gradient(y, x)).all()
    np.testing.assert_allclose(y, [[2.0, 2.0, 0.01, 0.01]], atol=1e-6)


def test_the_style_is_bounded_and_the_voice_has_unit_length() -> None:
    encoder = SpeakerEncoder(made_batch.model_config())
    reference, length = tf.constant(normal(2, 9, 8)), tf.constant([9, 1])
    heads = encoder(reference, length)
    assert (heads["style_log_variance_BY"].numpy() < -1.5).all(), "a wide one is learned to be ignored"
    encoder.style_log_variance.kernel.assign(1e6 * encoder.style_log_variance.kernel)
    heads = encoder(reference, length)
    assert np.abs(heads["style_log_variance_BY"]).max() <= MAX_LOG_VARIANCE
    np.testing.assert_allclose(np.linalg.norm(heads["voice_BE"], axis=1), 1.0, atol=1e-5)


def test_a_reference_of_silence_has_a_finite_gradient() -> None:
    encoder = SpeakerEncoder(made_batch.model_config())
    encoder.voice.build((None, 16 + 16))
    encoder.voice.kernel.assign(tf.zeros_like(encoder.voice.kernel))
    variables = None
    with tf.GradientTape() as tape:
        heads = encoder(tf.zeros([1, 9, 8]), tf.constant([9]))
        total = tf.add_n([tf.reduce_sum(v) for v in heads.values()])
    variables = [v.value for v in encoder.trainable_variables]
    assert all(np.isfinite(g).all() for g in tape.gradient(total, variables))


def test_plain_statistics_are_of_the_content_alone() -> None:
    random = np.random.default_rng(1)
    reference = random.normal(size=(2, 7, 3)).astype(np.float32)
    length = tf.constant([7, 4])
    found = plain_statistics(tf.constant(reference), sequence_mask(length, 7)).numpy()
    for row, frames in enumerate([7, 4]):
        content = reference[row, :frames]
        np.testing.assert_allclose(found[row, :3], content.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(found[row, 3:], np.sqrt(content.var(axis=0) + 1e-4), atol=1e-5)


def test_path_of_durations() -> None:
    path = aligner.path_of(tf.constant([[0, 2, 1, 0], [3, 0, 0, 1]]), tf.constant(5)).numpy()
    np.testing.assert_array_equal(path[0], [[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(path[1].argmax(axis=1)[:4], [0, 0, 0, 3])
    assert path.dtype == np.float32 and not path[1, 4].any()


def test_path_of_some_tokens_and_frames() -> None:
    """As the columns and rows of the whole path; a token without frames has none."""
    duration, token = np.array([[2, 1, 3, 1]], np.int32), np.array([[1, 2, 3]])
    frame = np.array([[1, 2, 3, 4, 6, 6]], np.int32)
    whole = aligner.path_of(tf.constant(duration), tf.constant(7)).numpy()
    start = (np.cumsum(duration, axis=1, dtype=np.int32) - duration)[:, token[0]]
    found = aligner.path_between(tf.constant(start), tf.constant(duration[:, token[0]]), tf.constant(frame)).numpy()
    np.testing.assert_array_equal(found[0], whole[0][frame[0]][:, token[0]])
    none = aligner.path_between(tf.constant(start), tf.constant([[1, 0, 1]]), tf.constant(frame)).numpy()
    np.testing.assert_array_equal(none[0, :, 1], 0.0)


def test_place_in_the_token() -> None:
    duration = tf.constant([[2, 0, 1]])
    found = position_features(duration, aligner.path_of(duration, tf.constant(4)), tf.range(4)[None, :]).numpy()[0]
    share = np.array([0.25, 0.75, 0.5])
    np.testing.assert_allclose(found[:3, 0], share - 0.5, atol=1e-6)
    np.testing.assert_allclose(found[:3, 1], np.sin(np.pi * share), atol=1e-6)
    np.testing.assert_allclose(found[:3, 2], 0.5 * np.log1p([2.0, 2.0, 1.0]), atol=1e-6)
    np.testing.assert_array_equal(found[3], 0.0)


def test_diagonal_prior_and_gaussian_score() -> None:
    prior = aligner.diagonal_prior(tf.constant([2]), tf.constant([4]), tf.constant(2), tf.constant(4)).numpy()[0]
    expected = [[-aligner.PRIOR_STRENGTH * ((t + 0.5) / 2 - (m + 0.5) / 4) ** 2 for m in range(4)] for t in range(2)]
    np.testing.assert_allclose(prior, expected, rtol=1e-5)
    mean, mel = normal(1, 3, 8), normal(1, 5, 8, seed=1)
    score = aligner.gaussian_score(tf.constant(mean), tf.constant(mel)).numpy()[0]
    full = -0.5 * ((mean[0][:, None] - mel[0][None]) ** 2).sum(axis=-1)
    np.testing.assert_allclose(score, full + 0.5 * (mel[0] ** 2).sum(axis=-1), atol=1e-4)


def test_the_prior_brings_the_path_to_the_diagonal() -> None:
    layer = aligner.Aligner(made_batch.model_config(), made_batch.SYMBOLS, 8)
    text = tf.constant([[4, 5, 6, 7]])
    mel = tf.constant(normal(1, 20, 8))
    lengths = (tf.constant([4]), tf.constant([20]))
    mean = 0.3 * tf.constant(normal(1, 4, 8, seed=5))
    strong = layer.align(mean, mel, text, *lengths, tf.constant(1.0)).numpy()
    np.testing.assert_array_equal(strong, [[5, 5, 5, 5]])
    assert not np.array_equal(layer.align(mean, mel, text, *lengths, tf.constant(0.0)), strong)


def test_means_over_tokens() -> None:
    path = aligner.path_of(tf.constant([[2, 2, 0]]), tf.constant(5))
    mean, voiced = token_means(tf.constant([[1.0, 3.0, 5.0, 7.0, 9.0]]), tf.constant([[1.0, 1.0, 0.0, 1.0, 1.0]]), path)
    np.testing.assert_allclose(mean, [[2.0, 7.0, 0.0]])
    np.testing.assert_array_equal(voiced, [[1.0, 1.0, 0.0]])


def test_dropout_follows_from_seed_and_salt() -> None:
    x, seed = tf.ones([2, 40, 8]), tf.constant([1, 5])
    first = dropout(x, 0.5, seed, 3).numpy()
    np.testing.assert_array_equal(first, dropout(x, 0.5, seed, 3))
    for other in (dropout(x, 0.5, seed, 4), dropout(x, 0.5, tf.constant([1, 6]), 3), dropout(x, 0.5, seed + 1, 3)):
        assert (first != other.numpy()).mean() > 0.3
    assert set(np.unique(first)) == {0.0, 2.0} and 0.4 < (first == 0).mean() < 0.6
    assert dropout(x, 0.5, None, 3) is x and dropout(x, 0.0, seed, 3) is x
    channels = dropout(x, 0.5, seed, 3, whole_channels=True).numpy()
    assert (channels == channels[:, :1]).all() and set(np.unique(channels)) == {0.0, 2.0}


def test_dropout_of_one_update_is_not_that_of_a_neighbour_under_another_salt() -> None:
    x = tf.ones([2, 40, 8])
    here, next_one = dropout(x, 0.5, tf.constant([1, 5]), 3), dropout(x, 0.5, tf.constant([1, 6]), 2)
    assert (here.numpy() != next_one.numpy()).mean() > 0.3


def test_style_draws_have_the_posterior() -> None:
    count = 500
    mean, log_variance = tf.fill([count, 4], 2.0), tf.fill([count, 4], math.log(0.25))
    draws = style_sample(mean, log_variance, tf.range(count)).numpy()
    assert abs(draws.mean() - 2.0) < 0.05 and abs(draws.std() - 0.5) < 0.03
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.15
    np.testing.assert_array_equal(draws[7:9], style_sample(mean[7:9], log_variance[7:9], tf.range(7, 9)))


def test_time_features() -> None:
    found = time_features(tf.constant([0.0, 0.3, 1.0])).numpy()
    assert found.shape == (3, 64)
    np.testing.assert_allclose(found[0], [1.0] * 32 + [0.0] * 32)
    angle = 1_000.0 * 0.3 * 10_000.0 ** (-np.arange(32) / 32)
    np.testing.assert_allclose(found[1], np.concatenate([np.cos(angle), np.sin(angle)]), atol=2e-3)
    assert np.abs(found[1] - found[2]).max() > 0.5


class Straight(FlowDecoder):
    """A flow decoder that knows the answer: the velocity of the straight path from any state to `goal`."""

    goal: Any

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.draft = lambda x_BMD, *_: tf.zeros([*x_BMD.shape[:2], self.channels])

    def velocity(
        self, x_BMD: Any, condition_BE: Any, mask_BM1: Any, state_BMC: Any, time_B: Any, seed: Any
    ) -> tf.Tensor:
        return (self.goal - state_BMC) / (1.0 - time_B[:, None, None]) * mask_BM1


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_the_flow_arrives_where_the_exact_velocity_points(steps: int) -> None:
    decoder = Straight(made_batch.model_config(), 8)
    mask = sequence_mask(tf.constant([6, 4]), 6)
    decoder.goal = tf.constant(normal(2, 6, 8)) * mask
    found = decoder.generate(tf.zeros([2, 6, 16]), tf.zeros([2, 12]), mask, steps, tf.constant(normal(2, 6, 8)))
    np.testing.assert_allclose(found, decoder.goal, atol=1e-5)


def test_the_exact_velocity_has_no_loss_and_the_estimate_is_the_draft() -> None:
    decoder = Straight(made_batch.model_config(), 8)
    mask = sequence_mask(tf.constant([6, 4]), 6)
    target, draft = tf.constant(normal(2, 6, 8)) * mask, tf.constant(normal(2, 6, 8, seed=1)) * mask
    decoder.draft, decoder.goal = lambda *_: draft, target - draft
    found = decoder(tf.zeros([2, 6, 16]), tf.zeros([2, 12]), mask, target, tf.constant([5, 6]))
    np.testing.assert_array_equal(found["estimate_BMC"], draft)
    np.testing.assert_allclose(found["velocity_error_BMC"], np.zeros((2, 6, 8)), atol=2e-4)


def test_the_flow_starts_from_noise_of_the_temperature() -> None:
    decoder = Straight(made_batch.model_config(), 8)
    decoder.goal = tf.zeros([1, 400, 8])

    def still(*_: Any) -> tf.Tensor:
        return tf.zeros([1, 400, 8])

    decoder.velocity = still
    mask = sequence_mask(tf.constant([400]), 400)
    for temperature in (0.0, 0.5, 1.0):
        noise = tf.constant(normal(1, 400, 8)) * temperature
        found = decoder.generate(tf.zeros([1, 400, 16]), tf.zeros([1, 12]), mask, 2, noise)
        assert abs(float(np.std(found)) - temperature) < 0.05


def test_no_step_is_the_draft_alone() -> None:
    decoder = FlowDecoder(made_batch.model_config(), 8)
    mask = sequence_mask(tf.constant([6, 4]), 6)
    given = tf.constant(normal(2, 6, 16)), tf.constant(normal(2, 12)), mask
    found = decoder.generate(*given, 0, tf.constant(normal(2, 6, 8)))
    np.testing.assert_array_equal(found, decoder.draft(*given))
    assert not found[1, 4:].numpy().any()


def test_guidance_goes_further_from_what_is_said_without_text_and_voice() -> None:
    """One step from no noise: the residual is draft + velocity + guidance x (velocity - velocity without condition)."""
    config = made_batch.model_config(flow_guidance=1.5)
    decoder = FlowDecoder(config, 8)
    mask = sequence_mask(tf.constant([6]), 6)
    x, condition = tf.constant(normal(1, 6, 16)), tf.constant(normal(1, 12))
    decoder.generate(x, condition, mask, 1, tf.zeros([1, 6, 8]))  # makes the weights
    for variable in decoder.backbone.trainable_variables:
        variable.assign(tf.random.stateless_normal(variable.shape, [3, len(variable.path)]) * 0.3)
    guided = decoder.generate(x, condition, mask, 1, tf.zeros([1, 6, 8])).numpy()
    draft = decoder.draft(x, condition, mask)
    told = tf.concat([x, draft], axis=-1)
    start, time = tf.zeros([1, 6, 8]), tf.zeros([1])
    velocity = decoder.velocity(told, condition, mask, start, time, None).numpy()
    blind = decoder.velocity(tf.zeros_like(told), tf.zeros_like(condition), mask, start, time, None).numpy()
    assert np.abs(velocity - blind).max() > 0.1
    np.testing.assert_allclose(guided, draft.numpy() + velocity + 1.5 * (velocity - blind), atol=1e-4)


def test_a_share_of_the_utterances_is_told_nothing_and_only_in_training() -> None:
    share = guided_of(tf.range(2_000), 0.15).numpy()
    assert set(share.tolist()) == {0.0, 1.0} and 0.12 < 1.0 - share.mean() < 0.18
    np.testing.assert_array_equal(share[10:20], guided_of(tf.range(10, 20), 0.15), err_msg="each by its own seed")
    decoder = FlowDecoder(made_batch.model_config(flow_unguided_share=0.9), 8)
    mask = sequence_mask(tf.constant([6] * 4), 6)
    given = [tf.constant(normal(4, 6, 16)), tf.constant(normal(4, 12)), mask, tf.constant(normal(4, 6, 8))]
    decoder(*given, tf.range(4))
    for variable in decoder.backbone.trainable_variables:
        variable.assign(tf.random.stateless_normal(variable.shape, [3, len(variable.path)]) * 0.3)
    seeds = tf.range(4)
    assert guided_of(seeds, 0.9).numpy().sum() < 4
    validated = decoder(*given, seeds)["velocity_error_BMC"].numpy()
    trained = decoder(*given, seeds, tf.constant([1, 2]))["velocity_error_BMC"].numpy()
    for row, kept in enumerate(guided_of(seeds, 0.9).numpy()):
        assert np.allclose(validated[row], trained[row], atol=1e-5) == bool(kept)
