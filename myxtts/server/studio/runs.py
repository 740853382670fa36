"""The runs that the page shows: their places, their states, and the data of their charts."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from myxtts.errors import DataError, MyXTTSError
from myxtts.figures import finite_number, update_number
from myxtts.messages import quoted
from myxtts.report.charts import Chart
from myxtts.report.curves import main_charts
from myxtts.report.page import SIGN_WORDS, judge
from myxtts.report.run_files import MARKER_FILES, Run, read_run
from myxtts.server.studio.processes import Processes
from myxtts.server.voice_folder import name_problem
from myxtts.storage.files import read_regular_file, strict_json
from myxtts.storage.journal import read_events
from myxtts.storage.run_directory import RunDirectory

STATE = ".studio"
TRAIN = "train"
_MOST_SAMPLES = 40
_MOST_EVENTS = 60
_TAIL_BYTES = 32 << 10
_STOPPED, _DONE = 75, 0
_LOCKS = Path("/proc/locks")
_LEAST_SECONDS, _SHARE = 2.0, 20.0
"""How long the data of a run is reused: at least these seconds, and this multiple of the time to read it."""


class RunShelf:
    """Run directories below a folder, and others beside it."""

    def __init__(self, root: Path, others: Sequence[Path], processes: Processes) -> None:
        self.root, self._others, self._processes = root, others, processes
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}

    def names(self) -> list[str]:
        """The names of all runs, last changed first, including trainings that have just been started."""
        found = {path.name: path for path in self._others if _is_run(path)}
        if self.root.is_dir():
            found |= {path.name: path for path in self.root.iterdir() if path.is_dir() and _is_run(path)}
        for name in self._processes.keys(TRAIN):
            if name not in found and self._processes.running(TRAIN, name):
                found[name] = self.root / name
        usable = [name for name in found if not name_problem(name)]
        return sorted(usable, key=lambda name: -_changed(found[name]))

    def path(self, name: str) -> Path:
        """The directory of a run, which need not exist yet. Raises DataError for an impossible name."""
        if name_problem(name) or name == STATE:
            raise DataError(f"there is no run {quoted(name)}")
        beside = [path for path in self._others if path.name == name and _is_run(path)]
        return beside[0] if beside and not (self.root / name).exists() else self.root / name

    def existing(self, name: str) -> Path:
        """The directory of a run that exists. Raises DataError."""
        path = self.path(name)
        if not _is_run(path):
            raise DataError(f"there is no run {quoted(name)}")
        return path

    def state(self, name: str) -> str:
        """The state of a run: preparing, training, stopping, stopped, finished, failed, or ended."""
        path = self.path(name)
        record = self._processes.get(TRAIN, name)
        if self._processes.running(TRAIN, name):
            assert record is not None
            if record.stops:
                return "stopping"
            return "training" if _owner_alive(path) and _changed(path) > record.started else "preparing"
        if _owner_alive(path):
            return "training"  # started elsewhere, such as in a terminal
        if record is not None and record.exit_code is not None:
            return {_DONE: "finished", _STOPPED: "stopped"}.get(
                record.exit_code, "stopped" if record.stops else "failed"
            )
        last = _last_event(path)
        if record is not None and not last and not record.stops:
            return "failed"
        return {"end": "finished", "signal": "stopped", "failed": "failed"}.get(last, "ended")

    def summary(self, name: str) -> dict[str, Any]:
        """A run as a line of the list."""
        path = self.path(name)
        newest = _newest_metrics(path)
        return {
            "name": name,
            "path": str(path),
            "state": self.state(name),
            "update": update_number(newest.get("update")) or 0,
            "changed": _changed(path),
            "speaks": _has_steps(path),
        }

    def detail(self, name: str) -> dict[str, Any]:
        """Curves, health, events and samples of a run. Raises DataError, StorageError."""
        now = time.monotonic()
        until, kept = self._kept.get(name, (0.0, {}))
        if now < until:
            return kept
        run = read_run(self.existing(name))
        verdict = judge(run).verdict()
        detail = {
            "verdict": {
                "sign": verdict.sign,
                "words": SIGN_WORDS[verdict.sign],
                "checks": [{"sign": check.sign, "sentence": check.sentence} for check in verdict.checks],
            },
            "charts": [_chart(chart) for chart in main_charts(run)],
            "events": [_event(event) for event in reversed(run.events[-_MOST_EVENTS:])],
            "ladder": [_event(event) for event in reversed(run.ladder[-_MOST_EVENTS:])],
            "samples": samples_of(run.path),
            "update": run.train.updates[-1] if run.train.updates else 0,
            "best": run.best_update,
            "size": run.setting("model_size", ""),
            "level": run.setting("optimization_level", ""),
            "data": run.setting("data.train_path", ""),
            "settings": _settings(run),
        }
        took = time.monotonic() - now
        self._kept = {name: (now + took + max(_LEAST_SECONDS, _SHARE * took), detail)}
        return detail


def samples_of(path: Path) -> list[dict[str, Any]]:
    """The sentences spoken at validations, the newest validation first."""
    found: list[dict[str, Any]] = []
    folder = RunDirectory(path).samples_path
    for place in sorted(folder.glob("update-*"), reverse=True) if folder.is_dir() else ():
        number = place.name.removeprefix("update-")
        if not number.isdecimal() or len(found) >= _MOST_SAMPLES:
            continue
        try:
            entries = strict_json(read_regular_file(place / "index.json", 1 << 20))
        except (OSError, ValueError):
            continue
        for entry in entries if isinstance(entries, list) else ():
            wav = entry.get("wav") if isinstance(entry, dict) else None
            if isinstance(wav, str) and Path(wav).name == wav and (place / wav).is_file():
                named = {key: str(entry.get(key) or "")[:1_000] for key in ("name", "text", "speaker", "language")}
                found.append({"update": int(number), "wav": wav, **named})
    return found


def sample_path(path: Path, update: int, wav: str) -> Path:
    """The file of a sample. Raises DataError where there is none."""
    place = RunDirectory(path).samples_of_update(update) / wav
    if Path(wav).name != wav or not wav.endswith(".wav") or not place.is_file():
        raise DataError(f"there is no sample {quoted(wav)}")
    return place


def _is_run(path: Path) -> bool:
    return any((path / name).is_file() for name in MARKER_FILES)


def _has_steps(path: Path) -> bool:
    folder = RunDirectory(path).checkpoints_path
    return folder.is_dir() and any(folder.glob("step-*"))


def _changed(path: Path) -> float:
    """When the run changed last, in seconds since 1970."""
    times = [0.0]
    for name in (*MARKER_FILES, ""):
        try:
            times.append((path / name).stat().st_mtime)
        except OSError:
            continue
    return max(times)


def _owner_alive(path: Path) -> bool:
    """Whether the process named in the lock of a run is running."""
    try:
        value = strict_json(read_regular_file(RunDirectory(path).lock_path, 4_096))
        if not isinstance(value, dict) or value.get("host") != socket.gethostname():
            return False
        pid = value.get("pid")
        if type(pid) is not int or pid <= 0:
            return False
        os.kill(pid, 0)
    except PermissionError:
        pass
    except (OSError, ValueError, OverflowError):
        return False
    return _is_locked(RunDirectory(path).lock_path)


def _is_locked(path: Path) -> bool:
    """Whether a file is locked according to the system: the id in it may belong to another process by now.

    Trying to take the lock instead could make a training fail that starts at that moment.
    """
    try:
        locks = _LOCKS.read_text(encoding="utf-8").splitlines()
        inode = path.stat().st_ino
    except OSError:
        return True
    return any("FLOCK" in line and f":{inode} " in line for line in locks)


def _newest_metrics(path: Path) -> dict[str, Any]:
    """The last complete line of metrics.jsonl; empty if there is none."""
    try:
        with RunDirectory(path).metrics_path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read(_TAIL_BYTES).splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and value.get("kind") == "train":
            return value
    return {}


def _last_event(path: Path) -> str:
    """The last event that shows the state of the run."""
    last = ""
    try:
        for record in read_events(RunDirectory(path).events_path):
            if record["event"] in ("end", "signal", "failed", "start", "resume"):
                last = str(record["event"])
    except MyXTTSError:
        return ""
    return last


def _event(event: dict[str, Any]) -> dict[str, Any]:
    moment = finite_number(event.get("time"))
    rung = update_number(event.get("rung"))
    return {
        "time": moment,
        "update": update_number(event.get("update")),
        "kind": str(event.get("event", ""))[:80],
        "message": str(event.get("message", ""))[:500],
        "rung": rung,
    }


def _chart(chart: Chart) -> dict[str, Any]:
    return {**asdict(chart), "hover": json.loads(chart.hover)}


def _settings(run: Run) -> list[dict[str, str]]:
    """Settings that differ from their defaults."""
    rows = []
    for key, chain in run.provenance.items() if isinstance(run.provenance, dict) else ():
        sources = [source for source in chain if isinstance(source, dict)] if isinstance(chain, list) else []
        if sources and sources[0].get("value") != sources[-1].get("value"):
            rows.append({"key": str(key), "value": str(sources[0].get("value")), "from": str(sources[0].get("layer"))})
    return rows
