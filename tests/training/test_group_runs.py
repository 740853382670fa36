"""Whole runs in several real processes: faults of one, kills, another number of processes, the commands."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import made_run
import pytest
from made_group import ROOT, Group, free_ports, group
from made_run import events, losses, make_root, records
from test_processes import environment, wait_for_checkpoint

from myxtts.errors import EXIT_DONE, EXIT_STOPPED
from myxtts.storage.find_checkpoint import find
from myxtts.training.recovery import incidents

SAME = 1e-5
WITHOUT_DROPOUT = {"model__dropout": 0.0, "model__predictor_dropout": 0.0}
"""The processes draw different values."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("groups")
    make_root(made / "root")
    return made


def words_of(folder: Path, run: str, **settings: Any) -> list[str]:
    options = {"in_group": True, "run": run, **WITHOUT_DROPOUT, **settings}
    return [str(Path(made_run.__file__)), str(folder), json.dumps(options)]


def trained(folder: Path, run: str, size: int, faults: dict[int, str] | None = None, **settings: Any) -> list[str]:
    """What each process of a run that ends by itself printed."""
    with group(words_of(folder, run, **settings), size, faults=faults) as started:
        ended = started.ended(800)
    assert [code for code, _, _ in ended] == [EXIT_DONE] * size, [text for _, _, text in ended]
    return [out for _, out, _ in ended]


@pytest.fixture(scope="module")
def two(folder: Path) -> Path:
    """Four updates in two processes."""
    said = trained(folder, "two", 2, training__max_updates=4)
    assert "on 2 processes, each on CPU:0, built in" in said[0]
    return folder / "two"


@pytest.fixture(scope="module")
def one(folder: Path) -> Path:
    """Six updates in one process."""
    trained(folder, "one", 1)
    return folder / "one"


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_run_continues_at_the_same_place_with_any_number_of_processes(
    folder: Path, one: Path, two: Path, size: int
) -> None:
    after = folder / f"after-{size}"
    shutil.copytree(two, after)
    said = trained(folder, after.name, size)
    assert "(update 4)" in said[0]
    assert [update for update, _ in losses(after)] == list(range(1, 7))
    assert [loss for _, loss in losses(after)] == pytest.approx([loss for _, loss in losses(one)], rel=SAME)
    assert [r["frames"] for r in records(after / "metrics.jsonl") if r["kind"] == "train"] == [
        r["frames"] for r in records(one / "metrics.jsonl") if r["kind"] == "train"
    ]
    ends = [r["metrics"] for r in records(after / "metrics.jsonl") if r["kind"] == "validation" and r["update"] == 6]
    (expected,) = [r["metrics"] for r in records(one / "metrics.jsonl") if r["kind"] == "validation"]
    assert ends[0]["total"] == pytest.approx(expected["total"], rel=SAME), "validation is shared, too"


def test_a_nan_in_one_process_is_skipped_and_recorded_whole(folder: Path) -> None:
    trained(folder, "nan", 2, {1: "step.loss.mel:3:nan"})
    run = folder / "nan"
    assert [update for update, _ in losses(run)][-1] == 6
    trouble = [r for r in records(run / "events.jsonl") if r["event"] in ("skip", "skip_micro_batches")]
    assert len(trouble) == 1 and trouble[0]["terms"] == ["mel"]
    bundle = incidents.read(run / trouble[0]["incident"])
    rows = bundle.facts["rows"]
    assert len(rows) == len(bundle.batch["weight_B"]) == 2, "the rows of both processes"
    assert set(trouble[0]["utterances"]) <= {row for row in rows if row}


def test_weights_that_differ_are_not_saved_and_the_run_rolls_back(folder: Path) -> None:
    trained(folder, "differ", 2, {1: "step.weights:3:scale=1.5"})
    run = folder / "differ"
    (back,) = events(run, "rollback")
    assert back["rung"] == 3 and back["to_update"] < 4
    assert "the weights of process 1 of 2 differ from those of process 0" in back["cause"]
    assert [update for update, _ in losses(run)][-1] == 6


