"""What settles the level `enhanced`: one setting changed at a time, the same data, the same minutes, from nothing.

Every variant is a training of its own; what it reached is its validation on the averaged weights and, with a judge,
what it says about the same held-out sentences (as in bench.recordings, whose copy of the data is used). WORK holds a
folder a variant; a variant that has its record is not trained again, and one that was stopped goes on. `--only` names
variants.

Every variant carries its batch size, whatever the level has at this size: 16 clips an update, with which the rows of
docs/measurements.md were made, where its name says no other.
"""

from __future__ import annotations

import json
import statistics
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import held_out, results
from bench.marks import (
    JUDGED,
    MANY,
    add_options,
    call,
    cell,
    judge_problems,
    judged,
    same_work,
    strange_variants,
    sweep,
    train_until,
    trained_minutes,
    training,
)
from myxtts.cli.screen import Screen, guarded
from myxtts.config.schema import TextConfig
from myxtts.errors import EXIT_DONE, ConfigError
from myxtts.storage.journal import read_metrics
from myxtts.storage.run_directory import RunDirectory

LEVEL = "enhanced"
BATCH = "training.batch_size"
BASE = "batch 16"
LAST_UPDATES = 200
VARIANTS: Mapping[str, tuple[str, ...]] = {
    BASE: (),
    "other chance": ("training.seed=2",),
    "rate 5e-4": ("optimizer.learning_rate=5e-4",),
    "rate 2e-3": ("optimizer.learning_rate=2e-3",),
    "rate 4e-3": ("optimizer.learning_rate=4e-3",),
    "warmup 50": ("schedule.warmup_updates=50",),
    "warmup 800": ("schedule.warmup_updates=800",),
    "clip 0.3": ("optimizer.clip_norm=0.3",),
    "clip 5": ("optimizer.clip_norm=5",),
    "batch 8": (f"{BATCH}=8",),
    "batch 32": (f"{BATCH}=32",),
    "constant": ("schedule.decay=constant",),
    "batch 8, constant": (f"{BATCH}=8", "schedule.decay=constant"),
    "cosine": ("schedule.decay=cosine", "schedule.decay_updates=1500"),
    "average 0.99": ("training.ema_decay=0.99",),
    "average 0.9995": ("training.ema_decay=0.9995",),
    "fp32": ("training.precision=fp32",),
    "muon": ("optimizer.name=muon",),
    "muon, rate 2e-3": ("optimizer.name=muon", "optimizer.learning_rate=2e-3"),
    "dropout 0": ("model.dropout=0",),
    "dropout 0.2": ("model.dropout=0.2",),
    "beta_2 0.999": ("optimizer.beta_2=0.999",),
    "segment 2 s": ("training.segment_seconds=2",),
    "flow": ("model.decoder=flow",),
    "no critic": ("model.critic_width=0",),
    "critic heard early": ("schedule.adversarial_start_updates=400", "schedule.adversarial_ramp_updates=200"),
}
"""Name -> settings on top of BASE, the level with 16 clips. `other chance`: how much of a difference says nothing."""


def main(argv: Sequence[str] | None = None) -> int:
    """Sweeps as `argv` says; returns the exit code."""
    made = results.parser("sweep_levels", "One setting changed at a time, trained for the same minutes from nothing.")
    made.add_argument("--data", metavar="ROOT", type=Path, required=True, help="data root")
    made.add_argument("--only", metavar="NAME", nargs="+", default=[], help="these variants; all without it")
    made.add_argument("--language", metavar="CODE", default=TextConfig().language, help="of rows that name none")
    add_options(made, 6.0)
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    problems = judge_problems(given)
    if given.minutes <= 0 or given.sentences < 1:
        problems.append("--minutes must be over 0 and --sentences at least 1")
    problems += strange_variants(given, VARIANTS)
    if any(setting.partition("=")[0].strip() == BATCH for setting in given.set):
        problems.append(f"--set {BATCH}: every variant carries its own; --only 'batch 8' trains with 8")
    if problems:
        raise ConfigError(problems)
    given.work, given.data = given.work.resolve(), given.data.resolve()
    given.work.mkdir(parents=True, exist_ok=True)
    names = ("minutes", "size", "set", "sentences", "language")
    own = {"data": str(given.data), "batch_size": int(BASE.removeprefix("batch "))}  # WORK of before had the level's
    same_work(given, {**own, **{name: getattr(given, name) for name in names}})
    screen = Screen()
    held_out.make_root(given.data, given.work, given.sentences, given.language, screen.progress)
    screen.close()
    return sweep(given, VARIANTS, record_of, _train, _table)


