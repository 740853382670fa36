"""`--format onnx`: what the folder holds and gives away, and the runtime that speaks it without TensorFlow."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import made_model
import numpy as np
import pytest

from myxtts.cli import export as command
from myxtts.cli import speak, voice
from myxtts.errors import CheckpointError, DataError
from myxtts.runtime.folder import (
    CONFIG,
    ENCODER,
    TEXT_TO_MEL,
    VOCODER,
    VOCODER_WEIGHTS,
    VOICES,
    is_export,
    open_export,
)
from myxtts.runtime.folder import _digest as digest_of
from myxtts.runtime.interface import Controls
from myxtts.synthesis import Synthesizer, VoicePart
from myxtts.vocoder.neural import NeuralVocoder

pytest.importorskip("tf2onnx")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
TEXT = "A good day to all of you. And to nobody else."


@pytest.fixture(scope="module", params=["regression", "flow"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run and the folder exported from it, with the voice of bob alone."""
    run = made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved(model__decoder=request.param))
    out = tmp_path_factory.mktemp("out") / "model"
    words = [str(run), "--format", "onnx", "--out", str(out), "--speaker", "bob", "--license", "CC-BY-4.0"]
    own = made_model.save_vocoder(out.with_name("own.safetensors"))
    assert command.main([*words, "--vocoder", str(own)]) == 0
    own.unlink()
    return run, out


@pytest.fixture(scope="module")
def both(pair: tuple[Path, Path]) -> tuple[Synthesizer, Synthesizer]:
    run, out = pair
    return Synthesizer.load(run, vocoder=str(out / VOCODER_WEIGHTS)), Synthesizer.load(out)


def test_the_folder_holds_what_it_says_and_nothing_that_was_not_asked_for(pair: tuple[Path, Path]) -> None:
    run, out = pair
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["README.md", CONFIG, ENCODER, TEXT_TO_MEL, VOICES, VOCODER, VOCODER_WEIGHTS]
    )
    assert [path.name for path in out.parent.iterdir()] == ["model"]
    content = b"".join(path.read_bytes() for path in out.iterdir())
    texts = (out / CONFIG).read_text() + (out / "README.md").read_text()
    for secret in (str(run), "dataset_train", "cleo", "checkpoints"):
        assert secret.encode() not in content, secret
    assert '"ann"' not in texts and "bob" in texts
    opened = open_export(out)
    assert opened.corpus.speakers == ["bob"] and opened.speaker_count == 3
    card = (out / "README.md").read_text()
    for part in ("CC-BY-4.0", "en-us, fa", "Prohibited use", "Intended use", "3 voices"):
        assert part in card, part


@pytest.mark.parametrize(
    "options",
    [{}, {"speed": 1.4, "pitch": 3.0, "pitch_range": 1.6, "seed": 5}, {"energy": 4.0, "vary": 0.5, "language": "fa"},
     {"steps": 0}, {"steps": 7, "temperature": 0.2}],
)  # fmt: skip
def test_it_speaks_as_the_run_does(both: tuple[Synthesizer, Synthesizer], options: dict) -> None:
    text = "سلام به همه." if options.get("language") == "fa" else TEXT
    by_run, exported = (synthesizer.speak(text, speaker="bob", **options) for synthesizer in both)
    assert exported.mel_MC.shape == by_run.mel_MC.shape
    np.testing.assert_allclose(exported.mel_MC, by_run.mel_MC, atol=2e-3)
    assert exported.sentences == by_run.sentences and exported.notes == by_run.notes
    assert exported.language == by_run.language and exported.voice == by_run.voice
    again = both[1].speak(text, speaker="bob", **options)
    assert np.array_equal(again.samples, exported.samples)


def test_it_speaks_with_the_vocoder_that_it_was_exported_with(
    both: tuple[Synthesizer, Synthesizer], pair: tuple[Path, Path]
) -> None:
    import onnxruntime

    own = both[1]._vocoder
    assert isinstance(own, NeuralVocoder) and own.vocoder.width == 16
    session = onnxruntime.InferenceSession(str(pair[1] / VOCODER), providers=["CPUExecutionProvider"])
    speech = both[1].speak(TEXT, speaker="bob")
    feeds = {"mel": speech.mel_MC[None], "f0": np.full([1, len(speech.mel_MC)], 120.0, np.float32)}
    (samples,) = session.run(["samples"], feeds)
    assert samples.shape == (1, 256 * len(speech.mel_MC)) and np.isfinite(samples).all()


