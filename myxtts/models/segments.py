"""Which frames and tokens of an utterance the networks work on, and where each frame is in its token."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from myxtts.models.layers import sequence_mask

CONTEXT_TOKENS = 24
"""Tokens (blanks included) before and after the segment that the text encoder sees."""
TOKEN_STEP = 32
"""The CPU library caches a kernel for every shape that it meets."""


def position_features(duration_BT: tf.Tensor, path_BMT: tf.Tensor, frame_BM: tf.Tensor) -> tf.Tensor:
    """Position of a frame in its token, (B, M, 3): the share passed, its sine, and the token's log-duration.

    `frame_BM` or (1, M): number of each frame in its utterance.
    """
    duration = tf.cast(duration_BT, tf.float32)
    start = tf.cumsum(duration, axis=1) - duration
    per_token = tf.stack([start, duration], axis=-1)
    start_M, duration_M = tf.unstack(tf.einsum("bmt,btk->bmk", path_BMT, per_token), axis=-1)
    frame = tf.cast(frame_BM, tf.float32)
    inside = tf.reduce_sum(path_BMT, axis=-1)
    share = (frame - start_M + 0.5) / tf.maximum(duration_M, 1.0) * inside
    return tf.stack([share - 0.5 * inside, tf.sin(3.14159265 * share), tf.math.log(duration_M + 1.0) * 0.5], axis=-1)


@dataclass(frozen=True, eq=False)
class Segment:
    """The frames of each utterance that the decoder predicts."""

    mel_BSC: tf.Tensor
    mask_BS1: tf.Tensor


def target_segment(batch: dict[str, tf.Tensor]) -> Segment:
    """The recorded mel and the mask of the frames that `target_BS` names."""
    frame_BS = batch["target_BS"]
    size = tf.shape(frame_BS)[1]
    whole = tf.equal(size, tf.shape(batch["mel_BMC"])[1]) & tf.reduce_all(frame_BS[:, 0] == 0)
    mel = tf.cond(whole, lambda: batch["mel_BMC"], lambda: tf.gather(batch["mel_BMC"], frame_BS, batch_dims=1))
    mask = sequence_mask(batch["target_length_B"], size)
    return Segment(tf.ensure_shape(mel, [None, None, batch["mel_BMC"].shape[2]]), mask)


def tokens_near(batch: dict[str, tf.Tensor], duration_BT: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The tokens that the segment of each utterance needs, with some before and after them.

    Text encoder and predictors work on these only, which saves most of their cost on long utterances.

    Returns:
        token_BU: numbers of the tokens in their utterance, U a multiple of TOKEN_STEP or the whole text.
        length_B: how many of them are there.
        mask_BU: 1 for those that are spoken in the segment, and for those at an end of the text next to it, fp32.
    """
    text_length_B, tokens = batch["text_length_B"], tf.shape(duration_BT)[1]
    end_BT = tf.cumsum(duration_BT, axis=1)
    first_frame_B1 = batch["target_BS"][:, :1]
    last_frame_B1 = first_frame_B1 + tf.maximum(batch["target_length_B"], 1)[:, None] - 1
    first_B = tf.reduce_sum(tf.cast(end_BT <= first_frame_B1, tf.int32), axis=1)
    last_B = tf.reduce_sum(tf.cast(end_BT <= last_frame_B1, tf.int32), axis=1)
    # the first and the last token of an utterance may have no frame of their own
    first_B = tf.where(first_frame_B1[:, 0] == 0, 0, tf.minimum(first_B, text_length_B - 1))
    last_B = tf.where(last_frame_B1[:, 0] >= batch["mel_length_B"] - 1, text_length_B - 1, last_B)
    last_B = tf.minimum(last_B, text_length_B - 1)
    # each row gets the context of its own segment, whatever the other rows of the batch need
    start_B = tf.maximum(0, first_B - CONTEXT_TOKENS)
    stop_B = tf.minimum(text_length_B, last_B + 1 + CONTEXT_TOKENS)
    size = tf.minimum((tf.reduce_max(stop_B - start_B) + TOKEN_STEP - 1) // TOKEN_STEP * TOKEN_STEP, tokens)
    token_BU = start_B[:, None] + tf.range(size)[None, :]
    mask_BU = tf.cast((token_BU >= first_B[:, None]) & (token_BU <= last_B[:, None]), tf.float32)
    return tf.minimum(token_BU, tokens - 1), stop_B - start_B, mask_BU
