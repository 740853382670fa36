"""The launcher of several processes on one machine, with small programs in place of trainings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from myxtts.cli import launch
from myxtts.cli.train import main
from myxtts.errors import EXIT_DONE, EXIT_STOPPED, ConfigError

ROOT = Path(__file__).resolve().parents[2]
HEAD = """
import json, os, signal, sys, time
from pathlib import Path
task = json.loads(os.environ["TF_CONFIG"])
rank, folder = task["task"]["index"], Path(sys.argv[1])
"""


def program(text: str, folder: Path) -> list[str]:
    """A process that knows its `rank` and a `folder`."""
    return [sys.executable, "-c", HEAD + text, str(folder)]


def launched(text: str, folder: Path, count: int = 2, gpus: list[str] | None = None, threads: int = 0) -> int:
    return launch.launch(program(text, folder), count, gpus or [], threads, "the same command")


def test_every_process_gets_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    keep = """
keys = ("CUDA_VISIBLE_DEVICES", "TF_NUM_INTRAOP_THREADS")
(folder / str(rank)).write_text(json.dumps([task["cluster"]["worker"], [os.environ.get(key) for key in keys]]))
"""
    assert launched(keep, tmp_path, 3, ["4", "5", "GPU-7"]) == EXIT_DONE
    found = [json.loads((tmp_path / str(rank)).read_text()) for rank in range(3)]
    assert len(set(found[0][0])) == 3 and all(addresses == found[0][0] for addresses, _ in found)
    assert [own for _, own in found] == [["4", None], ["5", None], ["GPU-7", None]]
    assert launched(keep, tmp_path, 2) == EXIT_DONE
    threads = str(max(1, (os.cpu_count() or 1) // 2))
    assert json.loads((tmp_path / "1").read_text())[1][1] == threads, "processors are divided"


def test_one_that_fails_ends_the_others_and_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "GRACE_SECONDS", 0.5)
    fail = """
if rank == 1:
    print("error: full", file=sys.stderr)
    sys.exit(4)
if rank == 2:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
"""
    assert launched(fail, tmp_path, 3) == 4
    shown = capsys.readouterr().err
    assert "process 1 of 3 ended first (exit code 4):" in shown and "error: full" in shown


def test_one_that_is_killed_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kill = """
if rank == 1:
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(75)
"""
    assert launched(kill, tmp_path) == EXIT_STOPPED
    shown = capsys.readouterr().err
    assert "process 1 of 2 was ended by SIGKILL" in shown and "to continue: the same command" in shown
    assert launched("os.kill(os.getpid(), signal.SIGKILL)", tmp_path) == EXIT_STOPPED


def test_the_same_error_in_all_is_shown_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fail = """
print("error: bad setting", file=sys.stderr)
sys.exit(2)
"""
    assert launched(fail, tmp_path) == 2
    assert capfd.readouterr().err == "error: bad setting\n"


WAIT = """
from myxtts.cli.launch import watch_launcher
watch_launcher()
def stop(number, frame):
    (folder / f"stopped {rank}").write_text(signal.Signals(number).name)
    os._exit(75)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, stop)
(folder / f"ready {rank}").write_text(str(os.getpgrp()))
time.sleep(600)
"""


def started(folder: Path) -> subprocess.Popen[str]:
    """A launcher in a process of its own, whose two children wait."""
    text = "import sys; from myxtts.cli.launch import launch; "
    text += f"sys.exit(launch({program(WAIT, folder)!r}, 2, [], 1, 'x'))"
    launcher = subprocess.Popen([sys.executable, "-c", text], cwd=ROOT, env=os.environ, text=True)
    ready = [folder / f"ready {rank}" for rank in (0, 1)]
    _until(lambda: all(path.exists() and path.read_text() for path in ready))
    return launcher


def _until(true: Callable[[], bool], seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on(tmp_path: Path, number: signal.Signals) -> None:
    launcher = started(tmp_path)
    groups = [int((tmp_path / f"ready {rank}").read_text()) for rank in (0, 1)]
    assert os.getpgid(launcher.pid) not in groups, "Ctrl-C, which reaches the group of the launcher, counts once"
    launcher.send_signal(number)
    assert launcher.wait(300) == EXIT_STOPPED
    assert [(tmp_path / f"stopped {rank}").read_text() for rank in (0, 1)] == [number.name] * 2


def test_no_process_outlives_a_launcher_that_is_killed(tmp_path: Path) -> None:
    launcher = started(tmp_path)
    launcher.kill()
    launcher.wait(300)
    _until(lambda: all((tmp_path / f"stopped {rank}").exists() for rank in (0, 1)))
    assert (tmp_path / "stopped 1").read_text() == "SIGTERM", "so that they save"


def test_an_automatic_batch_size_is_for_one_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    words = ["--train-data", str(tmp_path), "--checkpoint-dir", str(tmp_path / "run"), "--batch-size", "auto"]
    assert main(words) == 2
    assert "--batch-size auto is for one process: add --devices 1, or" in capsys.readouterr().err


def test_how_many_processes(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert launch.gpus_here({}, tmp_path) == ["0", "1"]
    assert launch.gpus_here({"CUDA_VISIBLE_DEVICES": "3, 5"}, tmp_path) == ["3", "5"]
    assert launch.gpus_here({"CUDA_VISIBLE_DEVICES": "2,-1,3"}, tmp_path) == ["2"], "as CUDA reads it"
    assert launch.gpus_here({"CUDA_VISIBLE_DEVICES": ""}, tmp_path) == []
    assert launch.process_count(0, []) == launch.process_count(1, ["0", "1"]) == 1
    assert launch.process_count(0, ["0", "1"]) == 2 and launch.process_count(4, []) == 4
    with pytest.raises(ConfigError, match=r"training\.devices 3: there are 2 GPUs .*give at most 2, or 0"):
        launch.process_count(3, ["0", "1"])
