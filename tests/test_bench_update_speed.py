"""Frames per CPU second of trainings in two checkouts: what is counted, and what a training that fails gives."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import update_speed
from myxtts.errors import ConfigError

WORKER = """
import json, pathlib, sys
options = json.loads(pathlib.Path(sys.argv[1]).read_text())
words = options["words"]
run = pathlib.Path(words[words.index("--checkpoint-dir") + 1])
run.mkdir()
lines = [{"kind": "train", "update": 4}, {"kind": "validation", "metrics": {"total": 1.5, "mel": 0.5, "other": 2.0}}]
(run / "metrics.jsonl").write_text("\\n".join(map(json.dumps, lines)))
pathlib.Path(options["out"]).write_text(json.dumps([[10.0, 900], [14.0, 700], [15.0, 100], [16.0, 300]]))
"""


def given(data: Path, **more: Any) -> update_speed.Namespace:
    return update_speed.Namespace(data=data, size="tiny", precision="fp32", warm_up=2, updates=2, set=[], **more)


def test_updates_after_the_warm_up_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "worker.py").write_text(WORKER)
    monkeypatch.setattr(update_speed, "WORKER", tmp_path / "worker.py")
    for _ in range(2):  # the run of the first one is in the way of no other
        found = update_speed.trained(given(tmp_path), tmp_path, tmp_path / "now")
        assert found.rate == (100 + 300) / (16.0 - 14.0)
        assert found.validation == {"total": 1.5, "mel": 0.5}
    words = json.loads((tmp_path / "now" / "options.json").read_text())["words"]
    assert {"training.max_updates=4", "training.precision=fp32", "training.threads=1"} <= set(words)


def test_a_training_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "worker.py").write_text('import sys\nsys.exit("a warning\\nerror: no recordings")\n')
    monkeypatch.setattr(update_speed, "WORKER", tmp_path / "worker.py")
    with pytest.raises(ConfigError, match=r"ended after 0 updates: error: no recordings$"):
        update_speed.trained(given(tmp_path), tmp_path, tmp_path / "now")


@pytest.mark.parametrize("words", [["--warm-up", "0"], ["--updates", "0"], ["--pairs", "0"]])
def test_there_is_something_to_count(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """Without a warm-up there would be no moment to count from."""
    assert update_speed.main(["--before", str(tmp_path), "--data", str(tmp_path), *words]) == 2
    assert f"{words[0]} is 0, expected at least 1" in capsys.readouterr().err
