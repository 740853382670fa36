"""The figures of the page, and the checkpoint that it shows as the best."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from made_lines import train_line, validation_line

from myxtts.report import write_report
from myxtts.report.curves import term_charts, term_table
from myxtts.report.run_files import read_run


def test_terms_that_are_always_zero_are_omitted(tmp_path: Path) -> None:
    terms = {"mel": 0.4, "flow": 0.0, "adversarial": 0.0}
    lines = [train_line(u, terms=terms | {"adversarial": 0.3 * (u == 3)}, weighted={"mel": 0.4}) for u in (1, 2, 3)]
    metrics = {"mel": 0.4, "flow": 0.0, "voice_equal_error_rate": 0.0}
    lines.append(json.dumps({"kind": "validation", "update": 3, "time": 1.77e9, "metrics": metrics}) + "\n")
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "Mel" in page and "Adversarial" in page and "Voice equal error rate" in page
    assert "Flow" not in page


def test_speaker_verification_is_drawn_and_names_its_speakers(tmp_path: Path) -> None:
    figures = {"voice_same": (0.6, 0.9), "voice_other": (0.5, 0.3), "voice_equal_error_rate": (0.4, 0.1)}
    lines = [train_line(update) for update in (1, 2)]
    for number, update in enumerate((1, 2)):
        metrics = {"mel": 0.4} | {name: values[number] for name, values in figures.items()}
        record = {"kind": "validation", "update": update, "time": 1.77e9, "metrics": metrics}
        lines.append(json.dumps(record | {"voices": {"speakers": 12, "unseen": 12}}) + "\n")
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    charts = {chart.title: chart for chart in term_charts(read_run(tmp_path))}
    page = write_report(tmp_path).read_text(encoding="utf-8")
    for name, values in figures.items():
        title = name.replace("_", " ").capitalize()
        chart = charts[title]
        assert f"<strong>{title}</strong>" in page
        assert [style for style, path in chart.paths if path] == ["validation", "validation dots"]
        (curve,) = json.loads(chart.hover)
        assert (curve["x"], curve["y"]) == ([1, 2], [f"{value:g}" for value in values])
        assert chart.note == "Newest: of 12 speakers never trained on."
    assert page.count("Newest: of 12 speakers never trained on.") == 3 and charts["Mel"].note == ""


def test_adversarial_terms_have_no_share_of_the_total(tmp_path: Path) -> None:
    weighted = {"mel": 0.6, "kl": 0.2, "critic": 0.1, "adversarial": 0.3}
    terms = {"mel": 0.6, "kl": 0.4, "critic": 1.0, "adversarial": 3.0}
    (tmp_path / "metrics.jsonl").write_text(train_line(1, terms=terms, weighted=weighted))
    rows = {row.name: row for row in term_table(read_run(tmp_path))}
    assert (rows["Mel"].share, rows["KL divergence"].share) == (pytest.approx(75.0), pytest.approx(25.0))
    assert math.isnan(rows["Critic"].share) and math.isnan(rows["Adversarial"].share)
    assert rows["Critic"].weighted == pytest.approx(0.1)


def write_events(run: Path, *events: tuple[str, int]) -> None:
    lines = [json.dumps({"event": event, "update": update}) + "\n" for event, update in events]
    (run / "events.jsonl").write_text("".join(lines))


def test_the_best_is_the_checkpoint_that_the_run_marked(tmp_path: Path) -> None:
    """0.4995 is lower than 0.5000 by less than early_stopping_min_delta, so the run did not mark it."""
    (tmp_path / "config.yaml").write_text("training: {best_metric: mel, early_stopping_min_delta: 0.001}\n")
    lines = [train_line(500), validation_line(500, 0.5), train_line(1000), validation_line(1000, 0.4995)]
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    assert "none yet" in write_report(tmp_path).read_text(encoding="utf-8")
    write_events(tmp_path, ("start", 0), ("best", 500), ("checkpoint", 1000))
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "mel, update 500" in page and "mel, update 1,000" not in page
    assert re.search(r"Best validation.{0,80}0\.5<", page, re.S)


@pytest.mark.parametrize("back", ["rollback", "rollback_ended", "resume", "repaired"])
def test_going_back_undoes_the_marks_after_it(tmp_path: Path, back: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(train_line(1) + "".join(validation_line(u, 1 / u) for u in (1, 2, 3)))
    for events, best in (
        ([("best", 1), ("best", 3), (back, 2)], 1),
        ([("best", 1), ("best", 3), (back, 2), ("best", 3)], 3),
        ([("best", 1), (back, 1), ("cleaned", 0)], 1),
        ([("best", 3), (back, 2)], None),
    ):
        write_events(tmp_path, *events)
        assert read_run(tmp_path).best_update == best


def test_an_overflow_of_fp16_is_not_a_skipped_update(tmp_path: Path) -> None:
    skipped = {"loss": None, "grad_norm": None, "skipped": True}
    lines = [train_line(1, **skipped, overflow=True), train_line(1), train_line(2, **skipped), train_line(2)]
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    assert "1 update skipped, the last at 2" in write_report(tmp_path).read_text(encoding="utf-8")
