"""Incident bundles that cannot be written; intact ones are in test_ladder.py and test_replay.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_batch import make_batch

from myxtts import faults
from myxtts.data.loader import Loaded
from myxtts.errors import StorageError
from myxtts.training.accumulation import Micro
from myxtts.training.recovery import incidents
from myxtts.training.recovery.blame import Blame


def write(directory: Path) -> Path:
    knobs: dict[str, Any] = {"seed": (1, 2), "prior_strength": 0.5}
    result: Any = None  # no bundle holds it
    micro = Micro(12, Loaded(0, 2, make_batch((0, 1)), False), result, knobs)
    return incidents.write(
        directory,
        Blame(("mel",), (0,), (), micro, True),
        update=3,
        cause="the loss is not finite",
        utterances=["a"],
        rows=["a", "b"],
        weights={"decoder/kernel": np.ones(1_000, np.float32)},
        texts={"config.yaml": "model_size: tiny\n", "corpus.json": "{}"},
        loss_scale=1.0,
        most_norm=None,
    )


@pytest.mark.parametrize("action", ["enospc", "eio"])
def test_a_bundle_that_cannot_be_written_leaves_nothing(tmp_path: Path, action: str) -> None:
    faults.arm(f"file.in_atomic_write:1:{action}")
    with pytest.raises(StorageError, match=rf"incident\.json.*{action.upper()}"):
        write(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert incidents.read(write(tmp_path)).facts["cause"] == "the loss is not finite"
    assert [path.name for path in tmp_path.iterdir()] == ["update-0000003-micro-00000012"]
