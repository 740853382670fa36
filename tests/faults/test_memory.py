"""W8: memory that runs out in a real training, at whatever allocation, costs no more than the hot interval."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from myxtts.errors import EXIT_BAD_INPUT, EXIT_DONE
from tests.faults.chain import HOT_SECONDS, SLACK_SECONDS, Broken, Chain
from tests.faults.conftest import UPDATES
from tests.faults.served import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
ABORTED = (-signal.SIGABRT, -signal.SIGSEGV)
"""TensorFlow's own code ends a process whose allocation fails."""


def without_memory(chain: Chain, updates: int, extra_bytes: int) -> Broken:
    """A process that gets almost no more memory after some updates."""
    start, child = chain.saved(), chain.start("loop.update:1+:sleep=0.02")
    if child.wait_for_updates(updates, 300.0):
        used = int(Path(f"/proc/{child.pid}/statm").read_text("ascii").split()[0]) * resource.getpagesize()
        resource.prlimit(child.pid, resource.RLIMIT_AS, (used + extra_bytes, used + extra_bytes))
    code = child.wait(300.0)
    print(extra_bytes, code, child.updates.count(), child.shown[-700:])
    assert code in (EXIT_DONE, EXIT_BAD_INPUT, *ABORTED), child.shown
    if code == EXIT_BAD_INPUT:
        assert "error: memory ran out" in child.shown and "Traceback" not in child.shown
    return chain.after(child, start, f"{extra_bytes} bytes left")


def test_memory_that_runs_out_leaves_a_run_that_continues(server: Server, trainings: Path, unbroken: Path) -> None:
    chain = Chain(server, trainings, "little-memory", UPDATES)
    ended = [without_memory(chain, 10, extra_bytes) for extra_bytes in (0, 1 << 20)]
    assert any(one.where == "training" for one in ended), "it did run out"
    assert all(one.lost_seconds < HOT_SECONDS + SLACK_SECONDS for one in ended), ended
    assert chain.finish().code == EXIT_DONE
    assert chain.differences(unbroken) == []
