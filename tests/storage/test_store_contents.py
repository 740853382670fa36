"""What no checkpoint holds: values that are not finite, and what cannot be stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from myxtts.errors import NonFiniteError
from tests.storage.made_store import arrays_of, save, store_in, updates_in


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_nan_is_never_written(tmp_path: Path, bad: float, dtype: str) -> None:
    kind = np.dtype(pytest.importorskip("ml_dtypes").bfloat16) if dtype == "bfloat16" else np.dtype(dtype)
    store = store_in(tmp_path)
    save(store, 1)
    poisoned = np.full((3, 4), 65_504.0 if dtype == "float16" else 3e38, np.float64).astype(kind)
    store.save(2, {"weights": {"w": poisoned}}, {})
    poisoned[1, 1] = poisoned[2, 3] = bad
    with pytest.raises(NonFiniteError, match=r"update 3 was not written.*ema/w \(2 of 12\).*untouched"):
        store.save(3, {"weights": {"v": np.ones(2, np.float32)}, "ema": {"w": poisoned}}, {})
    assert updates_in(store) == [1, 2]
    assert not list(store.directory.glob("tmp.*"))


def test_nan_in_the_state_is_never_written(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    for value in (float("nan"), np.float32("inf")):
        with pytest.raises(NonFiniteError, match=r"state\.best\.history\[1\] is (nan|inf) not finite"):
            store.save(3, arrays_of(1.0), {"best": {"history": [1.0, value]}})
    assert not store.directory.exists()


def test_nan_in_a_file_that_proves_itself_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_in(tmp_path)
    save(store, 1)
    monkeypatch.setattr("myxtts.storage.tensors.count_nonfinite", lambda array: 0)
    store.save(2, {"weights": {"w": np.array([1.0, np.nan], np.float32)}}, {})
    monkeypatch.undo()
    found = store.newest()
    assert found is not None and found.update == 1
    assert "1 of 2 values that are not finite in 'w'" in store.damaged[0].reason
    assert found.passed_over == tuple(store.damaged)


def test_what_a_checkpoint_cannot_hold_is_a_defect(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    with pytest.raises(TypeError, match="complex128"):
        store.save(1, {"weights": {"w": np.ones(2, np.complex128)}}, {})
    with pytest.raises(TypeError, match="JSON keys are strings"):
        store.save(1, {}, {"strikes": {3: 1}})
    for name in ("../evil.txt", "a/b", "manifest.json", "x.safetensors", ".hidden"):
        with pytest.raises(ValueError, match="name"):
            store.save(1, {}, {}, texts={name: ""})
    with pytest.raises(ValueError, match="name"):
        store.save(1, {"../weights": {}}, {})
    assert not store.directory.exists()
