"""AdamW against NumPy and Keras; weights without weight decay; saving and restoring; the loss scale."""

from __future__ import annotations

from typing import Any

import keras
import made_batch
import numpy as np
import pytest
import tensorflow as tf

from myxtts.config.fields import LEAVES
from myxtts.config.schema import OptimizerConfig
from myxtts.errors import CheckpointError
from myxtts.training import optimizers

SETTINGS = OptimizerConfig(learning_rate=1e-2, weight_decay=0.1, beta_2=0.99)
NAMES = ("dense/kernel", "dense/bias", "norm/gain", "adaptive_weights/mel_log_variance", "time/blocks")


class Holder(keras.layers.Layer):
    """Weights of the given last names."""

    def __init__(self) -> None:
        super().__init__(name="holder")
        for name in NAMES:
            self.add_weight(name=name.rsplit("/", 1)[-1], shape=(3, 4), initializer="ones")


def made(name: str = "adamw", settings: OptimizerConfig = SETTINGS) -> tuple[Any, list[Any]]:
    weights = Holder().trainable_variables
    for i, weight in enumerate(weights):
        weight.assign(np.random.default_rng(i).normal(size=(3, 4)))
    return optimizers.OPTIMIZERS[name](settings, weights), weights


def gradients_of(step: int, count: int) -> list[np.ndarray]:
    return [np.random.default_rng([step, i]).normal(size=(3, 4)).astype(np.float32) for i in range(count)]


def walk(optimizer: Any, steps: int, count: int, rate: float = 1e-2) -> None:
    apply = tf.function(optimizer.apply)
    for step in range(steps):
        apply([tf.constant(g) for g in gradients_of(step, count)], tf.constant(rate, tf.float32))


def test_adamw_against_numpy() -> None:
    optimizer, weights = made()
    start = [w.numpy().astype(np.float64) for w in weights]
    walk(optimizer, 6, len(weights))
    for i, (name, expected) in enumerate(zip(NAMES, start, strict=True)):
        first = second = np.zeros_like(expected)
        decayed = name in ("dense/kernel", "time/blocks")
        for step in range(6):
            gradient = gradients_of(step, len(weights))[i].astype(np.float64)
            first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
            bias_1, bias_2 = 1 - 0.9 ** (step + 1), 1 - 0.99 ** (step + 1)
            expected = expected * (1 - 1e-2 * 0.1 * decayed)
            expected = expected - 1e-2 * np.sqrt(bias_2) / bias_1 * first / (np.sqrt(second) + 1e-8)
        np.testing.assert_allclose(weights[i].numpy(), expected, rtol=2e-4, atol=1e-5, err_msg=name)
    assert int(optimizer.steps) == 6


def test_adamw_against_keras() -> None:
    optimizer, weights = made()
    other = Holder().trainable_variables
    for mine, theirs in zip(weights, other, strict=True):
        theirs.assign(mine.numpy())
    reference = keras.optimizers.AdamW(1e-2, weight_decay=0.1, beta_2=0.99, epsilon=1e-8)
    reference.exclude_from_weight_decay(var_names=["bias", "gain", "log_variance"])
    reference.build(other)
    walk(optimizer, 5, len(weights))
    for step in range(5):
        reference.apply([tf.constant(g) for g in gradients_of(step, len(other))], other)
    for mine, theirs in zip(weights, other, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-5, err_msg=mine.path)


def test_weights_without_weight_decay() -> None:
    paths = [v.path for v in made_batch.build().trainable_variables]
    spared = {path for path in paths if path.rsplit("/", 1)[-1].endswith(optimizers.UNDECAYED)}
    assert spared == {path for path in paths if path.endswith(("/bias", "/gain"))} and spared


