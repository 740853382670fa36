"""The guarded step with gradient checkpointing: the same losses, gradients and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_step import RICH, MadeStep

pytestmark = [pytest.mark.graph, pytest.mark.timeout(400)]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_updates_of_two_micro_batches_are_the_same_to_the_last_bit(precision: str) -> None:
    """With a flow decoder, a critic, dropout, learned weights and Muon."""

    def made(recompute: bool) -> tuple[list[Any], dict[str, bytes]]:
        settings = {**RICH, "model": {**RICH["model"], "text_blocks": 2}}
        step = MadeStep(**settings, training={"recompute": recompute, "precision": precision})
        results = []
        for _ in range(2):
            results += [step.micro().total_B, step.micro((4, 5)).total_B]
            results.append(np.float64(step.update().grad_norm))
        return [np.asarray(result).tobytes() for result in results], step.bytes()

    assert made(True) == made(False)
