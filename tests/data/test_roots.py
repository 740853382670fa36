"""Absolute paths of data roots."""

import os
from pathlib import Path

import pytest

from myxtts.config.schema import Config, DataConfig
from myxtts.data.roots import absolute_paths


def test_existing_roots_get_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "deep/in", "elsewhere/real"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "real")
    monkeypatch.chdir(tmp_path / "deep")
    monkeypatch.setenv("HOME", str(tmp_path))

    def written(train: str) -> str:
        return absolute_paths(Config(data=DataConfig(train_path=train)))["data.train_path"]

    assert written("in") == str(tmp_path / "deep" / "in") == written(str(tmp_path / "deep" / "in"))
    assert written("../a") == written("~/a") == written(str(tmp_path / "deep" / ".." / "a")) == str(tmp_path / "a")
    assert written(f"../a{os.pathsep}../b") == f"{tmp_path / 'a'}{os.pathsep}{tmp_path / 'b'}"
    assert written("../link") == str(tmp_path / "link"), "a link is kept, as its target may change"
    (tmp_path / "elsewhere" / "beside").mkdir()
    assert Path(written("../link/../beside")).resolve() == tmp_path / "elsewhere" / "beside"


def test_absent_roots_are_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as the default, which the built-in corpus replaces."""
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    default = DataConfig()
    assert absolute_paths(Config(data=default)) == {
        "data.train_path": default.train_path,
        "data.val_path": default.val_path,
        "text.dictionary": "none",
        "vocoder.mels_from": "none",
    }
    partly = f"../a{os.pathsep}../gone"
    assert absolute_paths(Config(data=DataConfig(val_path=partly)))["data.val_path"] == partly
    too_long = "x" * 5_000
    assert absolute_paths(Config(data=DataConfig(train_path=too_long)))["data.train_path"] == too_long
