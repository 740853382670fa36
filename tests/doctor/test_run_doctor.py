"""The repair of runs: what is chosen, set aside, reset and lowered; dry by default; twice changes nothing more."""

from __future__ import annotations

import json
from pathlib import Path

import made_run_folder as made
import numpy as np
import pytest

from myxtts.config.files import config_of_file
from myxtts.doctor.findings import Certainty
from myxtts.doctor.messages import render
from myxtts.doctor.run.checkpoints import check_checkpoint, examine
from myxtts.doctor.run.fix import plan_lines, repair_run
from myxtts.doctor.run.look import (
    REPAIRED_EVENT,
    check_run,
    look_at_run,
    read_history,
    read_recovery,
    verdict_of,
    worst_utterances,
)
from myxtts.doctor.run.plan import make_plan
from myxtts.doctor.settings.fix import with_values
from myxtts.errors import CheckpointError, DataError, StorageError
from myxtts.progress import silent
from myxtts.report.run_files import read_run
from myxtts.storage.find_checkpoint import find
from myxtts.storage.run_directory import RunDirectory


def text_of(plan: object) -> str:
    return "\n".join(render(line, "en") for line in plan_lines(plan))  # type: ignore[arg-type]


def repaired_twice(run: Path) -> str:
    """Repairs a run, shows that the second time nothing changes, and gives what the first one said."""
    before = made.tree(run)
    assert not make_plan(run, silent).empty
    assert made.tree(run) == before, "looking changes nothing"
    plan, backup = repair_run(run, silent)
    assert backup is not None and backup.parent == run
    after = made.tree(run)
    again, none = repair_run(run, silent)
    assert again.empty and none is None and made.tree(run) == after
    return text_of(plan)


def test_a_healthy_run_is_left_alone(tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "run")
    before = made.tree(run)
    plan, backup = repair_run(run, silent)
    assert plan.empty and backup is None and plan.good.update == 30 and plan.program == "train_stable.py"
    assert made.tree(run) == before


def test_nan_in_the_newest_checkpoint(tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "run", optimizer__learning_rate="8e-5", optimizer__clip_norm="0.8")
    made.poison(run, 30)
    before = made.tree(run)
    said = repaired_twice(run)
    assert "resume from step-00000020 (update 20)" in said
    assert "move aside: step-00000030: unusable checkpoint: weights.safetensors holds 1 of" in said
    assert "optimizer.learning_rate 8e-05 -> 1e-05 (8e-5 is where runs diverged" in said
    checkpoint = find(run, "last")
    assert checkpoint.update == 20
    assert not any(array.any() for array in checkpoint.arrays["moments"].values())
    assert checkpoint.arrays["moments"]["steps"].dtype == np.int64
    assert not any(array.any() for array in checkpoint.arrays["detector"].values())
    for stem in ("weights", "average", "utterances"):
        for name, array in made.arrays()[stem].items():
            np.testing.assert_array_equal(checkpoint.arrays[stem][name], array)
    config = config_of_file(run / "config.yaml")
    assert (config.optimizer.learning_rate, config.optimizer.clip_norm) == (1e-5, 0.3)
    (backup,) = run.glob("before-fix-*")
    kept = made.tree(backup)
    assert kept["config.yaml"] == before["config.yaml"]
    assert (
        kept["checkpoints/step-00000020/moments.safetensors"] == before["checkpoints/step-00000020/moments.safetensors"]
    )
    assert (
        kept["checkpoints/step-00000030/weights.safetensors"] == before["checkpoints/step-00000030/weights.safetensors"]
    )
    assert json.loads((run / "checkpoints" / "last.json").read_text())["update"] == 20
    (event,) = [e for e in map(json.loads, (run / "events.jsonl").read_text().splitlines()) if e["event"] == "repaired"]
    assert event["set_aside"] == ["step-00000030"] and event["lowered"] == {
        "optimizer.learning_rate": 1e-5, "optimizer.clip_norm": 0.3,
    }  # fmt: skip


@pytest.mark.parametrize("harm", [made.cut, made.flip])
def test_damage_of_the_disk_resets_nothing(tmp_path: Path, harm: object) -> None:
    run = made.make_run(tmp_path / "run", optimizer__learning_rate="8e-5")
    harm(run, 30)  # type: ignore[operator]
    said = repaired_twice(run)
    assert "no sign that the run diverged" in said and "move aside: step-00000030" in said
    checkpoint = find(run, "last")
    assert checkpoint.update == 20 and checkpoint.arrays["moments"]["steps"] == 7
    assert config_of_file(run / "config.yaml").optimizer.learning_rate == 8e-5


