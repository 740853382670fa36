"""The building blocks of the networks. B batch, T or M time, D width; masks are 1 for content and 0 for padding.

Every block takes and returns padded sequences and lets nothing of the padding reach the content, so that an
utterance gives the same numbers alone and in a batch. Normalization, softmax and rotary phases are fp32 whatever
the compute precision. Randomness is stateless: a seed of two integers goes in, never a hidden state.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from myxtts.models.elementwise import add, plus, times

NORM_EPSILON = 1e-5


def sequence_mask(length_B: tf.Tensor, size: tf.Tensor | int) -> tf.Tensor:
    """Mask (B, size, 1) fp32: 1 for the first `length` positions of each row."""
    return tf.expand_dims(tf.sequence_mask(length_B, size, dtype=tf.float32), 2)


@tf.custom_gradient
def scaled_norm(x: tf.Tensor, gain: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Each position to mean 0 and variance 1 over its channels, times a gain, plus a bias; all fp32.

    The gradient is written out: TensorFlow's own takes four times as many operations, and each costs time while a
    graph is built and whenever it runs.

    Args:
        x: (B, T, D).
        gain, bias: (D,) or (B, 1, D).

    Source: layer normalization, arXiv 1607.06450, eq. 4.
    """
    centered = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    inverse = tf.math.rsqrt(tf.reduce_mean(tf.square(centered), axis=-1, keepdims=True) + NORM_EPSILON)
    y = centered * inverse
    of_row = gain.shape.rank == 3

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        axes = [1] if of_row else [0, 1]
        scaled = upstream * gain
        mean = tf.reduce_mean(scaled, axis=-1, keepdims=True)
        along = tf.reduce_mean(scaled * y, axis=-1, keepdims=True)
        to_gain = tf.reduce_sum(upstream * y, axis=axes, keepdims=of_row)
        return inverse * (scaled - mean - y * along), to_gain, tf.reduce_sum(upstream, axis=axes, keepdims=of_row)

    return y * gain + bias, gradient


def normalize_channels(x_BTD: tf.Tensor) -> tf.Tensor:
    """Each position to mean 0 and variance 1 over its channels, in fp32."""
    width = x_BTD.shape[-1]
    return scaled_norm(tf.cast(x_BTD, tf.float32), tf.ones([width]), tf.zeros([width]))


