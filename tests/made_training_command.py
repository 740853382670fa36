"""The training commands with data preparation and training replaced, for tests of what they are called with."""

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from myxtts.cli import train as command

TEXT = "The birch canoe slid on the smooth planks, and it's gone."
ROOT = Path(__file__).resolve().parents[1]


class Store:
    def __init__(self, clips: int) -> None:
        self.lengths = (np.full(clips, 80, np.int32), np.full(clips, 300, np.int32))
        self.utterances = [types.SimpleNamespace(text=TEXT, language="fa")] * clips

    def __len__(self) -> int:
        return len(self.lengths[0])


def stable(*words: str) -> int:
    return command.main(
        list(words), program="train_stable.py", pinned_level="basic", default_checkpoint_dir="./checkpoints_stable"
    )


def main(*words: str) -> int:
    return command.main(list(words), program="train_main.py", default_checkpoint_dir="./checkpoints")


def errors(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert "Traceback" not in err and out == ""
    lines = err.splitlines()
    assert all(line.startswith("error: ") for line in lines)
    return lines


def replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Stands in for data preparation and training, in a folder without data; what they were called with."""
    seen: dict[str, Any] = {}

    def prepare(
        config: Any, progress: Any, named: Any, base: Any = None, known: Any = None, shared: bool = False
    ) -> Any:
        seen["prepare"] = (config, named, base)
        progress("features", 1, 2)
        return types.SimpleNamespace(
            train=Store(100),
            validation=Store(5),
            corpus=types.SimpleNamespace(speakers=["a", "b"], languages=["en-us", "fa"]),
            notes=["a note on the data"],
            audit=types.SimpleNamespace(table=lambda: ["training 100 clips"]),
        )

    def train(resolved: Any, prepared: Any, **options: Any) -> int:
        seen["train"] = (resolved, prepared, options)
        return 40

    monkeypatch.setitem(sys.modules, "myxtts.data.prepare", types.SimpleNamespace(prepare=prepare))
    monkeypatch.setattr(command, "python_command", lambda: ".venv/bin/python")
    monkeypatch.setitem(sys.modules, "myxtts.training.run", types.SimpleNamespace(train=train))
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return seen
