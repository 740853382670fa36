"""The ladder in small complete runs: every rung, in order, and what is on the disk afterwards (promises N2, N3, N4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import made_run
import numpy as np
import pytest
from made_run import KeptTrainers, events, hashes, losses, records, scripted

from myxtts.data.batches import Batches
from myxtts.errors import EXIT_DIVERGED, NonFiniteError, StorageError
from myxtts.storage.find_checkpoint import find, steps_in
from myxtts.storage.store import CheckpointStore
from myxtts.training import run as run_module
from myxtts.training.checkpointing import Saver
from myxtts.training.recovery import incidents
from myxtts.training.recovery.incident_facts import knobs_of

QUICK: dict[str, object] = {"training__candidate_every_updates": 2, "training__max_updates": 8}


@pytest.fixture(autouse=True)
def soon_healthy(quick_runs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("myxtts.training.recovery.state.CLEAN_UPDATES", 1)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return request.node.name.replace("[", "-").replace("]", "")


def rungs(run: Path) -> list[int]:
    return [e["rung"] for e in records(run / "events.jsonl") if e.get("rung", 0) >= 3]


def all_finite(run: Path) -> bool:
    steps = [p for p in (run / "checkpoints").iterdir() if p.name.startswith("step-")]
    arrays = [find(step).arrays for step in steps]
    return bool(steps) and all(np.isfinite(v).all() for a in arrays for named in a.values() for v in named.values())


def test_a_permanent_nan_climbs_each_rung_once_in_order_and_stops(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", "step.loss.kl:6+:nan")
    with pytest.raises(NonFiniteError) as caught:
        made_run.train(folder, name, **QUICK)
    run = folder / name
    assert caught.value.exit_code == EXIT_DIVERGED
    assert rungs(run) == [3, 4, 5, 6, 7]
    message = str(caught.value)
    assert "\n" not in message and "every rung of the ladder was tried" in message and "loss terms: kl" in message
    assert "learning rate x 0.5, clip x 0.333, mel weight x 0.5" in message
    assert f"python3 fix_nan_loss.py check {run}" in message
    saved = find(run, "last")
    assert saved.update == 4 and all_finite(run)
    assert saved.state["position"]["skipped"] == 15
    assert saved.state["position"]["micro_batches"] == 2 * (5 + 15), "past all skipped micro-batches"
    recovery = saved.state["recovery"]
    assert recovery["rate_factor"] == 0.5 and recovery["mel_factor"] == 0.5
    assert [r["to_update"] for r in recovery["rollbacks"]] == [4, 4, 4, 4]
    # the same command again stops at once, and the overrides are still there
    monkeypatch.setenv("MYXTTS_FAULT", "step.loss.kl:1+:nan")
    with pytest.raises(NonFiniteError, match="every rung"):
        made_run.train(folder, name, **QUICK)
    assert rungs(run) == [3, 4, 5, 6, 7, 7]
    # once the cause is gone the run continues, with the overrides
    monkeypatch.delenv("MYXTTS_FAULT")
    assert made_run.train(folder, name, **QUICK)[0] == 8
    line = records(run / "metrics.jsonl")[-2]
    assert line["update"] == 8 and line["learning_rate"] == pytest.approx(0.5 * 0.5e-3), "of the schedule, halved"
    assert line["weighted"]["mel"] == pytest.approx(0.5 * line["terms"]["mel"])


def test_a_rollback_goes_back_past_the_data_and_cuts_the_metrics(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", "step.loss.mel:6-8:nan")
    updates, screen = made_run.train(folder, name, **QUICK)
    run = folder / name
    assert updates == 8 and rungs(run) == [3]
    (event,) = events(run, "rollback")
    assert event["from_update"] == 5 and event["to_update"] == 4 and "3 updates in a row" in event["cause"]
    assert "rung 3: back to update 4 from 5, past the offending data" in event["message"]
    assert event["message"] in screen.warnings
    assert [u for u, _ in losses(run)] == list(range(1, 9)), "update 5 was made twice and stands once"
    cut = records(run / "incidents" / "rollback-01-metrics.jsonl")
    assert [(r["update"], r["skipped"]) for r in cut] == [(5, False), (6, True), (6, True), (6, True)]
    assert find(run, "last").state["position"]["micro_batches"] == 2 * (5 + 3 + 4)
    written = json.loads((run / "recovery.json").read_text())
    assert written["pending"] is False and len(written["recovery"]["rollbacks"]) == 1


@pytest.mark.parametrize("stopped_at", [3, 5, 6])
def test_a_resumed_run_climbs_as_an_uninterrupted_one(
    folder: Path, kept: KeptTrainers, name: str, stopped_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same updates are skipped, by number: the fault is in the numbers of a clip, not in the count of a process."""
    poison(monkeypatch, epochs=(1,))
    unbroken = folder / "unbroken-with-poison"
    if not unbroken.exists():
        made_run.train(folder, unbroken.name, **QUICK)
    assert events(unbroken, "skip_micro_batches") or events(unbroken, "skip")
    made_run.train(folder, name, **{**QUICK, "training__max_updates": stopped_at})
    made_run.train(folder, name, **QUICK)
    assert losses(folder / name) == losses(unbroken)
    assert hashes(folder / name) == hashes(unbroken)
    one, other = (find(r, "last").state["recovery"] for r in (folder / name, unbroken))
    assert one == other


