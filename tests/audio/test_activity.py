"""Speech is found at any noise floor, and sound that is damaged is measured."""

from __future__ import annotations

import numpy as np
import pytest

from myxtts.audio import activity, waveform
from myxtts.audio.reference_check import reference_problem
from myxtts.config.schema import AudioConfig

AUDIO = AudioConfig()
RATE = AUDIO.sample_rate_hz


def speech(seconds: float, hz: float = 140.0, seed: int = 0, tilt: float = 1.0) -> np.ndarray:
    """Syllables of gliding harmonics with fricatives and short pauses, float64[N], RMS 0.05."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    glide = hz * 2 ** (0.15 * np.sin(2 * np.pi * 0.4 * time) + 0.1 * np.sin(2 * np.pi * 1.3 * time + seed))
    phase = 2 * np.pi * np.cumsum(glide) / RATE
    voice = sum(np.sin(k * phase) / k**tilt for k in range(1, 25))
    syllable = np.clip(np.sin(2 * np.pi * 3.3 * time) + 0.35, 0.0, None)
    hiss = np.diff(random.standard_normal(len(time) + 1)) * np.clip(-np.sin(2 * np.pi * 3.3 * time) - 0.75, 0.0, None)
    made = voice * syllable + 0.8 * hiss
    return 0.05 * made / np.sqrt(np.mean(made**2))


def noise(kind: str, samples: int, decibels: float) -> np.ndarray:
    random = np.random.default_rng(5)
    white = random.standard_normal(samples)
    spectrum = np.fft.rfft(white)
    hz = np.fft.rfftfreq(samples, 1 / RATE)
    if kind == "pink":
        spectrum /= np.sqrt(np.maximum(hz, 20.0))
    elif kind == "room":
        spectrum /= 1.0 + (hz / 300.0) ** 2
    made = np.fft.irfft(spectrum, samples)
    if kind == "hum":
        time = np.arange(samples) / RATE
        made = sum(np.sin(2 * np.pi * 50 * k * time + k) / k for k in (1, 2, 3, 5)) + 0.1 * white
    return 10 ** (decibels / 20.0) * made / made.std()


def embedded(spoken: np.ndarray, seconds: float = 2.0) -> np.ndarray:
    edge = np.zeros(round(seconds * RATE))
    return np.concatenate([edge, spoken, edge])


@pytest.mark.parametrize("kind", ["white", "pink", "room", "hum"])
@pytest.mark.parametrize("decibels", [-70.0, -56.0, -45.0])
def test_trimming_finds_the_speech_over_noise(kind: str, decibels: float) -> None:
    clip = embedded(speech(3.0))
    clip = (clip + noise(kind, len(clip), decibels)).astype(np.float32)
    start, end = activity.speech_bounds(clip, AUDIO)
    begin, stop = start * 256 / RATE, (end + 1) * 256 / RATE
    assert 2.0 - 0.2 < begin < 2.0 + 0.08 and 5.0 - 0.12 < stop < 5.0 + 0.2, (begin, stop)


@pytest.mark.parametrize(
    ("offset", "clicks", "zeros"), [(0.2, False, False), (0.0, True, False), (0.2, True, False), (0.0, True, True)]
)
def test_offset_clicks_and_zeros_hide_no_speech(offset: float, clicks: bool, zeros: bool) -> None:
    clip = embedded(speech(3.0))
    clip = clip + noise("white", len(clip), -56.0) + offset
    if clicks:
        clip[300:320] += 0.7
        clip[-500:-490] -= 0.9
    if zeros:
        clip = np.concatenate([np.zeros(8_000), clip, np.zeros(9_000)])
    trimmed = waveform.trim(clip.astype(np.float32), AUDIO)
    assert 3.0 < len(trimmed) / RATE < 3.5


def test_a_clean_clip_is_cut_where_it_always_was() -> None:
    clip = embedded(speech(3.0), 1.0).astype(np.float32)
    clip += 1e-5 * np.random.default_rng(0).standard_normal(len(clip)).astype(np.float32)
    level = activity.levels_db(clip, 256)
    loud = np.flatnonzero(level > level.max() - AUDIO.trim_db)
    assert activity.speech_bounds(clip, AUDIO) == (loud[0], loud[-1])


@pytest.mark.parametrize("seconds", [0.1, 0.25, 0.35])
def test_the_last_word_is_never_cut(seconds: float) -> None:
    """A clip that ends in a fricative, cut without a pause behind it: the fricative is as steady as noise."""
    random = np.random.default_rng(1)
    hiss = 0.006 * np.diff(random.standard_normal(round(seconds * RATE) + 1))
    for clip in (np.concatenate([speech(2.0), hiss]), np.concatenate([hiss, speech(2.0)])):
        trimmed = waveform.trim(clip.astype(np.float32), AUDIO)
        assert len(trimmed) > len(clip) - 0.06 * RATE


def test_noise_alone_and_silence_are_left_as_they_are() -> None:
    for clip in (noise("white", 30_000, -40.0), np.zeros(30_000), np.full(30_000, 0.3)):
        assert len(waveform.trim(clip.astype(np.float32), AUDIO)) == 30_000


@pytest.mark.parametrize("decibels", [-70.0, -56.0, -45.0])
def test_a_long_pause_in_a_reference_is_found_at_any_noise_floor(decibels: float) -> None:
    clip = np.concatenate([speech(2.0), np.zeros(20 * RATE), speech(2.0, seed=3)])
    clip = (clip + noise("room", len(clip), decibels)).astype(np.float32)
    kept = activity.speech_frames(clip, AUDIO)
    assert 3.6 < kept.sum() * 256 / RATE < 4.8
    assert activity.speech_frames(speech(4.0).astype(np.float32), AUDIO).all()
    assert activity.speech_frames(np.zeros(9_000, np.float32), AUDIO).all()


def test_clipping_pauses_and_levels_are_measured() -> None:
    clip = speech(2.0).astype(np.float32)
    assert activity.clipped_share(clip) == 0.0
    assert activity.clipped_share(np.clip(4 * clip, -0.15, 0.15)) > 0.02
    assert activity.clipped_share(np.clip(clip, -1e-3, 1e-3)) == 0.0, "too quiet to be clipped"
    pause, level = activity.measure_sound(np.concatenate([clip, np.zeros(RATE, np.float32), clip]), AUDIO)
    assert 0.95 < pause < 1.3 and -28.0 < level < -22.0


def chords() -> np.ndarray:
    time = np.arange(RATE // 2) / RATE
    tones = (220, 277, 330, 247)
    note = [sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 6)) * np.exp(-time) for hz in tones]
    return 0.05 * np.concatenate([note[a] + note[b] for a, b in [(0, 1), (1, 2), (0, 2), (3, 2)] * 4])


@pytest.mark.parametrize(
    ("clip", "said"),
    [
        (speech(6.0), ""),
        (speech(6.0, 220.0, seed=2), ""),
        (noise("white", 6 * RATE, -20.0), "noise"),
        (noise("pink", 6 * RATE, -20.0), "noise"),
        (chords(), "music"),
        (0.1 * np.sin(np.arange(6 * RATE) / 10), "music or tones"),
        (np.concatenate([speech(5.0, 105.0, tilt=1.6), speech(5.0, 230.0, seed=4, tilt=0.8)]), "several speakers"),
    ],
)
def test_a_reference_that_is_not_the_speech_of_one_person_is_noticed(clip: np.ndarray, said: str) -> None:
    problem = reference_problem(clip.astype(np.float32), AUDIO)
    assert said in problem and bool(said) == bool(problem)
