"""What --fresh moves aside. (Resuming itself: test_runs.py.)"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from myxtts.errors import StorageError
from myxtts.storage.run_directory import RunDirectory
from myxtts.training.resume import put_aside


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
    assert f"now in {aside};" in said[0] and f"--checkpoint-dir {aside}" in said[0]
    assert said[1:] == [
        f"--fresh: 2 other entries of {tmp_path / 'run'} are not part of a run and stay: 'metadata.csv, wavs'"
    ]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EXDEV, errno.EBUSY])
def test_a_run_that_cannot_be_moved_completely_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    directory = made(tmp_path / "run")
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    really = Path.rename

    def denied(path: Path, target: Path) -> Path:
        if path.name == "evaluation":
            raise OSError(code, os.strerror(code))
        return really(path, target)

    monkeypatch.setattr(Path, "rename", denied)
    with pytest.raises(StorageError, match="moving the run aside failed"):
        put_aside(directory, lambda _: None)
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


def test_a_run_on_its_own_file_system_is_moved_within_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = made(tmp_path / "run")
    really = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path and really(path, mode))
    put_aside(directory, lambda _: None)
    (aside,) = (tmp_path / "run").glob("before-*")
    assert (aside / "checkpoints" / "step-00000001").is_dir() and not directory.checkpoints_path.exists()


def test_the_present_folder_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    put_aside(RunDirectory(Path()), lambda _: None)
    (aside,) = tmp_path.glob("here.before-*")
    assert (aside / "checkpoints").is_dir() and not Path("checkpoints").exists()
