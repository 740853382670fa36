"""When a run saves, and what happens when the disk refuses."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from myxtts.errors import NonFiniteError, StorageError
from myxtts.models.generate import Generator
from myxtts.storage.run_directory import NotOwnerError
from myxtts.training.run_context import RunContext
from myxtts.training.voices import speaker_voices

MOST_FAILURES = 10
RETRY_SECONDS = 30.0
QUICK_SECONDS = 0.5
"""Voices of the speakers that take longer are not made anew for a hot save."""


class Saver:
    """Saves a run: at regular updates, at the latest after the hot interval, and when asked to.

    A save that the disk refuses is reported and repeated; the training continues until too many failed in a row.

    Args:
        run: what is saved.
        generator: computes the voices of the training speakers.
    """

    def __init__(self, run: RunContext, generator: Generator) -> None:
        self.run, self._generator = run, generator
        self.resumed_from = run.state.position.update
        """Update of the checkpoint that this process continues from; 0 if it started the run."""
        self._last = time.monotonic()
        self._failures = 0
        self.saved: set[int] = set()
        """Updates that were saved; whoever waits for a save empties it."""
        self._voices_seconds = 0.0
        self._voices: dict[str, npt.NDArray[np.float32]] = {}
        self._wait_seconds = run.config.training.hot_checkpoint_seconds

    @property
    def regular(self) -> bool:
        """Whether the update just made is one whose checkpoint is kept."""
        return self.run.state.position.update % self.run.config.training.checkpoint_every_updates == 0

    @property
    def candidate(self) -> bool:
        """Whether the update just made is one that the run may go back to once it has proved healthy.

        By the number of the update, not by the clock: a resumed run must find the same ones.
        """
        return self.run.state.position.update % self.run.config.training.candidate_every_updates == 0

    @property
    def hot_due(self) -> bool:
        """Whether the hot interval has passed."""
        return time.monotonic() - self._last >= self._wait_seconds

    def save_the_start(self) -> None:
        """Save what a run begins with, to which it goes back as long as nothing later has proved healthy."""
        self.run.state.recovery.proven = self.run.state.position.update
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
        run, position, recovery = self.run, self.run.state.position, self.run.state.recovery
        # A second save of the best update, by the same command given again, say, must not take its mark away.
        best = best or (position.best is not None and position.best_update == position.update)
        if (new_voices or not self._voices) and (not hot or self._voices_seconds <= QUICK_SECONDS):
            self._take_voices()
        new_candidate = self.candidate and recovery.add_candidate(position.update)
        run.store.protected = recovery.kept() | ({self.resumed_from} - {0})
        try:
            run.log.metrics.journal.flush(durable=True)
            path = run.store.save(
                position.update,
                {
                    **run.trainer.arrays(),
                    "voices": dict(self._voices),
                    "utterances": run.state.clip_losses.arrays(),
                },
                {**run.state.to_json(), "loss_scale": run.trainer.step.loss_scale.state()},
                texts=run.texts,
                best=best,
            )
        except StorageError as error:
            if new_candidate:
                recovery.candidates.remove(position.update)  # what is not on the disk proves nothing
            self._failures += 1
            if last or isinstance(error, NotOwnerError) or self._failures > MOST_FAILURES:
                raise
            self._wait_seconds, self._last = RETRY_SECONDS, time.monotonic()
            run.log.event(
                "save_failed", f"{error}; trying again in {RETRY_SECONDS:.0f} s ({self._failures} failed in a row)"
            )
            return False
        self._failures, self._last = 0, time.monotonic()
        self.saved.add(position.update)
        self._wait_seconds = run.config.training.hot_checkpoint_seconds
        run.log.event("best" if best else "checkpoint", f"saved {path.name}")
        return True

    def _take_voices(self) -> None:
        """The speakers' voices by the weights as they are; those of the save before where they are not finite."""
        begun = time.monotonic()
        try:
            self._voices = speaker_voices(self._generator, self.run.batches, self.run.trainer.corpus, self.run.config)
        except NonFiniteError as error:
            self.run.log.event("voices_failed", f"the voices of the save before serve: {error}")
        self._voices_seconds = time.monotonic() - begun
