"""References: trimmed, level-matched and split as in training."""

from pathlib import Path

import made_model
import numpy as np
import pytest

from myxtts.errors import DataError
from myxtts.synthesis.voices import MOST_SEGMENTS, reference_segments, split_reference

CONFIG = made_model.resolved().config


def test_short_references_are_one_piece_and_long_ones_spread() -> None:
    mel_MC = np.arange(1000, dtype=np.float32)[:, None].repeat(2, axis=1)
    short = split_reference(mel_MC[:40], 64, 10)
    assert short.mel_ARC.shape == (1, 64, 2) and short.length_A.tolist() == [40]
    assert (short.mel_ARC[0, 40:] == 0).all()
    assert split_reference(mel_MC[:64], 64, 10).length_A.tolist() == [64]
    two = split_reference(mel_MC[:70], 64, 10)
    assert two.length_A.tolist() == [64, 64] and two.mel_ARC[:, 0, 0].tolist() == [0, 6]
    many = split_reference(mel_MC, 64, 10)
    assert len(many.length_A) == MOST_SEGMENTS
    assert many.mel_ARC[0, 0, 0] == 0 and many.mel_ARC[-1, -1, 0] == 999


def test_quiet_and_loud_recordings_give_the_same_mel(tmp_path: Path) -> None:
    corpus = made_model.corpus()
    mels = []
    for loudness in (0.9, 0.03):
        path = made_model.save_recording(tmp_path / "a.wav", loudness=loudness)
        mels.append(reference_segments(path, 1, CONFIG, corpus).mel_ARC)
    assert mels[0].shape == mels[1].shape
    assert np.abs(mels[0] - mels[1]).mean() < 0.05


@pytest.mark.parametrize(("seconds", "stated"), [(0.6, "0.6 s"), (2.9, "2.9 s"), (3.0, None), (8.0, None)])
def test_a_note_on_references_shorter_than_in_training(
    seconds: float, stated: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a long path would be shortened
    segments = reference_segments(made_model.save_recording(Path("a.wav"), seconds), 1, CONFIG, made_model.corpus())
    if stated is None:
        assert segments.note is None
    else:
        assert segments.note is not None
        assert segments.note.startswith(
            f"reference 'a.wav': {stated} of speech, but the references in training had at "
        )
        assert "at least 3 s (data.reference_min_seconds)" in segments.note


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros(30_000, np.float32), "reference 2: silence"),
        (np.ones((2, 9), np.float32), "reference 2: float32 of shape (2, 9), expected float samples [N]"),
        (np.ones(9, np.int16), "reference 2: int16"),
        (np.array([0.1, np.nan], np.float32), "reference 2: 1 samples are not finite"),
        (np.sin(np.arange(4_000, dtype=np.float32)), "reference 2: 0.18 s of sound, at least 0.5 s"),
        (np.sin(np.arange(14_000_000, dtype=np.float32)), "reference 2: longer than 600 s"),
    ],
    ids=["silent", "stereo", "integers", "nan", "short", "long"],
)
def test_samples_that_cannot_be_used(samples: np.ndarray, words: str) -> None:
    with pytest.raises(DataError) as caught:
        reference_segments(samples, 2, CONFIG, made_model.corpus())
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    for name, words in (("none.wav", "cannot be opened"), ("text.wav", "not a readable recording")):
        with pytest.raises(DataError, match=words):
            reference_segments(tmp_path / name, 1, CONFIG, made_model.corpus())
