from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from myxtts.storage.tensors import count_nonfinite, parse_metadata, parse_tensors, write_tensors


def test_other_tools_read_our_files(tmp_path: Path) -> None:
    arrays: dict[str, np.ndarray] = {
        "f32": np.arange(12, dtype=np.float32).reshape(3, 4).T,
        "big": np.arange(3, dtype=">f8"),
        "half": np.ones((2, 1), np.float16),
        "scalar": np.array(7, np.int64),
        "none": np.zeros((0, 5), np.float32),
        "flags": np.array([True, False, True]),
        "bytes": np.arange(5, dtype=np.uint8),
        "naïve/متن": np.ones(1, np.int32),
    }
    path = tmp_path / "a.safetensors"
    size, digest = write_tensors(path, arrays)
    content = path.read_bytes()
    assert (size, digest) == (len(content), hashlib.sha256(content).hexdigest())
    theirs, ours = load_file(path), parse_tensors(np.frombuffer(content, np.uint8))
    assert set(theirs) == set(ours) == set(arrays)
    for name, array in arrays.items():
        for found in (theirs[name], ours[name]):
            np.testing.assert_array_equal(found, array)
            assert found.dtype == array.dtype.newbyteorder("<") and found.shape == array.shape


def test_bfloat16_goes_round(tmp_path: Path) -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    array = np.array([1.5, -2.0, 3e38], bfloat16)
    write_tensors(tmp_path / "a", {"w": array})
    found = parse_tensors(np.fromfile(tmp_path / "a", np.uint8))["w"]
    assert found.dtype == array.dtype and (found == array).all()
    assert count_nonfinite(np.array([1, np.nan, np.inf, -np.inf], bfloat16)) == 3


def file_of(header: Any, data: bytes = b"\0" * 16, length: int | None = None) -> np.ndarray:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return np.frombuffer((len(text) if length is None else length).to_bytes(8, "little") + text + data, np.uint8)


def entry(dtype: str = "F32", shape: Any = (4,), offsets: Any = (0, 16)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


DAMAGED = {
    "three bytes": np.zeros(3, np.uint8),
    "a header longer than the file": file_of({"w": entry()}, length=1 << 60),
    "a header that is a list": file_of(b"[1]"),
    "a header that is nested too deeply": file_of(b"[" * 50_000),
    "an entry that is a number": file_of({"w": 3}),
    "an unknown dtype": file_of({"w": entry("O8")}),
    "a shape larger than the data": file_of({"w": entry(shape=(5,))}),
    "offsets beyond the end": file_of({"w": entry(offsets=(0, 32), shape=(8,))}),
    "offsets in reverse": file_of({"w": entry(offsets=(16, 0))}),
    "a negative shape": file_of({"w": entry(shape=(-1, -4))}),
    "a shape that overflows": file_of({"w": entry(shape=(0, 10**40), offsets=(0, 0))}),
    "data behind the last tensor": file_of({"w": entry(shape=(2,), offsets=(0, 8))}),
    "two tensors over one another": file_of({"v": entry(), "w": entry()}),
    "a hole": file_of(
        {"v": entry(shape=(1,), offsets=(0, 4)), "w": entry(shape=(1,), offsets=(12, 16))},
    ),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_a_value_error(kind: str) -> None:
    with pytest.raises(ValueError):
        parse_tensors(DAMAGED[kind])


def test_metadata_go_round_and_other_tools_read_them(tmp_path: Path) -> None:
    texts = {"name": "آنا", "made_from": "reference 'a.wav'"}
    write_tensors(tmp_path / "a", {"w": np.ones(3, np.float32)}, texts)
    content = np.fromfile(tmp_path / "a", np.uint8)
    assert parse_metadata(content) == texts and list(parse_tensors(content)) == ["w"]
    with safe_open(tmp_path / "a", "np") as file:
        assert file.metadata() == texts
    write_tensors(tmp_path / "b", {"w": np.ones(3, np.float32)})
    assert parse_metadata(np.fromfile(tmp_path / "b", np.uint8)) == {}
    with pytest.raises(ValueError, match="not a mapping of names to texts"):
        parse_metadata(file_of({"__metadata__": {"a": 1}}, b""))
