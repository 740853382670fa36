"""H1: a loader that stops is noticed, its stacks are written, and the run continues or ends with a diagnosis."""

from __future__ import annotations

from pathlib import Path

import pytest

from myxtts import faults
from myxtts.errors import DataError
from tests.training import made_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hangs")
    made_run.make_root(made / "root")
    return made


@pytest.fixture(autouse=True)
def quick(quick_runs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("myxtts.data.loader.CLOSE_SECONDS", 0.2)


def arm(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """As a user would: the run reads the variable when it starts."""
    monkeypatch.setenv(faults.VARIABLE, text)


@pytest.mark.timeout(300)
def test_a_stopped_loader_is_restarted_without_a_trace_in_the_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert made_run.train(folder, "unbroken")[0] == 6
    arm(monkeypatch, "data.build_batch:5:sleep=1000")
    updates, screen = made_run.train(folder, "stopped", data__hang_seconds=3)
    assert updates == 6
    [event] = made_run.events(folder / "stopped", "hang")
    stacks = folder / "stopped" / "stacks.txt"
    for words in ("no batch for 3 s", "making batch", "clips 'c", str(stacks), "restarted"):
        assert words in event["message"] and any(words in line for line in screen.warnings)
    assert "faults.py" in stacks.read_text() and "loader.py" in stacks.read_text()
    assert made_run.losses(folder / "stopped") == made_run.losses(folder / "unbroken")
    assert made_run.hashes(folder / "stopped") == made_run.hashes(folder / "unbroken")


def test_a_loader_that_stops_again_at_once_ends_the_run_with_a_diagnosis(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm(monkeypatch, "data.build_batch:5+:sleep=1000")
    with pytest.raises(
        DataError, match=r"stuck at the same position again.*data\.cache_path.*data\.hang_seconds"
    ) as caught:
        made_run.train(folder, "stuck", data__hang_seconds=3)
    assert "\n" not in str(caught.value)
    assert [event["message"] for event in made_run.events(folder / "stuck", "failed")] == [str(caught.value)]
    monkeypatch.delenv(faults.VARIABLE)
    assert made_run.train(folder, "stuck")[0] == 6, "it continues where it was"
