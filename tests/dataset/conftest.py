from __future__ import annotations

import numpy as np
import pytest
from long_recordings import SENTENCES, LongRecording, assemble, voices


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return voices(tmp_path_factory.mktemp("voices"))


@pytest.fixture(scope="session")
def chapter(spoken: dict[str, np.ndarray]) -> LongRecording:
    first, second, third, *others = SENTENCES
    return assemble(spoken, ("music", first, second, "noise", third, *others))
