"""The cost of safety, as ratios within one run: the guard in the step, the ladder in the loop, hot checkpoints.

The step with its guard and one without alternate on the same batches, in alternating order; the result is the median of
the ratios. Then the program's own loop trains for some updates in a temporary folder, with a clock around what the
ladder, the fail points and the journal do for an update, and around every save; a save is compared with the hot
interval of the settings, and with the updates from one candidate of the ladder to the next."""

from __future__ import annotations

import itertools
import statistics
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from bench import results
from bench.stepping import add_options, prepared_with, resolved_with, timed, windows
from myxtts.cli.runtime import quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE

if TYPE_CHECKING:
    from myxtts.config.resolve import Resolved
    from myxtts.data.prepare import PreparedData

MOST_GUARD, MOST_SAVES = 0.01, 0.02
RATE = 1e-6
NEVER = 1_000_000
WARM_UP = 3
"""Updates that are not counted: graphs and the first batches of a shape."""
SAVE_EVERY = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("safety_cost", "The guard, the ladder and hot checkpoints as shares of the training's time.")
    add_options(made, "basic")
    made.add_argument("--pairs", metavar="N", type=int, default=30, help="updates with and without the guard (30)")
    made.add_argument("--updates", metavar="N", type=int, default=40, help="updates of the program's loop (40)")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    screen = Screen()
    resolved, prepared = prepared_with(given, [], screen)
    with quiet_loading():
        from myxtts.training.gpu import prepare_tensorflow
    prepare_tensorflow(resolved.config.training)
    pairs = guard_pairs(resolved, prepared, given.pairs, screen)
    own, saves = loop_times(given, resolved.config.data.train_path, prepared, screen)
    screen.close()
    found = figures(resolved, pairs, own, saves)
    title = f"Safety: size {given.size}, level {given.level}, {resolved.config.effective_batch} clips an update"
    results.show(
        title, rows(found), {"figures": found, "pairs": pairs, "loop": own, "saves": saves}, given.json, heads=True
    )
    return EXIT_DONE


# --- the step with and without its guard


def guard_pairs(resolved: Resolved, prepared: PreparedData, count: int, screen: Screen) -> list[tuple[float, float]]:
    """Seconds of an update with and without the guard, in pairs on the same batches."""
    from bench.plain_step import PlainStep
    from myxtts.training.trainer import Trainer

    config = resolved.config
    guarded_step = Trainer(config, prepared.corpus).step
    other = Trainer(config, prepared.corpus)
    plain = PlainStep(other.model, other.average, config)
    numbers = itertools.count(1)

    def with_guard(window: Sequence[Mapping[str, object]], number: int) -> None:
        for batch in window:
            guarded_step.micro(batch, seed=(1, number), prior_strength=0.5)
        guarded_step.update(RATE)

    def without(window: Sequence[Mapping[str, object]], number: int) -> None:
        for batch in window:
            plain.micro(batch, (1, number), 0.5)
        plain.update(RATE)

    pairs = []
    for pair, window in zip(range(count + WARM_UP), windows(prepared, config), strict=False):
        order: list[Callable[..., None]] = [with_guard, without] if pair % 2 else [without, with_guard]
        number = next(numbers)
        taken = {step: timed(step, window, number) for step in order}
        if pair >= WARM_UP:
            pairs.append((taken[with_guard], taken[without]))
        screen.progress("pairs of updates", pair + 1, count + WARM_UP)
    return pairs


# --- the loop of the program


