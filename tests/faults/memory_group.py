"""A group of processes with little memory: what exceeds it makes the kernel kill the largest of them (Linux, root)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

GROUPS = Path("/sys/fs/cgroup/memory")
_GREEDY = "open('/proc/self/oom_score_adj', 'w').write('-1000')\nprint('ready', flush=True)\ninput()\nb'x' * (1 << 28)"
"""Takes more than a group has, and is never the one that is killed."""


class MemoryGroup:
    """A memory control group; `exhaust` fills it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def take_in(self, pid: int) -> None:
        """Moves a process into it. What it holds already does not count."""
        (self.path / "tasks").write_text(str(pid))

    def exhaust(self) -> None:
        """Another process allocates too much memory, as may happen next to a training."""
        with subprocess.Popen(
            [sys.executable, "-c", _GREEDY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as greedy:
            assert greedy.stdin is not None and greedy.stdout is not None
            greedy.stdout.readline()
            self.take_in(greedy.pid)
            greedy.stdin.write("\n")
            greedy.stdin.flush()
            greedy.stdin.close()
            try:
                greedy.wait(20)
            except subprocess.TimeoutExpired:
                pass
            finally:
                greedy.kill()


@contextmanager
def memory_group(limit_bytes: int = 1 << 26) -> Iterator[MemoryGroup]:
    """A group with that much memory; skips the test where this machine has none."""
    path = GROUPS / f"myxtts-{os.getpid()}"
    try:
        path.mkdir()
        (path / "memory.limit_in_bytes").write_text(str(limit_bytes))
    except OSError as error:
        pytest.skip(f"no memory control group here: {error}")
    try:
        yield MemoryGroup(path)
    finally:
        path.rmdir()
