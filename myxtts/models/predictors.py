"""Predictors of a token's log-duration, pitch and energy, and the way pitch and energy come back in as inputs."""

from __future__ import annotations

import keras
import tensorflow as tf

from myxtts.config.schema import ModelConfig
from myxtts.models.elementwise import add, times
from myxtts.models.layers import Convolution, Dense, Module, Norm, dropout, gelu

LAYERS = 2


def token_means(frame_BM: tf.Tensor, weight_BM: tf.Tensor, path_BMT: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean of a frame value over each token's frames, and whether any frame counted.

    Args:
        frame_BM: the value, e.g. normalized pitch.
        weight_BM: 1 for frames that count, e.g. voiced ones.
        path_BMT: hard alignment.

    Returns:
        (B, T) mean, 0 where no frame counted; (B, T) 1 where one did.
    """
    total = tf.einsum("bm,bmt->bt", frame_BM * weight_BM, path_BMT)
    count = tf.einsum("bm,bmt->bt", weight_BM, path_BMT)
    return total / tf.maximum(count, 1.0), tf.cast(count > 0.0, tf.float32)


class Predictor(Module):
    """Convolutions over the tokens, conditioned on the voice -> `outputs` numbers a token; `start` before training.

    Source: variance predictor, FastSpeech 2, arXiv 2006.04558, sec. 2.3.
    """

    def __init__(self, model: ModelConfig, outputs: int, salt: int, start: float = 0.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        policy, width = self.dtype_policy, model.predictor_width
        self.rate, self.salt = model.predictor_dropout, salt
        self.condition = Dense(width, name="condition", dtype=policy)
        self.front = Dense(width, name="front", dtype=policy)
        self.convolutions = [Convolution(width, 3, name=f"convolution_{i}", dtype=policy) for i in range(LAYERS)]
        self.norms = [Norm(name=f"norm_{i}", dtype=policy) for i in range(LAYERS)]
        bias = keras.initializers.Constant(start)
        self.out = Dense(outputs, bias_initializer=bias, name="out", dtype="float32")

    def call(
        self, x_BTD: tf.Tensor, condition_BE: tf.Tensor, mask_BT1: tf.Tensor, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """(B, T, D), condition (B, E), mask (B, T, 1) -> (B, T, outputs) fp32; zero at padding."""
        condition = self.condition(tf.cast(condition_BE, self.compute_dtype))
        x = add(self.front(x_BTD), tf.expand_dims(condition, 1), axes=(1,))
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = times(x, mask_BT1)
            x = norm(gelu(convolution(x)))
            x = dropout(x, self.rate, seed, self.salt + i)
        return times(self.out(tf.cast(x, tf.float32)), mask_BT1)
