"""Sums and products with written-out gradients: the bits of TensorFlow's own, from fewer operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from myxtts.models.elementwise import add, plus, times
from myxtts.models.layers import rotate
from myxtts.training.graph_figures import TracedGraph

RANDOM = np.random.default_rng(1)
X_BTD = RANDOM.normal(size=(3, 11, 6)).astype(np.float32)
Y_BTD = RANDOM.normal(size=(3, 11, 6)).astype(np.float32)
MASK_BT1 = (np.arange(11)[None, :, None] < np.array([11, 4, 7])[:, None, None]).astype(np.float32)
ROW_B1D, BIAS_D = Y_BTD[:, :1], Y_BTD[0, 0]


def results(made: Callable[..., Any], *arguments: np.ndarray) -> tuple[list[bytes], int]:
    """Bytes of the result and of the gradients of all arguments, and the kernel launches of the graph."""

    def both(*given: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(given)
            y = made(*given)
            total = tf.reduce_sum(tf.sin(y) * y)
        return [y, *(g for g in tape.gradient(total, given) if g is not None)]

    open_sizes = [tf.TensorSpec([None if size in (3, 11) else size for size in x.shape], tf.float32) for x in arguments]
    graph = tf.function(both, input_signature=open_sizes, autograph=False).get_concrete_function()
    return [x.numpy().tobytes() for x in graph(*map(tf.constant, arguments))], TracedGraph(graph).count().launches


@pytest.mark.parametrize(
    ("written_out", "plain", "arguments"),
    [
        (lambda x: times(x, MASK_BT1), lambda x: x * MASK_BT1, (X_BTD,)),
        (lambda x: plus(x, MASK_BT1), lambda x: x + MASK_BT1, (X_BTD,)),
        (add, lambda x, y: x + y, (X_BTD, Y_BTD)),
        (lambda x, y: add(x, y, axes=(1,)), lambda x, y: x + y, (X_BTD, ROW_B1D)),
        (lambda x, y: add(x, y, axes=(0, 1)), lambda x, y: x + y, (X_BTD, BIAS_D)),
    ],
    ids=["times", "plus", "add", "add a row", "add a bias"],
)
def test_the_same_bits_from_no_more_operations(
    written_out: Callable[..., Any], plain: Callable[..., Any], arguments: tuple[np.ndarray, ...]
) -> None:
    (found, launches), (expected, more) = results(written_out, *arguments), results(plain, *arguments)
    assert found == expected
    assert len(found) == 1 + len(arguments), "every argument has a gradient"
    assert launches <= more


def test_a_factor_is_cast_to_the_type_of_x() -> None:
    product = times(tf.constant(X_BTD, tf.bfloat16), tf.constant(MASK_BT1))
    assert product.dtype == tf.bfloat16
    rounded = tf.cast(tf.cast(X_BTD, tf.bfloat16), tf.float32)
    np.testing.assert_array_equal(tf.cast(product, tf.float32), rounded * MASK_BT1)


def test_the_gradient_of_a_rotation_turns_back() -> None:
    x = tf.constant(RANDOM.normal(size=(2, 5, 3, 8)).astype(np.float32))
    upstream = tf.constant(RANDOM.normal(size=x.shape).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = rotate(x)
    gradient = tape.gradient(y, x, output_gradients=upstream)
    # a rotation keeps scalar products: <upstream, rotate(x)> = <gradient, x>, and lengths
    np.testing.assert_allclose(tf.reduce_sum(upstream * y), tf.reduce_sum(gradient * x), rtol=1e-5)
    np.testing.assert_allclose(tf.norm(gradient), tf.norm(upstream), rtol=1e-5)
