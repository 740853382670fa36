"""`myxtts speak`: files, output, and one line for each mistake."""

from pathlib import Path

import made_model
import numpy as np
import pytest
import soundfile

from myxtts.cli import speak
from myxtts.storage.find_checkpoint import find
from myxtts.storage.store import CheckpointStore
from myxtts.synthesis.options import LONGEST_TEXT

TEXT = "A good day to all of you."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved())


def failed(words: list[str], capsys: pytest.CaptureFixture[str], folder: Path) -> str:
    """The error of a command that must fail with exit code 2 and write nothing."""
    before = sorted(folder.rglob("*"))
    assert speak.main(words) == 2
    shown = capsys.readouterr()
    assert sorted(folder.rglob("*")) == before
    assert all(line.startswith("error: ") for line in shown.err.splitlines()), shown.err
    return shown.err


def test_a_wav_and_a_mel_are_written(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voice = made_model.save_recording(tmp_path / "voice.wav")
    out, mel = tmp_path / "out.wav", tmp_path / "out.npy"
    words = ["--checkpoint", str(run), "--text", TEXT, "--reference", str(voice), "--reference", str(voice)]
    assert speak.main([*words, "--out", str(out), "--save-mel", str(mel), "--pitch", "1"]) == 0
    info = soundfile.info(out)
    mel_MC = np.load(mel, allow_pickle=False)
    assert (info.samplerate, info.channels, info.subtype) == (22_050, 1, "PCM_16")
    assert mel_MC.dtype == np.float32 and mel_MC.shape == (info.frames // 256, 80)
    printed = capsys.readouterr().out
    assert "step-00000010 (update 10, the best by validation, averaged weights)" in printed
    assert "voice: mean of references" in printed and "; language: en-us; seed 1" in printed
    assert f"{out}: {info.duration:.2f} s in 1 sentence; computed in" in printed and "real-time factor" in printed
    assert f"{mel}: log-mel of {len(mel_MC)} frames x 80 channels" in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.npy", "out.wav", "voice.wav"]


def test_a_text_file_in_a_training_voice(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, out = tmp_path / "text.txt", tmp_path / "out.wav"
    text.write_bytes(b"\xef\xbb\xbfFirst one.\r\n\r\nSecond \xe2\x98\x83 one.\n")
    words = ["--checkpoint", str(run / "checkpoints"), "--text-file", str(text), "--speaker", "cleo", "--out", str(out)]
    assert speak.main(words) == 0
    printed = capsys.readouterr().out
    assert "voice: training speaker 'cleo'" in printed and "in 2 sentences" in printed
    assert "note: omitted, not pronounceable in en-us: '\u2603' (U+2603)" in printed


def test_list_names_languages_and_speakers(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert speak.main(["--checkpoint", str(run), "--list"]) == 0
    assert capsys.readouterr().out.endswith("languages: en-us, fa\nspeakers:\n  ann\n  bob\n  cleo\n")


def test_list_is_of_the_checkpoint_that_is_preferred(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, settings = tmp_path / "run", made_model.resolved()
    made_model.save_run(run, settings)
    store = CheckpointStore(run / "checkpoints", keep=2, kept_every_updates=10)
    arrays = {"average": made_model.weights(settings.config.model.decoder)}
    store.save(20, arrays, {"update": 20}, texts=find(run).texts)
    for prefer, update in (("best", 10), ("last", 20)):
        assert speak.main(["--checkpoint", str(run), "--list", "--prefer", prefer]) == 0
        assert f"(update {update}" in capsys.readouterr().out


def test_options_of_the_flow_decoder_are_noted_where_there_is_none(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from myxtts.synthesis.opened import open_checkpoint

    words = ["--text", TEXT, "--speaker", "bob", "--out", str(tmp_path / "out.wav")]
    assert speak.main(["--checkpoint", str(run), *words, "--steps", "3"]) == 0
    note = "note: --steps has no effect: the decoder of this model is regression, not flow"
    assert f"{note}\n" in capsys.readouterr().out
    flow = made_model.save_run(tmp_path / "flow", made_model.resolved(model__decoder="flow"), average={})
    both = "note: --temperature and --steps have no effect: "
    for checkpoint, names, start in (
        (run, ["speed", "steps"], note),
        (run, ["temperature", "steps"], both),
        (run, ["speed"], None),
        (flow, ["steps", "temperature"], None),
    ):
        found = speak._unused_options(names, open_checkpoint(checkpoint))
        assert [line.startswith(str(start)) for line in found] == ([] if start is None else [True])


def test_help_names_the_limits(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        speak.main(["--help"])
    shown = capsys.readouterr().out
    assert end.value.code == 0 and "--reference WAV" in shown and f"up to {LONGEST_TEXT:,} characters" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--text", " "], "--text is empty; write at least one word"),
        (["--text", "a", "--text-file", "b"], "both --text and --text-file"),
        (["--text", "a", "--speed", "9"], "--speed is 9.0, expected 0.25 to 4 times"),
        (["--text", "a", "--speed", "fast"], "--speed: invalid float value: 'fast'"),
        (["--text", "a", "--speaker", "bop"], "speaker 'bop' is not in this model; did you mean 'bob'?"),
        (["--text", "a", "--language", "xx"], "language 'xx' is not in this model; available: 'en-us', 'fa'"),
        (
            ["--text", "a", "--reference", "none.wav"],
            "--reference 'none.wav': cannot be opened (No such file or directory); check the path\n",
        ),
        (["--text", "a", "--reference", ""], "--reference is empty; remove it, or write WAV after it"),
        (["--text", "a", "--voice", ""], "--voice is empty; remove it, or write FILE after it"),
        (
            ["--text", "a", "--reference", "x.wav:0.7", "--speaker", "bob"],
            "--reference 'x.wav:0.7' has a weight and --speaker 'bob' has none; give every part a weight",
        ),
        (
            ["--text", "a", "--reference", "x.wav:0"],
            "--reference 'x.wav:0': the weight is '0', expected a number over 0",
        ),
        (["--text", "a", "--speaker", "bob:much"], "the weight is 'much', expected a number over 0; write it as in"),
        (["--text", "a", "--speaker", "bop:0.5"], "speaker 'bop' is not in this model; did you mean 'bob'?"),
        (["--text", "a", "--random-voice", "x"], "--random-voice is 'x', expected a whole number 0 to 2147483647"),
        (["--text", "a", "--voice", "none.voice"], "voice 'none.voice': cannot be read (No such file or directory)"),
        (["--text", "a", "--pitch-range", "9"], "--pitch-range is 9.0, expected 0 to 4 times"),
        (["--text", "a", "--vary", "3"], "--vary is 3.0, expected 0 to 2"),
        (["--text", "a", "--out", "a.wav", "--raw"], "--out is 'a.wav', expected a name that ends in .raw or .pcm"),
        (["--text-file", "none.txt"], "--text-file 'none.txt' does not exist"),
        (["--text", "a", "--save-mel", "mel.txt"], "--save-mel is 'mel.txt', expected a name that ends in .npy"),
        (["--text", "a", "--sped", "1"], "unknown option '--sped'; did you mean --speed?"),
        (["--text", "a", "--checkpoint", "nowhere"], "checkpoint 'nowhere' does not exist: give a run directory"),
        (["--text", "a", "--out", "nowhere/a.wav"], "--out is 'nowhere/a.wav', its folder does not exist"),
        (["--text", "a", "--out", "a.mp3"], "--out is 'a.mp3', expected a name that ends in .wav"),
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
    error = failed(["--checkpoint", str(run), "--out", "out.wav", *words], capsys, tmp_path)
    assert message in error and error.count("\n") == 1


def test_a_bad_text_file(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.txt"
    words = ["--checkpoint", str(run), "--out", str(tmp_path / "out.wav"), "--text-file", str(text)]
    text.write_bytes(b"one\ntw\xff\n")
    assert "text.txt', line 2: byte 0xff is not UTF-8" in failed(words, capsys, tmp_path)
    text.write_bytes(b"a" * 400_001)
    assert "has over 400000 bytes" in failed(words, capsys, tmp_path)
    text.write_bytes(b"")
    assert "text.txt' is empty" in failed(words, capsys, tmp_path)


def test_all_mistakes_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert failed(["--seed", "-1"], capsys, tmp_path).count("\n") == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--reference", "a.wav", "--out", "a.wav"], "--out is 'a.wav', which --reference reads; name another file"),
        (["--reference", "a.wav:0.5", "--out", "./a.wav", "--stream"], "--out is 'a.wav', which --reference reads"),
        (["--reference", "a.wav", "--out", "link.wav"], "--out is 'link.wav', which --reference reads"),
        (["--voice", "a.raw", "--raw", "--out", "a.raw"], "--out is 'a.raw', which --voice reads"),
        (["--text-file", "a.npy", "--out", "b.wav", "--save-mel", "a.npy"], "--save-mel is 'a.npy', which --text-file"),
    ],
)
def test_no_file_that_is_read_is_written_over(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "a.raw", "a.npy"):
        Path(name).write_bytes(b"mine")
    Path("link.wav").symlink_to("a.wav")
    text = [] if "--text-file" in words else ["--text", "a"]
    assert message in failed(["--checkpoint", "run", *text, *words], capsys, tmp_path)
    assert Path("a.wav").read_bytes() == b"mine"


def test_a_dictionary_changes_the_speech_and_unused_words_are_noted(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dictionary, plain, out = tmp_path / "words.tsv", tmp_path / "plain.wav", tmp_path / "out.wav"
    dictionary.write_text("DAY\tnight\nzebra\t/z/\n", encoding="utf-8")
    words = ["--checkpoint", str(run), TEXT, "--speaker", "cleo"]
    assert speak.main([*words, "--out", str(plain)]) == 0
    assert speak.main([*words, "--out", str(out), "--dictionary", str(dictionary)]) == 0
    printed = capsys.readouterr().out
    assert "'zebra'" in printed and "'day'" not in printed
    assert plain.read_bytes() != out.read_bytes()
    assert speak.main([*words[:2], TEXT.replace("day", "night"), *words[3:], "--out", str(plain)]) == 0
    assert plain.read_bytes() == out.read_bytes()
    dictionary.write_text("two words\t/z/\n", encoding="utf-8")
    capsys.readouterr()
    assert "words.tsv:1" in failed([*words, "--out", str(out), "--dictionary", str(dictionary)], capsys, tmp_path)


def test_a_model_speaks_with_the_dictionary_it_was_trained_with(run: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from myxtts.synthesis import Synthesizer
    from myxtts.synthesis.opened import open_checkpoint

    opened = open_checkpoint(run)
    trained = replace(opened, corpus=replace(opened.corpus, dictionary={"day": "/nˈaɪt/"}))
    assert trained.voice_model == opened.voice_model
    tokenizer = Synthesizer(trained).tokenizer
    assert tokenizer.encode(["day"], "en-us")[0].symbols == tokenizer.encode(["night"], "en-us")[0].symbols
