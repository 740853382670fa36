"""The cache key of the features of a recording."""

from __future__ import annotations

import dataclasses

import pytest

from myxtts.config.schema import AudioConfig
from myxtts.data.jobs import audio_settings

OTHER = {
    "sample_rate_hz": 16_000,
    "fft_samples": 2_048,
    "hop_samples": 200,
    "mel_channels": 40,
    "mel_low_hz": 20.0,
    "mel_high_hz": 7_000.0,
    "log_floor": 1e-4,
    "pitch_low_hz": 50.0,
    "pitch_high_hz": 500.0,
    "trim_db": 30.0,
}


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(AudioConfig)])
def test_features_are_computed_again_after_a_change_of_any_audio_setting(name: str) -> None:
    changed = dataclasses.replace(AudioConfig(), **{name: OTHER[name]})
    assert audio_settings(changed) != audio_settings(AudioConfig())
    assert audio_settings(AudioConfig()) == audio_settings(AudioConfig())
