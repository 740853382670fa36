"""When a run saves, and what happens when the disk refuses."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from myxtts.data.batches import Batches
from myxtts.errors import NonFiniteError, StorageError
from myxtts.models.generate import Generator
from myxtts.storage.journal import Journal
from myxtts.storage.run_directory import NotOwnerError
from myxtts.storage.store import CheckpointStore
from myxtts.training.trainer import Trainer
from myxtts.training.voices import speaker_voices

MOST_FAILURES = 10
RETRY_SECONDS = 30.0
QUICK_SECONDS = 0.5
"""Voices of the speakers that take longer are not made anew for a hot save."""


class PatientJournal:
    """A journal that the disk may refuse for a while: its lines wait, the training goes on, and it is said once."""

    def __init__(self, journal: Journal, warn: Callable[[str], None]) -> None:
        self.journal, self._warn = journal, warn
        self._refused = False

    def write(self, record: Mapping[str, object]) -> None:
        """Append a record, or keep it until the disk takes it."""
        try:
            self.journal.write(record)
            self._refused = False
        except NotOwnerError:
            raise
        except StorageError as error:
            if not self._refused:
                self._warn(f"{error}; the lines wait and the training goes on")
            self._refused = True


class Saver:
    """Saves a trainer: at its regular updates, at the latest after the hot interval, and when it is asked to.

    A save that the disk refuses is told and tried again; the training goes on, until too many failed in a row.
    """

    def __init__(
        self,
        trainer: Trainer,
        store: CheckpointStore,
        generator: Generator,
        batches: Batches,
        texts: dict[str, str],
        metrics: PatientJournal,
        tell: Callable[[str, str], None],
    ) -> None:
        self.trainer, self.store = trainer, store
        self._generator, self._batches, self._texts, self._metrics, self._tell = (
            generator,
            batches,
            texts,
            metrics,
            tell,
        )
        self.resumed_from = trainer.position.update
        """Update of the checkpoint that this process went on from; 0 if it began the run."""
        self._last = time.monotonic()
        self._failures = 0
        self.saved: set[int] = set()
        """Updates that were saved; whoever waits for a save empties it."""
        self._voices_seconds = 0.0
        self._voices: dict[str, npt.NDArray[np.float32]] = {}
        self._wait_seconds = trainer.config.training.hot_checkpoint_seconds

    @property
    def regular(self) -> bool:
        """Whether the update just made is one whose checkpoint is kept."""
        return self.trainer.position.update % self.trainer.config.training.checkpoint_every_updates == 0

    @property
    def candidate(self) -> bool:
        """Whether the update just made is one that the run may go back to once it has proved healthy.

        By the number of the update, not by the clock: a resumed run must find the same ones.
        """
        return self.trainer.position.update % self.trainer.config.training.candidate_every_updates == 0

    @property
    def hot_due(self) -> bool:
        """Whether the hot interval has passed."""
        return time.monotonic() - self._last >= self._wait_seconds

    def save_the_start(self) -> None:
        """Save what a run begins with, to which it goes back as long as nothing later has proved healthy."""
        self.trainer.recovery.proven = self.trainer.position.update
        self.save()

    def save(self, *, best: bool = False, hot: bool = False, last: bool = False, new_voices: bool = True) -> bool:
        """Save now; whether it is on the disk.

        Args:
            best: mark it as the best so far.
            hot: one of many; the speakers' voices of the save before serve where they take long to make.
            last: no later save would make up for a refusal.
            new_voices: without it the speakers' voices of the save before serve, if there was one: after a defect,
                which may be in the making of them.

        Raises:
            StorageError: the disk has refused too many times in a row, or the last time.
            NonFiniteError: a value is not finite; nothing was written.
        """
        trainer, position = self.trainer, self.trainer.position
        # A second save of the best update, by the same command given again, say, must not take its mark away.
        best = best or (position.best is not None and position.best_update == position.update)
        if (new_voices or not self._voices) and (not hot or self._voices_seconds <= QUICK_SECONDS):
            self._take_voices()
        new_candidate = self.candidate and trainer.recovery.add_candidate(position.update)
        self.store.protected = trainer.recovery.kept() | ({self.resumed_from} - {0})
        try:
            self._metrics.journal.flush(durable=True)
            path = self.store.save(
                trainer.position.update, trainer.arrays(self._voices), trainer.state(), texts=self._texts, best=best
            )
        except StorageError as error:
            if new_candidate:
                trainer.recovery.candidates.remove(position.update)  # what is not on the disk proves nothing
            self._failures += 1
            if last or isinstance(error, NotOwnerError) or self._failures > MOST_FAILURES:
                raise
            self._wait_seconds, self._last = RETRY_SECONDS, time.monotonic()
            self._tell(
                "save_failed", f"{error}; trying again in {RETRY_SECONDS:.0f} s ({self._failures} failed in a row)"
            )
            return False
        self._failures, self._last = 0, time.monotonic()
        self.saved.add(position.update)
        self._wait_seconds = trainer.config.training.hot_checkpoint_seconds
        self._tell("best" if best else "checkpoint", f"saved {path.name}")
        return True

    def _take_voices(self) -> None:
        """The speakers' voices by the weights as they are; those of the save before where they are not finite."""
        begun = time.monotonic()
        try:
            self._voices = speaker_voices(self._generator, self._batches, self.trainer.corpus, self.trainer.config)
        except NonFiniteError as error:
            self._tell("voices_failed", f"the voices of the save before serve: {error}")
        self._voices_seconds = time.monotonic() - begun