def at_update(folder: Path, run: str, faults: dict[int, str]) -> Any:
    """A run in two processes, to be disturbed after its third update."""
    return group(words_of(folder, run, training__max_updates=40), 2, faults=faults)


def check_ended(started: Group, rank: int, seconds: float) -> str:
    """The process ends within the time, with one line and the code for running the command again."""
    _, shown = started.processes[rank].communicate(timeout=seconds)
    assert started.processes[rank].returncode == EXIT_STOPPED, shown
    (line,) = [line for line in shown.splitlines() if line.startswith("error: ")]
    assert "another process ended or does not answer" in line and f"process {rank} of 2 ends, too" in line
    assert line.endswith("to continue: python3 train_main.py --again") and "Traceback" not in shown
    return line


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_ends_the_other_one(folder: Path, killed: int) -> None:
    with at_update(folder, f"killed-{killed}", {killed: "loop.update:3:kill"}) as started:
        assert started.processes[killed].wait(600) == -signal.SIGKILL
        check_ended(started, 1 - killed, 100.0)
    saved = find(folder / f"killed-{killed}").update
    assert saved == (3 if killed else 2), "process 0 saves before it ends"


def test_a_stopped_process_ends_the_other_one(folder: Path) -> None:
    with at_update(folder, "halted", {1: "loop.update:3+:sleep=5"}) as started:
        wait_for_checkpoint(folder / "halted", 2, started.processes[0])
        started.processes[1].send_signal(signal.SIGSTOP)
        check_ended(started, 0, 100.0)
        started.processes[1].send_signal(signal.SIGCONT)


def cli_words(folder: Path, run: str, **settings: object) -> list[str]:
    given = {**made_run.SETTINGS, "data.cache_path": str(folder / "cache"), **settings}
    words = ["--train-data", str(folder / "root"), "--checkpoint-dir", str(folder / run)]
    return words + [word for key, value in given.items() for word in ("--set", f"{key}={value}")]


def test_ctrl_c_saves_and_stops_all_processes_of_a_machine(folder: Path) -> None:
    words = [sys.executable, "train_main.py", *cli_words(folder, "devices"), "--devices", "2"]
    faulty = environment("loop.update:3+:sleep=8")
    with subprocess.Popen(
        words, cwd=ROOT, env=faulty, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for_checkpoint(folder / "devices", 2, process)
        children = _children(process.pid)
        process.send_signal(signal.SIGINT)
        out, shown = process.communicate(timeout=300)
    assert process.returncode == EXIT_STOPPED, shown
    assert len(children) >= 2, "besides them, those that prepared the data"
    deadline = time.monotonic() + 300.0
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline, "none is left behind"
        time.sleep(0.1)
    (line,) = [line for line in shown.splitlines() if line.startswith("error: ")]
    saved = find(folder / "devices").update
    assert f"stopped by SIGINT at update {saved}; everything is saved" in line and saved in (2, 3, 4)
    assert out.count("Settings that differ") == 1 and out.count("Training from update") == 1
    named = shlex.split(line.partition("to continue: ")[2])
    assert named[-2:] == ["--devices", "2"]


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def test_two_machines_by_the_script_of_the_documentation(folder: Path) -> None:
    """start.sh on one machine, twice; both get the same settings, only the first one shows and writes."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    addresses = " ".join(f"127.0.0.1:{port}" for port in free_ports(2))
    words = cli_words(folder, "script", **{"training.max_updates": 2})
    started = [
        subprocess.Popen(
            ["sh", str(ROOT / "docs/examples/start.sh"), str(index), addresses, *words],
            cwd=ROOT,
            env={**environment(), "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in (1, 0)
    ]
    (quiet, _), (out, shown) = (process.communicate(timeout=800) for process in started)
    assert [process.returncode for process in started] == [EXIT_DONE] * 2, shown
    assert quiet == "" and "Done at update 2" in out and "Report: " in out
    assert find(folder / "script").update == 2
