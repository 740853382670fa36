"""What the parts of a run share: directory and store, log, state and models."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from myxtts.config.schema import Config
from myxtts.data.batches import Batches
from myxtts.errors import StorageError
from myxtts.storage.journal import Journal
from myxtts.storage.run_directory import NotOwnerError, RunDirectory
from myxtts.storage.store import CheckpointStore
from myxtts.training.cluster import Cluster
from myxtts.training.run_state import RunState
from myxtts.training.tensorboard_log import TensorBoardLog
from myxtts.training.trainer import Trainer
from myxtts.vocoder.segments import Segments

WARNING_EVENTS = ("save_failed", "incident_failed", "faults_armed")
"""Events that are also shown as warnings."""


AnyBatches = Batches | Segments


class Display(Protocol):
    """The screen of a run."""

    def say(self, *lines: str) -> None:
        """Print lines."""

    def warn(self, *lines: str) -> None:
        """Print warnings."""

    def training(self, done: int, total: int, figures: Mapping[str, str], line: bool = False) -> None:
        """Move the progress bar; `line` prints a line if there is no bar."""

    def progress(self, task: str, done: int, total: int) -> None:
        """A Progress."""


class RetryingJournal:
    """A journal whose lines wait in memory while they cannot be written; the training continues, with one warning."""

    def __init__(self, journal: Journal, warn: Callable[[str], None]) -> None:
        self.journal, self._warn = journal, warn
        self._failing = False

    def write(self, record: Mapping[str, object]) -> None:
        """Append a record, or keep it until it can be written."""
        try:
            self.journal.write(record)
            self._failing = False
        except NotOwnerError:
            raise
        except StorageError as error:
            if not self._failing:
                self._warn(f"{error}; the lines wait and the training continues")
            self._failing = True


class NoJournal(Journal):
    """The journal of a process that does not write."""

    def __init__(self) -> None:
        """Open nothing."""

    def write(self, record: Mapping[str, object]) -> None:
        """Discard a record."""

    def flush(self, durable: bool = False) -> None:
        """Do nothing."""


class NoTensorBoard(TensorBoardLog):
    """The TensorBoard log of a process that does not write."""

    def __init__(self) -> None:
        """Open nothing."""

    def train(self, record: Mapping[str, object]) -> None:
        """Discard an update."""

    def validation(self, update: int, metrics: Mapping[str, float]) -> None:
        """Discard a validation."""


class RunLog:
    """Events, metrics, TensorBoard and the screen of a run.

    Args:
        screen: the terminal.
        events: events.jsonl.
        state: for the update of each event.
        lost_output: streams of the screen that have failed since the last call, each with the reason.
    """

    metrics: RetryingJournal
    """metrics.jsonl; set, like `tensorboard`, once the update that the run continues from is known."""
    tensorboard: TensorBoardLog

    def __init__(
        self, screen: Display, events: Journal, state: RunState, lost_output: Callable[[], list[str]] = list
    ) -> None:
        self.screen, self.say, self.warn = screen, screen.say, screen.warn
        self.events = RetryingJournal(events, screen.warn)
        self._state, self._lost_output = state, lost_output

    def event(self, event: str, message: str, **more: object) -> None:
        """Write an event."""
        update = self._state.position.update
        self.events.write({"time": time.time(), "update": update, "event": event, "message": message, **more})
        if event in WARNING_EVENTS:
            self.warn(message)
        for line in self._lost_output():
            self.event("output_lost", f"{line}; the training continues; the files of this run hold the missing output")

    def warn_event(self, event: str, message: str, **more: object) -> None:
        """Write an event and show it as a warning."""
        self.event(event, message, **more)
        self.warn(message)


@dataclass
class RunContext:
    """What the parts of one run share."""

    config: Config
    directory: RunDirectory
    store: CheckpointStore
    log: RunLog
    state: RunState
    trainer: Trainer
    batches: AnyBatches
    """Training batches, without the clips in quarantine."""
    texts: dict[str, str]
    """config.yaml and corpus.json, which go into every checkpoint and incident bundle."""

    @property
    def cluster(self) -> Cluster:
        """The processes that train."""
        return self.trainer.step.cluster

    def share(self) -> None:
        """Give the chief's weights and state to the other processes."""
        self.trainer.share()
        self.state.share(self.cluster)
