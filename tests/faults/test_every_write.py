"""W4: the disk is full at each single write of a run in turn; the resumed run equals an uninterrupted one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from myxtts.errors import EXIT_DONE, StorageError
from myxtts.storage.run_directory import RunDirectory
from tests.faults import small_run
from tests.faults.full_disk import full_from, training_on_full_disk
from tests.training.made_run import make_root

UPDATES = 6


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A save every second update, no pauses, and no waiting for the real disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(small_run, "UPDATE_SECONDS", 0.0)
    monkeypatch.setattr(small_run, "EVERY", 2)


@pytest.mark.parametrize("once", [False, True])
def test_a_disk_that_is_full_at_each_write_of_a_run(tmp_path: Path, once: bool) -> None:
    assert small_run.train(RunDirectory(tmp_path / "unbroken"), UPDATES, 60.0) == EXIT_DONE
    unbroken, number, failed = small_run.outcome(tmp_path / "unbroken"), 0, 0
    while True:
        number += 1
        folder = tmp_path / f"run-{number}"
        with full_from(folder, number, once=once) as disk:
            try:
                small_run.train(RunDirectory(folder), UPDATES, 60.0)
            except StorageError as error:
                failed += 1
                assert "[ENOSPC]" in str(error) and "free some space" in str(error) and "\n" not in str(error)
        if disk.count < number:
            break
        assert small_run.train(RunDirectory(folder), UPDATES, 60.0) == EXIT_DONE
        assert small_run.outcome(folder) == unbroken, f"full at operation {number}"
    assert number > 50 and failed > 0.9 * number


def test_a_real_training_on_a_disk_that_is_full_at_some_writes(tmp_path: Path, quick_runs: None) -> None:
    make_root(tmp_path / "root")
    for first, once in ((9, False), (30, True), (60, False)):
        count, problem = training_on_full_disk(tmp_path, f"run-{first}", first, once=once)
        assert count >= first and not problem, first
