"""Makes batches ahead of the training loop in a background thread, from any place of the data order."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from myxtts.batch import Batch
from myxtts.data.plan import PlannedBatch

POLL_SECONDS = 0.1


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


class Loader:
    """Endless batches from (epoch, index) on, a few made ahead. Use as a context, or call `close`."""

    def __init__(self, source: BatchSource, epoch: int = 0, index: int = 0, ahead: int = 4) -> None:
        """Starts making batches at once.

        Args:
            source: gives plans and batches.
            epoch: epoch to begin with.
            index: batch of that epoch to begin with; at its end, the next epoch begins.
            ahead: most batches that wait to be taken.
        """
        self._source = source
        self._start = (epoch, index)
        self._queue: queue.Queue[Loaded | _Failed] = queue.Queue(maxsize=ahead)
        self._closing = threading.Event()
        self._waited = 0.0
        self._thread = threading.Thread(target=self._run, name="myxtts-loader", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Loaded]:
        """Itself."""
        return self

    def __next__(self) -> Loaded:
        """The next batch; waits for it. Errors: whatever making it raised; StopIteration once closed."""
        begun = time.perf_counter()
        while True:
            if self._closing.is_set():
                raise StopIteration
            try:
                item = self._queue.get(timeout=POLL_SECONDS)
                break
            except queue.Empty:
                continue
        self._waited += time.perf_counter() - begun
        if isinstance(item, _Failed):
            self.close()
            raise item.error
        return item

    def take_waited_seconds(self) -> float:
        """Seconds that the consumer has waited since this was last asked."""
        waited, self._waited = self._waited, 0.0
        return waited

    def close(self) -> None:
        """Ends the thread and waits for it; safe to call twice."""
        self._closing.set()
        while self._thread.is_alive():
            try:
                while True:
                    self._queue.get_nowait()
            except queue.Empty:
                self._thread.join(POLL_SECONDS)

    def __enter__(self) -> Loader:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes."""
        self.close()

    def _run(self) -> None:
        """The background thread: makes batches until closed; an error goes to the consumer."""
        try:
            self._produce()
        except BaseException as error:  # carried over, not swallowed: the consumer raises it
            self._put(_Failed(error))

    def _produce(self) -> None:
        """Walks through the epochs from the start on."""
        epoch, index = self._start
        empty_epochs = 0
        while not self._closing.is_set():
            planned = self._source.plan(epoch)
            empty_epochs = 0 if planned else empty_epochs + 1
            if empty_epochs > 1:
                raise ValueError(f"epoch {epoch} has no batch; every clip is excluded or the store is empty")
            for at in range(index, len(planned)):
                if self._closing.is_set():
                    return
                batch = self._source.build(planned[at], epoch)
                if not self._put(Loaded(epoch, at, batch, at == len(planned) - 1)):
                    return
            epoch, index = epoch + 1, 0

    def _put(self, item: Loaded | _Failed) -> bool:
        """Hands an item over; False if the loader was closed while it waited."""
        while not self._closing.is_set():
            try:
                self._queue.put(item, timeout=POLL_SECONDS)
                return True
            except queue.Full:
                continue
        return False
