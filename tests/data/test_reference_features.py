"""Prepared references: independent of level and long pauses; the effect of each augmentation."""

import math

import numpy as np
import pytest

from myxtts.audio import mel
from myxtts.audio.activity import LOUD_PERCENTILE, NEPER_OF_DB, PAUSE_FRAMES, loud_level, without_pauses
from myxtts.config.schema import AudioConfig, DataConfig
from myxtts.data.corpus import measure_corpus
from myxtts.data.references import (
    augment,
    concatenate,
    match_level,
    prepare_reference,
)

AUDIO = AudioConfig()


def buzz(seconds=2.0, gain=0.3):
    """Samples of a harmonic tone with syllables."""
    time = np.arange(int(seconds * AUDIO.sample_rate_hz)) / AUDIO.sample_rate_hz
    tones = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 30))
    noise = np.random.default_rng(1).normal(0.0, 0.01, len(time))
    return (gain * (tones * (0.6 + 0.4 * np.sin(20 * time)) + noise)).astype(np.float32)


def mel_of(samples):
    return mel.log_mel(samples, AUDIO)


def draw(seed=1):
    return np.random.default_rng(seed)


def test_a_gain_does_not_change_the_reference(store):
    corpus = measure_corpus(store, {}, "")
    loud, soft = (prepare_reference(mel_of(buzz(gain=gain)), corpus, AUDIO) for gain in (0.5, 0.05))
    assert loud.shape == soft.shape and np.abs(loud - soft).mean() < 0.02
    level = corpus.denormalize_mel(loud).mean()
    assert level == pytest.approx(corpus.mel_mean_C.mean(), abs=0.05)
    assert match_level(np.full((3, 80), -11.0, np.float32), corpus, AUDIO).min() >= math.log(AUDIO.log_floor) - 1e-5


def test_long_pauses_are_cut_and_short_ones_are_not():
    speech, silence = mel_of(buzz(0.5)), mel_of(np.zeros(30 * AUDIO.hop_samples, np.float32))
    with_pause = np.concatenate([speech, silence, speech])
    assert len(without_pauses(with_pause)) == 2 * len(speech) + PAUSE_FRAMES
    short = np.concatenate([speech, silence[:6], speech])
    assert np.array_equal(without_pauses(short), short)
    only = mel_of(np.zeros(20 * AUDIO.hop_samples, np.float32))
    assert len(without_pauses(only)) == len(only), "there is nothing louder"


@pytest.mark.parametrize("frames", [1, 2, 3, 20, 21, 22, 400, 571, 864])
def test_the_loud_frames_are_those_of_numpy(frames):
    loudness = np.random.default_rng(frames).normal(-5.0, 2.0, frames).astype(np.float32)
    assert loud_level(loudness) == np.percentile(loudness, LOUD_PERCENTILE)


def test_noise_adds_up_in_power():
    clean = mel_of(buzz())
    loud = np.percentile(clean.mean(axis=1), LOUD_PERCENTILE)
    random = draw(4)
    distance = 5.0 + 30.0 * random.uniform(size=5)[3]
    expected = 0.5 * np.logaddexp(2.0 * clean, 2.0 * (loud - distance * NEPER_OF_DB))
    assert np.allclose(changed(clean, 4, augment_noise_db=5.0), expected, atol=2e-6)
    assert (changed(clean, 4, augment_noise_db=5.0) > clean).any()


def changed(mel, seed, **settings):
    return augment(mel, DataConfig(**settings), AUDIO, draw(seed))


def test_without_augmentation_nothing_changes():
    clean = mel_of(buzz())
    assert np.array_equal(augment(clean, DataConfig(), AUDIO, draw()), clean)


def test_each_augmentation_does_what_it_says():
    clean = mel_of(buzz())
    band = [changed(clean, s, augment_band=0.5) for s in range(20)]
    assert all(np.array_equal(one[:, 10:40], clean[:, 10:40]) for one in band)
    assert min(float((one - clean)[:, -1].mean()) for one in band) < -2.0
    assert min(float((one - clean)[:, 0].mean()) for one in band) < -2.0
    noisy = [changed(clean, s, augment_noise_db=20.0) for s in range(20)]
    assert all((one >= clean - 1e-4).all() for one in noisy)
    silence = np.concatenate([clean, np.full((50, 80), math.log(1e-5), np.float32)])
    loud = np.percentile(silence.mean(axis=1), 95.0)
    heights = [changed(silence, s, augment_noise_db=20.0)[-1].mean() - loud for s in range(40)]
    assert min(heights) >= -50.5 * NEPER_OF_DB and max(heights) <= -19.5 * NEPER_OF_DB


def test_one_augmentation_does_not_change_the_draw_of_another():
    clean = mel_of(buzz())
    alone = augment(clean, DataConfig(augment_noise_db=20.0), AUDIO, draw(3))
    both = augment(clean, DataConfig(augment_noise_db=20.0, augment_band=0.5), AUDIO, draw(3))
    assert np.array_equal(alone[:, 20], both[:, 20]) and not np.array_equal(alone, both)


def test_the_band_does_not_change_the_level_of_the_noise():
    """The band attenuates channels, but must not lower the loudness from which the noise level follows."""
    clean = np.concatenate([mel_of(buzz()), np.full((50, 80), math.log(1e-5), np.float32)])
    for seed in range(20):
        noisy, both = (changed(clean, seed, augment_noise_db=15.0, **more) for more in ({}, {"augment_band": 0.4}))
        assert np.array_equal(noisy[:, 10:45], both[:, 10:45]), "where nothing is taken away"
        assert (both <= noisy + 1e-6).all()


def test_excerpts_are_concatenated():
    first, second = np.zeros((3, 80), np.float32), np.ones((2, 80), np.float32)
    assert concatenate([first]) is first and concatenate([first, second])[:, 0].tolist() == [0, 0, 0, 1, 1]


def test_a_share_of_the_references_stays_clean():
    clean = mel_of(buzz())
    some = [changed(clean, s, augment_noise_db=20.0, augment_share=0.5) for s in range(40)]
    every = [changed(clean, s, augment_noise_db=20.0) for s in range(40)]
    same = [np.array_equal(one, clean) for one in some]
    assert 10 <= sum(same) <= 30, "each reference draws for itself"
    assert all(np.array_equal(a, b) for a, b, unchanged in zip(some, every, same, strict=True) if not unchanged)
