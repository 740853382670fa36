"""Sentences become one piece of speech."""

import numpy as np
import pytest

from myxtts.config.schema import AudioConfig
from myxtts.synthesis.speech import HIGHEST_PEAK, gain_for, level_db, louder, ready_to_join, sane_mel

AUDIO = AudioConfig()


def test_a_pause_stands_between_sentences_and_frames_go_with_samples() -> None:
    mel_MC, wave_N = np.zeros((20, 80), np.float32), np.full(20 * 256, 0.5, np.float32)
    mel, samples = ready_to_join(mel_MC, wave_N, AUDIO, 1.0, first=False)
    pause = len(mel) - 20
    assert len(samples) == len(mel) * 256 and 0.24 < pause * 256 / 22_050 < 0.28
    assert np.allclose(mel[:pause], np.log(1e-5)) and not mel[pause:].any() and not samples[: pause * 256].any()
    assert samples[pause * 256] == 0.0 and samples[pause * 256 + 1000] == 0.5 and samples[-1] == 0.0
    assert len(ready_to_join(mel_MC, wave_N, AUDIO, 4.0, first=False)[0]) < len(mel)
    assert len(ready_to_join(mel_MC, wave_N, AUDIO, 1.0, first=True)[1]) == 20 * 256


def test_level_is_in_decibels() -> None:
    mel_MC = np.random.default_rng(1).normal(size=(30, 80)).astype(np.float32)
    assert level_db(louder(mel_MC, 4.5)) - level_db(mel_MC) == pytest.approx(4.5, abs=1e-4)
    assert np.isfinite(level_db(np.full((3, 80), -11.5, np.float32)))


def test_no_peak_clips() -> None:
    loud = np.array([0.1, -4.0], np.float32)
    assert np.abs(loud * np.float32(gain_for(loud))).max() <= HIGHEST_PEAK + 1e-6
    assert gain_for(np.array([0.1, -0.4], np.float32)) == 1.0 and gain_for(np.zeros(0, np.float32)) == 1.0


def test_a_mel_has_a_floor() -> None:
    assert sane_mel(np.array([[-90.0, 1.0]], np.float32), AUDIO).tolist() == [[np.float32(np.log(1e-5)), 1.0]]
