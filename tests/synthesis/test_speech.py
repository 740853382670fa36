"""Joining sentences, levels, and prevention of clipping."""

import numpy as np
import pytest

from myxtts.config.schema import AudioConfig
from myxtts.synthesis.speech import (
    HIGHEST_PEAK,
    PeakLimiter,
    SpeechChunk,
    SpokenSentence,
    amplify_mel,
    clipping_gain,
    floor_mel,
    level_db,
    limit_peaks,
    pause_frames,
    sentence_parts,
)

AUDIO = AudioConfig()
RATE = 22_050


def parts_of(mel_MC: np.ndarray, wave_N: np.ndarray, pause: int, *cuts: int) -> tuple[np.ndarray, np.ndarray]:
    """Mel and samples of a sentence whose waveform comes in parts that end at these frames."""
    waves = np.split(wave_N, [cut * AUDIO.hop_samples for cut in cuts])
    mels, samples, lasts = zip(*sentence_parts(mel_MC, waves, pause, AUDIO), strict=True)
    assert [len(m) * AUDIO.hop_samples for m in mels] == [len(s) for s in samples]
    assert lasts == (False,) * len(cuts) + (True,)
    return np.concatenate(mels), np.concatenate(samples)


def test_a_pause_stands_between_sentences_and_frames_go_with_samples() -> None:
    mel_MC, wave_N = np.zeros((20, 80), np.float32), np.full(20 * 256, 0.5, np.float32)
    pause = pause_frames(AUDIO, 1.0, first=False)
    mel, samples = parts_of(mel_MC, wave_N, pause)
    assert len(mel) == pause + 20 and 0.24 < pause * 256 / 22_050 < 0.28
    assert np.allclose(mel[:pause], np.log(1e-5)) and not mel[pause:].any() and not samples[: pause * 256].any()
    assert samples[pause * 256] == 0.0 and samples[pause * 256 + 1000] == 0.5 and samples[-1] == 0.0
    assert pause_frames(AUDIO, 4.0, first=False) < pause and pause_frames(AUDIO, 1.0, first=True) == 0


@pytest.mark.parametrize("cuts", [(10,), (1, 2, 19), tuple(range(1, 20))])
def test_a_sentence_in_parts_is_the_same_sentence(cuts: tuple[int, ...]) -> None:
    random = np.random.default_rng(4)
    mel_MC, wave_N = random.normal(size=(20, 80)).astype(np.float32), random.normal(size=20 * 256).astype(np.float32)
    whole, parts = parts_of(mel_MC, wave_N, 7), parts_of(mel_MC, wave_N, 7, *cuts)
    assert all(np.array_equal(*pair) for pair in zip(whole, parts, strict=True))


def test_level_is_in_decibels() -> None:
    mel_MC = np.random.default_rng(1).normal(size=(30, 80)).astype(np.float32)
    assert level_db(amplify_mel(mel_MC, 4.5)) - level_db(mel_MC) == pytest.approx(4.5, abs=1e-4)
    assert np.isfinite(level_db(np.full((3, 80), -11.5, np.float32)))


def test_no_peak_clips() -> None:
    loud = np.array([0.1, -4.0], np.float32)
    assert np.abs(loud * np.float32(clipping_gain(loud))).max() <= HIGHEST_PEAK + 1e-6
    assert clipping_gain(np.array([0.1, -0.4], np.float32)) == 1.0 and clipping_gain(np.zeros(0, np.float32)) == 1.0


def test_a_mel_has_a_floor() -> None:
    assert floor_mel(np.array([[-90.0, 1.0]], np.float32), AUDIO).tolist() == [[np.float32(np.log(1e-5)), 1.0]]


def tone(seconds: float, loudness: float, hz: float = 200.0) -> np.ndarray:
    return (loudness * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def test_the_limiter_touches_nothing_that_does_not_clip() -> None:
    soft = tone(1.0, 0.9)
    assert limit_peaks(soft, RATE) is soft
    assert limit_peaks(np.zeros(0, np.float32), RATE).size == 0


@pytest.mark.parametrize("loudness", [1.0, 3.0, 1e4])
def test_the_limiter_lets_no_peak_clip_and_leaves_the_rest(loudness: float) -> None:
    samples = np.concatenate([tone(0.5, 0.5), tone(0.2, loudness), tone(0.5, 0.5)])
    found = limit_peaks(samples, RATE)
    assert found.dtype == np.float32 and np.abs(found).max() <= HIGHEST_PEAK + 1e-6
    assert np.abs(found).max() > 0.9 * HIGHEST_PEAK
    far = round(0.05 * RATE)
    edge = round(0.5 * RATE) - far
    assert np.allclose(found[:edge], samples[:edge], atol=1e-6)
    assert np.allclose(found[-edge:], samples[-edge:], atol=1e-6)


def test_the_limiter_bends_no_wave() -> None:
    """A steady tone that is too loud comes out as the same tone, softer: next to no harmonics."""
    found = limit_peaks(tone(1.0, 2.0), RATE)[RATE // 4 : 3 * RATE // 4]
    power = np.abs(np.fft.rfft(found * np.hanning(len(found)))) ** 2
    at = round(200.0 * len(found) / RATE)
    assert power[3 * at - 20 :].sum() < 1e-5 * power[at - 5 : at + 6].sum()


@pytest.mark.parametrize("place", [0, RATE - 1])
def test_a_peak_at_an_end_is_limited_too(place: int) -> None:
    samples = np.zeros(RATE, np.float32)
    samples[place] = -5.0
    assert np.abs(limit_peaks(samples, RATE)).max() == pytest.approx(HIGHEST_PEAK, abs=1e-5)


@pytest.mark.parametrize("cuts", [(), (30,), (1, 2, 3, 40, 41), tuple(range(1, 60))])
def test_a_sentence_in_parts_is_limited_like_the_whole(cuts: tuple[int, ...]) -> None:
    samples = np.random.default_rng(5).normal(0.0, 0.5, 60 * 256).astype(np.float32)
    limiter, found = PeakLimiter(AUDIO), list[SpeechChunk]()
    fields = SpokenSentence("x", "x", 0.0, 0.0), 1, 1, "x", "x", (), 0, False
    mel_MC = np.arange(60, dtype=np.float32)[:, None].repeat(80, axis=1)
    for _ in range(2):  # one sentence leaves nothing for the next
        ends = [*cuts, 60]
        for begin, end in zip([0, *cuts], ends, strict=True):
            part = samples[begin * 256 : end * 256], RATE, mel_MC[begin:end]
            found.append(limiter.add(SpeechChunk(*part, *fields, last=end == 60)))
        assert all(len(chunk.samples) == 256 * len(chunk.mel_MC) for chunk in found)
        whole = limit_peaks(samples, RATE)
        np.testing.assert_allclose(np.concatenate([chunk.samples for chunk in found]), whole, atol=1e-6)
        assert np.array_equal(np.concatenate([chunk.mel_MC for chunk in found]), mel_MC)
        assert min(chunk.gain for chunk in found) == clipping_gain(samples)
        found = []


def test_a_pause_that_the_text_asks_for_counts_at_any_speed_and_before_the_first_sentence() -> None:
    assert pause_frames(AUDIO, 1.0, first=True, wanted=1.0) == pause_frames(AUDIO, 4.0, first=False, wanted=1.0) == 87
    assert pause_frames(AUDIO, 1.0, first=False, wanted=0.0) == 0
