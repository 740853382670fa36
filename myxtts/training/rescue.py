"""Saves a run when an error ends it: a defect, a full disk, or the loss of the run directory to another process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType

import tensorflow as tf

from myxtts.config.schema import Config
from myxtts.data.plan import Bucket
from myxtts.errors import ConfigError, MyXTTSError, Stopped
from myxtts.messages import quoted
from myxtts.storage.find_checkpoint import steps_in
from myxtts.storage.journal import Journal
from myxtts.storage.run_directory import NotOwnerError, RunDirectory, WriterLock
from myxtts.training.checkpointing import Saver
from myxtts.training.run_context import RunContext


@contextmanager
def memory_errors(config: Config, buckets: Sequence[Bucket] = ()) -> Iterator[None]:
    """A context that turns exhausted memory of the machine or of a GPU into an error that says what to do.

    Args:
        config: the batch size is the first thing to lower.
        buckets: the batch shapes of the run, shortest first; the last one needs most.

    Raises:
        ConfigError: memory ran out.
    """
    training = config.training
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        longest = ""
        if buckets:
            longest = (
                f" with {training.batch_size} clips of up to {buckets[-1].mel_cap} frames and {buckets[-1].text_cap} "
                "tokens in the longest batches"
            )
        raise ConfigError(
            f"memory ran out{longest} ({quoted(reason, 100)}): free some, or lower training.batch_size (now "
            f"{training.batch_size}) and raise training.grad_accum (now {training.grad_accum}) by the same factor, "
            f"which trains the same (in a new run --batch-size auto does so on a GPU){_recomputing(config)}, or lower "
            "data.max_clip_seconds"
        ) from error


def _recomputing(config: Config) -> str:
    """Advice to turn gradient checkpointing on where it is off and does something."""
    if config.training.recompute or config.trains != "voice":
        return ""
    return ", or set training.recompute=true, which needs less memory and more time"


class Rescue:
    """A context that saves the run, if its state is finite, when an exception is raised; an event records the cause.

    Args:
        run: the run to save.
        lock: of the run directory.
        saver: saves it.
        stack: closes the files opened in another directory.
    """

    def __init__(self, run: RunContext, lock: WriterLock, saver: Saver, stack: ExitStack) -> None:
        self.run, self.lock, self.saver, self.stack = run, lock, saver, stack

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Save after an error; a stop has already saved."""
        if error is None or isinstance(error, Stopped):
            return
        if (lost := self._save_after(error)) is not None:
            raise lost from error

    def _save_after(self, error: BaseException) -> NotOwnerError | None:
        """Save; returns the error to raise instead if this process no longer owns the run directory."""
        ours, log = isinstance(error, MyXTTSError), self.run.log
        update = self.run.state.position.update
        try:
            if isinstance(error, NotOwnerError):
                return self._save_elsewhere(error)
            log.event("failed", str(error) if ours else f"{type(error).__name__}: {error}")
            # skipped updates changed no weights, so the weights before them are saved with the position after them
            self.saver.write(last=True, new_voices=ours)
            log.warn(f"the state of update {update} is saved; the same command continues from there")
        except NotOwnerError as lost:
            return self._save_elsewhere(lost)
        except MyXTTSError as failure:
            why = "" if str(failure) == str(error) else f": {failure}"
            newest = max(steps_in(self.run.store.directory), default=None)
            kept = "there is no checkpoint" if newest is None else f"the newest checkpoint is that of update {newest}"
            log.warn(f"the state of update {update} is not saved{why}; {kept}")
        return None

    def _save_elsewhere(self, lost: NotOwnerError) -> NotOwnerError:
        """Save where no other process writes: in the directory after it was moved, or in a new one beside it."""
        update = self.run.state.position.update
        try:
            place = self._own_place()
            self.saver.write(last=True)
            self.run.log.event("failed", str(lost))
        except MyXTTSError as failure:
            return NotOwnerError(f"{lost}; update {update} could not be saved elsewhere: {failure}")
        same = place is self.run.directory
        how = "the same command continues" if same else f"continue with --checkpoint-dir {place.path}"
        return NotOwnerError(f"{lost}; update {update} is saved in {str(place.path)!r}: {how}")

    def _own_place(self) -> RunDirectory:
        """A run directory that this process owns; store and journals write there from now on."""
        run, log = self.run, self.run.log
        if (moved := self.lock.moved_to()) is not None:
            self.lock.path = moved / self.lock.path.name  # journals and lock are open files and moved along
            place = RunDirectory(moved)
        else:
            place = run.directory if self.lock.only_lock_deleted() else run.directory.beside("rescued")
            self.lock = self.stack.enter_context(place.lock())
            if place is run.directory:
                for journal in (log.events.journal, log.metrics.journal):
                    journal.check_owner = self.lock.check
            else:
                events = Journal(place.events_path, flush_lines=1, check_owner=self.lock.check)
                metrics = Journal(place.metrics_path, check_owner=self.lock.check)
                log.events.journal = self.stack.enter_context(events)
                log.metrics.journal = self.stack.enter_context(metrics)
        run.store.directory, run.store.check_owner = place.checkpoints_path, self.lock.check
        return place
