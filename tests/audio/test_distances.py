"""Figures between a recording and speech: examples whose answer is known, and a slow reference beside the fast one."""

import numpy as np
import pytest

from myxtts.audio.distances import (
    cepstra,
    clip_distances,
    mel_cepstral_distortion,
    pitch_error,
    token_duration_error,
    voicing_error,
    warping_path,
)

CHANNELS = 80


def glide(frames: int, channels: int = CHANNELS, seed: int = 0) -> np.ndarray:
    """A smooth log-mel: a few cosines over the channels whose weights move slowly."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0.0, 1.0, frames)[:, None]
    weights = np.concatenate([np.sin(2 * np.pi * (f + 1) * time + rng.normal()) for f in range(6)], axis=1)
    n = (np.arange(channels) + 0.5) / channels
    return (-5.0 + weights @ np.cos(np.pi * np.arange(1, 7)[:, None] * n)).astype(np.float32)


def slow_cost(one: np.ndarray, other: np.ndarray) -> float:
    """The least sum of distances along a path, by the definition."""
    distance = np.linalg.norm(one[:, None] - other[None], axis=2)
    cost = np.full((len(one) + 1, len(other) + 1), np.inf)
    cost[0, 0] = 0.0
    for i in range(len(one)):
        for j in range(len(other)):
            cost[i + 1, j + 1] = distance[i, j] + min(cost[i, j], cost[i, j + 1], cost[i + 1, j])
    return float(cost[-1, -1])


def test_a_clip_is_nought_from_itself() -> None:
    mel, pitch = glide(90), np.where(np.arange(90) % 9 < 6, 140.0, 0.0)
    found = clip_distances(mel, pitch, mel, pitch)
    assert (found.mcd_db, found.pitch_error_semitones, found.pitch_shift_semitones) == (0.0, 0.0, 0.0)
    assert (found.voicing_error, found.length_ratio, found.length_error) == (0.0, 1.0, 0.0)


@pytest.mark.parametrize("channels", [40, 80, 100])
def test_a_ripple_of_the_spectrum_is_its_rms_in_decibels(channels: int) -> None:
    """A cosine of amplitude a nepers over the channels: 20 / ln 10 * a / sqrt 2 dB, whatever the number of channels."""
    mel = glide(30, channels)
    n = (np.arange(channels) + 0.5) / channels
    for k, amplitude in ((1, 0.5), (7, 0.2), (13, 1.0)):
        made = mel + amplitude * np.cos(np.pi * k * n)
        found = cepstra(made) - cepstra(mel)
        assert found[:, k - 1] == pytest.approx(amplitude, abs=1e-6)
        one, other = mel[:1], made[:1]
        expected = 20.0 / np.log(10.0) * amplitude / np.sqrt(2.0)
        assert mel_cepstral_distortion(one, other)[0] == pytest.approx(expected, rel=1e-5)


def test_level_and_fine_detail_are_no_distortion() -> None:
    mel = glide(40)
    n = (np.arange(CHANNELS) + 0.5) / CHANNELS
    assert mel_cepstral_distortion(mel, mel + 3.0)[0] == pytest.approx(0.0, abs=1e-5)
    assert mel_cepstral_distortion(mel, mel + np.cos(np.pi * 14 * n))[0] == pytest.approx(0.0, abs=1e-5)


def test_slower_speech_is_no_distortion() -> None:
    mel = glide(120)
    slower = np.repeat(mel, 2, axis=0)
    db, path = mel_cepstral_distortion(mel, slower)
    assert db == pytest.approx(0.0, abs=1e-6) and path[0].tolist() == [0, 0] and path[-1].tolist() == [119, 239]
    stretched = mel[np.linspace(0, 119, 171).round().astype(int)]
    assert mel_cepstral_distortion(mel, stretched)[0] < 1e-6
    assert mel_cepstral_distortion(mel, glide(120, seed=5))[0] > 3.0
    assert clip_distances(mel, np.ones(120), slower, np.ones(240)).length_ratio == 2.0
    assert clip_distances(slower, np.ones(240), mel, np.ones(120)).length_error == 0.5


def test_the_path_is_the_cheapest() -> None:
    rng = np.random.default_rng(3)
    for ones, others in ((1, 1), (1, 6), (9, 1), (12, 17), (25, 9)):
        one, other = rng.normal(size=(ones, 3)), rng.normal(size=(others, 3))
        path = warping_path(one, other)
        steps = np.diff(path, axis=0)
        assert path[0].tolist() == [0, 0] and path[-1].tolist() == [ones - 1, others - 1]
        assert steps.min(initial=0) >= 0 and steps.max(initial=0) <= 1 and (steps.sum(axis=1) >= 1).all()
        cost = np.linalg.norm(one[path[:, 0]] - other[path[:, 1]], axis=1).sum()
        assert cost == pytest.approx(slow_cost(one, other))


@pytest.mark.parametrize("semitones", [-7.0, 0.5, 12.0])
def test_a_shift_of_the_pitch_is_that_many_semitones(semitones: float) -> None:
    pitch = np.where(np.arange(60) % 5 < 4, 120.0 + np.arange(60), 0.0)
    shifted = pitch * 2.0 ** (semitones / 12.0)
    mel = glide(60)
    found = clip_distances(mel, pitch, mel, shifted)
    assert found.pitch_error_semitones == pytest.approx(abs(semitones))
    assert found.pitch_shift_semitones == pytest.approx(semitones) and found.voicing_error == 0.0


def test_pitch_follows_the_path() -> None:
    pitch = np.array([100.0, 200.0, 0.0])
    slower = np.array([100.0, 100.0, 200.0, 200.0, 0.0, 0.0])
    path = np.array([[0, 0], [0, 1], [1, 2], [1, 3], [2, 4], [2, 5]], np.int32)
    assert pitch_error(pitch, slower, path) == (0.0, 0.0) and voicing_error(pitch, slower, path) == 0.0


def test_unvoiced_against_voiced() -> None:
    path = np.stack([np.arange(4)] * 2, axis=1).astype(np.int32)
    true, made = np.array([100.0, 100.0, 0.0, 0.0]), np.array([200.0, 0.0, 150.0, 0.0])
    error, shift = pitch_error(true, made, path)
    assert (error, shift) == (pytest.approx(12.0), pytest.approx(12.0)) and voicing_error(true, made, path) == 0.5
    assert pitch_error(true, np.zeros(4), path) == (None, None)


def test_durations_of_tokens() -> None:
    assert token_duration_error([4, 2, 0, 3], [4, 2, 0, 3]) == 0.0
    assert token_duration_error([4, 2, 0, 3], [8, 1, 1, 3]) == 1.5
    for bad in ([1], []):
        with pytest.raises(ValueError, match="the same tokens, at least one"):
            token_duration_error([1, 2] if bad else [], bad)


@pytest.mark.parametrize("bad", [np.zeros((0, 80)), np.zeros((4, 13)), np.zeros(80), np.full((4, 80), np.nan)])
def test_a_bad_mel_is_rejected(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a mel of shape"):
        mel_cepstral_distortion(bad, glide(4))


def test_mels_that_do_not_match() -> None:
    with pytest.raises(ValueError, match="80 and 40 channels"):
        mel_cepstral_distortion(glide(4), glide(4, 40))
    with pytest.raises(ValueError, match="speech: a mel of 5 frames and a pitch of 4"):
        clip_distances(glide(4), np.ones(4), glide(5), np.ones(4))
