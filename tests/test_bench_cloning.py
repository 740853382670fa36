"""Who speaks what in bench.cloning: unseen speakers each other's texts, training speakers held-out sentences."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from bench import cloning
from myxtts.config.schema import Config, DataConfig, TextConfig, TrainingConfig
from myxtts.data.prepare import PreparedData, prepare
from myxtts.errors import ConfigError
from myxtts.progress import silent
from tests.data.made_recordings import make_root

CLIPS, SPEAKERS = 15, 5


@pytest.fixture
def prepared(tmp_path: Path) -> PreparedData:
    root = make_root(tmp_path / "root", clips=CLIPS)
    rows = [f"c{i}|Say it again number {i}.|s{i % SPEAKERS}" for i in range(CLIPS)]
    (root / "metadata.csv").write_text("id|text|speaker\n" + "\n".join(rows) + "\n")
    data = DataConfig(
        train_path=str(root),
        cache_path=str(tmp_path / "cache"),
        num_workers=1,
        held_out_speakers=3,
        validation_share=0.3,
    )
    config = Config(text=TextConfig(symbols="characters"), data=data, training=TrainingConfig(batch_size=4))
    return prepare(config, silent)


def test_strangers_speak_the_text_of_the_next_one_in_their_own_voice(prepared: PreparedData) -> None:
    known = set(prepared.corpus.speakers)
    found = cloning.readers(prepared.validation, known)
    assert len(found) == 3 and not {row.speaker for row in found} & known
    own = {row.speaker: row for row in cloning.recordings(prepared.validation, known)}
    for at, row in enumerate(found):
        assert row.recording == row.reference == own[row.speaker].recording
        assert row.text == own[found[(at + 1) % 3].speaker].text != own[row.speaker].text


def test_known_voices_speak_held_out_sentences_with_a_training_recording_as_reference(prepared: PreparedData) -> None:
    trained = {str(u.audio_path): u.speaker for u in prepared.train.utterances}
    found = cloning.sentences(prepared.train, prepared.validation, 20, 100)
    assert found and {row.speaker for row in found} <= set(prepared.corpus.speakers)
    assert all(trained[row.reference] == row.speaker and row.recording not in trained for row in found)
    assert len(cloning.sentences(prepared.train, prepared.validation, 1, 100)) == 1


def test_the_training_command_names_all_roots_and_who_is_held_out(tmp_path: Path) -> None:
    given = cloning.Namespace(
        data=[Path("/a"), Path("/b")],
        work=tmp_path,
        size="tiny",
        level="enhanced",
        set=["loss.mel_weight=2"],
        readers=20,
    )
    words = cloning.training_words(given, 30.0)
    assert words[1] == os.pathsep.join(("/a", "/b"))
    settings = [word for before, word in pairwise(words) if before == "--set"]
    assert "data.held_out_speakers=20" in settings and "loss.mel_weight=2" in settings
    assert settings[-1] == "training.max_minutes=30"


def test_too_few_readers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cloning.main(["--data", str(tmp_path), "--work", str(tmp_path / "w"), "--readers", "1"])
    assert code == ConfigError("x").exit_code
    assert "--readers at least 2" in capsys.readouterr().err