def test_reset_can_be_requested(tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "run")
    plan, backup = repair_run(run, silent, always_reset=True)
    assert backup is not None and "optimizer moments" in text_of(plan)
    assert not any(array.any() for array in find(run, "last").arrays["moments"].values())
    plan, backup = repair_run(run, silent, always_reset=True)
    assert plan.empty and backup is None


def test_weights_out_of_bounds_and_a_diverged_newer_one(tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "run")
    made.save(run, 40, well=made.diverged_health())
    made.save(run, 50, value=1e9)
    said = repaired_twice(run)
    assert "weights/encoder/kernel reaches 1000000000.0, over 10000.0" in said
    assert "move aside: step-00000040: newer, but the run was already diverging" in said
    assert find(run, "last").update == 30


def test_a_run_whose_ladder_gave_up(tmp_path: Path) -> None:
    """What the ladder lowered is written into the settings; the ladder restarts; the quarantine is kept."""
    run = made.make_run(tmp_path / "run", updates=(10,))
    rollbacks = [{"rung": rung, "from_update": 30, "to_update": 10, "cause": "x"} for rung in (3, 4, 5, 6)]
    lost = {"rate_factor": 0.5, "clip_factor": 1 / 3, "mel_factor": 0.5, "rewarm_from": 10, "rollbacks": rollbacks}
    quarantine = {"quarantine": {"c3": {"update": 12, "cause": "mel"}}, "strikes": {"c3": [1, 2, 3], "c5": [4]}}
    recovery = {**made.RECOVERY, **lost, **quarantine}
    made.save(run, 30, recovery=recovery)
    written = {"pending": False, "recovery": recovery, "position": made.state(30)["position"]}
    (run / "recovery.json").write_text(json.dumps(written))
    made.add_event(run, "gave_up", 30, rung=7)
    said = repaired_twice(run)
    assert "the recovery ladder gave up" in said and "quarantine and strikes stay" in said
    config = config_of_file(run / "config.yaml")
    assert (config.optimizer.learning_rate, config.optimizer.clip_norm, config.loss.mel_weight) == (5e-6, 0.1, 0.5)
    for new in (find(run, "last").state["recovery"], json.loads((run / "recovery.json").read_text())["recovery"]):
        assert (new["rate_factor"], new["clip_factor"], new["mel_factor"]) == (1.0, 1.0, 1.0)
        assert new["rollbacks"] == [] and new["rewarm_from"] == 30
        assert new["quarantine"] == quarantine["quarantine"] and new["strikes"] == quarantine["strikes"]


def test_the_new_state_is_one_that_training_takes(tmp_path: Path) -> None:
    pytest.importorskip("myxtts.training.recovery.state")
    from myxtts.training.recovery.state import Recovery

    run = made.make_run(tmp_path / "run")
    made.poison(run, 30)
    repair_run(run, silent)
    recovery = Recovery.from_json(find(run, "last").state["recovery"])
    assert recovery.rewarm_from == 20 and recovery.trouble() == "" and recovery.next_rung(21) == 3


def test_moments_alone_may_not_be_finite(tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "run", updates=(10, 20))
    made.poison(run, 20, stem="moments", value=np.inf)
    assert "moments.safetensors holds 1 of" in repaired_twice(run)
    assert find(run, "last").update == 10


def test_no_good_checkpoint_is_one_line(tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "run", updates=(10, 20))
    made.poison(run, 10)
    made.cut(run, 20)
    before = made.tree(run)
    with pytest.raises(CheckpointError, match=r"is intact and finite .*step-00000020: .*--fresh") as caught:
        repair_run(run, silent)
    assert "\n" not in str(caught.value) and made.tree(run) == before and not (run / "lock").exists()


def test_settings_are_taken_from_the_checkpoint_where_the_run_lost_them(tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "run", optimizer__learning_rate="8e-5")
    (run / "config.yaml").unlink()
    made.poison(run, 30)
    repaired_twice(run)
    assert config_of_file(run / "config.yaml").optimizer.learning_rate == 1e-5


def test_nothing_is_written_outside_the_run(tmp_path: Path) -> None:
    elsewhere = made.make_run(tmp_path / "elsewhere")
    made.poison(elsewhere, 30)
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text((elsewhere / "config.yaml").read_text())
    (run / "checkpoints").symlink_to(elsewhere / "checkpoints")
    before = made.tree(tmp_path)
    with pytest.raises(CheckpointError, match=r"is a link to .* nothing is written outside"):
        repair_run(run, silent)
    assert made.tree(tmp_path) == before
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "file").write_text("x")
    repair_run(elsewhere, silent)
    assert made.tree(beside) == {"file": b"x"} and sorted(p.name for p in tmp_path.iterdir()) == [
        "beside", "elsewhere", "run",
    ]  # fmt: skip


