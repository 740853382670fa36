"""Compiled loops also work where no folder for numba's cache can be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from myxtts.compiled import compiled

PROGRAM = """
import numpy as np
from numba.core import caching

def refuse(self):
    raise PermissionError("read-only")

caching.InTreeCacheLocator.ensure_cache_path = refuse  # a test may run as root, who can write into any folder
caching.UserWideCacheLocator.ensure_cache_path = refuse
from myxtts.models import monotonic
from myxtts.audio import distances, pitch_search
found = monotonic.search(np.float32([[[0, 0, 9], [9, 0, 0]]]), *np.int32([[2], [3]]), np.zeros((1, 2), np.int32))
assert found.tolist() == [[2, 1]] or found.tolist() == [[1, 2]], found
assert pitch_search.best_path(np.ones((4, 2)), np.ones((4, 2)), 0.1, 0.1).shape == (4,)
caches = [loop._cache for loop in (monotonic._search, distances._cheapest_path, pitch_search.peaks)]
assert {type(cache) for cache in caches} == {caching.NullCache}, caches
"""


def test_the_loops_work_without_a_cache_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "file" / "cache")}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_loop_is_cached_where_a_folder_can_be_written() -> None:
    from myxtts.audio import pitch_search

    assert sum(pitch_search.peaks.stats.cache_hits.values()) + sum(pitch_search.peaks.stats.cache_misses.values()) == 1


def test_an_error_of_the_loop_is_raised() -> None:
    with pytest.raises(Exception, match="no_such_name"):
        compiled(lambda x: no_such_name(x), "f8(f8)")  # noqa: F821
