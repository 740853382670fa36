"""From recordings to a voice: trains on a data root, and after each mark of minutes speaks held-out sentences.

WORK holds all of it: data/ (a copy, split the same way on every run), run/ (the run directory), spoken/MARK/, judged/,
marks/. The same command again goes on where it was stopped; what is done is not done twice. A judge is any script that
takes a list (wav, text and reference parted by tabs) and `--json FILE`, and writes {"total": {"wer": ..., "cer": ...,
"dnsmos": ..., "secs": ...}} there.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import held_out, results
from myxtts.cli.screen import Screen, escaped, guarded
from myxtts.config.schema import TextConfig
from myxtts.errors import EXIT_DONE, ConfigError, DataError
from myxtts.storage.journal import read_metrics
from myxtts.storage.run_directory import RunDirectory

MANY_EPOCHS, MANY_UPDATES, NEVER = "1000000", "1000000", "1000000"
CEILING = "recordings"
JUDGED = (("wer", "word error"), ("cer", "char. error"), ("dnsmos", "DNSMOS"), ("secs", "SECS"))


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("recordings", "Trains on recordings and judges held-out sentences after marks of minutes.")
    made.add_argument("--data", metavar="ROOT", type=Path, required=True, help="data root with the recordings")
    made.add_argument("--work", metavar="DIR", type=Path, required=True, help="folder for everything that is made")
    made.add_argument("--minutes", metavar="N", type=float, nargs="+", default=[10.0, 40.0], help="marks (10 40)")
    made.add_argument("--size", metavar="SIZE", default="tiny", help="model size (tiny)")
    made.add_argument("--level", metavar="LEVEL", default="enhanced", help="optimization level (enhanced)")
    made.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="any other setting")
    made.add_argument("--sentences", metavar="N", type=int, default=20, help="held-out sentences (20)")
    made.add_argument("--language", metavar="CODE", default=TextConfig().language, help="of rows that name none")
    made.add_argument("--prefer", choices=("best", "last"), default="last", help="which checkpoint speaks (last)")
    made.add_argument("--judge-python", metavar="FILE", help="Python that runs the judge")
    made.add_argument("--judge-script", metavar="FILE", type=Path, help="the judge")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    marks = sorted(given.minutes)
    _check(given, marks)
    given.work = given.work.resolve()  # commands run in the project's folder
    given.work.mkdir(parents=True, exist_ok=True)
    _same_work(given)
    screen = Screen()
    held = held_out.make_root(given.data, given.work, given.sentences, given.language, screen.progress)
    ceiling = given.work / "spoken" / CEILING
    if not (ceiling / "list.tsv").is_file():
        held_out.through_griffin_lim(held, ceiling, screen.progress)
    screen.close()
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C reaches the training too, which saves and ends by itself
    figures = [{"mark": CEILING, "judged": _judged(given, CEILING)}]
    for minutes in marks:
        mark = f"minutes-{minutes:g}"
        code = EXIT_DONE if _record(given, mark).is_file() else _train_and_speak(given, minutes, mark, screen)
        if code != EXIT_DONE:
            return code
        figures.append({**json.loads(_record(given, mark).read_text(encoding="utf-8")), "judged": _judged(given, mark)})
        _table(given, figures, None)
    _table(given, figures, given.json or given.work / "recordings.json")
    return EXIT_DONE


def _check(given: Namespace, marks: Sequence[float]) -> None:
    """Raises ConfigError for options that cannot be."""
    problems = []
    if (given.judge_python is None) != (given.judge_script is None):
        problems.append("--judge-python and --judge-script belong together; give both or none")
    if given.judge_script is not None and not given.judge_script.is_file():
        problems.append(f"--judge-script is {str(given.judge_script)!r}, which is no file; name the judge's script")
    if marks[0] <= 0:
        problems.append(f"--minutes has {marks[0]:g}, expected more than 0")
    if given.sentences < 1:
        problems.append(f"--sentences is {given.sentences}, expected at least 1")
    if problems:
        raise ConfigError(problems)


def _same_work(given: Namespace) -> None:
    """Raises ConfigError where the folder holds a measurement with other settings."""
    path = given.work / "settings.json"
    names = ("size", "level", "set", "sentences", "language", "prefer")
    own = {"data": str(given.data.resolve()), **{name: getattr(given, name) for name in names}}
    if path.is_file():
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored != own:
            other = ", ".join(
                f"{name} {stored.get(name)!r} (now {own[name]!r})" for name in own if stored.get(name) != own[name]
            )
            raise ConfigError(f"--work {str(given.work)!r} holds a measurement with {other}; take another folder")
    results.write_json(path, own)


def training_words(given: Namespace, minutes: float) -> list[str]:
    """The training command. Its only end is the time; the validations stay, and stop nothing."""
    root, run = str(given.work / "data"), str(given.work / "run")
    words = ["--train-data", root, "--val-data", root, "--model-size", given.size, "--optimization-level", given.level]
    words += ["--checkpoint-dir", run, "--epochs", MANY_EPOCHS, "--max-updates", MANY_UPDATES]
    settings = [f"training.early_stopping_validations={NEVER}", f"text.language={given.language}", *given.set]
    for setting in (*settings, f"training.max_minutes={minutes:g}"):
        words += ["--set", setting]
    return words


def _train_and_speak(given: Namespace, minutes: float, mark: str, screen: Screen) -> int:
    """Trains up to a mark, speaks, and writes the mark's record; the exit code of what failed, else 0."""
    run, spoken = given.work / "run", given.work / "spoken" / mark
    before = trained_minutes(run)
    if before > 1.02 * minutes + 0.5:
        raise DataError(
            f"{run} has trained {before:.1f} minutes already, so the mark of {minutes:g} cannot be made from it; "
            "take another --work"
        )
    code = _call([sys.executable, str(results.ROOT / "train_main.py"), *training_words(given, minutes)], screen)
    if code != EXIT_DONE:
        return code
    words = ["--checkpoint", str(run), "--list", str(given.work / "held_out.json"), "--out", str(spoken)]
    words += ["--prefer", given.prefer, "--json", str(spoken / "speech.json")]
    code = _call([sys.executable, "-m", "bench.speak_list", *words], screen)
    if code != EXIT_DONE:
        return code
    speech = json.loads((spoken / "speech.json").read_text(encoding="utf-8"))
    about = {"mark": mark, "minutes": trained_minutes(run), "speaking": speech["real_time_factor"], **training(run)}
    results.write_json(_record(given, mark), about)
    return EXIT_DONE


