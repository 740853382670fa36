"""Small complete runs: resuming, rejected data, skipped updates, saving, messages."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import made_run
import numpy as np
import pytest
from made_run import KeptTrainers, Screen, events, hashes, losses, records

from myxtts.config.files import config_of_file
from myxtts.errors import (
    EXIT_STOPPED,
    CheckpointError,
    ConfigError,
    NonFiniteError,
    Stopped,
    StorageError,
)
from myxtts.storage.find_checkpoint import find
from myxtts.training.accumulation import Window
from myxtts.training.loop import Stopwatch

UPDATES = 6


pytestmark = pytest.mark.usefixtures("quick_runs")


@pytest.fixture(scope="module")
def unbroken(folder: Path, kept: KeptTrainers) -> Path:
    """A run of six updates that nothing disturbed."""
    with kept.in_use():
        assert made_run.train(folder, "unbroken")[0] == UPDATES
    return folder / "unbroken"


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A run directory of the test's own, in the folder whose data all share."""
    return request.node.name.replace("[", "-").replace("]", "")


def test_a_run_writes_the_documented_files(unbroken: Path) -> None:
    assert [u for u, _ in losses(unbroken)] == list(range(1, UPDATES + 1))
    first = records(unbroken / "metrics.jsonl")[0]
    assert {"kind", "update", "epoch", "time", "loss", "terms", "weighted", "grad_norm", "learning_rate"} <= set(first)
    assert {"frames", "frames_per_second", "wait_share", "skipped"} <= set(first)
    assert first["loss"] == pytest.approx(sum(first["weighted"].values()), rel=1e-5)
    assert first["learning_rate"] == pytest.approx(0.5e-3)
    for file in ("config.yaml", "provenance.json", "corpus.json", "checkpoints/last.json", "checkpoints/best.json"):
        assert (unbroken / file).is_file()
    (sample,) = [*(unbroken / "samples").iterdir()]
    assert sample.name == "update-0000006" and (sample / "index.json").is_file()
    names = [r["event"] for r in records(unbroken / "events.jsonl")]
    assert names == ["start", "checkpoint", "checkpoint", "checkpoint", "checkpoint", "best", "end"]
    (validation,) = [r for r in records(unbroken / "metrics.jsonl") if r["kind"] == "validation"]
    assert np.isfinite(list(validation["metrics"].values())).all() and "total" in validation["metrics"]


def test_a_resumed_run_equals_an_uninterrupted_one(folder: Path, unbroken: Path, name: str) -> None:
    assert made_run.train(folder, name, training__max_updates=3)[0] == 3
    updates, screen = made_run.train(folder, name)
    assert updates == UPDATES and "(update 3)" in screen.text
    assert losses(folder / name) == losses(unbroken)
    assert hashes(folder / name) == hashes(unbroken)
    assert len(events(folder / name, "resume")) == 1


def test_a_finished_run_says_so(folder: Path, unbroken: Path) -> None:
    before = hashes(unbroken)
    updates, screen = made_run.train(folder, "unbroken")
    assert updates == UPDATES and "has done its 6 updates; to continue, raise --epochs or --max-updates" in screen.text
    assert hashes(unbroken) == before


def test_epochs_end_a_run(folder: Path, name: str) -> None:
    assert made_run.train(folder, name, training__max_updates=0, training__epochs=3)[0] == 3


class Interrupting(Screen):
    """Presses Ctrl-C after an update."""

    def __init__(self, update: int) -> None:
        super().__init__()
        self.update = update

    def training(self, done: int, total: int, figures: Any, line: bool = False) -> None:
        if done == self.update:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_saves_and_names_the_command(folder: Path, unbroken: Path, name: str) -> None:
    with pytest.raises(Stopped) as caught:
        made_run.train(folder, name, screen=Interrupting(3))
    assert caught.value.exit_code == EXIT_STOPPED
    message = str(caught.value)
    assert "stopped by SIGINT at update 3; everything is saved" in message
    assert "python3 train_main.py --again" in message
    assert find(folder / name).update == 3
    assert [e["message"] for e in events(folder / name, "signal")] == ["stopped by SIGINT"]
    validated = [r["update"] for r in made_run.records(folder / name / "metrics.jsonl") if r["kind"] == "validation"]
    assert validated == [3] and find(folder / name, "best").update == 3 and find(folder / name, "best").best
    made_run.train(folder, name)
    assert losses(folder / name) == losses(unbroken) and hashes(folder / name) == hashes(unbroken)


