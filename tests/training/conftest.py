"""Steps of the small model, traced once for the whole session; a test gets them as they were made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from made_step import MadeStep


@pytest.fixture(scope="session")
def plain_session() -> Any:
    return MadeStep()


@pytest.fixture(scope="session")
def rich_session() -> Any:
    """Everything that the plain one has not: flow, dropout, learned weights, Huber, smoothing, Muon."""
    return MadeStep(
        model={"decoder": "flow", "dropout": 0.1, "predictor_dropout": 0.3},
        loss={"adaptive_weights": True, "huber_delta": 0.5, "label_smoothing": 0.1},
        optimizer={"name": "muon"},
    )


@pytest.fixture(scope="session")
def half_session() -> Any:
    return MadeStep(training={"precision": "fp16"})


@pytest.fixture
def plain(plain_session: Any) -> Iterator[Any]:
    yield plain_session.anew()


@pytest.fixture
def rich(rich_session: Any) -> Iterator[Any]:
    yield rich_session.anew()


@pytest.fixture
def half(half_session: Any) -> Iterator[Any]:
    yield half_session.anew()
