"""Found by fuzzing metadata and data roots; each of these went wrong once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from myxtts.config.schema import Config, DataConfig
from myxtts.data.manifest import read_root
from myxtts.data.prepare import prepare
from myxtts.data.records import CONTROL_CHARACTER, MISSING_TEXT, UNKNOWN_LANGUAGE
from myxtts.data.roots import find_roots
from myxtts.errors import DataError
from myxtts.progress import silent
from tests.data.made_recordings import make_root
from tests.faults.fuzz_audio import config_for, nonfinite_values


def root_with(tmp_path: Path, *rows: str) -> Path:
    (tmp_path / "wavs").mkdir()
    for name in ("a", "b"):
        (tmp_path / "wavs" / f"{name}.wav").write_bytes(b"x")
    (tmp_path / "metadata.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


@pytest.mark.timeout(20)
def test_a_fifo_among_the_texts_of_vctk_hung_the_program(tmp_path: Path) -> None:
    for folder in ("wav48/p1", "txt/p1"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("p1_1", "p1_2"):
        (tmp_path / "wav48" / "p1" / f"{name}.wav").write_bytes(b"x")
    os.mkfifo(tmp_path / "txt" / "p1" / "p1_1.txt")
    (tmp_path / "txt" / "p1" / "p1_2.txt").write_text("Six spoons.")
    manifest = read_root(tmp_path, "train", "en-us")
    assert [u.id for u in manifest.utterances] == ["p1/p1_2"]
    [rejection] = manifest.rejections
    assert rejection.reason == MISSING_TEXT and "not a regular file" in rejection.value
    assert rejection.source.endswith("p1_1.txt:1")


def test_a_language_with_an_escape_sequence_reached_the_screen(tmp_path: Path) -> None:
    root = root_with(tmp_path, "id|text|language", "a|Say it.|en\x1b[2J", "b|Say it.|fa")
    manifest = read_root(root, "train", "en-us")
    assert [u.language for u in manifest.utterances] == ["fa"]
    assert [(r.reason, r.value[:13]) for r in manifest.rejections] == [(UNKNOWN_LANGUAGE, "'en\\x1b[2J' i")]


def test_control_characters_in_speakers_and_file_names_reached_the_screen(tmp_path: Path) -> None:
    root = root_with(tmp_path, "id|text|speaker", "a|Say it.|\x1b[31mbob", "c\x07d|Say it.|bob", "b|Say it.|bob")
    (root / "wavs" / "c\x07d.wav").write_bytes(b"x")
    manifest = read_root(root, "train", "en-us")
    assert [u.id for u in manifest.utterances] == ["b"]
    assert [r.reason for r in manifest.rejections] == [CONTROL_CHARACTER] * 2
    assert all((r.value + r.utterance_id).isprintable() for r in manifest.rejections)


@pytest.mark.parametrize("name", ["y" * 300, "a/" * 3000])
def test_a_root_that_the_system_refuses_to_look_at_was_a_traceback(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"cannot be read \(File name too long\)"):
        read_root(tmp_path / name, "train", "en-us")
    data = DataConfig(train_path=str(tmp_path / name), cache_path=str(tmp_path))
    with pytest.raises(DataError, match=r"cannot be accessed \(File name too long\)"):
        find_roots(Config(data=data), {"data.train_path"}, silent)


@pytest.mark.parametrize("rows", [8, 2])
def test_a_language_that_only_validation_had_was_a_traceback_at_the_first_validation(tmp_path: Path, rows: int) -> None:
    """The share that is kept for validation may hold the only clip of a language."""
    root = make_root(tmp_path / "root", clips=8)
    for alone in range(rows):
        languages = ["fa" if i == alone else "en-us" for i in range(rows)]
        lines = [f"c{i}|Say it.|{language}" for i, language in enumerate(languages)]
        (root / "metadata.csv").write_text("\n".join(["id|text|language", *lines]) + "\n")
        config = config_for(root, tmp_path / "cache")
        prepared = prepare(config, silent, named={"data.train_path"})
        assert prepared.corpus.languages == ["en-us", "fa"] and len(prepared.validation) >= 1
        assert nonfinite_values(prepared, config) == {}
        ids = {u.id for store in (prepared.train, prepared.validation) for u in store.utterances}
        assert ids == {f"c{i}" for i in range(rows)}