def test_a_run_that_trains_is_not_touched(tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "run")
    made.poison(run, 30)
    with RunDirectory(run).lock():
        before = made.tree(run)
        with pytest.raises(StorageError, match="in use by process"):
            repair_run(run, silent)
        assert made.tree(run) == before


def test_a_folder_that_is_not_a_run_gets_no_lock(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a run directory"):
        repair_run(tmp_path, silent)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="does not exist"):
        repair_run(tmp_path / "none", silent)


def test_paths_that_stand_at_an_absent_default_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    run = made.make_run(tmp_path / "run")
    made.poison(run, 30)
    assert "data.train_path is left out" in repaired_twice(run)
    assert "train_path" not in (run / "config.yaml").read_text()


def test_values_are_changed_in_place() -> None:
    text = "# top\nmodel_size: tiny  # a\n\noptimizer:\n  name: adamw\n  learning_rate: 8e-05  # level\n"
    text += "loss:\n  kl_weight: 1\n"
    changes = {"optimizer.learning_rate": 1e-5, "loss.mel_weight": 0.5, "schedule.decay": "constant"}
    changed = with_values(text, changes, ["loss.kl_weight"], "why")
    assert changed == (
        "# top\nmodel_size: tiny  # a\n\noptimizer:\n  name: adamw\n  learning_rate: 1e-05  # why\nloss:\n"
        '  mel_weight: 0.5  # why\n\nschedule:\n  decay: "constant"  # why\n'
    )


def test_what_a_check_finds_in_a_run(tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "run")
    made.save(run, 40, well=made.diverged_health(), recovery={**made.RECOVERY, "quarantine": {"c1": {}}})
    made.poison(run, 20)
    made.add_event(run, "gave_up", 40, rung=7)
    report = check_run(run, silent)
    ranked = [(finding.certainty, render(finding.what, "en")) for finding in report.ranked()]
    assert [rank for rank, _ in ranked] == sorted(rank for rank, _ in ranked)
    text = "\n".join(line for _, line in ranked)
    assert (
        "not finite" in text
        and "gave up" in text
        and "far above its lowest" in text
        and "quarantined clips: 1 (c1)" in text
    )
    assert ranked[0][0] == Certainty.CERTAIN


def test_one_checkpoint(tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "run")
    report = check_checkpoint(run / "checkpoints" / "step-00000030")
    assert not report.findings and "largest weight 0.5" in render(report.facts[0], "en")
    made.cut(run, 30)
    (finding,) = check_checkpoint(run / "checkpoints" / "step-00000030").findings
    assert finding.certainty == Certainty.POSSIBLE and "bytes, the manifest says" in render(finding.what, "en")


def test_a_checkpoint_of_another_kind_is_reported(tmp_path: Path) -> None:
    from myxtts.storage.store import CheckpointStore

    path = CheckpointStore(tmp_path, 1, 1).save(5, {"weights": {"x": np.zeros(2, np.float32)}}, {})
    bad = examine(path).bad
    assert bad is not None
    assert render(bad, "en").startswith("the checkpoint lacks average.safetensors, moments.safetensors")


def test_history_and_the_worst_utterances(tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "run", updates=(10,))
    made.add_event(run, "skip_micro_batches", 3, rung=0)
    for update in (4, 5):
        made.add_event(run, "skip", update, rung=1, incident="incidents/update-0000004-micro-000016/")
    made.add_event(run, "rollback", 6, rung=4, from_update=6, to_update=2, cause="c")
    recovery = {**made.RECOVERY, "strikes": {"c2": [1]}, "quarantine": {"c4": {"update": 5, "cause": "mel"}}}
    made.save(run, 20, recovery=recovery)
    history = read_history(run)
    assert dict(history.counts) == {0: 1, 1: 2, 4: 1} and history.skips == 2 and not history.gave_up
    assert history.newest[1].incident.startswith("incidents/")
    seen = look_at_run(run, silent)
    assert seen.worst is not None and len(seen.worst) == 20
    first, second, third = seen.worst[:3]
    assert (first.id, first.quarantined) == ("c4", "mel") and (second.id, second.strikes) == ("c2", 1)
    assert third.id == "c29" and third.loss == pytest.approx(4.0) and third.seen == 3


