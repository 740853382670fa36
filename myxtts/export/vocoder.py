"""Vocoders inside a graph, for players that expect samples: the neural one, and pitch-conditioned Griffin-Lim.

Both are in real arithmetic. They follow vocoder.neural and audio.griffin_lim, and differ in noise from a table;
Griffin-Lim also in fewer iterations and zeros beyond the ends.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from myxtts.audio.excitation import LEVEL, NOISE_HZ, UNVOICED_HZ, VALLEY, VOICED_HZ, highest_hz
from myxtts.audio.framing import bins_hz, left_padding
from myxtts.audio.mel import mel_basis
from myxtts.audio.source_filter import HIGHEST_HARMONIC_SHARE, SUBFRAMES, window_samples
from myxtts.config.schema import AudioConfig
from myxtts.export.fourier import Fourier
from myxtts.models.build import load_weights
from myxtts.vocoder.constants import NOISE_BESIDE_HARMONICS, NOISE_GATE_NEPERS, TINY
from myxtts.vocoder.files import VocoderFile
from myxtts.vocoder.network import build_network

VocoderGraph = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Natural-log mel (M, C) and F0 in Hz (M,), 0 where unvoiced -> samples (M * hop,), all float32."""

ITERATIONS = 8
_MAGNITUDE_UPDATES = 6
_MOMENTUM = 0.99
_LARGEST_LOG = 12.0
NOISE_SAMPLES = 1 << 15
_NEAR = 1e-4


def vocoder_graph(vocoder: VocoderFile | None, audio: AudioConfig) -> VocoderGraph:
    """The graph of a vocoder; None: Griffin-Lim."""
    return GriffinLimGraph(audio) if vocoder is None else NeuralGraph(vocoder)


