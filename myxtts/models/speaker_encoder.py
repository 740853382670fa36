"""Speaker encoder: a reference recording -> the voice (who speaks) and a style posterior (how, in this recording)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from myxtts.batch import PROSODY_FIGURES
from myxtts.config.schema import ModelConfig
from myxtts.models.elementwise import plus, times
from myxtts.models.layers import ConvBlock, Convolution, Dense, Module, Norm, gelu, sequence_mask
from myxtts.models.recompute import run_blocks

BLOCKS = 3
STRIDE = 4
MAX_LOG_VARIANCE = 4.0
LOG_VARIANCE_AT_START = -2.0
"""If the style begins as noise of standard deviation 1, the model learns to ignore it and never recovers."""


def attentive_statistics(x_BRD: tf.Tensor, score_BRD: tf.Tensor, mask_BR1: tf.Tensor) -> tf.Tensor:
    """Weighted mean and standard deviation over time, (B, 2D) fp32; padding has no weight.

    Source: attentive statistics pooling, arXiv 1803.10963, eq. 4 to 6. Differs: the floor is inside the root.
    """
    score = plus(tf.cast(score_BRD, tf.float32), (1.0 - mask_BR1) * -1e9)
    return _statistics(tf.cast(x_BRD, tf.float32), tf.nn.softmax(score, axis=1))


def plain_statistics(reference_BRC: tf.Tensor, mask_BR1: tf.Tensor) -> tf.Tensor:
    """Mean and standard deviation of each channel over time, (B, 2C) fp32; padding has no weight."""
    frames = tf.maximum(tf.reduce_sum(mask_BR1, axis=1, keepdims=True), 1.0)
    return _statistics(reference_BRC, mask_BR1 / frames)


def _statistics(x_BRD: tf.Tensor, weight_BRD: tf.Tensor) -> tf.Tensor:
    """Mean and standard deviation over time under weights that sum to 1."""
    mean = tf.reduce_sum(weight_BRD * x_BRD, axis=1)
    variance = tf.reduce_sum(weight_BRD * tf.square(x_BRD - mean[:, None, :]), axis=1)
    return tf.concat([mean, tf.sqrt(variance + 1e-4)], axis=-1)


class SpeakerEncoder(Module):
    """Convolutions over the reference mel, attentive pooling, and two heads."""

    def __init__(self, model: ModelConfig, *, recompute: bool = False, **kwargs: object) -> None:
        super().__init__(**kwargs)
        policy, width, self.recompute = self.dtype_policy, model.speaker_width, recompute
        small, smaller = (keras.initializers.VarianceScaling(scale=scale) for scale in (0.1, 0.01))
        self.front = Convolution(width, 2 * STRIDE, STRIDE, name="front", dtype=policy)
        self.norm = Norm(name="norm", dtype=policy)
        self.blocks = [
            ConvBlock(width, 2, 0.0, 0, conditioned=False, name=f"block_{i}", dtype=policy) for i in range(BLOCKS)
        ]
        self.attention_in = Dense(width // 2, activation="tanh", name="attention_in", dtype=policy)
        self.attention_out = Dense(width, use_bias=False, name="attention_out", dtype=policy)
        self.voice = Dense(model.voice_width, name="voice", dtype="float32")
        self.style_mean = Dense(model.style_width, kernel_initializer=small, name="style_mean", dtype="float32")
        self.style_log_variance = Dense(
            model.style_width,
            kernel_initializer=smaller,
            bias_initializer=keras.initializers.Constant(LOG_VARIANCE_AT_START),
            name="style_log_variance",
            dtype="float32",
        )

    def call(self, reference_BRC: tf.Tensor, reference_length_B: tf.Tensor) -> dict[str, tf.Tensor]:
        """Normalized mel (B, R, C) and its lengths (B,) -> fp32 heads.

        Returns:
            voice_BE: unit length.
            style_mean_BY: mean of the style posterior.
            style_log_variance_BY: in -4 to 4.
        """
        mask = sequence_mask(reference_length_B, tf.shape(reference_BRC)[1])
        x = self.front(tf.cast(times(reference_BRC, mask), self.compute_dtype))
        short_mask = mask[:, ::STRIDE]
        x = gelu(self.norm(x)) * tf.cast(short_mask, x.dtype)
        x = run_blocks(self.blocks, x, short_mask, recompute=self.recompute)
        pooled = attentive_statistics(x, self.attention_out(self.attention_in(x)), short_mask)
        log_variance = self.style_log_variance(pooled)
        # plain statistics in addition to the learned ones: the mean spectrum need not be learned from few voices
        voice = self.voice(tf.concat([pooled, plain_statistics(reference_BRC, mask)], axis=-1))
        return {
            "voice_BE": tf.math.l2_normalize(voice, axis=-1, epsilon=1e-8),
            "style_mean_BY": self.style_mean(pooled),
            "style_log_variance_BY": MAX_LOG_VARIANCE * tf.tanh(log_variance / MAX_LOG_VARIANCE),
        }


class VoiceHeads(Module):
    """What a voice must encode: which training speaker it is, its long-term spectrum, its prosody."""

    def __init__(self, model: ModelConfig, speakers: int, channels: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.hidden = Dense(model.voice_width, name="hidden", dtype="float32")
        self.spectrum = Dense(channels, name="spectrum", dtype="float32")
        self.prosody = Dense(len(PROSODY_FIGURES), name="prosody", dtype="float32")
        self.speakers, self.voice_width = speakers, model.voice_width

    def build(self, shape: Any) -> None:
        """Makes the table of speakers."""
        self.speaker_ZE = self.add_weight(
            name="speaker",
            shape=(self.speakers, self.voice_width),
            initializer=keras.initializers.RandomNormal(stddev=0.1),
        )

    def call(self, voice_BE: tf.Tensor) -> dict[str, tf.Tensor]:
        """Voice (B, E), unit length -> spectrum_BC, prosody_BQ and cosine_BZ to each training speaker."""
        scaled = voice_BE * tf.sqrt(tf.cast(self.voice_width, tf.float32))
        hidden = voice_BE + gelu(self.hidden(scaled))
        known = tf.math.l2_normalize(tf.cast(self.speaker_ZE, tf.float32), axis=-1, epsilon=1e-8)
        return {
            "spectrum_BC": self.spectrum(hidden),
            "prosody_BQ": self.prosody(hidden),
            "cosine_BZ": tf.einsum("be,ze->bz", voice_BE, known),
        }
