"""A tiny run through myxtts.training.run.train: made-up recordings, a model of a few thousand weights.

As a program (`python made_run.py FOLDER COMMAND...`) it trains in a process of its own, so that resuming, kills and
signals are what they are for a user.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from myxtts import faults
from tests.made_graphs import graph_optimizer

CLIPS = 6
SETTINGS: dict[str, object] = {
    "text.symbols": "characters",
    "data.num_workers": 1,
    "data.validation_share": 0.3,
    "data.reference_seconds": 0.5,
    "data.length_buckets": 1,
    "model.width": 16,
    "model.heads": 2,
    "model.text_blocks": 1,
    "model.decoder_blocks": 1,
    "model.predictor_width": 8,
    "model.speaker_width": 8,
    "model.voice_width": 8,
    "model.style_width": 4,
    "model.critic_width": 0,
    "training.precision": "fp32",
    "training.batch_size": 2,
    "training.grad_accum": 2,
    "training.max_updates": 6,
    "training.validation_every_updates": 1_000,
    "training.checkpoint_every_updates": 2,
    "training.hot_checkpoint_seconds": 3_600,
    "training.best_tolerance": 0.0,
    "optimizer.learning_rate": 1e-3,
    "schedule.warmup_updates": 2,
}


def make_root(root: Path, clips: int = CLIPS, seed: int = 0) -> Path:
    """Recordings of half a second to one second by two speakers."""
    (root / "wavs").mkdir(parents=True)
    rows = ["id|text|speaker"]
    for i in range(clips):
        time = np.arange(int(22_050 * (0.5 + 0.08 * i))) / 22_050
        hz = 120 + 70 * (i % 2)
        tone = sum(np.sin(2 * np.pi * k * hz * time + k) / k for k in range(1, 9))
        noise = np.random.default_rng([seed, i]).normal(0.0, 0.02, len(time))
        soundfile.write(root / "wavs" / f"c{i}.wav", 0.2 * tone * (0.6 + 0.4 * np.sin(9 * time)) + noise, 22_050)
        rows.append(f"c{i}|Say {'abcdefghijklmnopqrstuvwxyz'[i]}.|s{i % 2}")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    return root


class Screen:
    """Keeps what is shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def say(self, *lines: str) -> None:
        self.lines += lines

    def warn(self, *lines: str) -> None:
        self.warnings += lines

    def training(self, done: int, total: int, figures: Mapping[str, str], line: bool = False) -> None:
        self.lines.append(f"{done}/{total} {dict(figures)}")

    def progress(self, task: str, done: int, total: int) -> None:
        self.lines.append(f"{task} {done}/{total}")

    def lost(self) -> list[str]:
        return []

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def resolved(folder: Path, run: str = "run", root: str = "root", **more: object) -> Any:
    """The settings of a tiny run in folder/run on the data in folder/root."""
    from myxtts.config.resolve import Given, Layer, Rank, resolve

    paths = {
        "data.train_path": str(folder / root),
        "data.cache_path": str(folder / "cache"),
        "training.checkpoint_dir": str(folder / run),
    }
    settings = {**SETTINGS, **paths, **{k.replace("__", "."): v for k, v in more.items()}}
    given = tuple(Given(key, str(value), "test") for key, value in settings.items())
    return resolve([Layer(Rank.FILE, "test", given)])


def train(
    folder: Path,
    run: str = "run",
    *,
    fresh: bool = False,
    init_from: Path | None = None,
    screen: Screen | None = None,
    member: Any = None,
    **more: object,
) -> tuple[int, Screen]:
    """Prepares the data and trains; updates that the run has, and the screen."""
    from myxtts.data.corpus import Corpus
    from myxtts.data.prepare import prepare
    from myxtts.progress import silent
    from myxtts.training.members import ALONE
    from myxtts.training.run import train as really

    settings, screen = resolved(folder, run, **more), screen or Screen()
    base = None
    if init_from is not None and init_from.exists():
        base = Corpus.from_json(json.loads((init_from / "corpus.json").read_text()))
    prepared = prepare(settings.config, silent, named={"data.train_path"}, base=base)
    updates = really(
        settings,
        prepared,
        fresh=fresh,
        init_from=init_from,
        command="python3 train_main.py --again",
        screen=screen,
        lost_output=screen.lost,
        member=member or ALONE,
    )
    return updates, screen


