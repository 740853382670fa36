"""One training process of the soak: started with bombs, watched, killed; and the scan of the files on the disk."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench import results
from bench.process_figures import Sample, sample
from myxtts import faults
from myxtts.errors import CheckpointError
from myxtts.storage.checkpoint import MANIFEST, TENSORS_SUFFIX, DamagedError, read_checkpoint, step_name
from myxtts.storage.find_checkpoint import steps_in
from myxtts.storage.journal import read_metrics
from myxtts.storage.run_directory import RunDirectory
from myxtts.storage.tensors import count_nonfinite, parse_tensors

POLL_SECONDS, SAMPLE_SECONDS, SCAN_SECONDS, STOP_SECONDS = 0.25, 3.0, 10.0, 600.0
_UPDATE = re.compile(r"^update (\d+)(?: of \d+)?  ", re.MULTILINE)
_BEGUN = re.compile(r"^Training from update (\d+)", re.MULTILINE)
_SCALES = ("1e3", "1e6", "1e10", "1e20", "1e30")
BOMBS = (
    *(("step.gradient", f"scale={scale}") for scale in _SCALES),
    *(("step.gradient", action) for action in ("nan", "inf")),
    *(("step.layer_gradient", action) for action in ("scale=1e8", "nan", "inf")),
    *(("step.micro_batch", action) for action in ("scale=1e6", "nan", "inf")),
    ("step.loss.mel", "nan"),
    ("step.loss.mel", "scale=1e12"),
    ("step.loss.kl", "inf"),
    ("step.loss.duration", "scale=1e25"),
)


def bombs(share: float, micro_batches: int, seed: int) -> str:
    """A value for MYXTTS_FAULT: every kind of bomb equally often, together on `share` of the updates.

    micro_batches: of an update; the point of a micro-batch is reached so many times as often.
    """
    each = 100.0 * share / len(BOMBS)
    parts = []
    for number, (point, action) in enumerate(BOMBS):
        of_arrivals = each / micro_batches if point == "step.micro_batch" else each
        parts.append(f"{point}:{of_arrivals:.9f}%{seed * 100 + number}:{action}")
    return ",".join(parts) if share else ""


def struck(text: str, attempts: int, micro_batches: int) -> int:
    """How many bombs fired in a process that attempted `attempts` updates."""
    count = 0
    for fault in faults.parse(text):
        arrivals = attempts * (micro_batches if fault.point == "step.micro_batch" else 1)
        count += sum(fault.strikes(arrival) for arrival in range(1, arrivals + 1))
    return count


@dataclass
class Served:
    """The result of one training process. Update numbers are those of the run."""

    number: int
    bombs: str
    end: str = ""
    """killed, stopped (by the soak), ended (by itself)."""
    code: int = 0
    seconds: float = 0.0
    begun: bool = False
    """Whether it reached its first update."""
    start: int = 0
    made: int = 0
    saved: int = 0
    """Update of the newest valid checkpoint afterwards."""
    attempts: int = 0
    """Updates attempted, including skipped ones."""
    lost_seconds: float = 0.0
    samples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Updates that must be repeated."""
        return max(0, self.made - self.saved) if self.begun else 0

    def memory(self) -> list[Sample]:
        """Memory, files and threads while it ran."""
        return [Sample(**one) for one in self.samples]


class Scan:
    """Every value of every checkpoint that was seen on the disk; a checkpoint is scanned once."""

    def __init__(self, stored: dict[str, Any] | None = None) -> None:
        stored = stored or {}
        self.seen: set[str] = set(stored.get("seen", ()))
        self.values: int = stored.get("values", 0)
        self.nonfinite: int = stored.get("nonfinite", 0)
        self.damaged: list[str] = stored.get("damaged", [])

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "seen": sorted(self.seen)}

    def look(self, run: Path, *, running: bool) -> None:
        """Scan what is new; while the run is `running`, a folder may be pruned or replaced in the middle of it."""
        directory = RunDirectory(run).checkpoints_path
        with contextlib.suppress(CheckpointError):
            for update in steps_in(directory):
                self._one(directory / step_name(update), running)

    def _one(self, folder: Path, running: bool) -> None:
        before = _mark(folder)
        if before and before in self.seen:
            return
        problem, values, nonfinite = "", 0, 0
        try:
            for path in folder.glob(f"*{TENSORS_SUFFIX}"):
                for array in parse_tensors(np.fromfile(path, np.uint8)).values():
                    values += array.size
                    nonfinite += count_nonfinite(array)
            read_checkpoint(folder)
        except DamagedError as error:
            problem = error.damage.reason
        except (OSError, ValueError) as error:
            problem = str(error)
        if running and (not before or _mark(folder) != before):
            return  # it was pruned or saved again meanwhile
        self.seen.add(before)
        self.values += values
        self.nonfinite += nonfinite
        if problem:
            self.damaged.append(f"{folder.name}: {problem}")


