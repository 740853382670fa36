"""Fine-tuning: how a trained run speaks in the voice of a new speaker before and after some minutes of training.

The run of --base synthesizes held-out sentences with a training recording of the new speaker as reference (before). A
new run starts from its best weights (`--init-from`), trains on about --seconds of the speaker, and after each of
--minutes synthesizes the same sentences with the same references. The row `recordings` is the held-out recordings
through the mel and Griffin-Lim. The judge (see bench.recordings) rates all of them.

WORK contains data/ (a copy, split the same way on every run), run/, spoken/MARK/, judged/ and marks/ (row records).
The same command continues. Do not continue the training of --base meanwhile: the rows would start from other weights.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import held_out, judged_training, results
from bench.judged_training import CEILING, JUDGED, cell, judged, open_work, speak, trained_minutes, training
from myxtts.audio import waveform
from myxtts.cli.screen import Screen, guarded
from myxtts.config.schema import TextConfig
from myxtts.data.manifest import read_root
from myxtts.errors import EXIT_DONE, ConfigError
from myxtts.storage import STARTER
from myxtts.storage.find_checkpoint import steps_in
from myxtts.storage.run_directory import RunDirectory

BEFORE = "before"
LONGEST_SECONDS = 10.5
"""Held-out sentences are shorter. A speaker with few recordings has few short ones."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("fine_tuning", "Judges the voice of a new speaker before and after fine-tuning.")
    made.add_argument("--base", metavar="RUN", type=Path, required=True, help="trained run to start from, or starter")
    made.add_argument("--data", metavar="ROOT", type=Path, required=True, help="data root of the new speaker")
    made.add_argument("--seconds", metavar="N", type=float, default=120.0, help="of recordings to train on (120)")
    made.add_argument(
        "--longest",
        metavar="N",
        type=float,
        default=LONGEST_SECONDS,
        help=f"held-out sentences are under so many seconds ({LONGEST_SECONDS:g})",
    )
    made.add_argument("--level", metavar="LEVEL", default="fine_tuning", help="optimization level (fine_tuning)")
    made.add_argument("--language", metavar="CODE", default=TextConfig().language, help="of rows that name none")
    made.add_argument(
        "--prefer", choices=("best", "last"), default="last", help="which checkpoint is used after training (last)"
    )
    judged_training.add_options(made, [5.0], sized=False, sentences=10)
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    _check(given)
    given.base = given.base if str(given.base) == STARTER else given.base.resolve()
    names = ("seconds", "longest", "level", "set", "sentences", "language", "prefer")
    own = {"data": str(given.data.resolve()), "base": str(given.base)}
    open_work(given, own, names)
    screen = Screen()
    held = held_out.make_root(
        given.data,
        given.work,
        given.sentences,
        given.language,
        screen.progress,
        longest=given.longest,
        train_seconds=given.seconds,
    )
    held_out.through_griffin_lim(held, given.work / "spoken" / CEILING, screen.progress)
    screen.close()
    judged_training.outlive_ctrl_c()
    figures = [{"mark": CEILING, "judged": judged(given, CEILING)}]
    for minutes in (0.0, *sorted(given.minutes)):
        mark = f"minutes-{minutes:g}" if minutes else BEFORE
        record = given.work / "marks" / f"{mark}.json"
        if not record.is_file() and (code := _mark(given, minutes, mark, record, screen)) != EXIT_DONE:
            return code
        figures.append({**json.loads(record.read_text(encoding="utf-8")), "judged": judged(given, mark)})
        _table(given, figures, None)
    _table(given, figures, given.json or given.work / "fine_tuning.json")
    return EXIT_DONE


def _check(given: Namespace) -> None:
    """Raises ConfigError for invalid options."""
    problems = judged_training.judge_problems(given)
    if str(given.base) != STARTER and not given.base.is_dir():
        problems.append(f"--base is {str(given.base)!r}, which is no folder; name a trained run, or {STARTER}")
    if min(given.minutes) <= 0:
        problems.append(f"--minutes has {min(given.minutes):g}, expected more than 0")
    if min(given.sentences, given.seconds, given.longest) <= 0:
        problems.append("--sentences, --seconds and --longest must be over 0")
    if problems:
        raise ConfigError(problems)


def training_words(given: Namespace, minutes: float | None, updates: int | None = None) -> list[str]:
    """The training command; a run that exists is continued without --init-from."""
    root = str(given.work / "data")
    data = ["--train-data", root, "--val-data", root]
    if not steps_in(RunDirectory(given.work / "run").checkpoints_path):
        data += ["--init-from", str(given.base)]
    return judged_training.training_words(given, data, [f"text.language={given.language}"], minutes, updates)


def _mark(given: Namespace, minutes: float, mark: str, record: Path, screen: Screen) -> int:
    """Trains up to some minutes (not at 0), synthesizes, writes the record; the exit code of what failed, else 0."""
    run, spoken = given.work / "run", given.work / "spoken" / mark
    code = EXIT_DONE
    if minutes:
        code = judged_training.train_until(run, minutes, training_words(given, minutes), screen)
    if code == EXIT_DONE:
        # Before training, the best checkpoint, which --init-from starts from.
        checkpoint, prefer = (run, given.prefer) if minutes else (given.base, "best")
        code = speak(checkpoint, given.work / "held_out.json", spoken, prefer, screen)
    if code == EXIT_DONE:
        spoke = json.loads((spoken / "speech.json").read_text(encoding="utf-8"))["update"]
        about = {"minutes": trained_minutes(run), **training(run)} if minutes else {"minutes": 0.0, "updates": 0}
        results.write_json(record, {"mark": mark, **about, "spoke_update": spoke})
    return code


def trained_seconds(given: Namespace) -> float:
    """Seconds of the training recordings in the copy of the data."""
    utterances = read_root(given.work / "data", "train", given.language).utterances
    return sum(waveform.probe(utterance.audio_path).seconds for utterance in utterances)


def _table(given: Namespace, figures: Sequence[dict[str, Any]], json_path: Path | None) -> None:
    rows: list[tuple[str, ...]] = [("mark", "minutes", "updates", *(name for _, name in JUDGED))]
    for row in figures:
        found = row["judged"] or {}
        about = (row["mark"], cell(row.get("minutes"), ".1f"), cell(row.get("updates"), "d"))
        rows.append((*about, *(cell(found.get(key), ".3f") for key, _ in JUDGED)))
    seconds = trained_seconds(given)
    title = (
        f"Fine-tuning: {given.base.name} on {seconds:.0f} s of {given.data.name}, level {given.level}, "
        f"{given.sentences} held-out sentences"
    )
    settings = {"base": str(given.base), "data": given.data.name, "level": given.level, "set": given.set}
    settings |= {"prefer": given.prefer, "train_seconds": seconds, "sentences": given.sentences}
    results.show(title, rows, {"settings": settings, "marks": list(figures)}, json_path, heads=True)


if __name__ == "__main__":
    sys.exit(main())
