"""Several processes against one: the same losses, norms and weights, and the same bits in all (made_workers.py)."""

from __future__ import annotations

import json
from typing import Any

import made_workers
import pytest
from made_group import ROOT, group

from myxtts.data.loader import Share
from myxtts.data.plan import Bucket, PlannedBatch
from myxtts.training.cluster import empty_rows

TOLERANCE = 1e-6
"""Of whole vectors, by their norm: the float32 sums are the same numbers added up in another order. A single weight
whose gradient is near zero differs by more, because Adam divides the gradient by its own size."""
pytestmark = pytest.mark.timeout(900)


def found_by(part: str, size: int) -> dict[str, Any]:
    """What the chief found; the others must have found the same digests."""
    with group([str(ROOT / "tests" / "training" / "made_workers.py"), part], size) as started:
        ended = started.ended(850)
    assert [code for code, _, _ in ended] == [0] * size, [text for _, _, text in ended]
    found: list[dict[str, Any]] = [json.loads(out.splitlines()[-1]) for _, out, _ in ended]
    assert all(one["digests"] == found[0]["digests"] for one in found)
    assert found[0]["device"] == f"{size} processes, each on CPU:0"
    return found[0]


def test_what_two_processes_exchange() -> None:
    found = found_by("primitives", 2)
    assert found["sums"] == [[pytest.approx(0.3)] * 2] * 3, "vectors of any length, one after another"
    assert found["gathered"] == [{"rank": 0, "text": ""}, {"rank": 1, "text": "x" * 9}]
    assert found["shared"] == [[0, 0.1, None], ""] and found["broadcast"] and found["empty"]


@pytest.fixture(scope="module")
def agreement() -> dict[str, Any]:
    return found_by("agreement", 2)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["terms", "totals", "norms", "weights", "average", "moments"])
def test_two_processes_compute_what_one_does(agreement: dict[str, Any], what: str) -> None:
    assert agreement["applied"] == [True] * len(made_workers.WINDOWS)
    assert len(agreement[what]) >= len(made_workers.WINDOWS)
    assert max(agreement[what]) < TOLERANCE, agreement[what]


@pytest.mark.slow
def test_all_processes_have_the_same_bits_after_every_update(agreement: dict[str, Any]) -> None:
    assert all(len(digests) == 2 and len(set(digests)) == 1 for digests in agreement["digests"])
    assert len({digests[0] for digests in agreement["digests"]}) == len(made_workers.WINDOWS), "and they learn"
    assert agreement["same"] == [True] * 8, "the results of micro-batches, too"


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "row"), [("nan", 3), ("inf", 2), ("huge", None), ("batch", 3)])
def test_a_fault_in_one_process_alone_changes_nothing(agreement: dict[str, Any], fault: str, row: int | None) -> None:
    good, applied, unchanged, finite_B, learned, different = agreement["faults"][fault]
    assert not good and not applied and unchanged
    assert finite_B == [at != row for at in range(4)], "the row keeps its number"
    assert learned and different == 1


@pytest.mark.slow
def test_only_the_good_micro_batch_beside_it_counts(agreement: dict[str, Any]) -> None:
    assert agreement["faults"]["dropped_alone"] == [2.0, True, 1]


@pytest.mark.slow
def test_the_guilty_clip_of_another_process_is_found(agreement: dict[str, Any]) -> None:
    assert agreement["blamed"] == {"gradient": [False, [3], ["mel"], True], "spike": [True, [2], ["mel"], True]}


@pytest.mark.slow
def test_weights_that_differ_in_one_bit_are_reported(agreement: dict[str, Any]) -> None:
    assert agreement["differ"] == ["", "process 1 of 2"]


@pytest.mark.slow
def test_muon_in_three_processes() -> None:
    """Keras's Muon adds up the gradients of replicas by itself; here it must not see any."""
    found = found_by("muon", 3)
    assert max(found["weights"]) < TOLERANCE, found["weights"]
    assert all(len(set(digests)) == 1 for digests in found["digests"])


@pytest.mark.slow
def test_muon_flow_and_dropout_in_two_processes() -> None:
    found = found_by("rich", 2)
    assert found["applied"] == [True, True] and len(set(found["digests"])) == 1
    first, second = found["same_row"]
    assert first != second, "each process drops other values"


class Plan:
    """Batches whose arrays are their rows."""

    def plan(self, epoch: int) -> list[PlannedBatch]:
        return [PlannedBatch(Bucket(16, 16), (3, 1, epoch)), PlannedBatch(Bucket(32, 16), (5, -1, -1))]

    def build(self, planned: PlannedBatch, epoch: int) -> Any:
        return planned.bucket, planned.rows, epoch


def test_the_shares_of_a_batch_are_the_batch() -> None:
    whole = Plan().plan(4)
    for size in (1, 2, 3, 5):
        shares = [Share(Plan(), rank, size) for rank in range(size)]
        plans = [share.plan(4) for share in shares]
        assert all(plan == plans[0] for plan in plans), "every process plans the same"
        for index, planned in enumerate(plans[0]):
            built = [share.build(planned, 4) for share in shares]
            rows = [row for _, own, _ in built for row in own]
            assert len({len(own) for _, own, _ in built}) == 1 and len(rows) % size == 0
            assert tuple(rows[:3]) == whole[index].rows and set(rows[3:]) <= {-1}
            assert {(bucket, epoch) for bucket, _, epoch in built} == {(whole[index].bucket, 4)}


@pytest.mark.parametrize(("rows", "processes", "words"), [(16, 2, ""), (16, 1, ""), (3, 2, "1 of 4"), (1, 4, "3 of 4")])
def test_empty_rows_are_reported(rows: int, processes: int, words: str) -> None:
    said = empty_rows(rows, processes)
    assert (words in said and "stay" in said) if words else not said
