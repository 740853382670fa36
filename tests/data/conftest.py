import pytest
from made_clips import make_clip

from myxtts.data.feature_store import FeatureStore


@pytest.fixture
def store(tmp_path):
    """Nine clips: bob has five, eve three, ann one."""
    names = ["bob"] * 5 + ["eve"] * 3 + ["ann"]
    return FeatureStore(
        [make_clip(tmp_path, f"{s}{i}", s, 60 + 40 * i, 12 + 5 * i, seed=i) for i, s in enumerate(names)]
    )
