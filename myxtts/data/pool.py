"""Runs jobs in worker processes, so that a decoder that crashes or hangs costs one job and not the run."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar

from myxtts.errors import MyXTTSError

J = TypeVar("J")
R = TypeVar("R")

JOB_PROCESSOR_SECONDS = 60.0
"""A job that uses more processor time is killed with its process; a good clip takes a fraction of a second."""
JOB_WALL_SECONDS = 600.0
"""A job that waits longer (for a disk that does not answer) is killed too."""
JOB_MEMORY_BYTES = 4 << 30
"""Most memory of a job beyond what its process has at the start; the longest clip takes 0.5 GB."""

_PRELOADED = ["myxtts.data.features", "myxtts.audio.pitch_search", "scipy.ndimage", "scipy.signal"]
"""What the workers have from the start. The last three are imported at their first use, which the limits of a job
would count."""
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


KILLED = (
    "killed (SIGKILL), as the system does when memory runs out: free memory, or set data.num_workers (--num-workers) "
    "lower, and start again"
)


@dataclass(frozen=True)
class Died:
    """In place of a result: the process of the job crashed or was killed for taking too long.

    `killed`: by a signal that this program never sends; the system sends it when memory runs out.
    """

    killed: bool = False


def run_isolated(function: Callable[[J], R], jobs: Sequence[J], workers: int) -> Iterator[tuple[int, R | Died]]:
    """Yields (index of the job, its result or Died) in the order in which jobs finish; each job exactly once.

    Args:
        function: a module-level function, so that a new process can import it.
        jobs: its arguments.
        workers: number of processes; 0 takes one per processor.
    Errors: what `function` raises; MyXTTSError if no process can be started.

    When a process dies, all jobs that were running are suspects. Each is run again alone; the one whose process dies
    then is the cause.
    """
    workers = min(workers or os.cpu_count() or 1, max(len(jobs), 1))
    todo = deque(range(len(jobs)))
    suspects: deque[int] = deque()
    while todo or suspects:
        alone = bool(suspects)
        pool, processes = _started(1 if alone else workers, function)
        try:
            lost = yield from _drain(pool, function, jobs, suspects if alone else todo, 1 if alone else 2 * workers)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        if alone:
            for index in lost:
                yield index, Died(_was_killed(processes))
        else:
            suspects.extend(sorted(lost))


def _drain(
    pool: ProcessPoolExecutor, function: Callable[[J], R], jobs: Sequence[J], source: deque[int], most_running: int
) -> Generator[tuple[int, R | Died], None, list[int]]:
    """Runs the jobs in `source` until it is empty or the pool breaks; returns the jobs that were running then."""
    running: dict[Future[R], int] = {}
    lost: list[int] = []
    broken = False
    while running or (source and not broken):
        while source and not broken and len(running) < most_running:
            index = source.popleft()
            try:
                running[pool.submit(function, jobs[index])] = index
            except BrokenProcessPool:
                source.appendleft(index)
                broken = True
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            index = running.pop(future)
            try:
                result = future.result()
            except BrokenProcessPool:
                lost.append(index)
                broken = True
            else:
                yield index, result
    return lost


def _was_killed(processes: Sequence[BaseProcess]) -> bool:
    """Whether one of the processes, all of which have ended, got SIGKILL; the pool ends the others by SIGTERM."""
    return any(process.exitcode == -signal.SIGKILL for process in processes)


def _started(workers: int, function: Callable[[J], R]) -> tuple[ProcessPoolExecutor, list[BaseProcess]]:
    """A pool whose processes have started and loaded `function`, and these processes; each uses one thread.

    Without the check at the start, a module that cannot be imported would make every job look like a crash.
    """
    # A server process loads the modules once and forks the workers; it has no threads, which a fork would lose.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_process, initargs=(function,))
    # All processes start with the first job. A process started by a later job, while the pool cleans up after a
    # crash, would be joined but never ended (seen in Python 3.11), and the caller would wait forever.
    vars(pool)["_safe_to_dynamically_spawn_children"] = False
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)  # libraries read this when they load, so it is set before the processes start
    processes: list[BaseProcess] = []
    try:
        first = pool.submit(_nothing)
        processes = list((vars(pool)["_processes"] or {}).values())
        first.result()
    except BrokenProcessPool as error:
        pool.shutdown()
        if _was_killed(processes):
            raise MyXTTSError(f"a worker process was {KILLED}; run the same command to continue") from error
        raise MyXTTSError(
            "worker processes cannot start (their own message is above); a script that prepares data must do so "
            "under if __name__ == '__main__':"
        ) from error
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
    return pool, processes


def _nothing() -> None:
    """The first job of a pool, which shows that its processes start."""


def _prepare_process(function: Callable[[J], R]) -> None:
    """Sets up a worker: ignores Ctrl-C, prints nothing, has a memory limit, and ends when the parent ends.

    `function` is an argument only so that a process that cannot import it fails here, where it can be reported.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    silent = os.open(os.devnull, os.O_WRONLY)  # decoders print warnings about damaged files
    os.dup2(silent, sys.__stderr__.fileno() if sys.__stderr__ else 2)
    os.close(silent)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = _address_space_bytes() + JOB_MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(hard, most), hard))


def _address_space_bytes() -> int:
    """Address space of this process; a guess where the system does not report it (macOS)."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 12 << 30


def _end_with_parent() -> None:
    """Waits until the parent ends, so that no worker is left behind when the parent is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


@contextmanager
def job_limits(
    processor_seconds: float = JOB_PROCESSOR_SECONDS, wall_seconds: float = JOB_WALL_SECONDS
) -> Iterator[None]:
    """Kills the process if the body takes too long, even inside a C library. For worker processes only."""
    _set_timers(processor_seconds, wall_seconds)
    try:
        yield
    finally:
        _set_timers(0.0, 0.0)


def _set_timers(processor_seconds: float, wall_seconds: float) -> None:
    """Sets timers whose signals kill the process; 0 stops a timer."""
    signal.setitimer(signal.ITIMER_PROF, processor_seconds)
    signal.setitimer(signal.ITIMER_REAL, wall_seconds)
