"""What is kept of a recording: seconds, level, warnings; and what is no recording of a voice."""

from pathlib import Path

import made_model
import numpy as np
import pytest

from myxtts.audio.waveform import write_wav
from myxtts.errors import DataError
from myxtts.synthesis.recording import examine_recording

CONFIG, CORPUS = made_model.resolved().config, made_model.corpus()


def test_seconds_pauses_and_level(tmp_path: Path) -> None:
    rate = made_model.AUDIO.sample_rate_hz
    made_model.save_recording(tmp_path / "a.wav", seconds=4.0)
    import soundfile

    speech = soundfile.read(tmp_path / "a.wav", dtype="float32")[0]
    silence = np.zeros(2 * rate, np.float32)
    write_wav(tmp_path / "b.wav", np.concatenate([silence, speech, silence, speech, silence]), rate)
    found = examine_recording(tmp_path / "b.wav", CONFIG, CORPUS)
    assert found.seconds == pytest.approx(14.0) and 7.0 < found.kept_seconds < 9.0
    assert found.cut_seconds == pytest.approx(found.seconds - found.kept_seconds)
    assert -30.0 < found.level_db < -5.0 and found.warnings == ()
    assert len(found.samples_N) < 11 * rate


def test_warnings(tmp_path: Path) -> None:
    quiet = made_model.save_recording(tmp_path / "quiet.wav", seconds=1.5, loudness=0.01)
    said = " ".join(examine_recording(quiet, CONFIG, CORPUS).warnings)
    assert "three to ten seconds" in said and "very quiet" in said
    loud = made_model.save_recording(tmp_path / "loud.wav", seconds=4.0, loudness=9.0)
    assert "clipped" in " ".join(examine_recording(loud, CONFIG, CORPUS).warnings)


def test_noise_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0.0, 0.1, 88_200).astype(np.float32)
    write_wav(tmp_path / "noise.wav", noise, made_model.AUDIO.sample_rate_hz)
    assert "noise" in examine_recording(tmp_path / "noise.wav", CONFIG, CORPUS).problem


def test_what_is_no_recording(tmp_path: Path) -> None:
    write_wav(tmp_path / "silent.wav", np.zeros(44_100, np.float32), 22_050)
    (tmp_path / "text.wav").write_text("hello")
    made_model.save_recording(tmp_path / "short.wav", seconds=0.2)
    for name, message in (("silent", "silent"), ("text", "not a readable"), ("short", "at least 0.5 s")):
        with pytest.raises(DataError, match=message):
            examine_recording(tmp_path / f"{name}.wav", CONFIG, CORPUS)
