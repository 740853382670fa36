"""Makes batches ahead of the training loop in a background thread, from any position in the data order."""

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

import numpy as np
import numpy.typing as npt

from myxtts import faults
from myxtts.batch import Batch
from myxtts.data.plan import FILL_ROW, PlannedBatch
from myxtts.errors import DataError
from myxtts.storage.files import open_regular

POLL_SECONDS = 0.1
CLOSE_SECONDS = 5.0
"""A thread that does not end within this time is stuck, and is abandoned so that it does not hold up the program."""
_CLIPS_NAMED = 5


class BatchSource(Protocol):
    """The interface that the loader needs (see batches.Batches)."""

    def plan(self, epoch: int) -> Sequence[PlannedBatch]:
        """The batches of an epoch."""

    def build(self, planned: PlannedBatch, epoch: int) -> Batch:
        """The arrays of a planned batch."""


class Share:
    """The share of one process in the batches of a source: all plan the same, each makes its own rows.

    Args:
        source: plans and makes complete batches.
        rank: which of the shares.
        size: number of processes; batches that are no multiple of it get rows without a clip.
    """

    def __init__(self, source: BatchSource, rank: int, size: int) -> None:
        self.source, self.rank, self.size = source, rank, size

    def plan(self, epoch: int) -> list[PlannedBatch]:
        """The batches of an epoch, with the rows of all processes."""
        return [
            PlannedBatch(batch.bucket, batch.rows + (FILL_ROW,) * (-len(batch.rows) % self.size))
            for batch in self.source.plan(epoch)
        ]

    def build(self, planned: PlannedBatch, epoch: int) -> Batch:
        """The arrays of the rows of this process."""
        rows = len(planned.rows) // self.size
        own = planned.rows[self.rank * rows : (self.rank + 1) * rows]
        return self.source.build(PlannedBatch(planned.bucket, own), epoch)


@dataclass(frozen=True)
class Loaded:
    """A batch and its position: the epoch, and the index in the plan of that epoch."""

    epoch: int
    index: int
    batch: Batch
    """The rows of this process."""
    last_of_epoch: bool
    planned: PlannedBatch | None = None
    """The rows of all processes; None if those in `batch` are all."""

    @property
    def rows_B(self) -> npt.NDArray[np.int64]:
        """The row of the feature store in each row of the batch of all processes; FILL_ROW without a clip."""
        rows = self.batch["utterance_B"] if self.planned is None else self.planned.rows
        return np.asarray(rows, np.int64)


@dataclass(frozen=True)
class _Failed:
    """An error of the background thread, to be raised in the consumer's thread."""

    error: BaseException


