"""The running mean of what each clip costs: finite, and a bomb is forgotten within some epochs."""

from types import SimpleNamespace

import numpy as np
import pytest

from myxtts.training.accumulation import HIGHEST, ClipLosses


def window(rows: list[int], totals: list[float]) -> SimpleNamespace:
    result = SimpleNamespace(total_B=np.array(totals, np.float32))
    real_B = np.array(rows) >= 0
    return SimpleNamespace(micros=[SimpleNamespace(rows_B=np.array(rows), result=result, real_B=real_B)])


def test_the_first_value_counts_fully_and_later_ones_by_their_share() -> None:
    losses = ClipLosses(3)
    losses.observe(window([0, 2, -1], [2.0, 5.0, 9.0]))
    losses.observe(window([0, 1, -1], [1.0, np.nan, 9.0]))
    assert losses.loss_A == pytest.approx([1.7, 0.0, 5.0]) and losses.seen_A.tolist() == [2, 0, 1]


def test_a_bomb_does_not_mark_its_clips_forever() -> None:
    losses = ClipLosses(2)
    for total in [1.0, 1e25, *[1.0] * 15]:
        losses.observe(window([0, 1], [total, 1.5]))
    assert losses.loss_A[0] < losses.loss_A[1] + 0.1
    losses.observe(window([0], [3e38]))
    assert losses.loss_A[0] < HIGHEST
