"""Sentences become one piece of speech."""

import numpy as np

from myxtts.config.schema import AudioConfig
from myxtts.synthesis.speech import HIGHEST_PEAK, join, sane_mel, within_full_scale

AUDIO = AudioConfig()


def test_join_puts_pauses_between_and_keeps_frames_and_samples_together() -> None:
    mels = [np.zeros((frames, 80), np.float32) for frames in (10, 20)]
    waves = [np.full(len(mel) * 256, 0.5, np.float32) for mel in mels]
    samples, mel, places = join(mels, waves, AUDIO, 1.0)
    pause = len(mel) - 30
    assert len(samples) == len(mel) * 256 and 0.24 < pause * 256 / 22_050 < 0.28
    assert np.allclose(mel[10 : 10 + pause], np.log(1e-5)) and not samples[10 * 256 : (10 + pause) * 256].any()
    assert places[1][0] == (10 + pause) * 256 / 22_050 and places[0] == (0.0, 10 * 256 / 22_050)
    assert samples[0] == 0.0 and samples[1000] == 0.5
    assert len(join(mels, waves, AUDIO, 4.0)[1]) < len(mel)


def test_no_peak_clips() -> None:
    assert np.abs(within_full_scale(np.array([0.1, -4.0], np.float32))).max() <= HIGHEST_PEAK + 1e-6
    quiet = np.array([0.1, -0.4], np.float32)
    assert within_full_scale(quiet) is quiet


def test_a_mel_has_a_floor() -> None:
    assert sane_mel(np.array([[-90.0, 1.0]], np.float32), AUDIO).tolist() == [[np.float32(np.log(1e-5)), 1.0]]
