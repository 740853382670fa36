"""Which figures the page draws and sums, and which validation it calls the best."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from made_lines import train_line, validation_line

from myxtts.report import write_report
from myxtts.report.curves import term_charts, term_table
from myxtts.report.run_files import read_run


def test_terms_of_a_part_that_the_model_does_not_have_are_left_out(tmp_path: Path) -> None:
    terms = {"mel": 0.4, "flow": 0.0, "adversarial": 0.0}
    lines = [train_line(u, terms=terms | {"adversarial": 0.3 * (u == 3)}, weighted={"mel": 0.4}) for u in (1, 2, 3)]
    metrics = {"mel": 0.4, "flow": 0.0, "voice_equal_error_rate": 0.0}
    lines.append(json.dumps({"kind": "validation", "update": 3, "time": 1.77e9, "metrics": metrics}) + "\n")
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "Mel" in page and "Adversarial" in page and "Voice equal error rate" in page
    assert "Flow" not in page


def test_the_three_figures_of_the_voices_are_drawn_with_whose_they_are(tmp_path: Path) -> None:
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


def test_the_shares_of_the_total_leave_out_the_game_with_the_critic(tmp_path: Path) -> None:
    weighted = {"mel": 0.6, "kl": 0.2, "critic": 0.1, "adversarial": 0.3}
    terms = {"mel": 0.6, "kl": 0.4, "critic": 1.0, "adversarial": 3.0}
    (tmp_path / "metrics.jsonl").write_text(train_line(1, terms=terms, weighted=weighted))
    rows = {row.name: row for row in term_table(read_run(tmp_path))}
    assert (rows["Mel"].share, rows["KL divergence"].share) == (pytest.approx(75.0), pytest.approx(25.0))
    assert math.isnan(rows["Critic"].share) and math.isnan(rows["Adversarial"].share)
    assert rows["Critic"].weighted == pytest.approx(0.1)


def test_the_best_is_that_since_it_was_chosen_anew(tmp_path: Path) -> None:
    lines = [train_line(1), validation_line(1, 0.2), train_line(2), validation_line(2, 0.5), validation_line(3, 0.4)]
    (tmp_path / "config.yaml").write_text("training: {best_metric: mel}\n")
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    assert "mel, update 1" in write_report(tmp_path).read_text(encoding="utf-8")
    lines[3] = lines[3].replace('{"kind"', '{"reset": true, "kind"')
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    assert "mel, update 3" in write_report(tmp_path).read_text(encoding="utf-8")
    lines += [train_line(1), validation_line(1, 0.2), train_line(2), validation_line(2, 0.3)]  # it went back behind it
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    assert "mel, update 1" in write_report(tmp_path).read_text(encoding="utf-8")


def test_the_best_is_the_newest_within_the_tolerance_of_the_run(tmp_path: Path) -> None:
    lines = [
        line
        for update, mel in enumerate((0.7, 0.59, 0.605, 0.63), 1)
        for line in (train_line(update), validation_line(update, mel))
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    for tolerance, update in ((0.0, 2), (0.03, 3)):
        (tmp_path / "config.yaml").write_text(f"training: {{best_metric: mel, best_tolerance: {tolerance}}}\n")
        assert f"mel, update {update}" in write_report(tmp_path).read_text(encoding="utf-8")


def test_an_overflow_of_fp16_is_no_skipped_update(tmp_path: Path) -> None:
    refused = {"loss": None, "grad_norm": None, "skipped": True}
    lines = [train_line(1, **refused, overflow=True), train_line(1), train_line(2, **refused), train_line(2)]
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    assert "1 update skipped, the last at 2" in write_report(tmp_path).read_text(encoding="utf-8")
