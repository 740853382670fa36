"""The models that the page can use: the one it was started with, and the runs."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from myxtts.errors import CheckpointError, MyXTTSError
from myxtts.server.studio.common import StudioSettings
from myxtts.server.studio.runs import RunShelf
from myxtts.storage.find_checkpoint import intact_steps
from myxtts.storage.run_directory import RunDirectory
from myxtts.synthesis.opened import open_model
from myxtts.synthesis.synthesizer import Synthesizer

DEFAULT = ""
"""The model that the studio was started with."""
_MOST_OTHERS = 1


class SpeakingModels:
    """Loads the models when they are used; the default and the newest other one stay in memory."""

    def __init__(self, settings: StudioSettings, runs: RunShelf, default: Synthesizer) -> None:
        self._settings, self._runs, self._default = settings, runs, default
        self._others: dict[tuple[str, int], Synthesizer] = {}
        self._lock = threading.Lock()

    def catalog(self) -> list[dict[str, Any]]:
        """The models as plain values; the id of the default is empty."""
        listed = [{"id": DEFAULT, "name": self._settings.model}]
        for name in self._runs.names():
            if self._runs.summary(name)["speaks"]:
                listed.append({"id": name, "name": name})
        return listed

    def get(self, model: str) -> Synthesizer:
        """The synthesizer of a model, loaded if necessary. Raises DataError, CheckpointError."""
        if model == DEFAULT:
            return self._default
        path = self._runs.existing(model)
        steps = intact_steps(RunDirectory(path).checkpoints_path)
        key = (model, max(steps, default=0))  # a training writes newer ones
        with self._lock:
            if key not in self._others:
                try:
                    loaded = self._settings.load(open_model(Path(path)))
                except MyXTTSError as error:
                    raise CheckpointError(f"run {model!r} cannot speak: {error}") from error
                while len(self._others) >= _MOST_OTHERS:
                    del self._others[next(iter(self._others))]
                self._others[key] = loaded
            return self._others[key]
