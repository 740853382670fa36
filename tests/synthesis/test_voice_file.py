"""Saved voices: verified, bound to one model, without folder names."""

import dataclasses
from pathlib import Path

import made_model
import numpy as np
import pytest
from safetensors import safe_open

from myxtts.errors import CheckpointError, DataError, StorageError
from myxtts.runtime.interface import VoiceModel
from myxtts.storage.tensors import write_tensors
from myxtts.synthesis.opened import OpenedCheckpoint, open_checkpoint
from myxtts.synthesis.voice_file import (
    StoredVoice,
    compatibility_note,
    read_voice,
    write_voice,
)


def made(model: VoiceModel | None = None) -> StoredVoice:
    voice = np.arange(8, dtype=np.float32)
    return StoredVoice(
        voice / np.float32(np.linalg.norm(voice)),
        np.arange(4, dtype=np.float32),
        "anna",
        "reference 'a.wav'",
        model or VoiceModel("e" * 32, "f" * 32, 10),
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> OpenedCheckpoint:
    return open_checkpoint(made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved()))


def with_weights(folder: Path, change: float, **settings: object) -> OpenedCheckpoint:
    """A model whose speaker encoder is another one."""
    arrays = dict(made_model.weights("regression"))
    name = next(name for name in arrays if "/speaker_encoder/voice/kernel" in f"/{name}")
    arrays[name] = arrays[name] + np.float32(change)
    return open_checkpoint(made_model.save_run(folder, made_model.resolved(**settings), average=arrays))


def test_a_saved_voice_is_unchanged_and_readable_by_other_tools(tmp_path: Path) -> None:
    path = tmp_path / "anna.voice"
    path.write_bytes(b"old")
    write_voice(path, made())
    found = read_voice(path)
    assert found.voice_E.tobytes() == made().voice_E.tobytes() and found.style_Y.tobytes() == made().style_Y.tobytes()
    assert (found.name, found.made_from, found.model) == ("anna", "reference 'a.wav'", made().model)
    assert [entry.name for entry in tmp_path.iterdir()] == ["anna.voice"]
    with safe_open(path, "np") as file:
        assert sorted(file.keys()) == ["style_Y", "voice_E"]
        texts = file.metadata()
    assert (texts["format"], texts["version"]) == ("myxtts-voice", "1")
    assert (texts["voice_width"], texts["style_width"]) == ("8", "4")


def test_any_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "anna.voice"
    write_voice(path, made())
    content = path.read_bytes()
    for at in range(0, len(content), 7):
        changed = bytearray(content)
        changed[at] ^= 4
        path.write_bytes(bytes(changed))
        with pytest.raises(DataError) as caught:
            read_voice(path)
        assert "anna.voice': " in str(caught.value) and "\n" not in str(caught.value)
    for length in (0, 5, 100, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"damaged or not a voice .*; create it again with `myxtts voice`"):
            read_voice(path)


def test_other_files_are_rejected_with_advice(tmp_path: Path) -> None:
    for name, path, words in (
        ("folder", tmp_path, "it is not a regular file"),
        ("missing", tmp_path / "none.voice", "No such file"),
    ):
        with pytest.raises(DataError, match=f"cannot be read \\({words}.*name a file written by `myxtts voice`"):
            read_voice(path)
        assert name
    large = tmp_path / "large.voice"
    large.write_bytes(bytes(2 << 20))
    with pytest.raises(DataError, match="2097152 bytes, over the limit of 1048576"):
        read_voice(large)
    other = tmp_path / "weights.safetensors"
    write_tensors(other, {"w": np.zeros(3, np.float32)})
    with pytest.raises(DataError, match="not a MyXTTS voice; name a file"):
        read_voice(other)
    later = tmp_path / "later.voice"
    write_tensors(later, {"w": np.zeros(3, np.float32)}, {"format": "myxtts-voice", "version": "2"})
    with pytest.raises(DataError, match="format version '2', this MyXTTS reads up to 1; upgrade MyXTTS"):
        read_voice(later)
    later.unlink()
    write_tensors(later, {"w": np.zeros(3, np.float32)}, {"format": "myxtts-voice", "version": "9" * 5000})
    with pytest.raises(DataError, match="upgrade MyXTTS"):
        read_voice(later)
    bad = tmp_path / "bad.voice"
    write_voice(bad, dataclasses.replace(made(), voice_E=np.full(8, np.nan, np.float32)))
    with pytest.raises(DataError, match="the voice is not a vector of finite numbers"):
        read_voice(bad)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"writing the voice failed at .*No such file"):
        write_voice(tmp_path / "nowhere" / "anna.voice", made())
    (tmp_path / "anna.voice").mkdir()
    with pytest.raises(StorageError, match="writing the voice failed"):
        write_voice(tmp_path / "anna.voice", made())
    assert [entry.name for entry in tmp_path.iterdir()] == ["anna.voice"]


def test_a_voice_belongs_to_the_encoder_it_was_made_with(source: OpenedCheckpoint, tmp_path: Path) -> None:
    voice, path = made(source.voice_model), Path("anna.voice")
    assert compatibility_note(voice, path, source) is None
    assert open_checkpoint(source.checkpoint.path).voice_model == source.voice_model
    flow = made_model.save_run(tmp_path / "flow", made_model.resolved(model__decoder="flow"))
    assert open_checkpoint(flow).voice_model.run == source.voice_model.run  # the decoder may differ, not the encoder

    learned = with_weights(tmp_path / "learned", 1e-3)
    note = compatibility_note(voice, path, learned)
    assert note is not None and "'anna.voice' was made at update 10 of this run and is used at update 10" in note
    assert "if the voice sounds different, create it again with this checkpoint" in note

    other_run = with_weights(tmp_path / "other_run", 1e-3, training__seed=9)
    with pytest.raises(
        DataError, match=r"belongs to another model \(encoder '[0-9a-f]{12}', here [0-9a-f]{12}\); create it ag"
    ):
        compatibility_note(voice, path, other_run)
    narrow = dataclasses.replace(voice, voice_E=voice.voice_E[:6])
    with pytest.raises(DataError, match=r"has 6 \+ 4 numbers and this model 8 \+ 4: it belongs to another model; "):
        compatibility_note(narrow, path, source)


def test_a_checkpoint_without_an_encoder(tmp_path: Path) -> None:
    bare = open_checkpoint(made_model.save_run(tmp_path, made_model.resolved(), average=None))
    with pytest.raises(CheckpointError, match="contains no averaged weights of a speaker encoder; use a"):
        _ = bare.voice_model


def test_consent_is_stored_and_covered_by_the_hash(tmp_path: Path) -> None:
    from myxtts.synthesis.voice_file import consent_problem

    agreed = dataclasses.replace(made(), consent="Ann Example, 2026-12-01")
    write_voice(tmp_path / "a.voice", agreed)
    assert read_voice(tmp_path / "a.voice").consent == "Ann Example, 2026-12-01"
    content = (tmp_path / "a.voice").read_bytes()
    (tmp_path / "b.voice").write_bytes(content.replace(b"Ann Example", b"Bob Example"))
    with pytest.raises(DataError, match="hash"):
        read_voice(tmp_path / "b.voice")
    assert consent_problem("Ann, 2026") is None
    assert all(consent_problem(text) for text in ("", "  ", "a", "a\nb c", "x" * 301))
