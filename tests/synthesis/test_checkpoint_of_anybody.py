"""Untrusted checkpoints and voices: whatever would break a synthesis or exhaust resources is a one-line error."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import made_model
import numpy as np
import pytest

from myxtts.config.files import config_yaml
from myxtts.config.schema import AudioConfig
from myxtts.errors import EXIT_BAD_INPUT, CheckpointError, DataError, MyXTTSError
from myxtts.models.build import least_weights
from myxtts.runtime.interface import VoiceModel
from myxtts.storage.store import CheckpointStore
from myxtts.synthesis import network
from myxtts.synthesis.opened import open_checkpoint
from myxtts.synthesis.options import LARGEST_SPECTROGRAM, longest_sentence
from myxtts.synthesis.synthesizer import Synthesizer
from myxtts.synthesis.voice_file import StoredVoice, read_voice, write_voice
from myxtts.synthesis.voices import VoiceMaker

SPEAKERS = len(made_model.SPEAKERS)


def error_of(caught: pytest.ExceptionInfo[MyXTTSError]) -> str:
    text = str(caught.value)
    assert "\n" not in text and "\x1b" not in text and caught.value.exit_code == EXIT_BAD_INPUT
    return text


@pytest.mark.parametrize(
    "settings",
    [
        {"model.width": 4096, "model.heads": 64, "model.text_blocks": 64, "model.decoder_blocks": 64},
        {"model.predictor_width": 4096},
        {"model.speaker_width": 4096},
        {"model.voice_width": 2048},
        {"model.critic_width": 1024},
        {"model.decoder": "flow", "model.flow_draft_blocks": 64},
    ],
)
def test_settings_of_another_size_are_rejected_before_a_model_is_built(
    tmp_path: Path, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*_: Any, **__: Any) -> None:
        raise AssertionError("a model is built")

    monkeypatch.setattr(network, "build_voice_cloner", build)
    run = made_model.save_run(
        tmp_path / "run",
        made_model.resolved(**{key.replace(".", "__"): value for key, value in settings.items()}),
        average=made_model.weights("regression"),
        voices=None,
    )
    with pytest.raises(CheckpointError, match=r"a model of at least \d+ weights .* holds \d+; take another") as caught:
        Synthesizer.load(run)
    assert "step-00000010" in error_of(caught)


@pytest.mark.parametrize("size", ["tiny", "regression", "flow"])
def test_the_number_of_weights_is_estimated_from_the_settings(size: str) -> None:
    from myxtts.models.build import weights_of

    settings = made_model.resolved(model__decoder="flow" if size == "flow" else "regression")
    if size == "tiny":
        settings = made_model.resolved(model__width=256, model__heads=4, model__predictor_width=128)
    made = weights_of(made_model.model(settings))
    count = sum(array.size for array in made.values())
    table = next(array for name, array in made.items() if name.endswith("aligner/symbol/embeddings"))
    least = least_weights(
        settings.config.model, channels=80, symbols=len(table), languages=2, speakers=len(made_model.SPEAKERS)
    )
    assert count / 2 <= least <= count


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"mel_std_C": np.full(80, 1e30, np.float32)}, r"mel_std_C\[0\] is 1e\+30, expected"),
        ({"mel_mean_C": np.full(80, 300.0, np.float32)}, r"mel_mean_C\[0\] is 300, expected"),
        ({"pitch_std": 1e6}, "pitch_std is 1000000.0, expected"),
        ({"pitch_mean": -5.0}, "pitch_mean is -5.0, expected"),
        ({"energy_std": 0.0}, "energy_std is 0.0, expected"),
        ({"speakers": ["ann", "bob", "c\x1b[2Jleo"]}, r"speakers are .*x1b"),
        ({"languages": []}, "languages"),
        ({"symbols": "junk"}, "symbol table"),
    ],
)  # fmt: skip
def test_a_corpus_out_of_bounds_is_rejected(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    run = made_model.save_run(tmp_path / "run", made_model.resolved(), of=made_model.corpus(**change))
    with pytest.raises(CheckpointError, match=expected) as caught:
        open_checkpoint(run)
    assert "corpus.json" in error_of(caught)


def test_wrong_settings_are_one_line_that_names_the_file(tmp_path: Path) -> None:
    import json

    store = CheckpointStore(tmp_path / "checkpoints", keep=2, kept_every_updates=10)
    text = config_yaml(made_model.resolved()) + "nonsense: 1\nmore_nonsense: 2\n"
    texts = {"config.yaml": text, "corpus.json": json.dumps(made_model.corpus().to_json())}
    store.save(10, {"average": made_model.weights("regression")}, {}, texts=texts, best=True)
    with pytest.raises(CheckpointError, match=r"config\.yaml cannot be used: .*nonsense.* \(and 1 more\)") as caught:
        open_checkpoint(tmp_path)
    error_of(caught)


def voices(**changes: Any) -> dict[str, Any]:
    model = made_model.resolved().config.model
    made: dict[str, Any] = {
        "voice_ZE": np.eye(SPEAKERS, model.voice_width, dtype=np.float32),
        "style_ZS": np.zeros((SPEAKERS, model.style_width), np.float32),
    }
    return {**made, **changes}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"voice_ZE": np.zeros((SPEAKERS, 8), np.float32)}, "speaker 'ann': the voice has the length 0, expected 1"),
        ({"voice_ZE": np.full((SPEAKERS, 8), 1e38, np.float32)}, r"the voice has the length 2.83e\+38, expected 1"),
        ({"style_ZS": np.full((SPEAKERS, 4), -3e38, np.float32)}, r"a number of the style is 3e\+38"),
        ({"voice_ZE": np.ones((SPEAKERS, 8), np.int64)}, "not a vector of finite numbers"),
        ({"voice_ZE": np.ones((SPEAKERS, 9), np.float32)}, r"shapes \(3, 9\)"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["speaker", "random"])
def test_invalid_stored_voices_are_rejected(tmp_path: Path, changed: dict[str, Any], expected: str, kind: Any) -> None:
    from myxtts.synthesis.voice_parts import VoicePart

    run = made_model.save_run(tmp_path / "run", made_model.resolved(), voices=voices(**changed))
    generator: Any = None  # no recording is encoded
    maker = VoiceMaker(open_checkpoint(run), generator)
    with pytest.raises(CheckpointError, match=expected) as caught:
        maker.make([VoicePart(kind, "ann" if kind == "speaker" else 3)])
    error_of(caught)


@pytest.mark.parametrize(
    ("voice", "style", "expected"),
    [(0.0, 0.0, "length 0, expected 1"), (1e30, 0.0, "expected 1"), (0.35, 1e9, "style is 1e\\+09, expected at most")],
)
def test_an_invalid_saved_voice_is_rejected(tmp_path: Path, voice: float, style: float, expected: str) -> None:
    made = StoredVoice(np.full(8, voice, np.float32), np.full(4, style, np.float32), "a", "b", VoiceModel("e", "f", 1))
    write_voice(tmp_path / "a.voice", made)
    with pytest.raises(DataError, match=f"damaged .*{expected}") as caught:
        read_voice(tmp_path / "a.voice")
    assert "a.voice" in error_of(caught)


def test_a_saved_voice_behind_a_link_is_read(tmp_path: Path) -> None:
    unit = np.eye(1, 8, dtype=np.float32)[0]
    made = StoredVoice(unit, np.zeros(4, np.float32), "a", "b", VoiceModel("e", "f", 1))
    write_voice(tmp_path / "a.voice", made)
    (tmp_path / "link.voice").symlink_to("a.voice")
    assert read_voice(tmp_path / "link.voice").name == "a"
    (tmp_path / "loop.voice").symlink_to("loop.voice")
    with pytest.raises(DataError, match=r"loop\.voice"):
        read_voice(tmp_path / "loop.voice")


def test_weights_of_other_types_are_rejected_or_converted(tmp_path: Path) -> None:
    arrays = dict(made_model.weights("regression"))
    name = sorted(arrays)[0]
    for dtype in ("float16", "int32", "bool"):
        changed = {**arrays, name: arrays[name].astype(dtype)}
        run = made_model.save_run(tmp_path / dtype, made_model.resolved(), average=changed)
        if dtype == "float16":
            assert Synthesizer.load(run).speakers == made_model.SPEAKERS
            continue
        with pytest.raises(CheckpointError, match=dtype) as caught:
            Synthesizer.load(run)
        assert name in error_of(caught)


def test_a_sentence_takes_bounded_memory_at_the_end_of_the_audio_settings() -> None:
    assert longest_sentence(AudioConfig(), 60.0) == 5_168, "a minute with the default ones"
    wide = AudioConfig(sample_rate_hz=48_000, hop_samples=32, fft_samples=8_192)
    assert longest_sentence(wide, 60.0) * 4_097 <= LARGEST_SPECTROGRAM


def test_speaker_names_are_never_paths(tmp_path: Path) -> None:
    odd = dataclasses.replace(made_model.corpus(), speakers=["../../x", "/etc/passwd", "a\\b"])
    run = made_model.save_run(tmp_path / "run", made_model.resolved(), of=odd)
    assert open_checkpoint(run).corpus.speakers == odd.speakers
