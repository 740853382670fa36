"""Real trainings for the proofs by faults: one process to fork from, and one unbroken run to compare with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

UPDATES = 200
"""A multiple of the regular interval: the best of the end then replaces the last checkpoint."""


@pytest.fixture(scope="session")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the runs, with their data and the computed features."""
    return tmp_path_factory.mktemp("trainings")


@pytest.fixture(scope="session")
def server(trainings: Path) -> Iterator[object]:
    from tests.faults.served import Server

    with Server(trainings / "server") as server:
        yield server


@pytest.fixture(scope="session")
def unbroken(server: object, trainings: Path) -> Path:
    """An unbroken run of UPDATES updates."""
    from tests.faults.chain import Chain

    chain = Chain(server, trainings, "unbroken", UPDATES)  # type: ignore[arg-type]
    assert chain.finish().code == 0
    return chain.run
