"""Peak memory and time of an update by model size, batch and gradient checkpointing, each in a process of its own.

The batches are synthetic: clips of one length. The peak is that of the whole process, with TensorFlow, both models, the
moments and the graphs; the time is processor time of one process, of an update after the first one.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import results
from bench.stepping import made_step, resolved_with
from myxtts.cli.runtime import quiet_loading
from myxtts.cli.screen import guarded
from myxtts.config.schema import MODEL_SIZES
from myxtts.errors import EXIT_DONE, ConfigError

RECOMPUTE = {"off": ["false"], "on": ["true"], "both": ["false", "true"]}
GIGABYTE = 1e9


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("memory", "Peak memory and time of an update by size, batch and gradient checkpointing.")
    made.add_argument("--size", metavar="SIZE", nargs="+", default=MODEL_SIZES, help="model sizes (all four)")
    made.add_argument("--batch", metavar="N", type=int, nargs="+", default=[1, 4, 8, 16], help="clips (1 4 8 16)")
    made.add_argument("--recompute", choices=tuple(RECOMPUTE), default="both", help="training.recompute (both)")
    made.add_argument("--frames", metavar="N", type=int, default=544, help="mel frames of a clip (544: 6.3 s)")
    made.add_argument("--tokens", metavar="N", type=int, default=192, help="tokens of a clip (192)")
    made.add_argument("--level", metavar="LEVEL", default="enhanced", help="optimization level (enhanced)")
    made.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="any other setting")
    made.add_argument("--updates", metavar="N", type=int, default=3, help="timed updates after the first (3)")
    made.add_argument("--measure", metavar="FILE", type=Path, help="only one measurement, in this process, into FILE")
    given = made.parse_args(argv)
    return guarded(lambda: _measure(given) if given.measure else _run(given))


def _run(given: Namespace) -> int:
    rows = [("size", "clips", "recompute", "peak memory", "before the first update", "update", "micro-batch alone")]
    found: list[dict[str, Any]] = []
    for size in given.size:
        for batch in given.batch:
            for recompute in RECOMPUTE[given.recompute]:
                one = _in_a_process(given, size, batch, recompute)
                found.append(one)
                peak, base = one["peak_bytes"] / GIGABYTE, one["base_bytes"] / GIGABYTE
                row = (size, str(batch), "on" if one["recompute"] else "off", f"{peak:.2f} GB", f"{base:.2f} GB")
                rows.append((*row, f"{one['update']:.2f} s", f"{one['micro']:.2f} s"))
                print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    title = f"Peak memory, level {given.level}, clips of {given.frames} frames and {given.tokens} tokens"
    results.show(title, rows, {"settings": given.set, "level": given.level, "found": found}, given.json, heads=True)
    return EXIT_DONE


def _in_a_process(given: Namespace, size: str, batch: int, recompute: str) -> dict[str, Any]:
    """The figures of one measurement, made in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        words = [sys.executable, "-m", "bench.memory", "--measure", str(out), "--size", size, "--batch", str(batch)]
        words += ["--frames", str(given.frames), "--tokens", str(given.tokens), "--level", given.level]
        words += ["--updates", str(given.updates)]
        for setting in (*given.set, f"training.recompute={recompute}", f"training.batch_size={batch}"):
            words += ["--set", setting]
        if code := subprocess.run(words, check=False).returncode:
            raise ConfigError(f"size {size} with {batch} clips ended with code {code}: lower --batch or --frames")
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return found


def _measure(given: Namespace) -> int:
    """One measurement in this process."""
    [given.size], [rows] = given.size, given.batch
    config = resolved_with(given, ".", []).config
    with quiet_loading():
        from myxtts.training.gpu import prepare_tensorflow
    prepare_tensorflow(config.training)
    step, batch_of = made_step(config, given.tokens, given.frames)
    batch, accumulation = batch_of(rows), config.training.grad_accum
    base = _peak()
    micro, update = [], []
    for number in range(given.updates + 1):
        begun = time.process_time()
        for part in range(accumulation):
            result = step.micro(batch, seed=(1, number * accumulation + part), prior_strength=0.5)
        between = time.process_time()
        norm = step.update(1e-4).grad_norm
        micro.append((between - begun) / accumulation)
        update.append(time.process_time() - begun)
    figures = {
        "size": config.model_size,
        "clips": rows,
        "recompute": config.training.recompute,
        "precision": config.training.precision,
        "peak_bytes": _peak(),
        "base_bytes": base,
        "micro": statistics.median(micro[1:]),
        "update": statistics.median(update[1:]),
        "loss": float(result.total_B.mean()),
        "grad_norm": norm,
    }
    results.write_json(given.measure, figures)
    return EXIT_DONE


def _peak() -> int:
    """Most memory that this process has held so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main())
