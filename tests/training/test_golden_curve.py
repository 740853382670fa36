"""The losses of a few updates on fixed made-up batches: a refactor leaves them as they are.

Where a change of them is meant: `python tests/training/test_golden_curve.py` writes them again; say why in the commit.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).resolve().parents[1] / "goldens" / "loss_curves.json"
UPDATES = 8
TOLERANCE = 1e-4
ROWS = [(0, 1, 2, 3), (4, 5, 6, 7)]


def curve(made: Any) -> dict[str, list[float]]:
    """Mean loss, and gradient norm before clipping, of eight updates of two micro-batches."""
    losses, norms = [], []
    for update in range(UPDATES):
        results = [made.micro(rows) for rows in ROWS]
        losses.append(float(sum(r.total_B.mean() for r in results) / len(results)))
        norms.append(made.update(1e-3 * (update + 1)).grad_norm)
    return {"loss": losses, "grad_norm": norms}


@pytest.mark.parametrize("name", ["plain", "rich"])
def test_losses_are_unchanged(name: str, request: pytest.FixtureRequest) -> None:
    golden = json.loads(GOLDEN.read_text())[name]
    found = curve(request.getfixturevalue(name))
    assert found["loss"] == pytest.approx(golden["loss"], rel=TOLERANCE), __doc__
    assert found["grad_norm"] == pytest.approx(golden["grad_norm"], rel=10 * TOLERANCE), __doc__
    assert found["loss"][-1] < found["loss"][0]


def write() -> None:
    here = Path(__file__).resolve()
    sys.path[:0] = [str(here.parents[2]), str(here.parents[1]), str(here.parent)]
    from made_step import RICH, MadeStep

    GOLDEN.parent.mkdir(exist_ok=True)
    found = {"plain": curve(MadeStep()), "rich": curve(MadeStep(**RICH))}
    GOLDEN.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    write()
