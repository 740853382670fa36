"""W4 on a real disk of a few megabytes: the store alone at every stage of a save, then a real training."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import numpy as np
import pytest

from myxtts import faults
from myxtts.errors import EXIT_STORAGE, StorageError
from myxtts.storage import store
from myxtts.storage.find_checkpoint import newest_in
from myxtts.storage.journal import Journal, read_metrics
from myxtts.storage.run_directory import RunDirectory
from tests.faults.chain import Chain
from tests.faults.conftest import UPDATES
from tests.faults.served import Child, Server, _drop_root_powers
from tests.faults.small_disk import failing_disk, forbidden, full, read_only, small_disk
from tests.training import made_run

Trouble = Callable[[Path], AbstractContextManager[None]]

QUIET_POINTS = ("store.before_files", "store.before_manifest", "store.before_rename", "store.before_pointer")
"""Stages at which no file is open for writing; a file system cannot be made read-only under an open one."""


def save(run: RunDirectory, update: int) -> None:
    made = store.CheckpointStore(run.checkpoints_path, 2, 100)
    arrays = {stem: {"w": np.full(60_000, update, np.float32)} for stem in ("weights", "moments")}
    made.save(update, arrays, {"update": update}, texts={"config.yaml": "seed: 1\n"})


def saved(run: RunDirectory) -> int:
    checkpoint, damaged = newest_in(run.checkpoints_path)
    assert damaged == [] and checkpoint is not None
    for stem in ("weights", "moments"):
        assert (checkpoint.arrays[stem]["w"] == checkpoint.update).all()
    return checkpoint.update


def error_at(run: RunDirectory, point: str, trouble: AbstractContextManager[None], monkeypatch: object) -> str:
    """What the save of update 2 says when the trouble begins at a stage of it."""
    assert isinstance(monkeypatch, pytest.MonkeyPatch)
    with ExitStack() as stack:
        came: list[str] = []

        def at(name: str) -> None:
            if name == point and not came:
                came.append(name)
                stack.enter_context(trouble)

        with monkeypatch.context() as patched:
            patched.setattr(faults, "point", at)
            with pytest.raises(StorageError) as error:
                save(run, 2)
            assert came
        assert saved(run) in (1, 2)
    return str(error.value)


@pytest.mark.parametrize("point", [*QUIET_POINTS, "store.in_file", "store.after_manifest", "file.in_atomic_write"])
def test_a_disk_that_is_full_from_a_stage_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    with small_disk(tmp_path / "disk", 24) as disk:
        run = RunDirectory(disk / "run")
        save(run, 1)
        message = error_at(run, point, full(disk), monkeypatch)
        assert "[ENOSPC]" in message and "free some space" in message and "\n" not in message
        save(run, 2)
        save(run, 3)
        assert saved(run) == 3
        assert not list(run.checkpoints_path.glob("tmp.*")), "a failed save leaves nothing on a full disk"


@pytest.mark.parametrize("point", QUIET_POINTS)
def test_a_disk_that_becomes_read_only_at_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    with small_disk(tmp_path / "disk", 24) as disk:
        run = RunDirectory(disk / "run")
        save(run, 1)
        message = error_at(run, point, read_only(run.checkpoints_path), monkeypatch)
        assert "[EROFS]" in message and "mount it writable" in message and "\n" not in message
        save(run, 2)
        assert saved(run) == 2
        assert not list(run.checkpoints_path.glob("tmp.*")), "the next save removes what the failed one left"


@pytest.mark.parametrize("point", ["store.before_space_check", *QUIET_POINTS[:3]])
def test_a_folder_that_becomes_forbidden_at_a_stage(tmp_path: Path, point: str) -> None:
    """In a child that has given up root's way past permissions."""
    run = RunDirectory(tmp_path / "run")
    save(run, 1)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                _drop_root_powers()
            message = error_at(run, point, forbidden(run.checkpoints_path), pytest.MonkeyPatch())
            assert "[EACCES]" in message and "give this user the right" in message and "\n" not in message, message
            save(run, 2)
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert saved(run) == 2


def test_lines_wait_while_the_disk_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4) as disk, Journal(disk / "metrics.jsonl", flush_lines=1) as journal:
        for update in range(1, 60):
            with ExitStack() as stack:
                if update % 3 == 0:
                    stack.enter_context(full(disk))
                    for again in range(100, 140):  # what is left of the last page takes some lines
                        try:
                            journal.write({"kind": "train", "update": update, "again": again})
                        except StorageError as error:
                            assert "[ENOSPC]" in str(error)
                    continue
                journal.write({"kind": "train", "update": update})
        journal.flush()
        reader = read_metrics(disk / "metrics.jsonl")
        lines = [(line["update"], line.get("again", 0)) for line in reader]
    expected = [(u, a) for u in range(1, 60) for a in (range(100, 140) if u % 3 == 0 else (0,))]
    assert reader.torn == 0 and lines == expected


