"""What a setting costs in time: an update without it and with it in turn on the same batches, as a ratio in one run."""

from __future__ import annotations

import statistics
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import results
from bench.stepping import add_options, resolved_with, timed, windows
from myxtts.cli.quiet import quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.demo import corpus as demo_corpus
from myxtts.errors import EXIT_DONE, ConfigError

RATE = 1e-6
WARM_UP = 3
"""Updates that are not counted: graphs and the first batches of a shape."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("setting_cost", "Time of an update with other settings against that without them.")
    add_options(made, "enhanced")
    made.add_argument("--other", metavar="KEY=VALUE", action="append", default=[], help="of the other alone")
    made.add_argument("--pairs", metavar="N", type=int, default=30, help="updates of each (30)")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    from myxtts.config.schema import DataConfig
    from myxtts.data.prepare import prepare

    if given.pairs < 1 or not given.other:
        raise ConfigError(["--other names what is to be compared, and --pairs is at least 1"])
    screen = Screen()
    root = given.data or str(demo_corpus.ensure(Path(DataConfig().cache_path).expanduser(), screen.progress))
    first, other = resolved_with(given, root, []), resolved_with(given, root, given.other)
    prepared = prepare(first.config, screen.progress, named=first.named)
    with quiet_loading():
        from myxtts.training.run import prepare_tensorflow
        from myxtts.training.schedule import prior_strength
        from myxtts.training.trainer import Trainer
    prepare_tensorflow(first.config.training.threads)
    steps = [Trainer(one.config, prepared.corpus, len(prepared.train)).step for one in (first, other)]

    def update(which: int) -> Callable[[Sequence[Mapping[str, object]], int], None]:
        def call(window: Sequence[Mapping[str, object]], number: int) -> None:
            prior = prior_strength(number, first.config.schedule)
            for batch in window:
                steps[which].micro(batch, seed=(1, number), prior_strength=prior)
            steps[which].update(RATE)

        return call

    calls = update(0), update(1)
    spent: list[tuple[float, float]] = []
    for pair, window in zip(range(given.pairs + WARM_UP), windows(prepared, first.config), strict=False):
        order = (0, 1) if pair % 2 else (1, 0)
        taken = {which: timed(calls[which], window, pair + 1) for which in order}
        if pair >= WARM_UP:
            spent.append((taken[0], taken[1]))
        screen.progress("pairs of updates", pair + 1, given.pairs + WARM_UP)
    screen.close()
    ratios = sorted(second / one for one, second in spent)
    names = ("as the level says", " ".join(given.other))
    rows: list[tuple[str, ...]] = [("settings", "ms an update (median)", "least", "most")]
    for name, times in zip(names, zip(*spent, strict=True), strict=True):
        rows.append((name, *(f"{1e3 * value:.0f}" for value in (statistics.median(times), min(times), max(times)))))
    figures = {"size": given.size, "level": given.level, "set": given.set, "other": given.other, "seconds": spent}
    results.show(f"Cost: size {given.size}, level {given.level}", rows, figures, given.json, heads=True)
    quarter, middle, last = (ratios[int(share * (len(ratios) - 1))] for share in (0.25, 0.5, 0.75))
    spread = f"median of {len(ratios)} pairs, quartiles {quarter:.3f} and {last:.3f}"
    print(f"the other takes {middle:.3f} times as long ({spread})")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
