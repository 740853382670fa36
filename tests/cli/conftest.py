"""What tests of the training commands share."""

from pathlib import Path
from typing import Any

import made_training_command
import pytest


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Stands in for data preparation and training, in a folder without data; what they were called with."""
    return made_training_command.replaced(monkeypatch, tmp_path)
