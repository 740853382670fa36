"""What every part of a run shares: its directory and store, its log, its state and its models."""

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
from myxtts.training.run_state import RunState
from myxtts.training.tensorboard_log import TensorBoardLog
from myxtts.training.trainer import Trainer

WARNING_EVENTS = ("save_failed", "incident_failed", "faults_armed")
"""Events that are shown as warnings: the training continues, and a person must know."""


class Display(Protocol):
    """The screen of a run."""

    def say(self, *lines: str) -> None:
        """Print lines."""

    def warn(self, *lines: str) -> None:
        """Print warnings."""

    def training(self, done: int, total: int, figures: Mapping[str, str], line: bool = False) -> None:
        """Move the progress bar; `line` asks for a line where there is no bar."""

    def progress(self, task: str, done: int, total: int) -> None:
        """A Progress."""


class PatientJournal:
    """A journal that the disk may refuse for a while: its lines wait, the training continues, and it is said once."""

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
                self._warn(f"{error}; the lines wait and the training continues")
            self._refused = True


class RunLog:
    """Events, metrics, TensorBoard and the screen of a run.

    Args:
        screen: what a person sees.
        events: events.jsonl.
        state: for the update of each event.
        lost_output: streams of the screen that have failed since the last call, each with the reason.
    """

    metrics: PatientJournal
    """metrics.jsonl; there once it is known which update the run continues from, as `tensorboard` is."""
    tensorboard: TensorBoardLog

    def __init__(
        self, screen: Display, events: Journal, state: RunState, lost_output: Callable[[], list[str]] = list
    ) -> None:
        self.screen, self.say, self.warn = screen, screen.say, screen.warn
        self.events = PatientJournal(events, screen.warn)
        self._state, self._lost_output = state, lost_output

    def event(self, event: str, message: str, **more: object) -> None:
        """Write an event."""
        update = self._state.position.update
        self.events.write({"time": time.time(), "update": update, "event": event, "message": message, **more})
        if event in WARNING_EVENTS:
            self.warn(message)
        for line in self._lost_output():
            self.event("output_lost", f"{line}; the training continues; this run's files have what is not shown")

    def warn_event(self, event: str, message: str, **more: object) -> None:
        """Write an event and show it as a warning."""
        self.event(event, message, **more)
        self.warn(message)


@dataclass
class RunContext:
    """The parts of one run that all its other parts need."""

    config: Config
    directory: RunDirectory
    store: CheckpointStore
    log: RunLog
    state: RunState
    trainer: Trainer
    batches: Batches
    """Training batches; clips in quarantine are taken out of them."""
    texts: dict[str, str]
    """config.yaml and corpus.json, which go into every checkpoint and incident bundle."""
