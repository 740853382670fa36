from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from myxtts.training.signals import ONE_REQUEST_SECONDS, StopSignals

# signals.py is loaded by its path, so that the child need not import what the package imports
LOOP = f"""
import importlib.util, os, signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
spec = importlib.util.spec_from_file_location("signals", {sys.modules[StopSignals.__module__].__file__!r})
signals = importlib.util.module_from_spec(spec)
sys.modules["signals"] = signals
spec.loader.exec_module(signals)
"""
AFTER_THE_FIRST = ONE_REQUEST_SECONDS + 0.4


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def run(body: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", LOOP + body]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    return child


def finish(child: subprocess.Popen[str], line: str | None = None) -> tuple[int, str]:
    output, _ = child.communicate(line, timeout=100)
    return child.returncode, output


def send_at_once(child: subprocess.Popen[str], *numbers: signal.Signals) -> None:
    """They wait until the process continues, however slow this one is."""
    child.send_signal(signal.SIGSTOP)
    os.waitpid(child.pid, os.WUNTRACED)
    for number in (*numbers, signal.SIGCONT):
        child.send_signal(number)


def end_with(child: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    """Another request, repeated: on a busy machine it may still count as the one before."""
    time.sleep(AFTER_THE_FIRST)
    assert child.poll() is None, "one request does not end it"
    while child.poll() is None:
        child.send_signal(number)
        time.sleep(0.1)
    return finish(child)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_first_signal_requests_a_stop(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    if before == signal.SIG_IGN:
        pytest.skip("the tests run under nohup")
    with StopSignals() as stop:
        assert stop.requested is None
        os.kill(os.getpid(), number)
        assert stop.requested == number.name
    assert signal.getsignal(number) is before and stop.requested == number.name


def test_it_is_reusable_and_leaves_nothing_open() -> None:
    stop = StopSignals()
    before = open_files(), threading.active_count()
    for _ in range(3):
        with stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.requested == "SIGTERM"
    assert (open_files(), threading.active_count()) == before


def test_the_loop_ends_its_own_way() -> None:
    child = run("""
with signals.StopSignals() as stop:
    print("ready", flush=True)
    while stop.requested is None:
        time.sleep(0.01)
print("saved after", stop.requested)
sys.exit(75)
""")
    child.send_signal(signal.SIGINT)
    assert finish(child) == (75, "saved after SIGINT\n")


def test_one_request_that_arrives_as_several_signals_is_one() -> None:
    """As coreutils' timeout sends it: to the child, then to its group, which make passes on once more."""
    child = run("""
with signals.StopSignals() as stop:
    print("ready", flush=True)
    while stop.requested is None:
        time.sleep(0.01)
    time.sleep(1.0)
print("saved after", stop.requested)
sys.exit(75)
""")
    send_at_once(child, signal.SIGTERM, signal.SIGTERM, signal.SIGINT)
    code, output = finish(child)
    assert code == 75 and output in ("saved after SIGTERM\n", "saved after SIGINT\n")


def test_a_later_signal_counts_after_several_at_once() -> None:
    child = run("""
with signals.StopSignals() as stop:
    print("ready", flush=True)
    time.sleep(100)
""")
    send_at_once(child, signal.SIGTERM, signal.SIGINT)
    assert end_with(child, signal.SIGTERM)[0] == 128 + signal.SIGTERM


@pytest.mark.parametrize("first, second", [("SIGTERM", "SIGTERM"), ("SIGTERM", "SIGINT"), ("SIGINT", "SIGINT")])
def test_the_second_signal_exits_at_once(first: str, second: str) -> None:
    child = run("""
with signals.StopSignals() as stop:
    print("ready", flush=True)
    time.sleep(100)
""")
    child.send_signal(signal.Signals[first])
    assert end_with(child, signal.Signals[second]) == (128 + signal.Signals[second], "")


def test_any_number_of_hangups_only_requests_a_stop() -> None:
    child = run("""
with signals.StopSignals() as stop:
    print("ready", flush=True)
    sys.stdin.readline()
print("saved after", stop.requested)
sys.exit(75)
""")
    child.send_signal(signal.SIGHUP)
    time.sleep(AFTER_THE_FIRST)
    child.send_signal(signal.SIGHUP)
    assert finish(child, "\n") == (75, "saved after SIGHUP\n")


def test_a_second_request_after_a_hangup_exits_at_once() -> None:
    child = run("""
with signals.StopSignals() as stop:
    print("ready", flush=True)
    time.sleep(100)
""")
    child.send_signal(signal.SIGHUP)
    assert end_with(child, signal.SIGTERM)[0] == 128 + signal.SIGTERM


def test_a_closed_terminal_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.requested is None
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_second_signal_exits_even_inside_a_long_computation() -> None:
    child = run("""
import ctypes
with signals.StopSignals() as stop:
    print("ready", flush=True)
    libc, left = ctypes.CDLL(None), 100  # sleeps outside the interpreter, as a compilation of TensorFlow does
    while left:
        left = libc.sleep(left)
""")
    child.send_signal(signal.SIGTERM)
    assert end_with(child, signal.SIGTERM)[0] == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_one_signal_for_the_whole_group_counts_once_and_spares_the_workers(number: signal.Signals) -> None:
    child = run("""
os.setpgid(0, 0)
with signals.StopSignals() as stop:
    workers, (reading, writing) = [], os.pipe()
    for _ in range(3):
        worker = os.fork()
        if worker == 0:
            os.write(writing, b"x")
            time.sleep(100)
            os._exit(0)
        workers.append(worker)
        os.read(reading, 1)
    print("ready", flush=True)
    while stop.requested is None:
        time.sleep(0.01)
    time.sleep(0.2)
    alive = [os.waitpid(worker, os.WNOHANG)[0] == 0 for worker in workers]
    for worker in workers:
        os.kill(worker, 15)
    print(alive, [os.waitpid(worker, 0)[1] for worker in workers])
""")
    os.killpg(child.pid, number)
    assert finish(child) == (0, "[True, True, True] [15, 15, 15]\n")


def test_another_thread_is_rejected_and_nothing_stays_open() -> None:
    caught: list[BaseException] = []
    before = open_files()

    def enter() -> None:
        try:
            with StopSignals():
                pass
        except ValueError as error:
            caught.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert "main thread" in str(caught[0]) and open_files() == before
