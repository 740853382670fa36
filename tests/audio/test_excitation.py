"""What a pitch says of a spectrum: combs, pulses and their phases."""

from __future__ import annotations

import numpy as np
import pytest

from myxtts.audio import excitation
from myxtts.audio.framing import bins_hz
from myxtts.config.schema import AudioConfig

AUDIO = AudioConfig()


def track(*hz: float) -> np.ndarray:
    return np.array(hz, np.float32)


def test_pulses_are_the_sum_of_their_harmonics() -> None:
    pitch = track(*[220.0] * 6, *[150.0] * 6)
    found = excitation.pulses(pitch, AUDIO)
    middle = (np.arange(len(found)) + 0.5) / 256 - 0.5
    hz = np.exp(np.interp(middle, np.arange(12), np.log(pitch.astype(np.float64))))
    phase = 2.0 * np.pi * np.cumsum(hz) / 22_050
    expected = sum(np.cos(k * phase) * (k * hz <= excitation.VOICED_HZ) for k in range(1, 40))
    assert found.shape == (12 * 256,) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_unvoiced_frames_are_passed_over_and_nothing_voiced_is_silence() -> None:
    assert not excitation.pulses(track(0.0, 0.0, 0.0), AUDIO).any()
    bridged = excitation.pulses(track(200.0, 0.0, 200.0), AUDIO)
    np.testing.assert_array_equal(bridged, excitation.pulses(track(200.0, 200.0, 200.0), AUDIO))


def test_combs_are_high_at_harmonics_and_low_between() -> None:
    bins = bins_hz(AUDIO)
    voiced, unvoiced = excitation.combs(track(10 * bins[1], 0.0), AUDIO)  # every tenth bin is a harmonic
    assert (unvoiced == 1.0).all()
    below = round(excitation.VOICED_HZ / bins[1]) // 10 * 10
    np.testing.assert_allclose(voiced[10:below:10], 1.0, atol=1e-6)
    np.testing.assert_allclose(voiced[5:below:10], excitation.VALLEY, atol=1e-6)
    np.testing.assert_allclose(voiced[bins > excitation.NOISE_HZ], excitation.LEVEL)


def test_at_a_low_sample_rate_no_pulse_is_folded_back() -> None:
    audio = AudioConfig(8_000, 512, 128, 40, 0.0, 4_000.0)
    found = excitation.pulses(track(*[390.0] * 40), audio)
    spectrum = np.abs(np.fft.rfft(found[:4_000] * np.hanning(4_000)))
    harmonics = [round(k * 390.0 / 2.0) for k in range(1, 10)]  # bins of 2 Hz; the tenth would lie at 3,900 Hz
    strong = np.flatnonzero(spectrum > 0.1 * spectrum.max())
    assert all(min(abs(bin_ - h) for h in harmonics) <= 2 for bin_ in strong)


def test_phases_hold_in_voiced_frames_up_to_the_voiced_frequency() -> None:
    angle, holds = excitation.phases(track(0.0, *[300.0] * 8, 0.0), AUDIO)
    assert angle.shape == holds.shape == (10, 513)
    assert not holds[0].any() and not holds[-1].any()
    assert holds[4].sum() == (bins_hz(AUDIO) < excitation.VOICED_HZ).sum()
    # a harmonic's phase turns by its frequency times the hop
    harmonic = round(5 * 300.0 / 22_050 * 1_024)
    turned = np.exp(1j * (angle[5, harmonic] - angle[4, harmonic] - 2.0 * np.pi * 1_500.0 * 256 / 22_050))
    assert turned == pytest.approx(1.0, abs=1e-2)