def folder_of(name: str) -> str:
    """The name of a variant as that of a folder."""
    return "".join(letter if letter.isalnum() or letter == "." else "-" for letter in name)


def record_of(given: Namespace, name: str) -> Path:
    """Where a variant's figures are."""
    path: Path = given.work / "marks" / f"{folder_of(name)}.json"
    return path


def settings_of(name: str) -> list[str]:
    """The settings of a variant: what it names, and the batch of BASE if it names none."""
    own = VARIANTS[name]
    named = any(setting.startswith(f"{BATCH}=") for setting in own)
    return [*own] if named else [f"{BATCH}={BASE.removeprefix('batch ')}", *own]


def training_words(given: Namespace, name: str) -> list[str]:
    """The training command of a variant; its only end is the time, and it validates when that is over."""
    root, run = str(given.work / "data"), str(given.work / "runs" / folder_of(name))
    words = ["--train-data", root, "--val-data", root, "--model-size", given.size, "--optimization-level", LEVEL]
    words += ["--checkpoint-dir", run, "--epochs", MANY, "--max-updates", MANY]
    own = (f"training.early_stopping_validations={MANY}", f"text.language={given.language}")
    for setting in (*own, *given.set, *settings_of(name), f"training.max_minutes={given.minutes:g}"):
        words += ["--set", setting]
    return words


def _train(given: Namespace, name: str, screen: Screen) -> int:
    """Trains a variant, has it speak where there is a judge, and writes its record; the exit code of what failed."""
    run, spoken = given.work / "runs" / folder_of(name), given.work / "spoken" / folder_of(name)
    code = train_until(run, given.minutes, training_words(given, name), screen)
    if code == EXIT_DONE and given.judge_python is not None:
        words = ["--checkpoint", str(run), "--list", str(given.work / "held_out.json"), "--out", str(spoken)]
        code = call([sys.executable, "-m", "bench.speak_list", *words], screen)
    if code == EXIT_DONE:
        figures = {"name": name, "minutes": trained_minutes(run), **training(run), **norms(run)}
        results.write_json(record_of(given, name), figures)
    return code


def norms(run: Path) -> dict[str, float]:
    """Median gradient norm and loss of the newest updates."""
    made = [r for r in read_metrics(RunDirectory(run).metrics_path) if r["kind"] == "train" and not r["skipped"]]
    newest = made[-LAST_UPDATES:]
    return {
        name: statistics.median([float(r[key]) for r in newest]) if newest else float("nan")
        for name, key in (("grad_norm", "grad_norm"), ("loss", "loss"))
    }


def _table(given: Namespace, json_path: Path | None) -> None:
    heads = ("variant", "updates", "refused", "norm", "loss", "val. total", "val. mel", "MCD dB")
    rows: list[tuple[str, ...]] = [(*heads, *(name for _, name in JUDGED))]
    figures = []
    for name in VARIANTS:
        if not record_of(given, name).is_file():
            continue
        row: dict[str, Any] = json.loads(record_of(given, name).read_text(encoding="utf-8"))
        row["judged"] = judged(given, folder_of(name)) or {}
        figures.append(row)
        about = [cell(row.get(key), form) for key, form in (("updates", "d"), ("skipped", "d"))]
        about += [cell(row.get(key), ".3f") for key in ("grad_norm", "loss")]
        about += [cell(row.get("validation", {}).get(key), ".3f") for key in ("total", "mel", "mcd_db")]
        rows.append((name, *about, *(cell(row["judged"].get(key), ".3f") for key, _ in JUDGED)))
    each = f"{given.minutes:g} minutes each, level {LEVEL}, {BASE}, one change"
    title = f"Sweep: {given.data.name}, size {given.size}, {each}"
    settings = {"data": given.data.name, "size": given.size, "minutes": given.minutes, "set": given.set}
    results.show(title, rows, {"settings": settings, "variants": figures}, json_path, heads=True)


if __name__ == "__main__":
    sys.exit(main())
