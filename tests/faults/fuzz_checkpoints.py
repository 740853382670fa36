"""Fuzzed checkpoints: damaged ones through the search of storage; whole ones with other contents up to a model.

A sealed checkpoint has a right manifest over wrong contents, as another program or version could have written it.
"""

# Tables, one row a line.
# ruff: noqa: E501

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from myxtts.config.fields import LEAVES
from myxtts.config.files import config_yaml
from myxtts.errors import ConfigError
from myxtts.health.tracker import Health
from myxtts.storage.checkpoint import MANIFEST, CheckpointManifest, FileRecord, _sealed
from myxtts.storage.find_checkpoint import find, newest_in
from myxtts.storage.store import CheckpointStore
from myxtts.synthesis.opened import open_checkpoint
from tests import made_model
from tests.faults.fuzzed import Expected, Outcome, chosen_items, described, judged, time_limit

Maker = Callable[[Path, np.random.Generator], None]
LOADED_EVERY = 4
ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    1,
    10**30,
    1e308,
    -0.5,
    "",
    "x",
    "\x1b[2J",
    "../x",
    [],
    {},
    [[]],
    [None],
    {"a": 1},
    ["x"] * 3,
    "nan",
]


def _reseal(folder: Path, update: int = 2) -> None:
    """A right manifest for whatever is in the folder."""
    import hashlib

    files = {
        path.name: FileRecord(path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    }
    (folder / MANIFEST).write_bytes(CheckpointManifest(update, False, files).to_bytes())


def _any_file(folder: Path, random: np.random.Generator) -> Path:
    paths = sorted(folder.iterdir())
    return paths[int(random.integers(len(paths)))]


def _flip(folder: Path, random: np.random.Generator) -> None:
    path = _any_file(folder, random)
    content = bytearray(path.read_bytes())
    content[int(random.integers(len(content)))] ^= 1 << int(random.integers(8))
    path.write_bytes(content)


def _truncate(folder: Path, random: np.random.Generator) -> None:
    path = _any_file(folder, random)
    path.write_bytes(path.read_bytes()[: int(random.integers(path.stat().st_size))])


def _swap(folder: Path, random: np.random.Generator) -> None:
    first, second = sorted(folder.glob("*.safetensors"))[:2]
    first_content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(first_content)


def _special(folder: Path, random: np.random.Generator) -> None:
    import os

    path = _any_file(folder, random)
    path.unlink()
    [lambda: path.mkdir(), lambda: os.mkfifo(path), lambda: path.symlink_to(path.name), lambda: path.symlink_to("/dev/zero")][
        int(random.integers(4))
    ]()  # fmt: skip


def _extra(folder: Path, random: np.random.Generator) -> None:
    (folder / str(random.choice(["x", "weights.safetensors.tmp", "\x1b[2J", "a b"]))).write_bytes(b"x")


def _future(folder: Path, random: np.random.Generator) -> None:
    body = json.loads((folder / MANIFEST).read_text())
    del body["digest"]
    body["version"] = int(random.integers(2, 1000))
    (folder / MANIFEST).write_bytes(_sealed(body))


def _odd_manifest(folder: Path, random: np.random.Generator) -> None:
    body = json.loads((folder / MANIFEST).read_text())
    del body["digest"]
    _spoil(body, random)
    (folder / MANIFEST).write_bytes(_sealed(body))


def _spoil(value: Any, random: np.random.Generator) -> None:
    """Replaces, removes or adds one item of a JSON value."""
    while True:
        keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = keys[int(random.integers(len(keys)))]
        if not isinstance(value[key], dict | list) or not value[key] or random.random() < 0.3:
            break
        value = value[key]
    how = random.random()
    if how < 0.2:
        del value[key]
    elif how < 0.3 and isinstance(value, dict):
        value["\x1b[1mnew"] = 1
    else:
        value[key] = ODD[int(random.integers(len(ODD)))]


def _nan(folder: Path, random: np.random.Generator) -> None:
    path = sorted(folder.glob("*.safetensors"))[int(random.integers(2))]
    content = bytearray(path.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    at = header + 4 * int(random.integers((len(content) - header) // 4))
    content[at : at + 4] = np.float32(random.choice([np.nan, np.inf, -np.inf])).tobytes()
    path.write_bytes(content)
    _reseal(folder)


def _odd_header(folder: Path, random: np.random.Generator) -> None:
    path = sorted(folder.glob("*.safetensors"))[int(random.integers(2))]
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    how = int(random.integers(5))
    if how == 0:
        _spoil(header, random)
    elif how == 1:
        length = int(random.choice([0, 1, 2**63, length + 8, len(content)]))
    else:
        entry = header[sorted(header)[int(random.integers(len(header)))]]
        entry["shape"] = [[2**40, 2**40], [-1], [1.5], [2**62], [*entry["shape"][::-1], 1], [0], ["a"]][
            int(random.integers(7))
        ]
        if how == 2:
            entry["data_offsets"] = [0, int(random.integers(1 << 40))]
        if how == 3:
            entry["dtype"] = str(random.choice(["F64", "BF16", "F8_E4M3", "BOOL", "I8", "\x1b"]))
    text = json.dumps(header).encode()
    length = len(text) if how != 1 else length
    path.write_bytes(length.to_bytes(8, "little") + text + content[8 + int.from_bytes(content[:8], "little") :])
    _reseal(folder)


def _noise(folder: Path, random: np.random.Generator) -> None:
    path = _any_file(folder, random)
    path.write_bytes(random.bytes(int(random.integers(0, 2000))))
    if path.name != MANIFEST:
        _reseal(folder)


def _text(name: str) -> Maker:
    def make(folder: Path, random: np.random.Generator) -> None:
        value = json.loads((folder / name).read_text())
        for _ in range(int(random.integers(1, 3))):
            _spoil(value, random)
        (folder / name).write_text(json.dumps(value))
        _reseal(folder)

    return make


def _config(folder: Path, random: np.random.Generator) -> None:
    from tests.faults.fuzz_config import _mutated

    (folder / "config.yaml").write_bytes(_mutated(random))
    _reseal(folder)


def _other_shapes(folder: Path, random: np.random.Generator) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder / "average.safetensors"
    arrays = load_file(path)
    name = sorted(arrays)[int(random.integers(len(arrays)))]
    how = int(random.integers(3))
    if how == 0:
        arrays[name] = np.zeros([*arrays[name].shape, 2], np.float32)
    elif how == 1:
        arrays["another/model/kernel"] = arrays.pop(name)
    else:
        del arrays[name]
    save_file(arrays, path)
    _reseal(folder)


def _remove(folder: Path, random: np.random.Generator) -> None:
    _any_file(folder, random).unlink()


def _empty(folder: Path, random: np.random.Generator) -> None:
    _any_file(folder, random).write_bytes(b"")


def _stem_gone(folder: Path, random: np.random.Generator) -> None:
    sorted(folder.glob("*.safetensors"))[int(random.integers(2))].unlink()
    _reseal(folder)


ITEMS: dict[str, tuple[Expected, Maker]] = {
    "flipped bit": ("reject", _flip),
    "truncated": ("reject", _truncate),
    "file deleted": ("reject", _remove),
    "file emptied": ("reject", _empty),
    "files swapped": ("reject", _swap),
    "folder, FIFO or link for a file": ("reject", _special),
    "foreign file": ("accept", _extra),
    "a future format": ("reject", _future),
    "odd manifest": ("any", _odd_manifest),
    "NaN inside": ("reject", _nan),
    "odd header of tensors": ("any", _odd_header),
    "noise, sealed": ("any", _noise),
    "tensors gone, sealed": ("any", _stem_gone),
    "odd state, sealed": ("any", _text("state.json")),
    "odd corpus, sealed": ("any", _text("corpus.json")),
    "odd settings, sealed": ("any", _config),
    "other shapes, sealed": ("any", _other_shapes),
}
WEIGHTS = {
    "flipped bit": 4,
    "truncated": 3,
    "odd header of tensors": 4,
    "odd corpus, sealed": 3,
    "odd state, sealed": 2,
}
LOADED = ("other shapes, sealed", "odd corpus, sealed", "odd settings, sealed", "tensors gone, sealed")


@lru_cache(maxsize=1)
def _arrays() -> dict[str, np.ndarray]:
    return {"a/kernel": np.ones((7, 5), np.float32), "b/bias": np.arange(3, dtype=np.float32)}


def fuzz(count: int, seed: int, done: Callable[[int], None], with_models: bool = True) -> Iterator[Outcome]:
    """Checkpoints, each beside an older good one. `with_models`: some are loaded into a synthesizer (TensorFlow)."""
    random = np.random.default_rng([seed, 5])
    with tempfile.TemporaryDirectory(prefix="myxtts-fuzz-") as name:
        folder = Path(name)
        settings = made_model.resolved()
        if with_models:
            made_model.save_run(folder / "good", settings)
        else:
            texts = {"config.yaml": config_yaml(settings), "corpus.json": json.dumps(made_model.corpus().to_json())}
            store = CheckpointStore(folder / "good" / "checkpoints", keep=2, kept_every_updates=10)
            store.save(
                10,
                {"average": _arrays(), "voices": {"voice_ZE": np.eye(3, dtype=np.float32)}},
                {},
                texts=texts,
                best=True,
            )
        step = next((folder / "good" / "checkpoints").glob("step-*"))
        state = json.dumps(
            {"position": {"update": 2, "epoch": 0, "index": 3}, "health": Health().to_json(), "loss_scale": {}}
        )
        (step / "state.json").write_text(state)
        for number, item in enumerate(chosen_items(ITEMS, WEIGHTS, count, random)):
            yield one(item, folder, step, random, with_models and number % LOADED_EVERY == 0)
            done(1)


def one(item: str, folder: Path, good: Path, random: np.random.Generator, load: bool) -> Outcome:
    """What comes of one checkpoint: found and read to the last tensor, opened for synthesis, perhaps loaded."""
    expected, make = ITEMS[item]
    run = folder / "run" / "checkpoints"
    bad, older = run / "step-00000002", run / "step-00000001"
    for target, update in ((older, 1), (bad, 2)):
        shutil.copytree(good, target)
        _reseal(target, update)
    try:
        make(bad, random)
        with time_limit(60):
            newest, damaged = _newest(run)
            message = damaged[0].reason if damaged else ""
            if newest is not None and newest.update == 1 and damaged:
                outcome = judged(item, expected, "rejected", f"{damaged[0].path.name}: {message}", ["step-00000002"])
            elif newest is None:
                outcome = judged(item, expected, "rejected", message, [str(folder)])
            else:
                outcome = judged(item, expected, "accepted", "")
            if outcome.state != "accepted":
                return outcome
            outcome.nonfinite = _read_all(newest.arrays)
            Health.from_json(newest.state.get("health", {}))
            if load:
                from myxtts.synthesis.synthesizer import Synthesizer

                Synthesizer(open_checkpoint(bad))
            else:
                open_checkpoint(bad)
            return outcome
    except ConfigError as error:
        outcomes = [judged(item, expected, "rejected", problem, [str(folder), *LEAVES]) for problem in error.problems]
        return next((outcome for outcome in outcomes if outcome.state == "wrong"), outcomes[0])
    except Exception as error:
        return judged(item, expected, *described(error), [str(folder), "checkpoint", "corpus", "symbol"])
    finally:
        shutil.rmtree(run.parent)


def _newest(run: Path) -> tuple[Any, Any]:
    """The newest valid checkpoint; a newer format makes the run unusable."""
    from myxtts.storage.checkpoint import Damage, FutureFormatError

    find(run.parent)
    try:
        return newest_in(run)
    except FutureFormatError as error:
        return None, [Damage(run, str(error))]


def _read_all(arrays: Any) -> int:
    """Values that are not finite in all tensors of a checkpoint."""
    return sum(
        int((~np.isfinite(array.astype(np.float64))).sum()) for stem in arrays for array in arrays[stem].values()
    )
