"""The guarded step with gradient checkpointing: the same losses, gradients and norms up to rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_step import RICH, MadeStep

pytestmark = [pytest.mark.graph, pytest.mark.timeout(600)]


@pytest.mark.parametrize(("precision", "rounding"), [("fp32", 1e-5), ("bf16", 0.2)])
def test_a_window_of_two_micro_batches_is_the_same(precision: str, rounding: float) -> None:
    """With a flow decoder, a critic, dropout and learned weights."""
    found: list[dict[str, Any]] = []
    for recompute in (False, True):
        settings = {**RICH, "model": {**RICH["model"], "text_blocks": 2}}
        made = MadeStep(**settings, training={"recompute": recompute, "precision": precision})
        totals = [made.micro().total_B, made.micro((4, 5)).total_B]
        gradients = made.gradients()
        found.append({"total": np.concatenate(totals), **gradients, "norm": np.asarray(made.update().grad_norm)})
    plain, again = found
    assert plain.keys() == again.keys()
    for name, value in plain.items():
        difference = np.linalg.norm(again[name] - value)
        assert difference <= rounding * max(float(np.linalg.norm(value)), 1e-3), name
