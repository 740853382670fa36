"""Runs jobs in processes of their own, so that a decoder that dies or hangs costs one job and not the run."""

from __future__ import annotations

import multiprocessing
import os
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
"""A job that computes for longer is ended with its process; a good clip takes a fraction of a second."""
JOB_WALL_SECONDS = 600.0
"""A job that waits for longer (a disk that does not answer) is ended too."""
JOB_MEMORY_BYTES = 4 << 30
"""A job cannot take more memory than this beyond what its process has when it starts; the longest clip takes 0.5 GB."""

_PRELOADED = ["myxtts.data.features"]
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


KILLED = (
    "killed (SIGKILL), as the system does where memory runs out: free memory, or set data.num_workers (--num-workers) "
    "lower, and start again"
)


@dataclass(frozen=True)
class Died:
    """In place of a result: the job's process died or was ended for taking too long.

    `killed`: by a signal that this program never sends, as the system does where memory runs out.
    """

    killed: bool = False


def run_isolated(function: Callable[[J], R], jobs: Sequence[J], workers: int) -> Iterator[tuple[int, R | Died]]:
    """Yields (index of the job, its result or Died) in the order in which jobs end; each job exactly once.

    Args:
        function: a function of a module, so that a fresh process can import it.
        jobs: its arguments.
        workers: processes; 0 takes one per processor.
    Errors: what `function` raises; MyXTTSError if no process can be started.

    When a process dies, all jobs that were running are suspects; each is run again alone, and one that dies alone is
    the one that kills.
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
    """Runs the jobs named by `source` until it is empty or the pool breaks; returns the jobs lost when it broke."""
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
    """Whether one of some processes that have ended was killed; the others are only told to end then."""
    return sys.platform != "win32" and any(process.exitcode == -signal.SIGKILL for process in processes)


def _started(workers: int, function: Callable[[J], R]) -> tuple[ProcessPoolExecutor, list[BaseProcess]]:
    """A pool whose processes run and have loaded `function`, and these; each computes with one thread.

    Without this first look, a module that cannot be imported would make every job look like one that kills.
    """
    # A server that has loaded the modules once forks the workers; it has no threads, which a fork would lose.
    context = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
    if sys.platform != "win32":
        context.set_forkserver_preload(_PRELOADED)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_process, initargs=(function,))
    # All processes start with the first job. One that a later job starts while a death is being cleared up is joined
    # and never ended (seen in Python 3.11): the caller waits for ever.
    vars(pool)["_safe_to_dynamically_spawn_children"] = False
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)  # read when a library loads, so it must be set before the processes start
    processes: list[BaseProcess] = []
    try:
        first = pool.submit(_nothing)
        processes = list((vars(pool)["_processes"] or {}).values())
        first.result()
    except BrokenProcessPool as error:
        pool.shutdown()
        if _was_killed(processes):
            raise MyXTTSError(f"a worker process was {KILLED}; the same command goes on") from error
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
    """The first job of a pool: shows that its processes start."""


def _prepare_process(function: Callable[[J], R]) -> None:
    """Sets up a worker: no Ctrl-C of its own, no output, limits, and an end when the parent ends.

    `function` is only handed over so that a process that cannot load it fails here, where it can be told why.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    silent = os.open(os.devnull, os.O_WRONLY)  # decoders write about damaged files straight to the screen
    os.dup2(silent, sys.__stderr__.fileno() if sys.__stderr__ else 2)
    os.close(silent)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = _address_space_bytes() + JOB_MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(hard, most), hard))


def _address_space_bytes() -> int:
    """Address space of this process; a guess where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 12 << 30


def _end_with_parent() -> None:
    """Waits for the parent's end, so that no worker is left behind when it is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


@contextmanager
def job_limits(
    processor_seconds: float = JOB_PROCESSOR_SECONDS, wall_seconds: float = JOB_WALL_SECONDS
) -> Iterator[None]:
    """Ends the process if the body takes too long, even if it hangs inside a C library. For worker processes alone."""
    _set_timers(processor_seconds, wall_seconds)
    try:
        yield
    finally:
        _set_timers(0.0, 0.0)


def _set_timers(processor_seconds: float, wall_seconds: float) -> None:
    """Timers whose signals end a process that does not catch them; 0 stops a timer."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, processor_seconds)
        signal.setitimer(signal.ITIMER_REAL, wall_seconds)
