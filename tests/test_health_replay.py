"""The one replay of a journal: report page and doctor say the same of a run, and judge it as the training did."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from myxtts.config.schema import LossConfig, TrainingConfig
from myxtts.doctor.run.look import verdict_of
from myxtts.health.replay import Measure, UpdateLine, ValidationLine, measure_of, read_measure, replay
from myxtts.health.signs import BestRule, Verdict
from myxtts.health.tracker import Health
from myxtts.progress import silent
from myxtts.report.page import judge
from myxtts.report.run_files import read_run
from myxtts.training.run_state import RunState

MEL = Measure("mel", adaptive_weights=False)
TOTAL = Measure("total", adaptive_weights=False)


def train(update: int, **more: Any) -> dict[str, Any]:
    line = {"kind": "train", "update": update, "loss": 1.5, "grad_norm": 0.2, "wait_share": 0.01, "skipped": False}
    return line | more


def validation(update: int, metrics: dict[str, float | None], **more: Any) -> dict[str, Any]:
    return {"kind": "validation", "update": update, "metrics": metrics, **more}


def flow_run() -> list[dict[str, Any]]:
    """A flow decoder: the mel term is that of its draft alone and rises, the total falls. Seven validations."""
    lines = []
    for number in range(1, 8):
        lines += [train(update, loss=2.5 - update / 1_000) for update in range(100 * number - 99, 100 * number + 1)]
        lines.append(validation(100 * number, {"mel": 0.5 + 0.1 * number, "total": 2.0 - 0.1 * number}))
    return lines


def written(run: Path, lines: list[dict[str, Any]], config: str = "", speakers: list[str] | None = None) -> Path:
    run.mkdir(parents=True, exist_ok=True)
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run / "config.yaml").write_text(config)
    if speakers is not None:
        (run / "corpus.json").write_text(json.dumps({"speakers": speakers}))
    return run


def of_report(run: Path) -> Verdict:
    return judge(read_run(run)).verdict()


def of_doctor(run: Path) -> Verdict:
    found = verdict_of(run, None, silent)
    assert found is not None and found[1] == "metrics"
    return found[0]


def sentences(verdict: Verdict) -> dict[str, str]:
    return {check.name: check.sentence for check in verdict.checks}


@pytest.mark.parametrize("config", ["training: {best_metric: total}\n", "training: {best_metric: mel}\n", ""])
def test_report_and_doctor_judge_by_the_metric_that_chooses_the_best(tmp_path: Path, config: str) -> None:
    run = written(tmp_path / "run", flow_run(), config)
    assert of_report(run) == of_doctor(run)
    by_total = "total" in config
    assert of_doctor(run).sign == ("healthy" if by_total else "watch"), "without a word of it the schema's default, mel"
    best = "best 1.3 at update 700" if by_total else "best 0.6 at update 100"
    assert best in sentences(of_doctor(run))["validation does not rise"]


@pytest.mark.parametrize("adaptive", [True, False])
def test_learned_weights_make_the_total_of_a_validation_another_sum(tmp_path: Path, adaptive: bool) -> None:
    lines = [train(update, loss=0.3) for update in range(1, 301)] + [validation(300, {"mel": 0.3, "total": 0.9})]
    run = written(tmp_path / "run", lines, f"loss: {{adaptive_weights: {str(adaptive).lower()}}}\n")
    assert of_report(run) == of_doctor(run)
    assert ("it overfits" in sentences(of_doctor(run))["loss within 0.5 to 5"]) == (not adaptive)


def test_voices_are_judged_with_their_cosines_and_the_number_of_people(tmp_path: Path) -> None:
    metrics = {"mel": 0.5, "voice_equal_error_rate": 0.4, "voice_same": 0.9, "voice_other": 0.8}
    lines = [line for update in (1, 2, 3) for line in (train(update), validation(update, dict(metrics)))]
    for speakers, part in (
        (["ann", "ann@0.9", "bob"], "not enough speakers to clone, 2 of at least 20: "),
        ([f"s{number}" for number in range(20)], "the encoder does not separate speakers yet: "),
        (None, "speaker verification fails: "),
    ):
        run = written(tmp_path / f"run-{part[:3]}", lines, "", speakers)
        assert of_report(run) == of_doctor(run)
        said = sentences(of_doctor(run))
        assert said["speaker verification"].startswith(part)
        assert "of the same speaker 0.90, of others 0.80" in said["speaker verification"]
        assert ("speakers" in said) == (speakers is not None)


def test_the_verified_speakers_are_named(tmp_path: Path) -> None:
    metrics: dict[str, float | None] = {"mel": 0.5, "voice_equal_error_rate": 0.1}
    for voices, words in (
        ({"speakers": 20, "unseen": 20}, " of 20 speakers never trained on 10%"),
        ({"speakers": 20, "unseen": 0}, " of 20 training speakers 10%"),
        ({"speakers": 20}, "equal error rate 10%"),
        (None, "equal error rate 10%"),
    ):
        run = written(tmp_path / "run", [train(1), validation(1, metrics, **({"voices": voices} if voices else {}))])
        assert of_report(run) == of_doctor(run)
        assert words in sentences(of_doctor(run))["speaker verification"]


def test_a_metric_that_was_not_measured_is_no_fault_and_one_that_is_not_finite_is(tmp_path: Path) -> None:
    """JSON has no NaN: a figure that went bad is null."""
    for metrics, sign in (({"total": 1.0}, "early"), ({"mel": None, "total": 1.0}, "ill")):
        run = written(tmp_path / sign, [train(1), validation(1, metrics)])
        assert of_report(run) == of_doctor(run) and of_doctor(run).sign == sign


def test_the_best_is_reset_and_a_rollback_undoes_it(tmp_path: Path) -> None:
    lines = []
    for number in range(1, 9):
        mel = 0.2 if number == 1 else 0.5
        lines += [train(number), validation(number, {"mel": mel}, **({"reset": True} if number == 2 else {}))]
    run = written(tmp_path / "run", lines)
    assert of_report(run) == of_doctor(run)
    assert "best 0.5 at update 2" in sentences(of_doctor(run))["validation does not rise"]
    lines += [train(2), validation(2, {"mel": 0.5}), train(3)]
    run = written(tmp_path / "run", lines)
    assert of_report(run) == of_doctor(run)
    assert sentences(of_doctor(run))["validation does not rise"] == "validation 0.5, best 0.2 at update 1"


def test_repeated_updates_count_once_and_a_skip_remains() -> None:
    lines = [train(update, loss=9.0) for update in range(1, 201)]
    lines += [train(update, loss=1.0) for update in range(50, 201)]
    lines += [train(201, loss=None, grad_norm=None, skipped=True), train(201)]
    lines += [train(202, loss=None, grad_norm=None, skipped=True, overflow=True), train(202)]
    seen: list[UpdateLine | ValidationLine] = []
    health = replay(lines, MEL, lambda line, _: seen.append(line))
    assert [line.update for line in seen] == [*range(1, 202), 201, 202, 202]
    said = sentences(health.verdict())
    assert said["no skipped update"].startswith("1 update skipped, the last at 201"), "an overflow of fp16 is none"
    assert said["loss within 0.5 to 5"].startswith("loss 1, ")


def test_a_replay_reports_the_health_after_each_line() -> None:
    verdicts: list[tuple[int, str]] = []

    def follow(line: UpdateLine | ValidationLine, health: Health) -> None:
        if isinstance(line, UpdateLine) and line.update % 100 == 0:
            verdicts.append((line.update, health.verdict().sign))

    losses = [9.0 if update <= 100 else 2.5 - update / 1_000 for update in range(1, 401)]
    health = replay([train(update, loss=loss) for update, loss in enumerate(losses, 1)], MEL, follow)
    assert verdicts == [(100, "ill"), (200, "healthy"), (300, "healthy"), (400, "healthy")]
    assert health.verdict().sign == "healthy"


def test_a_validation_has_its_figures() -> None:
    seen: list[Any] = []
    replay([train(1), validation(1, {"total": 2, "mel": 1.0, "odd": None})], TOTAL, lambda line, _: seen.append(line))
    assert seen[1].metrics == {"total": 2.0, "mel": 1.0, "odd": pytest.approx(float("nan"), nan_ok=True)}


@pytest.mark.parametrize(
    "line",
    [
        {"kind": "train"}, {"kind": "train", "update": True}, {"kind": "train", "update": "7"}, {"update": 3},
        {"kind": "other", "update": 3},
    ],
)  # fmt: skip
def test_foreign_lines_count_for_nothing(line: dict[str, Any]) -> None:
    assert replay([line], MEL).to_json() == Health().to_json()


def test_foreign_figures_are_none() -> None:
    health = replay(
        [train(1, loss="high", grad_norm=[1], wait_share=True), validation(1, {"total": "x"}, reset=1)], MEL
    )
    assert health.verdict().sign == "early"
    assert health.to_json()["losses"] == [] == health.to_json()["waits"]
    assert replay([{"kind": "validation", "update": 1, "metrics": [1]}], MEL).verdict().sign == "early"


def test_the_measure_of_a_run_is_read_leniently(tmp_path: Path) -> None:
    schema = Measure(TrainingConfig().best_metric, LossConfig().adaptive_weights)
    assert schema.best_metric == "mel"
    for content in (b"", b"[}{: \xff", b"- 1\n", b"training: 3\n", b"training: {best_metric: [1]}\nloss: {}\n"):
        (tmp_path / "config.yaml").write_bytes(content)
        (tmp_path / "corpus.json").write_bytes(content)
        assert read_measure(tmp_path) == schema
    assert read_measure(tmp_path / "none") == schema
    (tmp_path / "config.yaml").write_text(
        "training: {best_metric: total, early_stopping_min_delta: 0.1, best_tolerance: x, a_foreign_key: 1}\n"
        "loss: {adaptive_weights: true}\n"
        "optimizer: {clip_norm: 2}\n"
    )
    (tmp_path / "corpus.json").write_text('{"speakers": ["ann", "ann@1.1"]}')
    rule = BestRule(min_delta=0.1, tolerance=TrainingConfig().best_tolerance)
    assert read_measure(tmp_path) == Measure("total", adaptive_weights=True, clip_norm=2.0, people=1, rule=rule)
    assert measure_of({"optimizer": {"clip_norm": -1}}, {"speakers": [1]}) == schema


def test_state_health_and_replay_agree_on_the_best() -> None:
    """0.4995 is lower than 0.5, but not by early_stopping_min_delta: the best checkpoint remains that of update 500."""
    rule = BestRule(min_delta=0.001, tolerance=0.0)
    lines, state = [], RunState(clips=1)
    for update, value in ((500, 0.5), (1_000, 0.4995), (1_500, 0.6)):
        state.position.update = update
        state.validated(value, improved=rule.improves(value, state.position.best), equal=False, scheduled=True)
        state.health.observe_validation(update, value, state.position.best_validation())
        lines += [train(update), validation(update, {"mel": value})]
        assert state.position.best_validation() == state.health.best == (500, 0.5)
    assert replay(lines, Measure("mel", adaptive_weights=False, rule=rule)).best == (500, 0.5)
    assert "best 0.5 at update 500" in sentences(state.health.verdict())["validation does not rise"]
    state.set_best((0.7, 250, 0, 0))
    assert state.health.best == (250, 0.7), "the checkpoint of 500 could not be saved"


def test_within_the_tolerance_the_newest_validation_is_the_best() -> None:
    rule = BestRule(min_delta=0.0, tolerance=0.03)
    lines = [
        line
        for update, mel in enumerate((0.7, 0.59, 0.605, 0.63), 1)
        for line in (train(update), validation(update, {"mel": mel}))
    ]
    assert replay(lines, Measure("mel", adaptive_weights=False, rule=rule)).best == (3, 0.59)
    assert not rule.improves(math.nan, None) and not rule.improves(-math.inf, 0.5)
