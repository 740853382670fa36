"""The small model's steps and trainers, traced once for the whole session; a test gets them as they were made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_run import make_root
from made_step import RICH, MadeStep

from tests.made_graphs import graph_optimizer


@pytest.fixture(scope="session")
def plain_session() -> Any:
    return MadeStep()


@pytest.fixture(scope="session")
def rich_session() -> Any:
    return MadeStep(**RICH)


@pytest.fixture(scope="session")
def half_session() -> Any:
    return MadeStep(training={"precision": "fp16"})


@pytest.fixture(scope="session")
def played_session() -> Any:
    return MadeStep(model={"critic_width": 4})


@pytest.fixture
def plain(plain_session: Any) -> Iterator[Any]:
    """The one step whose graph is optimized as in production."""
    with graph_optimizer(on=True):
        yield plain_session.reset()


@pytest.fixture
def rich(rich_session: Any) -> Iterator[Any]:
    with graph_optimizer(on=False):
        yield rich_session.reset()


@pytest.fixture
def half(half_session: Any) -> Iterator[Any]:
    with graph_optimizer(on=False):
        yield half_session.reset()


@pytest.fixture
def played(played_session: Any) -> Iterator[Any]:
    with graph_optimizer(on=False):
        yield played_session.reset()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings in folder/root; the runs of a module stand beside them."""
    made = tmp_path_factory.mktemp("runs")
    make_root(made / "root")
    return made
