"""Several real processes of one training on the loopback device."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from test_processes import environment

ROOT = Path(__file__).resolve().parents[2]


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    taken = [socket.socket() for _ in range(count)]
    try:
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in taken]
    finally:
        for one in taken:
            one.close()


def tf_config(addresses: Sequence[str], index: int) -> str:
    return json.dumps({"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}})


class Group:
    """Processes of one training, by rank; `ended` waits for all."""

    def __init__(self, processes: Sequence[subprocess.Popen[str]]) -> None:
        self.processes = processes

    def ended(self, seconds: float = 300.0) -> list[tuple[int, str, str]]:
        """Exit code, stdout and stderr of each."""
        found = [one.communicate(timeout=seconds) for one in self.processes]
        return [(one.returncode, *texts) for one, texts in zip(self.processes, found, strict=True)]


@contextmanager
def group(
    words: Sequence[str], size: int, *, faults: Mapping[int, str] | None = None, more: Mapping[str, str] | None = None
) -> Iterator[Group]:
    """`size` processes of one command; `faults` are MYXTTS_FAULT by rank. None of them outlives the block."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(size)]
    processes: list[subprocess.Popen[str]] = []
    try:
        for rank in range(size):
            own = {**environment((faults or {}).get(rank, "")), **(more or {})}
            if size > 1:
                own["TF_CONFIG"] = tf_config(addresses, rank)
            processes.append(
                subprocess.Popen(
                    [sys.executable, *words],
                    cwd=ROOT,
                    env={**os.environ, **own},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        yield Group(processes)
    finally:
        for one in processes:
            if one.poll() is None:
                one.kill()
                one.wait()
            for stream in (one.stdout, one.stderr):
                if stream is not None:
                    stream.close()