@pytest.mark.slow
@pytest.mark.timeout(1_500)
def test_a_training_survives_full_read_only_and_forbidden(server: Server, trainings: Path, unbroken: Path) -> None:
    saving = "myxtts.training.checkpointing"
    patches: dict[str, object] = {f"{saving}:RETRY_SECONDS": 0.3, f"{saving}:MOST_FAILURES": 10_000}
    with small_disk(trainings / "disk", 64) as disk:
        chain = Chain(server, trainings, "disk/run", UPDATES)
        folder = chain.run / "checkpoints"
        # each save is held up for a moment once its files are written, and each update a little
        fault = "store.before_manifest:1+:sleep=0.4,loop.update:1+:sleep=0.1"
        child = chain.start(fault, patches=patches, root_powers=False)
        troubles: list[tuple[str, Trouble, Path]] = [
            ("ENOSPC", full, disk),
            ("EROFS", read_only, folder),
            ("EACCES", forbidden, folder),
        ]
        for name, trouble, where in troubles:
            in_a_save(child, folder)
            with trouble(where):
                before, updates = chain.saved(), child.updates.count()
                assert child.wait_for_updates(updates + 5, 200.0), f"it stands still: {child.shown}"
                wait_until(child, lambda name=name: name in child.shown)
                assert chain.saved() == before
            wait_for_save(child, chain, updates)
        code = child.wait(1_000)
        assert code == 0 and "Traceback" not in child.shown, child.shown
        assert chain.differences(unbroken) == []
        failures = [line for line in (chain.run / "events.jsonl").read_text().splitlines() if "save_failed" in line]
        assert all(any(name in line for line in failures) for name, _, _ in troubles)


@pytest.mark.slow
@pytest.mark.timeout(1_500)
def test_a_training_gives_up_on_a_disk_that_stays_full(server: Server, trainings: Path, unbroken: Path) -> None:
    saving = "myxtts.training.checkpointing"
    patches: dict[str, object] = {f"{saving}:RETRY_SECONDS": 0.2, f"{saving}:MOST_FAILURES": 2}
    with small_disk(trainings / "disk", 64) as disk:
        chain = Chain(server, trainings, "disk/run", UPDATES)
        child = chain.start("loop.update:1+:sleep=0.2", patches=patches)
        wait_for_save(child, chain, 0)
        before = chain.saved()
        with full(disk):
            assert child.wait(300.0) == EXIT_STORAGE, child.shown
            assert chain.saved() >= before
        last = child.shown.strip().splitlines()[-1]
        assert "ENOSPC" in child.shown and "Traceback" not in child.shown, last
        assert chain.finish().code == 0
        assert chain.differences(unbroken) == []


class At(made_run.Screen):
    """Does something when update 3 is shown."""

    def __init__(self, do: Callable[[], object]) -> None:
        super().__init__()
        self.do = do

    def training(self, done: int, total: int, figures: Mapping[str, str], line: bool = False) -> None:
        super().training(done, total, figures, line)
        if done == 3:
            self.do()


def test_a_disk_that_fails_under_a_training_is_mounted_again(tmp_path: Path, quick_runs: None) -> None:
    """From update 3 on neither checkpoint nor journal can be written, not even to open files."""
    made_run.make_root(tmp_path / "root")
    made_run.train(tmp_path, "unbroken")
    with failing_disk(tmp_path / "disk", 64) as disk:
        run = disk.path / "run"
        with pytest.raises(StorageError, match="EROFS") as caught:
            made_run.train(tmp_path, "disk/run", screen=(screen := At(disk.fail)))
        assert "\n" not in str(caught.value) and "the newest checkpoint is that of update 2" in screen.warnings[-1]
        with pytest.raises(StorageError, match="EROFS"):
            made_run.train(tmp_path, "disk/run")
        disk.repair()
        made_run.train(tmp_path, "disk/run")
        assert made_run.losses(run) == made_run.losses(tmp_path / "unbroken")
        assert made_run.hashes(run) == made_run.hashes(tmp_path / "unbroken")


def test_a_terminal_that_closes_while_the_disk_is_full(tmp_path: Path, quick_runs: None) -> None:
    made_run.make_root(tmp_path / "root")
    made_run.train(tmp_path, "unbroken")
    with small_disk(tmp_path / "disk", 64) as disk:
        run = disk / "run"
        with ExitStack() as stack:
            # these tests may run under nohup, which ignores it
            stack.callback(signal.signal, signal.SIGHUP, signal.signal(signal.SIGHUP, signal.SIG_DFL))

            def close() -> None:
                stack.enter_context(full(disk))
                os.kill(os.getpid(), signal.SIGHUP)

            with pytest.raises(StorageError, match=r"ENOSPC.*free some space") as caught:
                made_run.train(tmp_path, "disk/run", screen=(screen := At(close)))
        assert "\n" not in str(caught.value)
        assert "update 3 is not saved; the newest checkpoint is that of update 2" in screen.warnings[-1]
        made_run.train(tmp_path, "disk/run")
        assert made_run.losses(run) == made_run.losses(tmp_path / "unbroken")
        assert made_run.hashes(run) == made_run.hashes(tmp_path / "unbroken")


def in_a_save(child: Child, folder: Path) -> None:
    """Until there is a checkpoint, and a further one is being written."""
    wait_until(child, lambda: bool(list(folder.glob("step-*"))) and bool(list(folder.glob("tmp.*"))))


def wait_for_save(child: Child, chain: Chain, update: int) -> None:
    wait_until(child, lambda: chain.saved() > update)


def wait_until(child: Child, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 300.0
    while not condition():
        assert child.wait(0.0) is None, child.shown
        assert time.monotonic() < end, "it did not happen within five minutes"
        time.sleep(0.005)
