from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myxtts.errors import CheckpointError, NonFiniteError, StorageError
from myxtts.storage import faults
from myxtts.storage.checkpoint import MANIFEST, step_name
from myxtts.storage.run_directory import RunDirectory
from myxtts.storage.store import CheckpointStore, find, updates_to_prune

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

    def refused(path: Path) -> Iterator[Path]:
        if path == store.directory:
            listings.append(path)
            if len(listings) == arrival:
                raise PermissionError(errno.EACCES, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(StorageError, match=r"saving the checkpoint of update 20 failed.*: Permission denied"):
        save(store, 20)
    listings[:] = [store.directory] * (arrival - 1)
    with pytest.raises(StorageError, match="deleting checkpoints after update 10 failed"):
        store.discard_after(10)
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


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_nan_is_never_written(tmp_path: Path, bad: float, dtype: str) -> None:
    kind = np.dtype(pytest.importorskip("ml_dtypes").bfloat16) if dtype == "bfloat16" else np.dtype(dtype)
    store = store_in(tmp_path)
    save(store, 1)
    poisoned = np.full((3, 4), 65_504.0 if dtype == "float16" else 3e38, np.float64).astype(kind)
    store.save(2, {"weights": {"w": poisoned}}, {})
    poisoned[1, 1] = poisoned[2, 3] = bad
    with pytest.raises(NonFiniteError, match=r"update 3 was not written.*ema/w \(2 of 12\).*untouched"):
        store.save(3, {"weights": {"v": np.ones(2, np.float32)}, "ema": {"w": poisoned}}, {})
    assert updates_in(store) == [1, 2]
    assert not list(store.directory.glob("tmp.*"))


def test_nan_in_the_state_is_never_written(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    for value in (float("nan"), np.float32("inf")):
        with pytest.raises(NonFiniteError, match=r"state\.best\.history\[1\] is (nan|inf) not finite"):
            store.save(3, arrays_of(1.0), {"best": {"history": [1.0, value]}})
    assert not store.directory.exists()


def test_nan_in_a_file_that_proves_itself_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_in(tmp_path)
    save(store, 1)
    monkeypatch.setattr("myxtts.storage.tensors.count_nonfinite", lambda array: 0)
    store.save(2, {"weights": {"w": np.array([1.0, np.nan], np.float32)}}, {})
    monkeypatch.undo()
    found = store.newest()
    assert found is not None and found.update == 1
    assert "1 of 2 values that are not finite in 'w'" in store.damaged[0].reason
    assert found.passed_over == tuple(store.damaged)


def test_what_a_checkpoint_cannot_hold_is_a_defect(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    with pytest.raises(TypeError, match="complex128"):
        store.save(1, {"weights": {"w": np.ones(2, np.complex128)}}, {})
    with pytest.raises(TypeError, match="only strings as keys"):
        store.save(1, {}, {"strikes": {3: 1}})
    for name in ("../evil.txt", "a/b", "manifest.json", "x.safetensors", ".hidden"):
        with pytest.raises(ValueError, match="name"):
            store.save(1, {}, {}, texts={name: ""})
    with pytest.raises(ValueError, match="name"):
        store.save(1, {"../weights": {}}, {})
    assert not store.directory.exists()


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


def test_a_run_that_went_back_does_not_find_its_future(tmp_path: Path) -> None:
    store = store_in(tmp_path, keep=9, every=1)
    for update in (1, 2, 3, 4):
        save(store, update, best=update == 4)
    assert store.discard_after(2) == [4, 3]
    assert updates_in(store) == [1, 2] and not (store.directory / "best.json").exists()
    assert '"update":2' in (store.directory / "last.json").read_text()


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
    with pytest.raises(CheckpointError, match=r"of update 6, the folder's name says 9"):
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
def test_what_a_refused_save_had_to_leave_the_next_one_mends(
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
