"""A training in small without TensorFlow: the real lock, journals, store and signals around a few lines of NumPy.

`python -m tests.faults.small_run FOLDER UPDATES HOT_SECONDS` starts in a fraction of a second, makes updates of some
milliseconds, saves when the hot interval has passed and at every 25th update, and resumes like a training.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from myxtts import faults
from myxtts.errors import EXIT_DONE, EXIT_STOPPED, StorageError
from myxtts.storage.checkpoint import Checkpoint
from myxtts.storage.journal import Journal, read_metrics
from myxtts.storage.run_directory import RunDirectory
from myxtts.storage.store import CheckpointStore

ROOT = Path(__file__).resolve().parents[2]
EVERY = 25
UPDATE_SECONDS = 0.003


class Weights:
    """Something that changes with every update, and by all updates before it."""

    def __init__(self) -> None:
        self.w = np.linspace(-1.0, 1.0, 400, dtype=np.float32).reshape(20, 20)
        self.m = np.zeros_like(self.w)

    def learn(self, update: int) -> float:
        """One update; its loss."""
        noise = np.random.default_rng([7, update]).standard_normal(self.w.shape).astype(np.float32)
        self.m = np.float32(0.9) * self.m + np.float32(0.1) * (self.w - noise)
        self.w = self.w - np.float32(0.05) * self.m
        return float(np.square(self.w - noise).mean())

    def restore(self, checkpoint: Checkpoint) -> None:
        """Weights and moments of a checkpoint."""
        self.w = np.array(checkpoint.arrays["weights"]["w"])
        self.m = np.array(checkpoint.arrays["moments"]["m"])

    def arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """What a checkpoint holds of them."""
        return {"weights": {"w": self.w}, "moments": {"m": self.m}}


def train(run: RunDirectory, updates: int, hot_seconds: float) -> int:
    """All updates that are left; 0, or 75 after a signal. Raises StorageError."""
    from myxtts.training.signals import StopSignals

    faults.arm_from_environment()
    store = CheckpointStore(run.checkpoints_path, 2, EVERY)
    with run.lock() as lock:
        done = store.remove_stale(lock)
        with Journal(run.events_path, flush_lines=1) as events, StopSignals() as signals:
            for line in done:
                events.write({"event": "cleaned", "message": line})
            checkpoint, weights = store.newest(), Weights()
            update = 0 if checkpoint is None else checkpoint.update
            if checkpoint is not None:
                weights.restore(checkpoint)
            events.write(
                {"event": "resume" if update else "start", "update": update, "passed_over": len(store.damaged)}
            )
            with Journal(run.metrics_path, restored_update=update) as metrics:
                last = time.monotonic()
                while update < updates and not signals.requested:
                    faults.point("data.next_batch")
                    time.sleep(UPDATE_SECONDS)
                    update += 1
                    metrics.write({"kind": "train", "update": update, "loss": weights.learn(update)})
                    faults.point("loop.update")
                    if update % EVERY == 0 or time.monotonic() - last >= hot_seconds:
                        _save(store, metrics, update, weights, best=False)
                        last = time.monotonic()
                _save(store, metrics, update, weights, best=update == updates)
                return EXIT_DONE if update == updates else EXIT_STOPPED


def _save(store: CheckpointStore, metrics: Journal, update: int, weights: Weights, *, best: bool) -> None:
    metrics.flush(durable=True)
    store.save(update, weights.arrays(), {"update": update}, texts={"config.yaml": "seed: 7\n"}, best=best)


def start(folder: Path, updates: int, hot_seconds: float = 0.15, fault: str = "") -> subprocess.Popen[str]:
    """A process of it."""
    words = [sys.executable, "-m", "tests.faults.small_run", str(folder), str(updates), str(hot_seconds)]
    environment = {**os.environ, "MYXTTS_FAULT": fault, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        words, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def outcome(folder: Path) -> tuple[list[tuple[int, float]], str]:
    """(update, loss) as written, and the hash of the newest checkpoint's arrays."""
    checkpoint = CheckpointStore(RunDirectory(folder).checkpoints_path, 2, EVERY).newest()
    digest = hashlib.sha256()
    for stem in ("weights", "moments"):
        for array in (checkpoint.arrays[stem] if checkpoint is not None else {}).values():
            digest.update(np.ascontiguousarray(array).tobytes())
    lines = read_metrics(RunDirectory(folder).metrics_path)
    return [(line["update"], line["loss"]) for line in lines], digest.hexdigest()


if __name__ == "__main__":
    try:
        sys.exit(train(RunDirectory(Path(sys.argv[1])), int(sys.argv[2]), float(sys.argv[3])))
    except StorageError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
