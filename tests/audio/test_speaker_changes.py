"""Two speakers in one recording are detected, at any sample rate."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import soxr
from safetensors import safe_open

from myxtts.audio import mel, speaker_changes, waveform
from myxtts.audio.reference_check import LEAST_SIMILARITY, reference_problem
from myxtts.audio.speaker_changes import similarity_of_mel_parts, similarity_of_parts
from myxtts.config.schema import AudioConfig
from myxtts.data.corpus import Corpus
from myxtts.data.references import prepare_reference
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


def random_mel(frames: int) -> np.ndarray:
    """Frames as far apart as those of speech, in three loud parts; a tenth is at the floor, which the level lowers."""
    random, weights = np.random.default_rng(7), speaker_changes._weights()
    mel_MC = weights["mel_mean"] + weights["mel_std"] * random.normal(size=(frames, AUDIO.mel_channels))
    mel_MC += np.repeat([3.0, 0.0, 5.0], -(-frames // 3))[:frames, None]
    mel_MC[random.uniform(size=mel_MC.shape) < 0.1] = math.log(AUDIO.log_floor)
    return np.maximum(mel_MC, math.log(AUDIO.log_floor)).astype(np.float32)


class PooledAgain:
    """The pooling written out, of every part by itself."""

    def __init__(self, x_RD: np.ndarray, weight_RD: np.ndarray, stride: int = 1) -> None:
        self.x_RD, self.weight_RD, self.stride = x_RD.astype(np.float64), weight_RD, stride

    def statistics(self, start: int, end: int) -> np.ndarray:
        part = slice(start * self.stride, end * self.stride)
        x, weight = self.x_RD[part], self.weight_RD[part] / self.weight_RD[part].sum(axis=0)
        mean = (weight * x).sum(axis=0)
        return np.concatenate([mean, np.sqrt((weight * np.square(x - mean)).sum(axis=0) + 1e-4)]).astype(np.float32)


@pytest.mark.parametrize("stride", [1, 4])
def test_any_part_is_pooled_as_if_it_were_alone(stride: int) -> None:
    random = np.random.default_rng(3)
    x_RD = random.normal(2.0, 1.0, size=(20_003, 12)).astype(np.float32)
    weight_RD = np.exp(random.uniform(-20.0, 0.0, size=x_RD.shape))
    sums, again = speaker_changes._Sums(x_RD, weight_RD, stride), PooledAgain(x_RD, weight_RD, stride)
    steps = -(-len(x_RD) // stride)
    for start, end in ((0, 32), (7, 60), (steps - 33, steps), (0, steps)):
        np.testing.assert_allclose(sums.statistics(start, end), again.statistics(start, end), atol=1e-4)


@pytest.mark.parametrize("frames", [403, 2584])
def test_the_similarity_is_that_of_parts_pooled_alone(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = similarity_of_mel_parts(random_mel(frames))
    monkeypatch.setattr(speaker_changes, "_Sums", PooledAgain)
    assert abs(found - similarity_of_mel_parts(random_mel(frames))) < 1e-4


def test_the_attention_cannot_leave_what_the_sums_can_hold() -> None:
    """The scores are sums of tanh times weights, so their range is known."""
    largest = np.abs(speaker_changes._weights()["attention_out/kernel"]).sum(axis=0).max()
    assert math.exp(-2.0 * largest) > 1e-10


@pytest.mark.parametrize("frames", [401, 1200])
def test_the_voice_is_that_of_the_model(frames: int) -> None:
    """With the level, the floor and the normalization of references: the same weights in TensorFlow."""
    import tensorflow as tf

    from myxtts.config.schema import ModelConfig
    from myxtts.models.speaker_encoder import SpeakerEncoder

    weights = speaker_changes._weights()
    model = SpeakerEncoder(ModelConfig(), name="encoder")
    mean, std = weights["mel_mean"], weights["mel_std"]
    corpus = SimpleNamespace(mel_mean_C=mean, mel_std_C=std, mel_level=float(mean.mean(dtype=np.float64)))
    mel_MC = random_mel(frames)
    speech = speaker_changes.without_pauses(mel_MC)
    made = prepare_reference(mel_MC, cast(Corpus, corpus), AUDIO)[None]
    length = tf.constant([made.shape[1]])
    model(tf.constant(made), length)
    loaded = set()
    for variable in model.variables:
        name = variable.path.removeprefix("encoder/")
        if not name.startswith("style_"):
            variable.assign(weights[name])
            loaded.add(name)
    assert loaded == set(weights) - {"mel_mean", "mel_std"}
    expected = model(tf.constant(made), length)["voice_BE"][0]
    encoder = speaker_changes._Encoder(speech)
    np.testing.assert_allclose(encoder.voice(0, encoder.steps), expected, atol=1e-3)
