"""Aligner: learns which frames each token spans, without external alignments.

Its view of the text is narrow on purpose (a token and its neighbours): with a contextual encoder behind it the
search settled on wrong alignments. It starts from the diagonal, and sees the mel without the speaker's mean.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from myxtts.config.schema import ModelConfig
from myxtts.models import monotonic, monotonic_graph
from myxtts.models.elementwise import add, times
from myxtts.models.layers import Convolution, Dense, Module, gelu, sequence_mask
from myxtts.text.symbols import BLANK

PRIOR_STRENGTH = 1_000.0


def diagonal_prior(
    text_length_B: tf.Tensor, mel_length_B: tf.Tensor, tokens: tf.Tensor, frames: tf.Tensor
) -> tf.Tensor:
    """Log-prior (B, T, M): -1,000 times the squared distance between the positions of token and frame, both 0 to 1."""
    token = (tf.range(tokens, dtype=tf.float32)[None, :] + 0.5) / tf.cast(text_length_B, tf.float32)[:, None]
    frame = (tf.range(frames, dtype=tf.float32)[None, :] + 0.5) / tf.cast(mel_length_B, tf.float32)[:, None]
    return -PRIOR_STRENGTH * tf.square(token[:, :, None] - frame[:, None, :])


def gaussian_score(mean_BTC: tf.Tensor, mel_BMC: tf.Tensor) -> tf.Tensor:
    """Log-likelihood (B, T, M) of each frame under each token's unit Gaussian, up to a constant of the frame."""
    product = tf.einsum("btc,bmc->btm", mean_BTC, mel_BMC)
    return product - 0.5 * tf.reduce_sum(tf.square(mean_BTC), axis=-1)[:, :, None]


def path_of(duration_BT: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    """Hard alignment (B, M, T) fp32: 1 where frame m belongs to token t; frames behind the last token have none."""
    start_BT = tf.cumsum(duration_BT, axis=1) - duration_BT
    return path_between(start_BT, duration_BT, tf.range(frames, dtype=duration_BT.dtype)[None, :])


def path_between(start_BT: tf.Tensor, duration_BT: tf.Tensor, frame_BM: tf.Tensor) -> tf.Tensor:
    """Hard alignment (B, M, T) fp32: 1 where frame m is one of the `duration` frames from `start` of token t on.

    Args:
        start_BT, duration_BT: int32.
        frame_BM: int32, number of each frame; (1, M) for all utterances alike.
    """
    # expand_dims: LiteRT has no slice with a new axis where all lengths are open
    start_B1T, end_B1T = tf.expand_dims(start_BT, 1), tf.expand_dims(start_BT + duration_BT, 1)
    frame_BM1 = tf.expand_dims(frame_BM, 2)
    return tf.cast((frame_BM1 >= start_B1T) & (frame_BM1 < end_B1T), tf.float32)


class Aligner(Module):
    """A Gaussian mean a token from the token and its two neighbours; durations by monotonic alignment search.

    Source: Glow-TTS, arXiv 2005.11129, sec. 3.1.
    """

    def __init__(self, model: ModelConfig, symbols: int, channels: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        width = model.width
        normal = keras.initializers.RandomNormal(stddev=1.0)
        zeros = keras.initializers.VarianceScaling(scale=0.01)
        self.symbol = keras.layers.Embedding(
            symbols, width, embeddings_initializer=normal, name="symbol", dtype="float32"
        )
        self.neighbours = Convolution(width, 3, name="neighbours", dtype="float32")
        self.mean = Dense(channels, kernel_initializer=zeros, name="mean", dtype="float32")

    def call(self, text_BT: tf.Tensor, text_length_B: tf.Tensor) -> tf.Tensor:
        """Token ids (B, T) -> means (B, T, C) fp32 of the normalized mel less the speaker's mean; zero at padding."""
        mask = sequence_mask(text_length_B, tf.shape(text_BT)[1])
        x = times(self.symbol(text_BT), mask)
        x = add(x, gelu(self.neighbours(x)))
        return times(self.mean(x), mask)

    def align(
        self,
        mean_BTC: tf.Tensor,
        mel_BMC: tf.Tensor,
        text_BT: tf.Tensor,
        text_length_B: tf.Tensor,
        mel_length_B: tf.Tensor,
        prior_strength: tf.Tensor,
    ) -> tf.Tensor:
        """Durations (B, T) int32 of the best path; no gradient passes.

        Args:
            mean_BTC: what `call` gave.
            mel_BMC: normalized mel without the speaker's mean spectrum.
            text_BT: token ids; blanks may be skipped where a clip has fewer frames than tokens.
            text_length_B: tokens a row.
            mel_length_B: frames a row.
            prior_strength: 1 at the start of training, 0 once the diagonal prior has faded.
        """
        score = gaussian_score(tf.stop_gradient(mean_BTC), mel_BMC)
        prior = diagonal_prior(text_length_B, mel_length_B, tf.shape(text_BT)[1], tf.shape(mel_BMC)[1])
        score = score + prior_strength * prior
        # blanks are skipped only where there are fewer frames than tokens: free skips would make durations random
        crowded_B1 = (mel_length_B < text_length_B)[:, None]
        skippable = tf.cast(tf.equal(text_BT, BLANK) & crowded_B1, tf.int32)
        searched = score, text_length_B, mel_length_B, skippable
        if tf.config.list_physical_devices("GPU"):  # the scores would be copied to the processor and back
            duration = monotonic_graph.search(*searched)
        else:
            duration = tf.numpy_function(monotonic.search, searched, np.int32)
        return tf.stop_gradient(tf.ensure_shape(duration, text_BT.shape))
