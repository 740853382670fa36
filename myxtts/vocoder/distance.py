"""Source-filter synthesis with gradients, and the spectral energy distance that trains the vocoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from myxtts.audio.framing import hann
from myxtts.audio.source_filter import SUBFRAMES, window_samples
from myxtts.config.schema import AudioConfig

WINDOWS = (2048, 1024, 512, 256, 128)
"""Lengths of the windows in which spectra are compared, in samples."""
LOG_FLOOR, ROOT_FLOOR = 1e-5, 1e-6
"""Added to powers; at a window of 1,024 the first is the power of noise at -76 dB."""
Spectra = Sequence[tuple[tf.Tensor, tf.Tensor]]


def frames_of(samples_BN: tf.Tensor, length: int, hop: int) -> tf.Tensor:
    """Overlapping frames (B, A, length), `hop` apart; N and `length` are multiples of `hop`."""
    blocks = tf.reshape(samples_BN, [tf.shape(samples_BN)[0], -1, hop])
    overlap = length // hop
    count = tf.shape(blocks)[1] - overlap + 1
    return tf.concat([blocks[:, k : k + count] for k in range(overlap)], axis=-1)


def transform(samples_BN: tf.Tensor, audio: AudioConfig) -> tf.Tensor:
    """As audio.source_filter.transform, complex64 (B, SUBFRAMES * M, F)."""
    length, hop = window_samples(audio), audio.hop_samples // SUBFRAMES
    left = (length - hop) // 2
    padded = tf.pad(samples_BN, [[0, 0], [left, length - hop - left]])
    return tf.signal.rfft(tf.signal.frame(padded, length, hop) * hann(length))


def inverse(spectrum_BMF: tf.Tensor, audio: AudioConfig) -> tf.Tensor:
    """As audio.source_filter.inverse, float32 (B, N)."""
    length, hop = window_samples(audio), audio.hop_samples // SUBFRAMES
    window, blocks = hann(length), -(-length // hop)
    window_blocks = np.pad(window, (0, blocks * hop - length)).reshape(blocks, hop)
    frames = tf.signal.irfft(spectrum_BMF, [length]) * window
    frames = tf.pad(frames, [[0, 0], [0, 0], [0, blocks * hop - length]])
    shape = tf.shape(frames)
    parts = tf.reshape(frames, [shape[0], shape[1], blocks, hop])
    places = [[[0, 0], [k, blocks - 1 - k], [0, 0]] for k in range(blocks)]
    total = tf.add_n([tf.pad(parts[:, :, k], places[k]) for k in range(blocks)])
    ones = tf.ones([1, shape[1], 1])
    weight = tf.add_n([tf.pad(ones * window_blocks[k] ** 2, places[k]) for k in range(blocks)])
    flat = tf.reshape(total / tf.maximum(weight, 1e-3), [shape[0], -1])
    left = (length - hop) // 2
    return flat[:, left : left + shape[1] * hop]


def harmonic_part(filters_BM5F: tf.Tensor, pulses_BN: tf.Tensor, audio: AudioConfig) -> tf.Tensor:
    """The filtered pulses in the domain of the transform, as real and imaginary part (2, B, A, F)."""
    spectrum = transform(pulses_BN, audio)
    real, imaginary = tf.math.real(spectrum), tf.math.imag(spectrum)
    a, b = filters_BM5F[:, :, 0], filters_BM5F[:, :, 1]
    return tf.stack([a * real - b * imaginary, a * imaginary + b * real])


def noise_part(filters_BM5F: tf.Tensor, noise_BN: tf.Tensor, phase_BN: tf.Tensor, audio: AudioConfig) -> tf.Tensor:
    """The filtered noise in the domain of the transform, as real and imaginary part (2, B, A, F)."""
    root = np.float32(np.sqrt(2.0))
    streams = [noise_BN, noise_BN * root * tf.cos(phase_BN), noise_BN * root * tf.sin(phase_BN)]
    plain, cosine, sine = (
        tf.stack([tf.math.real(x), tf.math.imag(x)]) for x in (transform(stream, audio) for stream in streams)
    )
    gain, by_cosine, by_sine = (filters_BM5F[:, :, k][None] for k in (2, 3, 4))
    return gain * (plain + by_cosine * cosine + by_sine * sine)


def synthesize(parts: tf.Tensor, audio: AudioConfig) -> tf.Tensor:
    """Samples (B, N) of a spectrum given as real and imaginary part (2, B, A, F)."""
    return inverse(tf.complex(parts[0], parts[1]), audio)


def spectra(samples_BN: tf.Tensor) -> Spectra:
    """Log magnitudes and magnitudes to the power of 1/2 in each of WINDOWS, (B, A, F) each."""
    found = []
    for length in WINDOWS:
        frames = frames_of(samples_BN, length, length // 4) * (hann(length) * np.float32((1024 / length) ** 0.5))
        spectrum = tf.signal.rfft(frames)
        power = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
        found.append((0.5 * tf.math.log(power + LOG_FLOOR), tf.sqrt(tf.sqrt(power + ROOT_FLOOR))))
    return found


def distance(a: Spectra, b: Spectra, bandwidth_hz_B: tf.Tensor, sample_rate_hz: int) -> tf.Tensor:
    """Distance (B,) of two signals by their spectra, over the bins below a bandwidth: a mean over windows of the RMS of
    the log difference in each frame and of the difference of the compressed magnitudes."""
    total = 0.0
    for length, (log_a, root_a), (log_b, root_b) in zip(WINDOWS, a, b, strict=True):
        hz_F = np.arange(length // 2 + 1, dtype=np.float32) * sample_rate_hz / length
        inside = tf.cast(hz_F < bandwidth_hz_B[:, None, None], tf.float32)
        weight = inside / tf.reduce_mean(inside, axis=-1, keepdims=True)
        rms = tf.sqrt(tf.reduce_mean(weight * tf.square(log_a - log_b), axis=-1) + 1e-6)
        total += tf.reduce_mean(rms, axis=1) + tf.reduce_mean(weight * tf.abs(root_a - root_b), axis=[1, 2])
    return total / len(WINDOWS)


def energy_distance(
    true: Spectra,
    one: Spectra,
    other: Spectra,
    bandwidth_hz_B: tf.Tensor,
    sample_rate_hz: int,
    repulsion: float = 1.0,
) -> tf.Tensor:
    """The spectral energy distance (B,) of two draws of a generator to a recording.

    Its minimum is the distribution of the recordings: the repulsion of the draws keeps noise from becoming silence.
    With a `repulsion` below 1 the draws vary less than the recordings, so there is less noise.

    Source: arXiv 2008.01160, eq. 3, where the repulsion is 1.
    """
    attraction = sum(distance(true, draw, bandwidth_hz_B, sample_rate_hz) for draw in (one, other))
    return attraction - repulsion * distance(one, other, bandwidth_hz_B, sample_rate_hz)
