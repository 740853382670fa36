"""Frames per CPU second of a whole training: this checkout against another one, in turn, and the validation after it.

Everything counts that the training's process does between two updates: making batches, the step, journals, the loop.
What happens once does not: start, graphs, the first updates. Both train on the same data with the same options and the
same seed.

To compare with an older commit: `git worktree add /tmp/before COMMIT`, then `--before /tmp/before`. Both run in the
environment of this one.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import results
from bench.startup import commit_of
from myxtts.cli.screen import guarded
from myxtts.errors import EXIT_DONE, ConfigError

WORKER = Path(__file__).parent / "workers" / "pace.py"
METRICS = ("total", "mel")
"""Metrics of the validation that are compared."""


@dataclass(frozen=True)
class Training:
    """What one training gave."""

    rate: float
    """Frames per CPU second."""
    validation: dict[str, float]


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("update_speed", "Frames per CPU second of a training, before and after, and its validation.")
    made.add_argument("--before", metavar="DIR", type=Path, required=True, help="another checkout of MyXTTS")
    made.add_argument("--data", metavar="ROOT", type=Path, required=True, help="recordings to train on")
    made.add_argument("--size", metavar="SIZE", default="tiny", help="model size (tiny)")
    made.add_argument("--precision", metavar="KIND", default="bf16", help="fp32 or bf16 (bf16)")
    made.add_argument("--warm-up", metavar="N", type=int, default=20, help="updates that are not counted (20)")
    made.add_argument("--updates", metavar="N", type=int, default=60, help="updates that are counted (60)")
    made.add_argument("--pairs", metavar="N", type=int, default=3, help="trainings of each (3)")
    made.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="any other setting")
    made.add_argument("--work", metavar="DIR", type=Path, help="folder for features and runs (one that is deleted)")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    counts = {"--warm-up": given.warm_up, "--updates": given.updates, "--pairs": given.pairs}
    if problems := [f"{name} is {count}, expected at least 1" for name, count in counts.items() if count < 1]:
        raise ConfigError(problems)
    checkouts = {"before": given.before.resolve(), "now": results.ROOT}
    found: dict[str, list[Training]] = {name: [] for name in checkouts}
    with tempfile.TemporaryDirectory(prefix="myxtts-speed-") as temporary:
        for number in range(given.pairs):
            for name, checkout in checkouts.items():
                found[name].append(trained(given, checkout, (given.work or Path(temporary)).resolve() / name))
                print(
                    f"pair {number + 1}, {name}: {found[name][-1].rate:,.0f} frames/CPU s", file=sys.stderr, flush=True
                )
    ratios = [now.rate / before.rate for before, now in zip(found["before"], found["now"], strict=True)]
    rows = [("checkout", "frames per CPU second (median)", "least", "most", *(f"validation, {m}" for m in METRICS))]
    for name, trainings in found.items():
        rates = [one.rate for one in trainings]
        speeds = (f"{rate:,.0f}" for rate in (statistics.median(rates), min(rates), max(rates)))
        losses = (f"{trainings[0].validation[m]:.4f}" for m in METRICS)
        rows.append((f"{name} ({commit_of(checkouts[name])})", *speeds, *losses))
    middle = statistics.median(ratios)
    figures = {name: [asdict(one) for one in trainings] for name, trainings in found.items()}
    title = f"Training, size {given.size}, {given.precision}, updates {given.warm_up + 1} to {_last(given)}"
    results.show(title, rows, {**figures, "now_over_before": middle}, given.json, heads=True)
    print(f"now / before: {middle:.3f} (median of {given.pairs} pairs, {min(ratios):.3f} to {max(ratios):.3f})")
    return EXIT_DONE


def _last(given: Namespace) -> int:
    total: int = given.warm_up + given.updates
    return total


def trained(given: Namespace, checkout: Path, folder: Path) -> Training:
    """The result of a training of the checkout, in a process of its own.

    Raises:
        ConfigError: it ended before all updates were done.
    """
    run, out = folder / "run", folder / "updates.json"
    shutil.rmtree(run, ignore_errors=True)
    out.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    settings = [f"model_size={given.size}", f"training.precision={given.precision}", "training.threads=1", *given.set]
    settings += [f"data.cache_path={folder / 'cache'}", f"training.max_updates={_last(given)}"]
    words = ["--train-data", str(given.data.resolve()), "--checkpoint-dir", str(run)]
    for setting in settings:
        words += ["--set", setting]
    results.write_json(folder / "options.json", {"out": str(out), "words": words})
    done = subprocess.run(
        [sys.executable, str(WORKER), str(folder / "options.json")],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    updates = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else []
    if done.returncode or len(updates) != _last(given):
        last = done.stderr.strip().rpartition("\n")[2]
        raise ConfigError(f"the training of {str(checkout)!r} ended after {len(updates)} updates: {last}")
    counted = updates[given.warm_up :]
    seconds = counted[-1][0] - updates[given.warm_up - 1][0]
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    metrics = [line["metrics"] for line in map(json.loads, lines) if line["kind"] == "validation"][-1]
    return Training(sum(frames for _, frames in counted) / seconds, {m: metrics[m] for m in METRICS})


if __name__ == "__main__":
    sys.exit(main())
