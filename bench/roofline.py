"""The share of the matrix peak that a whole update and its parts reach on one thread, here and in other checkouts.

The peak is that of a large matrix product in the same process, in fp32 and in bf16. The operations of an update are
those of its matrix products and convolutions, forward and backward, by the shapes of the batches; everything else
counts as time only. The time of an update is CPU time, with all that Python does for it; that of its parts is the time
of TensorFlow's kernels.

To compare with an older commit: `git worktree add /tmp/before COMMIT`, then `--before /tmp/before`. Both run in the
environment of this one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import results
from bench.startup import commit_of
from myxtts.cli.screen import guarded
from myxtts.errors import EXIT_DONE, ConfigError

WORKER = Path(__file__).parent / "workers" / "update_parts.py"
REST = "between kernels"
Figures = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("roofline", "The share of the matrix peak that an update and its parts reach on one thread.")
    made.add_argument("--data", metavar="ROOT", type=Path, required=True, help="recordings to train on")
    made.add_argument("--before", metavar="DIR", type=Path, help="another checkout of MyXTTS, measured in turn")
    made.add_argument("--size", metavar="SIZE", default="tiny", help="model size (tiny)")
    made.add_argument("--precision", metavar="KIND", nargs="+", default=["fp32", "bf16"], help="fp32, bf16 (both)")
    made.add_argument("--critic", action="store_true", help="train the critic from the first update")
    made.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="any other setting")
    made.add_argument("--warm-up", metavar="N", type=int, default=2, help="updates before the first measured one (2)")
    made.add_argument("--windows", metavar="N", type=int, default=3, help="measured updates, batches of their own (3)")
    made.add_argument("--repeats", metavar="N", type=int, default=5, help="timed repetitions of each (5)")
    made.add_argument("--cache", metavar="DIR", type=Path, help="feature cache to keep (one that is deleted)")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    checkouts = {"before": given.before.resolve()} if given.before else {}
    checkouts["now"] = results.ROOT
    found: list[Figures] = []
    with tempfile.TemporaryDirectory(prefix="myxtts-roofline-") as folder:
        for precision in given.precision:
            for name, checkout in checkouts.items():
                one = measured(given, checkout, precision, Path(folder) / name)
                found.append({"checkout": name, "commit": commit_of(checkout), "precision": precision, **one})
    heads = ("checkout", "precision", "frames/CPU s", "CPU ms", "10^9 operations", "10^9 operations/s", "of the peak")
    rows: list[tuple[str, ...]] = [heads, *(_row(one) for one in found)]
    title = f"An update, size {given.size}, {'with' if given.critic else 'before the'} critic, one thread"
    results.show(title, rows, {"size": given.size, "settings": given.set, "found": found}, given.json, heads=True)
    print()
    heads = ("checkout", "precision", "part", "of the time", "of the operations", "10^9 operations/s", "of the peak")
    rows = [heads, *(row for one in found for row in _parts(one))]
    results.show("Parts of an update", rows, {}, None, heads=True)
    for one in found:
        tops = ", ".join(f"{kind} {top / 1e9:,.0f}" for kind, top in one["peaks"].items())
        print(f"peak of {one['checkout']}, {one['precision']}: {tops} x 10^9 operations/s")
    return EXIT_DONE


def measured(given: Namespace, checkout: Path, precision: str, folder: Path) -> Figures:
    """The figures of a checkout, from a process of its own.

    Raises:
        ConfigError: it ended without figures.
    """
    folder.mkdir(exist_ok=True)
    settings = [f"model_size={given.size}", f"training.precision={precision}", "training.threads=1", *given.set]
    settings += [f"data.cache_path={given.cache.resolve() if given.cache else folder / 'cache'}"]
    if given.critic:
        settings += ["schedule.adversarial_start_updates=0", "schedule.adversarial_ramp_updates=0"]
    words = ["--train-data", str(given.data.resolve()), "--checkpoint-dir", str(folder / f"run-{precision}")]
    for setting in settings:
        words += ["--set", setting]
    out, options = folder / "found.json", folder / "options.json"
    out.unlink(missing_ok=True)
    request = {"out": str(out), "words": words, "warm_up": given.warm_up}
    results.write_json(options, {**request, "windows": given.windows, "repeats": given.repeats})
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(WORKER), str(options)],
        cwd=checkout,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if not out.is_file():
        last = done.stderr.strip().rpartition("\n")[2]
        raise ConfigError(f"the training of {str(checkout)!r} ended before it was measured: {last}")
    found: Figures = json.loads(out.read_text(encoding="utf-8"))
    return found


def _sums(windows: Sequence[Mapping[str, Any]], key: str) -> dict[str, float]:
    """A table of figures by part, added up over the windows."""
    parts = dict.fromkeys(part for window in windows for part in window[key])
    return {part: sum(window[key].get(part, 0.0) for window in windows) for part in parts}


def _row(one: Figures) -> tuple[str, ...]:
    windows = one["windows"]
    seconds = sum(window["seconds"] for window in windows)
    operations = sum(_sums(windows, "operations").values())
    rate, count = operations / seconds, len(windows)
    return (
        one["checkout"],
        one["precision"],
        f"{sum(window['frames'] for window in windows) / seconds:,.0f}",
        f"{1e3 * seconds / count:,.0f}",
        f"{operations / count / 1e9:,.1f}",
        f"{rate / 1e9:,.1f}",
        f"{rate / one['peaks'][one['precision']]:.1%}",
    )


def _parts(one: Figures) -> list[tuple[str, ...]]:
    """Rows of the parts, those that take the most time first, and of what is between kernels."""
    windows, top = one["windows"], one["peaks"][one["precision"]]
    seconds, operations = _sums(windows, "kernel_seconds"), _sums(windows, "operations")
    everything, total = sum(window["seconds"] for window in windows), sum(operations.values())
    rows = []
    for part, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        rate = operations.get(part, 0.0) / spent
        share = f"{operations.get(part, 0.0) / total:.1%}"
        figures = (share, f"{rate / 1e9:,.1f}", f"{rate / top:.1%}") if rate else ("", "", "")
        rows.append((one["checkout"], one["precision"], part, f"{spent / everything:.1%}", *figures))
    left = everything - sum(seconds.values())
    return [*rows, (one["checkout"], one["precision"], REST, f"{left / everything:.1%}", "", "", "")]


if __name__ == "__main__":
    sys.exit(main())
