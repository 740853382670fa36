"""Training processes that start quickly and can be killed: forked from one that has imported TensorFlow already.

`python -m tests.faults.served` is that one. It has a single thread and has computed nothing when it forks, so a child
is what `train_main.py` is after its imports; what is saved is the importing, five seconds of fifteen. Each child is a
process with its own id, lock, signals and files. TensorFlow's optimizer of graphs is off in all of them, the unbroken
run included: the first update comes another four seconds sooner (test_processes.py has it on).

While a child trains it notes in a file shared by mmap the moment of each update, so that what a kill costs can be
counted to the update even though the kill took the journal's last lines.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import mmap
import os
import select
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "train_main.py"
_SLOTS = 65_536


class Updates:
    """Moments of the updates that one process has made, in a file that outlives it."""

    def __init__(self, path: Path, make: bool = False) -> None:
        if make:
            path.write_bytes(bytes(8 * _SLOTS))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8 * _SLOTS)
        self._count = 0

    def note(self) -> None:
        """One more update is complete."""
        self._count += 1
        struct.pack_into("<d", self._map, 8 * self._count, time.time())
        struct.pack_into("<q", self._map, 0, self._count)

    def count(self) -> int:
        """How many the process has made."""
        return int(struct.unpack_from("<q", self._map, 0)[0])

    def moment(self, number: int) -> float:
        """Seconds since 1970 at which the `number`-th, from 1, was complete."""
        return float(struct.unpack_from("<d", self._map, 8 * number)[0])


class Child:
    """A training process; it is not reaped before `wait` has returned its exit code, so its id stays its own."""

    def __init__(self, server: Server, pid: int, updates: Updates, log: Path) -> None:
        self.server, self.pid, self.updates, self.log = server, pid, updates, log
        self.began = time.time()
        self.code: int | None = None

    def send(self, number: signal.Signals) -> None:
        """A signal for it, unless it has been reaped."""
        if self.code is None:
            os.kill(self.pid, number)

    def wait(self, seconds: float = 600.0) -> int | None:
        """Exit code, negative for the signal that killed it; None if it still runs after `seconds`."""
        if self.code is None:
            self.code = self.server.ask({"do": "wait", "pid": self.pid, "seconds": seconds})["code"]
        return self.code

    def wait_for_updates(self, count: int, seconds: float = 600.0) -> bool:
        """Whether it made that many before the time was over, or before it ended."""
        end = time.monotonic() + seconds
        while self.updates.count() < count:
            if time.monotonic() > end or self.wait(0.0) is not None:
                return self.updates.count() >= count
            time.sleep(0.005)
        return True

    def end(self) -> None:
        """Kill it if it still runs."""
        if self.wait(0.0) is None:
            self.send(signal.SIGKILL)
            self.wait()

    @property
    def shown(self) -> str:
        """What it has printed so far."""
        return self.log.read_text("utf-8", "replace")


class Server:
    """The process that forks; use it in a `with` statement."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._number = 0
        alone = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.served"],
            cwd=ROOT,
            env={**os.environ, **alone, "PYTHONWARNINGS": "ignore", "MYXTTS_FAULT": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        ready = self._answer(600.0)
        if ready["threads"] != 1:
            self.__exit__()
            raise RuntimeError(f"the server has {ready['threads']} threads and must not fork")

    def start(
        self,
        words: list[str],
        fault: str = "",
        patches: dict[str, object] | None = None,
        root_powers: bool = True,
        output: str = "",
    ) -> Child:
        """A training with these command-line words.

        fault: MYXTTS_FAULT. patches: module:name -> value, for waits that are too long for a test.
        root_powers: False: file permissions hold for it even if it runs as root. output: where it prints to, a device
        or a FIFO, instead of to a log.
        """
        self._number += 1
        updates, log = self.folder / f"{self._number}.updates", self.folder / f"{self._number}.log"
        shared = Updates(updates, make=True)
        log.touch()
        request = {"do": "start", "words": words, "fault": fault, "updates": str(updates), "log": output or str(log)}
        pid = self.ask({**request, "patches": patches or {}, "root_powers": root_powers})["pid"]
        return Child(self, pid, shared, log)

    def ask(self, request: dict[str, Any]) -> Any:
        """The answer to a request."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer(request.get("seconds", 0.0) + 60.0)

    def _answer(self, seconds: float) -> Any:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            raise TimeoutError(f"the server has not answered within {seconds:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the server has ended")
        return json.loads(line)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()  # the server ends, and its children are killed with it
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def _serve() -> None:
    """Requests from stdin, answers to stdout, one JSON object a line."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in ("myxtts.cli.train", "myxtts.data.prepare", "myxtts.training.run", "myxtts.report"):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()

    def answer(value: object) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    answer({"threads": len(list(Path("/proc/self/task").iterdir()))})
    children: set[int] = set()
    while line := sys.stdin.readline():
        request = json.loads(line)
        if request["do"] == "start":
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                _train(request, parent)
            children.add(pid)
            answer({"pid": pid})
        else:
            code = _waited(request["pid"], request["seconds"])
            children -= set() if code is None else {request["pid"]}
            answer({"code": code})
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _waited(pid: int, seconds: float) -> int | None:
    end = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.002)


def _train(request: dict[str, Any], parent: int) -> NoReturn:
    """The child: the program, from its settings on."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: nothing trains on after the tests
    if os.getppid() != parent:
        os._exit(1)
    log, nothing = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_NOCTTY), os.open(os.devnull, os.O_RDONLY)
    for source, target in ((log, 1), (log, 2), (nothing, 0)):
        os.dup2(source, target)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is born deaf to it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if not request["root_powers"]:
        _drop_root_powers()
    from myxtts import faults
    from myxtts.cli import train

    os.environ[faults.VARIABLE] = request["fault"]
    for where, value in request["patches"].items():
        module, _, name = where.partition(":")
        setattr(importlib.import_module(module), name, value)
    tensorflow = importlib.import_module("tensorflow")
    tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    updates, point = Updates(Path(request["updates"])), faults.point

    def counting(name: str) -> None:
        if name == "loop.update":
            updates.note()
        point(name)

    faults.point = counting
    code = 1
    try:
        code = train.main(request["words"], program=PROGRAM, default_checkpoint_dir="./checkpoints")
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _drop_root_powers() -> None:
    """Gives up CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by which root passes over file permissions. OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("=Ii", 0x20080522, 0)
    data = ctypes.create_string_buffer(24)
    if libc.capget(header, data):
        raise OSError(ctypes.get_errno(), "capget")
    effective, *rest = struct.unpack("=6I", data.raw)
    if libc.capset(header, struct.pack("=6I", effective & ~0b110, *rest)):
        raise OSError(ctypes.get_errno(), "capset")


if __name__ == "__main__":
    _serve()
