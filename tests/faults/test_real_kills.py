"""W1, W2, W5 and N4 with real trainings: a few here, hundreds by tests.faults.kills and tests.faults.stops."""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path

import numpy as np
import pytest

from myxtts.errors import EXIT_STOPPED, EXIT_STORAGE
from myxtts.storage.checkpoint import read_checkpoint
from tests.faults import stops
from tests.faults.chain import HOT_SECONDS, SLACK_SECONDS, Chain
from tests.faults.conftest import UPDATES
from tests.faults.memory_group import memory_group
from tests.faults.served import Server
from tests.training.made_run import events

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_500)]


def test_kills_at_stages_and_during_a_second_start_change_nothing(
    server: Server, trainings: Path, unbroken: Path
) -> None:
    chain, chance = Chain(server, trainings, "killed", UPDATES), random.Random(3)
    broken = [
        chain.kill_after(chance.uniform(0.0, 4.0), in_start_up=True),
        chain.kill_at("store.before_rename", 2),
    ]
    start, held = chain.saved(), chain.start("loop.update:10:sleep=600")
    try:
        assert held.wait_for_updates(10), held.shown
        second = chain.start()
        assert second.wait() == EXIT_STORAGE
        (line,) = [line for line in second.shown.splitlines() if "in use" in line]
        assert f"is in use by process {held.pid} on " in line and f"kill {held.pid}" in line
        assert "Traceback" not in second.shown and held.wait(0.0) is None
    finally:
        held.end()
    waited = chain.after(held, start, "random")
    broken.append(chain.kill_at("store.between_renames", 1, patience=60.0))  # the best of the end replaces the last
    assert f"taken over from process {held.pid} on " in events(chain.run, "lock")[-1]["message"]
    assert chain.finish().code == 0
    assert [one.code for one in (*broken, waited)] == [-signal.SIGKILL] * 4
    assert all(one.saved >= one.start for one in (*broken, waited))
    for one in broken:  # the one that was held waited longer than any save may take
        assert one.lost_seconds < HOT_SECONDS + SLACK_SECONDS, one
    assert chain.differences(unbroken) == []
    assert len(events(chain.run, "lock")) >= 2, "a killed process's lock is taken over, and it is said"


def test_a_kill_for_lack_of_memory_loses_at_most_the_hot_interval(
    server: Server, trainings: Path, unbroken: Path
) -> None:
    chain = Chain(server, trainings, "no-memory", UPDATES)
    with memory_group() as group:
        start, child = chain.saved(), chain.start()
        try:
            assert child.wait_for_updates(10), child.shown
            group.take_in(child.pid)
            group.exhaust()
            assert child.wait() == -signal.SIGKILL, "by the kernel: no signal was sent"
        finally:
            child.end()
    broken = chain.after(child, start, "no memory")
    assert broken.saved >= start and broken.lost_seconds < HOT_SECONDS + SLACK_SECONDS, broken
    assert chain.finish().code == 0
    assert chain.differences(unbroken) == []


def test_stopped_gracefully_and_at_once(server: Server, trainings: Path, unbroken: Path) -> None:
    chain = Chain(server, trainings, "stopped", UPDATES)
    broken = stops.stop(chain, signal.SIGTERM, 0.5)  # one SIGINT: test_processes.py
    assert (broken.code, broken.lost) == (EXIT_STOPPED, 0), broken
    left, _ = stops.stop_twice(chain, signal.SIGINT, signal.SIGTERM)
    assert left.code == 128 + signal.SIGTERM and left.lost <= 2
    assert chain.finish().code == 0
    assert chain.differences(unbroken) == []


def test_the_disk_never_holds_a_value_that_is_not_finite(server: Server, trainings: Path) -> None:
    """A weight is corrupted after an update, just before its save. The ladder decides what the run does then."""
    chain = Chain(server, trainings, "poisoned", 60, training__checkpoint_every_updates=10)
    child = chain.start("step.weights:30:nan")
    child.wait(300.0)
    child.end()
    folders = sorted((chain.run / "checkpoints").glob("step-*"))
    assert folders, child.shown
    for folder in folders:
        checkpoint = read_checkpoint(folder)
        for stem in checkpoint.arrays:
            for name, array in checkpoint.arrays[stem].items():
                if np.issubdtype(array.dtype, np.floating):
                    assert np.isfinite(array).all(), (folder.name, stem, name)
        json.loads((folder / "state.json").read_text(), parse_constant=pytest.fail)
    assert child.code != 0 or chain.saved() == 60
    if child.code != 0:
        assert chain.saved() < 30 and "Traceback" not in child.shown
