"""Altered data never loads: bits, lengths, names, foreign files, another checkpoint's files, formats of tomorrow."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from myxtts.errors import CheckpointError
from myxtts.storage.checkpoint import (
    MANIFEST,
    FutureFormatError,
    _sealed,
    foreign_entries,
    read_checkpoint,
    step_name,
)
from myxtts.storage.store import FOREIGN, CheckpointStore

ALL_FILES = ("weights.safetensors", "ema.safetensors", "state.json", "config.yaml", MANIFEST)


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    store = CheckpointStore(tmp_path, 9, 1)
    random_numbers = np.random.default_rng(0)
    for update in (1, 2):
        arrays = {
            stem: {"w": random_numbers.standard_normal((20, 7)).astype(np.float32)} for stem in ("weights", "ema")
        }
        store.save(update, arrays, {"epoch": update}, texts={"config.yaml": f"seed: {update}\n"})
    return store


def reason_of(store: CheckpointStore) -> str:
    """The newest one must be passed over for the older one; returns why."""
    newest = store.newest()
    assert newest is not None and newest.update == 1
    assert [damage.path.name for damage in store.damaged] == [step_name(2)]
    with pytest.raises(CheckpointError, match="step-00000002"):
        read_checkpoint(store.directory / step_name(2))
    return store.damaged[0].reason


def test_every_flipped_bit_is_found(store: CheckpointStore) -> None:
    folder = store.directory / step_name(2)
    chosen = random.Random(0)
    for name in ALL_FILES:
        whole = (folder / name).read_bytes()
        for _ in range(25):
            position, bit = chosen.randrange(len(whole)), chosen.randrange(8)
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            (folder / name).write_bytes(damaged)
            reason_of(store)
        (folder / name).write_bytes(whole)
    newest = store.newest()
    assert newest is not None and newest.update == 2


@pytest.mark.parametrize("name", ALL_FILES)
def test_every_truncation_and_growth_is_found(store: CheckpointStore, name: str) -> None:
    path = store.directory / step_name(2) / name
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert name in reason_of(store)
    path.write_bytes(whole + b"\0")
    assert name in reason_of(store)


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_missing_or_foreign_file_is_found(store: CheckpointStore, name: str) -> None:
    first, second = (store.directory / step_name(update) for update in (1, 2))
    own = (second / name).read_bytes()
    shutil.copy(first / name, second / name)
    assert name in reason_of(store)
    (second / name).unlink()
    assert name in reason_of(store)
    (second / name).symlink_to(first / name)
    assert name in reason_of(store)
    (second / name).unlink()
    (second / name).mkdir()
    assert name in reason_of(store)
    (second / name).rmdir()
    (second / name).write_bytes(own)
    newest = store.newest()
    assert newest is not None and newest.update == 2


FOREIGN_NAMES = (
    ".DS_Store", "._weights.safetensors", "Thumbs.db", "desktop.ini", ".nfs000000000123", ".directory", "config.yaml~",
    ".~lock.config.yaml#", "weights.sync-conflict-20261201.safetensors", "extra.safetensors", "notes.txt", "name\nname",
)  # fmt: skip


def test_files_of_other_programs_damage_nothing_and_are_never_loaded(store: CheckpointStore) -> None:
    folder = store.directory / step_name(2)
    own = {path.name for path in folder.iterdir()}
    for name in FOREIGN_NAMES:
        (folder / name).write_bytes(b"not a tensor")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "config-checkpoint.yaml").write_text("seed: 9\n")
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("/dev/zero")
    newest = store.newest()
    assert newest is not None and newest.update == 2 and store.damaged == []
    assert set(newest.arrays) == {"weights", "ema"} and dict(newest.texts) == {"config.yaml": "seed: 2\n"}
    assert {path.name for path in foreign_entries(folder)} == {path.name for path in folder.iterdir()} - own


def test_files_of_other_programs_survive_the_end_of_their_step_folder(store: CheckpointStore) -> None:
    folder = store.directory / step_name(1)
    (folder / "notes.txt").write_text("first")
    (folder / "mine").mkdir()
    (folder / "mine" / "plan.txt").write_text("plan")
    store.keep = 1
    for update in (3, 4):
        store.save(update, {}, {})
    assert not folder.exists()
    kept = store.directory / FOREIGN / folder.name
    assert (kept / "notes.txt").read_text() == "first" and (kept / "mine" / "plan.txt").read_text() == "plan"
    assert {path.name for path in kept.iterdir()} == {"notes.txt", "mine"}


@pytest.mark.parametrize("damaged", [False, True])
def test_files_of_other_programs_survive_a_new_save_of_the_same_update(store: CheckpointStore, damaged: bool) -> None:
    folder = store.directory / step_name(2)
    (folder / "notes.txt").write_text("mine")
    if damaged:
        (folder / MANIFEST).write_bytes(b"torn")
    store.save(2, {}, {"epoch": 3})
    newest = store.newest()
    assert newest is not None and newest.update == 2 and newest.state == {"epoch": 3}
    kept = store.directory / FOREIGN / folder.name
    assert [path.name for path in kept.iterdir()] == ["notes.txt"]


def test_two_files_swapped_inside_one_checkpoint(store: CheckpointStore) -> None:
    folder = store.directory / step_name(2)
    (folder / "weights.safetensors").rename(folder / "between")
    (folder / "ema.safetensors").rename(folder / "weights.safetensors")
    (folder / "between").rename(folder / "ema.safetensors")
    assert "SHA-256" in reason_of(store)


def test_a_renamed_checkpoint_is_found(store: CheckpointStore) -> None:
    shutil.rmtree(store.directory / step_name(2))
    shutil.copytree(store.directory / step_name(1), store.directory / step_name(2))
    assert reason_of(store) == "manifest.json is for update 1, the folder's name says 2"


def test_a_file_in_place_of_a_checkpoint(store: CheckpointStore) -> None:
    shutil.rmtree(store.directory / step_name(2))
    (store.directory / step_name(2)).write_text("x")
    assert "manifest.json cannot be read" in reason_of(store)
    store.save(2, {}, {"epoch": 3})
    newest = store.newest()
    assert newest is not None and newest.state == {"epoch": 3}
    assert [path.read_text() for path in (store.directory / FOREIGN).rglob(step_name(2)) if path.is_file()] == ["x"]


def test_a_future_format_is_named_and_not_buried(store: CheckpointStore) -> None:
    path = store.directory / step_name(2) / MANIFEST
    body = json.loads(path.read_bytes())
    del body["digest"]
    path.write_bytes(_sealed({**body, "version": 2, "files": [["weights", "blake3"]]}))
    for read in (store.newest, lambda: read_checkpoint(path.parent)):
        with pytest.raises(FutureFormatError, match="has format 2, and this MyXTTS reads up to 1: upgrade MyXTTS"):
            read()
    for update in range(3, 6):
        store.keep = 1
        store.save(update, {}, {})
    assert path.exists()


def test_hostile_manifests_are_rejected(store: CheckpointStore) -> None:
    path = store.directory / step_name(2) / MANIFEST
    body = {"format": "myxtts-checkpoint", "version": 1, "update": 2, "best": False}
    entry = {"size": 1, "sha256": "0" * 64}
    for files in (
        {"../../etc/passwd": entry},
        {"a": {"size": -1, "sha256": ""}},
        {"a": {"size": 10**30, "sha256": "0"}},
        [],
    ):
        path.write_bytes(_sealed({**body, "files": files}))
        reason_of(store)
    for content in (b"[" * 100_000, b'{"a":1,"a":2}', b'{"size":NaN}', b"null", b"\xff\xfe", b" " * (2 << 20)):
        path.write_bytes(content)
        assert MANIFEST in reason_of(store)


def test_what_is_altered_after_the_proof_is_found_when_it_is_read(store: CheckpointStore) -> None:
    checkpoint = read_checkpoint(store.directory / step_name(2))
    path = checkpoint.path / "ema.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert checkpoint.arrays["weights"]["w"].shape == (20, 7)
    with pytest.raises(CheckpointError, match=r"ema\.safetensors is damaged: its SHA-256"):
        checkpoint.arrays["ema"]
