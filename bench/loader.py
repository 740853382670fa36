"""The loader alone: frames that one thread makes into batches per CPU second, and the padding of these batches.

What a first epoch does once (checksums of the feature files) is not counted, nor is the preparation of the data.
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Sequence

import numpy as np

from bench import results
from bench.stepping import add_options, prepared_with
from myxtts.batch import Batch
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE

AXES = {"text": "text_BT", "mel": "mel_BMC", "reference": "reference_BRC"}
"""The arrays whose padding is shown, by the name of their lengths."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("loader", "Frames a CPU second that the loader makes into batches, and their padding.")
    add_options(made, "enhanced")
    made.add_argument("--epochs", metavar="N", type=int, default=3, help="measured epochs; the fastest counts (3)")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    resolved, prepared = prepared_with(given, [], Screen())
    batches = prepared.training_batches(resolved.config)
    rates: list[float] = []
    padding: dict[str, float] = {}
    for epoch in range(given.epochs + 1):
        used: dict[str, list[tuple[int, int]]] = {name: [] for name in AXES}
        seconds, planned = 0.0, batches.plan(epoch)
        for one in planned:
            begun = time.process_time()
            batch = batches.build(one, epoch)
            seconds += time.process_time() - begun
            for name, places in used.items():
                places.append(_used(batch, name))
        frames = sum(filled for filled, _ in used["mel"])
        if epoch:
            rates.append(frames / seconds)
            padding = {name: 1.0 - np.divide(*np.sum(places, axis=0)) for name, places in used.items()}
    rows = [("frames a CPU second", f"{max(rates):,.0f}"), ("clips", f"{len(prepared.train):,}")]
    rows += [(f"padding, {name}", f"{share:.1%}") for name, share in padding.items()]
    figures = {
        "data": resolved.config.data.train_path,
        "frames_per_cpu_second": rates,
        "padding": padding,
        "clips": len(prepared.train),
    }
    title = f"The loader alone, size {resolved.config.model_size}, {resolved.config.training.batch_size} clips a batch"
    results.show(title, rows, figures, given.json, heads=False)
    return EXIT_DONE


def _used(batch: Batch, name: str) -> tuple[int, int]:
    """Places of an array that hold something, and all its places; rows without a clip do not count."""
    clips = batch["weight_B"] > 0
    return int(batch[f"{name}_length_B"][clips].sum()), int(clips.sum()) * batch[AXES[name]].shape[1]


if __name__ == "__main__":
    sys.exit(main())
