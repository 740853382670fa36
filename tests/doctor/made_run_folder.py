"""Run directories made by hand, with small arrays and without TensorFlow: intact, damaged, poisoned, diverged."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from myxtts.config.files import config_yaml, provenance_json
from myxtts.config.resolve import Given, Layer, Rank, Resolved, resolve
from myxtts.health.tracker import Health
from myxtts.storage import tensors
from myxtts.storage.checkpoint import MANIFEST, CheckpointManifest, FileRecord, read_manifest, step_name
from myxtts.storage.store import CheckpointStore

IDS = [f"c{index}" for index in range(30)]
RECOVERY = {
    "format": 1,
    "rate_factor": 1.0,
    "clip_factor": 1.0,
    "mel_factor": 1.0,
    "rewarm_from": None,
    "strikes": {},
    "passed": {},
    "recent": [],
    "changes": [],
    "changed_at": 0,
    "quarantine": {},
    "attempts": 40,
    "skipped": [],
    "skipped_in_a_row": 0,
    "last_trouble": 0,
    "proven": 10,
    "candidates": [],
    "searched_in_vain": -20,
    "rollbacks": [],
    "watch": {"block": [], "newest": [], "lowest": [], "first": []},
}


def settings(run: Path, **more: object) -> Resolved:
    given = {"optimization_level": "basic", "training.checkpoint_dir": str(run)}
    given |= {key.replace("__", "."): value for key, value in more.items()}
    return resolve([Layer(Rank.FILE, "test", tuple(Given(key, str(value), "test") for key, value in given.items()))])


def arrays(value: float = 0.5) -> dict[str, dict[str, np.ndarray]]:
    weights = {"encoder/kernel": np.full((4, 3), value, np.float32), "bias": np.arange(3, dtype=np.float32) / 10}
    moments = {f"{kind}/{name}": np.full_like(w, 0.01) for kind in ("first", "second") for name, w in weights.items()}
    return {
        "weights": weights,
        "average": {name: array * 0.9 for name, array in weights.items()},
        "moments": {**moments, "steps": np.array(7, np.int64)},
        "detector": {"norms": np.full(64, 0.7, np.float32), "accepted": np.array(40, np.int64)},
        "utterances": {
            "loss": np.linspace(1, 4, len(IDS), dtype=np.float32),
            "seen": np.full(len(IDS), 3, np.int32),
        },
    }


def state(update: int, well: Health | None = None, **more: Any) -> dict[str, Any]:
    position = {"update": update, "micro_batches": 4 * update, "epoch": 0, "index": 0, "best": None}
    return {
        "position": position,
        "health": (well or Health()).to_json(),
        "loss_scale": {"value": 1.0, "good_updates": 0.0, "moves": 0.0},
        "recovery": dict(RECOVERY),
        **more,
    }


def diverged_health(update: int = 400) -> Health:
    health = Health()
    for number in range(1, update + 1):
        health.observe(number, loss=1.5 if number < update - 120 else 9.0, grad_norm=0.5, clip_norm=0.3)
    return health


def make_run(run: Path, updates: tuple[int, ...] = (10, 20, 30), **more: object) -> Path:
    """A healthy run with one checkpoint at each of `updates`."""
    run.mkdir(parents=True)
    resolved = settings(run, **more)
    (run / "config.yaml").write_text(config_yaml(resolved))
    (run / "provenance.json").write_text(provenance_json(resolved))
    (run / "utterances.txt").write_text("\n".join(IDS) + "\n")
    for update in updates:
        save(run, update)
    events = [{"time": 1.0, "update": 0, "event": "start", "message": "a new run"}]
    (run / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    write_metrics(run, max(updates, default=0))
    return run


def save(
    run: Path, update: int, value: float = 0.5, well: Health | None = None, best: bool = False, **more: Any
) -> Path:
    store = CheckpointStore(run / "checkpoints", 100, 1)
    texts = {"config.yaml": (run / "config.yaml").read_text(), "corpus.json": "{}"}
    return store.save(update, arrays(value), state(update, well, **more), texts=texts, best=best)


def write_metrics(run: Path, updates: int) -> None:
    lines = [
        {
            "kind": "train", "update": number, "loss": 3.0 - number / 100, "grad_norm": 0.6, "learning_rate": 1e-6,
            "skipped": False,
        }
        for number in range(1, updates + 1)
    ]  # fmt: skip
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def add_event(run: Path, event: str, update: int, **more: object) -> None:
    with (run / "events.jsonl").open("a") as file:
        file.write(json.dumps({"time": 2.0, "update": update, "event": event, "message": event, **more}) + "\n")


def poison(run: Path, update: int, value: float = np.nan, stem: str = "weights") -> None:
    """Puts a value into a checkpoint behind the store's back, its manifest made to fit: what no writer here does."""
    folder = run / "checkpoints" / step_name(update)
    manifest = read_manifest(folder)
    path = folder / f"{stem}.safetensors"
    content = np.frombuffer(path.read_bytes(), np.uint8)
    named = {name: array.copy() for name, array in tensors.parse_tensors(content).items()}
    name = next(name for name, array in named.items() if array.dtype.kind == "f")
    named[name].reshape(-1)[0] = value
    path.unlink()
    record = FileRecord(*tensors.write_tensors(path, named))
    files = {**manifest.files, path.name: record}
    (folder / MANIFEST).write_bytes(CheckpointManifest(manifest.update, manifest.best, files).to_bytes())


def cut(run: Path, update: int, name: str = "weights.safetensors") -> None:
    """Truncates a file of a checkpoint."""
    path = run / "checkpoints" / step_name(update) / name
    os.truncate(path, path.stat().st_size // 2)


def flip(run: Path, update: int, name: str = "weights.safetensors", at: int = -3) -> None:
    """Flips a bit of a file of a checkpoint."""
    path = run / "checkpoints" / step_name(update) / name
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(bytes(content))


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder with its content, the lock left out."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "lock"
    }
