"""Thousands of requests to a `myxtts serve` process: requests a second, time to the first sound, and memory over them.

MODEL is an exported folder, a run or the starter. The texts are short and take turns; some requests are errors, some
clients leave after the first bytes, as on a real server. Memory is the resident set of the server, read after every
hundredth of the requests; after the first tenth, which fills its caches, it must not grow.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection

from bench import results
from bench.process_figures import Sample, sample
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE, ConfigError

TEXTS = ("Yes.", "Good day.", "Not now.", "It is ten.", "Come in!", "Who is it?", "All of it.", "Thank you.")
FORMATS = ("pcm", "wav", "mp3", "opus", "flac")
_PERCENTILE = 95
_TIMEOUT_SECONDS = 600.0
"""A request only waits so long where the machine has other work; it is no measurement."""
_EVERY_ERROR, _EVERY_LEAVER = 50, 97
"""One request in so many is an error, one in so many a client that leaves."""


@dataclass
class Counts:
    """What the requests gave. The lists hold seconds."""

    ok: int = 0
    errors: int = 0
    busy: int = 0
    left: int = 0
    first_sound: list[float] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("server_load", "Requests a second, time to the first sound, and memory of a speech server.")
    made.add_argument("model", metavar="MODEL", help="exported folder, run directory or starter")
    made.add_argument("--voice", default="kathleen", metavar="ID", help="a voice that it serves (kathleen)")
    made.add_argument("--requests", type=int, default=10_000, metavar="N", help="requests in all (10,000)")
    made.add_argument("--clients", type=int, default=2, metavar="N", help="clients at the same time (2)")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    screen, counts = Screen(), Counts()
    with _server(given.model) as (process, host, port):
        begun = time.perf_counter()
        numbers = iter(range(1, given.requests + 1))

        def client() -> None:
            connection = HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
            while True:
                with counts.lock:
                    number = next(numbers, None)
                if number is None:
                    connection.close()
                    return
                connection = _request(connection, number, given.voice, counts)
                if number % max(1, given.requests // 100) == 0:
                    found = sample(process.pid, number)
                    if found is None:
                        raise ConfigError(f"the server ended after {number} requests")
                    with counts.lock:
                        counts.samples.append(found)
                        screen.progress("requests", number, given.requests)

        with ThreadPoolExecutor(given.clients) as pool:
            for one in [pool.submit(client) for _ in range(given.clients)]:
                one.result()
        seconds = time.perf_counter() - begun
    screen.close()
    _show(given, counts, seconds)
    return EXIT_DONE


def _request(connection: HTTPConnection, number: int, voice: str, counts: Counts) -> HTTPConnection:
    """Sends a request and reads its answer; returns the connection for the next one."""
    values = {
        "model": "myxtts",
        "input": TEXTS[number % len(TEXTS)],
        "voice": "nobody" if number % _EVERY_ERROR == 0 else voice,
        "response_format": FORMATS[number % len(FORMATS)],
    }
    leaves = number % _EVERY_LEAVER == 0
    if leaves:
        values |= {"input": " ".join(TEXTS), "response_format": "pcm"}
    begun = time.perf_counter()
    connection.request("POST", "/v1/audio/speech", json.dumps(values), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    first = answer.read1(64) if leaves else answer.read(1)
    waited = time.perf_counter() - begun
    if leaves:
        connection.close()
        connection = HTTPConnection(connection.host, connection.port, timeout=_TIMEOUT_SECONDS)
    else:
        answer.read()
    with counts.lock:
        if answer.status == 200 and first:
            counts.left += leaves
            counts.ok += not leaves
            counts.first_sound.append(waited)
        elif answer.status == 503:
            counts.busy += 1
        elif answer.status == 400 and number % _EVERY_ERROR == 0:
            counts.errors += 1
        else:
            raise ConfigError(f"request {number} was answered with {answer.status}")
    return connection


@contextmanager
def _server(model: str) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """A server with a model on a free port. Raises ConfigError where it does not start."""
    words = [sys.executable, "-m", "myxtts", "serve", model, "--port", "0"]
    with subprocess.Popen(words, cwd=results.ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = next((line for line in process.stdout if line.startswith("listening on ")), None)
            if line is None:
                raise ConfigError(f"myxtts serve {model} did not start")
            host, _, port = line.split("//")[1].strip().rpartition(":")
            yield process, host, int(port)
        finally:
            process.terminate()


def _show(given: Namespace, counts: Counts, seconds: float) -> None:
    marks = sorted(counts.first_sound)
    samples = sorted(counts.samples, key=lambda one: one.update)
    tenth = next(one for one in samples if one.update >= given.requests // 10)
    last = samples[-1]
    later = [one.rss_mb for one in samples if one.update > tenth.update]
    middle = len(later) // 2
    halves = [statistics.mean(half) for half in (later[:middle], later[middle:]) if half]
    figures = {
        "requests": given.requests,
        "clients": given.clients,
        "requests_per_second": given.requests / seconds,
        "first_sound_median": statistics.median(marks),
        "first_sound_p95": marks[len(marks) * _PERCENTILE // 100],
        "answers": {"ok": counts.ok, "error": counts.errors, "busy": counts.busy, "left": counts.left},
        "rss_mb": {str(one.update): one.rss_mb for one in samples},
        "files": [tenth.files, last.files],
        "threads": [tenth.threads, last.threads],
    }
    rows = [
        ("requests", f"{given.requests:,} by {given.clients} clients in {seconds:.0f} s"),
        ("requests per second", f"{given.requests / seconds:.1f}"),
        ("first sound, median and 95%", f"{figures['first_sound_median']:.3f} s, {figures['first_sound_p95']:.3f} s"),
        ("answers", f"{counts.ok:,} spoken, {counts.errors} errors, {counts.left} clients left, {counts.busy} busy"),
        (f"memory after {tenth.update:,}, {last.update:,}", f"{tenth.rss_mb:.1f} MB, {last.rss_mb:.1f} MB"),
        ("mean of the two later halves", " MB, ".join(f"{half:.1f}" for half in halves) + " MB"),
        ("open files, threads", f"{tenth.files} and {last.files}, {tenth.threads} and {last.threads}"),
    ]
    results.show(f"Load on a server of {given.model}", rows, figures, given.json, heads=False)


if __name__ == "__main__":
    sys.exit(main())
