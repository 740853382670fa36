"""Which checkpoint of a run is its best, early stopping, and when the best is chosen again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import made_run
import pytest
from made_run import events, hashes, make_root, records, scripted

from myxtts.config.schema import LossConfig
from myxtts.health.replay import read_measure, replay
from myxtts.loss_terms import ADVERSARIAL_TERMS
from myxtts.report.page import judge
from myxtts.report.run_files import read_run
from myxtts.storage.find_checkpoint import find
from myxtts.storage.journal import read_metrics

pytestmark = pytest.mark.usefixtures("quick_runs")

CRITIC_FROM_3: dict[str, Any] = {
    "training__max_updates": 7,
    "training__validation_every_updates": 1,
    "training__early_stopping_min_delta": 100.0,
    "model__critic_width": 4,
    "schedule__adversarial_start_updates": 3,
    "schedule__adversarial_ramp_updates": 2,
}
"""The critic trains the decoder from update 3 on, at full weight from 5 on; only a best lower by 100 counts before."""


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A run directory of the test's own, in the folder whose data all share."""
    return request.node.name.replace("[", "-").replace("]", "")


def test_early_stopping(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [1.0, 0.5, 0.4995, 0.7, 0.2])
    settings = {"training__validation_every_updates": 1, "training__early_stopping_validations": 2}
    updates, screen = made_run.train(folder, name, **settings)
    assert updates == 4 and "the validation metric has stopped improving" in screen.text
    assert "Best mel 0.5000 at update 2" in screen.text
    assert [e["update"] for e in events(folder / name, "best")] == [1, 2]
    assert find(folder / name).update == 2, "a path to a run means its best checkpoint"
    assert find(folder / name, "last").state["health"]["best"] == [2, 0.5], "0.4995 is not lower by the minimum delta"
    again = replay(read_metrics(folder / name / "metrics.jsonl"), read_measure(folder / name))
    assert again.best == judge(read_run(folder / name)).best == (2, 0.5)


def test_a_validation_that_is_not_finite_is_never_the_best(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, [float("nan"), 0.5, float("nan"), 0.4, 0.45, 0.47])
    _, screen = made_run.train(folder, name, training__validation_every_updates=1)
    assert [e["update"] for e in events(folder / name, "best")] == [2, 4]
    assert "Best mel 0.4000 at update 4" in screen.text


def test_a_best_that_could_not_be_saved_is_not_counted(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, [0.5, 0.6, 0.7])
    monkeypatch.setattr("myxtts.training.checkpointing.RETRY_SECONDS", 0.0)
    monkeypatch.setenv("MYXTTS_FAULT", "store.before_files:2:enospc")
    settings = {"training__validation_every_updates": 2, "training__max_updates": 6}
    made_run.train(folder, name, **settings)
    assert [e["update"] for e in events(folder / name, "best")] == [4]
    assert find(folder / name).update == 4, "0.6 is the best that is on the disk"


def test_a_validation_measures_distances_and_voices_which_can_choose_the_best(folder: Path, name: str) -> None:
    _, screen = made_run.train(folder, name, training__max_updates=2, training__best_metric="speaker_similarity_error")
    record = next(r for r in records(folder / name / "metrics.jsonl") if r["kind"] == "validation")
    found = record["metrics"]
    assert 0.5 < found["mcd_db"] < 60.0 and 0.0 <= found["voicing_error"] <= 1.0 and found["length_error"] >= 0.0
    assert 0.0 <= found["speaker_similarity_error"] <= 2.0, "one less the cosine to the voice that was requested"
    assert find(folder / name).state["position"]["best"] == pytest.approx(found["speaker_similarity_error"])
    speakers = set(json.loads((folder / name / "corpus.json").read_text())["speakers"])
    known = find(folder / name).state["health"]
    assert known["people"] == len(speakers), "before the first validation judges voices by it"
    if len(speakers) > 1:
        assert known["voice_means"] == [found["voice_same"], found["voice_other"]]
        assert record["voices"] == {"speakers": len(speakers), "unseen": 0}
        assert f"over {len(speakers)} training speakers" in screen.text
        assert -1.0 <= found["voice_other"] <= 1.0 and 0.0 <= found["voice_equal_error_rate"] <= 1.0
    again = replay(read_metrics(folder / name / "metrics.jsonl"), read_measure(folder / name))
    assert again.to_json() == find(folder / name, "last").state["health"], "who reads it later judges alike"


