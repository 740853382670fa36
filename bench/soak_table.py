"""Results of a soak: its figures, the table, and which promises were not kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.process_figures import Sample, after_warm_up, memory_slope
from bench.soak_run import Scan, Served, struck, validations
from myxtts.config.schema import Config
from myxtts.storage.journal import read_events
from myxtts.storage.run_directory import RunDirectory

MOST_DIFFERENCE = 0.02
SLACK_SECONDS = 30.0
"""An update and a save on a busy machine, which a kill may cost in addition to the hot interval."""
WARM_UP_SHARE = 0.4
MEMORY_UPDATES = 300
"""The memory slope of a process with fewer updates is meaningless."""


def figures(state: Mapping[str, Any], scan: Scan, dirty: Path, clean_run: Path, config: Config) -> dict[str, Any]:
    """Everything that was measured.

    Args:
        state: the record of the soak: processes, clean, data.
        scan: of the checkpoints.
        dirty, clean_run: both run directories.
        config: of the soak.
    """
    processes = [Served(**p) for p in state["processes"]]
    clean = [Served(**p) for p in state["clean"]]
    events = Counter(r["event"] for r in _events(dirty))
    kills = [p for p in processes if p.end == "killed"]
    series = [after_warm_up(p.memory(), WARM_UP_SHARE) for p in processes]
    clean_series = [after_warm_up(p.memory(), WARM_UP_SHARE) for p in clean]
    grad_accum = config.training.grad_accum
    return {
        "minutes": sum(p.seconds for p in processes) / 60.0,
        "processes": len(processes),
        "updates": max((p.saved for p in processes), default=0),
        "attempts": sum(p.attempts for p in processes),
        "bombs": sum(struck(p.bombs, p.attempts, grad_accum) for p in processes),
        "skipped": events["skip"],
        "dropped": events["skip_micro_batches"],
        "quarantined": sum(len(r.get("utterances", ())) for r in _events(dirty) if r["event"] == "quarantine"),
        "rollbacks": [r["rung"] for r in _events(dirty) if r["event"] == "rollback"],
        "kills": len(kills),
        "resumed": sum(_resumed(p, processes) for p in kills),
        "lost_most": max((p.lost for p in kills), default=0),
        "lost_in_all": sum(p.lost for p in kills),
        "lost_seconds_most": max((p.lost_seconds for p in kills), default=0.0),
        "hot_seconds": config.training.hot_checkpoint_seconds,
        "checkpoints_scanned": len(scan.seen),
        "values_scanned": scan.values,
        "nonfinite_on_disk": scan.nonfinite,
        "damaged": scan.damaged,
        "memory_mb_per_1000_updates": memory_slope(_long(series)),
        "memory_mb_per_1000_updates_clean": memory_slope(_long(clean_series)),
        "memory_mb_most": [max(s.rss_mb for s in p) for p in series if len(p) > 1],
        "files_most": max((s.files for p in series for s in p), default=0),
        "files_growth": max((p[-1].files - p[0].files for p in (*series, *clean_series) if p), default=0),
        **state["data"],
        **_compared(validations(dirty), validations(clean_run)),
    }


def _long(series: Sequence[list[Sample]]) -> list[list[Sample]]:
    """The processes that ran long enough: at first, every new batch shape takes memory once."""
    return [samples for samples in series if samples and samples[-1].update - samples[0].update >= MEMORY_UPDATES]


def _resumed(killed: Served, processes: Sequence[Served]) -> bool:
    """Whether the next process that trained resumed from the newest checkpoint of the killed one."""
    later = [p for p in processes if p.number > killed.number and p.begun]
    return bool(later) and later[0].start == killed.saved


def _events(run: Path) -> list[dict[str, Any]]:
    path = RunDirectory(run).events_path
    return list(read_events(path)) if path.is_file() else []


def _compared(own: dict[int, dict[str, float]], clean: dict[int, dict[str, float]]) -> dict[str, Any]:
    """Both validations at the newest update that both have."""
    common = sorted(set(own) & set(clean))
    if not common:
        return {"compared_at": 0, "compared": {}}
    at = common[-1]
    both = {name: (own[at][name], clean[at][name]) for name in own[at] if clean[at].get(name) is not None}
    return {"compared_at": at, "compared": {name: pair for name, pair in both.items() if pair[0] is not None}}


def difference(pair: Sequence[float]) -> float:
    """How much higher the first is than the second, as a share."""
    return (pair[0] - pair[1]) / max(abs(pair[1]), 1e-12)


def failed(found: dict[str, Any]) -> list[str]:
    """Promises that were not kept."""
    said = []
    if found["nonfinite_on_disk"]:
        said.append(f"N4: {found['nonfinite_on_disk']} values on the disk are not finite")
    if found["damaged"]:
        said.append(f"W1: damaged checkpoints: {'; '.join(found['damaged'][:3])}")
    if found["resumed"] != found["kills"]:
        said.append(f"W1: {found['kills'] - found['resumed']} kills were not resumed from the newest checkpoint")
    if found["lost_seconds_most"] > found["hot_seconds"] + SLACK_SECONDS:
        said.append(
            f"W1: a kill cost {found['lost_seconds_most']:.0f} s, the hot interval is {found['hot_seconds']:g} s"
        )
    if not found["compared"]:
        said.append("N2: the runs have no validation at the same update; make the soak longer")
    elif abs(difference(found["compared"]["total"])) > MOST_DIFFERENCE:
        said.append(f"N2: the validation loss is {difference(found['compared']['total']):+.1%} from the clean run")
    if found.get("rejected") != found.get("bad"):
        said.append(f"D1: {found.get('rejected')} of {found.get('bad')} bad rows were rejected")
    return said


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures for the screen."""
    rungs = ", ".join(f"rung {rung}" for rung in found["rollbacks"])
    growth = found["memory_mb_per_1000_updates_clean"]
    compared = [
        (
            f"validation {name} at update {found['compared_at']}",
            f"{own:.4f}, clean {other:.4f}: {(own - other) / max(abs(other), 1e-12):+.2%}",
        )
        for name, (own, other) in found["compared"].items()
        if name in ("total", "mel")
    ]
    return [
        ("minutes, processes", f"{found['minutes']:.1f}, {found['processes']}"),
        ("updates", f"{found['updates']} ({found['attempts']} tried in all processes)"),
        ("bombs that fired", str(found["bombs"])),
        ("updates skipped", str(found["skipped"])),
        ("updates made without a bad micro-batch", str(found["dropped"])),
        ("clips quarantined", str(found["quarantined"])),
        ("rollbacks", f"{len(found['rollbacks'])}{f' ({rungs})' if rungs else ''}"),
        ("kills, resumed", f"{found['kills']}, {found['resumed']}"),
        ("updates lost: most, total", f"{found['lost_most']}, {found['lost_in_all']}"),
        ("time lost, most", f"{found['lost_seconds_most']:.1f} s (hot interval {found['hot_seconds']:g} s)"),
        ("checkpoints scanned", f"{found['checkpoints_scanned']} ({found['values_scanned']:,} values)"),
        ("values not finite on the disk", str(found["nonfinite_on_disk"])),
        ("damaged checkpoints", str(len(found["damaged"]))),
        ("memory, most in each process", _range(found["memory_mb_most"])),
        ("memory per 1,000 updates", f"{_mb(found['memory_mb_per_1000_updates'])}, clean {_mb(growth)}"),
        ("open files: most, growth", f"{found['files_most']}, {found['files_growth']}"),
        ("bad rows, rejected", f"{found.get('bad', 0)} of {found.get('kinds', 0)} kinds, {found.get('rejected', 0)}"),
        *compared,
    ]


def _mb(value: float | None) -> str:
    return f"- (no process lived {MEMORY_UPDATES} updates)" if value is None else f"{value:+.1f} MB"


def _range(values: Sequence[float]) -> str:
    if not values:
        return "-"
    return f"{min(values):,.0f} to {max(values):,.0f} MB; first {values[0]:,.0f}, last {values[-1]:,.0f}"
