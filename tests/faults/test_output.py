"""W2 and W6 with real trainings: output that fails in the middle of one ends nothing and costs no update."""

from __future__ import annotations

import os
import signal
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from myxtts.errors import EXIT_STOPPED
from tests.faults.chain import Chain
from tests.faults.served import Server
from tests.training.made_run import events

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_500)]
UPDATES = 100_000
QUIET: dict[str, object] = {
    "training__hot_checkpoint_seconds": 3_600,
    "training__log_every_updates": 1,
    "training__checkpoint_every_updates": UPDATES,
    "training__candidate_every_updates": UPDATES,
}
"""A line at every update, and no save but the first and the last."""
SHOWN_AFTER_SECONDS = 1.0
"""Longer than the interval at which a bar on a terminal is drawn, which is when a closed terminal is noticed."""


@contextmanager
def reader(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """A FIFO and the descriptor of its reader: what `| tee log` is."""
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    yield str(fifo), [os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)]


@contextmanager
def terminal(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """A terminal, and the descriptors with which it goes."""
    master, slave = os.openpty()
    termios.tcsetwinsize(master, (24, 80))  # a bar shows nothing on a terminal without a size
    yield os.ttyname(slave), [slave, master]


@contextmanager
def full_disk(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """A disk that takes nothing."""
    yield "/dev/full", []


@pytest.mark.parametrize("output", [reader, terminal, full_disk], ids=lambda output: output.__name__)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_output_that_fails_and_a_signal_cost_no_update(
    server: Server, trainings: Path, tmp_path: Path, output: object, number: signal.Signals
) -> None:
    """Ctrl-C reaches the training and `tee` at once; a terminal that closes takes the screen and sends SIGHUP."""
    assert callable(output)
    chain = Chain(server, trainings, f"output-{output.__name__}-{number.name}", UPDATES, **QUIET)
    with output(tmp_path) as (place, descriptors):
        child = chain.start(output=place)
        assert child.wait_for_updates(3, 300.0)
        for descriptor in descriptors:
            os.close(descriptor)
        if number == signal.SIGHUP:  # it trains on without a screen
            closed = time.time()
            while child.updates.moment(child.updates.count()) < closed + SHOWN_AFTER_SECONDS:
                assert child.wait_for_updates(child.updates.count() + 1, 300.0)
        child.send(number)
        assert child.wait() == EXIT_STOPPED
    assert chain.saved() == child.updates.count()
    assert [event["message"] for event in events(chain.run, "signal")] == [f"stopped by {number.name}"]
    lost = [event["message"].split()[0] for event in events(chain.run, "output_lost")]
    assert len(lost) == len(set(lost)), "each is reported once"
    assert number == signal.SIGINT or "stderr" in lost