def test_a_metric_that_was_not_measured_chooses_no_best(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("myxtts.training.examine.verify_voices", lambda *_: None)
    _, screen = made_run.train(folder, name, training__max_updates=2, training__best_metric="voice_equal_error_rate")
    assert any("has no voice_equal_error_rate: it cannot be the best" in line for line in screen.warnings)
    state = find(folder / name, "last").state
    assert state["position"]["best"] is None and state["health"]["not_finite_update"] is None, "it was not measured"


def test_a_run_with_a_critic(folder: Path, name: str) -> None:
    """It learns from one ramp before its start on, then trains the decoder, and the best is chosen again."""
    made_run.train(folder, name, training__max_updates=2, **{k: v for k, v in CRITIC_FROM_3.items() if "max" not in k})
    made_run.train(folder, name, **CRITIC_FROM_3)
    lines = records(folder / name / "metrics.jsonl")
    trained = [r for r in lines if r["kind"] == "train"]
    for record, share in zip(trained, (0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0), strict=True):
        game = [record["weighted"]["adversarial"], record["terms"]["adversarial"]]
        assert game[0] == pytest.approx(LossConfig().adversarial_weight * share * game[1])
        assert (record["terms"]["critic"] > 0.0) == (game[1] > 0.0) == (record["update"] > 1), "else not computed"
        shown = {term: value for term, value in record["weighted"].items() if term not in ADVERSARIAL_TERMS}
        assert record["loss"] == pytest.approx(sum(shown.values()), rel=1e-5), "the game is no part of the total"
    assert find(folder / name, "last").state["position"]["best_update"] == 5, "never better by 100, but reset at 5"
    run = hashes(folder / name)
    made_run.train(folder, f"{name}-whole", **CRITIC_FROM_3)
    assert run == hashes(folder / f"{name}-whole"), "resuming is bit-exact"


def test_within_the_tolerance_the_newest_checkpoint_is_the_best(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a critic speech gets better for hours while its distance from the recordings stays as it is."""
    scripted(monkeypatch, [0.7, 0.59, 0.605, 0.63, 0.6, 0.62])
    settings = {"training__validation_every_updates": 1, "training__best_tolerance": 0.03}
    _, screen = made_run.train(folder, name, **settings)
    assert [e["update"] for e in events(folder / name, "best")] == [1, 2, 3, 5]
    assert "update 3: mel 0.6050 (best: the newest within 3% of the lowest, 0.5900)" in screen.text
    assert "Best mel 0.5900 (the newest within 3%) at update 5." in screen.text
    last = find(folder / name, "last").state["position"]
    assert (last["best"], last["validations_since_best"]) == (0.59, 4), "patience is for the lowest"
    assert find(folder / name).update == 5


def test_other_validation_clips_reset_the_best(folder: Path, name: str) -> None:
    for number in (1, 2):
        if not (folder / f"held-{number}").exists():
            make_root(folder / f"held-{number}", clips=1 + number, seed=number)
    held: dict[str, Any] = {"data__val_path": str(folder / "held-1"), "training__early_stopping_min_delta": 100.0}
    made_run.train(folder, name, training__max_updates=2, **held)
    _, screen = made_run.train(folder, name, training__max_updates=3, **held)
    assert not screen.warnings and find(folder / name).update == 2, "never better by 100"
    other = {**held, "data__val_path": str(folder / "held-2")}
    _, screen = made_run.train(folder, name, training__max_updates=4, **other)
    assert any("the validation clips have changed: the best checkpoint is chosen again" in w for w in screen.warnings)
    state = find(folder / name).state
    assert state["position"]["best_update"] == 4 and state["health"]["best"][0] == 4


def test_after_a_reset_a_best_that_could_not_be_saved_is_replaced_by_the_next(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("myxtts.training.checkpointing.RETRY_SECONDS", 0.0)
    monkeypatch.setenv("MYXTTS_FAULT", "store.before_files:5:enospc")  # the critic has full weight then
    made_run.train(folder, name, **CRITIC_FROM_3)
    assert [e["update"] for e in events(folder / name, "save_failed")] == [5]
    assert find(folder / name).state["position"]["best_update"] == 6


def test_a_replay_forgets_the_losses_of_other_weights_too(folder: Path, name: str) -> None:
    settings: dict[str, Any] = {"training__best_metric": "total", "training__validation_every_updates": 1}
    made_run.train(folder, name, training__max_updates=2, **settings)
    made_run.train(folder, name, training__max_updates=4, loss__mel_weight=8.0, **settings)
    lines = list(read_metrics(folder / name / "metrics.jsonl"))
    assert [r["update"] for r in lines if "reset" in r and r["kind"] == "train"] == [3]
    again = replay(lines, read_measure(folder / name)).to_json()
    assert again == find(folder / name, "last").state["health"]
    assert judge(read_run(folder / name)).to_json() == again
