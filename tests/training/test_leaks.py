"""Promise H2 at small scale; `python -m bench.leaks` is the whole of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import leaks
from bench.process_figures import Sample, after_warm_up, memory_slope, slope
from myxtts.cli.screen import Screen

MOST_MB = 60.0
"""Per 1,000 updates; over some hundred updates the allocator is still finding its size."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_of_some_hundred_updates_leaks_nothing(tmp_path: Path) -> None:
    settings = ["training.threads=0", "training.validation_every_updates=100", "training.hot_checkpoint_seconds=1"]
    found = leaks.measure(tmp_path, 250, settings, Screen())
    assert leaks.failed(found, MOST_MB) == []
    assert found["updates"] == 250 and found["refused"] > 0
    assert found["buckets"] >= 6 and found["graphs"]["Step.micro"] == 1
    assert found["attempts"] > 250


def test_the_slope_is_that_of_most_points() -> None:
    samples = [Sample(n, 100.0 + 0.02 * n + (500.0 if n % 10 == 3 else 0.0), 9, 4) for n in range(1, 200)]
    assert memory_slope([samples]) == pytest.approx(20.0)
    jump = [Sample(s.update, s.rss_mb + 1_000.0, 9, 4) for s in samples]
    assert memory_slope([samples, jump]) == pytest.approx(20.0), "two processes are not compared with each other"
    assert memory_slope([samples[:1], []]) is None
    assert slope([[(1.0, 5.0), (1.0, 9.0)]]) is None
    assert [s.update for s in after_warm_up(samples, 0.9)] == list(range(180, 200))
