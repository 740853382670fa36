"""Makes batches ahead of the training loop in a background thread, from any place of the data order."""

from __future__ import annotations

import faulthandler
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from myxtts import faults
from myxtts.batch import Batch
from myxtts.data.plan import FILL_ROW, PlannedBatch
from myxtts.errors import DataError
from myxtts.storage.files import open_regular

POLL_SECONDS = 0.1
CLOSE_SECONDS = 5.0
"""A thread that does not end within this time is left behind: it is stuck, and must not hold up the program."""
_CLIPS_TOLD = 5


class BatchSource(Protocol):
    """What the loader needs: the plan of an epoch, and a batch of it (see batches.Batches)."""

    def plan(self, epoch: int) -> Sequence[PlannedBatch]:
        """The batches of an epoch."""

    def build(self, planned: PlannedBatch, epoch: int) -> Batch:
        """The arrays of one of them."""


@dataclass(frozen=True)
class Loaded:
    """A batch and its place: the epoch, and its index in the plan of that epoch."""

    epoch: int
    index: int
    batch: Batch
    last_of_epoch: bool


@dataclass(frozen=True)
class _Failed:
    """An error of the background thread, on its way to the consumer."""

    error: BaseException


class _Maker:
    """One background thread with a queue of its own: what it made after it was given up goes nowhere."""

    def __init__(self, source: BatchSource, epoch: int, index: int, ahead: int) -> None:
        self.start = (epoch, index)
        self.made: queue.Queue[Loaded | _Failed] = queue.Queue(maxsize=ahead)
        self.closing = threading.Event()
        self.doing: tuple[int, int, PlannedBatch | None] = (epoch, index, None)
        """Epoch, index and batch being made; no batch: the plan of the epoch is."""
        self._source = source
        self._thread = threading.Thread(target=self._run, name="myxtts-loader", daemon=True)
        self._thread.start()

    def end(self, seconds: float) -> None:
        """Asks the thread to end and waits for it that long at most."""
        self.closing.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        """Makes batches until closed; an error goes to the consumer."""
        try:
            self._produce()
        except BaseException as error:  # carried over, not swallowed: the consumer raises it
            self._put(_Failed(error))

    def _produce(self) -> None:
        """Walks through the epochs from the start on, past batches that hold no clip."""
        epoch, index = self.start
        while not self.closing.is_set():
            self.doing = (epoch, index, None)
            planned = self._source.plan(epoch)
            filled = [at for at, batch in enumerate(planned) if batch.clips]
            if not filled:
                raise DataError(
                    f"epoch {epoch} has no batch: there is no clip, or every clip is left out; look at the clips in "
                    "quarantine (events.jsonl of the run) and at the audit of the data"
                )
            for at in filled:
                if at < index:
                    continue
                if self.closing.is_set():
                    return
                self.doing = (epoch, at, planned[at])
                faults.point("data.build_batch")
                batch = self._source.build(planned[at], epoch)
                if not self._put(Loaded(epoch, at, batch, at == filled[-1])):
                    return
            epoch, index = epoch + 1, 0

    def _put(self, item: Loaded | _Failed) -> bool:
        """Hands an item over; False if the thread was asked to end while it waited."""
        while not self.closing.is_set():
            try:
                self.made.put(item, timeout=POLL_SECONDS)
                return True
            except queue.Full:
                continue
        return False


