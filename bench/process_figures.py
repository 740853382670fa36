"""Memory, open files and threads of a process, and how they grow: for the measurements that look for leaks."""

from __future__ import annotations

import ctypes
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
MOST_POINTS = 400


@dataclass(frozen=True)
class Sample:
    """A process at one moment."""

    update: int
    rss_mb: float
    files: int
    threads: int
    allocated_mb: float | None = None
    """Memory allocated with malloc, without the allocator's reserves, unlike `rss_mb`; known only for this process."""


def sample(process: int | str, update: int) -> Sample | None:
    """A process by its id (or "self"); None if it has ended."""
    folder = Path("/proc") / str(process)
    try:
        resident = int((folder / "statm").read_text(encoding="ascii").split()[1]) * _PAGE / 1e6
        files, threads = (len(list((folder / name).iterdir())) for name in ("fd", "task"))
    except (OSError, IndexError):
        return None
    if not resident:  # killed and not yet reaped
        return None
    return Sample(update, resident, files, threads, allocated_mb() if process == "self" else None)


class _Mallinfo2(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = tuple((name, ctypes.c_size_t) for name in _names.split())


def allocated_mb() -> float | None:
    """Memory that this process has allocated with malloc and not freed; None without glibc 2.33 or later."""
    ask = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if ask is None:
        return None
    ask.restype = _Mallinfo2
    found = ask()
    return float(found.uordblks + found.hblkhd) / 1e6


def slope(series: Sequence[Sequence[tuple[float, float]]]) -> float | None:
    """Robust slope of y over x: the median over all pairs of points of a series (Theil, Sen), of all series together.

    None without two points of different x in a series. A long series is thinned to MOST_POINTS.
    """
    slopes = []
    for points in series:
        step = -(-len(points) // MOST_POINTS) or 1
        slopes += [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points[::step], 2) if x2 != x1]
    return statistics.median(slopes) if slopes else None


def after_warm_up(samples: Sequence[Sample], share: float) -> list[Sample]:
    """The samples without those of the first `share` of their updates."""
    if not samples:
        return []
    first, last = samples[0].update, samples[-1].update
    return [s for s in samples if s.update >= first + share * (last - first)]


def memory_slope(series: Sequence[Sequence[Sample]], allocated: bool = False) -> float | None:
    """Growth of the memory in MB per 1,000 updates over all processes; None without enough samples.

    With `allocated`, the growth of allocated memory, which does not depend on the allocator's reserves.
    """
    points = [[(float(s.update), s.allocated_mb if allocated else s.rss_mb) for s in samples] for samples in series]
    found = slope([[(x, y) for x, y in one if y is not None] for one in points])
    return None if found is None else 1_000.0 * found
