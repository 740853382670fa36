"""Lines of metrics.jsonl, as a run writes them."""

from __future__ import annotations

import json
from typing import Any


def train_line(update: int, **changes: Any) -> str:
    loss = 1.5 + 3 / (1 + update / 100)
    record = {
        "kind": "train",
        "update": update,
        "epoch": update // 100,
        "time": 1.77e9 + update,
        "loss": loss,
        "terms": {"mel": loss * 0.8, "kl": 0.1},
        "weighted": {"mel": loss * 0.8, "kl": 0.05},
        "grad_norm": 0.2,
        "learning_rate": 1e-5 * min(1, update / 3_000),
        "frames": 9_000,
        "frames_per_second": 7_200.0,
        "wait_share": 0.02,
        "skipped": False,
    }
    return json.dumps(record | changes) + "\n"


def validation_line(update: int, mel: float = 1.4) -> str:
    metrics = {"total": 2.0, "mel": mel}
    return json.dumps({"kind": "validation", "update": update, "time": 1.77e9, "metrics": metrics}) + "\n"
