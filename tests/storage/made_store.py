"""A checkpoint store with small arrays, and processes that are killed while they write to one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from myxtts import faults
from myxtts.storage.store import CheckpointStore

STORE_POINTS = [name for name in faults.PLAIN_POINTS if name.startswith("store.")] + ["file.in_atomic_write"]


def arrays_of(value: float) -> dict[str, dict[str, np.ndarray]]:
    weights = {"encoder/kernel": np.full((8, 5), value, np.float32), "bias": np.arange(3, dtype=np.float32) + value}
    moments = {"bias_m": np.full(3, value / 2, np.float64), "step": np.array(int(value), np.int64)}
    return {"weights": weights, "moments": moments}


def store_in(path: Path, keep: int = 2, every: int = 10) -> CheckpointStore:
    return CheckpointStore(path / "checkpoints", keep, every)


def save(store: CheckpointStore, update: int, value: float | None = None, best: bool = False) -> Path:
    value = float(update) if value is None else value
    return store.save(update, arrays_of(value), {"value": value}, texts={"note.txt": f"متن {value}\n"}, best=best)


def value_of(checkpoint: object) -> float:
    """The one value that everything in a checkpoint of `save` is made of, having checked all of it."""
    value = checkpoint.state["value"]  # type: ignore[attr-defined]
    for stem, named in arrays_of(value).items():
        found = checkpoint.arrays[stem]  # type: ignore[attr-defined]
        assert set(found) == set(named)
        for name, array in named.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype
    assert checkpoint.texts == {"note.txt": f"متن {value}\n"}  # type: ignore[attr-defined]
    return float(value)


def in_child(work: Callable[[], object]) -> int:
    """Runs `work` in a forked process; returns 0, or minus the signal that killed it, or 3 if it raised."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def updates_in(store: CheckpointStore) -> list[int]:
    return sorted(int(path.name[5:]) for path in store.directory.glob("step-*"))
