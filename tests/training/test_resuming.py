"""What --fresh moves aside. (Resuming itself: test_runs.py.)"""

from __future__ import annotations

from pathlib import Path

import pytest

from myxtts.storage.run_directory import RunDirectory
from myxtts.training.resuming import put_aside


def made(run: Path) -> RunDirectory:
    """A run with an entry of each kind, in a folder with files of its user."""
    (run / "checkpoints" / "step-00000001").mkdir(parents=True)
    for name in ("evaluation", "before-fix-20260102-030405", "wavs"):
        (run / name).mkdir()
    for name in ("metrics.jsonl", "config.yaml", "metadata.csv", "lock"):
        (run / name).write_text(name)
    return RunDirectory(run)


def test_only_what_a_run_writes_is_moved(tmp_path: Path) -> None:
    said: list[str] = []
    put_aside(made(tmp_path / "run"), said.append)
    (aside,) = tmp_path.glob("run.before-*")
    moved = ["before-fix-20260102-030405", "checkpoints", "config.yaml", "evaluation", "metrics.jsonl"]
    assert sorted(path.name for path in aside.iterdir()) == moved
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["lock", "metadata.csv", "wavs"]
    assert said == [
        f"--fresh: the run that was here is now in {aside}",
        f"--fresh: 2 other entries of {tmp_path / 'run'} are of no run and stay: 'metadata.csv, wavs'",
    ]


def test_the_present_folder_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    put_aside(RunDirectory(Path()), lambda _: None)
    (aside,) = tmp_path.glob("here.before-*")
    assert (aside / "checkpoints").is_dir() and not Path("checkpoints").exists()
