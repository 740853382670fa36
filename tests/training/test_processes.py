"""Runs in processes of their own: Ctrl-C from the outside, a resume in another process (kills: tests/faults)."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import made_run
import pytest
from made_run import events, hashes, losses, records

from myxtts.errors import EXIT_STOPPED
from myxtts.storage.find_checkpoint import find

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def environment(fault: str = "") -> dict[str, str]:
    paths = [ROOT, ROOT / "tests", ROOT / "tests" / "training"]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "MYXTTS_FAULT": fault}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("processes")
    made_run.make_root(made / "root")
    words = [sys.executable, str(Path(made_run.__file__)), str(made), json.dumps({"run": "unbroken"})]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


def test_ctrl_c_and_the_command_that_it_prints_resumes_bit_exactly(folder: Path) -> None:
    run = folder / "interrupted"
    settings = {**made_run.SETTINGS, "data.cache_path": str(folder / "cache")}
    words = [sys.executable, "train_main.py", "--train-data", str(folder / "root"), "--checkpoint-dir", str(run)]
    words += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    # pauses from the third update on: the run does not end before the signal comes
    with subprocess.Popen(
        words,
        cwd=ROOT,
        env=environment("loop.update:3+:sleep=8"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for_checkpoint(run, 2, process)
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=300)
    assert process.returncode == EXIT_STOPPED, shown
    assert "Traceback" not in shown
    (line,) = [line for line in shown.splitlines() if "stopped by SIGINT" in line]
    saved = find(run).update
    assert saved in (2, 3), "3, unless the machine is so busy that the signal came before"
    assert f"at update {saved}; everything is saved" in line
    assert f" train_main.py --train-data {folder}/root" in line
    assert [e["message"] for e in events(run, "signal")] == ["stopped by SIGINT"]
    lines = records(run / "metrics.jsonl")
    assert [r["update"] for r in lines if r["kind"] == "train"] == list(range(1, saved + 1))
    assert [r["update"] for r in lines if r["kind"] == "validation"] == [saved], "after everything was saved"

    named = shlex.split(line.partition("to continue: ")[2])
    done = subprocess.run(
        [sys.executable, *named[1:]], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and f"(update {saved})" in done.stdout, done.stdout + done.stderr
    assert hashes(run) == hashes(folder / "unbroken")
    assert losses(run) == losses(folder / "unbroken")


def wait_for_checkpoint(run: Path, update: int, process: subprocess.Popen[str]) -> None:
    """On a busy machine several processes need minutes for their graphs."""
    deadline = time.monotonic() + 600.0
    while not (run / "checkpoints" / f"step-{update:08d}").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.1)
