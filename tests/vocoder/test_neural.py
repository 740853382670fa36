"""The vocoder in NumPy against its network, vocoder files, and the choice of a vocoder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from myxtts.audio.source_filter import KINDS, bins, filled_pitch
from myxtts.config.schema import AudioConfig, Config, VocoderConfig
from myxtts.errors import CheckpointError
from myxtts.storage.tensors import write_tensors
from myxtts.vocoder import files
from myxtts.vocoder.constants import NOISE_BESIDE_HARMONICS, NOISE_GATE_NEPERS
from myxtts.vocoder.files import GriffinLim, open_vocoder, read_vocoder
from myxtts.vocoder.neural import NeuralVocoder, attenuate_noise

AUDIO, SMALL = AudioConfig(), VocoderConfig(width=16, blocks=2)


@pytest.fixture(scope="module")
def network() -> Any:
    from myxtts.vocoder.network import build_network

    return build_network(SMALL, AUDIO)


@pytest.fixture(scope="module")
def weights(network: Any) -> dict[str, np.ndarray]:
    return {v.path: v.numpy() for v in network.trainable_variables}


def speech(frames: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A mel and a pitch with unvoiced frames."""
    random = np.random.default_rng(seed)
    mel = random.normal(-5.0, 2.0, [frames, AUDIO.mel_channels]).astype(np.float32)
    pitch = np.where(random.random(frames) < 0.6, random.uniform(90, 250, frames), 0.0).astype(np.float32)
    return mel, pitch


def test_numpy_computes_the_filters_of_the_network(network: Any, weights: dict[str, np.ndarray]) -> None:
    mel, pitch = speech(37)
    filled, voiced = filled_pitch(pitch, AUDIO), (pitch > 0).astype(np.float32)
    own = NeuralVocoder(weights, SMALL, AUDIO).filters(mel, filled, voiced)
    true = network(mel[None], filled[None], voiced[None]).numpy()[0]
    np.testing.assert_allclose(own, true, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(("first", "others"), [(5, 40), (17, 17), (96, 512)])
def test_pieces_equal_the_whole(
    weights: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch, first: int, others: int
) -> None:
    mel, pitch = speech(250)
    vocoder = NeuralVocoder(weights, SMALL, AUDIO)
    monkeypatch.setattr("myxtts.vocoder.neural.FIRST_FRAMES", 1000)
    (whole,) = vocoder.parts(mel, pitch, 3)
    monkeypatch.setattr("myxtts.vocoder.neural.FIRST_FRAMES", first)
    monkeypatch.setattr("myxtts.vocoder.neural.PART_FRAMES", others)
    parts = list(vocoder.parts(mel, pitch, 3))
    assert len(parts) > 1 and len(parts[0]) == first * AUDIO.hop_samples
    assert all(len(part) % AUDIO.hop_samples == 0 for part in parts)
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)
    assert vocoder(mel, pitch, 3).tobytes() == np.concatenate(parts).tobytes()


def test_noise_is_attenuated_beside_harmonics_and_far_below_the_loudest_bin() -> None:
    filters = np.zeros([3, KINDS, 4], np.float32)
    filters[0, 2] = 1.0, 0.1, np.exp(-NOISE_GATE_NEPERS - 2.0), 0.0  # a consonant: noise alone
    filters[1, 0], filters[1, 2] = (0.0, 1e4, 0.0, 0.0), (100.0, 1.0, 100.0, 100.0)  # a vowel: a strong harmonic
    attenuate_noise(filters)
    far = np.exp(-NOISE_GATE_NEPERS - 4.0)
    np.testing.assert_allclose(filters[0, 2], [1.0, 0.1, far, 0.0], rtol=1e-5)
    gated = (1.0 - NOISE_BESIDE_HARMONICS) ** 2 * np.exp(NOISE_GATE_NEPERS) / 1e4
    np.testing.assert_allclose(filters[1, 2], [100.0, gated, 100.0, 100.0], rtol=1e-3)
    assert (filters[2] == 0.0).all()


