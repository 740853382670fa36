"""The critic: a discriminator of recorded and predicted mels, so that the decoder learns detail that a mean lacks.

It sees the mel, the aligner's mean under it and the voice. A decoder trained with L1 alone predicts the mean of all
plausible mels, which is blurred; blur is what the critic detects first.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from myxtts.config.schema import ModelConfig
from myxtts.models.elementwise import add, times
from myxtts.models.layers import Dense, Module

LAYERS = 3
SLOPE = 0.2
FEATURES = tuple(f"features_{i}" for i in range(LAYERS))
_SMALLEST = 1e-3


class Critic(Module):
    """Convolutions over time and frequency, with a score for every place, whose last features the voice weighs.

    Source: patches, arXiv 1611.07004, sec. 3.2.2; the voice by projection, arXiv 1802.05637, eq. 3.
    Differs: no normalization between the layers; the position in frequency is an input (arXiv 1807.03247), since a high
    channel of speech is unlike a low one.
    """

    def __init__(self, model: ModelConfig, channels: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        policy, self.place_C = self.dtype_policy, tf.linspace(-1.0, 1.0, channels).numpy()
        widths = [model.critic_width * 2**i for i in range(LAYERS)]
        self.convolutions = [
            keras.layers.Conv2D(width, 3, 2, kernel_initializer="he_normal", name=f"convolution_{i}", dtype=policy)
            for i, width in enumerate(widths)
        ]
        small = keras.initializers.RandomNormal(stddev=0.02)
        self.out = keras.layers.Conv2D(1, 3, kernel_initializer=small, name="out", dtype="float32")
        self.voice = Dense(widths[-1], use_bias=False, kernel_initializer=small, name="voice", dtype="float32")

    def call(
        self, mel_BSC: tf.Tensor, base_BSC: tf.Tensor, voice_BE: tf.Tensor, mask_BS1: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Normalized mel and what lies under it (B, S, C), voice (B, E), mask (B, S, 1).

        Returns:
            score_BJL: for each patch of eight frames and channels, near 1 for a recorded mel and near 0 for a predicted
                one; fp32, 0 at padding.
            features_0 to features_2: of the layers, (B, S / 2, C / 2, width) and so on; 0 at padding.
        """
        mask = tf.expand_dims(mask_BS1, 3)
        x = tf.stack([mel_BSC, base_BSC, tf.broadcast_to(self.place_C, tf.shape(mel_BSC))], axis=-1)
        x = times(x, mask)
        found: dict[str, tf.Tensor] = {}
        for name, convolution in zip(FEATURES, self.convolutions, strict=True):
            mask = mask[:, ::2]
            # the mask comes between: TensorFlow would fuse both neighbours, and then miss an input of the gradient
            x = convolution(tf.cast(_framed(x), self.compute_dtype))
            found[name] = x = tf.nn.leaky_relu(times(x, mask), SLOPE)
        last = tf.cast(x, tf.float32)
        fits = tf.einsum("bpfd,bd->bpf", last, self.voice(voice_BE))
        found["score_BJL"] = times(add(tf.squeeze(self.out(_framed(last)), -1), fits), tf.squeeze(mask, -1))
        return found


def patch_mask(mask_BS1: tf.Tensor) -> tf.Tensor:
    """Mask (B, P, 1) of the critic's scores from that of the frames."""
    return mask_BS1[:, :: 2**LAYERS]


def feature_distance(true: Mapping[str, tf.Tensor], made: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Distance of the critic's features of two mels, for each layer relative to the size of the true ones; (B,) fp32.

    Source: feature matching, arXiv 1711.11585, eq. 5. Differs: relative to the features' size, which is the critic's
    to choose.
    """
    layers = []
    for name in FEATURES:
        expected, found = tf.cast(tf.stop_gradient(true[name]), tf.float32), tf.cast(made[name], tf.float32)
        distance = tf.reduce_sum(tf.abs(expected - found), axis=[1, 2, 3])
        layers.append(distance / (tf.reduce_sum(tf.abs(expected), axis=[1, 2, 3]) + _SMALLEST))
    return tf.add_n(layers) / len(layers)


def _framed(x_BSCD: tf.Tensor) -> tf.Tensor:
    """Zeros around time and frequency: the same ones whatever the length, unlike the padding called SAME."""
    return tf.pad(x_BSCD, [[0, 0], [1, 1], [1, 1], [0, 0]])