class Loader:
    """Endless batches from (epoch, index) on, a few made ahead. Use as a context, or call `close`.

    A thread that gives nothing for `hang_seconds` is given up once: the stacks of all threads are written down, and
    a new one begins where it stopped. If that one stops at the same place, the consumer gets a DataError.
    """

    def __init__(
        self,
        source: BatchSource,
        epoch: int = 0,
        index: int = 0,
        ahead: int = 4,
        *,
        hang_seconds: float = 60.0,
        on_hang: Callable[[str], None] | None = None,
        stacks_path: Path | None = None,
        clip_name: Callable[[int], str] = str,
    ) -> None:
        """Starts making batches at once.

        Args:
            source: gives plans and batches; may be asked by a new thread while a stuck one is still inside it.
            epoch: epoch to begin with.
            index: batch of that epoch to begin with; at its end, the next epoch begins.
            ahead: most batches that wait to be taken.
            hang_seconds: how long the consumer waits for one batch before the thread counts as stuck.
            on_hang: told in one line that a stuck thread was replaced; called in the consumer's thread.
            stacks_path: file to which the stacks of all threads are appended then.
            clip_name: name of a row, for messages.
        """
        self._source, self._ahead = source, ahead
        self._hang_seconds, self._on_hang = hang_seconds, on_hang
        self._stacks_path, self._clip_name = stacks_path, clip_name
        self._lock = threading.Lock()
        self._closed = False
        self._waited = 0.0
        self._next = (epoch, index)
        self._hung_at: tuple[int, int] | None = None
        self._maker = _Maker(source, epoch, index, ahead)

    def __iter__(self) -> Iterator[Loaded]:
        """Itself."""
        return self

    def __next__(self) -> Loaded:
        """The next batch; waits for it.

        Errors: whatever making it raised; DataError if making it hung twice, or if an epoch has no clip;
        StopIteration once closed.
        """
        begun = last = time.perf_counter()
        idle, maker = 0.0, self._maker
        while True:
            if self._closed:
                raise StopIteration
            if maker is not self._maker:
                idle, maker = 0.0, self._maker
            try:
                item = maker.made.get(timeout=POLL_SECONDS)
            except queue.Empty:
                # A process that was stopped (Ctrl-Z, a sleeping laptop) sees a long poll; that is no hang.
                now = time.perf_counter()
                idle, last = idle + min(now - last, 2 * POLL_SECONDS), now
                if idle >= self._hang_seconds:
                    self._hung(maker)
                continue
            with self._lock:
                if maker is not self._maker:
                    continue  # a restart came in between: the item is of the old place
                if isinstance(item, Loaded):
                    self._next = (item.epoch + 1, 0) if item.last_of_epoch else (item.epoch, item.index + 1)
                    self._hung_at = None
            break
        self._waited += time.perf_counter() - begun
        if isinstance(item, _Failed):
            self.close()
            raise item.error
        return item

    def take_waited_seconds(self) -> float:
        """Seconds that the consumer has waited since this was last asked."""
        waited, self._waited = self._waited, 0.0
        return waited

    def restart(self, epoch: int, index: int) -> None:
        """Drops everything made ahead and goes on from there; no batch of the old place comes after this.

        Plans are asked for anew, so that what the source leaves out by now is left out.
        """
        with self._lock:
            if self._closed:
                raise ValueError("the loader is closed")
            old = self._maker
            old.closing.set()
            self._next = (epoch, index)
            self._maker = _Maker(self._source, epoch, index, self._ahead)
        old.end(0.0)

    def close(self) -> None:
        """Ends the thread and waits for it, but not for one that is stuck; safe to call twice."""
        self._closed = True
        self._maker.end(CLOSE_SECONDS)

    def __enter__(self) -> Loader:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes."""
        self.close()

    def _hung(self, maker: _Maker) -> None:
        """Writes the stacks and begins again where `maker` is stuck; raises DataError if that was done here before."""
        if maker is not self._maker:
            return  # a restart came in between
        place = self._next
        stacks = self._write_stacks(maker)
        happened = f"no batch for {self._hang_seconds:g} s: {self._told(maker)}; {stacks}"
        if self._hung_at == place:
            self._closed = True
            maker.end(0.0)
            raise DataError(
                f"the loader is stuck at the same place again, {happened}; look at the disk of data.cache_path "
                "(or take another folder), or raise data.hang_seconds if it is only slow"
            )
        self._hung_at = place
        self.restart(*place)
        if self._on_hang is not None:
            self._on_hang(f"the loader was stuck, {happened}; it is started again from there")

    def _told(self, maker: _Maker) -> str:
        """What a thread is at: the batch and its clips."""
        epoch, index, planned = maker.doing
        if planned is None:
            return f"planning epoch {epoch}"
        names = [self._clip_name(row) for row in planned.rows if row != FILL_ROW]
        more = f" and {len(names) - _CLIPS_TOLD} more" if len(names) > _CLIPS_TOLD else ""
        return f"making batch {index} of epoch {epoch}, clips {', '.join(map(repr, names[:_CLIPS_TOLD]))}{more}"

    def _write_stacks(self, maker: _Maker) -> str:
        """Appends the stacks of all threads to the file; says where they are."""
        if self._stacks_path is None:
            return "no file for the stacks was named"
        try:
            with open_regular(self._stacks_path, "ab") as file:
                moment = time.strftime("%Y-%m-%d %H:%M:%S")
                file.write(f"{moment} loader stuck: {self._told(maker)}\n".encode("utf-8", "backslashreplace"))
                faulthandler.dump_traceback(file.fileno(), all_threads=True)
                file.write(b"\n")
        except OSError as error:
            return f"the stacks could not be written to {str(self._stacks_path)!r}: {error.strerror}"
        return f"stacks of all threads in {str(self._stacks_path)!r}"
