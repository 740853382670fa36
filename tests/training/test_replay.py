"""An incident computed again names the first operation that is not finite (promise N5), and nothing else is needed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import made_run
import numpy as np
import pytest
from made_run import events

from myxtts.cli.replay import lines_of
from myxtts.data.batches import Batches
from myxtts.errors import CheckpointError
from myxtts.loss_terms import TERMS
from myxtts.training.recovery.replay import Replayed, replay

# operation by operation, each looked at
pytestmark = [pytest.mark.timeout(400), pytest.mark.usefixtures("quick_runs")]


def bad_terms(replayed: Replayed) -> list[str]:
    """Loss terms that are not finite."""
    real = replayed.incident.batch["weight_B"] > 0
    return [t for t, row_B in zip(TERMS, replayed.result.terms_KB, strict=True) if not np.isfinite(row_B[real]).all()]


def bundle_of(run: Path) -> Path:
    found = [e for name in ("skip_micro_batches", "skip") for e in events(run, name) if "incident" in e]
    return run / found[0]["incident"]


def test_a_bad_number_in_a_batch_is_traced_to_its_first_operation(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = Batches.build

    def build(self: Batches, planned: Any, epoch: int) -> Any:
        batch = really(self, planned, epoch)
        if self.training and epoch == 0:
            batch["mel_BMC"][batch["utterance_B"] == 1, 3, 2] = np.nan
        return batch

    monkeypatch.setattr(Batches, "build", build)
    made_run.train(folder, "input", training__max_updates=2)
    bundle = bundle_of(folder / "input")
    moved = shutil.copytree(bundle, folder / "elsewhere")  # it needs nothing of the run
    replayed = replay(moved)
    assert not replayed.result.good and "mel" in bad_terms(replayed)
    (line,) = replayed.bad_inputs
    assert line.startswith("mel_BMC[") and "3, 2] is nan (1 such values)" in line
    assert replayed.operation is not None and not replayed.operation.in_gradient
    assert replayed.operation.place.startswith(("models/", "training/losses.py"))
    clip = (folder / "input" / "utterances.txt").read_text().splitlines()[1]
    assert replayed.utterances[0][0] == clip and np.isnan(replayed.utterances[0][1])
    text = "\n".join(lines_of(replayed))
    assert "first operation whose result is not finite: " in text and "at myxtts/" in text and clip in text
    assert str(folder) not in text


@pytest.mark.parametrize("fault", ["step.loss.pitch:2:nan", "step.layer_gradient:2:inf"])
def test_an_injected_fault_is_recognized(folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", fault)
    run = folder / fault.replace(":", "-")
    made_run.train(folder, run.name, training__max_updates=2)
    replayed = replay(bundle_of(run))
    assert not replayed.result.good and replayed.operation is not None and replayed.bad_inputs == []
    assert replayed.operation.name in ("Mul", "RealDiv") and replayed.operation.place.startswith("training/")
    assert bad_terms(replayed) == (["pitch"] if "pitch" in fault else [])
    assert "MYXTTS_FAULT" in "\n".join(lines_of(replayed))


def test_an_invalid_bundle_is_a_one_line_error(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match=r"incident\.json: cannot be read .*RUN/incidents") as caught:
        replay(tmp_path)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("MYXTTS_FAULT", "step.loss.mel:1:nan")
    made_run.train(folder, "altered", training__max_updates=2)
    bundle = bundle_of(folder / "altered")
    path = bundle / "batch.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"batch\.safetensors: is modified"):
        replay(bundle)
