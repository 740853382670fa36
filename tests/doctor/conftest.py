"""For the tests of the repair tool: a disk that need not be waited for."""

import os

import pytest


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process loses nothing that it wrote; the tests of storage watch the order of fsync."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