def test_no_decay_is_no_decay() -> None:
    optimizer, weights = made(settings=OptimizerConfig(weight_decay=0.0))
    before = [w.numpy() for w in weights]
    optimizer.apply([tf.zeros([3, 4])] * len(weights), tf.constant(1e-2))
    for weight, value in zip(weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


@pytest.mark.parametrize("beta_1", [0.0, 0.9, 0.9999])
@pytest.mark.parametrize("beta_2", [0.0, 0.999999])
@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_no_settings_and_no_finite_gradient_make_a_weight_that_is_not_finite(
    name: str, beta_1: float, beta_2: float
) -> None:
    """What is accepted in the step is clipped: with the least epsilon and the largest clip no step overflows."""
    accepts = LEAVES["optimizer.epsilon"].accepts
    assert accepts.low is not None
    optimizer, weights = made(
        name, OptimizerConfig(beta_1=beta_1, beta_2=beta_2, epsilon=accepts.low, weight_decay=1.0)
    )
    sizes = [0.0, 1e-30, 1e6, 0.0, 1e-20, 1e-38, 0.0, 1e6, 0.0]
    for size in sizes:
        signs = [np.where(g > 0.0, 1.0, -1.0).astype(np.float32) for g in gradients_of(1, len(weights))]
        optimizer.apply([tf.constant(np.float32(size) * g) for g in signs], tf.constant(1.0))
        for weight in weights:
            assert np.isfinite(weight.numpy()).all(), (size, weight.path)


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_the_state_is_restored_bit_exactly(name: str) -> None:
    one, weights = made(name)
    walk(one, 3, len(weights))
    state = {k: np.asarray(v.numpy()).copy() for k, v in one.moments().items()}
    other, copies = made(name)
    assert set(other.moments()) == set(state), "names do not depend on what was built before"
    for mine, theirs in zip(weights, copies, strict=True):
        theirs.assign(mine.numpy())
    optimizers.restore(other, state)
    walk(one, 2, len(weights))
    walk(other, 2, len(weights))
    for mine, theirs in zip(weights, copies, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
    for key, variable in one.moments().items():
        np.testing.assert_array_equal(variable.numpy(), other.moments()[key].numpy(), err_msg=key)


def test_a_state_that_does_not_match_is_rejected() -> None:
    optimizer, weights = made()
    state = {k: np.asarray(v.numpy()) for k, v in optimizer.moments().items()}
    name = f"first/{weights[0].path}"
    for odd in ({k: v for k, v in state.items() if k != name}, {**state, name: np.zeros(5, np.float32)}):
        with pytest.raises(CheckpointError, match=rf"does not match \('{name}' and 0 more\): .*--init-from"):
            optimizers.restore(optimizer, odd)
    with pytest.raises(CheckpointError, match="does not match"):
        optimizers.restore(made("muon")[0], state)


def test_muon_takes_the_matrices_and_leaves_tables_and_outputs_to_adamw() -> None:
    cloner = made_batch.build()
    muon = optimizers.Muon(SETTINGS, cloner.trainable_variables)
    by_adam = {
        v.path.removeprefix("voice_cloner/") for v in cloner.trainable_variables if muon.keras._should_use_adamw(v)
    }
    matrices = {v.path.removeprefix("voice_cloner/") for v in cloner.trainable_variables if len(v.shape) == 2}
    assert {"text_encoder/symbol/embeddings", "text_encoder/language/embeddings", "voice_heads/speaker"} <= by_adam
    assert {"decoder/backbone/out/kernel", "duration/out/kernel"} <= by_adam
    taken = matrices - by_adam
    assert "text_encoder/block_0/query_key_value/kernel" in taken
    assert "speaker_encoder/front/dense/kernel" in taken, "the speaker encoder is no table of speakers"
    assert len(taken) > len(matrices) / 2


def test_a_loss_scale_is_restored_from_fp16_to_fp16_only() -> None:
    def state(precision: str, value: float) -> dict[str, float]:
        scale = optimizers.LossScale(precision)
        scale.value.assign(value)
        return scale.state()

    half, full = optimizers.LossScale("fp16"), optimizers.LossScale("fp32")
    half.restore(state("fp32", 1.0))
    assert float(half.value) == optimizers.INITIAL_SCALE and half.has_room, "else the first overflow skips an update"
    half.restore(state("fp16", 512.0))
    assert float(half.value) == 512.0
    full.restore(state("fp16", 512.0))
    assert float(full.value) == 1.0 and not full.has_room


@pytest.mark.parametrize(("averages", "weights"), [(4, 5), (5, 4)])
def test_an_average_of_other_weights_is_refused(averages: int, weights: int) -> None:
    _, variables = made()
    with pytest.raises(ValueError, match="zip"):
        optimizers.move_average(variables[:averages], variables[:weights], tf.constant(0.5))
