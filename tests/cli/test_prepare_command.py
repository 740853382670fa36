"""`myxtts prepare`: the features of a data set in the cache, computed by several processes at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from myxtts.cli.main import main
from myxtts.data import features
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
def test_several_processes_share_the_work_and_lose_nothing(tmp_path: Path) -> None:
    make_root(tmp_path / "root", clips=12)
    command = [sys.executable, "-m", "myxtts", *words(tmp_path)]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    shown = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert all("12 clips are ready" in text for text in shown)
    found = list((tmp_path / "cache" / "features").rglob("*"))
    assert sum(path.suffix == ".f32" for path in found) == 12
    assert not [path for path in found if path.is_file() and path.suffix != ".f32"], "no temporary file is left"


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
