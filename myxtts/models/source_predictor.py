"""The source of the voice: pitch and voicing of each frame, and the comb of harmonics that they produce."""

from __future__ import annotations

import keras
import tensorflow as tf

from myxtts.audio.harmonics import HarmonicTable
from myxtts.config.schema import ModelConfig
from myxtts.models.elementwise import add, times
from myxtts.models.layers import ConvBlock, Dense, Module

BLOCKS = 2
SALT = 500


class SourcePredictor(Module):
    """Predicts pitch and voicing of each frame from the text and the pitch of its token; turns them into features.

    The pitch of a frame is that of its token plus a course predicted from the text. The mean pitch over the frames is
    removed from the input of the network, so a shift of all tokens shifts every frame by the same amount.

    Args:
        model: widths and dropout.
        harmonics: combs by normalized pitch.
    """

    def __init__(self, model: ModelConfig, harmonics: HarmonicTable, **kwargs: object) -> None:
        super().__init__(**kwargs)
        policy, width = self.dtype_policy, model.predictor_width
        small = keras.initializers.VarianceScaling(scale=0.01)
        self.harmonics = harmonics
        self.front = Dense(width, name="front", dtype=policy)
        self.blocks = [
            ConvBlock(width, 2, model.dropout, SALT + i, conditioned=True, name=f"block_{i}", dtype=policy)
            for i in range(BLOCKS)
        ]
        self.out = Dense(2, kernel_initializer=small, name="out", dtype="float32")

    def call(
        self,
        text_BMD: tf.Tensor,
        prosody_BM2: tf.Tensor,
        condition_BE: tf.Tensor,
        mask_BM1: tf.Tensor,
        seed: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Text expanded to frames (B, M, D), pitch and energy of the token (B, M, 2), condition (B, E), mask (B, M, 1).

        No gradient reaches the text.

        Returns:
            pitch_BM: normalized ln F0, as it would be if the frame is voiced.
            voicing_BM: over 0 where the frame is more likely voiced than not (logit).
        """
        pitch_BM1, energy_BM1 = tf.split(tf.cast(prosody_BM2, tf.float32) * mask_BM1, 2, axis=-1)
        frames = tf.maximum(tf.reduce_sum(mask_BM1, axis=1, keepdims=True), 1.0)
        course = (pitch_BM1 - tf.reduce_sum(pitch_BM1, axis=1, keepdims=True) / frames) * mask_BM1
        x = tf.concat([tf.stop_gradient(tf.cast(text_BMD, tf.float32)), course, energy_BM1], axis=-1)
        x = times(self.front(tf.cast(x, self.compute_dtype)), mask_BM1)
        for block in self.blocks:
            x = block(x, mask_BM1, condition_BE, seed)
        delta, voicing = tf.unstack(times(self.out(tf.cast(x, tf.float32)), mask_BM1), axis=-1)
        return {"pitch_BM": add(tf.squeeze(pitch_BM1, 2), delta), "voicing_BM": voicing}

    def features(self, pitch_BM: tf.Tensor, voiced_BM: tf.Tensor) -> tf.Tensor:
        """Normalized ln F0 and voicing (1 or 0), both (B, M) -> comb, pitch and voicing (B, M, C + 2); 0 unvoiced."""
        table = tf.constant(self.harmonics.comb_IC)
        last = table.shape[0] - 1
        lowest, highest = self.harmonics.lowest, self.harmonics.highest
        place = tf.clip_by_value((pitch_BM - lowest) / (highest - lowest) * last, 0.0, float(last))
        # a non-finite pitch still reaches the losses; as an index it would crash the program
        place = tf.where(tf.math.is_finite(place), place, 0.0)
        below = tf.minimum(tf.cast(place, tf.int32), last - 1)
        share = tf.expand_dims(place - tf.cast(below, tf.float32), 2)
        comb = tf.gather(table, below) * (1.0 - share) + tf.gather(table, below + 1) * share
        pitch_BM1, voiced_BM1 = tf.expand_dims(pitch_BM, 2), tf.expand_dims(voiced_BM, 2)
        return tf.concat([comb, pitch_BM1, tf.ones_like(share)], axis=-1) * voiced_BM1
