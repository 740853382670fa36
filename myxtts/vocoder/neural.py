"""A trained vocoder: mel and pitch -> waveform."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from myxtts.audio.source_filter import excite, filled_pitch, synthesize
from myxtts.vocoder.network import FilterNetwork

FRAME_STEP = 64
"""Lengths are padded to multiples of this, so that few shapes are prepared."""
FloatArray = npt.NDArray[np.float32]


class NeuralVocoder:
    """Speaks mels with a filter network; the waveform is computed in NumPy.

    Args:
        network: with its trained weights.
    """

    def __init__(self, network: FilterNetwork) -> None:
        self.network, self.audio = network, network.audio
        frames = tf.TensorSpec([1, None], tf.float32)
        mel = tf.TensorSpec([1, None, self.audio.mel_channels], tf.float32)
        self._filters = tf.function(network.call, input_signature=[mel, frames, frames], autograph=False)

    def __call__(
        self, mel_MC: FloatArray, pitch_hz_M: FloatArray, seed: int = 0, noise_scale: float = 1.0
    ) -> FloatArray:
        """Samples float32 (N,), N = M * hop, of a natural-log mel (M, C) and a pitch (M,) in Hz, 0 where unvoiced.

        Args:
            mel_MC: the mel.
            pitch_hz_M: the pitch.
            seed: of the noise.
            noise_scale: factor on the noise; less is cleaner, and breath and fricatives are weaker.
        """
        frames = len(mel_MC)
        if not frames:
            return np.zeros(0, np.float32)
        more = -frames % FRAME_STEP
        mel = np.pad(mel_MC, ((0, more), (0, 0)), mode="edge")[None]
        pitch, voiced = filled_pitch(pitch_hz_M, self.audio), (pitch_hz_M > 0.0).astype(np.float32)
        pitch, voiced = (np.pad(x, (0, more), mode="edge")[None] for x in (pitch, voiced))
        filters = self._filters(mel, pitch, voiced).numpy()[0, : 2 * frames]
        return synthesize(filters, excite(pitch_hz_M, self.audio, seed), self.audio, noise_scale)
