"""Sums and products whose gradients are written out, since the caller knows how the shapes belong together.

Where sizes are open, TensorFlow works out at run time which axes were broadcast: up to eight operations for the
gradient of one sum, which take time while a graph is built and whenever it runs.

The results are bit-exact. Two things serve that. A gradient is reshaped to the shape that it has anyway, since
TensorFlow's optimizer reorders the factors of products of products. And every function here counts as one operation on
the way of a gradient (`stop_gradient` hides those inside from the tape): the tape goes back level by level, so that the
number of operations on each path sets the order in which the gradients of a tensor with several uses are added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def times(x: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """x times a factor without a gradient, such as a mask, in the type of x.

    Args:
        x: any shape.
        factor: broadcast to the shape of x.
    """
    factor = tf.cast(factor, x.dtype)

    @tf.custom_gradient
    def product(x: tf.Tensor) -> tuple[tf.Tensor, Any]:
        x = tf.stop_gradient(x)
        return x * factor, lambda upstream: tf.reshape(upstream * factor, tf.shape(x))

    return product(x)


def plus(x: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """x plus an offset without a gradient, which is broadcast to the shape of x."""

    @tf.custom_gradient
    def shifted(x: tf.Tensor) -> tuple[tf.Tensor, Any]:
        x = tf.stop_gradient(x)
        return x + offset, lambda upstream: tf.reshape(upstream, tf.shape(x))

    return shifted(x)


def add(x: tf.Tensor, y: tf.Tensor, axes: Sequence[int] = ()) -> tf.Tensor:
    """x + y.

    Args:
        x: any shape.
        y: the shape of x; along `axes` it has size 1 or, as a bias (D,), no axis.
        axes: those that y is broadcast along.
    """
    if not axes:
        return tf.add_n([x, y])

    @tf.custom_gradient
    def total(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, Any]:
        kept = x.shape.rank == y.shape.rank
        x, y = tf.stop_gradient(x), tf.stop_gradient(y)
        return x + y, lambda upstream: (upstream, tf.reduce_sum(upstream, axis=axes, keepdims=kept))

    return total(x, y)
