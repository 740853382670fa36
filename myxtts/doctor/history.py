"""What the files of a run record: recovery events by rung, the state of the ladder, health, the worst utterances."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from myxtts.doctor.checkpoints import Examined
from myxtts.errors import CheckpointError
from myxtts.figures import finite_number, short_text, update_number
from myxtts.health.replay import read_measure, replay
from myxtts.health.signs import Verdict
from myxtts.health.tracker import Health
from myxtts.progress import Progress
from myxtts.storage.files import read_regular_file, strict_json
from myxtts.storage.journal import Record, read_events, read_metrics
from myxtts.storage.run_directory import RunDirectory

RECOVERY_NAME = "recovery.json"
UTTERANCES_NAME = "utterances.txt"
REPAIRED_EVENT = "repaired"
"""Written by a repair: what comes before it in events.jsonl has been dealt with."""
LADDER_EVENTS: Mapping[str, int | None] = {
    "skip_micro_batches": 0,
    "skip": 1,
    "quarantine": 2,
    "rollback": None,
    "gave_up": 7,
}
"""Events of the ladder and their rungs; a rollback names its own."""
MOST_EVENTS = 30
WORST = 20
_LARGEST_JSON = 16 << 20
_LARGEST_IDS = 1 << 30
NEUTRAL_FACTORS = ("rate_factor", "clip_factor", "mel_factor")


@dataclass(frozen=True)
class LadderEvent:
    """One step on the ladder."""

    rung: int
    name: str
    update: int
    message: str
    incident: str


@dataclass(frozen=True)
class Worst:
    """An utterance among the worst: running mean of its loss, how often it was seen, strikes, quarantine."""

    id: str
    loss: float
    seen: int
    strikes: int
    quarantined: str
    """Why it is quarantined; empty if it is not."""


@dataclass
class History:
    """What events.jsonl records: how often each rung was taken, the newest steps, and whether the run gave up."""

    counts: Counter[int] = field(default_factory=Counter)
    newest: list[LadderEvent] = field(default_factory=list)
    gave_up: bool = False
    refused: int = 0
    """Skipped updates since the last repair, among the last 200 updates of the run."""
    refused_in_a_row: int = 0
    """The most skips of one and the same update among them."""
    repaired: int = 0
    """Repairs made by this tool."""
    torn: int = 0
    there: bool = False


def read_history(run: Path) -> History:
    """The steps on the ladder that events.jsonl holds."""
    path = RunDirectory(run).events_path
    history = History(there=path.is_file())
    reader = read_events(path)
    refused: list[int] = []
    last = 0
    for event in reader:
        name, at = short_text(event.get("event")), update_number(event.get("update")) or 0
        last = max(last, at)
        if name == REPAIRED_EVENT:
            history.repaired += 1
            history.gave_up = False
            refused.clear()
        if name not in LADDER_EVENTS:
            continue
        rung = _rung(name, event.get("rung"))
        history.counts[rung] += 1
        incident = event.get("incident")
        message = short_text(event.get("message", ""))
        step = LadderEvent(rung, name, at, message, incident if isinstance(incident, str) else "")
        history.newest = [*history.newest, step][-MOST_EVENTS:]
        history.gave_up = history.gave_up or name == "gave_up"
        if name == "skip":
            refused.append(at)
    recent = Counter(update for update in refused if update > last - 200)
    history.refused, history.refused_in_a_row = recent.total(), max(recent.values(), default=0)
    history.torn = reader.torn
    return history


def _rung(name: str, given: object) -> int:
    if type(given) is int and 0 <= given <= 7:
        return given
    return LADDER_EVENTS[name] or 3


def read_recovery(run: Path, newest: Examined | None) -> dict[str, Any] | None:
    """The state of the ladder, the newer of recovery.json and the newest checkpoint; None if neither has one."""
    written = mapping(_json_of(run / RECOVERY_NAME))
    in_file = written.get("recovery", written if "rollbacks" in written else None)
    saved = None if newest is None or newest.checkpoint is None else newest.checkpoint.state.get("recovery")
    found = [dict(state) for state in (in_file, saved) if isinstance(state, dict)]
    return max(found, key=_attempts, default=None)  # of two with equal attempts the file, which is written first


def _attempts(recovery: Mapping[str, Any]) -> int:
    """Attempted updates; unlike the update number, a rollback does not decrease them."""
    attempts = recovery.get("attempts")
    return attempts if type(attempts) is int else -1


def _json_of(path: Path) -> object:
    """The value in a small JSON file; None if it is missing, foreign or damaged."""
    try:
        return strict_json(read_regular_file(path, _LARGEST_JSON))
    except (OSError, ValueError):
        return None


def factor(recovery: Mapping[str, Any] | None, name: str) -> float:
    """A factor of the ladder, 1 where it is missing or no sensible number."""
    value = finite_number((recovery or {}).get(name, 1.0))
    return value if value is not None and value > 0.0 else 1.0


def mapping(value: object) -> Mapping[str, Any]:
    """`value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def worst_utterances(run: Path, newest: Examined | None, recovery: Mapping[str, Any] | None) -> list[Worst] | None:
    """The worst utterances by running mean loss, quarantined ones and those with strikes first; None if unknown."""
    strikes = mapping((recovery or {}).get("strikes"))
    quarantine = mapping((recovery or {}).get("quarantine"))
    losses = _losses(run, newest)
    if losses is None and not strikes and not quarantine:
        return None
    known = losses or {}
    every = known.keys() | strikes.keys() | quarantine.keys()
    rows = [
        Worst(
            name,
            known.get(name, (math.nan, 0))[0],
            known.get(name, (math.nan, 0))[1],
            len(strikes[name]) if isinstance(strikes.get(name), list) else 0,
            short_text(mapping(quarantine.get(name)).get("cause", "?")) if name in quarantine else "",
        )
        for name in every
    ]
    rows = [row for row in rows if row.seen or row.strikes or row.quarantined]
    rows.sort(key=lambda row: (not row.quarantined, -row.strikes, -row.loss if row.seen else 0.0, row.id))
    return rows[:WORST]


def _losses(run: Path, newest: Examined | None) -> dict[str, tuple[float, int]] | None:
    """Utterance -> (running mean loss, times seen), from the newest checkpoint."""
    checkpoint = newest.checkpoint if newest is not None else None
    path = run / UTTERANCES_NAME
    if checkpoint is None or "utterances" not in checkpoint.arrays:
        return None
    arrays = checkpoint.arrays["utterances"]
    if "loss" not in arrays or "seen" not in arrays:
        return None
    try:
        ids = read_regular_file(path, _LARGEST_IDS).decode("utf-8", "replace").split("\n")
    except (OSError, ValueError):
        return None
    loss_N, seen_N = arrays["loss"].reshape(-1), arrays["seen"].reshape(-1)
    rows = zip(ids, loss_N.tolist(), seen_N.tolist(), strict=False)
    return {name: (float(loss), int(seen)) for name, loss, seen in rows if name}


def verdict_of(run: Path, newest: Examined | None, progress: Progress) -> tuple[Verdict, str, int] | None:
    """(verdict, "checkpoint" or "metrics", update) of a run; None if neither can be read."""
    measure = read_measure(run)
    if newest is not None and newest.checkpoint is not None:
        state = newest.checkpoint.state.get("health")
        health = _health_of(state) if isinstance(state, dict) else None
        if health is not None:
            return health.verdict(), "checkpoint", newest.update
    updates: list[int] = []
    records = _with_progress(RunDirectory(run).metrics_path, progress)
    health = replay(records, measure, lambda line, _: updates.append(line.update))
    return (health.verdict(), "metrics", updates[-1]) if updates else None


def _health_of(state: Mapping[str, Any]) -> Health | None:
    try:
        return Health.from_json(state)
    except CheckpointError:
        return None


def _with_progress(path: Path, progress: Progress) -> Iterator[Record]:
    """The records of metrics.jsonl; reports progress in lines."""
    total = _line_count(path)
    for count, record in enumerate(read_metrics(path), 1):
        if count % 1_000 == 0:
            progress("metrics", min(count, total), total)
        yield record
    progress("metrics", total, total)


def _line_count(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    except OSError:
        return 0