def test_pieces_equal_the_whole_at_long_windows(
    weights: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = dataclasses.replace(AUDIO, fft_samples=4096)
    width = 2 * KINDS * bins(audio)
    longer = weights | {
        "vocoder/head/kernel": np.random.default_rng(1).normal(0, 0.1, [SMALL.width, width]).astype(np.float32),
        "vocoder/head/bias": np.zeros(width, np.float32),
    }
    mel, pitch = speech(120)
    vocoder = NeuralVocoder(longer, SMALL, audio)
    monkeypatch.setattr("myxtts.vocoder.neural.FIRST_FRAMES", 1000)
    whole = vocoder(mel, pitch, 3)
    monkeypatch.setattr("myxtts.vocoder.neural.FIRST_FRAMES", 30)
    assert np.abs(vocoder(mel, pitch, 3) - whole).max() < 1e-5 * np.abs(whole).max()


def test_a_seed_determines_the_samples(weights: dict[str, np.ndarray]) -> None:
    mel, pitch = speech(20)
    vocoder = NeuralVocoder(weights, SMALL, AUDIO)
    one, same, other = (vocoder(mel, pitch, seed) for seed in (1, 1, 2))
    assert one.tobytes() == same.tobytes() != other.tobytes()
    assert len(one) == 20 * AUDIO.hop_samples and len(vocoder(mel[:0], pitch[:0])) == 0


def test_speech_without_any_voiced_frame_is_finite(weights: dict[str, np.ndarray]) -> None:
    mel, _ = speech(20)
    assert np.isfinite(NeuralVocoder(weights, SMALL, AUDIO)(mel + 30.0, np.zeros(20, np.float32))).all()


def save(path: Path, weights: dict[str, np.ndarray], **metadata: str) -> Path:
    import json

    from myxtts.audio import mel
    from myxtts.config.fields import value_of

    config = Config(vocoder=SMALL)
    settings = {key: value_of(config, key) for key in files._SETTINGS}
    known = {"format": "1", "mel": mel.fingerprint(AUDIO), "update": "7", "settings": json.dumps(settings)}
    write_tensors(path, {n: np.asarray(w, np.float16) for n, w in weights.items()}, known | metadata)
    return path


def test_a_vocoder_file_is_read_and_speaks(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    found = read_vocoder(save(tmp_path / "v.safetensors", weights))
    assert found.update == 7 and found.vocoder == SMALL
    mel, pitch = speech(20)
    spoken = open_vocoder(str(tmp_path / "v.safetensors"), AUDIO)(mel, pitch, 1)
    full = NeuralVocoder(weights, SMALL, AUDIO)(mel, pitch, 1)
    assert np.abs(spoken - full).max() < 0.01 * np.abs(full).max()


def test_another_mel_convention_is_refused_with_the_difference(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    path = save(tmp_path / "v.safetensors", weights)
    with pytest.raises(CheckpointError, match="hop_samples 256, here 300"):
        open_vocoder(str(path), dataclasses.replace(AUDIO, hop_samples=300))
    assert isinstance(open_vocoder("neural", dataclasses.replace(AUDIO, hop_samples=300)), GriffinLim)
    assert isinstance(open_vocoder("griffin_lim", AUDIO), GriffinLim)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2_000])


@pytest.mark.parametrize(
    ("metadata", "change", "names"),
    [
        ({}, _cut, "cannot be read"),
        ({"format": "9"}, None, "format"),
        ({"settings": "[]"}, None, "settings"),
        ({"settings": '{"audio.hop_samples": 256}'}, None, "settings"),
        ({"mel": "0" * 16}, None, "fingerprint"),
        ({"update": "many"}, None, "many"),
    ],
)
def test_a_damaged_file_is_one_line(
    tmp_path: Path, weights: dict[str, np.ndarray], metadata: dict[str, str], change: Any, names: str
) -> None:
    path = save(tmp_path / "v.safetensors", weights, **metadata)
    if change:
        change(path)
    with pytest.raises(CheckpointError) as caught:
        read_vocoder(path)
    assert names in str(caught.value) and "v.safetensors" in str(caught.value) and "\n" not in str(caught.value)


def test_weights_are_checked(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    fewer = {name: w for name, w in weights.items() if "norm_out" not in name}
    with pytest.raises(CheckpointError, match="norm_out/gain is missing"):
        read_vocoder(save(tmp_path / "a.safetensors", fewer))
    sick = {
        name: np.where(np.ones(w.shape, bool), np.nan, w) if "head/bias" in name else w for name, w in weights.items()
    }
    with pytest.raises(CheckpointError, match="head/bias holds a value that is not finite"):
        read_vocoder(save(tmp_path / "b.safetensors", sick))
    with pytest.raises(CheckpointError, match="No such file"):
        open_vocoder(str(tmp_path / "absent"), AUDIO)


def test_the_vocoder_that_comes_with_the_package_is_whole_and_small() -> None:
    found = read_vocoder(files.UNIVERSAL_PATH)
    assert files.UNIVERSAL_PATH.stat().st_size < 4.0e6
    assert isinstance(open_vocoder("neural", AUDIO), NeuralVocoder) and found.audio == AUDIO
