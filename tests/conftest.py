"""For all tests: this folder can be imported from (made_model.py), and TensorFlow keeps to one thread."""

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

SHARED = ("server", "kept", "played_session", "rich_session", "half_session", "plain_session")
"""Fixtures of a session that take half a minute to make: graphs to trace, a training to compare with."""
LONGEST_FIRST = (
    *("server", "kept", "test_devices", "test_processes", "test_settings_that_died", "test_leaks", "played_session"),
    *("plain_session", "test_repaired_run_trains", "rich_session", "test_golden_curve", "half_session"),
)
"""Groups of over half a minute: what takes long must not begin last."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """For `--dist loadgroup`: what shares fixtures of a session or a module runs in one process.

    Else every process of pytest-xdist makes the same fixtures again. It reads the marks before it sorts the tests, so
    they are set here.
    """
    item.add_marker(pytest.mark.xdist_group(_group(item)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest groups first."""
    places = {group: place for place, group in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(_group(item), len(places)))


def _group(item: pytest.Item) -> str:
    shared = [name for name in SHARED if name in getattr(item, "fixturenames", ())]
    return shared[0] if shared else item.path.stem
