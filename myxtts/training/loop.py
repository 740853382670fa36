"""The training loop: take micro-batches, make an update or refuse it, tell, validate, save, until something ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from myxtts.data.loader import Loaded, Loader
from myxtts.errors import NonFiniteError, StorageError
from myxtts.storage import faults
from myxtts.training import injection, schedule
from myxtts.training.losses import TERMS
from myxtts.training.saving import PatientJournal, Saver
from myxtts.training.signals import StopSignals
from myxtts.training.step import MicroResult, UpdateResult
from myxtts.training.tensorboard_log import TensorBoardLog
from myxtts.training.trainer import Trainer

MOST_SKIPS_IN_A_ROW = 20
SPEED_UPDATES = 20


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


@dataclass
class Window:
    """The micro-batches of one update."""

    results: list[MicroResult] = field(default_factory=list)
    loaded: list[Loaded] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    def frames(self) -> int:
        """Mel frames of the window without padding."""
        return sum(int((b.batch["mel_length_B"] * (b.batch["weight_B"] > 0)).sum()) for b in self.loaded)

    def mean_terms(self) -> tuple[dict[str, float], float]:
        """Mean of each term and of the total over the utterances of the good micro-batches; NaN if there is none."""
        pairs = [(r, m.batch["weight_B"] > 0) for r, m in zip(self.results, self.loaded, strict=True) if r.good]
        if not pairs:
            return dict.fromkeys(TERMS, float("nan")), float("nan")
        terms = np.concatenate([r.terms_KB[:, keep] for r, keep in pairs], axis=1).mean(axis=1, dtype=np.float64)
        total = np.concatenate([r.total_B[keep] for r, keep in pairs]).mean(dtype=np.float64)
        return {t: float(v) for t, v in zip(TERMS, terms, strict=True)}, float(total)

    def blame(self) -> tuple[list[str], list[int]]:
        """Loss terms and utterances (rows of the store) whose values are not finite in this window."""
        terms: set[str] = set()
        rows: set[int] = set()
        for result, loaded in zip(self.results, self.loaded, strict=True):
            real = loaded.batch["weight_B"] > 0
            bad_KB = ~np.isfinite(result.terms_KB) & real
            terms |= {TERMS[k] for k in np.flatnonzero(bad_KB.any(axis=1))}
            bad_B = bad_KB.any(axis=0) if bad_KB.any() else real & np.full_like(real, not result.good)
            rows |= {int(row) for row in loaded.batch["utterance_B"][bad_B]}
        return sorted(terms), sorted(rows)


class Loop:
    """Runs a trainer over a loader.

    Args:
        trainer: what learns.
        loader: endless micro-batches from the trainer's position on.
        saver: saves when it is due.
        metrics: journal of every update.
        tensorboard: scalars at the log interval.
        display: the screen.
        tell: writes an event (name, message, more).
        validate: one validation; True if it was the best so far.
        utterance_ids: id of each row, for blame.
        total_updates: updates after which the run ends.
    """

    def __init__(
        self,
        trainer: Trainer,
        loader: Loader,
        saver: Saver,
        metrics: PatientJournal,
        tensorboard: TensorBoardLog,
        display: Display,
        tell: Callable[..., None],
        validate: Callable[[], bool],
        utterance_ids: list[str],
        total_updates: int,
    ) -> None:
        self.trainer, self.loader, self.saver, self.metrics = trainer, loader, saver, metrics
        self.tensorboard, self.display, self.tell, self.validate = tensorboard, display, tell, validate
        self.utterance_ids, self.total_updates = utterance_ids, total_updates
        self._skips_in_a_row = 0
        self._speeds: list[tuple[int, float]] = []

    def run(self, signals: StopSignals) -> str:
        """Train until the end; returns why it ended: updates, minutes, early_stop or the name of a signal.

        Raises:
            NonFiniteError: too many updates in a row had to be refused.
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
            applied = self.one_update()
            faults.point("loop.update")
            if not applied:
                continue
            best, before = False, position.best_fields()
            if position.update % training.validation_every_updates == 0:
                begun = time.monotonic()
                best = self.validate()
                position.trained_seconds += time.monotonic() - begun
            if best or self.saver.regular or self.saver.hot_due:
                saved = self.saver.save(best=best, hot=not (best or self.saver.regular))
                if best and not saved:
                    position.set_best(*before)  # the best on the disk is the older one, which a later one shall beat

    def one_update(self) -> bool:
        """One window of micro-batches and the update that it makes; False if the update was refused."""
        trainer, position = self.trainer, self.trainer.position
        config, number = trainer.config, position.update + 1
        rate = schedule.learning_rate(number, config.optimizer, config.schedule)
        prior = schedule.prior_strength(number, config.schedule)
        term_factors, group_factors = injection.term_factors(), injection.gradient_factors(trainer.step.groups)
        window = Window()
        for _ in range(config.training.grad_accum):
            faults.point("data.next_batch")
            loaded = next(self.loader)
            position.micro_batches += 1
            window.loaded.append(loaded)
            window.results.append(
                trainer.step.micro(
                    loaded.batch,
                    seed=(config.training.seed, position.micro_batches),
                    prior_strength=prior,
                    term_fault=injection.micro_batch_factors(term_factors),
                    group_fault=group_factors,
                )
            )
            position.epoch, position.index = (
                (loaded.epoch + 1, 0) if loaded.last_of_epoch else (loaded.epoch, loaded.index + 1)
            )
        result = trainer.step.update(rate)
        injection.poison_weights(trainer.step)
        seconds = time.monotonic() - window.begun
        position.trained_seconds += seconds
        if result.applied:
            position.update = number
        self._after(window, result, number, rate, seconds)
        return result.applied

    def _after(self, window: Window, result: UpdateResult, number: int, rate: float, seconds: float) -> None:
        """Write down what an update did, and show it."""
        terms, total = window.mean_terms()
        wait_share = min(1.0, self.loader.take_waited_seconds() / max(seconds, 1e-9))
        frames = window.frames()
        record: dict[str, object] = {
            "kind": "train",
            "update": number,
            "epoch": window.loaded[-1].epoch,
            "time": time.time(),
            "loss": total if result.applied else None,
            "terms": terms,
            "weighted": {t: w * terms[t] for t, w in self.trainer.step.term_weights.items()},
            "grad_norm": result.grad_norm if result.applied else None,
            "learning_rate": rate,
            "frames": frames,
            "frames_per_second": frames / max(seconds, 1e-9),
            "wait_share": wait_share,
            "skipped": not result.applied,
        }
        self.metrics.write(record)
        self.trainer.health.observe(
            number,
            loss=total,
            grad_norm=result.grad_norm,
            clip_norm=self.trainer.config.optimizer.clip_norm,
            skipped=not result.applied,
            wait_share=wait_share,
        )
        dropped = sum(not r.good for r in window.results)
        if dropped and result.applied:
            self._report_bad(window, "dropped", f"{dropped} of {len(window.results)} micro-batches dropped")
        if result.applied:
            self._skips_in_a_row = 0
        else:
            self._refused(window, result, number)
        at_log = number % self.trainer.config.training.log_every_updates == 0
        if at_log or number == 1:
            try:
                self.tensorboard.train(record)
            except StorageError as error:
                self.display.warn(f"{error}; TensorBoard will lack update {number}")
        self._show(total, result.grad_norm, rate, frames, seconds, wait_share, at_log)

    def _refused(self, window: Window, result: UpdateResult, number: int) -> None:
        self.trainer.position.skipped += 1
        self._skips_in_a_row += 1
        why = f"gradient norm {result.grad_norm:g} is a spike" if result.spike else "not finite"
        groups = self._bad_groups(result, window)
        self._report_bad(window, "skip", f"update {number} refused: {why}", groups=groups)
        if self._skips_in_a_row >= MOST_SKIPS_IN_A_ROW:
            terms, rows = window.blame()
            raise NonFiniteError(
                f"{self._skips_in_a_row} updates in a row had to be refused at update {number}; "
                f"loss terms {terms or 'all finite'}, clips {[self.utterance_ids[r] for r in rows[:5]]}; "
                f"no weight was changed by them: look at these clips, or lower optimizer.learning_rate"
            )

    def _bad_groups(self, result: UpdateResult, window: Window) -> list[str]:
        norms = [r.group_norm_G for r in window.results if not r.good] or [result.group_norm_G]
        bad = ~np.logical_and.reduce(np.isfinite(np.stack(norms)), axis=0)
        return [group for group, is_bad in zip(self.trainer.step.groups, bad, strict=True) if is_bad]

    def _report_bad(self, window: Window, event: str, message: str, **more: object) -> None:
        terms, rows = window.blame()
        ids = [self.utterance_ids[row] for row in rows]
        about = f"loss terms: {', '.join(terms) or 'all finite'}; clips: {', '.join(ids[:5]) or 'none alone'}"
        self.tell(event, f"{message} ({about})", terms=terms, utterances=ids, **more)
        self.display.warn(f"{message} ({about})")

    def _show(
        self, total: float, norm: float, rate: float, frames: int, seconds: float, wait_share: float, line: bool
    ) -> None:
        self._speeds = [*self._speeds[-SPEED_UPDATES + 1 :], (frames, seconds)]
        time_taken = sum(s for _, s in self._speeds)
        end = self._expected_end(time_taken / len(self._speeds))
        left = max(0, end - self.trainer.position.update) * time_taken / len(self._speeds)
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
