"""The training loop: take micro-batches, make an update or refuse it, tell, validate, save, until something ends it."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from myxtts import faults
from myxtts.data.loader import Loader
from myxtts.errors import NonFiniteError, StorageError
from myxtts.training import injection, losses, schedule
from myxtts.training.ladder import Ladder, Weight
from myxtts.training.saving import PatientJournal, Saver
from myxtts.training.signals import StopSignals
from myxtts.training.step import UpdateResult
from myxtts.training.tensorboard_log import TensorBoardLog
from myxtts.training.trainer import Trainer
from myxtts.training.window import Micro, Window

SPEED_UPDATES = 20
KNOWN_TIMES, LONGEST_FACTOR = 3, 10.0


class Stopwatch:
    """Times of one kind of work, without what the process was stopped for in its middle (SIGSTOP, a suspended machine).

    Once some times are known, none counts more than LONGEST_FACTOR times their median, and none less than nothing.
    """

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=SPEED_UPDATES)

    def take(self, seconds: float) -> float:
        """What counts of a measured time."""
        counted = max(0.0, seconds)
        if len(self._times) >= KNOWN_TIMES:
            counted = min(counted, LONGEST_FACTOR * statistics.median(self._times))
        self._times.append(counted)
        return counted


class Display(Protocol):
    """What the loop needs of a screen."""

    def say(self, *lines: str) -> None:
        """Print lines."""

    def warn(self, *lines: str) -> None:
        """Print warnings."""

    def training(self, done: int, total: int, figures: Mapping[str, str], line: bool = False) -> None:
        """Move the bar; `line` asks for a line where there is no bar."""

    def progress(self, task: str, done: int, total: int) -> None:
        """A Progress."""


class Loop:
    """Runs a trainer over a loader.

    Args:
        trainer: what learns.
        loader: endless micro-batches from the trainer's position on.
        saver: saves when it is due.
        ladder: what is done about trouble.
        metrics: journal of every update.
        tensorboard: scalars at the log interval.
        display: the screen.
        validate: one validation; True if it was the best so far.
        total_updates: updates after which the run ends.
    """

    def __init__(
        self,
        trainer: Trainer,
        loader: Loader,
        saver: Saver,
        ladder: Ladder,
        metrics: PatientJournal,
        tensorboard: TensorBoardLog,
        display: Display,
        validate: Callable[[], bool],
        total_updates: int,
    ) -> None:
        self.trainer, self.loader, self.saver, self.ladder = trainer, loader, saver, ladder
        self.metrics, self.tensorboard, self.display = metrics, tensorboard, display
        self.validate, self.total_updates = validate, total_updates
        self._speeds: list[tuple[int, float]] = []
        self._updates, self._validations = Stopwatch(), Stopwatch()

    def run(self, signals: StopSignals) -> str:
        """Train until the end; returns why it ended: updates, minutes, early_stop or the name of a signal.

        Raises:
            NonFiniteError: the ladder could not mend the trouble.
        """
        training, position = self.trainer.config.training, self.trainer.position
        while True:
            if signals.requested:
                return signals.requested
            if position.update >= self.total_updates:
                return "updates"
            if training.max_minutes and position.trained_seconds >= 60.0 * training.max_minutes:
                return "minutes"
            if position.validations_since_best >= training.early_stopping_validations:
                return "early_stop"
            self.saver.store.check_owner()
            made, before_window = position.update, (position.micro_batches, position.epoch, position.index)
            try:
                applied = self.one_update()
            except BaseException:
                if position.update == made:  # what is saved now must be the state after that update: its data come next
                    position.micro_batches, position.epoch, position.index = before_window
                raise
            faults.point("loop.update")
            if self.ladder.climb_if_needed() or not applied:
                continue
            best, before = False, position.best_fields()
            if position.update % training.validation_every_updates == 0:
                begun = time.monotonic()
                best = self.validate()
                position.trained_seconds += self._validations.take(time.monotonic() - begun)
            if best or self.saver.regular or self.saver.candidate or self.saver.hot_due:
                self._save(best, before)

    def _save(self, best: bool, before: tuple[float | None, int, int, int]) -> None:
        """Save, and go back if what is to be saved is not finite; `before` is what was the best until now."""
        try:
            saved = self.saver.save(best=best, hot=not (best or self.saver.regular))
        except NonFiniteError as error:
            self.ladder.climb(str(error))
            return
        if best and not saved:
            self.trainer.position.set_best(*before)  # the best on the disk is the older one, which a later shall beat

    def one_update(self) -> bool:
        """One window of micro-batches and the update that it makes; False if the update was refused."""
        trainer, position = self.trainer, self.trainer.position
        config, recovery, number = trainer.config, trainer.recovery, position.update + 1
        scheduled = schedule.learning_rate(number, config.optimizer, config.schedule)
        rate = recovery.rate(number, scheduled, config.schedule.warmup_updates)
        prior = schedule.prior_strength(number, config.schedule)
        weights = dict(trainer.step.term_weights)
        for term in {"mel", "flow"} & set(weights):
            weights[term] *= recovery.mel_factor
        for term in set(losses.FROM_CRITIC) & set(weights):
            weights[term] *= schedule.adversarial_strength(number, config.schedule)
        if "critic" in weights and not schedule.critic_learns(number, config.schedule):
            weights["critic"] = 0.0
        term_factors, group_factors = injection.term_factors(), injection.gradient_factors(trainer.step.groups)
        window = Window()
        for _ in range(config.training.grad_accum):
            faults.point("data.next_batch")
            loaded = next(self.loader)
            position.micro_batches += 1
            knobs: dict[str, Any] = {
                "seed": (config.training.seed, position.micro_batches),
                "prior_strength": prior,
                "weights": weights,
                "term_fault": injection.micro_batch_factors(term_factors),
                "group_fault": group_factors,
            }
            result = trainer.step.micro(loaded.batch, **knobs)
            window.micros.append(Micro(position.micro_batches, loaded, result, knobs))
            position.epoch, position.index = (
                (loaded.epoch + 1, 0) if loaded.last_of_epoch else (loaded.epoch, loaded.index + 1)
            )
        met = {v.path: v.numpy() for v in trainer.step.weights} if window.dropped() else None
        update = trainer.step.update(rate, config.optimizer.clip_norm * recovery.clip_factor)
        injection.poison_weights(trainer.step)
        seconds = self._updates.take(time.monotonic() - window.begun)
        position.trained_seconds += seconds
        if update.applied:
            position.update = number
        self._after(window, update, number, rate, seconds, met)
        return update.applied

    def _after(
        self,
        window: Window,
        result: UpdateResult,
        number: int,
        rate: float,
        seconds: float,
        met: Mapping[str, Weight] | None,
    ) -> None:
        """Write down what an update did, and show it; `met` are the weights before it, if it lost a micro-batch."""
        terms, total = window.mean_terms()
        wait_share = min(1.0, self.loader.take_waited_seconds() / max(seconds, 1e-9))
        frames = window.frames()
        record: dict[str, object] = {
            "kind": "train",
            "update": number,
            "epoch": window.micros[-1].loaded.epoch,
            "time": time.time(),
            "loss": total if result.applied else None,
            "terms": terms,
            "weighted": {t: w * terms[t] for t, w in window.micros[-1].knobs["weights"].items()},
            "grad_norm": result.grad_norm if result.applied else None,
            "learning_rate": rate,
            "frames": frames,
            "frames_per_second": frames / max(seconds, 1e-9),
            "wait_share": wait_share,
            "skipped": not result.applied,
            **({"overflow": True} if result.overflow else {}),
            **({"anew": True} if self.trainer.losses_anew else {}),
        }
        self.trainer.losses_anew = False
        self.metrics.write(record)
        overflowed = result.overflow and not result.applied  # no trouble: the scale finds its place by overflowing
        self.trainer.health.observe(
            number,
            loss=None if overflowed else total,
            grad_norm=None if overflowed else result.grad_norm,
            clip_norm=self.trainer.config.optimizer.clip_norm * self.trainer.recovery.clip_factor,
            skipped=not (result.applied or overflowed),
            wait_share=wait_share,
        )
        self.ladder.observe(window, result, number, total, met)
        at_log = number % self.trainer.config.training.log_every_updates == 0
        if at_log or number == 1:
            try:
                self.tensorboard.train(record)
            except StorageError as error:
                self.display.warn(f"{error}; TensorBoard will lack update {number}")
        self._show(total, result.grad_norm, rate, frames, seconds, wait_share, at_log)

    def _show(
        self, total: float, norm: float, rate: float, frames: int, seconds: float, wait_share: float, line: bool
    ) -> None:
        self._speeds = [*self._speeds[-SPEED_UPDATES + 1 :], (frames, seconds)]
        time_taken = sum(s for _, s in self._speeds)
        end = self._expected_end(time_taken / len(self._speeds))
        left = max(0, end - self.trainer.position.update) * time_taken / len(self._speeds)
        rung = {"rung": str(r[-1].rung)} if (r := self.trainer.recovery.rollbacks) else {}
        self.display.training(
            self.trainer.position.update,
            end,
            {
                "loss": f"{total:.3f}",
                "norm": f"{norm:.2f}",
                "lr": f"{rate:.2e}",
                "frames/s": f"{sum(f for f, _ in self._speeds) / max(time_taken, 1e-9):,.0f}",
                "wait": f"{wait_share:.0%}",
                "left": clock(left),
                "health": self.trainer.health.verdict().sign,
                **rung,
            },
            line=line,
        )

    def _expected_end(self, seconds_per_update: float) -> int:
        """Update at which the run is expected to end, by its updates or by its minutes."""
        training, position = self.trainer.config.training, self.trainer.position
        if not training.max_minutes:
            return self.total_updates
        seconds = max(0.0, 60.0 * training.max_minutes - position.trained_seconds)
        return min(self.total_updates, position.update + int(seconds / max(seconds_per_update, 1e-9)))


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
