"""Monotonic alignment search as TensorFlow operations, for GPUs: its durations equal those of monotonic.search.

The frames are stepped through in a loop, all rows and tokens of a frame at once. As single operations the loop would
start some ten thousand kernels for a batch, so XLA makes one of them (`search`); on a processor numba is faster.
"""

from __future__ import annotations

import tensorflow as tf

NEVER = -1e30
"""The value of a token that cannot be reached."""


def search_in_graph(
    score_BTM: tf.Tensor, text_length_B: tf.Tensor, mel_length_B: tf.Tensor, skippable_BT: tf.Tensor
) -> tf.Tensor:
    """Durations (B, T) int32 of the most likely monotonic path, bit-exact those of monotonic.search; see there."""
    score_MBT = tf.transpose(score_BTM, [2, 0, 1])
    frames, rows, tokens = (tf.shape(score_MBT)[axis] for axis in range(3))
    never = tf.constant(NEVER, tf.float32)
    skips_BT = skippable_BT > 0

    def shifted(x_BT: tf.Tensor, by: int) -> tf.Tensor:
        """The values of the tokens `by` places earlier."""
        return tf.pad(x_BT, [[0, 0], [by, 0]], constant_values=never)[:, :tokens]

    may_skip_BT = tf.pad(skips_BT, [[0, 0], [1, 0]])[:, :tokens]  # whether the token before may be skipped
    token_T = tf.range(tokens)
    starts_BT = (token_T == 0) | ((token_T == 1) & may_skip_BT)
    best_BT = tf.where(starts_BT, score_MBT[0], never)
    back_MBT = tf.TensorArray(tf.int32, size=frames, element_shape=[None, None])
    back_MBT = back_MBT.write(0, tf.zeros([rows, tokens], tf.int32))

    def forward(m: tf.Tensor, best_BT: tf.Tensor, back_MBT: tf.TensorArray) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        value_BT, back_BT = best_BT, tf.zeros_like(best_BT, tf.int32)
        one_BT, two_BT = shifted(best_BT, 1), shifted(best_BT, 2)
        better = (token_T >= 1) & (one_BT > value_BT)
        value_BT, back_BT = tf.where(better, one_BT, value_BT), tf.where(better, 1, back_BT)
        better = (token_T >= 2) & may_skip_BT & (two_BT > value_BT)
        value_BT, back_BT = tf.where(better, two_BT, value_BT), tf.where(better, 2, back_BT)
        made_BT = tf.where(value_BT > never, value_BT + score_MBT[m], never)
        here_B1 = (m < mel_length_B)[:, None]
        return m + 1, tf.where(here_B1, made_BT, best_BT), back_MBT.write(m, back_BT)

    _, best_BT, back_MBT = tf.while_loop(
        lambda m, *_: m < frames, forward, (1, best_BT, back_MBT), parallel_iterations=1
    )
    steps_MBT = back_MBT.stack()

    def of_token(x_BT: tf.Tensor, t_B: tf.Tensor) -> tf.Tensor:
        """The value of one token in each row."""
        return tf.reduce_sum(tf.where(token_T == t_B[:, None], x_BT, tf.zeros_like(x_BT)), axis=1)

    last_B = text_length_B - 1
    ends_on_skip_B = (text_length_B > 1) & (
        of_token(tf.cast(skips_BT, tf.int32), last_B) > 0
    ) & (of_token(shifted(best_BT, 1), last_B) > of_token(best_BT, last_B))  # fmt: skip
    at_B = last_B - tf.cast(ends_on_skip_B, tf.int32)

    def backward(m: tf.Tensor, at_B: tf.Tensor, count_BT: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        here_B = tf.cast(m < mel_length_B, tf.int32)
        count_BT += tf.where(token_T == at_B[:, None], here_B[:, None], 0)
        return m - 1, at_B - here_B * of_token(steps_MBT[m], at_B), count_BT

    _, _, duration_BT = tf.while_loop(
        lambda m, *_: m >= 0,
        backward,
        (frames - 1, at_B, tf.zeros([rows, tokens], tf.int32)),
        parallel_iterations=1,
    )
    return duration_BT


search = tf.function(search_in_graph, jit_compile=True, autograph=False)
"""`search_in_graph` as one kernel, compiled for each shape."""