def test_a_stream_is_the_speech_in_pieces(
    both: tuple[Synthesizer, Synthesizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = both[1]
    parts = exported._vocoder.parts
    # An untrained model is far too loud, and a stream limits its peaks differently from a complete text.
    monkeypatch.setattr(exported._vocoder, "parts", lambda *given: (0.001 * wave_N for wave_N in parts(*given)))
    chunks, whole = list(exported.stream(TEXT, speaker="bob")), exported.speak(TEXT, speaker="bob")
    assert sum(chunk.last for chunk in chunks) == 2 and whole.gain == 1.0
    assert np.array_equal(np.concatenate([chunk.samples for chunk in chunks]), whole.samples)


def test_voices_of_recordings_and_files(
    both: tuple[Synthesizer, Synthesizer], pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = made_model.save_recording(tmp_path / "me.wav")
    made = [synthesizer.make_voice([recording]).voice for synthesizer in both]
    np.testing.assert_allclose(made[0].voice_E, made[1].voice_E, atol=1e-5)
    file = tmp_path / "me.voice"
    assert voice.main(["--checkpoint", str(pair[0]), "--reference", str(recording), "--out", str(file)]) == 0
    from_file = both[1].make_voice(voices=[VoicePart("voice", file), VoicePart("speaker", "bob")])
    assert "mix of" in from_file.description and from_file.notes == ()
    other = tmp_path / "other.voice"
    assert voice.main(["--checkpoint", str(pair[1]), "--reference", str(recording), "--out", str(other)]) == 0
    assert both[0].make_voice(voices=[VoicePart("voice", other)]).notes == (), "voices of both are interchangeable"
    with pytest.raises(DataError, match="speaker 'ann' is not in this model"):
        both[1].speak(TEXT, speaker="ann")
    with pytest.raises(DataError, match="has no aligner"):
        both[1].token_durations(TEXT, np.ones(22_050, np.float32) * 0.1, speaker="bob")


def test_the_limits_are_counted_as_in_the_run(both: tuple[Synthesizer, Synthesizer]) -> None:
    tokens = both[0].tokenizer.encode([TEXT], "en-us")[0].tokens
    made = both[0].make_voice(speaker="bob").voice
    for controls in (Controls(pitch=-24.0), Controls(pitch=24.0, pitch_range=3.0)):
        a, b = (synthesizer.model.generate(tokens, 0, made, controls) for synthesizer in both)
        assert (a.capped, a.squeezed, a.voiced) == (b.capped, b.squeezed, b.voiced)
        assert abs(a.pitch_limited - b.pitch_limited) <= 1


CHILD = """
import json, resource, sys
from myxtts.cli import speak
code = speak.main(json.loads(sys.argv[1]))
print(json.dumps([code, sorted({"tensorflow", "keras", "numba"} & set(sys.modules))]))
"""


def homeless(folder: Path) -> dict[str, str]:
    """An environment whose home, cache and temporary files are in a new folder."""
    folder.mkdir()
    places = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "TMPDIR"), str(folder))
    return {**{name: value for name, value in os.environ.items() if not name.startswith("ORT_")}, **places}


def test_the_command_speaks_without_tensorflow(pair: tuple[Path, Path], tmp_path: Path) -> None:
    recording = made_model.save_recording(tmp_path / "me.wav")
    out = tmp_path / "x.wav"
    words = ["--checkpoint", str(pair[1]), "--text", TEXT, "--reference", str(recording), "--out", str(out), "--stream"]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(words)], cwd=ROOT, capture_output=True, text=True, check=False,
        env=homeless(tmp_path / "home"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []], done.stdout
    assert list((tmp_path / "home").iterdir()) == [], "no temporary files, and no telemetry of ONNX Runtime"
    assert "exported model: " in done.stdout and out.stat().st_size > 10_000


def test_the_server_gives_word_times_without_tensorflow(
    pair: tuple[Path, Path], both: tuple[Synthesizer, Synthesizer], tmp_path: Path
) -> None:
    openai = pytest.importorskip("openai")
    pytest.importorskip("uvicorn")
    words = [sys.executable, "-m", "myxtts", "serve", str(pair[1]), "--port", "0"]
    environment = homeless(tmp_path / "home")
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            address = next(line for line in server.stdout if line.startswith("listening on ")).split()[-1]
            extra = {"stream_format": "json", "timestamp_granularities": ["word"]}
            client = openai.OpenAI(base_url=f"{address}/v1", api_key="none")
            answer = client.audio.speech.create(
                model="myxtts", voice="bob", input=TEXT, response_format="pcm", extra_body=extra
            )
            values = json.loads(answer.read())
            assert "libtensorflow" not in Path(f"/proc/{server.pid}/maps").read_text()
        finally:
            server.terminate()
    assert server.returncode == 0 and list((tmp_path / "home").iterdir()) == []
    sentences = both[0].speak(TEXT, speaker="bob").sentences
    wanted = [
        (word.text, round(sentence.start_seconds + word.start_seconds, 3))
        for sentence in sentences
        for word in sentence.words
    ]
    assert [(word["word"], word["start"]) for word in values["words"]] == wanted


