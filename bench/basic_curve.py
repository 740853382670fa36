"""The first updates of level basic: trains through train_stable.py, then draws the total loss and tells the signs.

The same command again goes on where it was stopped; a finished run is only read.
"""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np

from bench import results
from myxtts.cli.screen import Screen, guarded
from myxtts.config.schema import DataConfig
from myxtts.errors import EXIT_DONE, DataError, StorageError
from myxtts.health import Health, Verdict
from myxtts.health.signs import SEVERITY
from myxtts.messages import escaped
from myxtts.report.scales import Floats, label, linear_ticks, smooth
from myxtts.run_health import Update, Validated, read_measure, replay
from myxtts.storage.journal import read_metrics
from myxtts.storage.run_directory import RunDirectory

UPDATES = 2_050
MEAN_UPDATES = 25
FIGURE = results.ROOT / "docs" / "figures" / "basic_curve.svg"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 820, 420, 60, 20, 46, 46


@dataclass
class Curve:
    """What the journal of a run says, update by update, and how its health stood at the end."""

    updates: list[int] = field(default_factory=list)
    totals: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    validations: list[tuple[int, float]] = field(default_factory=list)
    skipped: int = 0
    health: Health = field(default_factory=Health)
    worst: Verdict | None = None
    """The worst verdict at any log interval, the newest of equals."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("basic_curve", "Trains at level basic and draws the total loss by update.")
    made.add_argument("--data", metavar="ROOT", type=Path, help="data root (the built-in corpus)")
    made.add_argument("--checkpoint-dir", metavar="DIR", type=Path, required=True, help="run directory")
    made.add_argument("--updates", metavar="N", type=int, default=UPDATES, help=f"updates ({UPDATES})")
    made.add_argument("--size", metavar="SIZE", default="tiny", help="model size (tiny)")
    made.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="any other setting")
    made.add_argument("--figure", metavar="FILE.svg", type=Path, default=FIGURE, help="where to draw (docs/figures)")
    made.add_argument("--only-draw", action="store_true", help="train nothing, read the run that is there")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    screen = Screen()
    run = given.checkpoint_dir.resolve()
    if not given.only_draw:
        words = [sys.executable, str(results.ROOT / "train_stable.py"), *training_words(given, run, screen)]
        screen.say(f"$ {escaped(' '.join(words))}")
        signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C reaches the training too, which saves and ends by itself
        code = subprocess.run(words, cwd=results.ROOT, check=False).returncode
        if code != EXIT_DONE:
            return code if code >= 0 else 128 - code
    curve = read(run)
    if not curve.updates:
        raise DataError(f"{RunDirectory(run).metrics_path} holds no update; train first, without --only-draw")
    name = given.data.name if given.data else "built-in corpus"
    _write(given.figure, drawn(curve, f"Level basic, size {given.size}, {name}: total loss by update"))
    rows, points = table(curve)
    figures = {
        "data": name,
        "size": given.size,
        "set": given.set,
        "skipped": curve.skipped,
        "points": points,
        "health": [f"{check.name}: {check.sign}: {check.sentence}" for check in curve.health.verdict().checks],
        "worst_sign": curve.worst.sign if curve.worst else "healthy",
    }
    results.show(f"Level basic, size {given.size}, {name}", rows, figures, given.json, heads=True)
    screen.say("", f"updates refused: {curve.skipped}", "signs of health at the end:")
    screen.table([(check.sign, check.sentence) for check in curve.health.verdict().checks])
    if curve.worst is not None and curve.worst.sign != "healthy":
        screen.say("the worst that the signs said on the way:", *(f"  {reason}" for reason in curve.worst.reasons))
    screen.say(f"figure: {given.figure}")
    return EXIT_DONE


def training_words(given: Namespace, run: Path, screen: Screen) -> list[str]:
    """The options of train_stable.py; epochs never end the run, its updates do."""
    from myxtts.demo import corpus as demo_corpus

    root = given.data or demo_corpus.ensure(Path(DataConfig().cache_path).expanduser(), screen.progress)
    screen.close()
    words = ["--train-data", str(Path(root).resolve()), "--val-data", str(Path(root).resolve())]
    words += ["--checkpoint-dir", str(run), "--model-size", given.size]
    words += ["--epochs", "1000000", "--max-updates", str(given.updates)]
    for setting in given.set:
        words += ["--set", setting]
    return words


def read(run: Path) -> Curve:
    """The curve of a run; its health is the shared replay of its journal. Raises StorageError."""
    curve = Curve()
    records = read_metrics(RunDirectory(run).metrics_path)
    curve.health = replay(records, read_measure(run), lambda line, health: _take(curve, line, health))
    return curve


def _take(curve: Curve, line: Update | Validated, health: Health) -> None:
    if isinstance(line, Validated):
        if math.isfinite(total := line.metrics.get("total", math.nan)):
            curve.validations.append((line.update, total))
        return
    curve.skipped += line.refused
    if line.loss is None or line.grad_norm is None:
        return
    curve.updates.append(line.update)
    curve.totals.append(line.loss)
    curve.norms.append(line.grad_norm)
    if line.update % MEAN_UPDATES == 0:
        verdict = health.verdict()
        if verdict.sign != "early" and (curve.worst is None or SEVERITY[verdict.sign] >= SEVERITY[curve.worst.sign]):
            curve.worst = verdict


def table(curve: Curve) -> tuple[list[tuple[str, ...]], list[dict[str, float]]]:
    """Rows for the screen, and the same as figures.

    The first update alone, then means over the updates before a few marks of the run, with how many they are.
    """
    first, last = curve.updates[0], curve.updates[-1]
    marks = sorted({first, *(mark for mark in (MEAN_UPDATES, *range(250, last, 250)) if first < mark < last), last})
    updates, totals, norms = (
        np.array(values, dtype=np.float64) for values in (curve.updates, curve.totals, curve.norms)
    )
    validations = dict(curve.validations)
    rows: list[tuple[str, ...]] = [("update", "total", "mean of", "gradient norm", "validation total")]
    points: list[dict[str, float]] = []
    for mark in marks:
        newest = np.flatnonzero(updates <= mark)[-MEAN_UPDATES:]
        total, norm = float(totals[newest].mean()), float(norms[newest].mean())
        points.append({"update": mark, "total": total, "updates": len(newest), "grad_norm": norm})
        held = ""
        if mark in validations:
            points[-1]["validation_total"] = validations[mark]
            held = f"{validations[mark]:.3f}"
        rows.append((str(mark), f"{total:.3f}", str(len(newest)), f"{norm:.2f}", held))
    return rows, points


def drawn(curve: Curve, title: str) -> str:
    """The chart as SVG: each update, their moving mean, the validations."""
    x, y = np.array(curve.updates, dtype=np.float64), np.array(curve.totals, dtype=np.float64)
    held = np.array(curve.validations, dtype=np.float64).reshape(-1, 2)
    high = float(max(y.max(initial=0.0), held[:, 1].max(initial=0.0))) * 1.05
    last = float(x[-1])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="14" fill="#222222">{escape(title)}</text>',
        f'<text x="{LEFT}" y="36" fill="#666666">{len(x)} updates, {curve.skipped} refused; thin: each update, '
        f"thick: mean of {MEAN_UPDATES}, dots: validation</text>",
    ]
    for tick in linear_ticks(0.0, high, 6):
        at = _down(tick, high)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#e0e0e0"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end" fill="#444444">{label(tick)}</text>')
    for tick in linear_ticks(0.0, last, 8):
        at = _along(tick, last)
        parts.append(
            f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#444444">{label(tick)}</text>'
        )
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end" fill="#444444">update</text>')
    parts.append(_path(x, y, last, high, 'stroke="#9cc3e6" stroke-width="0.7"'))
    parts.append(_path(x, smooth(y, MEAN_UPDATES), last, high, 'stroke="#1f5f99" stroke-width="2"'))
    for update, total in held:
        parts.append(f'<circle cx="{_along(update, last):.1f}" cy="{_down(total, high):.1f}" r="4" fill="#c0562b"/>')
    return "\n".join([*parts, "</svg>", ""])


def _along(update: float, last: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * update / last


def _down(value: float, high: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / high


def _path(x: Floats, y: Floats, last: float, high: float, style: str) -> str:
    points = " ".join(
        f"{_along(a, last):.1f},{_down(b, high):.1f}" for a, b in zip(x, y, strict=True) if np.isfinite(b)
    )
    return f'<polyline fill="none" {style} points="{points}"/>'


def _write(path: Path, content: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}; choose another place with --figure") from error


if __name__ == "__main__":
    sys.exit(main())