def hashes(run: Path) -> dict[str, str]:
    """SHA-256 of the tensors in the newest checkpoint of a run, by file."""
    newest = max((run / "checkpoints").glob("step-*"), key=lambda p: int(p.name.split("-")[1]))
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(newest.glob("*.safetensors"))}


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def losses(run: Path) -> list[tuple[int, float]]:
    """(update, loss) of every update that was applied, as written."""
    lines = records(run / "metrics.jsonl")
    return [(r["update"], r["loss"]) for r in lines if r["kind"] == "train" and not r["skipped"]]


def events(run: Path, name: str) -> list[dict[str, Any]]:
    return [r for r in records(run / "events.jsonl") if r["event"] == name]


def scripted(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Lets the validations give these values of the metric, and speak nothing."""
    monkeypatch.setattr("myxtts.training.examine.speak_samples", lambda *_: [])
    left = iter(values)
    monkeypatch.setattr("myxtts.training.validation.validate", lambda *_: {"mel": next(left), "total": 1.0})


class KeptTrainers:
    """Stands in for Trainer: the graphs of equal settings are traced once for a whole session of tests."""

    def __init__(self) -> None:
        self._kept: dict[object, tuple[Any, list[Any], list[np.ndarray]]] = {}
        self._generators: dict[int, Any] = {}

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Complete runs and replays use these trainers and generators, not optimized; no fault outlives the block."""
        with pytest.MonkeyPatch.context() as patch, graph_optimizer(on=False):
            for module in ("run", "recovery.replay"):
                patch.setattr(f"myxtts.training.{module}.Trainer", self.trainer)
            patch.setattr("myxtts.training.examine.Generator", self.generator)
            yield
        faults.disarm()

    def made(self) -> list[Any]:
        """All trainers made so far."""
        return [made for made, _, _ in self._kept.values()]

    def trainer(self, config: Any, corpus: Any, cluster: Any = None) -> Any:
        from myxtts.training.trainer import Trainer

        training = config.training
        key = (config.model, config.loss, config.optimizer, training.seed, training.precision, tuple(corpus.speakers))
        key += (config.trains, config.vocoder, training.segment_seconds if config.trains == "vocoder" else 0.0)
        if key not in self._kept:
            made = Trainer(config, corpus)
            step = made.step
            variables = [v.value for v in (*step.weights, *made.average.trainable_variables)]
            variables += [*step.optimizer.moments().values(), step.norms, step.accepted]
            variables.append(step.loss_scale.value)
            self._kept[key] = (made, variables, [v.numpy() for v in variables])
        made, variables, first = self._kept[key]
        for variable, value in zip(variables, first, strict=True):
            variable.assign(value)
        made.step.training, made.config, made.corpus = training, config, corpus
        made.step.loss_scale.good_updates = 0
        made.step.mixed = False
        made.step.discard()
        return made

    def generator(self, model: Any) -> Any:
        from myxtts.models.generate import Generator

        return self._generators.setdefault(id(model), Generator(model))


def train_in_group(folder: Path, options: dict[str, Any]) -> int:
    """As one of several processes (made_group.py); returns the exit code."""
    from myxtts.cli.screen import guarded
    from myxtts.training.members import member_of

    def run() -> int:
        with graph_optimizer(on=False):
            print(train(folder, member=member_of(os.environ), **options)[1].text, flush=True)
        return 0

    return guarded(run)


if __name__ == "__main__":
    given: dict[str, Any] = json.loads(sys.argv[2])
    if given.pop("in_group", False):
        from myxtts.cli.launch import leave

        leave(train_in_group(Path(sys.argv[1]), given))
    print(train(Path(sys.argv[1]), **given)[1].text)