def test_damaged_folders_are_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(pair[1], tmp_path / name))

    def error_of(folder: Path) -> str:
        with pytest.raises(CheckpointError) as caught:
            Synthesizer.load(folder)
        assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
        return str(caught.value)

    for name in (TEXT_TO_MEL, ENCODER, VOICES, VOCODER, VOCODER_WEIGHTS):
        folder = copy(f"cut-{name}")
        (folder / name).write_bytes((folder / name).read_bytes()[:-9])
        assert f"{name} is not the file that was exported" in error_of(folder)
        (folder / name).unlink()
        assert f"{name} cannot be read" in error_of(folder)
        (folder / name).mkdir()
        assert "damaged" in error_of(folder) or "cannot be read" in error_of(folder)
    folder = copy("config")
    text = (folder / CONFIG).read_text()
    later = text.replace('"version": 1', '"version": 99')
    for changed in (text[:-20], "[]", '{"format": "x"}', later, "\x00", "{" * 9999):
        (folder / CONFIG).write_text(changed)
        assert is_export(folder) and error_of(folder)
    values = json.loads(text)
    for key, wrong in (
        ("voice_model", {"encoder": "a", "run": "b", "update": [1]}), ("voice_model", {"encoder": 1, "run": "b"}),
        ("weights", "fp8"), ("weights", None), ("speaker_count", -1), ("version", 0), ("version", True),
        ("untrained", [3]), ("settings", []), ("corpus", None), ("vocoder", {}), ("files", []),
    ):  # fmt: skip
        changed_values = {k: v for k, v in values.items() if k != "digest"} | {key: wrong}
        (folder / CONFIG).write_text(json.dumps({**changed_values, "digest": digest_of(changed_values)}))
        assert error_of(folder), key
    for key in values:
        (folder / CONFIG).write_text(json.dumps({k: v for k, v in values.items() if k != key}))
        assert error_of(folder)


def test_one_wrong_byte_anywhere_is_one_line(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every file with a byte changed at many places, cut, or empty: an error of one line, or the same speech."""
    folder = Path(shutil.copytree(pair[1], tmp_path / "model"))
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        places = np.linspace(0, len(content) - 1, 60 if path.name == CONFIG else 8).astype(int)
        changed = [content[:at] + bytes([content[at] ^ 0x41]) + content[at + 1 :] for at in places]
        for damaged in (*changed, content[: len(content) // 2], b"", content + b"\0"):
            path.write_bytes(damaged)
            if path.name == "README.md":
                open_export(folder)  # the card is the user's to change
                continue
            with pytest.raises(CheckpointError) as caught:
                open_export(folder)
            assert "\n" not in str(caught.value) and path.name in str(caught.value), path.name
        words = ["--checkpoint", str(folder), "--text", "A.", "--speaker", "bob", "--out", str(tmp_path / "x.wav")]
        code = speak.main(words)
        said = capsys.readouterr().err
        assert (code, "Traceback" in said) == (0 if path.name == "README.md" else 2, False), said
        path.write_bytes(content)


def test_graphs_that_do_not_belong_together(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Hashes that fit say nothing of a graph itself, since whoever changes a folder can write them."""
    folder = Path(shutil.copytree(pair[1], tmp_path / "model"))
    names = (TEXT_TO_MEL, ENCODER, VOICES, VOCODER, VOCODER_WEIGHTS)
    opened = open_export(folder)

    def rewrite(name: str, content: bytes) -> None:
        (folder / name).write_bytes(content)
        values = opened.about.to_json({name: (folder / name).read_bytes() for name in names})
        (folder / CONFIG).write_text(json.dumps(values))

    recording = made_model.save_recording(tmp_path / "me.wav")
    own = {name: (folder / name).read_bytes() for name in (TEXT_TO_MEL, ENCODER)}
    for name, other in ((TEXT_TO_MEL, ENCODER), (ENCODER, TEXT_TO_MEL)):
        for content in (own[other], b"no graph", own[name][: len(own[name]) // 2], b""):
            rewrite(name, content)
            with pytest.raises(CheckpointError) as caught:
                Synthesizer.load(folder).make_voice([recording])
            assert "\n" not in str(caught.value) and "export it again" in str(caught.value)
        rewrite(name, own[name])
    assert Synthesizer.load(folder).make_voice([recording])


def test_bad_requests(pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = pair

    def lines(*words: str) -> str:
        assert command.main(list(words)) == 2
        return capsys.readouterr().err

    assert "RUN is missing" in lines() and "--format is missing" in lines(str(run))
    assert "expected one of: onnx" in lines(str(run), "--format", "ogg", "--out", str(tmp_path / "x"))
    assert "contains files" in lines(str(run), "--format", "onnx", "--out", str(out))
    words = [str(run), "--format", "onnx", "--out", str(tmp_path / "x")]
    assert "speaker 'bop' is not in this model; did you mean 'bob'?" in lines(*words, "--speaker", "bop")
    assert "two voices are called 'bob'" in lines(*words, "--speaker", "bob", "--speaker", "bob")
    assert "voice '" in lines(*words, "--voice", str(tmp_path / "none.voice"))
    assert "--license is 'a b'" in lines(*words, "--license", "a b")
    assert "no checkpoint" in lines(str(out), *words[1:]), "an exported folder is no run"
    assert list(tmp_path.iterdir()) == []


def test_speak_lists_what_is_exported(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert speak.main(["--checkpoint", str(pair[1]), "--list"]) == 0
    printed = capsys.readouterr().out
    assert "bob" in printed and "ann" not in printed and "weights fp32" in printed