def _mark(folder: Path) -> str:
    """Distinguishes a checkpoint from a later one with the same name; empty if it no longer exists."""
    try:
        return f"{folder.name} {(folder / MANIFEST).stat().st_mtime_ns}"
    except OSError:
        return ""


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no training continues after the soak


def serve(
    words: Sequence[str],
    run: Path,
    log: Path,
    served: Served,
    scan: Scan,
    *,
    kill_after: float | None,
    stop_after: float | None,
    tick: Callable[[int, float], None],
) -> None:
    """Runs one training process to its end and fills in `served`.

    Args:
        words: of train_stable.py.
        run, log: the run directory, and where the process prints to.
        served: holds its number and bombs.
        scan: looks at the checkpoints.
        kill_after, stop_after: seconds after which SIGKILL or SIGTERM goes to its process group.
        tick: called with the newest update and the seconds since the start.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, faults.VARIABLE: served.bombs, "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, str(results.ROOT / "train_stable.py"), *words],
            cwd=results.ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    watch = _Watch(child, run, log, served, scan, tick)
    try:
        watch.until_its_end(kill_after, stop_after)
    finally:
        if child.poll() is None:  # Ctrl-C: let it save
            served.end = served.end or "stopped"
            os.killpg(child.pid, signal.SIGTERM)
            child.wait(STOP_SECONDS)
        watch.close()


class _Watch:
    def __init__(
        self,
        child: subprocess.Popen[bytes],
        run: Path,
        log: Path,
        served: Served,
        scan: Scan,
        tick: Callable[[int, float], None],
    ) -> None:
        self.child, self.run, self.log, self.served, self.scan, self.tick = child, run, log, served, scan, tick
        self.started, self.begun_at = time.time(), 0.0
        self._read_to = 0

    def until_its_end(self, kill_after: float | None, stop_after: float | None) -> None:
        sampled = scanned = 0.0
        while self.child.poll() is None:
            time.sleep(POLL_SECONDS)
            self._read_log()
            seconds = time.time() - self.started
            self.tick(self.served.made, seconds)
            if self.served.attempts and seconds - sampled >= SAMPLE_SECONDS:
                sampled = seconds
                if found := sample(self.child.pid, self.served.made):
                    self.served.samples.append(asdict(found))
            if kill_after is not None and seconds >= kill_after:
                self.served.end = "killed"
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()
                return
            if stop_after is not None and seconds >= stop_after:
                self.served.end = "stopped"
                os.killpg(self.child.pid, signal.SIGTERM)
                self.child.wait(STOP_SECONDS)
                return
            if seconds - scanned >= SCAN_SECONDS:
                scanned = seconds
                self.scan.look(self.run, running=True)
        self.served.end = "ended"

    def close(self) -> None:
        """Evaluate the files after the process has ended."""
        ended, served = time.time(), self.served
        served.code, served.seconds = int(self.child.wait()), ended - self.started
        self._read_log()
        self.scan.look(self.run, running=False)
        served.saved = newest_whole(self.run)
        if served.begun:
            served.lost_seconds = ended - max(self.begun_at, _moment(self.run, served.saved))

    def _read_log(self) -> None:
        """The lines that the process has printed since the last look."""
        with self.log.open("rb") as file:
            file.seek(self._read_to)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read_to += len(whole)
        text = whole.decode("utf-8", "replace")
        if begun := _BEGUN.search(text):
            self.served.begun, self.begun_at = True, time.time()
            self.served.start = self.served.made = int(begun[1])
        numbers = _UPDATE.findall(text)
        self.served.attempts += len(numbers)
        if numbers:
            self.served.made = int(numbers[-1])


def newest_whole(run: Path) -> int:
    """Update of the newest valid checkpoint; 0 if there is none."""
    directory = RunDirectory(run).checkpoints_path
    with contextlib.suppress(CheckpointError):
        for update in steps_in(directory):
            with contextlib.suppress(CheckpointError):
                return read_checkpoint(directory / step_name(update)).update
    return 0


def _moment(run: Path, update: int) -> float:
    """When an update was made, by the journal; 0 if it does not say."""
    path = RunDirectory(run).metrics_path
    if not path.is_file():
        return 0.0
    found = 0.0
    for record in read_metrics(path):
        if record["kind"] == "train" and record["update"] == update and not record["skipped"]:
            found = float(record["time"])
    return found


def validations(run: Path) -> dict[int, dict[str, float]]:
    """Update -> metrics of every validation of a run."""
    path = RunDirectory(run).metrics_path
    return (
        {r["update"]: r["metrics"] for r in read_metrics(path) if r["kind"] == "validation"} if path.is_file() else {}
    )


def moment_of_kill(seed: int, number: int, least: float, most: float) -> float:
    """Seconds after which process `number` is killed."""
    return random.Random(f"{seed} {number}").uniform(60.0 * least, 60.0 * most)
