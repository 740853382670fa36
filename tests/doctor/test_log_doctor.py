"""Logs: where NaN began and what led to it, in metrics.jsonl and in the text of other programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from myxtts.doctor.findings import Certainty
from myxtts.doctor.messages import render
from myxtts.doctor.metrics import check_log, row_of
from myxtts.errors import DataError
from myxtts.progress import silent


def journal(
    tmp_path: Path, loss: Callable[[int], float], norm: Callable[[int], float], rate: Callable[[int], float]
) -> Path:
    """A hundred good updates, then one that was skipped for a mel term that is not finite."""
    lines = [
        {
            "kind": "train",
            "update": u,
            "loss": loss(u),
            "grad_norm": norm(u),
            "learning_rate": rate(u),
            "skipped": False,
        }
        for u in range(1, 101)
    ]
    lines.append(
        {
            "kind": "train", "update": 101, "loss": None, "grad_norm": None, "learning_rate": rate(101),
            "skipped": True, "nonfinite": ["terms.mel", "weighted.mel"],
        }
    )  # fmt: skip
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def causes(path: Path) -> list[tuple[Certainty, str, str]]:
    return [(f.certainty, render(f.what, "en"), f.where) for f in check_log(path, silent).ranked()]


def flat(u: int) -> float:
    return 0.5


def test_a_rising_norm_leads_to_it(tmp_path: Path) -> None:
    first, cause = causes(journal(tmp_path, lambda u: 2.0, lambda u: 0.5 if u < 90 else 0.5 * 1.6 ** (u - 89), flat))
    assert first[0] == Certainty.CERTAIN and "at update 101: terms.mel, weighted.mel" in first[1]
    assert first[2].endswith("metrics.jsonl:101")
    assert cause[0] == Certainty.LIKELY and cause[1].startswith("the gradient norm rose before it, from 0.5 to ")


def test_a_rising_loss(tmp_path: Path) -> None:
    _, cause = causes(journal(tmp_path, lambda u: 2.0 if u < 92 else 2.0 + u - 91, flat, flat))
    assert cause[1].startswith("the loss rose before it, from 2.0 to")


def test_a_restart_of_the_schedule(tmp_path: Path) -> None:
    _, cause = causes(journal(tmp_path, lambda u: 2.0, flat, lambda u: 1e-6 if u < 101 else 1e-4))
    assert cause[:2] == (Certainty.LIKELY, "the learning rate jumped from 1e-06 to 0.0001 just before")


def test_within_the_warmup_and_out_of_the_blue(tmp_path: Path) -> None:
    _, cause = causes(journal(tmp_path, lambda u: 2.0, flat, lambda u: u * 1e-6))
    assert cause[0] == Certainty.POSSIBLE and "still rising, from 1e-06 to 0.0001" in cause[1]
    _, cause = causes(journal(tmp_path, lambda u: 2.0, flat, flat))
    assert "nothing rose in the 100 lines before it" in cause[1]


@pytest.mark.parametrize(
    ("after", "rank"),
    [("." * 2_000, Certainty.POSSIBLE), ("x........." * 200, Certainty.LIKELY), ("xx." * 10, Certainty.CERTAIN),
     ("." * 9_000 + "x" * 200, Certainty.CERTAIN)],
)  # fmt: skip
def test_a_first_one_that_the_run_outlives_is_not_a_certain_cause(tmp_path: Path, after: str, rank: Certainty) -> None:
    path = journal(tmp_path, lambda u: 2.0, lambda u: 0.5 if u < 90 else 0.5 * 1.6 ** (u - 89), flat)
    with path.open("a") as file:
        for update, mark in enumerate(after, 102):
            line = {"kind": "train", "update": update, "loss": 2.0, "grad_norm": 0.5, "skipped": mark == "x"}
            file.write(json.dumps(line) + "\n")
    first, cause = causes(path)
    assert first[0] == rank and "at update 101" in first[1]
    assert cause[0] == max(rank, Certainty.LIKELY) and cause[1].startswith("the gradient norm rose before it")


def test_the_text_log_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    lines = [
        f"INFO:root: Epoch 1 Step {s}/900 - loss: {2.0 + 0.3 * max(0, s - 50):.4f}, lr=8.00e-05" for s in range(1, 61)
    ]
    path.write_text(
        "Starting\n" + "\n".join([*lines, "Step 61/900 - loss: nan, lr=8.00e-05", "Step 62 loss: nan"]) + "\n"
    )
    report = check_log(path, silent)
    assert render(report.facts[0], "en") == "62 lines with figures; 2 of them with NaN, Inf or a skipped update"
    first, cause = causes(path)
    assert "at update 61" in first[1] and first[2].endswith("train.log:62") and "loss" in first[1]
    assert cause[1].startswith("the loss rose before it")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"step: 5 loss=1.5 grad_norm=0.3 lr: 1e-4", (5, 1.5, 0.3, 1e-4, ())),
        (b"{'loss': nan, 'grad_norm': 3.0}", (None, None, 3.0, None, ("loss",))),
        (b"update 7 total_loss: -inf", (7, None, None, None, ("total_loss",))),
        (b"iteration 12: Loss is NaN, stopping", (12, None, None, None, ("Loss",))),
        (b"learning_rate: nan loss: 2", (None, 2.0, None, None, ("learning_rate",))),
    ],
)
def test_lines(line: bytes, expected: tuple[object, ...]) -> None:
    row = row_of(line, 1)
    assert row is not None
    assert (row.update, row.loss, row.norm, row.rate) == expected[:4]
    assert [name.rpartition(" ")[2] for name in row.bad] == list(expected[4])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line", [b"", b"nothing here", b"nanometres: 3", b"time: 12:30", b'{"update": 1}', b"\xff\xfe"]
)
def test_lines_without_figures(line: bytes) -> None:
    assert row_of(line, 1) is None


def test_a_clean_log_and_no_log(tmp_path: Path) -> None:
    clean = tmp_path / "clean.log"
    clean.write_text("loss: 1.0\nloss: 0.9\n")
    assert not check_log(clean, silent).findings
    clean.write_text("dear diary\n")
    with pytest.raises(DataError, match="no line holds a loss"):
        check_log(clean, silent)
    with pytest.raises(DataError, match="cannot be read"):
        check_log(tmp_path / "none.log", silent)
