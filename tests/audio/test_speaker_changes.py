"""Two speakers in one recording are detected, at any sample rate."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from safetensors import safe_open

from myxtts.audio import mel, speaker_changes, waveform
from myxtts.audio.reference_check import LEAST_SIMILARITY, reference_problem
from myxtts.audio.speaker_changes import similarity_of_mel_parts, similarity_of_parts
from myxtts.config.schema import AudioConfig
from myxtts.demo.espeak_voice import EspeakVoice, SpeechJob, speak_to_files

AUDIO = AudioConfig()
RATE = AUDIO.sample_rate_hz
TEXTS = (
    "The birch canoe slid on the smooth planks, and the boy was there when the sun rose.",
    "Glue the sheet to the dark blue background; it is easy to tell the depth of a well.",
)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """About ten seconds of a woman, a man, and half and half."""
    voices = {"woman": EspeakVoice("en-us", "f3", 150), "man": EspeakVoice("en-gb", "m3", 150)}
    folder = tmp_path_factory.mktemp("spoken")
    jobs = [SpeechJob(TEXTS[at], voice, f"{name}{at}.wav") for name, voice in voices.items() for at in (0, 1)]
    speak_to_files(jobs, folder)
    clips = [waveform.trim(waveform.read(folder / job.path, AUDIO), AUDIO) for job in jobs]
    return {
        "woman": np.concatenate(clips[:2]),
        "man": np.concatenate(clips[2:]),
        "both": np.concatenate([clips[0], clips[3]]),
    }


@pytest.mark.parametrize("rate", [RATE, 16_000])
def test_two_people_are_told_from_one(spoken: dict[str, np.ndarray], rate: int) -> None:
    found = {
        name: similarity_of_parts(np.asarray(soxr.resample(samples, RATE, rate), np.float32), rate)
        for name, samples in spoken.items()
    }
    assert found["both"] < LEAST_SIMILARITY < min(found["woman"], found["man"]), found


def test_the_note_has_the_value_and_what_to_do(spoken: dict[str, np.ndarray]) -> None:
    problem = reference_problem(spoken["both"], AUDIO)
    similarity = similarity_of_parts(spoken["both"], RATE)
    assert "several speakers" in problem and f"similarity {similarity:.2f}" in problem and "cut it" in problem


def test_too_little_speech_says_nothing() -> None:
    for seconds in (0.0, 0.5, 2.9):
        frames = round(seconds * RATE / AUDIO.hop_samples)
        assert similarity_of_mel_parts(np.zeros((frames, AUDIO.mel_channels), np.float32)) == 1.0


def test_ten_minutes_have_as_many_windows_as_two() -> None:
    starts = [speaker_changes._starts(round(seconds * RATE / 256 / 4)) for seconds in (10.0, 120.0, 600.0)]
    assert [len(found) < 250 for found in starts] == [True] * 3
    assert starts[0].step == starts[1].step < starts[2].step


def test_the_weights_know_the_default_mels() -> None:
    with safe_open(str(speaker_changes.resources.files("myxtts.audio") / speaker_changes.WEIGHTS), "np") as file:
        assert file.metadata()["mel"] == mel.fingerprint(AUDIO)
