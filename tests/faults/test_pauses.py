"""A training that is stopped (SIGSTOP, Ctrl-Z, a frozen container) and continued, and a clock that jumps."""

from __future__ import annotations

import itertools
import re
import signal
import time
from pathlib import Path

import pytest

from myxtts.errors import EXIT_DONE, EXIT_STORAGE
from myxtts.report import write_report
from myxtts.storage.checkpoint import read_checkpoint
from myxtts.storage.find_checkpoint import find
from tests.faults.chain import Chain
from tests.faults.conftest import UPDATES
from tests.faults.served import Server
from tests.training import made_run

PAUSE_SECONDS, PAUSES = 6.0, 2


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_stopped_training_keeps_its_lock_and_continues_bit_exactly(
    server: Server, trainings: Path, unbroken: Path
) -> None:
    """The loader counts as stuck after 2 s and a hot save is due after 1 s: a pause of 6 s is what minutes are."""
    chain = Chain(server, trainings, "paused", UPDATES, data__hang_seconds=2, training__log_every_updates=5)
    child = chain.start("loop.update:1+:sleep=0.02")
    for _ in range(PAUSES):
        assert child.wait_for_updates(child.updates.count() + 8, 300.0), child.shown
        child.send(signal.SIGSTOP)
        made = child.updates.count()
        second = chain.start()
        assert second.wait() == EXIT_STORAGE and f"is in use by process {child.pid} on " in second.shown
        time.sleep(PAUSE_SECONDS)
        assert made <= child.updates.count() <= made + 1
        child.send(signal.SIGCONT)
    assert child.wait(300) == EXIT_DONE, child.shown
    life = time.time() - child.began
    assert chain.differences(unbroken) == []
    assert made_run.events(chain.run, "hang") == [] and made_run.events(chain.run, "failed") == []
    trained = read_checkpoint(find(chain.run, "last").path).state["position"]["trained_seconds"]
    assert 0.0 < trained < life - PAUSES * PAUSE_SECONDS


def test_a_clock_that_jumps_changes_nothing(
    tmp_path: Path, quick_runs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
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
