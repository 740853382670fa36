"""`--format piper` and `sherpa`: files that the real players speak, each in an environment of its own.

MYXTTS_PIPER_PYTHON and MYXTTS_SHERPA_PYTHON name a Python that has piper-tts or sherpa-onnx; without one the test is
skipped. (Piper is under the GPL, so MyXTTS neither depends on it nor imports it.)
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import made_model
import numpy as np
import pytest

from myxtts.cli import export as command

pytest.importorskip("tf2onnx")
pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ENGLISH = ["Hello world, how are you today?", "It costs 25 dollars.", "...", "", "😀", "日本"]


def player(name: str, module: str) -> str:
    """The Python that has a player; skips the test without one."""
    python = os.environ.get(f"MYXTTS_{name}_PYTHON", sys.executable)
    if subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode:
        pytest.skip(f"{module} is not installed; set MYXTTS_{name}_PYTHON")
    return python


def exported(folder: Path, decoder: str, format_name: str, *more: str) -> Path:
    run = made_model.save_run(folder / "run", made_model.resolved(model__decoder=decoder))
    out, vocoder = folder / "out", str(made_model.save_vocoder(folder / "own.safetensors"))
    words = [str(run), "--format", format_name, "--out", str(out), "--speaker", "bob", "--vocoder", vocoder, *more]
    assert command.main(words) == 0
    return out


@pytest.fixture(scope="module", params=["regression", "flow"])
def piper_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("piper"), request.param, "piper")


@pytest.fixture(scope="module")
def sherpa_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("sherpa"), "regression", "sherpa", "--language", "fa")


def test_the_files_of_piper(piper_folder: Path) -> None:
    names = sorted(path.name for path in piper_folder.iterdir())
    assert names == ["README.md", "en-us-bob.onnx", "en-us-bob.onnx.json"]
    config = json.loads((piper_folder / "en-us-bob.onnx.json").read_text())
    ids = config["phoneme_id_map"]
    assert all(len(symbol) == 1 for symbol in ids), "libpiper takes the first code point of a key"
    assert ids["_"] == ids["^"] == ids["$"] == [1] and ids["a"][0] > 2
    assert config["espeak"]["voice"] == "en-us" and config["audio"]["sample_rate"] == 22_050


def test_the_graph_speaks_what_every_player_sends(piper_folder: Path) -> None:
    """The export has compared the forms of a sentence; here: what is no sentence, the scales, and the length."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(piper_folder / "en-us-bob.onnx"), providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["input", "input_lengths", "scales"]
    assert [value.name for value in session.get_outputs()] == ["output", "durations"]

    def run(ids: list[int], length: int | None = None, scales: tuple = (0.667, 1.0, 0.8)) -> tuple:
        feeds = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids) if length is None else length], np.int64),
            "scales": np.array(scales, np.float32),
        }
        samples, frames = session.run(None, feeds)
        assert samples.shape[:2] == (1, 1) and samples.dtype == frames.dtype == np.float32
        assert frames.shape == (1, len(ids)) and np.isfinite(samples).all()
        return samples[0, 0], frames[0]

    plain, frames = run([1, 40, 1, 41, 1])
    assert len(plain) == 256 * frames.sum() and frames[[1, 3]].min() >= 1
    assert np.array_equal(run([1, 40, 1, 41, 1, 42, 1], length=5)[0], plain), "beyond the length nothing is spoken"
    slow, fast = (len(run([40, 41, 42, 43], scales=(0.667, scale, 0.8))[0]) for scale in (2.0, 0.5))
    assert slow > 3 * fast
    for nothing in ([], [1], [0, 1, 2]):
        assert len(run(nothing)[0]) >= 256, "a moment of silence"
    run([40], scales=(0.0, 0.0, 0.0))


def test_piper_speaks(piper_folder: Path) -> None:
    python = player("PIPER", "piper")
    words = [python, str(HERE / "piper_child.py"), str(piper_folder / "en-us-bob.onnx"), *ENGLISH]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(ENGLISH)
    for text, spoken in zip(ENGLISH, found, strict=True):
        assert spoken["finite"] and sum(spoken["aligned"]) == spoken["samples"], (text, spoken)
    for spoken in found[:2]:
        assert spoken["rate"] == 22_050 and spoken["samples"] > 10_000 and spoken["slow"] > 1.5 * spoken["samples"]


def test_the_files_of_sherpa(sherpa_folder: Path) -> None:
    import onnxruntime

    assert sorted(path.name for path in sherpa_folder.iterdir()) == ["README.md", "fa-bob.onnx", "tokens.txt"]
    lines = (sherpa_folder / "tokens.txt").read_text().splitlines()
    table = {line[0]: int(line[2:]) for line in lines}
    assert table["_"] == table["^"] == table["$"] == 1 and len(table) == len(lines)
    session = onnxruntime.InferenceSession(str(sherpa_folder / "fa-bob.onnx"), providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    assert about["model_type"] == "vits" and about["comment"] == "piper" and about["voice"] == "fa"


SHERPA = """
import json, sys
import numpy as np, sherpa_onnx
model, tokens, text, data = sys.argv[1:]
vits = sherpa_onnx.OfflineTtsVitsModelConfig(model=model, tokens=tokens, data_dir=data)
config = sherpa_onnx.OfflineTtsConfig(model=sherpa_onnx.OfflineTtsModelConfig(vits=vits, num_threads=1))
assert config.validate()
tts = sherpa_onnx.OfflineTts(config)
if hasattr(sherpa_onnx, "GenerationConfig") and hasattr(sherpa_onnx.GenerationConfig(), "phoneme_codepoints"):
    more = sherpa_onnx.GenerationConfig()
    more.phoneme_codepoints = [[ord(c) for c in text]]
    audio = tts.generate(text, more)
else:
    audio = tts.generate(text, sid=0, speed=1.0)
samples = np.array(audio.samples)
print(json.dumps([len(samples), audio.sample_rate, bool(np.isfinite(samples).all())]))
"""


def test_sherpa_onnx_speaks(sherpa_folder: Path) -> None:
    """sherpa-onnx 1.x reads text with eSpeak's data (here those of the Piper wheel), 2.x is given phonemes."""
    python = player("SHERPA", "sherpa_onnx")
    data = os.environ.get("MYXTTS_ESPEAK_DATA", "")
    words = [python, "-c", SHERPA, str(sherpa_folder / "fa-bob.onnx"), str(sherpa_folder / "tokens.txt")]
    done = subprocess.run([*words, "salˈɑːm, hˈɑl", data], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    count, rate, finite = json.loads(done.stdout.splitlines()[-1])
    assert count > 5_000 and rate == 22_050 and finite
