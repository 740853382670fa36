"""Stationary noise is subtracted from references, and clean ones stay as they are."""

import numpy as np
import pytest

from myxtts.audio.denoising import without_noise
from myxtts.config.schema import AudioConfig

AUDIO = AudioConfig()


def speech(seconds: float = 3.0) -> np.ndarray:
    """Syllables of harmonics with pauses between them."""
    time = np.arange(int(seconds * AUDIO.sample_rate_hz)) / AUDIO.sample_rate_hz
    tones = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 30))
    return (0.1 * tones * np.maximum(0.0, np.sin(2 * np.pi * 2.0 * time))).astype(np.float32)


def ratio_db(clean: np.ndarray, other: np.ndarray) -> float:
    """Power of the clean samples relative to that of the difference."""
    return float(10.0 * np.log10(np.square(clean).sum() / np.square(other - clean).sum()))


@pytest.mark.parametrize("seed", [1, 2])
def test_noise_is_subtracted(seed: int) -> None:
    clean = speech()
    noise = np.random.default_rng(seed).standard_normal(len(clean)).astype(np.float32)
    noisy = clean + noise * np.float32(np.sqrt(np.square(clean).mean() / 10.0))
    made = without_noise(noisy, AUDIO)
    assert made.dtype == np.float32 and len(made) == len(noisy)
    assert ratio_db(clean, made) > ratio_db(clean, noisy) + 5.0
    pauses = clean == 0.0
    assert np.square(made[pauses]).mean() < 0.3 * np.square(noisy[pauses]).mean()


def test_a_recording_over_silence_stays_as_it_is() -> None:
    clean = speech()
    assert ratio_db(clean, without_noise(clean, AUDIO)) > 40.0


def test_gaps_without_noise_do_not_hide_it() -> None:
    noise = 0.01 * np.random.default_rng(1).standard_normal(4 * AUDIO.sample_rate_hz).astype(np.float32)
    gaps = np.arange(len(noise)) % 22_050 < 3_300
    noise[gaps] *= np.float32(1e-4)
    assert without_noise(noise, AUDIO)[~gaps].std() < 0.7 * noise[~gaps].std()


def test_a_long_recording_is_computed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = speech() + 0.01 * np.random.default_rng(1).standard_normal(len(speech())).astype(np.float32)
    whole = without_noise(noisy, AUDIO)
    monkeypatch.setattr("myxtts.audio.denoising._BLOCK_FRAMES", 7)
    np.testing.assert_allclose(without_noise(noisy, AUDIO), whole, atol=1e-6)


@pytest.mark.parametrize("samples", [0, 1, 1023, 1024, 5000])
def test_any_length_and_silence(samples: int) -> None:
    silence = np.zeros(samples, np.float32)
    assert np.array_equal(without_noise(silence, AUDIO), silence)
    noise = np.random.default_rng(1).standard_normal(samples).astype(np.float32)
    assert without_noise(noise, AUDIO).shape == (samples,) and np.isfinite(without_noise(noise, AUDIO)).all()
