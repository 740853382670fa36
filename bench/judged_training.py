"""Shared by measurements that train for some minutes, synthesize, are judged, and train on."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import results
from myxtts.cli.screen import Screen
from myxtts.errors import ConfigError, DataError
from myxtts.messages import escaped
from myxtts.storage.journal import read_metrics
from myxtts.storage.run_directory import RunDirectory

MANY = "1000000"
"""Epochs, updates, validations: so many that a training ends only by time."""
JUDGE = results.ROOT / "bench" / "judge.py"
CEILING = "recordings"
"""The row of the recordings through the mel and Griffin-Lim, which bounds what a model can reach."""
JUDGED = (("wer", "word error"), ("cer", "char. error"), ("dnsmos", "DNSMOS"), ("secs", "SECS"))


def add_options(
    made: argparse.ArgumentParser, minutes: Sequence[float] | float, *, sized: bool = True, sentences: int = 20
) -> None:
    """Their common options; `minutes` may be several. `sized`: the model size can be chosen."""
    several = not isinstance(minutes, float)
    shown = " ".join(f"{m:g}" for m in (minutes if isinstance(minutes, Sequence) else [minutes]))
    made.add_argument("--work", metavar="DIR", type=Path, required=True, help="folder for all files")
    made.add_argument(
        "--minutes",
        metavar="N",
        type=float,
        nargs="+" if several else None,
        default=minutes,
        help=f"of training{', several are possible' if several else ''} ({shown})",
    )
    if sized:
        made.add_argument("--size", metavar="SIZE", default="tiny", help="model size (tiny)")
    made.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="any other setting")
    made.add_argument("--sentences", metavar="N", type=int, default=sentences, help=f"held-out sentences ({sentences})")
    made.add_argument(
        "--judge-python", metavar="FILE", help="Python with the extra judge; without it nothing is judged"
    )
    made.add_argument("--judge-script", metavar="FILE", type=Path, default=JUDGE, help="another judge (bench/judge.py)")


def open_work(given: Namespace, own: dict[str, Any], names: Sequence[str]) -> None:
    """Makes the folder --work, absolute since commands run in the project's folder.

    Raises ConfigError where it holds a measurement with other settings: `own`, and the options with these names.
    """
    given.work = given.work.resolve()
    given.work.mkdir(parents=True, exist_ok=True)
    _same_work(given, {**own, **{name: getattr(given, name) for name in names}})


def outlive_ctrl_c() -> None:
    """Ctrl-C also reaches the training, which saves and ends by itself; its exit code ends the measurement."""
    signal.signal(signal.SIGINT, lambda *_: None)


def training_words(
    given: Namespace, data: Sequence[str], settings: Sequence[str], minutes: float | None, updates: int | None = None
) -> list[str]:
    """The training command, which ends only by time or by the number of updates: validations do not end it."""
    words = [*data, "--optimization-level", given.level, "--checkpoint-dir", str(given.work / "run")]
    words += ["--epochs", MANY, "--max-updates", MANY if updates is None else str(updates)]
    end = () if minutes is None else (f"training.max_minutes={minutes:g}",)
    for setting in (f"training.early_stopping_validations={MANY}", *settings, *given.set, *end):
        words += ["--set", setting]
    return words


def train_until(run: Path, minutes: float, words: Sequence[str], screen: Screen) -> int:
    """Trains RUN up to `minutes` with the arguments `words`; the exit code. DataError if it has trained longer."""
    before = trained_minutes(run)
    if before > 1.02 * minutes + 0.5:
        raise DataError(
            f"{run} has trained {before:.1f} minutes already, so a result after {minutes:g} is not possible; "
            "take another --work"
        )
    return call([sys.executable, str(results.ROOT / "train_main.py"), *words], screen)


def speak(checkpoint: Path, sentences: Path, out: Path, prefer: str, screen: Screen) -> int:
    """Synthesizes a list of sentences with a checkpoint into a folder, figures in its speech.json; the exit code."""
    words = ["--checkpoint", str(checkpoint), "--list", str(sentences), "--out", str(out), "--prefer", prefer]
    return call([sys.executable, "-m", "bench.speak_list", *words, "--json", str(out / "speech.json")], screen)


def judge_problems(given: Namespace) -> list[str]:
    """What is wrong with the options of the judge."""
    problems = []
    if given.judge_python is None and given.judge_script != JUDGE:
        problems.append("--judge-script needs --judge-python, a Python that can run it")
    if not given.judge_script.is_file():
        problems.append(f"--judge-script is {str(given.judge_script)!r}, which is no file; name the judge's script")
    return problems


def _same_work(given: Namespace, own: dict[str, Any]) -> None:
    """Raises ConfigError where the folder holds a measurement with other settings."""
    path = given.work / "settings.json"
    if path.is_file():
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored != own:
            other = ", ".join(
                f"{name} {stored.get(name)!r} (now {own[name]!r})" for name in own if stored.get(name) != own[name]
            )
            raise ConfigError(f"--work {str(given.work)!r} holds a measurement with {other}; take another folder")
    results.write_json(path, own)


def judged(given: Namespace, mark: str, language: str | None = None) -> dict[str, float] | None:
    """The judge's figures, computed once; None without a judge. Raises DataError where it fails.

    language: of the texts, for bench/judge.py.
    """
    path = given.work / "judged" / f"{mark}.json"
    if not path.is_file():
        if given.judge_python is None:
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        list_path = given.work / "spoken" / mark / "list.tsv"
        words = [
            given.judge_python,
            str(given.judge_script),
            str(list_path.resolve()),
            "--json",
            str(temporary.resolve()),
            *(["--language", language] if language else []),
        ]
        code = subprocess.run(words, check=False).returncode
        if code != 0:
            raise DataError(f"the judge ended with exit code {code} on {list_path}; its output is above")
        temporary.replace(path)
    total: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))["total"]
    return total


def call(words: list[str], screen: Screen) -> int:
    """Runs a command of this project in its own process and passes on its output."""
    screen.say("", f"$ {escaped(' '.join(words))}")
    code = subprocess.run(words, cwd=results.ROOT, check=False).returncode
    return code if code >= 0 else 128 - code


def trained_minutes(run: Path) -> float:
    """Minutes of training in the newest checkpoint, over all resumes; 0 without one."""
    try:
        step = json.loads((RunDirectory(run).checkpoints_path / "last.json").read_text(encoding="utf-8"))["step"]
        state = json.loads((RunDirectory(run).checkpoints_path / step / "state.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return 0.0
    return float(state["position"]["trained_seconds"]) / 60.0


def training(run: Path) -> dict[str, Any]:
    """Updates, skipped updates, frames per second, epochs, and the newest validation, from the journal of the run."""
    updates = skipped = epoch = 0
    frames = seconds = 0.0
    validation: dict[str, float] = {}
    for record in read_metrics(RunDirectory(run).metrics_path):
        if record["kind"] == "validation":
            validation = record["metrics"]
        elif record["kind"] == "train":
            updates, epoch = record["update"], record["epoch"]
            skipped += bool(record["skipped"])
            frames += record["frames"]
            seconds += record["frames"] / max(record["frames_per_second"], 1e-9)
    rate = frames / seconds if seconds else 0.0
    return {
        "updates": updates,
        "skipped": skipped,
        "epochs": epoch,
        "frames_per_second": rate,
        "validation": validation,
    }


def cell(value: Any, form: str) -> str:
    """A figure for the table; a dash where there is none."""
    return "-" if value is None else format(value, form)