@tf.custom_gradient
def gelu(x: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Gaussian error linear unit by its tanh approximation (arXiv 1606.08415, sec. 2), its gradient written out."""
    root, cubic = tf.cast(math.sqrt(2.0 / math.pi), x.dtype), tf.cast(0.044715, x.dtype)
    half, square = 0.5 * x, tf.square(x)
    tanh = tf.tanh(root * x * (1.0 + cubic * square))

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        slope = root * (1.0 + 3.0 * cubic * square)
        return upstream * (0.5 * (1.0 + tanh) + half * (1.0 - tf.square(tanh)) * slope)

    return half * (1.0 + tanh), gradient


def dropout(x: tf.Tensor, rate: float, seed: tf.Tensor | None, salt: int, *, whole_channels: bool = False) -> tf.Tensor:
    """Zero a share `rate` of x and scale up the rest; nothing without a seed.

    Args:
        x: (B, T, D).
        rate: share in [0, 1).
        seed: (2,) int32, of the run and of the micro-batch; None at inference.
        salt: number of the call, so that no two calls of a network draw the same numbers.
        whole_channels: drop a channel of an utterance over its whole length (cheap for long sequences).
    """
    if seed is None or rate <= 0.0:
        return x
    shape = tf.shape(x)
    if whole_channels:
        shape = tf.stack([shape[0], 1, shape[2]])
    # added to the seed of the run, not to the number: else layers would share draws across neighbouring micro-batches
    draw = tf.random.stateless_uniform(shape, seed + tf.constant([salt, 0], tf.int32))
    keep = tf.cast(draw >= rate, x.dtype) / tf.cast(1.0 - rate, x.dtype)
    return times(x, keep)


def rotate(x_BTHD: tf.Tensor) -> tf.Tensor:
    """Rotary position embedding in fp32 (arXiv 2104.09864, eq. 34): channel pairs turn with the position."""
    half = x_BTHD.shape[-1] // 2
    frequency_D = tf.pow(10_000.0, -tf.range(half, dtype=tf.float32) / half)
    position_T = tf.range(tf.shape(x_BTHD)[1], dtype=tf.float32)
    angle = (position_T[:, None] * frequency_D)[None, :, None, :]
    return _turned(tf.cast(x_BTHD, tf.float32), tf.cos(angle), tf.sin(angle))


def _turned(x: tf.Tensor, cos: tf.Tensor, sin: tf.Tensor) -> tf.Tensor:
    """Each pair of channels turned by an angle without a gradient; the gradient is turned back."""

    def turn(x: tf.Tensor, sin: tf.Tensor) -> tf.Tensor:
        first, second = tf.split(x, 2, axis=-1)
        return tf.concat([first * cos - second * sin, second * cos + first * sin], axis=-1)

    @tf.custom_gradient
    def turned(x: tf.Tensor) -> tuple[tf.Tensor, Any]:
        return turn(tf.stop_gradient(x), sin), lambda upstream: turn(upstream, -sin)

    return turned(x)


class Module(keras.layers.Layer):
    """A layer that casts what it computes itself: Keras would cast masks, targets and statistics to half precision."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(autocast=False, **kwargs)

    def build(self, shape: Any) -> None:
        """No own weights: sub-layers create theirs when they are first called.

        Without this method Keras traces every layer once more to find that out, 20 times the cost of the call.
        """


class Dense(keras.layers.Dense):
    """Keras's dense layer as one matrix product of all positions.

    The same numbers from fewer operations: Keras's general product works out at run time which axes it contracts, and
    each operation costs time while a graph is built.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """(..., D) -> (..., units)."""
        x = tf.convert_to_tensor(inputs)
        flat = x if x.shape.rank == 2 else tf.reshape(x, [-1, x.shape[-1]])
        y = tf.matmul(flat, tf.convert_to_tensor(self.kernel))
        if self.use_bias:
            y = tf.nn.bias_add(y, tf.convert_to_tensor(self.bias))
        if x.shape.rank != 2:
            y = tf.reshape(y, tf.concat([tf.shape(x)[:-1], [self.units]], axis=0))
            y = tf.ensure_shape(y, [*x.shape[:-1], self.units])
        return y if self.activation is None else self.activation(y)


class Norm(Module):
    """Layer normalization with gain and bias, computed in fp32 and returned in the compute precision."""

    def build(self, shape: Any) -> None:
        """Makes the weights for the width of `shape`."""
        self.gain = self.add_weight(name="gain", shape=(shape[-1],), initializer="ones")
        self.bias = self.add_weight(name="bias", shape=(shape[-1],), initializer="zeros")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(B, T, D) -> (B, T, D)."""
        gain, bias = (tf.cast(weight, tf.float32) for weight in (self.gain, self.bias))
        return tf.cast(scaled_norm(tf.cast(x, tf.float32), gain, bias), self.compute_dtype)


class Depthwise(Module):
    """A convolution along time with one filter per channel, in fp32: it is bound by memory, not by arithmetic."""

    def __init__(self, kernel: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.kernel = kernel

    def build(self, shape: Any) -> None:
        """Makes the weights for the width of `shape`."""
        self.filters = self.add_weight(
            name="filters",
            shape=(self.kernel, 1, shape[-1], 1),
            initializer=keras.initializers.RandomNormal(stddev=self.kernel**-0.5),
        )
        self.bias = self.add_weight(name="bias", shape=(shape[-1],), initializer="zeros")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(B, T, D), padding already zero -> (B, T, D)."""
        filters = tf.cast(self.filters, tf.float32)
        y = tf.nn.depthwise_conv2d(tf.expand_dims(tf.cast(x, tf.float32), 2), filters, (1, 1, 1, 1), "SAME")
        biased = add(tf.squeeze(y, 2), tf.cast(self.bias, tf.float32), axes=(0, 1))
        return tf.cast(biased, self.compute_dtype)


def neighbour_views(x_BTD: tf.Tensor, kernel: int) -> tf.Tensor:
    """(B, T, D) -> (B, T, kernel x D): each position with its neighbours, zeros beyond the ends.

    The gradient is written out, since that of a Python slice is several times slower.
    """
    left, others = (kernel - 1) // 2, kernel - 1

    def cut(x: tf.Tensor, k: int) -> tf.Tensor:
        return x[:, k : (k - others) or None]

    @tf.custom_gradient
    def views(x: tf.Tensor) -> tuple[tf.Tensor, Any]:
        padded = tf.pad(x, [[0, 0], [left, others - left], [0, 0]])

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            parts = enumerate(tf.split(upstream, kernel, axis=-1))
            return cut(tf.add_n([tf.pad(part, [[0, 0], [k, others - k], [0, 0]]) for k, part in parts]), left)

        return tf.concat([cut(padded, k) for k in range(kernel)], axis=-1), gradient

    return views(x_BTD)


class Convolution(Module):
    """A convolution along time as one matrix product over neighbouring positions.

    On a CPU this takes half the time of TensorFlow's convolution, forward and backward.

    Args:
        width: output channels.
        kernel: positions that an output sees, a multiple of `stride`.
        stride: positions from one output to the next.
    """

    def __init__(self, width: int, kernel: int, stride: int = 1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.kernel, self.stride = kernel, stride
        self.dense = Dense(width, name="dense", dtype=self.dtype_policy)

    def call(self, x_BTD: tf.Tensor) -> tf.Tensor:
        """(B, T, D), padding already zero -> (B, ceil(T / stride), width)."""
        if self.stride == 1:
            return self.dense(neighbour_views(x_BTD, self.kernel))
        shape, channels = tf.shape(x_BTD), x_BTD.shape[-1]
        # not -(-n // stride): converters to other formats get integer division of negative numbers wrong
        views, out = self.kernel // self.stride, (shape[1] + self.stride - 1) // self.stride
        left = (self.kernel - self.stride) // 2
        right = (out + views - 1) * self.stride - shape[1] - left
        padded = tf.pad(x_BTD, [[0, 0], [left, right], [0, 0]])
        patches = tf.reshape(padded, [shape[0], out + views - 1, self.stride * channels])
        size = tf.stack([shape[0], out, self.stride * channels])
        return self.dense(tf.concat([tf.slice(patches, [0, k, 0], size) for k in range(views)], axis=-1))


class FeedForward(Module):
    """Two dense layers with a ReLU between them: on a CPU a GELU costs a fifth of the entire block.

    All of it works on one matrix of positions: a change of shape before the ReLU would keep TensorFlow from computing
    it together with product and bias, in one kernel.
    """

    def __init__(self, width: int, expansion: int, out_scale: float = 1.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        small = keras.initializers.VarianceScaling(scale=out_scale, mode="fan_in")
        self.widen = Dense(width * expansion, name="widen", dtype=self.dtype_policy)
        self.narrow = Dense(width, kernel_initializer=small, name="narrow", dtype=self.dtype_policy)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(B, T, D) -> (B, T, D)."""
        flat = self.narrow(tf.nn.relu(self.widen(tf.reshape(x, [-1, x.shape[-1]]))))
        return tf.ensure_shape(tf.reshape(flat, tf.shape(x)), x.shape)


class TransformerBlock(Module):
    """Pre-norm self-attention with rotary positions and a feed-forward layer.

    Source: arXiv 1706.03762 sec. 3, arXiv 2104.09864. Padding is neither attended to nor passed on.
    """

    def __init__(self, width: int, heads: int, rate: float, salt: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.width, self.heads, self.rate, self.salt = width, heads, rate, salt
        self.norm_attention = Norm(name="norm_attention", dtype=policy)
        self.norm_feed_forward = Norm(name="norm_feed_forward", dtype=policy)
        self.query_key_value = Dense(3 * width, use_bias=False, name="query_key_value", dtype=policy)
        self.out = Dense(width, name="out", dtype=policy)
        self.feed_forward = FeedForward(width, 4, 0.5, name="feed_forward", dtype=policy)

    def call(self, x_BTD: tf.Tensor, mask_BT1: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """(B, T, D), mask (B, T, 1) -> (B, T, D)."""
        shape = tf.shape(x_BTD)
        qkv = tf.reshape(
            self.query_key_value(self.norm_attention(x_BTD)),
            [shape[0], shape[1], 3, self.heads, self.width // self.heads],
        )
        query, key, value = tf.unstack(qkv, axis=2)
        query, key = tf.split(rotate(tf.concat([query, key], axis=2)), 2, axis=2)
        score_BHTT = tf.einsum("bthk,bshk->bhts", query, key) * (self.width // self.heads) ** -0.5
        score_BHTT = plus(score_BHTT, (1.0 - tf.expand_dims(tf.transpose(mask_BT1, [0, 2, 1]), 1)) * -1e9)
        weight_BHTT = tf.cast(tf.nn.softmax(score_BHTT), value.dtype)
        attended = tf.einsum("bhts,bshk->bthk", weight_BHTT, value)
        attended = self.out(tf.reshape(attended, [shape[0], shape[1], self.width]))
        x = add(x_BTD, dropout(attended, self.rate, seed, self.salt))
        x = add(x, dropout(self.feed_forward(self.norm_feed_forward(x)), self.rate, seed, self.salt + 1))
        return times(x, mask_BT1)


class ConvBlock(Module):
    """ConvNeXt block, its normalization shifted and scaled by a condition where one is given.

    Source: arXiv 2201.03545 sec. 2 (block), arXiv 2212.09748 sec. 3.2 (conditioned norm).
    Differs: one dimension, no layer scale; the last dense layer starts small instead.
    """

    def __init__(
        self,
        width: int,
        expansion: int,
        rate: float,
        salt: int,
        *,
        conditioned: bool,
        kernel: int = 7,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.rate, self.salt, self.conditioned = rate, salt, conditioned
        self.depthwise = Depthwise(kernel, name="depthwise", dtype=policy)
        if conditioned:
            zeros = keras.initializers.Zeros()
            self.scale_shift = Dense(2 * width, kernel_initializer=zeros, name="scale_shift", dtype="float32")
        else:
            self.norm = Norm(name="norm", dtype=policy)
        self.feed_forward = FeedForward(width, expansion, 0.5, name="feed_forward", dtype=policy)

    def call(
        self,
        x_BTD: tf.Tensor,
        mask_BT1: tf.Tensor,
        condition_BE: tf.Tensor | None = None,
        seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """(B, T, D) with zero padding, mask (B, T, 1), condition (B, E) -> (B, T, D) with zero padding."""
        y = self.depthwise(x_BTD)
        if self.conditioned:
            scale, shift = tf.split(tf.expand_dims(self.scale_shift(condition_BE), 1), 2, axis=-1)
            y = tf.cast(scaled_norm(tf.cast(y, tf.float32), 1.0 + scale, shift), x_BTD.dtype)
        else:
            y = self.norm(y)
        y = dropout(self.feed_forward(y), self.rate, seed, self.salt, whole_channels=True)
        return times(add(x_BTD, y), mask_BT1)
