"""The model of several devices: it finds the constants that its measurements were made from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.scaling import EXCHANGED_BYTES, Costs, expected_maximum, fitted, predicted
from myxtts.errors import ConfigError

COSTS = Costs(0.05, 0.02, 0.03, 1e-4, 1e9, 28e6, contention=0.1, spread=0.05, host=0.004)
ACCUMULATION = 4


def measured(size: int, costs: Costs = COSTS) -> dict[str, Any]:
    """What a group of `size` processes would measure if the model were right."""
    factor = (1.0 + costs.contention * (size - 1)) * (1.0 + costs.spread * expected_maximum(size))
    small = costs.sum(EXCHANGED_BYTES, size)
    own = -(-8 // size)
    return {
        "own_rows": own,
        "micro": {str(rows): costs.micro(rows) * factor + small for rows in (8, 4, 3)},
        "spread": costs.spread,
        "apply": costs.apply,
        "bytes": costs.bytes,
        "small": small,
        "large": costs.sum(costs.bytes, size),
        "update": costs.update(size, own, ACCUMULATION, together=size),
    }


def test_the_constants_are_found() -> None:
    found = fitted({size: measured(size) for size in (1, 2, 3)}, ACCUMULATION, waits=True)
    assert vars(found) == pytest.approx(vars(COSTS))
    with pytest.raises(ConfigError, match="no group of several processes"):
        fitted({1: measured(1)}, ACCUMULATION, waits=True)


def test_waiting_is_no_work() -> None:
    """In processor time the slowest process costs the others nothing."""
    costs = replace(COSTS, spread=0.0)
    parts = {size: {**measured(size, costs), "spread": 0.5} for size in (1, 2, 3)}
    assert vars(fitted(parts, ACCUMULATION, waits=False)) == pytest.approx(vars(costs))


def test_the_longest_of_several_times() -> None:
    values = np.random.default_rng(0).normal(size=(20_000, 16))
    for count in (1, 2, 3, 16):
        assert expected_maximum(count) == pytest.approx(values[:, :count].max(axis=1).mean(), abs=0.04)


def test_processes_on_one_memory_slow_each_other_down() -> None:
    apart, together = (COSTS.update(4, 8, ACCUMULATION, n) for n in (1, 4))
    assert together > 1.2 * apart
    assert COSTS.update(2, 8, ACCUMULATION, 8) == COSTS.update(2, 8, ACCUMULATION, 2), "two are never eight"


def test_a_sum_costs_nothing_alone_and_twice_its_bytes_among_many() -> None:
    assert COSTS.sum(COSTS.bytes, 1) == 0.0
    free = Costs(0.05, 0.02, 0.03, 0.0, 1e9, 28e6)
    assert free.sum(free.bytes, 1_000_000) == pytest.approx(2.0 * free.bytes / free.rate, rel=1e-5)


def test_the_table() -> None:
    table = predicted(COSTS, rows=8, accumulation=ACCUMULATION)
    assert [row["devices"] for row in table] == [2**n for n in range(11)]
    first, second, *_, last = table
    assert first["speed_up"] == first["efficiency"] == 1.0 and first["fixed_batch_sums"] == 0.0
    assert 1.0 < second["speed_up"] < 2.0 and second["fixed_batch"] > first["fixed_batch"] / 2
    assert last["fixed_batch"] > second["fixed_batch"], "delays grow with the devices, and one clip cannot be split"
    efficiencies = [row["efficiency"] for row in table]
    assert efficiencies == sorted(efficiencies, reverse=True)
