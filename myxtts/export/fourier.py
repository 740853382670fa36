"""The short-time Fourier transform and its inverse as matrix products, which every converter and player has."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from myxtts.audio.framing import hann


class Fourier:
    """Transforms of one window length. Make it inside the graph that uses it: its matrices are constants there, once.

    Args:
        size: samples of a window, a Hann window.
        hop: samples from one window to the next.
        left: samples before the signal in the first window; they are zeros, as those beyond its end.
    """

    def __init__(self, size: int, hop: int, left: int) -> None:
        self.size, self.hop, self.left = size, hop, left
        self.blocks = -(-size // hop)
        bins = size // 2 + 1
        angle = 2.0 * np.pi * np.arange(size)[:, None] * np.arange(bins)[None, :] / size
        self._window = hann(size).astype(np.float64)
        forward = np.concatenate([np.cos(angle), -np.sin(angle)], axis=1) * self._window[:, None]
        weight_F1 = np.full((bins, 1), 2.0 / size)
        weight_F1[0] = weight_F1[-1] = 1.0 / size
        inverse = np.concatenate([np.cos(angle).T * weight_F1, -np.sin(angle).T * weight_F1], axis=0) * self._window
        self._forward = tf.constant(forward, tf.float32)
        self._inverse = tf.constant(inverse, tf.float32)

    def transform(self, samples_N: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """Real and imaginary parts (frames, 2 F) of frames * hop samples."""
        rows = frames + self.blocks - 1
        padded = tf.pad(samples_N, [[self.left, (self.blocks - 1) * self.hop - self.left]])
        blocks = tf.reshape(padded, [rows, self.hop])
        parts = [tf.slice(blocks, [j, 0], tf.stack([frames, self.hop])) for j in range(self.blocks)]
        return tf.concat(parts, axis=1)[:, : self.size] @ self._forward

    def samples(self, spectrum: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """The frames * hop samples whose transform is closest to a spectrum (frames, 2 F)."""
        squared = tf.constant(np.square(self._window)[None], tf.float32)
        power = tf.maximum(self._overlap_add(tf.tile(squared, [frames, 1])), 1e-3)
        summed = self._overlap_add(spectrum @ self._inverse) / power
        return tf.slice(summed, [self.left], tf.reshape(frames * self.hop, [1]))

    def _overlap_add(self, frames: tf.Tensor) -> tf.Tensor:
        hop, blocks = self.hop, self.blocks
        missing = blocks * hop - self.size
        wide = tf.pad(frames, [[0, 0], [0, missing]]) if missing else frames
        parts = [tf.pad(wide[:, j * hop : (j + 1) * hop], [[j, blocks - 1 - j], [0, 0]]) for j in range(blocks)]
        return tf.reshape(tf.add_n(parts), [-1])