class Clock:
    """Time spent in some functions during an update."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}

    @contextmanager
    def around(self, name: str, owner: Any, *functions: str) -> Iterator[None]:
        """Time these functions of a class or module under one name."""
        with ExitStack() as stack:
            for function in functions:
                stack.enter_context(mock.patch.object(owner, function, self._clocked(name, getattr(owner, function))))
            yield

    def _clocked(self, name: str, really: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            begun = time.perf_counter()
            try:
                return really(*args, **more)
            finally:
                self.spent.setdefault(name, []).append(time.perf_counter() - begun)

        return call


class _Silent:
    """A screen for the run that is measured."""

    def __init__(self, screen: Screen, updates: int) -> None:
        self._screen, self._updates = screen, updates

    def say(self, *lines: str) -> None:
        """Nothing."""

    def warn(self, *lines: str) -> None:
        """Warnings are shown."""
        self._screen.warn(*lines)

    def training(self, done: int, total: int, figures: Mapping[str, str], line: bool = False) -> None:
        """An update."""
        self._screen.progress("updates of the loop", done, self._updates)

    def progress(self, task: str, done: int, total: int) -> None:
        """Of a validation."""


def loop_times(
    given: Namespace, root: str, prepared: PreparedData, screen: Screen
) -> tuple[dict[str, list[float]], list[float]]:
    """Seconds by function, one value for each call, "update" for each update; and seconds of each hot save."""
    from myxtts.health.tracker import Health
    from myxtts.training import checkpointing, loop, run, run_context
    from myxtts.training.recovery import faults as step_faults
    from myxtts.training.recovery import ladder

    updates, clock = given.updates + WARM_UP, Clock()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="myxtts-safety-"))
        quiet = [f"training.checkpoint_dir={folder}/run", f"training.max_updates={updates}"]
        quiet += [f"training.candidate_every_updates={SAVE_EVERY}", f"training.validation_every_updates={NEVER}"]
        resolved = resolved_with(given, root, quiet)
        for name, owner, functions in (
            ("ladder", ladder.Ladder, ("observe", "climb_if_needed")),
            ("journal", run_context.RetryingJournal, ("write",)),
            ("health", Health, ("observe",)),
            ("fail points", step_faults, ("term_factors", "gradient_factors", "micro_batch_factors", "poison_weights")),
            ("update", loop.Loop, ("one_update",)),
            ("save", checkpointing.Saver, ("save",)),
        ):
            stack.enter_context(clock.around(name, owner, *functions))
        run.train(resolved, prepared, fresh=False, init_from=None, command="", screen=_Silent(screen, updates))
    saves = clock.spent.pop("save")
    return clock.spent, saves[2:-1]  # without that of the start, the first with its directories, and that of the end


# --- figures


def figures(
    resolved: Resolved, pairs: Sequence[tuple[float, float]], own: Mapping[str, Sequence[float]], saves: Sequence[float]
) -> dict[str, Any]:
    """Shares of the time of an update, or of all time."""
    training = resolved.config.training
    update = statistics.median(own["update"][WARM_UP:])
    count = len(own["update"])
    ratios = [a / b for a, b in pairs]
    save = statistics.median(saves)
    hot = save / training.hot_checkpoint_seconds
    candidates = save / (training.candidate_every_updates * update)
    # sums, not medians: the journal is flushed once in many lines; without the start, whose graphs are no loop
    parts = {name: sum(own[name]) / count / update for name in own if name != "update"}
    return {
        "guard_over_plain": statistics.median(ratios),
        "guard_quartiles": statistics.quantiles(ratios, n=4),
        "update_seconds": update,
        "loop_shares": parts,
        "save_seconds": save,
        "hot_share": hot,
        "candidate_share": candidates,
        "saves_share": hot + candidates,
        "hot_seconds": training.hot_checkpoint_seconds,
        "candidate_every_updates": training.candidate_every_updates,
    }


def rows(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The figures for the screen."""
    low, _, high = found["guard_quartiles"]
    loop = found["loop_shares"]
    guard = found["guard_over_plain"] - 1.0
    return [
        ("what", "share", "of what"),
        (
            "guard in the step",
            f"{guard:+.2%}",
            f"a step without it; at most {MOST_GUARD:.0%}; {_met(guard, MOST_GUARD)}",
        ),
        ("  quartiles of the pairs", f"{low - 1:+.2%} to {high - 1:+.2%}", ""),
        *((f"{name} in the loop", f"{share:.3%}", "an update") for name, share in loop.items()),
        ("all of these in the loop", f"{sum(loop.values()):.3%}", f"an update of {found['update_seconds']:.2f} s"),
        (
            "hot saves",
            f"{found['hot_share']:.2%}",
            f"wall time: {found['save_seconds']:.2f} s every {found['hot_seconds']:g} s",
        ),
        (
            "saves of candidates",
            f"{found['candidate_share']:.2%}",
            f"wall time: every {found['candidate_every_updates']} updates",
        ),
        (
            "all saves",
            f"{found['saves_share']:.2%}",
            f"at most {MOST_SAVES:.0%}; {_met(found['saves_share'], MOST_SAVES)}",
        ),
    ]


def _met(share: float, most: float) -> str:
    return "met" if share <= most else "NOT MET"


if __name__ == "__main__":
    sys.exit(main())
