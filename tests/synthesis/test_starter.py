"""The model that comes with MyXTTS: whole, small, without traces of where it was trained, and it speaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from myxtts.cli import speak
from myxtts.storage import STARTER
from myxtts.storage.find_checkpoint import STARTER_PATH, find, located
from myxtts.synthesis.opened import open_checkpoint

MOST_BYTES = 16e6


def test_it_is_whole_and_small() -> None:
    found = find(Path(STARTER))
    assert found.path == STARTER_PATH and set(found.arrays) == {"average", "voices"}
    for part in found.arrays.values():
        assert all(w.dtype == np.float16 and np.isfinite(w.astype(np.float32)).all() for w in part.values())
    assert sum(path.stat().st_size for path in STARTER_PATH.iterdir()) < MOST_BYTES


def test_it_speaks_english_and_persian_in_many_voices() -> None:
    opened = open_checkpoint(Path(STARTER))
    assert {"en-us", "fa"} <= set(opened.corpus.languages) and opened.speaker_count > 100
    assert not [name for name in opened.corpus.speakers if "@" in name]


def test_it_holds_no_path_and_a_card_with_data_and_licences() -> None:
    settings = (STARTER_PATH / "config.yaml").read_text(encoding="utf-8")
    assert "/root" not in settings and "/work" not in settings and "/home" not in settings
    card = (STARTER_PATH / "card.md").read_text(encoding="utf-8")
    for word in ("LibriSpeech", "CC BY 4.0", "CC0", "consent", "hours"):
        assert word in card


def test_a_folder_of_the_same_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert located(STARTER) == STARTER_PATH
    (tmp_path / STARTER).mkdir()
    assert located(STARTER) == Path(STARTER)


@pytest.mark.graph
def test_it_speaks_right_after_the_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import soundfile

    monkeypatch.chdir(tmp_path)
    assert speak.main(["Hello there.", "--out", "hello.wav"]) == 0
    samples, rate = soundfile.read("hello.wav")
    assert rate == 22_050 and 0.4 < len(samples) / rate < 4.0 and 0.02 < np.abs(samples).max() <= 1.0
    printed = capsys.readouterr().out
    assert "starter" in printed and "hello.wav" in printed
