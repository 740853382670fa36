"""Griffin-Lim: length, determinism, quality, and what a pitch adds."""

from __future__ import annotations

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


def vowel(hz: float = 180.0, samples: int = 22_050) -> np.ndarray:
    """Harmonics up to 4.5 kHz, most of them where a mel channel is wider than their distance."""
    time_N = np.arange(samples) / 22_050
    return (0.02 * sum(np.cos(2 * np.pi * k * hz * time_N + k * k) for k in range(1, 26))).astype(np.float32)


def comb_depth(clip: np.ndarray, hz: float = 180.0) -> float:
    """How much stronger 2.5 to 4.5 kHz is at the multiples of a pitch than half way between them."""
    spectrum = np.abs(np.fft.rfft(clip[4_000:18_000] * np.hanning(14_000)))
    at = [round(k * hz * 14_000 / 22_050) for k in range(14, 25)]
    between = [round((k + 0.5) * hz * 14_000 / 22_050) for k in range(14, 25)]
    strength = [float(np.mean([spectrum[i - 2 : i + 3].max() for i in rows])) for rows in (at, between)]
    return strength[0] / strength[1]


def test_a_pitch_gives_harmonics_where_the_mel_shows_none() -> None:
    log_mel = mel.log_mel(vowel(), AUDIO)
    pitch = np.full(len(log_mel), 180.0, np.float32)
    plain, conditioned = (griffin_lim.waveform_of_mel(log_mel, AUDIO, pitch_hz_M=hz) for hz in (None, pitch))
    assert comb_depth(vowel()) > 100.0
    assert comb_depth(conditioned) > 5.0 * comb_depth(plain) and comb_depth(conditioned) > 10.0
    assert distance(np.exp(mel.log_mel(conditioned, AUDIO)), np.exp(log_mel)) < 0.12


def test_without_a_voiced_frame_the_mel_is_as_near_as_without_a_pitch() -> None:
    log_mel = mel.log_mel(harmonic_clip(5_000), AUDIO)
    conditioned = griffin_lim.waveform_of_mel(log_mel, AUDIO, 4, pitch_hz_M=np.zeros(len(log_mel), np.float32))
    again = mel.log_mel(conditioned, AUDIO)
    plain = mel.log_mel(griffin_lim.waveform_of_mel(log_mel, AUDIO, 4), AUDIO)
    assert np.abs(again - plain).mean() < 0.1


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_few_voiced_frames(frames: int) -> None:
    pitch = np.array([600.0, 65.0, 0.0, 120.0, 0.0][:frames], np.float32)
    clip = griffin_lim.waveform_of_mel(np.full((frames, 80), -2.0, np.float32), AUDIO, 4, pitch_hz_M=pitch)
    assert clip.shape == (frames * 256,) and np.isfinite(clip).all()
