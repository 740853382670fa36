"""When a run saves checkpoints, and what happens when saving fails."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from myxtts.errors import CheckpointError, NonFiniteError, StorageError
from myxtts.storage.run_directory import NotOwnerError
from myxtts.training.run_context import RunContext

Arrays = dict[str, npt.NDArray[np.float32]]
MOST_FAILURES = 10
RETRY_SECONDS = 30.0
QUICK_SECONDS = 0.5
"""If computing the voices of the speakers takes longer, a hot save reuses the previous ones."""


class Saver:
    """Saves a run: at regular updates, whenever the hot interval has passed, and on request.

    A save that fails is reported and retried; the training continues until too many failed in a row.

    Of several processes the chief writes, and the others learn whether it did.

    Args:
        run: the run to save.
        voices: computes the voices of the training speakers.
    """

    def __init__(self, run: RunContext, voices: Callable[[], Arrays]) -> None:
        self.run, self._new_voices = run, voices
        self.resumed_from = run.state.position.update
        """Update of the checkpoint that this process resumed from; 0 if it started the run."""
        self._last = time.monotonic()
        self._failures = 0
        self._differ = ""
        """The processes whose weights differed from the chief's at the last comparison."""
        self.saved: set[int] = set()
        """Updates saved since this set was last cleared."""
        self._voices_seconds = 0.0
        self._voices: Arrays = {}
        self._wait_seconds = run.config.training.hot_checkpoint_seconds

    @property
    def regular(self) -> bool:
        """Whether the checkpoint of the current update is a regular one, which is kept."""
        return self.run.state.position.update % self.run.config.training.checkpoint_every_updates == 0

    @property
    def candidate(self) -> bool:
        """Whether the run may go back to the current update once it has proved healthy.

        This depends on the update number and not on the clock, so that a resumed run has the same candidates.
        """
        return self.run.state.position.update % self.run.config.training.candidate_every_updates == 0

    @property
    def hot_due(self) -> bool:
        """Whether the hot interval has passed."""
        return time.monotonic() - self._last >= self._wait_seconds

    def save_start(self) -> None:
        """Save the initial state; the run goes back to it as long as no later checkpoint has proved healthy."""
        self.run.state.recovery.proven = self.run.state.position.update
        self.save()

    def save(self, *, best: bool = False, hot: bool = False, last: bool = False) -> bool:
        """Save now; returns whether the checkpoint is on the disk. All processes must call it; the chief writes.

        Args:
            best: mark it as the best so far.
            hot: a frequent save: reuse the previous speaker voices if computing them is slow.
            last: no later save follows, so a failure is an error at once.

        Raises:
            StorageError: too many saves in a row failed, or the last one did.
            NonFiniteError: a value is not finite, or the weights of the processes differ; nothing was written.
        """
        run = self.run
        self._differ = run.trainer.step.disagreement()
        if self._differ:
            raise NonFiniteError(
                f"the weights of {self._differ} differ from those of process 0: a fault of a device or of its memory; "
                "nothing was saved, the previous checkpoint is intact; if it happens again, train without that device"
            )
        saved, defect = False, ""
        if run.cluster.chief:
            try:
                saved = self.write(best=best, hot=hot, last=last)
            except NonFiniteError as error:
                defect = str(error)
        saved, defect = run.cluster.share([saved, defect])
        if defect:
            raise NonFiniteError(defect)
        if saved and self.candidate and not run.cluster.chief:
            run.state.recovery.add_candidate(run.state.position.update)
        return bool(saved)

    def write(self, *, best: bool = False, hot: bool = False, last: bool = False, new_voices: bool = True) -> bool:
        """Write a checkpoint in this process alone; returns whether it is on the disk.

        Args and errors: as `save`, and
            new_voices: compute the speaker voices again; otherwise reuse the previous ones if there are any. For
                saving after a defect, which may be in computing them.

        Raises:
            CheckpointError: the weights of the processes differed, so those of this process may be the wrong ones.
        """
        if self._differ:
            raise CheckpointError(f"the weights of {self._differ} differ from those of process 0")
        run, position, recovery = self.run, self.run.state.position, self.run.state.recovery
        # Saving the best update a second time, e.g. at the end of a resumed run, keeps it marked as the best.
        best = best or (position.best is not None and position.best_update == position.update)
        if (new_voices or not self._voices) and (not hot or self._voices_seconds <= QUICK_SECONDS):
            self._compute_voices()
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
                recovery.candidates.remove(position.update)  # only a checkpoint on the disk can prove healthy
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

    def _compute_voices(self) -> None:
        """Compute the speaker voices with the current weights; keep the previous ones if they are not finite."""
        begun = time.monotonic()
        try:
            self._voices = self._new_voices()
        except NonFiniteError as error:
            self.run.log.event("voices_failed", f"the voices of the previous checkpoint are reused: {error}")
        self._voices_seconds = time.monotonic() - begun
