"""A vocoder inside a graph, for players that expect samples: pitch-conditioned Griffin-Lim in real arithmetic.

The Fourier transforms are matrix products, so every converter and player has the operations. It follows
audio.griffin_lim and audio.excitation; it differs in fewer iterations, zeros beyond the ends, and noise from a table.
Another vocoder takes its place by having the same signature.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from myxtts.audio.excitation import LEVEL, NOISE_HZ, VALLEY, VOICED_HZ, highest_hz
from myxtts.audio.framing import bins_hz, hann, left_padding
from myxtts.audio.mel import mel_basis
from myxtts.config.schema import AudioConfig

VocoderGraph = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Natural-log mel (M, C) and F0 in Hz (M,), 0 where unvoiced -> samples (M * hop,), all float32."""

ITERATIONS = 8
_MAGNITUDE_UPDATES = 6
_MOMENTUM = 0.99
_LARGEST_LOG = 12.0
_NOISE_SAMPLES = 1 << 15
_NEAR = 1e-4


class GriffinLimGraph:
    """The vocoder for one mel definition."""

    def __init__(self, audio: AudioConfig, iterations: int = ITERATIONS) -> None:
        self._audio, self._iterations = audio, iterations
        size, bins = audio.fft_samples, audio.fft_samples // 2 + 1
        self._blocks = -(-size // audio.hop_samples)
        angle = 2.0 * np.pi * np.arange(size)[:, None] * np.arange(bins)[None, :] / size
        window = hann(size).astype(np.float64)[:, None]
        forward = np.concatenate([np.cos(angle), -np.sin(angle)], axis=1) * window
        weight_F1 = np.full((bins, 1), 2.0 / size)
        weight_F1[0] = weight_F1[-1] = 1.0 / size
        inverse = np.concatenate([np.cos(angle).T * weight_F1, -np.sin(angle).T * weight_F1], axis=0)
        self._forward = forward.astype(np.float32)
        self._inverse = (inverse * window.T).astype(np.float32)
        self._basis_CF = mel_basis(audio)
        self._start_CF = np.linalg.pinv(self._basis_CF.astype(np.float64)).T.astype(np.float32)
        self._bin_hz_F = bins_hz(audio).astype(np.float32)
        self._noise_N = np.random.default_rng(0).normal(size=_NOISE_SAMPLES).astype(np.float32)

    def __call__(self, mel_MC: tf.Tensor, pitch_hz_M: tf.Tensor) -> tf.Tensor:
        """Samples of a mel and its pitch: see VocoderGraph."""
        frames = tf.shape(mel_MC)[0]
        magnitude_MF = self._magnitude(mel_MC, pitch_hz_M)
        spectrum = self._phased(magnitude_MF, self._excitation(pitch_hz_M, frames), frames)
        power_N = tf.maximum(self._overlap_add(tf.tile(hann(self._audio.fft_samples)[None] ** 2, [frames, 1])), 1e-3)
        previous = None
        for _ in range(self._iterations):
            consistent = self._transform(self._wave(spectrum, power_N, frames), frames)
            estimate = consistent
            if previous is not None:
                estimate = consistent + _MOMENTUM * (consistent - previous)
            previous = consistent
            spectrum = self._phased(magnitude_MF, estimate, frames)
        return self._wave(spectrum, power_N, frames)

    def _magnitude(self, mel_MC: tf.Tensor, pitch_hz_M: tf.Tensor) -> tf.Tensor:
        """Magnitudes (M, F) with that mel, with harmonics of the pitch (audio.griffin_lim.magnitude_of_mel)."""
        linear_MC = tf.exp(tf.minimum(mel_MC, _LARGEST_LOG))
        start_MF = linear_MC @ self._start_CF
        magnitude_MF = self._refined(tf.maximum(start_MF, 0.01 * tf.abs(start_MF)), linear_MC)
        return self._refined(magnitude_MF * self._combs(pitch_hz_M), linear_MC)

    def _refined(self, magnitude_MF: tf.Tensor, linear_MC: tf.Tensor) -> tf.Tensor:
        wanted_MF = linear_MC @ self._basis_CF
        for _ in range(_MAGNITUDE_UPDATES):
            found_MF = (magnitude_MF @ self._basis_CF.T) @ self._basis_CF
            magnitude_MF *= wanted_MF / tf.maximum(found_MF, 1e-12)
        return magnitude_MF

    def _combs(self, pitch_hz_M: tf.Tensor) -> tf.Tensor:
        """Relative magnitudes (M, F) of harmonics (audio.excitation.combs)."""
        voiced_M1 = tf.expand_dims(pitch_hz_M, 1) > 0.0
        hz_M1 = tf.where(voiced_M1, tf.expand_dims(pitch_hz_M, 1), 1.0)
        nearest_MF = tf.maximum(tf.floor(self._bin_hz_F / hz_M1 + 0.5), 1.0)
        distance_MF = (self._bin_hz_F - nearest_MF * hz_M1) * (self._audio.fft_samples / self._audio.sample_rate_hz)
        comb_MF = tf.maximum(_hann_lobe(distance_MF), VALLEY)
        harmonic_F = np.clip((NOISE_HZ - self._bin_hz_F) / (NOISE_HZ - VOICED_HZ), 0.0, 1.0)
        return tf.where(voiced_M1, comb_MF * harmonic_F + LEVEL * (1.0 - harmonic_F), 1.0)

    def _excitation(self, pitch_hz_M: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """Spectra (M, G) of a pulse train where voiced and below VOICED_HZ, of noise elsewhere."""
        at = tf.math.floormod(tf.range(frames * self._audio.hop_samples), _NOISE_SAMPLES)
        noise = self._transform(tf.gather(self._noise_N, at), frames)
        pulse = self._transform(self._pulses(pitch_hz_M, frames), frames)
        low_F = self._bin_hz_F < highest_hz(self._audio)
        valid_MF = tf.expand_dims(pitch_hz_M > 0.0, 1) & low_F
        return tf.where(tf.concat([valid_MF, valid_MF], axis=1), pulse, noise)

    def _pulses(self, pitch_hz_M: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """A pulse train (M * hop,) at the pitch, interpolated over unvoiced frames (audio.excitation.pulses)."""
        hop, rate = self._audio.hop_samples, self._audio.sample_rate_hz
        log_M = _filled(pitch_hz_M, frames)
        before_M = tf.concat([log_M[:1], log_M[:-1]], axis=0)
        after_M = tf.concat([log_M[1:], log_M[-1:]], axis=0)
        place = ((np.arange(hop) + 0.5) / hop - 0.5).astype(np.float32)
        log = tf.expand_dims(log_M, 1) + tf.maximum(place, 0.0) * tf.expand_dims(after_M - log_M, 1)
        log += tf.maximum(-place, 0.0) * tf.expand_dims(before_M - log_M, 1)
        hz = tf.exp(log)
        turns = tf.cumsum(hz / rate, axis=1)
        # whole turns are dropped in double precision, so that the phase stays exact over a minute
        start_M = tf.cumsum(tf.cast(turns[:, -1], tf.float64), exclusive=True)
        start_M = tf.cast(start_M - tf.floor(start_M), tf.float32)
        half = np.pi * (tf.expand_dims(start_M, 1) + turns)
        count = tf.floor(highest_hz(self._audio) / hz)
        low = tf.sin(half)
        near = tf.abs(low) < _NEAR
        ratio = tf.sin((2.0 * count + 1.0) * half) / tf.where(near, 1.0, low)
        return tf.reshape(tf.where(near, count, 0.5 * (ratio - 1.0)), [-1])

    def _phased(self, magnitude_MF: tf.Tensor, spectrum: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """The spectrum with these magnitudes."""
        real_MF, imaginary_MF = tf.split(spectrum, 2, axis=1)
        scale_MF = magnitude_MF / tf.sqrt(tf.square(real_MF) + tf.square(imaginary_MF) + 1e-16)
        return tf.concat([real_MF * scale_MF, imaginary_MF * scale_MF], axis=1)

    def _transform(self, samples_N: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """Real and imaginary parts (M, 2 F) of the short-time Fourier transform, with zeros beyond the ends."""
        hop, left = self._audio.hop_samples, left_padding(self._audio)
        rows = frames + self._blocks - 1
        padded = tf.pad(samples_N, [[left, (self._blocks - 1) * hop - left]])
        blocks = tf.reshape(padded, [rows, hop])
        parts = [tf.slice(blocks, [j, 0], tf.stack([frames, hop])) for j in range(self._blocks)]
        return tf.concat(parts, axis=1)[:, : self._audio.fft_samples] @ self._forward

    def _wave(self, spectrum: tf.Tensor, power_N: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """The samples (M * hop,) whose transform is closest to a spectrum."""
        left = left_padding(self._audio)
        samples = self._overlap_add(spectrum @ self._inverse) / power_N
        return tf.slice(samples, [left], tf.reshape(frames * self._audio.hop_samples, [1]))

    def _overlap_add(self, frames: tf.Tensor) -> tf.Tensor:
        hop, blocks = self._audio.hop_samples, self._blocks
        missing = blocks * hop - self._audio.fft_samples
        wide = tf.pad(frames, [[0, 0], [0, missing]]) if missing else frames
        parts = [tf.pad(wide[:, j * hop : (j + 1) * hop], [[j, blocks - 1 - j], [0, 0]]) for j in range(blocks)]
        return tf.reshape(tf.add_n(parts), [-1])


def _filled(pitch_hz_M: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    """ln F0 of every frame: linear between the voiced frames on both sides of an unvoiced one."""
    voiced_M = pitch_hz_M > 0.0
    one_M = tf.cast(voiced_M, tf.int32)
    # a made-up last entry, so that nothing is gathered from an empty list
    where_V = tf.concat([tf.cast(tf.where(voiced_M)[:, 0], tf.int32), tf.zeros([1], tf.int32)], axis=0)
    last = tf.maximum(tf.reduce_sum(one_M) - 1, 0)
    seen_M = tf.cumsum(one_M)
    before_M = tf.gather(where_V, tf.clip_by_value(seen_M - 1, 0, last))
    after_M = tf.gather(where_V, tf.clip_by_value(seen_M - one_M, 0, last))
    log_M = tf.math.log(tf.where(voiced_M, pitch_hz_M, 100.0))
    span_M = tf.cast(after_M - before_M, tf.float32)
    share_M = tf.cast(tf.range(frames) - before_M, tf.float32) / tf.maximum(span_M, 1.0)
    start_M, stop_M = tf.gather(log_M, before_M), tf.gather(log_M, after_M)
    return start_M + tf.clip_by_value(share_M, 0.0, 1.0) * (stop_M - start_M)


def _hann_lobe(distance: tf.Tensor) -> tf.Tensor:
    """Magnitude of the Hann window's transform at a distance in bins, 1 at 0; 0 beyond its main lobe."""
    d = tf.minimum(tf.abs(distance), 2.0)
    near_zero, near_one = d < _NEAR * 10, tf.abs(d - 1.0) < _NEAR * 10
    safe = tf.where(near_zero | near_one, 0.5, d)
    lobe = tf.sin(np.pi * safe) / (np.pi * safe * (1.0 - tf.square(safe)))
    return tf.abs(tf.where(near_zero, 1.0, tf.where(near_one, 0.5, lobe)))
