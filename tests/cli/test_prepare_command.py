"""`myxtts prepare`: the features of a data set in the cache, computed by several processes at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from myxtts.cli.main import main
from myxtts.data import features
from myxtts.storage.files import is_temporary
from tests.training.made_run import make_root

ROOT = Path(__file__).resolve().parents[2]


def words(folder: Path) -> list[str]:
    return ["prepare", "--data", str(folder / "root"), "--cache", str(folder / "cache"), "--num-workers", "1"]


def test_what_it_computes_is_not_computed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_root(tmp_path / "root", clips=5)
    assert main(words(tmp_path)) == 0
    assert "5 clips are ready in" in capsys.readouterr().out
    assert len(list((tmp_path / "cache" / "features").rglob("*.f32"))) == 5
    monkeypatch.setattr(features, "run_isolated", lambda work, jobs, workers: pytest.fail("again") if jobs else ())
    assert main(words(tmp_path)) == 0


@pytest.mark.process
def test_three_processes_share_the_work_and_lose_nothing_when_one_is_killed(tmp_path: Path) -> None:
    make_root(tmp_path / "root", clips=12)
    filled = tmp_path / "cache" / "features"
    killed = start(tmp_path, MYXTTS_FAULT="cache.write:3:sleep=600")
    wait_until(lambda: ready(filled) == (2, 1))
    others = [start(tmp_path), start(tmp_path)]
    wait_until(lambda: ready(filled)[0] > 2)
    killed.kill()
    shown = [process.communicate(timeout=300)[0] for process in (killed, *others)]
    assert [process.returncode for process in (killed, *others)] == [-signal.SIGKILL, 0, 0]
    assert all("12 clips are ready" in text for text in shown[1:])
    assert ready(filled) == (12, 1), "what was killed leaves its temporary file"
    alone = words(tmp_path)
    alone[alone.index("--cache") + 1] = str(tmp_path / "other")
    assert main(alone) == 0
    made = list((tmp_path / "other" / "features").rglob("*.f32"))
    assert len(made) == 12
    for path in made:
        assert path.read_bytes() == (filled / path.parent.name / path.name).read_bytes()


def start(folder: Path, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "myxtts", *words(folder)]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)


def ready(folder: Path) -> tuple[int, int]:
    """Feature files, and those that are not complete."""
    names = [path.name for path in folder.rglob("*.f32")]
    temporary = sum(is_temporary(name) for name in names)
    return len(names) - temporary, temporary


def wait_until(done: Callable[[], bool]) -> None:
    until = time.monotonic() + 300
    while not done():
        assert time.monotonic() < until, "nothing happens"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("more", "facts"),
    [
        ([], ["--data is missing"]),
        (["--data", "nowhere"], ["nowhere", "--train-data"]),
        (["--data", ".", "--frehs"], ["unknown option '--frehs'"]),
        (["--data", ".", "--set", "data.max_clip_secnds=3"], ["data.max_clip_secnds", "data.max_clip_seconds"]),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    facts: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["prepare", *more]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and all(fact in lines[0] for fact in facts)
