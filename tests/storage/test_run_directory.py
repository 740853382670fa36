from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import myxtts
from myxtts import faults
from myxtts.errors import StorageError
from myxtts.storage.files import write_text_atomic
from myxtts.storage.run_directory import NotOwnerError, RunDirectory, WriterLock

ROOT = Path(myxtts.__file__).parents[1]
HOLDER = """
import sys, time
from pathlib import Path
from myxtts.storage.run_directory import RunDirectory
with RunDirectory(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_layout() -> None:
    run = RunDirectory(Path("run"))
    assert run.metrics_path == Path("run/metrics.jsonl")
    assert run.samples_of_update(500) == Path("run/samples/update-0000500")


def test_every_path_of_the_layout_is_an_entry_of_the_run(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    paths = {getattr(run, name) for name in dir(RunDirectory) if name.endswith("_path")} - {run.lock_path}
    for path in (*paths, run.lock_path, tmp_path / "notes.txt"):
        path.touch()
    assert run.entries() == (sorted(paths), [tmp_path / "notes.txt"])


def test_a_second_writer_is_rejected_and_a_dead_one_taken_over(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    command = [sys.executable, "-c", HOLDER, str(run.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with (
            pytest.raises(
                StorageError, match=rf"in use by process {holder.pid} on .*kill {holder.pid}.*choose another"
            ),
            run.lock(),
        ):
            pytest.fail("two writers")
        holder.send_signal(signal.SIGKILL)
    with run.lock() as lock:
        assert lock.held and lock.taken_over is not None and lock.taken_over.pid == holder.pid
        assert json.loads(run.lock_path.read_text())["pid"] == os.getpid()
    assert not lock.held and run.lock_path.read_text() == ""
    with run.lock() as lock:
        assert lock.taken_over is None


def test_the_same_process_is_a_second_writer_too(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with run.lock(), pytest.raises(StorageError, match=f"process {os.getpid()}"), run.lock():
        pytest.fail("two writers")


def test_a_worker_that_outlives_the_writer_does_not_hold_the_lock(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with run.lock():
            worker = os.fork()
            if worker == 0:
                os.write(writer, str(os.getpid()).encode())
                time.sleep(20)
                os._exit(0)
            time.sleep(20)
    worker = int(os.read(reader, 20))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader)
    os.close(writer)
    try:
        with run.lock() as lock:
            assert lock.taken_over is not None and lock.taken_over.pid == child
    finally:
        os.kill(worker, signal.SIGKILL)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\0garbage", b'{"pid":"x"}', b'{"pid":1,"host":"a","time":1e300}', b"[[["]
)
def test_a_lock_file_of_any_content_can_be_taken(tmp_path: Path, content: bytes) -> None:
    run = RunDirectory(tmp_path)
    run.lock_path.write_bytes(content)
    with run.lock() as lock:
        assert lock.taken_over is None


def lost(lock: WriterLock) -> str:
    with pytest.raises(NotOwnerError) as error:
        lock.check()
    assert error.value.exit_code == 4 and "\n" not in str(error.value)
    assert str(lock.path.parent) in str(error.value) and f"process {os.getpid()}" in str(error.value)
    return str(error.value)


def test_a_lock_knows_that_its_directory_was_moved_and_moved_back(tmp_path: Path) -> None:
    run, moved = RunDirectory(tmp_path / "run"), tmp_path / "moved"
    with run.lock() as lock:
        lock.check()
        run.path.rename(moved)
        assert f"was moved to {str(moved)!r}" in lost(lock) and lock.moved_to() == moved
        with run.lock() as second:
            assert "was moved" in lost(lock)
            second.check()
        shutil.rmtree(run.path)
        moved.rename(run.path)
        lock.check()
        assert not lock.only_lock_deleted()


def test_a_lock_knows_that_its_directory_was_deleted_or_restored(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    with run.lock() as lock:
        shutil.copytree(run.path, tmp_path / "copy")
        shutil.rmtree(run.path)
        assert "was deleted" in lost(lock) and lock.moved_to() is None and not lock.only_lock_deleted()
        (tmp_path / "copy").rename(run.path)
        assert "another process may own it" in lost(lock) and lock.moved_to() is None and not lock.only_lock_deleted()
    assert run.lock_path.read_bytes() != b"", "the lock file of another one is left alone"


def test_a_lock_knows_that_its_file_was_deleted_or_replaced(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    with run.lock() as lock:
        run.lock_path.unlink()
        assert "lost its file 'lock', which was deleted" in lost(lock) and lock.only_lock_deleted()
        with run.lock() as second:
            second.check()
            assert "another process may own it" in lost(lock) and not lock.only_lock_deleted()
        run.lock_path.unlink()
        run.lock_path.symlink_to("elsewhere")
        assert "another process may own it" in lost(lock)


def test_a_lock_that_is_not_a_file_of_the_run_is_rejected(tmp_path: Path) -> None:
    run, outside = RunDirectory(tmp_path / "run"), tmp_path / "outside"
    run.path.mkdir()
    run.lock_path.symlink_to(outside)
    with pytest.raises(StorageError, match=r"link to .*outside"), run.lock():
        pytest.fail("followed")
    assert not outside.exists()
    run.lock_path.unlink()
    os.mkfifo(run.lock_path)
    with pytest.raises(StorageError, match="not a regular file"), run.lock():
        pytest.fail("locked a FIFO")


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    reason = r"locking the run directory failed at '.*file/run'.*ENOTDIR"
    with pytest.raises(StorageError, match=reason), RunDirectory(tmp_path / "file" / "run").lock():
        pytest.fail("locked a file")


@pytest.mark.parametrize(
    "action, advice", [("enospc", "free some space"), ("erofs", "mount it writable"), ("eacces", "right")]
)
def test_a_small_file_is_the_old_or_the_new_one(tmp_path: Path, action: str, advice: str) -> None:
    path = tmp_path / "config.yaml"
    write_text_atomic(path, "old: ۱\n")
    faults.arm(f"file.in_atomic_write:1:{action}")
    with pytest.raises(StorageError, match=advice):
        write_text_atomic(path, "new\n")
    assert path.read_text("utf-8") == "old: ۱\n" and list(tmp_path.iterdir()) == [path]
    write_text_atomic(path, "new\n")
    assert path.read_text("utf-8") == "new\n"


def test_halves_of_small_files_are_removed_with_the_lock(tmp_path: Path) -> None:
    (tmp_path / "tmp.77-00ff00ff.config.yaml").write_text("ha")
    (tmp_path / "tmp.txt").write_text("mine")
    with RunDirectory(tmp_path).lock():
        assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "tmp.txt"]


def test_halves_of_incident_bundles_are_removed_with_the_lock(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    bundle, half = run.incidents_path / "update-0000003-micro-00000012", run.incidents_path / "tmp.77-00ff00ff"
    for folder in (bundle, half, tmp_path / "elsewhere"):
        folder.mkdir(parents=True)
        (folder / "weights.safetensors").write_bytes(b"x")
    (run.incidents_path / "tmp.77-00ff00ff.rollback-01-metrics.jsonl").write_text("ha")
    (run.incidents_path / "tmp.77-00ff00fe").symlink_to(tmp_path / "elsewhere")
    with run.lock():
        assert sorted(path.name for path in run.incidents_path.iterdir()) == ["tmp.77-00ff00fe", bundle.name]
    assert (tmp_path / "elsewhere" / "weights.safetensors").is_file()
