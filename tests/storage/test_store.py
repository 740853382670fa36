"""Saving a checkpoint: what is written can be read, whatever interrupts or fails it."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from myxtts import faults
from myxtts.errors import StorageError
from myxtts.storage.checkpoint import MANIFEST, step_name
from myxtts.storage.find_checkpoint import find
from myxtts.storage.run_directory import RunDirectory
from myxtts.storage.store import CheckpointStore
from tests.storage.made_store import STORE_POINTS, in_child, save, store_in, updates_in, value_of


def test_what_is_saved_comes_back_equal(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    assert store.newest() is None
    path = save(store, 7)
    assert path.name == "step-00000007"
    checkpoint = store.newest()
    assert checkpoint is not None and checkpoint.update == 7 and value_of(checkpoint) == 7.0
    assert store.damaged == [] and checkpoint.passed_over == ()
    assert (store.directory / "last.json").read_text() == '{"step":"step-00000007","update":7}\n'
    with pytest.raises(ValueError, match="read-only"):
        checkpoint.arrays["weights"]["bias"][0] = 1.0  # type: ignore[index]


def test_everything_is_on_the_disk_before_its_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_in(tmp_path)
    store.directory.mkdir()
    done: list[str] = []
    rename = Path.rename

    def noted_rename(path: Path, target: Path) -> Path:
        done.append(f"rename to {target.name}")
        return rename(path, target)

    def noted_fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        done.append("folder" if name.startswith("tmp.") and "json" not in name else name)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    save(store, 5)
    files = ["state.json", "note.txt", "weights.safetensors", "moments.safetensors", MANIFEST, "folder"]
    assert done[:8] == [*files, "rename to step-00000005", "checkpoints"]


@pytest.mark.parametrize("arrival", [1, 2, 3])
def test_a_folder_that_cannot_be_listed_is_the_disks_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrival: int
) -> None:
    """To clean up first, of pointers second, of pruning third: a save may fail, and is tried again."""
    store = store_in(tmp_path)
    save(store, 10)
    listings: list[Path] = []
    iterdir = Path.iterdir

    def failing(path: Path) -> Iterator[Path]:
        if path == store.directory:
            listings.append(path)
            if len(listings) == arrival:
                raise PermissionError(errno.EACCES, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", failing)
    with pytest.raises(StorageError, match=r"saving the checkpoint of update 20 failed.*: Permission denied"):
        save(store, 20)
    listings[:] = [store.directory] * (arrival - 1)
    with pytest.raises(StorageError, match="setting aside checkpoints from update 20 on failed"):
        store.set_aside([20], "rollback-01")
    monkeypatch.undo()
    assert value_of(store.newest()) == (10.0 if arrival == 1 else 20.0)


@pytest.mark.parametrize("point", STORE_POINTS)
def test_a_kill_at_any_stage_leaves_the_old_or_the_new_one(tmp_path: Path, point: str) -> None:
    run = RunDirectory(tmp_path)
    store = CheckpointStore(run.checkpoints_path, 1, 10)
    for update in (10, 20, 30):
        save(store, update)

    def saves() -> None:
        with run.lock():
            faults.arm(f"{point}:1:kill")
            save(store, 30, value=31.0)  # the run went back and comes here again: the hard case
            save(store, 40)

    assert in_child(saves) == -signal.SIGKILL
    with run.lock() as lock:
        assert lock.taken_over is not None
        store.remove_stale(lock)
        found = store.newest()
        assert found is not None and store.damaged == []
        assert (found.update, value_of(found)) in {(30, 30.0), (30, 31.0), (40, 40.0)}
        assert not [path for path in store.directory.iterdir() if path.name.startswith("tmp.")]
        save(store, 40)
        save(store, 50)
        newest = store.newest()
        assert newest is not None and value_of(newest) == 50.0
        assert updates_in(store) == [40, 50]


@pytest.mark.parametrize(
    "point, action",
    [
        *((point, "enospc") for point in STORE_POINTS),
        *(("store.in_file", action) for action in ("erofs", "eacces", "eio")),
    ],
)
def test_a_disk_that_refuses_at_any_stage_costs_one_save(tmp_path: Path, point: str, action: str) -> None:
    store = store_in(tmp_path, keep=1)
    save(store, 10)
    save(store, 20)
    faults.arm(f"{point}:1:{action}")
    with pytest.raises(StorageError, match=action.upper()) as error:
        save(store, 20, value=21.0)
        save(store, 30)
    assert "\n" not in str(error.value) and "checkpoints" in str(error.value)
    found = store.newest()
    assert found is not None and store.damaged == [] and value_of(found) in (20.0, 21.0, 30.0)
    save(store, 30)  # the same call again
    found = store.newest()
    assert found is not None and value_of(found) == 30.0


def test_a_disk_too_full_is_found_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_in(tmp_path)
    save(store, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1_000_000))
    with pytest.raises(StorageError, match=r"update 2 .*1 MB are free and 17 MB are needed \[ENOSPC\]; free some"):
        save(store, 2)
    assert updates_in(store) == [1]


def test_the_same_update_again(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    inode = save(store, 5).stat().st_ino
    assert save(store, 5).stat().st_ino == inode  # the same content: nothing is replaced
    assert save(store, 5, best=True).stat().st_ino != inode  # now it is the best
    inode = save(store, 5).stat().st_ino  # and stays it
    assert store.best() is not None
    weights = store.directory / step_name(5) / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x99")
    assert save(store, 5).stat().st_ino != inode  # the same manifest but damaged: replaced, still the best
    assert store.best() is not None
    save(store, 5, value=6.0)
    found = store.newest()
    assert found is not None and value_of(found) == 6.0 and not found.best


def test_a_checkpoint_of_other_weights_is_set_aside_by_a_save_of_the_same_update(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    save(store, 5)
    save(store, 5, best=True)
    assert store.all_set_aside() == [], "the same weights: the older one is superseded"
    (store.directory / step_name(5) / "state.json").write_bytes(b"")
    save(store, 5)
    save(store, 5, value=6.0)
    damaged, older = store.all_set_aside()
    assert (damaged.name, older.name) == ("replaced-01-step-00000005", "replaced-02-step-00000005")
    assert value_of(find(older)) == 5.0 and value_of(store.newest()) == 6.0


@pytest.mark.parametrize("point", ["store.between_renames", "store.after_rename"])
def test_a_kill_while_replacing_other_weights_loses_neither(tmp_path: Path, point: str) -> None:
    run = RunDirectory(tmp_path)
    store = CheckpointStore(run.checkpoints_path, 2, 10)
    save(store, 10)

    def replaces() -> None:
        faults.arm(f"{point}:1:kill")
        save(store, 10, value=11.0)

    assert in_child(replaces) == -signal.SIGKILL
    with run.lock() as lock:
        store.remove_stale(lock)
    kept = {value_of(find(path)) for path in (*store.all_set_aside(), store.directory / step_name(10))}
    assert 10.0 in kept and not list(store.directory.glob("tmp.*"))


def test_a_kill_in_the_middle_of_deleting_leaves_nothing_half_there(tmp_path: Path) -> None:
    store = store_in(tmp_path, keep=1)
    for update in (1, 2):
        save(store, update)

    def killed_deletion(path: Path) -> None:
        next(path.iterdir()).unlink()
        os.kill(os.getpid(), signal.SIGKILL)

    def saves() -> None:
        shutil.rmtree = killed_deletion  # type: ignore[assignment]
        save(store, 3)

    assert in_child(saves) == -signal.SIGKILL
    assert updates_in(store) == [2, 3]
    with RunDirectory(tmp_path).lock() as lock:
        assert len(store.remove_stale(lock)) == 1
    assert find(tmp_path).passed_over == ()


@pytest.mark.parametrize("point", ["store.before_manifest", "store.between_renames", "store.in_prune"])
def test_what_a_failed_save_had_to_leave_the_next_one_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """A disk that is read-only from a stage on lets nothing be cleaned up either, until it is itself again."""
    store = store_in(tmp_path, keep=1)
    for update in (10, 20, 30):
        save(store, update)

    def broken_disk(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    def at(name: str) -> None:
        if name == point:
            monkeypatch.setattr(Path, "rename", broken_disk)
            monkeypatch.setattr(shutil, "rmtree", lambda path, ignore_errors=False: ignore_errors or broken_disk())
            broken_disk()

    with monkeypatch.context() as patched:
        patched.setattr(faults, "point", at)
        with pytest.raises(StorageError, match="EROFS"):
            save(store, 30, value=31.0)
            save(store, 40)
    monkeypatch.undo()
    assert [path for path in store.directory.iterdir() if path.name.startswith("tmp.")]
    foreign = store.directory / "tmp.1-0123abcd"
    foreign.mkdir()
    save(store, 50)
    assert [path for path in store.directory.iterdir() if path.name.startswith("tmp.")] == [foreign]
    assert value_of(store.newest()) == 50.0
    assert updates_in(store)[-2:] == ([40, 50] if point == "store.in_prune" else [30, 50])
