"""A training that is stopped (SIGSTOP, Ctrl-Z, a frozen container) and continued, and a clock that jumps."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from myxtts.report import write_report
from myxtts.storage.find_checkpoint import find
from tests.training import made_run

PAUSE_SECONDS = 6


class Stopping(made_run.Screen):
    """Stops its own process after some updates; another one continues it and tries the lock in between."""

    def __init__(self, run: Path) -> None:
        super().__init__()
        self.lock, self.held = run / "lock", run / "held"

    def training(self, done: int, total: int, figures: Mapping[str, str], line: bool = False) -> None:
        super().training(done, total, figures, line)
        if done in (2, 5):
            script = f"sleep {PAUSE_SECONDS}; flock --nonblock '{self.lock}' true || echo {done} >> '{self.held}'"
            with subprocess.Popen(["sh", "-c", f"{script}; kill -CONT {os.getpid()}"]):
                os.kill(os.getpid(), signal.SIGSTOP)


def test_a_stopped_training_keeps_its_lock_and_continues_bit_exactly(tmp_path: Path, quick_runs: None) -> None:
    """The loader counts as stuck after 5 s and a hot save is due after 1 s: a pause of 6 s is what minutes are."""
    made_run.make_root(tmp_path / "root")
    made_run.train(tmp_path, "unbroken", training__max_updates=8)
    run, times = tmp_path / "stopped", {"data__hang_seconds": 5, "training__hot_checkpoint_seconds": 1}
    begun = time.monotonic()
    made_run.train(tmp_path, "stopped", training__max_updates=8, screen=Stopping(run), **times)
    life = time.monotonic() - begun
    assert (run / "held").read_text().split() == ["2", "5"], "no other process could take the lock"
    assert made_run.events(run, "hang") == [] and made_run.events(run, "failed") == []
    assert made_run.losses(run) == made_run.losses(tmp_path / "unbroken")
    assert made_run.hashes(run) == made_run.hashes(tmp_path / "unbroken")
    assert 0.0 < find(run, "last").state["position"]["trained_seconds"] < life - PAUSE_SECONDS


def test_a_clock_that_jumps_changes_nothing(tmp_path: Path, quick_runs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a year, to before 1970 and far beyond; the monotonic clock, which measures times, cannot jump."""
    made_run.make_root(tmp_path / "root")
    made_run.train(tmp_path, "unbroken")
    jumps = itertools.cycle([0.0, -3e7, 3e7, -1.9e9, 5e10])
    real, real_ns = time.time, time.time_ns
    for updates in (2, 4, 6):
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda: real() + next(jumps))
            patched.setattr(time, "time_ns", lambda: real_ns() + int(next(jumps)) * 10**9)
            made_run.train(tmp_path, "jumping", training__max_updates=updates, training__max_minutes=60.0)
            page = re.sub("base64,[^\"']*", "", write_report(tmp_path / "jumping").read_text())
        assert not re.search(r">\s*-?(nan|inf)\b", page, re.IGNORECASE)
    assert made_run.losses(tmp_path / "jumping") == made_run.losses(tmp_path / "unbroken")
    assert made_run.hashes(tmp_path / "jumping") == made_run.hashes(tmp_path / "unbroken")
    assert 0.0 < find(tmp_path / "jumping", "last").state["position"]["trained_seconds"] < 3_600.0
