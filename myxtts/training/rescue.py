"""Saves a run whatever ends it: a defect, a full disk, or a run directory that is no longer this process's own."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

from myxtts.errors import MyXTTSError, Stopped
from myxtts.storage.journal import Journal
from myxtts.storage.run_directory import NotOwnerError, RunDirectory, WriterLock
from myxtts.training.checkpointing import Saver
from myxtts.training.run_context import RunContext


class Rescue:
    """A context that saves the run, if its state is finite, when an exception leaves it; an event records the cause.

    Args:
        run: what is saved.
        lock: the right to write in its directory.
        saver: saves it.
        stack: closes what is opened in another directory.
    """

    def __init__(self, run: RunContext, lock: WriterLock, saver: Saver, stack: ExitStack) -> None:
        self.run, self.lock, self.saver, self.stack = run, lock, saver, stack

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Save after an error, but after a stop, which has saved already."""
        if error is None or isinstance(error, Stopped):
            return
        if (lost := self._save_after(error)) is not None:
            raise lost from error

    def _save_after(self, error: BaseException) -> NotOwnerError | None:
        """Save; returns the error to report instead where the run directory is not ours any more."""
        ours, log = isinstance(error, MyXTTSError), self.run.log
        update = self.run.state.position.update
        try:
            if isinstance(error, NotOwnerError):
                return self._save_elsewhere(error)
            log.event("failed", str(error) if ours else f"{type(error).__name__}: {error}")
            # skipped updates changed no weight: what was learned before them is saved, with the position after them
            self.saver.save(last=True, new_voices=ours)
            log.warn(f"the state of update {update} is saved; the same command continues from there")
        except NotOwnerError as lost:
            return self._save_elsewhere(lost)
        except MyXTTSError as refused:
            if str(refused) != str(error):
                log.warn(f"the state of update {update} is not saved: {refused}")
        return None

    def _save_elsewhere(self, lost: NotOwnerError) -> NotOwnerError:
        """Save where no other process writes: in the directory as it was moved, else in a new one beside it."""
        update = self.run.state.position.update
        try:
            place = self._own_place()
            self.saver.save(last=True)
            self.run.log.event("failed", str(lost))
        except MyXTTSError as refused:
            return NotOwnerError(f"{lost}; update {update} could not be saved elsewhere: {refused}")
        same = place is self.run.directory
        how = "the same command continues" if same else f"continue with --checkpoint-dir {place.path}"
        return NotOwnerError(f"{lost}; update {update} is saved in {str(place.path)!r}: {how}")

    def _own_place(self) -> RunDirectory:
        """A run directory that this process owns, for store and journals from now on."""
        run, log = self.run, self.run.log
        if (moved := self.lock.moved_to()) is not None:
            self.lock.path = moved / self.lock.path.name  # the journals are open there, and the lock is held there
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
