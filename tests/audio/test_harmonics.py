"""The comb of harmonics against the mels of real pulse trains."""

from __future__ import annotations

import math

import numpy as np
import pytest

from myxtts.audio.harmonics import STEPS, comb, harmonic_table
from myxtts.audio.mel import log_mel
from myxtts.config.schema import AudioConfig

AUDIO = AudioConfig()
NARROW = 30
"""The lower channels tell harmonics apart."""


def pulses(pitch_hz: float, seconds: float = 0.5) -> np.ndarray:
    """Harmonics of one strength, their phases spread, far enough under the Nyquist frequency."""
    time = np.arange(int(seconds * AUDIO.sample_rate_hz)) / AUDIO.sample_rate_hz
    count = int(10_000 / pitch_hz)
    return sum(0.01 * np.cos(2 * np.pi * pitch_hz * k * time + 1.7 * k * k) for k in range(1, count + 1))


@pytest.mark.parametrize("pitch_hz", [90.0, 130.0, 210.0, 320.0])
def test_a_comb_is_what_a_pulse_train_of_that_pitch_looks_like(pitch_hz: float) -> None:
    mel_MC = log_mel(pulses(pitch_hz).astype(np.float32), AUDIO)
    true = mel_MC[len(mel_MC) // 2 - 4 : len(mel_MC) // 2 + 4].mean(axis=0)
    made = comb(pitch_hz, AUDIO)
    # in the valleys the comb has a floor, as recorded speech has
    peaks = true[:NARROW] > np.percentile(true[:NARROW], 75)
    assert np.corrcoef(made[:NARROW], true[:NARROW])[0, 1] > 0.88
    difference = (made - true)[:NARROW][peaks]
    assert difference.std() < 0.1, "at the harmonics nothing but the strength is different"
    others = [comb(pitch_hz * factor, AUDIO)[:NARROW] for factor in (0.9, 1.1, 1.25)]
    own = np.abs(made[:NARROW] - made[:NARROW].mean() - (true[:NARROW] - true[:NARROW].mean())).mean()
    for other in others:
        assert np.abs(other - other.mean() - (true[:NARROW] - true[:NARROW].mean())).mean() > 1.5 * own


def test_the_comb_is_flat_where_harmonics_are_not_resolved() -> None:
    made = comb(100.0, AUDIO)
    assert np.ptp(made[60:]) < 0.1 and abs(made[60:].mean()) < 0.35
    assert np.ptp(made[:NARROW]) > 1.0


def test_a_table_by_the_pitch_as_the_corpus_normalizes_it() -> None:
    table = harmonic_table(AUDIO, 5.0, 0.25)
    assert table.comb_IC.shape == (STEPS, AUDIO.mel_channels) and table.comb_IC.dtype == np.float32
    assert np.isfinite(table.comb_IC).all()
    assert table.lowest * 0.25 + 5.0 == pytest.approx(math.log(AUDIO.pitch_low_hz))
    assert table.highest * 0.25 + 5.0 == pytest.approx(math.log(AUDIO.pitch_high_hz))
    row = 100
    pitch_hz = math.exp(5.0 + 0.25 * (table.lowest + (table.highest - table.lowest) * row / (STEPS - 1)))
    np.testing.assert_allclose(table.comb_IC[row], comb(pitch_hz, AUDIO), atol=1e-4)
    assert harmonic_table(AUDIO, 4.0, 0.5).comb_IC is table.comb_IC, "made once for a convention of the mel"


def test_other_mels_have_other_combs() -> None:
    import dataclasses

    few = dataclasses.replace(AUDIO, mel_channels=40)
    assert comb(150.0, few).shape == (40,) and np.isfinite(comb(150.0, few)).all()
    # triangles narrower than a bin hold no bin: they have no comb, and nothing breaks
    many = dataclasses.replace(AUDIO, mel_channels=300)
    assert np.isfinite(comb(150.0, many)).all()