ROW = 1


def poison(monkeypatch: pytest.MonkeyPatch, epochs: tuple[int, ...] = tuple(range(1, 99))) -> None:
    """The mel of one training clip, that of row 1, is NaN wherever it is spoken, in these epochs."""
    really = Batches.build

    def build(self: Batches, planned: Any, epoch: int) -> Any:
        batch = really(self, planned, epoch)
        for at, row in enumerate(batch["utterance_B"].tolist()):
            if self.training and epoch in epochs and batch["weight_B"][at] and row == ROW:
                batch["mel_BMC"][at, 3] = np.nan
        return batch

    monkeypatch.setattr(Batches, "build", build)


def test_a_bad_clip_goes_into_quarantine_and_the_run_continues_without(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch)
    settings = {**QUICK, "training__grad_accum": 4, "training__max_updates": 7, "data__validation_share": 0.2}
    updates, screen = made_run.train(folder, name, **settings)
    run = folder / name
    assert updates == 7 and not rungs(run)
    (event,) = events(run, "quarantine")
    clip = (run / "utterances.txt").read_text().splitlines()[ROW]
    assert event["utterances"] == [clip] and event["rung"] == 2
    assert f"{clip!r} put in quarantine: to blame for 3 bad micro-batches" in event["message"]
    assert f"metadata.csv:{int(clip[1:]) + 2}" in event["message"] and event["message"] in screen.warnings
    skipped = events(run, "skip_micro_batches")
    assert len(skipped) == 3 and all(e["utterances"] == [clip] and e["single"] for e in skipped)
    state = find(run, "last").state["recovery"]
    assert list(state["quarantine"]) == [clip] and len(state["strikes"][clip]) == 3
    # it survives a resume: no new strike, no new event
    made_run.train(folder, name, **{**settings, "training__max_updates": 10})
    assert len(events(run, "quarantine")) == 1 and len(events(run, "skip_micro_batches")) == 3