class NeuralGraph:
    """A trained vocoder: the network that was trained, and source-filter synthesis (audio.source_filter) around it."""

    def __init__(self, vocoder: VocoderFile) -> None:
        self._audio = vocoder.audio
        self._network = build_network(vocoder.vocoder, vocoder.audio)
        load_weights(self._network, {name: np.asarray(w, np.float32) for name, w in vocoder.weights.items()})

    def __call__(self, mel_MC: tf.Tensor, pitch_hz_M: tf.Tensor) -> tf.Tensor:
        """Samples of a mel and its pitch: see VocoderGraph."""
        audio, frames = self._audio, SUBFRAMES * tf.shape(mel_MC)[0]
        size, hop = window_samples(audio), audio.hop_samples // SUBFRAMES
        fourier = Fourier(size, hop, (size - hop) // 2)
        half, hz = half_phase(pitch_hz_M, audio)
        density = tf.sqrt(4.0 * hz / audio.sample_rate_hz)
        count = tf.floor(HIGHEST_HARMONIC_SHARE * audio.sample_rate_hz / hz)
        pulses_N = tf.reshape(harmonic_sum(half, count) * density, [-1])
        noise_N = noise_table(frames * hop)
        loud_N, phase_N = noise_N * np.float32(np.sqrt(2.0)), tf.reshape(2.0 * half, [-1])
        streams = pulses_N, noise_N, loud_N * tf.cos(phase_N), loud_N * tf.sin(phase_N)
        pulses, plain, cosine, sine = (tf.split(fourier.transform(x, frames), 2, axis=1) for x in streams)
        voiced_M = tf.cast(pitch_hz_M > 0.0, tf.float32)
        centre_hz_M = hz[:, audio.hop_samples // 2]
        filters = self._network(mel_MC[None], centre_hz_M[None], voiced_M[None])[0]
        real, imaginary, gain, by_cosine, by_sine = tf.unstack(filters, axis=1)
        gain = _attenuated(gain, tf.square(real) + tf.square(imaginary))
        noise = [gain * (plain[k] + by_cosine * cosine[k] + by_sine * sine[k]) for k in (0, 1)]
        spectrum = [real * pulses[0] - imaginary * pulses[1], real * pulses[1] + imaginary * pulses[0]]
        return fourier.samples(tf.concat([spectrum[k] + noise[k] for k in (0, 1)], axis=1), frames)


def _attenuated(gain_MF: tf.Tensor, power_MF: tf.Tensor) -> tf.Tensor:
    """The gain of the noise beside harmonics of a power, as vocoder.neural.attenuate_noise computes it."""
    harmonics = tf.sqrt(power_MF)
    gain_MF *= 1.0 - NOISE_BESIDE_HARMONICS * harmonics / (harmonics + gain_MF + TINY)
    loudest = tf.sqrt(tf.reduce_max(power_MF + tf.square(gain_MF), axis=1, keepdims=True)) + TINY
    return gain_MF * tf.minimum(1.0, gain_MF * (np.float32(np.exp(NOISE_GATE_NEPERS)) / loudest))


class GriffinLimGraph:
    """Griffin-Lim for one mel definition."""

    def __init__(self, audio: AudioConfig, iterations: int = ITERATIONS) -> None:
        self._audio, self._iterations = audio, iterations
        self._basis_CF = mel_basis(audio)
        self._start_CF = np.linalg.pinv(self._basis_CF.astype(np.float64)).T.astype(np.float32)
        self._bin_hz_F = bins_hz(audio).astype(np.float32)

    def __call__(self, mel_MC: tf.Tensor, pitch_hz_M: tf.Tensor) -> tf.Tensor:
        """Samples of a mel and its pitch: see VocoderGraph."""
        audio, frames = self._audio, tf.shape(mel_MC)[0]
        fourier = Fourier(audio.fft_samples, audio.hop_samples, left_padding(audio))
        magnitude_MF = self._magnitude(mel_MC, pitch_hz_M)
        spectrum = self._phased(magnitude_MF, self._excitation(fourier, pitch_hz_M, frames))
        previous = None
        for _ in range(self._iterations):
            consistent = fourier.transform(fourier.samples(spectrum, frames), frames)
            estimate = consistent
            if previous is not None:
                estimate = consistent + _MOMENTUM * (consistent - previous)
            previous = consistent
            spectrum = self._phased(magnitude_MF, estimate)
        return fourier.samples(spectrum, frames)

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

    def _excitation(self, fourier: Fourier, pitch_hz_M: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """Spectra (M, G) of a pulse train where voiced and below VOICED_HZ, of noise elsewhere."""
        noise = fourier.transform(noise_table(frames * self._audio.hop_samples), frames)
        half, hz = half_phase(pitch_hz_M, self._audio)
        pulses = harmonic_sum(half, tf.floor(highest_hz(self._audio) / hz))
        pulse = fourier.transform(tf.reshape(pulses, [-1]), frames)
        low_F = self._bin_hz_F < highest_hz(self._audio)
        valid_MF = tf.expand_dims(pitch_hz_M > 0.0, 1) & low_F
        return tf.where(tf.concat([valid_MF, valid_MF], axis=1), pulse, noise)

    def _phased(self, magnitude_MF: tf.Tensor, spectrum: tf.Tensor) -> tf.Tensor:
        """The spectrum with these magnitudes."""
        real_MF, imaginary_MF = tf.split(spectrum, 2, axis=1)
        scale_MF = magnitude_MF / tf.sqrt(tf.square(real_MF) + tf.square(imaginary_MF) + 1e-16)
        return tf.concat([real_MF * scale_MF, imaginary_MF * scale_MF], axis=1)


def noise_table(samples: tf.Tensor) -> tf.Tensor:
    """Noise of variance 1 (N,), which repeats after NOISE_SAMPLES: players give no seed."""
    table = np.random.default_rng(0).normal(size=NOISE_SAMPLES).astype(np.float32)
    return tf.gather(tf.constant(table), tf.math.floormod(tf.range(samples), NOISE_SAMPLES))


def half_phase(pitch_hz_M: tf.Tensor, audio: AudioConfig) -> tuple[tf.Tensor, tf.Tensor]:
    """Half of the phase of the fundamental in radians, and its frequency in Hz, (M, hop) each: as audio.excitation."""
    hop, rate = audio.hop_samples, audio.sample_rate_hz
    log_M = _filled(pitch_hz_M, tf.shape(pitch_hz_M)[0])
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
    return np.pi * (tf.expand_dims(start_M, 1) + turns), hz


def harmonic_sum(half: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Sum of `count` harmonics of a fundamental with that half of its phase (audio.excitation.harmonic_sum)."""
    low = tf.sin(half)
    near = tf.abs(low) < _NEAR
    ratio = tf.sin((2.0 * count + 1.0) * half) / tf.where(near, 1.0, low)
    return tf.where(near, count, 0.5 * (ratio - 1.0))


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
    log_M = tf.math.log(tf.where(voiced_M, pitch_hz_M, UNVOICED_HZ))
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
