"""A judge of stand-ins: modules with the names of the extra's packages, in a folder that a process imports from."""

from pathlib import Path

import pytest
import stand_in_judge


@pytest.fixture
def judge_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stand-ins; every Python that a test starts imports from it."""
    return stand_in_judge.install(tmp_path / "stand-ins", monkeypatch)
