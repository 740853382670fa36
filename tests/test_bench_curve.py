"""bench.basic_curve: what it reads, tells and draws, and that its health is the training's own; nothing is trained."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from bench import basic_curve, recordings
from myxtts.health import Health
from myxtts.storage.journal import Journal

CLIP = 0.3


def train(update: int, loss: float | None = None, **changes: Any) -> dict[str, Any]:
    record = {"kind": "train", "update": update, "epoch": 0, "loss": loss, "grad_norm": 0.5, "wait_share": 0.0}
    return record | {"frames": 100, "frames_per_second": 50.0, "skipped": False} | changes


def validation(update: int, total: float, **changes: Any) -> dict[str, Any]:
    return {"kind": "validation", "update": update, "metrics": {"total": total, "mel": total / 2}} | changes


def write(run: Path, lines: Iterable[dict[str, Any]], best: str = "mel", **loss: Any) -> Path:
    run.mkdir()
    config = {"optimizer": {"clip_norm": CLIP}, "training": {"best_metric": best}, "loss": loss}
    (run / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
    with Journal(run / "metrics.jsonl") as journal:
        for record in lines:
            journal.write(record)
    return run


def low(updates: int = 200, loss: float = 0.42) -> list[dict[str, Any]]:
    return [train(update, loss + 0.2 * (0.99**update)) for update in range(1, updates + 1)]


def signs(run: Path) -> dict[str, str]:
    return {check.name: check.sentence for check in basic_curve.read(run).health.verdict().checks}


def test_the_curve_is_read_told_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [train(n, 1.0 + 2.0 / n) for n in range(1, 301)]
    lines[6] = train(7, grad_norm=None, skipped=True)
    lines.append(validation(250, 1.25))
    run = write(tmp_path / "run", lines)
    figure, figures = tmp_path / "f" / "curve.svg", tmp_path / "curve.json"
    words = ["--only-draw", "--checkpoint-dir", str(run), "--figure", str(figure), "--json", str(figures)]
    assert basic_curve.main(words) == 0
    shown = capsys.readouterr().out
    assert "updates refused: 1" in shown
    assert "1.250" in shown
    assert "no skipped update: watch" in json.loads(figures.read_text(encoding="utf-8"))["health"][3]
    drawn = figure.read_text(encoding="utf-8")
    assert drawn.startswith("<svg") and drawn.count("<circle") == 1 and "1 refused" in drawn
    assert recordings.training(run)["updates"] == 300
    assert recordings.training(run)["frames_per_second"] == pytest.approx(50.0)


def test_a_run_without_updates_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert basic_curve.main(["--only-draw", "--checkpoint-dir", str(write(tmp_path / "run", []))]) == 2
    assert "holds no update" in capsys.readouterr().err


def test_a_row_says_of_how_many_updates_it_is_the_mean(tmp_path: Path) -> None:
    lines = [train(n, 1.0 + 0.1 * n) for n in range(1, 61)]
    lines[29] = train(30, grad_norm=None, skipped=True)
    rows, points = basic_curve.table(basic_curve.read(write(tmp_path / "run", lines)))
    assert rows[0][:3] == ("update", "total", "mean of")
    assert [(row[0], row[2]) for row in rows[1:]] == [("1", "1"), ("25", "25"), ("60", "25")]
    assert [(point["update"], point["updates"]) for point in points] == [(1, 1), (25, 25), (60, 25)]
    assert points[0]["total"] == pytest.approx(1.1)
    assert points[1]["total"] == pytest.approx(1.0 + 0.1 * 13)
    short = basic_curve.table(basic_curve.read(write(tmp_path / "short", lines[:3])))[1]
    assert [(point["update"], point["updates"]) for point in short] == [(1, 1), (3, 3)]


def test_a_low_total_is_held_against_that_of_the_validation(tmp_path: Path) -> None:
    """The sign that the training itself shows: without the validation's total it would be "may learn by heart"."""
    run = write(tmp_path / "run", [*low(), validation(200, 0.45)])
    curve = basic_curve.read(run)
    assert curve.health.verdict().sign == "healthy"
    assert signs(run)["loss within 0.5 to 5"].endswith("the validation's is near it: 0.45 at update 200")
    by_heart = write(tmp_path / "by_heart", [*low(), validation(200, 0.9)])
    assert "it learns the clips by heart" in signs(by_heart)["loss within 0.5 to 5"]


def test_the_total_of_learned_weights_is_another_sum(tmp_path: Path) -> None:
    run = write(tmp_path / "run", [*low(), validation(200, 0.45)], adaptive_weights=True)
    assert "compare it with the validation" in signs(run)["loss within 0.5 to 5"]


def test_the_health_is_what_the_training_was_told(tmp_path: Path) -> None:
    """Clip, voices, the metric of the best, a best chosen anew, an overflow, a refusal: the same state as the run's."""
    lines = [train(n, 2.0 - 0.001 * n) for n in range(1, 301)]
    lines[4] = train(5, grad_norm=None, skipped=True, overflow=True)
    lines[9] = train(10, grad_norm=None, skipped=True)
    metrics = {"total": 1.0, "mel": 0.5, "voice_equal_error_rate": 0.1}
    lines.insert(100, validation(100, 1.0, metrics=metrics))
    lines.insert(201, validation(200, 1.5, anew=True))
    run = write(tmp_path / "run", lines, best="total")
    told = Health()
    for record in lines:
        at = record["update"]
        if record["kind"] == "validation":
            if "anew" in record:
                told.forget_best()
            told.observe_voices(at, record["metrics"].get("voice_equal_error_rate", float("nan")))
            told.observe_validation(at, record["metrics"]["total"])
            told.observe_total(at, record["metrics"]["total"])
            continue
        overflow = "overflow" in record
        refused = record["skipped"] and not overflow
        loss, norm = (None, None) if overflow else (record["loss"], record["grad_norm"])
        told.observe(at, loss=loss, grad_norm=norm, clip_norm=CLIP, skipped=refused, wait_share=0.0)
    curve = basic_curve.read(run)
    assert curve.health.to_json() == told.to_json()
    assert curve.skipped == 1, "an overflow of fp16 is no refused update"
    assert "100% of the updates clipped at 0.3" in signs(run)["gradient norm under 1"]


def test_losses_of_before_other_weights_are_no_measure(tmp_path: Path) -> None:
    """As at a resume with --set loss...: the training forgets its losses, and a best by the total."""
    lines = [train(n, 1.0 if n <= 150 else 3.0) for n in range(1, 301)]
    assert "loss 3 is far above its lowest" in signs(write(tmp_path / "a", lines))["loss falls"]
    lines[150]["anew"] = True
    lines.insert(100, validation(100, 1.0))
    run = write(tmp_path / "b", lines, best="total")
    assert "loss stands still" in signs(run)["loss falls"] or "too early" in signs(run)["loss falls"]
    assert basic_curve.read(run).health.to_json()["best"] is None
