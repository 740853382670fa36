"""W3: altered data never loads. A thousand flipped bits, a hundred truncations, every file gone, emptied, swapped."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from myxtts.errors import CheckpointError
from myxtts.storage.checkpoint import DamagedError, read_checkpoint, step_name
from myxtts.storage.store import CheckpointStore

FLIPS = 1_000
TRUNCATIONS = 100
OLD, NEW = 100, 200


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CheckpointStore:
    """Two checkpoints with the files that a training writes; a test leaves them as they were."""
    store = CheckpointStore(tmp_path_factory.mktemp("altered"), 9, 1)
    numbers = np.random.default_rng(0)
    for update in (OLD, NEW):
        arrays = {
            stem: {
                "encoder/kernel": numbers.standard_normal((30, 12)).astype(np.float32),
                "encoder/bias": numbers.standard_normal(12).astype(np.float32),
                "count": np.array(update, np.int64),
            }
            for stem in ("weights", "average", "moments", "voices", "detector")
        }
        texts = {"config.yaml": f"seed: {update}\n", "corpus.json": '{"speakers": ["a"]}\n'}
        store.save(update, arrays, {"update": update, "epoch": update / 7}, texts=texts, best=update == NEW)
    return store


def folder_of(store: CheckpointStore, update: int = NEW) -> Path:
    return store.directory / step_name(update)


def files_of(store: CheckpointStore) -> list[Path]:
    return sorted(folder_of(store).iterdir())


def with_content(path: Path, change: Callable[[bytes], bytes | None], check: Callable[[], None]) -> None:
    """Runs `check` while the file has other content, or is gone, and restores it."""
    whole = path.read_bytes()
    changed = change(whole)
    assert changed != whole
    try:
        if changed is None:
            path.unlink()
        else:
            path.write_bytes(changed)
        check()
    finally:
        path.write_bytes(whole)


def rejected(store: CheckpointStore, path: Path) -> Callable[[], None]:
    """That the checkpoint with this file is not read, and says which file is bad."""

    def check() -> None:
        with pytest.raises(DamagedError) as error:
            read_checkpoint(path.parent)
        assert path.name in str(error.value) and "\n" not in str(error.value)

    return check


def older_taken(store: CheckpointStore) -> None:
    """That a search passes over the altered one, aloud, for the newest and for the best."""
    newest = store.newest()
    assert newest is not None and newest.update == OLD
    assert [damage.path.name for damage in store.damaged] == [step_name(NEW)]
    best = store.best()
    assert best is None or best.update != NEW
    assert np.array_equal(newest.arrays["weights"]["count"], OLD)


def flipped(content: bytes, position: int, bit: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 1 << bit
    return bytes(changed)


def test_a_thousand_flipped_bits(store: CheckpointStore) -> None:
    """Half of them in proportion to the size of the files, half the same number in each, however small."""
    chance, files = random.Random(1), files_of(store)
    sizes = [path.stat().st_size for path in files]
    chosen = [*chance.choices(files, sizes, k=FLIPS // 2), *(files[i % len(files)] for i in range(FLIPS // 2))]
    for path in chosen:
        position, bit = chance.randrange(path.stat().st_size), chance.randrange(8)
        with_content(path, lambda whole, p=position, b=bit: flipped(whole, p, b), rejected(store, path))
    assert {path.name for path in chosen} == {path.name for path in files} and len(chosen) == FLIPS
    whole = store.newest()
    assert whole is not None and whole.update == NEW and store.damaged == []


def test_a_hundred_truncations(store: CheckpointStore) -> None:
    chance, files = random.Random(2), files_of(store)
    for number in range(TRUNCATIONS):
        path = files[number % len(files)]
        length = chance.randrange(path.stat().st_size)
        with_content(path, lambda whole, n=length: whole[:n], rejected(store, path))


def test_blocks_of_zeros_as_a_lost_page_leaves_them(store: CheckpointStore) -> None:
    """The size is right and the bytes never came to the disk."""
    for path in files_of(store):
        with_content(path, lambda whole: bytes(len(whole)), rejected(store, path))
        half = path.stat().st_size // 2
        with_content(path, lambda whole, n=half: whole[:n] + bytes(len(whole) - n), rejected(store, path))


def test_each_file_deleted_emptied_and_swapped(store: CheckpointStore) -> None:
    """Swapped with the file of the same name in the other checkpoint, and with each other file of its own."""
    files = files_of(store)
    for path in files:
        twin = (folder_of(store, OLD) / path.name).read_bytes()
        others = [other.read_bytes() for other in files if other != path]
        same = path.read_bytes() == twin  # such as corpus.json: the same in both, nothing is altered
        for content in (None, b"", *([] if same else [twin]), *others):
            with_content(path, lambda whole, c=content: c, lambda p=path: (rejected(store, p)(), older_taken(store)))  # type: ignore[misc]


def test_two_damaged_checkpoints_are_an_error_and_not_a_new_start(store: CheckpointStore) -> None:
    new, old = (folder_of(store, update) / "weights.safetensors" for update in (NEW, OLD))

    def both() -> None:
        with pytest.raises(CheckpointError, match=r"no checkpoint in .* can be used") as error:
            store.newest()
        assert step_name(NEW) in str(error.value) and step_name(OLD) in str(error.value)

    with_content(new, lambda whole: whole[:-1], lambda: with_content(old, lambda whole: whole[:-1], both))


def test_files_of_two_checkpoints_exchanged_as_a_whole(store: CheckpointStore) -> None:
    """Every file but the manifest of the other checkpoint: each is whole by itself, and none belongs there."""
    contents = {path: path.read_bytes() for path in files_of(store) if path.name != "manifest.json"}
    try:
        for path in contents:
            path.write_bytes((folder_of(store, OLD) / path.name).read_bytes())
        older_taken(store)
    finally:
        for path, content in contents.items():
            path.write_bytes(content)
