"""The training loop: micro-batches, one update of them, log, validation, save, until the run ends."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from myxtts import faults
from myxtts.data.loader import Loader
from myxtts.errors import NonFiniteError, StorageError
from myxtts.loss_terms import DECODER_TERMS
from myxtts.training import schedule
from myxtts.training.accumulation import Micro, Window
from myxtts.training.checkpointing import Saver
from myxtts.training.orders import SIGNALS, Orders
from myxtts.training.recovery import faults as step_faults
from myxtts.training.recovery.ladder import Ladder, Weight
from myxtts.training.run_context import RunContext
from myxtts.training.run_state import BestFields
from myxtts.training.signals import StopSignals
from myxtts.training.step import UpdateResult

SPEED_UPDATES = 20
KNOWN_TIMES, LONGEST_FACTOR = 3, 10.0
FIRST_SECONDS = 60.0
"""Before that many times are known, a time counts at most so long, or LONGEST_FACTOR times its processor time."""


class Stopwatch:
    """Times of one kind of work, without pauses of the process (SIGSTOP, a suspended machine).

    Once some times are known, each counts at most LONGEST_FACTOR times their median, and never less than 0.
    """

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=SPEED_UPDATES)
        self._processor_seconds = time.process_time()

    def take(self, seconds: float) -> float:
        """The part of a measured time that counts."""
        before, self._processor_seconds = self._processor_seconds, time.process_time()
        if len(self._times) >= KNOWN_TIMES:
            longest = LONGEST_FACTOR * statistics.median(self._times)
        else:  # the first ones build graphs, which keeps the processor busy
            longest = max(FIRST_SECONDS, LONGEST_FACTOR * (self._processor_seconds - before))
        counted = min(max(0.0, seconds), longest)
        self._times.append(counted)
        return counted


class Loop:
    """Runs the training of a run over a loader.

    Args:
        run: the run to train.
        loader: endless micro-batches from the current position on.
        saver: saves checkpoints.
        ladder: reacts to trouble.
        validate: runs one validation; returns whether it is the best so far.
        total_updates: number of updates after which the run ends.
    """

    def __init__(
        self,
        run: RunContext,
        loader: Loader,
        saver: Saver,
        ladder: Ladder,
        validate: Callable[[], bool],
        total_updates: int,
    ) -> None:
        self.context, self.loader, self.saver, self.ladder = run, loader, saver, ladder
        self.state, self.log, self.step = run.state, run.log, run.trainer.step
        self.validate, self.total_updates = validate, total_updates
        self._speeds: list[tuple[int, float]] = []
        self._updates, self._validations = Stopwatch(), Stopwatch()
        self._orders: Orders

    def run(self, signals: StopSignals) -> str:
        """Train until the end; returns why it ended: updates, minutes, early_stop or the name of a signal.

        Raises:
            NonFiniteError: the recovery ladder ended without success.
        """
        training, position = self.context.config.training, self.state.position
        self._orders = orders = Orders(self.step.cluster, signals, lambda: self.saver.hot_due, self._time_over)
        while True:
            if orders.stop in SIGNALS:
                return orders.stop
            if position.update >= self.total_updates:
                return "updates"
            if orders.stop:
                return orders.stop
            if position.validations_since_best >= training.early_stopping_validations:
                return "early_stop"
            self.context.store.check_owner()
            made, before_window = position.update, self.state.data_position()
            try:
                applied = self.one_update()
            except BaseException:
                if position.update == made:  # no update was made: its micro-batches come again
                    self.state.return_to(before_window)
                raise
            faults.point("loop.update")
            if self.ladder.climb_if_needed() or not applied:
                continue
            best, before = False, position.best_fields()
            if position.update % training.validation_every_updates == 0:
                begun = time.monotonic()
                best = self.validate()
                self.state.add_time(self._validations.take(time.monotonic() - begun))
            if best or self.saver.regular or self.saver.candidate or orders.save_due:
                self._save(best, before)

    def _time_over(self) -> bool:
        minutes = self.context.config.training.max_minutes
        return bool(minutes) and self.state.position.trained_seconds >= 60.0 * minutes

    def _save(self, best: bool, before: BestFields) -> None:
        """Save, and roll back if the state is not finite; `before` is the best before this update."""
        try:
            saved = self.saver.save(best=best, hot=not (best or self.saver.regular))
        except NonFiniteError as error:
            self.ladder.climb(str(error))
            return
        if best and not saved:
            self.state.set_best(before)  # the best checkpoint on the disk is still the older one

    def one_update(self) -> bool:
        """Compute one window of micro-batches and its update; False if the update was skipped."""
        config, recovery, number = self.context.config, self.state.recovery, self.state.position.update + 1
        scheduled = schedule.learning_rate(number, config.optimizer, config.schedule)
        rate = recovery.rate(number, scheduled, config.schedule.warmup_updates)
        prior = schedule.prior_strength(number, config.schedule)
        weights = dict(self.step.term_weights)
        for term in {"mel", "flow"} & set(weights):
            weights[term] *= recovery.mel_factor
        for term in set(DECODER_TERMS) & set(weights):
            weights[term] *= schedule.adversarial_strength(number, config.schedule)
        if "critic" in weights and not schedule.critic_learns(number, config.schedule):
            weights["critic"] = 0.0
        term_factors = step_faults.term_factors(self.step.terms)
        group_factors = step_faults.gradient_factors(self.step.groups)
        window = Window(self.step.terms)
        for _ in range(config.training.grad_accum):
            faults.point("data.next_batch")
            loaded = next(self.loader)
            micro_batch = self.state.count_micro_batch()
            knobs: dict[str, Any] = {
                "seed": (config.training.seed, micro_batch),
                "prior_strength": prior,
                "weights": weights,
                "term_fault": step_faults.micro_batch_factors(term_factors, self.step.terms),
                "group_fault": group_factors,
            }
            frames = int(loaded.batch["mel_length_B"][loaded.batch["weight_B"] > 0].sum())
            result = self.step.micro(loaded.batch, **knobs, orders=(frames, *self._orders.given()))
            self._orders.take(result.orders[1:])
            window.micros.append(Micro(micro_batch, loaded, result, knobs))
            self.state.take(loaded)
        weights_before = {v.path: v.numpy() for v in self.step.weights} if window.skipped() else None
        update = self.step.update(rate, config.optimizer.clip_norm * recovery.clip_factor)
        if update.applied:  # before anything can fail: the weights are those of this number
            self.state.position.update = number
        step_faults.poison_weights(self.step)
        seconds = self._updates.take(time.monotonic() - window.begun)
        self.state.add_time(seconds)
        self._after(window, update, number, rate, seconds, weights_before)
        return update.applied

    def _after(
        self,
        window: Window,
        result: UpdateResult,
        number: int,
        rate: float,
        seconds: float,
        weights_before: Mapping[str, Weight] | None,
    ) -> None:
        """Log an update and react to trouble; `weights_before` is given if a micro-batch of it was skipped."""
        terms, total = window.mean_terms()
        wait_share = min(1.0, self.loader.take_waited_seconds() / max(seconds, 1e-9))
        frames = sum(int(m.result.orders[0]) for m in window.micros)
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
            **({"reset": True} if self.state.losses_reset else {}),
        }
        self.state.losses_reset = False
        self.log.metrics.write(record)
        overflowed = result.overflow and not result.applied  # not a fault: this is how the loss scale is adjusted
        self.state.health.observe(
            number,
            loss=None if overflowed else total,
            grad_norm=None if overflowed else result.grad_norm,
            clip_norm=self.context.config.optimizer.clip_norm * self.state.recovery.clip_factor,
            skipped=not (result.applied or overflowed),
            wait_share=wait_share,
        )
        self.ladder.observe(window, result, number, total, weights_before)
        at_log = number % self.context.config.training.log_every_updates == 0
        if at_log or number == 1:
            try:
                self.log.tensorboard.train(record)
            except StorageError as error:
                self.log.warn(f"{error}; TensorBoard will not show update {number}")
        self._show(total, result.grad_norm, rate, frames, seconds, wait_share, at_log)

    def _show(
        self, total: float, norm: float, rate: float, frames: int, seconds: float, wait_share: float, line: bool
    ) -> None:
        self._speeds = [*self._speeds[-SPEED_UPDATES + 1 :], (frames, seconds)]
        time_taken = sum(s for _, s in self._speeds)
        end = self._expected_end(time_taken / len(self._speeds))
        left = max(0, end - self.state.position.update) * time_taken / len(self._speeds)
        rung = {"rung": str(r[-1].rung)} if (r := self.state.recovery.rollbacks) else {}
        self.log.screen.training(
            self.state.position.update,
            end,
            {
                "loss": f"{total:.3f}",
                "norm": f"{norm:.2f}",
                "lr": f"{rate:.2e}",
                "frames/s": f"{sum(f for f, _ in self._speeds) / max(time_taken, 1e-9):,.0f}",
                "wait": f"{wait_share:.0%}",
                "left": clock(left),
                "health": self.state.health.verdict().sign,
                **rung,
            },
            line=line,
        )

    def _expected_end(self, seconds_per_update: float) -> int:
        """Update at which the run is expected to end, by its updates or by its minutes."""
        training, position = self.context.config.training, self.state.position
        if not training.max_minutes:
            return self.total_updates
        seconds = max(0.0, 60.0 * training.max_minutes - position.trained_seconds)
        return min(self.total_updates, position.update + int(seconds / max(seconds_per_update, 1e-9)))


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
