"""Weights of every size, counted on the built networks: by part and in total."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence

from bench import results
from myxtts.cli.runtime import quiet_loading
from myxtts.cli.screen import guarded
from myxtts.config.resolve import Given, Layer, Rank, resolve
from myxtts.config.schema import MODEL_SIZES
from myxtts.errors import EXIT_DONE

SPEAKERS, LANGUAGES = 10, 6


def main(argv: Sequence[str] | None = None) -> int:
    """Counts as `argv` says; returns the exit code."""
    made = results.parser("model_sizes", f"Weights of each model size with {SPEAKERS} speakers, {LANGUAGES} languages.")
    made.add_argument("--size", metavar="SIZE", action="append", default=[], help="a size (all four)")
    made.add_argument("--decoder", metavar="KIND", default="regression", help="regression or flow (regression)")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    counts = {size: counted(size, given.decoder) for size in given.size or MODEL_SIZES}
    parts = list(next(iter(counts.values())))
    rows = [("part", *counts)]
    rows += [(part, *(f"{count[part]:,}" for count in counts.values())) for part in parts]
    rows.append(("all", *(f"{sum(count.values()):,}" for count in counts.values())))
    title = f"Weights by part, decoder {given.decoder}"
    results.show(title, rows, {"decoder": given.decoder, "weights": counts}, given.json, heads=True)
    return EXIT_DONE


def counted(size: str, decoder: str) -> Counter[str]:
    """Part of the model -> number of its trainable weights."""
    import numpy as np

    with quiet_loading():
        from myxtts.models.build import build_voice_cloner
    from myxtts.audio.harmonics import harmonic_table
    from myxtts.text.symbols import default_table

    settings = (Given("model_size", size, "--size"), Given("model.decoder", decoder, "--decoder"))
    config = resolve([Layer(Rank.COMMAND_LINE, "bench", settings)]).config
    model = build_voice_cloner(
        config.model,
        channels=config.audio.mel_channels,
        symbols=len(default_table(config.text.symbols)),
        languages=LANGUAGES,
        speakers=SPEAKERS,
        harmonics=harmonic_table(config.audio, 5.0, 0.3),
    )
    counts: Counter[str] = Counter()
    for variable in model.trainable_variables:
        counts[variable.path.split("/")[1]] += int(np.prod(variable.shape))
    return counts


if __name__ == "__main__":
    sys.exit(main())
