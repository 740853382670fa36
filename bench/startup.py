"""CPU time from the start of train_main.py to its first update: this checkout against another one, as a ratio.

Both train on the same data with the same options, alternating, so that other work on the machine affects both; the
result is the ratio. A first start of each, which is not counted, computes the features and fills the file cache.

To compare with an older commit: `git worktree add /tmp/before COMMIT`, then `--before /tmp/before`. Both run in the
environment of this one.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from bench import results
from myxtts.cli.screen import guarded
from myxtts.errors import EXIT_DONE, ConfigError


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("startup", "CPU seconds from the start of a training to its first update, before and after.")
    made.add_argument("--before", metavar="DIR", type=Path, required=True, help="another checkout of MyXTTS")
    made.add_argument("--data", metavar="ROOT", type=Path, required=True, help="recordings to train on")
    made.add_argument("--size", metavar="SIZE", default="tiny", help="model size (tiny)")
    made.add_argument("--pairs", metavar="N", type=int, default=3, help="counted starts of each (3)")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    checkouts = {"before": given.before.resolve(), "after": results.ROOT}
    spent: dict[str, list[float]] = {name: [] for name in checkouts}
    with tempfile.TemporaryDirectory(prefix="myxtts-startup-") as folder:
        for number in range(given.pairs + 1):
            for name, checkout in checkouts.items():
                seconds = start(checkout, given.data.resolve(), Path(folder) / name, given.size)
                if number:
                    spent[name].append(seconds)
    ratios = [after / before for before, after in zip(spent["before"], spent["after"], strict=True)]
    rows = [("checkout", "CPU seconds to the first update (median)", "least", "most")]
    for name, seconds_of in spent.items():
        median, least, most = statistics.median(seconds_of), min(seconds_of), max(seconds_of)
        rows.append((f"{name} ({commit_of(checkouts[name])})", f"{median:.1f}", f"{least:.1f}", f"{most:.1f}"))
    figures = {"size": given.size, "seconds": spent, "after_over_before": statistics.median(ratios)}
    results.show("Start of a training", rows, figures, given.json, heads=True)
    print(
        f"after / before: {statistics.median(ratios):.2f} (median of {given.pairs} pairs, {min(ratios):.2f} to "
        f"{max(ratios):.2f})"
    )
    return EXIT_DONE


def start(checkout: Path, data: Path, folder: Path, size: str) -> float:
    """CPU seconds from the start of train_main.py to the line of its first update; the process is then killed.

    CPU seconds of the process and of the processes it waited for, which other work on the machine hardly affects.

    Raises:
        ConfigError: it ended before.
    """
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    words = [sys.executable, "train_main.py", "--train-data", str(data), "--checkpoint-dir", str(run)]
    for setting in (f"model_size={size}", f"data.cache_path={folder / 'cache'}", "training.log_every_updates=1"):
        words += ["--set", setting]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    shown = []
    with subprocess.Popen(
        words, cwd=checkout, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            shown.append(line)
            if line.startswith("update 1 "):
                process.kill()
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                return usage.ru_utime + usage.ru_stime
    last = "".join(shown[-3:]).strip()
    raise ConfigError(f"train_main.py in {str(checkout)!r} ended before its first update: {last}")


def commit_of(checkout: Path) -> str:
    """The commit of a checkout, short; "no commit" outside of a repository."""
    words = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip() or "no commit"


if __name__ == "__main__":
    sys.exit(main())
