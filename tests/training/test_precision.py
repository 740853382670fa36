"""The loss scale across a change of precision."""

from __future__ import annotations

import pytest

from myxtts.training.precision import INITIAL_SCALE, LossScale


@pytest.mark.parametrize("old", [True, False])
def test_a_scale_is_taken_up_from_fp16_to_fp16_alone(old: bool) -> None:
    def state(precision: str, value: float) -> dict[str, float]:
        scale = LossScale(precision)
        scale.value.assign(value)
        found = scale.state()
        if old:
            del found["moves"]
        return found

    half, full = LossScale("fp16"), LossScale("fp32")
    half.restore(state("fp32", 1.0))
    assert float(half.value) == INITIAL_SCALE and half.has_room, "else the first overflow is a refused update"
    half.restore(state("fp16", 512.0))
    assert float(half.value) == 512.0
    full.restore(state("fp16", 512.0))
    assert float(full.value) == 1.0 and not full.has_room
