"""The spectral energy distance: what it prefers, and what it leaves out."""

from __future__ import annotations

from typing import Any

import numpy as np

from myxtts.vocoder.distance import distance, energy_distance, frames_of, spectra

RATE = 22_050
FULL = np.array([RATE / 2], np.float32)


def noise(seed: int, level: float = 0.1) -> Any:
    return level * np.random.default_rng(seed).standard_normal([1, 8_192]).astype(np.float32)


def of(*signals: Any, bandwidth: np.ndarray = FULL) -> float:
    return float(energy_distance(*(spectra(x) for x in signals), bandwidth, RATE)[0])


def test_frames_overlap() -> None:
    frames = frames_of(np.arange(16, dtype=np.float32)[None], 8, 4).numpy()[0]
    assert frames.tolist() == [list(range(8)), list(range(4, 12)), list(range(8, 16))]


def test_noise_of_the_right_level_beats_silence_and_louder_noise() -> None:
    true = noise(1)
    right = of(true, noise(2), noise(3))
    silence = np.zeros_like(true)
    assert right < of(true, silence, silence)
    assert right < of(true, noise(2, 0.2), noise(3, 0.2))
    assert right < of(true, noise(2, 0.05), noise(3, 0.05))


def test_draws_that_differ_beat_draws_that_do_not() -> None:
    true = noise(1)
    assert of(true, noise(2), noise(3)) < of(true, noise(2), noise(2))


def test_less_repulsion_prefers_less_noise() -> None:
    true = noise(1)

    def gain(repulsion: float) -> float:
        """How much worse it is to have all of the noise in two draws than seven tenths."""
        loud, soft = (
            energy_distance(spectra(true), spectra(scale * noise(2)), spectra(scale * noise(3)), FULL, RATE, repulsion)
            for scale in (1.0, 0.7)
        )
        return float(loud[0] - soft[0])

    assert gain(0.5) > gain(1.0)


def test_bins_above_the_bandwidth_do_not_count() -> None:
    true, time = noise(1), np.arange(8_192) / RATE
    hiss = (true + 0.3 * np.sin(2 * np.pi * 9_500.0 * time)).astype(np.float32)
    limited = np.array([7_000.0], np.float32)
    assert float(distance(spectra(true), spectra(hiss), FULL, RATE)[0]) > 0.05
    assert float(distance(spectra(true), spectra(hiss), limited, RATE)[0]) < 0.01


def test_silence_has_finite_gradients() -> None:
    import tensorflow as tf

    silence = tf.Variable(np.zeros([1, 8_192], np.float32))
    with tf.GradientTape() as tape:
        loss = energy_distance(spectra(noise(1)), spectra(silence), spectra(silence), FULL, RATE)
    assert np.isfinite(tape.gradient(loss, silence).numpy()).all()
