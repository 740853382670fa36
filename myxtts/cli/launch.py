"""Starts the processes of a training on one machine, one for each device, and ends them together."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from myxtts.cli.screen import print_errors
from myxtts.errors import EXIT_DONE, EXIT_STOPPED, ConfigError

LAUNCHED = "MYXTTS_LAUNCHED"
"""In a process that was started here: the descriptor of a pipe that ends with the launcher."""
GRACE_SECONDS = 60.0
"""How long the others may take to save and end after one has ended, and again after SIGTERM, before they are killed."""
_POLL_SECONDS = 0.1
_SHOWN_BYTES = 4_096
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def gpus_here(environment: Mapping[str, str] = os.environ, devices: Path = Path("/dev")) -> list[str]:
    """The GPUs that TensorFlow may use, as CUDA_VISIBLE_DEVICES names them."""
    named = environment.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        chosen = [name.strip() for name in named.split(",")]
        return chosen[: next((at for at, name in enumerate(chosen) if name in ("", "-1")), len(chosen))]
    return [str(number) for number, _ in enumerate(devices.glob("nvidia[0-9]*"))]


def process_count(setting: int, gpus: Sequence[str]) -> int:
    """Number of processes for training.devices: 0 is one for each GPU, or one without a GPU.

    Raises:
        ConfigError: more than there are GPUs.
    """
    if gpus and setting > len(gpus):
        raise ConfigError(
            f"training.devices {setting}: there are {len(gpus)} GPUs (CUDA_VISIBLE_DEVICES {','.join(gpus)}): give at "
            f"most {len(gpus)}, or 0 for all"
        )
    return setting or max(1, len(gpus))


def launch(command: Sequence[str], count: int, gpus: Sequence[str], threads: int, again: str) -> int:
    """Runs `count` processes of one training until all have ended; returns the exit code.

    Signals are passed on, so that Ctrl-C makes all save and stop. If one process ends with an error, the others end by
    themselves or are ended. If this process is killed, they save and end.

    Args:
        command: the command line of each.
        count: number of processes.
        gpus: names of the GPUs, one for each; none on processors.
        threads: training.threads; 0 divides the processors among the processes.
        again: the command line that continues the run, for messages.
    """
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(count)]
    with ExitStack() as stack:
        reading, writing = os.pipe()
        stack.callback(os.close, writing)
        errors: list[IO[bytes] | None] = [None]
        errors += [stack.enter_context(tempfile.TemporaryFile()) for _ in range(count - 1)]
        children: list[subprocess.Popen[bytes]] = []
        stack.callback(_kill_all, children)
        with _forwarding(children):
            for rank in range(count):
                task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
                environment = {**os.environ, "TF_CONFIG": json.dumps(task), LAUNCHED: str(reading)}
                if gpus:
                    environment["CUDA_VISIBLE_DEVICES"] = gpus[rank]
                elif not threads:
                    environment.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
                children.append(
                    subprocess.Popen(
                        list(command),
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stderr=errors[rank],
                        pass_fds=(reading,),
                        process_group=0,  # Ctrl-C reaches the group of the launcher, which passes it on once
                    )
                )
            os.close(reading)
            failed = _wait(children)
        return _exit_code(children, failed, errors, again)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in taken]


@contextmanager
def _forwarding(children: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """A context that forwards signals to end to all children, which get them only from here."""

    def forward(number: int, frame: FrameType | None) -> None:
        for child in children:
            child.send_signal(number)

    before = {number: signal.getsignal(number) for number in _FORWARDED}
    for number, handler in before.items():
        if number != signal.SIGHUP or handler != signal.SIG_IGN:  # nohup
            signal.signal(number, forward)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(children: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Waits until all have ended; returns the rank of the one whose error ended the training."""
    failed: int | None = None
    stopping, deadline = False, 0.0
    while True:
        running = [child for child in children if child.poll() is None]
        if not stopping and (cause := _cause(children)) is not None:
            deadline = deadline or time.monotonic() + GRACE_SECONDS
            failed = cause
        if not running:
            return failed
        if deadline and time.monotonic() > deadline:
            for child in running:
                child.kill() if stopping else child.terminate()
            stopping, deadline = True, time.monotonic() + GRACE_SECONDS
        time.sleep(_POLL_SECONDS)


def _cause(children: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """The rank that ended with an error of its own: killed before anything else, stopped after anything else."""
    ended = [(rank, child.returncode) for rank, child in enumerate(children) if child.returncode]
    order = sorted(ended, key=lambda one: (one[1] > 0, one[1] == EXIT_STOPPED, one[0]))
    return order[0][0] if order else None


def _kill_all(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        if child.poll() is None:
            child.kill()
            child.wait()


def _exit_code(
    children: Sequence[subprocess.Popen[bytes]], failed: int | None, errors: Sequence[IO[bytes] | None], again: str
) -> int:
    """The code of the process that ended first with an error, which is shown; that of the chief if one was killed."""
    if failed is None:
        return EXIT_DONE
    code, chief = children[failed].returncode, children[0].returncode
    if code < 0:
        name = signal.Signals(-code).name
        print_errors(
            f"error: process {failed} of {len(children)} was ended by {name}"
            + (" (out of memory, or killed by someone)" if name == "SIGKILL" else "")
            + f"; to continue: {again}"
        )
        return chief if chief > 0 else EXIT_STOPPED
    shown = errors[failed]
    if shown is not None and code != chief:  # the chief's own lines are on the screen, and do not tell this
        size = shown.seek(0, os.SEEK_END)
        shown.seek(max(0, size - _SHOWN_BYTES))
        text = shown.read().decode("utf-8", "replace").rstrip()
        print_errors(f"process {failed} of {len(children)} ended first (exit code {code}):", text)
    return int(code)


def watch_launcher() -> bool:
    """In a process that was started here: save and stop when the launcher has ended. Returns whether this is one."""
    descriptor = os.environ.pop(LAUNCHED, "")
    if not descriptor:
        return False

    def watch() -> None:
        with contextlib.suppress(OSError):
            os.read(int(descriptor), 1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="launcher", daemon=True).start()
    return True


def leave(code: int) -> None:
    """Ends this process now: TensorFlow would wait at its end for the other processes."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
