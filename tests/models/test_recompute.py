"""Gradient checkpointing: the same numbers from activations that are computed again."""

from __future__ import annotations

from typing import Any

import made_batch
import numpy as np
import pytest

WIDTH = 8


def blocks_of(kind: str, precision: str) -> list[Any]:
    """Two built blocks."""
    import keras

    from myxtts.models.layers import ConvBlock, TransformerBlock
    from myxtts.models.voice_cloner import PRECISIONS

    keras.utils.set_random_seed(1)
    policy = keras.DTypePolicy(PRECISIONS[precision])
    if kind == "conv":
        return [ConvBlock(WIDTH, 2, 0.4, i, conditioned=True, name=f"b{i}", dtype=policy) for i in range(2)]
    return [TransformerBlock(WIDTH, 2, 0.4, 10 * i, name=f"b{i}", dtype=policy) for i in range(2)]


def gradients_of(blocks: list[Any], recompute: bool, fixed: bool = False) -> tuple[list[Any], Any]:
    """Output and gradients of inputs and weights, and the graph; `fixed`: with weights that are given from outside."""
    import tensorflow as tf

    from myxtts.models.layers import ConvBlock, Module
    from myxtts.models.recompute import run_blocks

    rng = np.random.default_rng(4)
    x = tf.constant(rng.normal(size=(2, 9, WIDTH)), blocks[0].compute_dtype)
    condition = tf.constant(rng.normal(size=(2, 3)), tf.float32)
    mask, seed = tf.sequence_mask([9, 6], 9, dtype=tf.float32)[:, :, None], tf.constant([1, 2])

    class Whole(Module):
        """All blocks as one layer, so that they can be called with other weights, as `voice_of` does."""

        def call(self, x: Any, condition: Any) -> Any:
            further = (mask, condition, seed) if isinstance(blocks[0], ConvBlock) else (mask, seed)
            return run_blocks(blocks, x, *further, recompute=recompute)

    whole = Whole(name="whole", dtype=blocks[0].dtype_policy)
    whole.blocks = blocks
    whole(x, condition)
    weights = [v.value for v in whole.trainable_variables]

    @tf.function(autograph=False)
    def graph(x: Any, condition: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([x, condition])
            if fixed:
                given = [tf.stop_gradient(weight) + 0.25 for weight in weights]
                y = whole.stateless_call(given, [], x, condition)[0]
            else:
                y = whole(x, condition)
            loss = tf.reduce_sum(tf.sin(tf.cast(y, tf.float32)))
        return [y, *tape.gradient(loss, [x, condition, *weights], unconnected_gradients="zero")]

    return graph(x, condition), graph.get_concrete_function(x, condition).graph


@pytest.mark.parametrize(
    ("kind", "precision", "fixed"),
    [("conv", "fp32", False), ("conv", "fp32", True), ("conv", "bf16", False), ("transformer", "fp32", False)],
)
def test_gradients_are_the_same(kind: str, precision: str, fixed: bool) -> None:
    blocks = blocks_of(kind, precision)
    plain, _ = gradients_of(blocks, False, fixed)
    again, _ = gradients_of(blocks, True, fixed)
    rounding = 1e-5 if precision == "fp32" else 0.2  # TensorFlow may join other operations of the two graphs
    for x, y in zip(plain, again, strict=True):
        x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
        assert np.linalg.norm(x - y) <= rounding * max(1.0, np.linalg.norm(x))
    assert np.abs(np.asarray(plain[1], np.float32)).max() > 0.1


def test_every_block_is_computed_again_and_only_in_the_backward_pass() -> None:
    blocks = blocks_of("conv", "fp32")
    plain, again = (gradients_of(blocks, recompute)[1] for recompute in (False, True))

    def convolutions(graph: Any) -> list[Any]:
        return [o for o in graph.get_operations() if o.type == "DepthwiseConv2dNative"]

    assert len(convolutions(plain)) == 2 and len(convolutions(again)) == 4
    waiting = [
        sum(1 for o in graph.get_operations() if o.type == "Identity" and o.control_inputs) for graph in (plain, again)
    ]
    assert waiting[1] - waiting[0] >= 2 * (4 + 8), "inputs and weights wait for the gradient of the block's output"


def test_a_model_passes_the_setting_on() -> None:
    from myxtts.models.build import build_voice_cloner

    for decoder in ("regression", "flow"):
        model = build_voice_cloner(made_batch.model_config(decoder=decoder), recompute=True, **made_batch.SIZES)
        backbones = [model.decoder.backbone, *([model.decoder.draft] if decoder == "flow" else [])]
        assert all(part.recompute for part in (model.text_encoder, model.speaker_encoder, *backbones))


@pytest.mark.parametrize("fixed", [False, True])
def test_weights_that_are_not_trained_are_kept(fixed: bool) -> None:
    import tensorflow as tf

    from myxtts.models.layers import Module
    from myxtts.models.recompute import run_blocks

    class Scaled(Module):
        def build(self, shape: Any) -> None:
            self.gain = self.add_weight(name="gain", shape=(WIDTH,), initializer="ones")
            self.scale = self.add_weight(name="scale", shape=(WIDTH,), initializer="ones", trainable=False)

        def call(self, x: Any) -> Any:
            return tf.sin(x * tf.convert_to_tensor(self.gain) * tf.convert_to_tensor(self.scale))

    class Whole(Module):
        def call(self, x: Any, recompute: bool) -> Any:
            return run_blocks(self.blocks, x, recompute=recompute)

    whole = Whole(name="whole")
    whole.blocks = [Scaled(name=f"b{i}") for i in range(2)]
    x = tf.constant(np.random.default_rng(4).normal(size=(2, 9, WIDTH)), tf.float32)
    whole(x, recompute=False)
    for block in whole.blocks:
        block.scale.assign(np.linspace(0.5, 2.0, WIDTH))

    def results(recompute: bool) -> list[Any]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            if fixed:
                trained = [v.value + 0.25 for v in whole.trainable_variables]
                other = [v.value * 3.0 for v in whole.non_trainable_variables]
                y, _ = whole.stateless_call(trained, other, x, recompute=recompute)
            else:
                y, trained = whole(x, recompute=recompute), [v.value for v in whole.trainable_variables]
            loss = tf.reduce_sum(tf.square(y))
        return [y, *tape.gradient(loss, [x] if fixed else [x, *trained])]

    for plain, again in zip(results(False), results(True), strict=True):
        np.testing.assert_array_equal(plain, again)
