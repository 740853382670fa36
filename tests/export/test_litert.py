"""`--format litert`: the files in LiteRT's interpreter against TensorFlow, and speaking them without TensorFlow."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import made_model
import numpy as np
import pytest

from myxtts.cli import export as command
from myxtts.errors import CheckpointError
from myxtts.runtime.folder import LITERT_ENCODER, PROSODY_TO_MEL, TEXT_TO_PROSODY, open_export
from myxtts.runtime.interface import Controls
from myxtts.runtime.litert_model import LiteRtGraph, LiteRtModel
from myxtts.synthesis import Synthesizer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
TEXT = "A good day to all of you. And to nobody else."


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run and the folder exported from it, with the voice of bob."""
    run = made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved())
    out = tmp_path_factory.mktemp("out") / "model"
    assert command.main([str(run), "--format", "litert", "--out", str(out), "--speaker", "bob"]) == 0
    return run, out


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
def test_the_files_compute_what_the_run_computes(pair: tuple[Path, Path]) -> None:
    import tensorflow as tf

    run, out = pair
    assert {path.suffix for path in out.iterdir()} == {".tflite", ".json", ".md", ".safetensors"}
    exported = LiteRtModel(open_export(out), tf.lite.Interpreter)
    by_run = Synthesizer.load(run)
    bob = by_run.make_voice(speaker="bob").voice
    lengths = set()
    for text, controls in (
        (TEXT, Controls()), ("A day.", Controls(speed=1.4, pitch=3.0, pitch_range=1.6, energy=2.0, seed=5)),
        ("Hello there, all of you.", Controls(steps=3, temperature=0.2)), ("One. ", Controls(speed=0.7)),
        ("Two and three.", Controls(pitch=24.0)),
    ):  # fmt: skip
        tokens_T = by_run.tokenizer.encode([text], "en-us")[0].tokens
        a, b = (model.generate(tokens_T, 0, bob, controls) for model in (by_run.model, exported))
        lengths.add(len(a.mel_MC) % 2)
        assert np.array_equal(a.duration_T, b.duration_T)
        np.testing.assert_allclose(b.mel_MC, a.mel_MC, atol=2e-3)
        np.testing.assert_allclose(b.pitch_hz_M, a.pitch_hz_M, atol=0.05)
        assert (a.capped, a.squeezed) == (b.capped, b.squeezed) and abs(a.pitch_limited - b.pitch_limited) <= 1
    assert lengths == {0, 1}
    reference_ARC = np.random.default_rng(1).normal(size=(2, 91, 80)).astype(np.float32)
    length_A = np.array([91, 70], np.int32)
    for a, b in zip(*(model.voices(reference_ARC, length_A) for model in (by_run.model, exported)), strict=True):
        np.testing.assert_allclose(b.voice_E, a.voice_E, atol=1e-5)
        np.testing.assert_allclose(b.style_Y, a.style_Y, atol=1e-5)


CHILD = """
import json, sys
from myxtts.cli import speak
code = speak.main(json.loads(sys.argv[1]))
print(json.dumps([code, sorted({"tensorflow", "keras", "onnxruntime"} & set(sys.modules))]))
"""


def test_the_command_speaks_it_without_tensorflow(pair: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    recording = made_model.save_recording(tmp_path / "me.wav")
    for voice in (["--speaker", "bob"], ["--reference", str(recording)]):
        out = tmp_path / f"{voice[0]}.wav"
        words = ["--checkpoint", str(pair[1]), "--text", TEXT, *voice, "--out", str(out)]
        done = subprocess.run(
            [sys.executable, "-c", CHILD, json.dumps(words)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1]) == [0, []], done.stdout
        assert out.stat().st_size > 10_000


def test_without_its_package_the_extra_is_named(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from myxtts.cli import speak

    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    words = ["--checkpoint", str(pair[1]), "--text", "Hello.", "--speaker", "bob", "--out", str(tmp_path / "x.wav")]
    assert speak.main(words) == 2
    assert "pip install 'myxtts[litert]'" in capsys.readouterr().err


def test_damaged_files_are_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    for name in (TEXT_TO_PROSODY, PROSODY_TO_MEL, LITERT_ENCODER):
        folder = Path(shutil.copytree(pair[1], tmp_path / name))
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=f"{name} is not the file that was exported"):
            Synthesizer.load(folder)


def test_int8_is_smaller_and_a_wrong_file_leaves_nothing(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from myxtts.export.parity import LOSSY_MEL_ERROR

    run, out = pair
    words = [str(run), "--format", "litert", "--speaker", "bob", "--out"]
    with monkeypatch.context() as patched:  # what int8 loses of made-up weights depends on the processor
        patched.setitem(LOSSY_MEL_ERROR, "int8", 1e-6)
        assert command.main([*words, str(tmp_path / "lossy"), "--weights", "int8"]) == 2
        (said,) = [line for line in capsys.readouterr().err.splitlines() if "int8" in line]
        assert said.startswith("error: --weights int8 changes the mels") and said.endswith("use --weights fp16")
        patched.setitem(LOSSY_MEL_ERROR, "int8", 10.0)
        assert command.main([*words, str(tmp_path / "small"), "--weights", "int8"]) == 0
    for name in (TEXT_TO_PROSODY, PROSODY_TO_MEL):
        assert (tmp_path / "small" / name).stat().st_size < (out / name).stat().st_size
    right = LiteRtGraph.__call__

    def wrong(self: LiteRtGraph, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        outputs = right(self, **inputs)
        return outputs | {"mel": outputs["mel"] + 0.1} if "mel" in outputs else outputs

    monkeypatch.setattr(LiteRtGraph, "__call__", wrong)
    capsys.readouterr()
    assert command.main([*words, str(tmp_path / "wrong")]) == 1
    assert "the exported model differs from TensorFlow" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
def test_graphs_that_do_not_belong_together(pair: tuple[Path, Path], tmp_path: Path) -> None:
    import tensorflow as tf

    folder = Path(shutil.copytree(pair[1], tmp_path / "model"))
    opened = open_export(folder)
    (folder / TEXT_TO_PROSODY).write_bytes((folder / PROSODY_TO_MEL).read_bytes())
    with pytest.raises(CheckpointError, match=f"{TEXT_TO_PROSODY} does not fit the settings beside it"):
        LiteRtModel(opened, tf.lite.Interpreter)


def test_a_flow_decoder_is_an_error_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = made_model.save_run(tmp_path / "run", made_model.resolved(model__decoder="flow"))
    assert command.main([str(run), "--format", "litert", "--out", str(tmp_path / "model")]) == 2
    error = capsys.readouterr().err
    assert "flow decoder" in error and "--format onnx" in error and "Traceback" not in error
    assert not (tmp_path / "model").exists()
