from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from myxtts import faults


@pytest.fixture(autouse=True)
def _no_faults() -> Iterator[None]:
    faults.disarm()
    yield
    faults.disarm()


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process loses nothing that it wrote, so only the order of fsync matters here, which one test checks."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