def _record(given: Namespace, mark: str) -> Path:
    path: Path = given.work / "marks" / f"{mark}.json"
    return path


def _judged(given: Namespace, mark: str) -> dict[str, float] | None:
    """What the judge says of a mark, asked once; None without a judge. Raises DataError where it fails."""
    path = given.work / "judged" / f"{mark}.json"
    if not path.is_file():
        if given.judge_script is None:
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
        ]
        code = subprocess.run(words, check=False).returncode
        if code != 0:
            raise DataError(f"the judge ended with exit code {code} on {list_path}; its own words stand above")
        temporary.replace(path)
    total: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))["total"]
    return total


def _call(words: list[str], screen: Screen) -> int:
    """Runs a command of this project in a process of its own and passes its output on."""
    screen.say("", f"$ {escaped(' '.join(words))}")
    code = subprocess.run(words, cwd=results.ROOT, check=False).returncode
    return code if code >= 0 else 128 - code


def trained_minutes(run: Path) -> float:
    """Minutes of training in the newest checkpoint, all resumptions together; 0 without one."""
    try:
        step = json.loads((RunDirectory(run).checkpoints_path / "last.json").read_text(encoding="utf-8"))["step"]
        state = json.loads((RunDirectory(run).checkpoints_path / step / "state.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return 0.0
    return float(state["position"]["trained_seconds"]) / 60.0


def training(run: Path) -> dict[str, Any]:
    """Updates, refused updates, frames a second, epochs, and the newest validation, by the run's journal."""
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


def _table(given: Namespace, figures: Sequence[dict[str, Any]], json_path: Path | None) -> None:
    heads = ("mark", "minutes", "updates", "epochs", "refused", "frames/s", "val. mel", "real-time f.")
    rows: list[tuple[str, ...]] = [(*heads, *(name for _, name in JUDGED))]
    for row in figures:
        judged = row["judged"] or {}
        about = [
            _cell(row.get("minutes"), ".1f"),
            *(_cell(row.get(key), "d") for key in ("updates", "epochs", "skipped")),
        ]
        about += [_cell(row.get("frames_per_second"), ",.0f"), _cell(row.get("validation", {}).get("mel"), ".3f")]
        about.append(_cell(row.get("speaking"), ".3f"))
        rows.append((row["mark"], *about, *(_cell(judged.get(key), ".3f") for key, _ in JUDGED)))
    title = f"{given.data.name}, size {given.size}, level {given.level}, {given.sentences} held-out sentences"
    settings = {
        "data": given.data.name,
        "size": given.size,
        "level": given.level,
        "set": given.set,
        "prefer": given.prefer,
    }
    results.show(title, rows, {"settings": settings, "marks": list(figures)}, json_path, heads=True)


def _cell(value: Any, form: str) -> str:
    return "-" if value is None else format(value, form)


if __name__ == "__main__":
    sys.exit(main())
