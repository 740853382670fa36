"""`--format savedmodel` and `hub`: a process without MyXTTS runs the one, `Synthesizer.load` speaks the other."""

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
from myxtts.synthesis import Synthesizer

pytest.importorskip("tf2onnx")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved())


PLAIN = """
import json, sys
sys.modules["myxtts"] = None
import numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
voice = json.load(open(sys.argv[1] + "/voices.json"))["bob"]
out = model.signatures["speak"](
    tokens=tf.constant([[1, 40, 1, 41, 1, 42, 1]], tf.int64), language=tf.constant([0], tf.int64),
    voice=tf.constant([voice["voice"]], tf.float32), style=tf.constant([voice["style"]], tf.float32),
    controls=tf.constant([1.0, 0.0, 1.0, 0.0]),
)
mel = tf.random.stateless_normal([2, 61, 80], [1, 2])
heads = model.signatures["encode"](mel=mel, frames=tf.constant([61, 40], tf.int64))
print(json.dumps([
    int(out["durations"].numpy().sum()), list(out["mel"].shape), list(out["samples"].shape),
    bool(np.isfinite(out["samples"]).all()), np.linalg.norm(heads["voice"], axis=1).round(3).tolist(),
]))
"""


def test_a_process_without_myxtts_runs_the_saved_model(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    words = [str(run), "--format", "savedmodel", "--out", str(out), "--speaker", "bob", "--vocoder", "griffin_lim"]
    assert command.main(words) == 0
    assert {path.name for path in out.iterdir()} >= {"saved_model.pb", "README.md", "voices.json"}
    words = [sys.executable, "-c", PLAIN, str(out)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    frames, mel, samples, finite, norms = json.loads(done.stdout.splitlines()[-1])
    assert mel == [1, frames, 80] and samples == [1, 256 * frames] and finite and norms == [1.0, 1.0]


def test_the_hub_folder_is_loaded_and_holds_no_training_speaker(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "hub"
    words = [str(run), "--format", "hub", "--out", str(out), "--speaker", "bob"]
    assert command.main(words) == 2 and "--license is missing" in capsys.readouterr().err and not out.exists()
    assert command.main([*words, "--license", "cc-by-4.0"]) == 0
    card = (out / "README.md").read_text()
    assert card.startswith('---\nlicense: "cc-by-4.0"\nlanguage:\n- "en"\n- "fa"\npipeline_tag: text-to-speech\n')
    from safetensors.numpy import load_file

    weights = load_file(out / "model.safetensors")
    assert weights and not any("critic" in name or "voice_heads/speaker" in name for name in weights)
    assert (out / "samples" / "1.wav").stat().st_size > 10_000
    speech = Synthesizer.load(out).speak("Hello there.", speaker="bob")
    assert np.isfinite(speech.samples).all()

    hub = pytest.importorskip("huggingface_hub")

    def snapshot(name: str, allow_patterns: list[str]) -> str:
        """What Hugging Face gives of a model: the files with these names."""
        cache = tmp_path / "cache" / name
        cache.mkdir(parents=True)
        for pattern in allow_patterns:
            for path in out.glob(pattern):
                shutil.copy(path, cache)
        return str(cache)

    monkeypatch.setattr(hub, "snapshot_download", snapshot)
    monkeypatch.chdir(tmp_path)
    named = Synthesizer.load("owner/name").speak("Hello there.", speaker="bob")
    assert np.array_equal(named.samples, speech.samples)
    assert not (tmp_path / "cache" / "owner" / "name" / "model.safetensors").exists(), "only what speaking needs"


def test_a_model_that_is_neither_here_nor_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match=r"the folder 'owner/name' does not exist; .*myxtts\[hub\]"):
        Synthesizer.load("owner/name")


def test_without_network_the_folder_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.chdir(tmp_path)

    def offline(*args: object, **more: object) -> str:
        raise hub.errors.LocalEntryNotFoundError("no network")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    with pytest.raises(CheckpointError, match=r"does not exist, and Hugging Face .* put the exported files"):
        Synthesizer.load("owner/name")