def test_a_stop_that_cannot_save_does_not_claim_so(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", "store.before_files:3+:enospc")
    with pytest.raises(StorageError, match=r"saving the checkpoint of update 3 failed .*free some space"):
        made_run.train(folder, name, screen=Interrupting(3))
    assert find(folder / name).update == 2


def test_an_end_that_cannot_save_is_an_error(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", "store.before_files:1+:enospc")
    with pytest.raises(StorageError, match="free some space"):
        made_run.train(folder, name)
    assert not events(folder / name, "end")


# --- faults of the arithmetic


def test_a_nan_in_a_loss_is_skipped_and_named(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", "step.loss.mel:3:nan")
    updates, screen = made_run.train(folder, name)
    assert updates == UPDATES, "a skipped update does not count"
    (skip,) = events(folder / name, "skip")
    assert skip["terms"] == ["mel"] and skip["update"] == 2
    assert set(skip["utterances"]) <= {f"c{i}" for i in range(made_run.CLIPS)} and not skip["single"]
    assert "update 3 skipped: not finite (loss terms: mel; clips: none alone" in skip["message"]
    assert screen.warnings[-1] == skip["message"]
    lines = [r for r in records(folder / name / "metrics.jsonl") if r["kind"] == "train"]
    assert [(r["update"], r["skipped"]) for r in lines[:4]] == [(1, False), (2, False), (3, True), (3, False)]
    assert lines[2]["loss"] is None and "terms.mel" in lines[2]["nonfinite"]
    assert lines[2]["learning_rate"] == lines[3]["learning_rate"], "the schedule waits"
    assert "1 updates were skipped" in screen.text


def test_a_bad_micro_batch_is_skipped_and_named(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", "step.micro_batch:4:inf")
    assert made_run.train(folder, name)[0] == UPDATES
    (skipped,) = events(folder / name, "skip_micro_batches")
    assert "1 of 2 micro-batches skipped" in skipped["message"] and len(skipped["utterances"]) == 2
    assert not events(folder / name, "skip")
    assert all(np.isfinite(loss) for _, loss in losses(folder / name))


def test_a_bad_gradient_names_its_part(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", "step.layer_gradient:2:nan")
    assert made_run.train(folder, name)[0] == UPDATES
    (skip,) = events(folder / name, "skip")
    assert skip["groups"] == ["aligner"] and skip["terms"] == [] and "loss terms: all finite" in skip["message"]


def test_a_bad_average_is_reported_as_such() -> None:
    from myxtts.models.voice import Voice, mean_voice

    bad = Voice(np.full(4, np.nan, np.float32), np.zeros(2, np.float32))
    with pytest.raises(NonFiniteError, match="not finite"):
        mean_voice([bad])


# --- what a run may resume from


def test_other_data_are_rejected(folder: Path, name: str) -> None:
    if not (folder / "other").exists():
        made_run.make_root(folder / "other", seed=9)
    made_run.train(folder, name, training__max_updates=2)
    before = hashes(folder / name)
    with pytest.raises(ConfigError) as caught:
        made_run.train(folder, name, data__train_path=str(folder / "other"))
    message = str(caught.value)
    assert "the data differ from those that the run in" in message and "\n" not in message
    assert "--fresh" in message and "--init-from" in message
    assert hashes(folder / name) == before


def test_init_from_takes_the_weights_and_nothing_else(folder: Path, unbroken: Path, name: str) -> None:
    updates, screen = made_run.train(folder, name, init_from=unbroken, training__max_updates=2)
    assert updates == 2
    (event,) = events(folder / name, "init_from")
    count = len(find(unbroken).arrays["average"])
    assert event["report"] == [f"{count} tensors loaded"] and f"{count} tensors loaded" in screen.text
    assert "step-00000006" in screen.text
    assert losses(folder / name)[0][1] < losses(unbroken)[0][1]
    assert records(folder / name / "metrics.jsonl")[0]["learning_rate"] == pytest.approx(0.5e-3)
    with pytest.raises(ConfigError, match=r"--init-from .* holds a run already \(update 2\).*--fresh"):
        made_run.train(folder, name, init_from=unbroken)
    with pytest.raises(CheckpointError, match="nowhere"):
        made_run.train(folder, f"{name}-2", init_from=folder / "nowhere")


def test_fresh_moves_the_old_run_aside(
    folder: Path, unbroken: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_run.train(folder, name, training__max_updates=2)
    before = hashes(folder / name)
    monkeypatch.setattr("time.strftime", lambda *_: "20260102-030405")
    for number in (1, 2):  # twice within a second is no trouble either
        updates, screen = made_run.train(folder, name, fresh=True, training__max_updates=2)
        assert updates == 2 and "--fresh: the previous run is now in" in screen.text
        aside = sorted(folder.glob(f"{name}.before-*"))
        assert len(aside) == number
    assert hashes(aside[0]) == before == hashes(folder / name)
    assert losses(folder / name) == losses(unbroken)[:2] and len(events(folder / name, "start")) == 1


def test_a_damaged_checkpoint_is_named_and_skipped(folder: Path, unbroken: Path, name: str) -> None:
    made_run.train(folder, name, training__max_updates=4)
    path = folder / name / "checkpoints" / "step-00000004" / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    _, screen = made_run.train(folder, name)
    assert any("step-00000004" in warning for warning in screen.warnings) and "(update 2)" in screen.text
    assert losses(folder / name) == losses(unbroken) and hashes(folder / name) == hashes(unbroken)


@pytest.mark.parametrize(
    "changed", [{"model__voice_width": 12}, {"loss__adaptive_weights": True}, {"optimizer__name": "muon"}], ids=str
)
def test_another_model_or_optimizer_is_rejected(folder: Path, unbroken: Path, changed: dict[str, Any]) -> None:
    before = hashes(unbroken)
    with pytest.raises(CheckpointError, match=r"does not (fit|match)") as caught:
        made_run.train(folder, "unbroken", **changed)
    assert "--init-from" in str(caught.value) and "\n" not in str(caught.value)
    assert hashes(unbroken) == before


# --- when a run ends


def test_minutes_end_a_run_that_can_be_resumed(folder: Path, unbroken: Path, name: str) -> None:
    updates, screen = made_run.train(folder, name, training__max_minutes=1e-5)
    assert updates == 1 and "training.max_minutes" in screen.text
    assert made_run.train(folder, name)[0] == UPDATES
    assert losses(folder / name) == losses(unbroken) and hashes(folder / name) == hashes(unbroken)


def test_time_in_which_the_process_was_stopped_does_not_count() -> None:
    watch = Stopwatch()
    assert [watch.take(s) for s in (30.0, 2.0, 2.0, 2.0)] == [30.0, 2.0, 2.0, 2.0], "the first builds its graphs"
    assert watch.take(600.0) == 20.0, "stopped for ten minutes"
    assert watch.take(-5.0) == 0.0, "a clock that jumped back"
    for _ in range(30):
        watch.take(2.0)
    times = [watch.take(50.0) for _ in range(30)]
    assert times[0] == 20.0 and times[-1] == 50.0, "a machine that became slower is believed after a while"


def test_a_process_that_is_stopped_in_its_first_update_counts_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = [0.0]
    monkeypatch.setattr("time.process_time", lambda: busy[0])
    watch = Stopwatch()
    busy[0] = 20.0
    assert watch.take(3_600.0) == 200.0, "20 s of work, stopped for an hour"
    busy[0] = 21.0
    assert watch.take(3_600.0) == 60.0 and watch.take(50.0) == 50.0, "a GPU works without the processor"


def test_a_stopped_process_reaches_its_updates_and_not_its_minutes(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jumps = iter([0.0, 0.0, 0.0, 0.0, 600.0, -3_000.0, 0.0, 0.0])
    monkeypatch.setattr(
        "myxtts.training.loop.Window", lambda terms: Window(terms, begun=time.monotonic() - next(jumps))
    )
    updates, screen = made_run.train(folder, name, training__max_minutes=9.0, training__max_updates=8)
    assert updates == 8 and "all updates are done" in screen.text
    assert 0.0 < find(folder / name, "last").state["position"]["trained_seconds"] < 540.0


def test_a_finished_command_given_again_changes_nothing(folder: Path, name: str) -> None:
    made_run.train(folder, name, training__max_minutes=1e-5)
    best = find(folder / name)
    assert best.best and best.update == 1
    made_run.train(folder, name, training__max_minutes=1e-5)
    again = find(folder / name)
    assert again.best and again.update == 1
    assert again.state["position"]["validations_since_best"] == best.state["position"]["validations_since_best"] == 0
    assert len([r for r in made_run.records(folder / name / "metrics.jsonl") if r["kind"] == "validation"]) == 1


# --- continuing with other settings


def test_changed_settings_are_named_and_the_data_order_stays_valid(folder: Path, name: str) -> None:
    made_run.train(folder, name, training__max_updates=2)
    _, screen = made_run.train(
        folder, name, training__max_updates=3, training__batch_size=3, training__best_metric="total"
    )
    assert "changed since: training.batch_size is 3, was 2" in screen.text
    warned = "\n".join(screen.warnings)
    assert "the order of the data has changed" in warned and "start of epoch" in warned
    assert "the best is chosen by total from now on, not by mel" in warned
    assert len(events(folder / name, "order_changed")) == 2
    position = find(folder / name, "last").state["position"]
    assert position["best_metric"] == "total" and position["epoch"] >= 1
    assert find(folder / name, "last").state["health"]["best"][0] == 3, "health measures by the new metric too"


def test_the_settings_name_the_data_from_every_folder(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "elsewhere").mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    made_run.train(folder, name, training__max_updates=2, data__train_path="root")
    for written in (folder / name / "config.yaml", find(folder / name, "last").path / "config.yaml"):
        assert config_of_file(written).data.train_path == str(folder / "root")
    assert json.loads((folder / name / "provenance.json").read_text())["data.train_path"][0]["layer"] == "test"
    for place, path in ((folder, "root"), (folder / "elsewhere", "../root"), (folder, str(folder / "root"))):
        monkeypatch.chdir(place)
        _, screen = made_run.train(folder, name, training__max_updates=3, data__train_path=path)
        assert "changed since: data" not in screen.text


@pytest.mark.parametrize("given_again", [1, 2])
def test_a_validation_lost_to_a_kill_is_repeated(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, given_again: int
) -> None:
    def killed(*_: object, **__: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("myxtts.training.run.Validation.run", killed)
        with pytest.raises(KeyboardInterrupt):
            made_run.train(folder, name)
    assert find(folder / name, "last").update == UPDATES
    for _ in range(given_again):
        updates, screen = made_run.train(folder, name)
        assert updates == UPDATES
    assert [r["update"] for r in records(folder / name / "metrics.jsonl") if r["kind"] == "validation"] == [UPDATES]
    best = find(folder / name)
    assert best.best and best.update == UPDATES
    assert ("Done at update 6" in screen.text) == (given_again == 1)


# --- a failing disk


def test_a_disk_that_is_full_for_a_while_loses_nothing(
    folder: Path, unbroken: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", "store.before_files:1-2:enospc")
    updates, screen = made_run.train(folder, name)
    assert updates == UPDATES
    failures = [e["message"] for e in events(folder / name, "save_failed")]
    assert len(failures) == 2 and failures == [w for w in screen.warnings if "trying again in" in w]
    assert losses(folder / name) == losses(unbroken) and hashes(folder / name) == hashes(unbroken)


@pytest.mark.parametrize("fault", ["journal.write:2-4:enospc", "store.before_files:1:enospc,journal.write:2-4:enospc"])
def test_journals_that_cannot_be_written_for_a_while_stop_nothing(
    folder: Path, unbroken: Path, name: str, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", fault)
    run = f"journals-{len(fault)}"
    updates, screen = made_run.train(folder, run)
    assert updates == UPDATES
    assert any("free some space" in warning for warning in screen.warnings)
    assert losses(folder / run) == losses(unbroken), "what waited was written later"
    assert hashes(folder / run) == hashes(unbroken)


def test_samples_that_cannot_be_written_stop_nothing(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.savez_compressed", full)
    updates, screen = made_run.train(folder, name, training__validation_every_updates=3)
    assert updates == UPDATES
    assert any("No space left" in warning for warning in screen.warnings)
    assert len([r for r in records(folder / name / "metrics.jsonl") if r["kind"] == "validation"]) == 2
