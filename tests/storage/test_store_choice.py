"""Which checkpoints stay, which is taken, and what is said where none is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myxtts.errors import CheckpointError
from myxtts.storage.checkpoint import MANIFEST, step_name
from myxtts.storage.find_checkpoint import find
from myxtts.storage.run_directory import RunDirectory
from myxtts.storage.store import CheckpointStore, updates_to_prune
from tests.storage.made_store import save, store_in, updates_in


def test_pruning_keeps_regular_hot_best_and_protected(tmp_path: Path) -> None:
    store = store_in(tmp_path, keep=2, every=10)
    for update in (3, 10, 14, 20, 23, 27, 30, 33, 36, 40, 41, 42, 43):
        if update == 23:
            store.protected = {20}
        save(store, update, best=update == 14)
    assert updates_in(store) == [14, 20, 30, 40, 42, 43]
    best = store.best()
    assert best is not None and best.update == 14 and best.best
    assert '"update":14' in (store.directory / "best.json").read_text()


@given(
    st.sets(st.integers(0, 60), max_size=25),
    st.integers(0, 5),
    st.integers(1, 20),
    st.sets(st.integers(0, 60), max_size=4),
)
def test_the_rule_of_pruning(updates: set[int], keep: int, every: int, spared: set[int]) -> None:
    gone = updates_to_prune(updates, keep, every, spared)
    left = updates - set(gone)
    assert gone == sorted(set(gone)) and set(gone) <= updates
    assert set(sorted(updates)[-2:]) <= left and spared & updates <= left
    regular = sorted(update for update in updates if update % every == 0)
    kept_regular = regular[len(regular) - keep :] if keep <= len(regular) else regular
    assert set(kept_regular) <= left
    assert len(left) <= keep + len(spared) + 2
    assert updates_to_prune(left, keep, every, spared) == []


def test_a_damaged_one_neither_counts_nor_goes(tmp_path: Path) -> None:
    store = store_in(tmp_path, keep=1, every=10)
    save(store, 10)
    save(store, 20)
    (store.directory / step_name(20) / "state.json").write_bytes(b"")
    for update in (21, 22, 23):
        save(store, update)
    assert updates_in(store) == [10, 20, 22, 23]


def test_a_run_that_went_back_does_not_find_its_future(tmp_path: Path) -> None:
    store = store_in(tmp_path, keep=9, every=1)
    for update in (1, 2, 3, 4):
        save(store, update, best=update == 4)
    store.set_aside([3, 4, 7], "rollback-01")
    assert updates_in(store) == [1, 2] and not (store.directory / "best.json").exists()
    assert '"update":2' in (store.directory / "last.json").read_text()
    newest = store.newest()
    assert newest is not None and newest.update == 2 and find(tmp_path).update == 2
    aside = store.all_set_aside()
    assert [find(path).update for path in aside] == [3, 4], "whole, and found by their paths"
    aside[1].rename(store.directory / step_name(4))
    assert find(tmp_path).update == 4, "brought back"


def test_what_is_set_aside_is_bounded_and_the_newest_of_it_stay(tmp_path: Path) -> None:
    store = store_in(tmp_path, keep=2, every=1)
    for number in (1, 2, 10):
        for update in (7, 8):
            save(store, update)
        store.set_aside([7, 8], f"rollback-{number:02d}")
    first = store.all_set_aside()[0]
    assert store.next_number() == 11
    store.prune_set_aside({first})
    assert [path.name[:11] for path in store.all_set_aside()] == ["rollback-01", "rollback-10", "rollback-10"]
    for update in range(1, 9):
        save(store, update)
    assert len(store.all_set_aside()) == 3, "a save removes none"


def test_stale_folders_go_only_under_the_lock(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    store = CheckpointStore(run.checkpoints_path, 2, 10)
    save(store, 1)
    stale = store.directory / "tmp.123-0123abcd"
    stale.mkdir()
    (stale / "weights.safetensors").write_bytes(b"half")
    foreign = store.directory / "tmp.mine"
    foreign.mkdir()
    with run.lock() as lock:
        assert store.remove_stale(lock) == ["removed tmp.123-0123abcd, left by an interrupted save"]
        assert store.remove_stale(lock) == []
    assert not stale.exists() and foreign.exists()
    with pytest.raises(ValueError, match="locked"):
        store.remove_stale(lock)


def test_none_valid_says_what_is_wrong_with_each(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    save(store, 1)
    save(store, 2)
    (store.directory / step_name(1) / MANIFEST).unlink()
    (store.directory / step_name(2) / "note.txt").unlink()
    with pytest.raises(CheckpointError) as error:
        store.newest()
    text = str(error.value)
    assert "step-00000001: manifest.json cannot be read: an unfinished or foreign folder" in text
    assert "step-00000002: note.txt is missing" in text and "--fresh" in text and "\n" not in text


def test_find_takes_what_a_user_gives(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    save(store, 4, best=True)
    last = save(store, 6)
    for path in (tmp_path, store.directory):
        assert find(path).update == 4
        assert find(path, prefer="last").update == 6
    assert find(last).update == 6
    shutil.copytree(last, tmp_path / "my voice")
    assert find(tmp_path / "my voice").update == 6
    shutil.copytree(last, tmp_path / "other" / step_name(9))
    with pytest.raises(CheckpointError, match=r"for update 6, the folder's name says 9"):
        find(tmp_path / "other" / step_name(9))
    (store.directory / step_name(4) / "state.json").write_text("{}")
    stand_in = find(tmp_path)
    assert stand_in.update == 6 and [damage.path.name for damage in stand_in.passed_over] == [step_name(4)]


@pytest.mark.parametrize(
    "name, reason", [("nothing", "does not exist"), ("file", "is a file"), ("empty", "no checkpoint")]
)
def test_find_says_what_is_missing(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=reason) as error:
        find(tmp_path / name)
    assert repr(str(tmp_path / name)) in str(error.value)


def test_what_was_the_best_at_a_protected_checkpoint_stays(tmp_path: Path) -> None:
    """A run that goes back to it finds the checkpoint that its state calls the best."""
    store = store_in(tmp_path, keep=0, every=100)
    store.protected = {4}
    for update, best in ((1, True), (2, True), (3, False), (4, False), (5, True), (6, False), (7, False)):
        save(store, update, best=best)
    assert updates_in(store) == [2, 4, 5, 6, 7]
    store.set_aside([5, 6, 7], "rollback-01")
    assert '"update":2' in (store.directory / "best.json").read_text()
