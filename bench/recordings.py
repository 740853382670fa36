"""From recordings to a voice: trains on a data root, and after each of --minutes synthesizes held-out sentences.

WORK contains data/ (a copy, split the same way on every run), run/ (the run directory), spoken/MARK/, judged/ and
marks/ (a record per --minutes). The same command continues; finished parts are not repeated. A judge is any script that
takes a list (wav, text and reference separated by tabs) and `--json FILE`, and writes {"total": {"wer": ..., "cer":
..., "dnsmos": ..., "secs": ...}} to it."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import held_out, judged_training, results
from bench.judged_training import CEILING, JUDGED, cell, judged, open_work, speak, trained_minutes, training
from myxtts.cli.screen import Screen, guarded
from myxtts.config.schema import TextConfig
from myxtts.errors import EXIT_DONE, ConfigError


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("recordings", "Trains on recordings and judges held-out sentences after the given minutes.")
    made.add_argument("--data", metavar="ROOT", type=Path, required=True, help="data root with the recordings")
    made.add_argument("--level", metavar="LEVEL", default="enhanced", help="optimization level (enhanced)")
    made.add_argument("--language", metavar="CODE", default=TextConfig().language, help="of rows that name none")
    made.add_argument("--prefer", choices=("best", "last"), default="last", help="which checkpoint speaks (last)")
    judged_training.add_options(made, [10.0, 40.0])
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    marks = sorted(given.minutes)
    _check(given, marks)
    names = ("size", "level", "set", "sentences", "language", "prefer")
    open_work(given, {"data": str(given.data.resolve())}, names)
    screen = Screen()
    held = held_out.make_root(given.data, given.work, given.sentences, given.language, screen.progress)
    held_out.through_griffin_lim(held, given.work / "spoken" / CEILING, screen.progress)
    screen.close()
    judged_training.outlive_ctrl_c()
    figures = [{"mark": CEILING, "judged": judged(given, CEILING)}]
    for minutes in marks:
        mark = f"minutes-{minutes:g}"
        code = EXIT_DONE if _record(given, mark).is_file() else _train_and_speak(given, minutes, mark, screen)
        if code != EXIT_DONE:
            return code
        figures.append({**json.loads(_record(given, mark).read_text(encoding="utf-8")), "judged": judged(given, mark)})
        _table(given, figures, None)
    _table(given, figures, given.json or given.work / "recordings.json")
    return EXIT_DONE


def _check(given: Namespace, marks: Sequence[float]) -> None:
    """Raises ConfigError for invalid options."""
    problems = judged_training.judge_problems(given)
    if marks[0] <= 0:
        problems.append(f"--minutes has {marks[0]:g}, expected more than 0")
    if given.sentences < 1:
        problems.append(f"--sentences is {given.sentences}, expected at least 1")
    if problems:
        raise ConfigError(problems)


def training_words(given: Namespace, minutes: float) -> list[str]:
    """The training command."""
    root = str(given.work / "data")
    data = ["--train-data", root, "--val-data", root, "--model-size", given.size]
    return judged_training.training_words(given, data, [f"text.language={given.language}"], minutes)


def _train_and_speak(given: Namespace, minutes: float, mark: str, screen: Screen) -> int:
    """Trains up to some minutes, synthesizes, and writes the record; the exit code of what failed, else 0."""
    run, spoken = given.work / "run", given.work / "spoken" / mark
    code = judged_training.train_until(run, minutes, training_words(given, minutes), screen)
    if code != EXIT_DONE:
        return code
    code = speak(run, given.work / "held_out.json", spoken, given.prefer, screen)
    if code != EXIT_DONE:
        return code
    speech = json.loads((spoken / "speech.json").read_text(encoding="utf-8"))
    about = {"mark": mark, "minutes": trained_minutes(run), "speaking": speech["real_time_factor"], **training(run)}
    results.write_json(_record(given, mark), about)
    return EXIT_DONE


def _record(given: Namespace, mark: str) -> Path:
    path: Path = given.work / "marks" / f"{mark}.json"
    return path


def _table(given: Namespace, figures: Sequence[dict[str, Any]], json_path: Path | None) -> None:
    heads = ("mark", "minutes", "updates", "epochs", "skipped", "frames/s", "val. mel", "real-time f.")
    rows: list[tuple[str, ...]] = [(*heads, *(name for _, name in JUDGED))]
    for row in figures:
        judged = row["judged"] or {}
        about = [
            cell(row.get("minutes"), ".1f"),
            *(cell(row.get(key), "d") for key in ("updates", "epochs", "skipped")),
        ]
        about += [cell(row.get("frames_per_second"), ",.0f"), cell(row.get("validation", {}).get("mel"), ".3f")]
        about.append(cell(row.get("speaking"), ".3f"))
        rows.append((row["mark"], *about, *(cell(judged.get(key), ".3f") for key, _ in JUDGED)))
    title = f"{given.data.name}, size {given.size}, level {given.level}, {given.sentences} held-out sentences"
    settings = {
        "data": given.data.name,
        "size": given.size,
        "level": given.level,
        "set": given.set,
        "prefer": given.prefer,
    }
    results.show(title, rows, {"settings": settings, "marks": list(figures)}, json_path, heads=True)


if __name__ == "__main__":
    sys.exit(main())
