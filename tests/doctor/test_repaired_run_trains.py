"""A run whose newest checkpoint holds NaN is repaired by the program, and trains a hundred finite updates more."""

from __future__ import annotations

import json
import math
import os
import shlex
import subprocess
import sys
from pathlib import Path

import made_run_folder as made
import pytest

from myxtts.storage.find_checkpoint import find

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def called(words: list[str]) -> str:
    """What a program of this project prints, ended with 0."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "training")])
    environment = {**os.environ, "PYTHONPATH": paths, "MYXTTS_FAULT": ""}
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_repaired_run_trains_100_finite_updates(tmp_path: Path) -> None:
    import importlib.util

    spec = importlib.util.spec_from_file_location("made_run", ROOT / "tests" / "training" / "made_run.py")
    assert spec is not None and spec.loader is not None
    made_run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made_run)
    made_run.make_root(tmp_path / "root")
    run = tmp_path / "run"
    settings = {**made_run.SETTINGS, "data.cache_path": str(tmp_path / "cache"), "optimizer.learning_rate": 5e-3}
    settings |= {"training.threads": 1, "training.keep_checkpoints": 50}
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    called(["train_main.py", "--train-data", str(tmp_path / "root"), "--checkpoint-dir", str(run), *sets])
    newest = find(run, "last").update
    made.poison(run, newest)

    dry = called(["fix_nan_loss.py", "fix", "--run", str(run)])
    assert f"move aside: step-{newest:08d}" in dry and "nothing was written" in dry
    said = called(["fix_nan_loss.py", "fix", "--run", str(run), "--apply"])
    (line,) = [line for line in said.splitlines() if line.startswith("resume with: ")]
    words = shlex.split(line.removeprefix("resume with: "))[1:]
    assert words[0] == "train_main.py" and "5e-3 -> 1e-05" in said.replace("0.005", "5e-3")
    start = find(run, "last").update
    assert start < newest

    called([*words, "--max-updates", str(start + 100)])
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    made_updates = [line for line in lines if line["kind"] == "train" and line["update"] > start]
    assert len(made_updates) == 100
    for line in made_updates:
        assert not line["skipped"] and math.isfinite(line["loss"]) and math.isfinite(line["grad_norm"])
        assert line["learning_rate"] <= 1e-5
    assert find(run, "last").update == start + 100
    assert "repaired" in called(["-m", "myxtts", "doctor", str(run)])
