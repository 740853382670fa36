"""Steps of the small model, traced once for the whole session; a test gets them as they were made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from made_step import RICH, MadeStep


@pytest.fixture(scope="session")
def plain_session() -> Any:
    return MadeStep()


@pytest.fixture(scope="session")
def rich_session() -> Any:
    return MadeStep(**RICH)


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
