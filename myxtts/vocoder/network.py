"""The network of the vocoder: at frame rate, a mel and a pitch become the filters of every bin.

No phase, no angle and no division by a magnitude occurs, so nothing is singular: a filter is a product with a prior
envelope that follows from the mel.

Source: filters by a network as in neural source-filter models (arXiv 1904.12088); blocks of ConvNeXt (arXiv 2201.03545)
as in Vocos (arXiv 2306.00814). Differs: the excitation is filtered in the domain of the short-time Fourier transform.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from myxtts.audio.source_filter import KINDS, SUBFRAMES, bins, envelope_matrix
from myxtts.config.schema import AudioConfig, VocoderConfig
from myxtts.models.layers import Convolution, Dense, Module, Norm, gelu
from myxtts.vocoder.constants import GAIN_RANGE, KERNEL, LOUDEST, MEL_CENTRE, MEL_SCALE, NOISE_AT_START, PITCH_HZ


class Block(Module):
    """ConvNeXt block with a scale per channel; the convolution as a sum of shifted products, which XLA fuses."""

    def __init__(self, width: int, expansion: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.width = width
        self.norm = Norm(name="norm", dtype=self.dtype_policy)
        self.widen = Dense(width * expansion, name="widen", dtype=self.dtype_policy)
        self.narrow = Dense(width, name="narrow", dtype=self.dtype_policy)

    def build(self, shape: Any) -> None:
        """Makes the filters of the convolution, its bias and the scale."""
        normal = keras.initializers.RandomNormal(stddev=KERNEL**-0.5)
        self.filters = self.add_weight(name="filters", shape=(KERNEL, self.width), initializer=normal)
        self.bias = self.add_weight(name="bias", shape=(self.width,), initializer="zeros")
        start = keras.initializers.Constant(0.3)
        self.scale = self.add_weight(name="scale", shape=(self.width,), initializer=start)

    def call(self, x_BMD: tf.Tensor) -> tf.Tensor:
        """(B, M, D) -> (B, M, D)."""
        frames, side = tf.shape(x_BMD)[1], KERNEL // 2
        padded = tf.pad(x_BMD, [[0, 0], [side, side], [0, 0]])
        filters = tf.convert_to_tensor(self.filters)
        y = tf.add_n([padded[:, k : k + frames] * filters[k] for k in range(KERNEL)]) + self.bias
        return x_BMD + self.scale * self.narrow(gelu(self.widen(self.norm(y))))


class FilterNetwork(Module):
    """Mel and pitch -> filters.

    Args:
        vocoder: widths and depth.
        audio: the mel convention, which fixes the prior envelope.
    """

    def __init__(self, vocoder: VocoderConfig, audio: AudioConfig, **kwargs: object) -> None:
        super().__init__(name="vocoder", **kwargs)
        policy = self.dtype_policy
        self.audio, self.bins = audio, bins(audio)
        self.matrix_CF, self.offset_F = envelope_matrix(audio)
        self.front = Convolution(vocoder.width, KERNEL, name="front", dtype=policy)
        self.norm_in = Norm(name="norm_in", dtype=policy)
        self.blocks = [
            Block(vocoder.width, vocoder.expansion, name=f"block_{i}", dtype=policy) for i in range(vocoder.blocks)
        ]
        self.norm_out = Norm(name="norm_out", dtype=policy)
        small = keras.initializers.RandomNormal(stddev=0.1 * vocoder.width**-0.5)
        self.head = Dense(SUBFRAMES * KINDS * self.bins, kernel_initializer=small, name="head", dtype="float32")

    def call(self, mel_BMC: tf.Tensor, pitch_BM: tf.Tensor, voiced_BM: tf.Tensor) -> tf.Tensor:
        """Filters (B, SUBFRAMES * M, KINDS, F) fp32, as audio.source_filter.synthesize takes them.

        Args:
            mel_BMC: natural-log mel.
            pitch_BM: Hz, interpolated over unvoiced frames, above 0.
            voiced_BM: 1 where voiced, else 0.
        """
        source = tf.stack([2.0 * tf.math.log(pitch_BM / PITCH_HZ), voiced_BM], axis=-1)
        x = tf.cast(tf.concat([(mel_BMC - MEL_CENTRE) / MEL_SCALE, source], axis=-1), self.compute_dtype)
        x = self.norm_in(self.front(x))
        for block in self.blocks:
            x = block(x)
        x = tf.cast(self.head(tf.cast(self.norm_out(x), tf.float32)), tf.float32)
        shape = tf.shape(x)
        raw = tf.reshape(x, [shape[0], shape[1] * SUBFRAMES, KINDS, self.bins])
        prior = self._prior(mel_BMC)
        envelope = tf.exp(prior)
        gain = tf.exp(prior + NOISE_AT_START + GAIN_RANGE * tf.tanh(raw[:, :, 2] / GAIN_RANGE))
        return tf.stack(
            [
                envelope * (0.5 + raw[:, :, 0]),
                envelope * raw[:, :, 1],
                gain,
                tf.tanh(raw[:, :, 3]),
                tf.tanh(raw[:, :, 4]),
            ],
            axis=2,
        )

    def _prior(self, mel_BMC: tf.Tensor) -> tf.Tensor:
        """Log envelope (B, SUBFRAMES * M, F), linear between the centres of the mel's frames."""
        flat = tf.matmul(tf.reshape(mel_BMC, [-1, self.matrix_CF.shape[0]]), self.matrix_CF) + self.offset_F
        shape = tf.shape(mel_BMC)
        prior = tf.reshape(flat, [shape[0], shape[1], self.bins])
        before = tf.concat([prior[:, :1], prior[:, :-1]], axis=1)
        after = tf.concat([prior[:, 1:], prior[:, -1:]], axis=1)
        both = tf.stack([0.75 * prior + 0.25 * before, 0.75 * prior + 0.25 * after], axis=2)
        return tf.minimum(tf.reshape(both, [shape[0], shape[1] * SUBFRAMES, self.bins]), LOUDEST)


def build_network(
    vocoder: VocoderConfig, audio: AudioConfig, *, policy: keras.DTypePolicy | None = None, seed: int = 1
) -> FilterNetwork:
    """A FilterNetwork whose weights exist and follow from `seed` alone."""
    keras.utils.set_random_seed(seed)
    network = FilterNetwork(vocoder, audio, dtype=policy or keras.DTypePolicy("float32"))
    frame = np.ones([1, 2], np.float32)
    network(np.zeros([1, 2, audio.mel_channels], np.float32), 100.0 * frame, frame)
    return network
