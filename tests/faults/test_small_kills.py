"""W1, W2 and W5 in small: many kills of processes that start quickly (test_real_kills.py has real trainings)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from myxtts import faults
from myxtts.errors import EXIT_DONE, EXIT_STOPPED, EXIT_STORAGE
from myxtts.storage.find_checkpoint import newest_in, steps_in
from myxtts.storage.journal import read_events
from myxtts.storage.run_directory import RunDirectory
from tests.faults import small_run

UPDATES = 120
KILLED = -signal.SIGKILL
POINTS = [
    name
    for name in faults.PLAIN_POINTS
    if name.startswith(("store.", "file.", "journal.")) or name in ("data.next_batch", "loop.update")
]


@contextmanager
def process(folder: Path, updates: int = UPDATES, **more: object) -> Iterator[subprocess.Popen[str]]:
    with small_run.start(folder, updates, **more) as child:  # type: ignore[arg-type]
        try:
            yield child
        finally:
            child.kill()


def ended(folder: Path, updates: int = UPDATES, **more: object) -> tuple[int, str]:
    with process(folder, updates, **more) as child:
        _, shown = child.communicate(timeout=300)
        return child.returncode, shown


def saved(folder: Path) -> int:
    """The newest update on the disk; a kill never leaves a damaged checkpoint."""
    checkpoint, damaged = newest_in(RunDirectory(folder).checkpoints_path)
    assert damaged == []
    return 0 if checkpoint is None else checkpoint.update


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[tuple[int, float]], str]:
    folder = tmp_path_factory.mktemp("unbroken")
    assert ended(folder) == (EXIT_DONE, "")
    losses, digest = small_run.outcome(folder)
    assert [update for update, _ in losses] == list(range(1, UPDATES + 1))
    return losses, digest


def test_a_kill_at_each_point_one_after_the_other(tmp_path: Path, unbroken: object) -> None:
    """Every fail point of disk and loop kills one process of one run, which then equals the unbroken one."""
    updates = 0
    for number, point in enumerate(POINTS):
        updates = saved(tmp_path)
        # the last save of a run, as the best, replaces the one of the same update: the only way to this point here
        last = point == "store.between_renames"
        goal, count = (updates + 25 - updates % 25, 1) if last else (UPDATES, 1 + number % 2)
        if point.startswith(("data.", "loop.")):
            count = 10
        code, shown = ended(tmp_path, goal, fault=f"{point}:{count}:kill", hot_seconds=0.02)
        assert (code, shown) == (KILLED, ""), point
        assert saved(tmp_path) >= updates, point
    assert 0 < updates < UPDATES
    assert ended(tmp_path) == (EXIT_DONE, "")
    assert small_run.outcome(tmp_path) == unbroken
    assert not list(RunDirectory(tmp_path).checkpoints_path.glob("tmp.*"))


def test_a_dozen_kills_at_random_moments(tmp_path: Path, unbroken: object) -> None:
    """By progress, not by the clock: how fast the machine is decides nothing."""
    chance, kills = random.Random(0), 0
    for _ in range(30):
        waits = "loop.update:12+:sleep=0.2" if kills < 12 else ""  # it does not end before a kill that comes late
        with process(tmp_path, hot_seconds=0.01, fault=waits) as child:
            before = saved(tmp_path)
            if kills < 12:
                wait_for_step(tmp_path, child, before + chance.randint(0, 8))
                time.sleep(chance.uniform(0.0, 0.02))
                child.kill()
            child.wait(300)
        assert saved(tmp_path) >= before
        if child.returncode == EXIT_DONE:
            break
        assert child.returncode == KILLED
        kills += 1
    assert child.returncode == EXIT_DONE and kills >= 5
    assert small_run.outcome(tmp_path) == unbroken


def wait_for_step(folder: Path, child: subprocess.Popen[str], update: int) -> None:
    """Until a checkpoint of that update or a later one is there, or the process has ended."""
    while child.poll() is None and max(steps_in(RunDirectory(folder).checkpoints_path), default=0) < update:
        time.sleep(0.002)


def test_signals_lose_no_update(tmp_path: Path, unbroken: object) -> None:
    """No save but the last one: what is on the disk after a signal is what the signal made it save.

    After some quick updates it waits at each, so that it does not end before a signal that comes late.
    """
    closed = signal.SIGTERM if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else signal.SIGHUP
    for number in (signal.SIGTERM, signal.SIGINT, closed):
        with process(tmp_path, hot_seconds=600.0, fault="loop.update:20+:sleep=0.5") as child:
            wait_for_events(tmp_path, child, 1 + saved(tmp_path))
            time.sleep(0.1)
            child.send_signal(number)
            _, shown = child.communicate(timeout=300)
        assert (child.returncode, shown) == (EXIT_STOPPED, "")
        losses, _ = small_run.outcome(tmp_path)
        assert saved(tmp_path) == len(losses)
    assert 0 < len(losses) < UPDATES
    assert ended(tmp_path) == (EXIT_DONE, "")
    assert small_run.outcome(tmp_path) == unbroken


def test_a_second_signal_exits_at_once_and_costs_one_save(tmp_path: Path, unbroken: object) -> None:
    with process(tmp_path, fault="store.before_rename:2:sleep=600") as child:
        checkpoints = RunDirectory(tmp_path).checkpoints_path
        wait_for(child, lambda: saved(tmp_path) and any(path.is_dir() for path in checkpoints.glob("tmp.*")))
        child.send_signal(signal.SIGTERM)
        time.sleep(1.0)
        assert child.poll() is None
        child.send_signal(signal.SIGINT)
        assert child.wait(300) == 128 + signal.SIGINT, "half of the time that the save is held up for"
    assert saved(tmp_path) > 0
    assert ended(tmp_path) == (EXIT_DONE, "")
    assert small_run.outcome(tmp_path) == unbroken


def test_one_writer(tmp_path: Path, unbroken: object) -> None:
    """A second process is rejected and disturbs nothing; the lock of a killed one is taken over."""
    with process(tmp_path, fault="loop.update:30:sleep=600") as child:
        wait_for(child, lambda: saved(tmp_path) >= 25)
        child.send_signal(signal.SIGSTOP)
        os.waitpid(child.pid, os.WUNTRACED)
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        code, shown = ended(tmp_path)
        assert code == EXIT_STORAGE
        assert f"is in use by process {child.pid} on " in shown and f"kill {child.pid}" in shown
        assert len(shown.splitlines()) == 1
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert child.returncode == KILLED and saved(tmp_path) in range(25, 31)
    assert ended(tmp_path) == (EXIT_DONE, "")
    assert small_run.outcome(tmp_path) == unbroken


def wait_for_events(folder: Path, child: subprocess.Popen[str], least_update: int) -> None:
    """Wait until the process reports that it continues from an update."""

    def reported() -> bool:
        starts = [e for e in read_events(RunDirectory(folder).events_path) if e["event"] in ("start", "resume")]
        return bool(starts) and starts[-1]["update"] >= least_update - 1

    wait_for(child, reported)


def wait_for(child: subprocess.Popen[str], condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + 300.0
    while not condition():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < end, "it did not happen within five minutes"
        time.sleep(0.02)