def test_a_poisoned_weight_is_never_written_and_the_run_rolls_back(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", "step.weights:4:nan")
    updates, _ = made_run.train(folder, name, **QUICK)
    run = folder / name
    assert updates == 8 and rungs(run) == [3] and all_finite(run)
    (event,) = events(run, "rollback")
    assert "the checkpoint of update 4 was not written" in event["cause"] and event["to_update"] == 2
    assert all(np.isfinite(loss) for _, loss in losses(run))


def test_an_overflow_of_fp16_blames_no_clip(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", "step.gradient:4-7:inf")
    updates, _ = made_run.train(folder, name, **QUICK, training__precision="fp16")
    run = folder / name
    assert updates == 8 and not rungs(run) and not events(run, "skip") and not events(run, "skip_micro_batches")
    found = events(run, "overflow")
    assert len(found) >= 4 and "fp16 overflowed, the loss scale is halved" in found[0]["message"]
    state = find(run, "last").state
    assert state["health"]["skips_total"] == 0 and state["health"]["not_finite_update"] is None
    assert state["recovery"]["strikes"] == {} and state["loss_scale"]["value"] < 2.0**13


@pytest.mark.parametrize("place", ["Ladder._cut_and_save", "Saver.write"])
def test_an_interrupted_rollback_is_finished(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    run = folder / name
    monkeypatch.setenv("MYXTTS_FAULT", "step.loss.mel:6-8:nan")

    really = Saver.write

    def killed(what: Any, *more: Any, **named: Any) -> bool:
        if isinstance(what, Saver) and not what.run.state.recovery.rollbacks:
            return really(what, *more, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"myxtts.training.recovery.ladder.{place}", killed)
        with pytest.raises(KeyboardInterrupt):
            made_run.train(folder, name, **{**QUICK, "training__checkpoint_every_updates": 1})
    assert json.loads((run / "recovery.json").read_text())["pending"] is True
    monkeypatch.delenv("MYXTTS_FAULT")
    updates, screen = made_run.train(folder, name, **QUICK)
    assert updates == 8 and "finished the interrupted rollback to update 4" in "\n".join(screen.warnings)
    state = find(run, "last").state
    assert len(state["recovery"]["rollbacks"]) == 1
    assert state["position"]["micro_batches"] == 2 * (5 + 3 + 4)
    assert json.loads((run / "recovery.json").read_text())["pending"] is False


def test_an_interrupted_rollback_keeps_the_current_data_order(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another order the place that was written down is the place of other clips."""
    monkeypatch.setenv("MYXTTS_FAULT", "step.loss.mel:6-8:nan")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("myxtts.training.recovery.ladder.Ladder._cut_and_save", killed)
        with pytest.raises(KeyboardInterrupt):
            made_run.train(folder, name, **QUICK)
    monkeypatch.delenv("MYXTTS_FAULT")
    started: list[tuple[int, int]] = []
    really = run_module.Loader

    def loader(batches: Any, epoch: int, index: int, **more: Any) -> Any:
        started.append((epoch, index))
        return really(batches, epoch, index, **more)

    monkeypatch.setattr("myxtts.training.run.Loader", loader)
    before = find(folder / name, "last").state["position"]
    made_run.train(folder, name, **{**QUICK, "training__batch_size": 3})
    assert started == [(before["epoch"] + 1, 0)]


def test_a_candidate_that_was_not_saved_is_never_proven(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", "store.before_files:5:enospc,step.loss.mel:6-8:nan")  # the save of update 4
    often = {"training__checkpoint_every_updates": 1, "training__keep_checkpoints": 1}
    made_run.train(folder, name, **QUICK, **often)
    (event,) = events(folder / name, "rollback")
    assert event["to_update"] == 2, "2 was proven and on the disk; 3 was nothing but on the disk"


def test_a_rollback_restores_the_best_of_its_target(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [0.9, 0.95, 0.5, 0.6, 0.4, 0.7, 0.7, 0.7, 0.7])
    monkeypatch.setenv("MYXTTS_FAULT", "step.loss.mel:6-8:nan")
    rarely = {"training__checkpoint_every_updates": 100, "training__validation_every_updates": 1}
    made_run.train(folder, name, **QUICK, **rarely)
    (event,) = events(folder / name, "rollback")
    assert (event["from_update"], event["to_update"]) == (5, 4)
    best = find(folder / name)
    assert (best.update, best.best) == (3, True), "3 is what was best at 4"
    kept = find(folder / name / "checkpoints" / "rollback-01-step-00000005")
    assert (kept.update, kept.best) == (5, True), "5 is kept"
    assert kept.path.name in event["message"]


def test_checkpoints_that_cannot_be_set_aside_in_a_rollback_do_not_end_the_run(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", "step.loss.mel:8-10:nan")
    really = CheckpointStore.set_aside
    left: list[list[int]] = []

    def fails_once(self: CheckpointStore, steps: list[int], name: str) -> None:
        if not left:
            left.append(steps)
            raise StorageError("the disk: Input/output error")
        really(self, steps, name)
        left.append(steps_in(self.directory))

    monkeypatch.setattr(CheckpointStore, "set_aside", fails_once)
    settings = {"training__candidate_every_updates": 4, "training__max_updates": 10}
    often = {"training__checkpoint_every_updates": 1, "training__keep_checkpoints": 20}
    updates, screen = made_run.train(folder, name, **settings, **often)
    assert updates == 10 and rungs(folder / name) == [3]
    assert left == [[7, 6, 5], [4, 3, 2, 1, 0]], "tried again, and before anything new was saved"
    assert any("Input/output error" in warning and "trying again" in warning for warning in screen.warnings)
    assert json.loads((folder / name / "recovery.json").read_text())["pending"] is False


def test_a_checkpoint_saved_again_is_never_set_aside(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting aside fails until 5 and 6 are saved again; 7 never is: a skipped update, then the end."""
    monkeypatch.setenv("MYXTTS_FAULT", "step.loss.mel:8-10:nan")
    really, asked = CheckpointStore.set_aside, []

    def fails_thrice(self: CheckpointStore, steps: list[int], name: str) -> None:
        asked.append(list(steps))
        if len(asked) <= 3:
            raise StorageError("the disk: Input/output error")
        really(self, steps, name)

    monkeypatch.setattr(CheckpointStore, "set_aside", fails_thrice)
    settings = {"training__candidate_every_updates": 4, "training__max_updates": 8}
    often = {"training__checkpoint_every_updates": 1, "training__keep_checkpoints": 20}
    made_run.train(folder, name, **settings, **often)
    assert asked == [[7, 6, 5], [7, 6, 5], [7, 6, 5], [7, 6]], "5 was saved again before the fourth"
    run = folder / name
    assert [find(run / "checkpoints" / f"step-{u:08d}").state["recovery"]["rollbacks"] != [] for u in (5, 6, 7, 8)] == [
        True
    ] * 4
    kept = [path.name for path in (run / "checkpoints").iterdir() if path.name.startswith(("rollback-", "replaced-"))]
    assert sorted(kept) == ["replaced-01-step-00000005", "rollback-01-step-00000006", "rollback-01-step-00000007"]
    assert json.loads((run / "recovery.json").read_text())["pending"] is False


def test_a_rollback_past_a_change_of_the_metric_resets_the_best(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, [0.3, 0.31, 0.32, 0.33, 0.34] + [0.3] * 9)  # the total is 1 at every validation
    each = {"training__validation_every_updates": 1}
    made_run.train(folder, name, **{**QUICK, "training__max_updates": 5}, **each)
    monkeypatch.setenv("MYXTTS_FAULT", "step.loss.mel:1-3:nan")
    _, screen = made_run.train(folder, name, **{**QUICK, **each, "training__best_metric": "total"})
    (event,) = events(folder / name, "rollback")
    assert event["to_update"] == 5
    assert "Best total 1.0000 at update 6." in screen.text, "and not 0.3, which was a mel"
    assert [r["update"] for r in records(folder / name / "metrics.jsonl") if r.get("reset")] == [6]


def test_the_bundle_of_a_skipped_micro_batch_has_the_weights_before_it(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", "step.micro_batch:6:nan")  # the second of update 3, which the first makes alone
    made_run.train(folder, name, **{**QUICK, "training__max_updates": 4, "training__checkpoint_every_updates": 1})
    run = folder / name
    (event,) = events(run, "skip_micro_batches")
    met = incidents.read(run / event["incident"]).weights
    before, after = (find(run / "checkpoints" / f"step-{update:08d}").arrays["weights"] for update in (2, 3))
    assert len(met) == len(before)
    for path, value in met.items():
        np.testing.assert_array_equal(value, before[path])
    assert any((after[path] != value).any() for path, value in met.items())
    saved = losses(run)
    monkeypatch.setattr("myxtts.training.recovery.ladder.Ladder._find_cause", lambda *_, **__: None)
    made_run.train(folder, f"{name}-blind", **{**QUICK, "training__max_updates": 4})
    assert saved == losses(folder / f"{name}-blind"), "to look into it changes no weight"


def test_after_a_change_of_loss_weights_old_losses_do_not_count(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_run.train(folder, name, **{**QUICK, "training__max_updates": 4})
    settings = {**QUICK, "loss__mel_weight": 8.0}
    monkeypatch.setenv("MYXTTS_FAULT", "step.loss.mel:3-5:nan")
    made_run.train(folder, name, **{**settings, "training__max_updates": 5})
    state = find(folder / name, "last").state
    assert len(state["recovery"]["watch"]["block"]) == len(state["health"]["losses"]) == 1, "that of update 5"
    monkeypatch.delenv("MYXTTS_FAULT")
    made_run.train(folder, f"{name}-2", **{**QUICK, "training__max_updates": 4})
    monkeypatch.setenv("MYXTTS_FAULT", "step.loss.mel:3-5:nan")
    made_run.train(folder, f"{name}-2", **settings)
    (event,) = events(folder / f"{name}-2", "rollback")
    assert event["to_update"] == 4, "a checkpoint of the earlier weights"
    state = find(folder / f"{name}-2", "last").state
    assert len(state["recovery"]["watch"]["block"]) == len(state["health"]["losses"]) == 4, "5 to 8"


def test_an_incident_is_complete_and_has_no_paths(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYXTTS_FAULT", "step.loss.pitch:3:inf")
    made_run.train(folder, name, **QUICK)
    run = folder / name
    (skip,) = events(run, "skip")
    bundle = run / skip["incident"]
    assert bundle.name.startswith("update-0000003-micro-")
    found = incidents.read(bundle)
    assert found.facts["terms"] == ["pitch"] and found.facts["update"] == 3
    assert set(found.batch) == {f.key for f in made_batch_fields()} and found.weights
    text = (bundle / "incident.json").read_text()
    assert str(folder) not in text and "/home" not in text and "/tmp" not in text
    knobs = knobs_of(found.facts)
    assert knobs["seed"] == (1, 5) and np.isinf(knobs["term_fault"]["pitch"]).all()


def made_batch_fields() -> Any:
    from myxtts.batch import FIELDS

    return FIELDS