def test_skips_before_a_repair_are_not_counted_after_it(tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "run", updates=(10,))
    for _ in range(3):
        made.add_event(run, "skip", 4, rung=1)
    assert read_history(run).skips_in_a_row == 3
    made.add_event(run, REPAIRED_EVENT, 4)
    made.add_event(run, "skip", 5, rung=1)
    history = read_history(run)
    assert (history.skips, history.skips_in_a_row, history.repaired) == (1, 1, 1)


def test_the_newer_state_of_the_ladder_counts(tmp_path: Path) -> None:
    """recovery.json is of the last rollback or quarantine; strikes of later updates are in the checkpoint alone."""
    run = made.make_run(tmp_path / "run", updates=(10,))
    early = {**made.RECOVERY, "attempts": 12, "strikes": {"c1": [1]}}
    (run / "recovery.json").write_text(json.dumps({"pending": False, "recovery": early, "position": {}}))
    made.save(run, 30, recovery={**made.RECOVERY, "attempts": 55, "strikes": {"c1": [1, 10], "c2": [9]}})
    made.add_event(run, "gave_up", 30, rung=7)
    repaired_twice(run)
    for new in (find(run, "last").state["recovery"], json.loads((run / "recovery.json").read_text())["recovery"]):
        assert new["strikes"] == {"c1": [1, 10], "c2": [9]} and new["attempts"] == 55
    # A rollback takes updates back, and attempts never: it is newer than the older checkpoint.
    later = {**early, "attempts": 70, "strikes": {"c3": [70]}}
    (run / "recovery.json").write_text(json.dumps({"pending": True, "recovery": later, "position": {"update": 10}}))
    seen = look_at_run(run, silent)
    assert seen.recovery is not None and seen.recovery["strikes"] == {"c3": [70]}


def test_a_run_without_checkpoints(tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "run", updates=())
    assert read_recovery(run, None) is None and worst_utterances(run, None, None) is None
    assert verdict_of(run, None, silent) is None
    made.write_metrics(run, 1_500)
    progress: list[tuple[int, int]] = []
    verdict = verdict_of(run, None, lambda task, done, total: progress.append((done, total)))
    assert verdict is not None and verdict[1:] == ("metrics", 1_500)
    assert progress == [(1_000, 1_500), (1_500, 1_500)]
    (run / "events.jsonl").unlink()
    assert not look_at_run(run, silent).history.there


@pytest.mark.parametrize(
    "stage", ["write_text_atomic", "_write_recovery", "_write_event", "save 1", "save 2", "_backup"]
)
def test_an_interrupted_repair_is_completed_by_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    from myxtts.doctor.run import fix
    from myxtts.storage.store import CheckpointStore

    run = made.make_run(tmp_path / "run", optimizer__learning_rate="8e-5")
    (run / "recovery.json").write_text(json.dumps({"pending": False, "recovery": made.RECOVERY, "position": {}}))
    made.poison(run, 30)
    saves: list[int] = []
    really = CheckpointStore.save

    def stop(*_: object, **__: object) -> Path:
        raise KeyboardInterrupt

    def save(*args: object, **named: object) -> Path:
        saves.append(1)
        return stop() if len(saves) == int(stage[-1]) else really(*args, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        if stage.startswith("save"):
            patch.setattr(CheckpointStore, "save", save)
        else:
            patch.setattr(fix, stage, stop)
        with pytest.raises(KeyboardInterrupt):
            repair_run(run, silent)
    if not make_plan(run, silent).empty:
        repair_run(run, silent)
    checkpoint = find(run, "last")
    assert checkpoint.update == 20 and not checkpoint.passed_over
    assert not checkpoint.arrays["moments"]["steps"].any()
    assert config_of_file(run / "config.yaml").optimizer.learning_rate == 1e-5
    assert len(list(run.glob("before-fix-*/checkpoints/step-00000030"))) == 1
    assert make_plan(run, silent).empty


def test_a_few_rejected_updates_are_not_divergence(tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "run")
    for update in range(20, 30, 2):
        made.add_event(run, "skip", update, rung=1)
    assert make_plan(run, silent).empty
    for _ in range(3):
        made.add_event(run, "skip", 30, rung=1)
    assert "8 of the last 200 updates were skipped" in repaired_twice(run)


def test_doctor_and_report_name_the_best_checkpoint_that_the_run_marked(tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "run", updates=(), training__early_stopping_min_delta="0.001")
    made.save(run, 500, best=True)
    made.save(run, 1000)
    for update, mel, event in ((500, 0.5, "best"), (1000, 0.4995, "checkpoint")):
        record = {"kind": "validation", "update": update, "metrics": {"mel": mel, "total": mel}}
        with (run / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
        made.add_event(run, event, update)
    best = look_at_run(run, silent).best
    assert best is not None and best.update == read_run(run).best_update == find(run).update == 500