class _Producer:
    """A background thread with its own queue, so that batches of an abandoned thread are discarded."""

    def __init__(self, source: BatchSource, epoch: int, index: int, ahead: int) -> None:
        self.start = (epoch, index)
        self.made: queue.Queue[Loaded | _Failed] = queue.Queue(maxsize=ahead)
        self.closing = threading.Event()
        self.doing: tuple[int, int, PlannedBatch | None] = (epoch, index, None)
        """Epoch, index and batch in progress; no batch while the epoch is being planned."""
        self._source = source
        self._thread = threading.Thread(target=self._run, name="myxtts-loader", daemon=True)
        self._thread.start()

    def end(self, seconds: float) -> None:
        """Signals the thread to end, and waits for it at most this long."""
        self.closing.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        """Makes batches until closed; passes an error to the consumer."""
        try:
            self._produce()
        except BaseException as error:  # not swallowed: the consumer raises it
            self._put(_Failed(error))

    def _produce(self) -> None:
        """Goes through the epochs from the start position, skipping batches without clips."""
        epoch, index = self.start
        while not self.closing.is_set():
            self.doing = (epoch, index, None)
            planned = self._source.plan(epoch)
            filled = [at for at, batch in enumerate(planned) if batch.clips]
            if not filled:
                raise DataError(
                    f"epoch {epoch} has no batch: there are no clips, or all are in quarantine; look at the clips in "
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
                if not self._put(Loaded(epoch, at, batch, at == filled[-1], planned[at])):
                    return
            epoch, index = epoch + 1, 0

    def _put(self, item: Loaded | _Failed) -> bool:
        """Puts an item on the queue; False if the thread was to end while it waited."""
        while not self.closing.is_set():
            try:
                self.made.put(item, timeout=POLL_SECONDS)
                return True
            except queue.Full:
                continue
        return False


class Loader:
    """Endless batches from (epoch, index), a few made ahead. Use as a context manager, or call `close`.

    If no batch arrives for `hang_seconds`, the stacks of all threads are written to a file, and a new thread starts
    from the same position. If that one hangs there too, the consumer gets a DataError.
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
            source: plans and makes batches; a new thread may use it while a stuck one is still in it.
            epoch: first epoch.
            index: first batch of that epoch; at its end the next epoch follows.
            ahead: most batches in the queue.
            hang_seconds: how long the consumer waits for a batch before the thread counts as stuck.
            on_hang: called with one line in the consumer's thread when a stuck thread was replaced.
            stacks_path: file to which the stacks of all threads are appended then.
            clip_name: name of a row for messages.
        """
        self._source, self._ahead = source, ahead
        self._hang_seconds, self._on_hang = hang_seconds, on_hang
        self._stacks_path, self._clip_name = stacks_path, clip_name
        self._lock = threading.Lock()
        self._closed = False
        self._waited = 0.0
        self._next = (epoch, index)
        self._hung_at: tuple[int, int] | None = None
        self._producer = _Producer(source, epoch, index, ahead)

    def __iter__(self) -> Iterator[Loaded]:
        """Returns itself."""
        return self

    def __next__(self) -> Loaded:
        """Waits for the next batch.

        Errors: what its source raised; DataError if it hung twice, or if an epoch has no clips; StopIteration once
        closed.
        """
        begun = last = time.perf_counter()
        idle, producer = 0.0, self._producer
        while True:
            if self._closed:
                raise StopIteration
            if producer is not self._producer:
                idle, producer = 0.0, self._producer
            try:
                item = producer.made.get(timeout=POLL_SECONDS)
            except queue.Empty:
                # After a stop (Ctrl-Z, a sleeping laptop) a poll seems long, which is not a hang.
                now = time.perf_counter()
                idle, last = idle + min(now - last, 2 * POLL_SECONDS), now
                if idle >= self._hang_seconds:
                    self._replace(producer)
                continue
            with self._lock:
                if producer is not self._producer:
                    continue  # a restart came in between: the item is of the old position
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
        """Seconds that the consumer has waited since the last call."""
        waited, self._waited = self._waited, 0.0
        return waited

    def restart(self, epoch: int, index: int) -> None:
        """Discards all batches made ahead, and continues from another position.

        Epochs are planned again, so that clips quarantined since then are excluded.
        """
        with self._lock:
            if self._closed:
                raise ValueError("the loader is closed")
            old = self._producer
            old.closing.set()
            self._next = (epoch, index)
            self._producer = _Producer(self._source, epoch, index, self._ahead)
        old.end(0.0)

    def close(self) -> None:
        """Ends the thread and waits for it unless it is stuck; may be called twice."""
        self._closed = True
        self._producer.end(CLOSE_SECONDS)

    def __enter__(self) -> Loader:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the loader."""
        self.close()

    def _replace(self, producer: _Producer) -> None:
        """Writes the stacks and replaces a stuck thread; raises DataError the second time at one position."""
        if producer is not self._producer:
            return  # a restart came in between
        place = self._next
        stacks = self._write_stacks(producer)
        happened = f"no batch for {self._hang_seconds:g} s: {self._describe(producer)}; {stacks}"
        if self._hung_at == place:
            self._closed = True
            producer.end(0.0)
            raise DataError(
                f"the loader is stuck at the same position again, {happened}; look at the disk of data.cache_path "
                "(or use another folder), or raise data.hang_seconds if it is only slow"
            )
        self._hung_at = place
        self.restart(*place)
        if self._on_hang is not None:
            self._on_hang(f"the loader was stuck, {happened}; it was restarted from there")

    def _describe(self, producer: _Producer) -> str:
        """What a thread is working on: the batch and its clips."""
        epoch, index, planned = producer.doing
        if planned is None:
            return f"planning epoch {epoch}"
        names = [self._clip_name(row) for row in planned.rows if row != FILL_ROW]
        more = f" and {len(names) - _CLIPS_NAMED} more" if len(names) > _CLIPS_NAMED else ""
        return f"making batch {index} of epoch {epoch}, clips {', '.join(map(repr, names[:_CLIPS_NAMED]))}{more}"

    def _write_stacks(self, producer: _Producer) -> str:
        """Appends the stacks of all threads to the file; returns where they are."""
        if self._stacks_path is None:
            return "there is no file for the stacks"
        try:
            with open_regular(self._stacks_path, "ab") as file:
                moment = time.strftime("%Y-%m-%d %H:%M:%S")
                file.write(f"{moment} loader stuck: {self._describe(producer)}\n".encode("utf-8", "backslashreplace"))
                faulthandler.dump_traceback(file.fileno(), all_threads=True)
                file.write(b"\n")
        except OSError as error:
            return f"the stacks could not be written to {str(self._stacks_path)!r}: {error.strerror}"
        return f"stacks of all threads in {str(self._stacks_path)!r}"
