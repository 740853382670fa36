"""Griffin-Lim: length, determinism, quality and speed."""

from __future__ import annotations

import time

import numpy as np
import pytest

from myxtts.audio import griffin_lim, mel
from myxtts.config.schema import AudioConfig

AUDIO = AudioConfig()


def harmonic_clip(samples: int = 22_050) -> np.ndarray:
    t = np.arange(samples) / 22_050
    phase = 2 * np.pi * np.cumsum(150 + 30 * np.sin(2 * np.pi * 2 * t)) / 22_050
    return (0.1 * sum(np.sin(k * phase) / k for k in range(1, 30)) * np.hanning(samples)).astype(np.float32)


def distance(predicted: np.ndarray, true: np.ndarray) -> float:
    """Spectral convergence: error over the true spectrum, in Frobenius norms."""
    return float(np.linalg.norm(predicted - true) / np.linalg.norm(true))


def test_a_harmonic_clip_comes_back() -> None:
    log_mel = mel.log_mel(harmonic_clip(), AUDIO)
    clip = griffin_lim.waveform_of_mel(log_mel, AUDIO)
    assert clip.dtype == np.float32 and len(clip) == len(log_mel) * 256
    again = mel.log_mel(clip, AUDIO)
    assert distance(np.exp(again), np.exp(log_mel)) < 0.12


def test_more_iterations_come_nearer() -> None:
    log_mel = mel.log_mel(harmonic_clip(), AUDIO)
    distances = [
        distance(np.exp(mel.log_mel(griffin_lim.waveform_of_mel(log_mel, AUDIO, n), AUDIO)), np.exp(log_mel))
        for n in (0, 4, 32)
    ]
    assert distances[2] < distances[1] < distances[0]


def test_magnitudes_are_not_negative_and_give_the_mel_back() -> None:
    log_mel = mel.log_mel(harmonic_clip(), AUDIO)
    magnitude = griffin_lim.magnitude_of_mel(log_mel, AUDIO)
    assert magnitude.min() >= 0.0
    assert distance(magnitude @ mel.mel_basis(AUDIO).T, np.exp(log_mel)) < 0.03


def test_same_seed_same_samples() -> None:
    log_mel = mel.log_mel(harmonic_clip(5_000), AUDIO)
    first, second, other = (griffin_lim.waveform_of_mel(log_mel, AUDIO, 4, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("frames", [0, 1, 2, 3, 5])
def test_few_frames(frames: int) -> None:
    clip = griffin_lim.waveform_of_mel(np.full((frames, 80), -2.0, np.float32), AUDIO, 4)
    assert clip.shape == (frames * 256,) and np.isfinite(clip).all()


def test_what_an_untrained_model_gives_does_not_overflow() -> None:
    wild = np.random.default_rng(0).uniform(-300.0, 300.0, (20, 80)).astype(np.float32)
    assert np.isfinite(griffin_lim.waveform_of_mel(wild, AUDIO, 8)).all()


def test_a_hop_that_does_not_divide_the_window() -> None:
    audio = AudioConfig(16_000, 512, 200, 40, 50.0, 7_600.0)
    log_mel = mel.log_mel(harmonic_clip(), audio)
    clip = griffin_lim.waveform_of_mel(log_mel, audio)
    assert len(clip) == len(log_mel) * 200
    assert distance(np.exp(mel.log_mel(clip, audio)), np.exp(log_mel)) < 0.2


def test_ten_times_real_time() -> None:
    log_mel = mel.log_mel(np.tile(harmonic_clip(), 5), AUDIO)
    start = time.process_time()
    griffin_lim.waveform_of_mel(log_mel, AUDIO)
    assert time.process_time() - start < 5 / 10
