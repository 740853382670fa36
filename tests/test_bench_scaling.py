"""The model of several devices: it finds the constants that its measurements were made from."""

from __future__ import annotations

from typing import Any

import pytest

from bench.scaling import EXCHANGED_BYTES, Costs, fitted, predicted
from myxtts.errors import ConfigError

COSTS = Costs(0.05, 0.02, 0.03, 1e-4, 1e9, 28e6)


def measured(size: int) -> dict[str, Any]:
    """What a group of `size` processes would measure if the model were right."""
    return {
        "micro": {str(rows): COSTS.micro_constant + COSTS.micro_per_row * rows for rows in (8, 4, 3)},
        "apply": COSTS.apply,
        "bytes": COSTS.bytes,
        "small": COSTS.sum(EXCHANGED_BYTES, size),
        "large": COSTS.sum(COSTS.bytes, size),
    }


def test_the_constants_are_found() -> None:
    assert vars(fitted({size: measured(size) for size in (1, 2, 3)})) == pytest.approx(vars(COSTS))
    with pytest.raises(ConfigError, match="no group of several processes"):
        fitted({1: measured(1)})


def test_a_sum_costs_nothing_alone_and_twice_its_bytes_among_many() -> None:
    assert COSTS.sum(COSTS.bytes, 1) == 0.0
    free = Costs(0.05, 0.02, 0.03, 0.0, 1e9, 28e6)
    assert free.sum(free.bytes, 1_000_000) == pytest.approx(2.0 * free.bytes / free.rate, rel=1e-5)


def test_the_table() -> None:
    table = predicted(COSTS, rows=8, accumulation=4)
    assert [row["devices"] for row in table] == [2**n for n in range(11)]
    first, second, *_, last = table
    assert first["speed_up"] == first["efficiency"] == 1.0 and first["fixed_batch_sums"] == 0.0
    assert 1.0 < second["speed_up"] < 2.0 and second["fixed_batch"] > first["fixed_batch"] / 2
    assert last["fixed_batch"] > second["fixed_batch"], "delays grow with the devices, and one clip cannot be split"
    efficiencies = [row["efficiency"] for row in table]
    assert efficiencies == sorted(efficiencies, reverse=True)
