"""The pitch tracker against synthetic voices whose pitch is known."""

from __future__ import annotations

import time

import numpy as np
import pytest

from myxtts.audio import mel, pitch
from myxtts.config.schema import AudioConfig

AUDIO = AudioConfig()


def voice(f0_N: np.ndarray, voiced_N: np.ndarray | None = None) -> np.ndarray:
    """A sum of harmonics under 5 kHz falling by 6 dB an octave, with a little noise everywhere."""
    phase = 2 * np.pi * np.cumsum(f0_N) / 22_050
    clip = sum(np.where(k * f0_N < 5_000, np.sin(k * phase) / k, 0.0) for k in range(1, 60))
    noise = 0.02 * np.random.default_rng(0).standard_normal(len(f0_N))
    return (0.2 * clip * (1.0 if voiced_N is None else voiced_N) + noise).astype(np.float32)


@pytest.mark.parametrize("hz", [75, 110, 150, 220, 330, 450, 580])
def test_steady_pitch_is_found_to_five_cents_without_octave_errors(hz: int) -> None:
    found = pitch.track(voice(np.full(22_050, float(hz))), AUDIO)[3:-3]
    assert np.all(found > 0)
    assert np.abs(1_200 * np.log2(found / hz)).max() < 5


def test_frames_line_up_with_the_mel() -> None:
    f0 = 120.0 * 2 ** np.linspace(0.0, 1.0, 30_000)
    found = pitch.track(voice(f0), AUDIO)
    assert len(found) == len(mel.log_mel(voice(f0), AUDIO))
    truth = f0[np.minimum(np.arange(len(found)) * 256 + 128, len(f0) - 1)]
    inside = slice(5, -5)
    # One hop of this glide is 10 cents: half a hop's shift would show.
    assert np.abs(np.mean(1_200 * np.log2(found[inside] / truth[inside]))) < 2


def test_unvoiced_parts_are_zero() -> None:
    voiced = np.zeros(44_100)
    voiced[11_025:33_075] = 1.0
    found = pitch.track(voice(np.full(44_100, 180.0), voiced), AUDIO)
    assert np.mean(found[:38] > 0) < 0.1 and np.mean(found[136:] > 0) < 0.1
    assert np.mean(found[48:124] > 0) > 0.98


@pytest.mark.parametrize("samples", [0, 1, 100, 256, 257, 1_000, 1_019, 4_000])
def test_any_length_gives_its_frames(samples: int) -> None:
    clip = voice(np.full(samples, 200.0)) if samples else np.zeros(0, np.float32)
    found = pitch.track(clip, AUDIO)
    assert found.shape == (-(-samples // 256),) and found.dtype == np.float32
    assert np.isfinite(found).all()


def test_silence_and_offset_have_no_pitch() -> None:
    assert not pitch.track(np.zeros(5_000, np.float32), AUDIO).any()
    assert not pitch.track(np.full(5_000, 0.5, np.float32), AUDIO).any()


def test_the_range_is_kept_and_repeats_are_equal() -> None:
    clip = np.random.default_rng(3).standard_normal(40_000).astype(np.float32)
    once = pitch.track(clip, AUDIO)
    voiced = once[once > 0]
    assert np.array_equal(once, pitch.track(clip, AUDIO))
    assert np.all((voiced >= 60.0) & (voiced <= 600.0))


def test_thirty_times_real_time() -> None:
    clip = voice(np.full(22_050 * 10, 160.0))
    pitch.track(clip[:22_050], AUDIO)
    start = time.process_time()
    pitch.track(clip, AUDIO)
    assert time.process_time() - start < 10 / 30
