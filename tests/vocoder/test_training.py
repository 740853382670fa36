"""A vocoder is trained by the loop of the voice models: it learns, resumes bit-exact, survives NaN, and speaks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from myxtts.cli import vocoder as command
from myxtts.data.pool import Died
from myxtts.errors import CheckpointError, DataError
from myxtts.vocoder.files import read_vocoder
from myxtts.vocoder.neural import NeuralVocoder

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
import made_run
from made_run import hashes, losses, records

TINY: dict[str, object] = {
    "optimization_level": "vocoder",
    "trains": "vocoder",
    "vocoder__width": 16,
    "vocoder__blocks": 1,
    "vocoder__compile": False,
    "vocoder__repulsion": 1.0,
    "training__segment_seconds": 0.35,
    "training__best_metric": "total",
    "training__grad_accum": 1,
    "training__checkpoint_every_updates": 100,
    "training__validation_every_updates": 1_000,
}

pytestmark = [pytest.mark.graph, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocoder")
    made_run.make_root(folder / "root", clips=8)
    return folder


@pytest.fixture(scope="module")
def trainers() -> Any:
    kept = made_run.KeptTrainers()
    with kept.in_use():
        yield kept


@pytest.fixture(scope="module")
def run(folder: Path, trainers: Any) -> Path:
    """A run of some updates in one go."""
    settings = {**TINY, "training__max_updates": 40, "optimizer__learning_rate": 5e-3}
    assert made_run.train(folder, "run", **settings)[0] == 40
    return folder / "run"


def test_it_learns(run: Path) -> None:
    """With a repulsion of 1, where the distance of a perfect vocoder is 0."""
    found = [loss for _, loss in losses(run)]
    assert np.mean(found[-8:]) < 0.9 * np.mean(found[:8])
    (validation,) = [r for r in records(run / "metrics.jsonl") if r["kind"] == "validation"]
    assert set(validation["metrics"]) >= {"spectral_distance", "total", "mcd_db"}


def test_samples_and_report_hold_its_speech(run: Path) -> None:
    from myxtts.report import write_report

    (folder,) = (run / "samples").iterdir()
    assert {p.suffix for p in folder.iterdir()} == {".wav", ".npz", ".json"}
    page = write_report(run).read_text(encoding="utf-8")
    assert "data:audio/" in page


def test_a_resumed_run_is_bit_exact(folder: Path, run: Path) -> None:
    settings = {**TINY, "optimizer__learning_rate": 5e-3}
    made_run.train(folder, "parts", **settings, training__max_updates=17)
    made_run.train(folder, "parts", **settings, training__max_updates=40)
    assert losses(folder / "parts") == losses(run)
    assert hashes(folder / "parts") == hashes(run)


def test_nan_is_skipped_and_can_be_replayed(folder: Path, trainers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from myxtts.training.recovery.replay import replay

    monkeypatch.setenv("MYXTTS_FAULT", "step.loss.spectral_distance:3:nan")
    assert made_run.train(folder, "nan", **TINY, training__max_updates=5)[0] == 5
    monkeypatch.delenv("MYXTTS_FAULT")
    (skipped,) = [r for r in records(folder / "nan" / "metrics.jsonl") if r.get("skipped")]
    assert skipped["update"] == 3 and all(np.isfinite(loss) for _, loss in losses(folder / "nan"))
    (bundle,) = (folder / "nan" / "incidents").iterdir()
    assert not replay(bundle).result.good


def test_weights_of_another_run_are_where_one_begins(folder: Path, run: Path) -> None:
    settings = {**TINY, "training__max_updates": 2, "optimizer__learning_rate": 1e-6}
    _, screen = made_run.train(folder, "tuned", init_from=run, **settings)
    assert "tensors loaded" in screen.text
    first, last = losses(folder / "tuned")[0][1], losses(run)[-1][1]
    assert abs(first - last) < 0.4 * losses(run)[0][1]


def test_where_a_training_may_begin(run: Path, tmp_path: Path) -> None:
    from myxtts.training.resume import source_of_weights

    universal = source_of_weights(Path("universal"), "vocoder").arrays["average"]
    assert {w.dtype.name for w in universal.values()} == {"float32"} and "vocoder/head/kernel" in universal
    with pytest.raises(CheckpointError, match="holds a vocoder"):
        source_of_weights(run)
    with pytest.raises(CheckpointError, match="absent"):
        source_of_weights(tmp_path / "absent", "vocoder")


def test_a_run_is_saved_to_a_file_and_speaks(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "own.safetensors"
    assert command.main(["save", str(run), "--out", str(out)]) == 0
    assert "update 40" in capsys.readouterr().out
    mel, pitch = np.full([10, 80], -5.0, np.float32), np.full(10, 120.0, np.float32)
    of_file, of_run = (read_vocoder(path).network()(mel, pitch, 1) for path in (out, run))
    assert np.abs(of_file - of_run).max() < 0.02 * np.abs(of_run).max()
    assert isinstance(read_vocoder(out).network(), NeuralVocoder)


def test_a_voice_model_is_no_vocoder(folder: Path, trainers: Any) -> None:
    made_run.train(folder, "voice", training__max_updates=2)
    with pytest.raises(CheckpointError, match="holds a voice model"):
        read_vocoder(folder / "voice")


def test_an_unreadable_recording_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("myxtts.vocoder.waves.run_isolated", lambda *_: iter([(0, Died())]))
    monkeypatch.setattr("myxtts.vocoder.waves._header", lambda path: None)
    with pytest.raises(DataError, match=r"c\d\.wav.*its decoder crashed"):
        made_run.train(folder, "unread", **TINY, training__max_updates=2)


def test_words_that_mean_nothing_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["tarin"]) == 2
    assert "tarin" in capsys.readouterr().err
    assert command.main(["save"]) == 2
