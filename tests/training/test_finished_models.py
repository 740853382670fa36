"""A finished model is never deleted: not by a rollback, not by a bolder resume, not on a full disk."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import made_run
import numpy as np
import pytest
from made_run import events, scripted

from myxtts.errors import NonFiniteError, StorageError
from myxtts.storage.find_checkpoint import find


@pytest.fixture(autouse=True)
def quick(quick_runs: None) -> None:
    """Complete runs on graphs that were traced before."""


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return request.node.name


FINISHED: dict[str, object] = {
    "training__max_updates": 6,
    "training__candidate_every_updates": 200,
    "training__checkpoint_every_updates": 2,
    "training__validation_every_updates": 3,
}
BOLDER: dict[str, object] = {**FINISHED, "training__max_updates": 12, "schedule__warmup_updates": 1}


def brought_back(run: Path, message: str) -> Any:
    """The checkpoint of the run after the command that the message of a rollback names."""
    assert "nothing is deleted" in message and "\n" not in message
    command = shlex.split(message.partition("of them: ")[2])
    assert command[0] == "mv" and Path(command[1]).is_dir() and len(command) == 3
    if Path(command[2]).exists():  # the run reached this update again and saved it
        Path(command[2]).rename(run / "the-later-one")
    subprocess.run(command, check=True)
    return find(Path(command[2]))


def test_a_finished_model_survives_a_resume_with_riskier_settings(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, [0.9, 0.5, *[0.8] * 20])
    made_run.train(folder, name, **FINISHED)
    run, before = folder / name, weights_of(folder / name, 6)
    assert (find(run).update, find(run).best) == (6, True)
    monkeypatch.setenv("MYXTTS_FAULT", "step.loss.mel:3+:nan")
    with pytest.raises(NonFiniteError) as caught:
        made_run.train(folder, name, **BOLDER)
    assert [event["rung"] for event in events(run, "rollback")] == [3, 4, 5, 6]
    assert {event["to_update"] for event in events(run, "rollback")} == {6}, "where the resume began is healthy"
    assert (find(run).update, find(run).best) == (6, True) and weights_of(run, 6) == before
    said = [str(caught.value), *(event["cause"] for event in events(run, "rollback"))]
    assert all("resume from update 6" in one and "schedule.warmup_updates is 1, was 2" in one for one in said)
    assert all("max_updates" not in one for one in said), "the length of a run is behind no trouble"


def weights_of(run: Path, update: int) -> list[bytes]:
    step = run / "checkpoints" / f"step-{update:08d}"
    return [(step / f"{stem}.safetensors").read_bytes() for stem in ("weights", "average", "moments")]


def test_a_model_resumed_in_trouble_is_set_aside(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollback past the resume itself, again and again: the best and the user's own stay, the others are bounded."""
    scripted(monkeypatch, [0.9, 0.5, *[0.8] * 40])
    made_run.train(folder, name, **FINISHED)
    run = folder / name
    monkeypatch.setattr("myxtts.training.resume.record_resume", lambda *_: None)
    monkeypatch.setenv("MYXTTS_FAULT", "step.loss.mel:3-5:nan,step.loss.kl:14-16:nan")
    updates, _ = made_run.train(folder, name, **BOLDER, training__keep_checkpoints=1)
    assert updates == 12
    first, second = events(run, "rollback")
    assert first["to_update"] == second["to_update"] == 0 and "rollback-01" in first["message"]
    kept = {path.name for path in (run / "checkpoints").iterdir() if "-step-" in path.name}
    assert "rollback-01-step-00000006" in kept and len(kept) <= 3, kept
    assert find(run / "checkpoints" / "rollback-01-step-00000006").best
    assert brought_back(run, first["message"]).update == 6


def test_a_rollback_on_a_full_disk_loses_nothing(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the rollback on nothing can be written; the existing files are nevertheless set aside, by renames."""
    made_run.train(folder, name, **{**FINISHED, "training__max_updates": 4})
    run = folder / name
    monkeypatch.setattr("myxtts.training.resume.record_resume", lambda *_: None)
    monkeypatch.setenv(
        "MYXTTS_FAULT",
        "step.loss.mel:1-3:nan,store.before_files:1+:enospc,journal.write:5+:enospc,file.in_atomic_write:9+:enospc",
    )
    with pytest.raises(StorageError, match="free some space"):
        made_run.train(folder, name, **{**FINISHED, "training__max_updates": 6})
    kept = list((run / "checkpoints").glob("rollback-01-step-*"))
    assert 4 in [find(path).update for path in kept]
    arrays = [named for path in kept for named in find(path).arrays.values()]
    assert all(np.isfinite(values).all() for named in arrays for values in named.values())
