"""`python -m myxtts voice`: a file that `myxtts speak --voice` speaks with, and one line for each mistake."""

from pathlib import Path

import made_model
import numpy as np
import pytest

from myxtts.cli import speak, voice
from myxtts.synthesis.voice_file import read_voice, write_voice

TEXT = "A good day to all of you."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved())


def test_a_voice_is_saved_and_spoken_with(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # a long path would be shortened
    recording, file = made_model.save_recording(Path("me.wav")), Path("anna.voice")
    words = ["--checkpoint", str(run), "--reference", f"{recording}:0.7", "--speaker", "bob:0.7", "--out", str(file)]
    assert voice.main(words) == 0
    printed = capsys.readouterr().out
    assert f"voice: mix of 50% reference '{recording}' and 50% training speaker 'bob'" in printed
    assert f"{file}: voice 'anna' of 8 + 4 numbers, for encoder " in printed and "(update 10, " in printed
    stored = read_voice(file)
    assert stored.made_from == "mix of 50% reference 'me.wav' and 50% training speaker 'bob'" and stored.name == "anna"
    assert str(tmp_path).encode() not in file.read_bytes()

    out = tmp_path / "out.wav"
    words = ["--checkpoint", str(run), "--text", TEXT, "--voice", f"{file}:2", "--speaker", "ann:1", "--out", str(out)]
    assert speak.main(words) == 0
    assert f"voice: mix of 66.7% voice '{file}' and 33.3% training speaker 'ann'" in capsys.readouterr().out


def test_a_random_voice_is_saved_under_a_name(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "new.voice"
    words = ["--checkpoint", str(run), "--random-voice", "7", "--out", str(file), "--name", "Nobody"]
    assert voice.main([*words, "--consent", "Ann Example, 2026-12-01"]) == 0
    assert read_voice(file).consent == "Ann Example, 2026-12-01"
    assert voice.main(words) == 0
    assert "note: random voice 7 is closest to training speaker '" in capsys.readouterr().out
    first = read_voice(file)
    assert voice.main(words) == 0
    assert (first.name, first.made_from) == ("Nobody", "random voice 7")
    assert np.array_equal(read_voice(file).voice_E, first.voice_E)


def test_a_file_whose_name_ends_in_a_weight_is_that_file(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made_model.save_recording(tmp_path / "a.wav")
    (tmp_path / "a.wav").rename(tmp_path / "a:0.7")
    assert voice.main(["--checkpoint", str(run), "--reference", "a:0.7", "--out", "a.voice"]) == 0
    assert "voice: reference 'a:0.7'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no voice is given; use --reference, --speaker, --voice or --random-voice"),
        (["--speaker", "bob", "--out", "a.wav"], "--out is 'a.wav', expected a name that ends in .voice"),
        (["--speaker", "bob", "--name", ""], "--name is '', expected 1 to 100 printable characters"),
        (["--speaker", "bob", "--nam", "x"], "unknown option '--nam'; did you mean --name?"),
        (["--speaker", "bop:1"], "speaker 'bop' is not in this model; did you mean 'bob'?"),
        (["--speaker", "bob:1", "--speaker", "ann"], "--speaker 'bob:1' has a weight and --speaker 'ann' has none"),
        (["--speaker", "bob", "--consent", "x"], "--consent is 'x', expected who consented and when"),
        (["--random-voice", "-1"], "--random-voice is '-1', expected a whole number"),
        (["--random-voice", "5000000000"], "--random-voice is '5000000000', expected a whole number"),
        (["--voice", "bad.voice"], "voice 'bad.voice': damaged or not a voice"),
        (["--voice", "bad.voice:2", "--out", "bad.voice"], "--out is 'bad.voice', which --voice reads"),
        (["--voice", "other.voice"], "voice 'other.voice' belongs to another model (encoder 'eeeeeeeeeeee', here "),
    ],
)
def test_mistakes_get_one_line_and_write_nothing(
    words: list[str],
    message: str,
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.voice").write_bytes(b"no tensors")
    from myxtts.runtime.interface import VoiceModel
    from myxtts.synthesis.voice_file import StoredVoice

    one = np.eye(8, dtype=np.float32)[0]
    other = StoredVoice(one, one[:4], "x", "x", VoiceModel("e" * 32, "f" * 32, 1))
    write_voice(tmp_path / "other.voice", other)
    assert voice.main(["--checkpoint", str(run), "--out", "out.voice", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and error.startswith("error: ")
    assert not (tmp_path / "out.voice").exists()


def test_all_mistakes_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert voice.main([]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        voice.main(["--help"])
    assert "--reference WAV[:WEIGHT]" in capsys.readouterr().out
