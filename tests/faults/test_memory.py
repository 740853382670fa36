"""W8: memory that runs out in a real training, at whatever allocation, costs no more than the hot interval."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from myxtts.errors import EXIT_BAD_INPUT, EXIT_DONE
from tests.faults.chain import Chain
from tests.faults.conftest import UPDATES
from tests.faults.served import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
ABORTED = (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGKILL)
"""TensorFlow's own code ends a process whose allocation fails; as does the system when the machine has no memory."""


def test_memory_that_runs_out_leaves_a_run_that_continues(server: Server, trainings: Path, unbroken: Path) -> None:
    chain, codes = Chain(server, trainings, "little-memory", UPDATES), []
    for megabytes in (150, 400, 500, 600, 700):
        child = chain.start(memory_mb=megabytes)
        codes.append(child.wait(100))
        print(megabytes, codes[-1], child.updates.count(), child.shown[-600:])
        assert codes[-1] in (EXIT_DONE, EXIT_BAD_INPUT, *ABORTED), child.shown
        if codes[-1] == EXIT_BAD_INPUT:
            assert "memory" in child.shown and "Traceback" not in child.shown
    assert chain.finish().code == EXIT_DONE
    assert chain.differences(unbroken) == []
