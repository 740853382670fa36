"""Cost of an update: the fused AdamW of MyXTTS against keras.optimizers.AdamW, on the weights of a size.

Both run in one process with alternating rounds, so that other work on the machine affects both; the result is the
ratio.
"""

from __future__ import annotations

import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any

from bench import results
from myxtts.cli.runtime import quiet_loading
from myxtts.cli.screen import guarded
from myxtts.config.resolve import Given, Layer, Rank, resolve
from myxtts.errors import EXIT_DONE

RATE = 1e-4


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("optimizer_cost", "Time of an update: AdamW of MyXTTS against AdamW of Keras.")
    made.add_argument("--size", metavar="SIZE", default="tiny", help="model size (tiny)")
    made.add_argument("--rounds", metavar="N", type=int, default=15, help="rounds of each (15)")
    made.add_argument("--steps", metavar="N", type=int, default=10, help="updates of a round (10)")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    steppers, weights = _steppers(given.size)
    spent: dict[str, list[float]] = {name: [] for name in steppers}
    for step in steppers.values():
        for _ in range(3):
            step()
    for _ in range(given.rounds):
        for name, step in steppers.items():
            begun = time.perf_counter()
            for _ in range(given.steps):
                step()
            spent[name].append((time.perf_counter() - begun) / given.steps * 1e3)
    own, kerass = (statistics.median(spent[name]) for name in ("myxtts", "keras"))
    ratio = statistics.median(k / m for k, m in zip(spent["keras"], spent["myxtts"], strict=True))
    rows = [("optimizer", "ms an update (median)", "least", "most")]
    for name, median in (("myxtts", own), ("keras", kerass)):
        rows.append((name, f"{median:.2f}", f"{min(spent[name]):.2f}", f"{max(spent[name]):.2f}"))
    figures = {"size": given.size, "weights": weights, "ms": spent, "keras_over_myxtts": ratio}
    title = f"AdamW on size {given.size}, {weights / 1e6:.1f} million weights"
    results.show(title, rows, figures, given.json, heads=True)
    print(f"Keras takes {ratio:.2f} times as long (median of {given.rounds} pairs)")
    return EXIT_DONE


def _steppers(size: str) -> tuple[dict[str, Callable[[], Any]], int]:
    """Name -> a compiled update on weights of its own; and how many numbers these are."""
    import numpy as np

    with quiet_loading():
        import keras
        import tensorflow as tf

    from myxtts.audio.harmonics import harmonic_table
    from myxtts.models.build import build_voice_cloner
    from myxtts.text.symbols import default_table
    from myxtts.training import optimizers

    layer = Layer(Rank.COMMAND_LINE, "bench", (Given("model_size", size, "command line --size"),))
    config = resolve([layer]).config
    settings = config.optimizer

    def weights() -> list[keras.Variable]:
        table = default_table(config.text.symbols)
        channels = config.audio.mel_channels
        model = build_voice_cloner(
            config.model,
            channels=channels,
            symbols=len(table),
            languages=2,
            speakers=10,
            harmonics=harmonic_table(config.audio, 5.0, 0.3),
        )
        found: list[keras.Variable] = model.trainable_variables
        return found

    ours, theirs = weights(), weights()
    random = np.random.default_rng(1)
    gradients = [tf.constant(1e-3 * random.standard_normal(w.shape), tf.float32) for w in ours]
    fused = optimizers.make(settings, ours)
    composed = keras.optimizers.AdamW(
        learning_rate=RATE,
        weight_decay=settings.weight_decay,
        beta_1=settings.beta_1,
        beta_2=settings.beta_2,
        epsilon=settings.epsilon,
    )
    composed.exclude_from_weight_decay(var_names=list(optimizers.UNDECAYED))
    composed.build(theirs)
    rate = tf.constant(RATE)
    steps = {
        "myxtts": tf.function(lambda: fused.apply(gradients, rate)),
        "keras": tf.function(lambda: composed.apply(gradients, theirs)),
    }
    return steps, sum(int(np.prod(w.shape)) for w in ours)


if __name__ == "__main__":
    sys.exit(main())
