"""Gradient checkpointing: a block keeps its inputs for the backward pass, which computes the rest a second time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from myxtts.models.layers import Module


def run_blocks(blocks: Sequence[Module], x_BTD: tf.Tensor, *inputs: tf.Tensor | None, recompute: bool) -> tf.Tensor:
    """(B, T, D) through blocks one after another, each called with the output of the previous one and `inputs`.

    Args:
        blocks: layers with weights of their own.
        x_BTD: input of the first block.
        inputs: further inputs of every block: masks, conditions, the seed of dropout, None.
        recompute: keep only the inputs of each block for the backward pass; a block that is not built yet is called
            plainly.

    Source: arXiv 1604.06174, sec. 4.2.
    """
    for block in blocks:
        x_BTD = _recomputed(block, x_BTD, *inputs) if recompute and block.built else block(x_BTD, *inputs)
    return x_BTD


def _recomputed(block: Module, *inputs: tf.Tensor | None) -> tf.Tensor:
    """The output of a block, whose gradient calls it again.

    Randomness follows from the seed among the inputs, so both calls drop the same elements. The weights are inputs as
    well: where the block is called with fixed ones (`stateless_call`), the second call needs the same. What is not
    trained is read once, and a block must not change it.
    """
    given = [i for i, x in enumerate(inputs) if x is not None]
    values = [variable.value for variable in block.trainable_variables]
    weights = [tf.convert_to_tensor(value) for value in values]
    untrained = [tf.convert_to_tensor(variable.value) for variable in block.non_trainable_variables]
    trained = [len(given) + i for i, value in enumerate(values) if isinstance(value, tf.Variable)]

    def call(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        arguments: list[tf.Tensor | None] = [None] * len(inputs)
        for i, tensor in zip(given, tensors, strict=False):
            arguments[i] = tensor
        found, _ = block.stateless_call(tensors[len(given) :], untrained, *arguments)
        return found

    @tf.custom_gradient
    def run(*tensors: tf.Tensor) -> tuple[tf.Tensor, Any]:
        def gradient(upstream: tf.Tensor) -> list[tf.Tensor | None]:
            # without the dependency TensorFlow would call the block twice in the forward pass, and keep both
            with tf.control_dependencies([upstream]):
                again = [tf.identity(tensor) for tensor in tensors]
            watched = [i for i, tensor in enumerate(again) if tensor.dtype.is_floating]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch([again[i] for i in watched])
                found = call(again)
            sources = [again[i] for i in watched]
            gradients = tape.gradient(found, sources, upstream, unconnected_gradients="zero")
            whole: list[tf.Tensor | None] = [None] * len(again)
            for i, one in zip(watched, gradients, strict=True):
                whole[i] = one
            # the block below begins when this one has released what it computed; of fixed weights no gradient is needed
            with tf.control_dependencies([whole[i] for i in trained]):
                whole[0] = tf.identity(whole[0])
            return whole

        return call(tensors), gradient

    return run(*(inputs[i] for i in given), *weights)
