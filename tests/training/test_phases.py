"""A run of a level as it is, its schedule drawn together: every phase begins and none of them is taken for trouble."""

from __future__ import annotations

from pathlib import Path

import made_run
import pytest

UPDATES = 56
DRAWN_TOGETHER = {
    "schedule.warmup_updates": 8,
    "schedule.diagonal_prior_updates": 12,
    "schedule.adversarial_start_updates": 48,
    "schedule.adversarial_ramp_updates": 8,
}
"""The critic learns from update 41 on, when the detector of spikes knows 40 norms, and is heard in full at the last."""
SMALL_DATA = ("text.symbols", "data.num_workers", "data.validation_share", "data.length_buckets")


@pytest.mark.slow
def test_no_phase_of_level_enhanced_is_taken_for_trouble(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        "optimization_level": "enhanced",
        **{key: made_run.SETTINGS[key] for key in SMALL_DATA},
        **DRAWN_TOGETHER,
        "training.batch_size": 2,
        "training.precision": "fp32",
        "training.max_updates": UPDATES,
        "training.checkpoint_every_updates": UPDATES,
        "training.hot_checkpoint_seconds": 3_600,
    }
    monkeypatch.setattr(made_run, "SETTINGS", settings)
    updates, screen = made_run.train(folder, "phases")
    assert updates == UPDATES and not [line for line in screen.warnings if "refused" in line or "rung" in line]
    trained = [r for r in made_run.records(folder / "phases" / "metrics.jsonl") if r["kind"] == "train"]
    assert [r["update"] for r in trained] == list(range(1, UPDATES + 1)) and not any(r["skipped"] for r in trained)
    learns, heard = trained[UPDATES - 16 :], trained[-8:]
    assert all(r["terms"]["critic"] > 0.0 for r in learns) and not trained[UPDATES - 17]["terms"]["critic"]
    hears = [r["weighted"]["adversarial"] > 0.0 for r in learns]
    assert hears == [False] * 8 + [True] * 8, "the decoder hears a critic that has learned"
    assert heard[-1]["terms"]["mel"] < trained[0]["terms"]["mel"]
