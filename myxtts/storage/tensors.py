"""Named arrays in safetensors files: written and hashed in one pass, read with every declared size checked first.

The format (8 bytes of header length, a JSON header, the data) is written here rather than by the safetensors package
because that one gives no hash while it writes; the tests read every file back with the package itself.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from myxtts.storage import faults
from myxtts.storage.files import strict_json

Array = npt.NDArray[Any]

_CODES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
_NAMES = {code: name for name, code in _CODES.items()}
_EXPONENT_BITS = {"float64": ("<u8", 0x7FF << 52), "float32": ("<u4", 0xFF << 23),
                  "float16": ("<u2", 0x1F << 10), "bfloat16": ("<u2", 0xFF << 7)}  # fmt: skip
_HEADER_LIMIT = 64 << 20
_CHUNK = 1 << 18


def count_nonfinite(array: Array) -> int:
    """How many values of `array` are NaN or infinite; 0 for integers and booleans."""
    if array.dtype.name in ("float64", "float32"):
        finite = np.isfinite(array)
        return 0 if finite.all() else int(array.size - np.count_nonzero(finite))
    if array.dtype.name not in _EXPONENT_BITS:
        return 0
    # NumPy is slow on halves and knows no bfloat16; a value is not finite when all exponent bits are set
    kind, mask = _EXPONENT_BITS[array.dtype.name]
    bits = np.ascontiguousarray(array).reshape(-1).view(kind)
    return int(np.count_nonzero((bits & np.array(mask, kind)) == mask))


def check_storable(name: str, array: Array) -> None:
    """Raises TypeError or ValueError for what the format cannot hold: a defect of the caller, not of the data."""
    if array.dtype.name not in _CODES:
        raise TypeError(f"tensor {name!r} has dtype {array.dtype}, which a checkpoint cannot hold")
    if not name or name == "__metadata__" or not name.isprintable():
        raise ValueError(f"{name!r} is no name for a tensor")


def write_tensors(
    path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Writes `arrays` to a new file at `path`, on the disk when it returns. Returns size and SHA-256. OSError.

    `metadata` are texts by name, which the format has a place for.
    """
    # wide types first keeps every tensor aligned, as the safetensors package does
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, array in ordered:
        check_storable(name, array)
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": _CODES[array.dtype.name], "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    with path.open("xb", buffering=1 << 20) as file:
        start = len(text).to_bytes(8, "little") + text
        digest.update(start)
        file.write(start)
        for index, (_, array) in enumerate(ordered):
            if index == len(ordered) // 2:
                faults.point("store.in_file")
            raw = _little_endian_bytes(array)
            for offset in range(0, raw.size, _CHUNK):  # in pieces that stay in the cache between hash and copy
                piece = raw[offset : offset + _CHUNK].data
                digest.update(piece)
                file.write(piece)
        file.flush()
        faults.point("store.before_fsync")
        os.fsync(file.fileno())
    return len(start) + end, digest.hexdigest()


def _little_endian_bytes(array: Array) -> npt.NDArray[np.uint8]:
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def parse_tensors(content: npt.NDArray[np.uint8]) -> dict[str, Array]:
    """Arrays in the bytes of a safetensors file: read-only views, nothing copied. Raises ValueError if damaged."""
    if content.size < 8:
        raise ValueError(f"{content.size} bytes are too few for a file of tensors")
    length = int.from_bytes(content[:8].tobytes(), "little")
    if length > min(content.size - 8, _HEADER_LIMIT):
        raise ValueError(f"its header claims {length} bytes of {content.size}")
    header = strict_json(content[8 : 8 + length].tobytes())
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    header.pop("__metadata__", None)
    data = content[8 + length :]
    data.flags.writeable = False
    arrays: dict[str, Array] = {}
    spans = []
    for name, entry in header.items():
        code, shape, begin, end = _check_entry(name, entry, data.size)
        spans.append((begin, end))
        arrays[name] = data[begin:end].view(_dtype(code)).reshape(shape)
    reached = 0
    for begin, end in sorted(spans):
        if begin != reached:
            raise ValueError(f"its tensors overlap or leave a hole at byte {min(begin, reached)}")
        reached = end
    if reached != data.size:
        raise ValueError(f"its tensors end at byte {reached} of {data.size}")
    return arrays


def parse_metadata(content: npt.NDArray[np.uint8]) -> dict[str, str]:
    """Texts by name in a file that `parse_tensors` took; empty if it has none. Raises ValueError for others."""
    length = int.from_bytes(content[:8].tobytes(), "little")
    header = strict_json(content[8 : 8 + length].tobytes())
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its metadata are no texts by name")
    return metadata


def _check_entry(name: str, entry: object, available: int) -> tuple[str, tuple[int, ...], int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"the header's entry for {name[:80]!r} is not dtype, shape and offsets")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in _NAMES:
        raise ValueError(f"tensor {name[:80]!r} has the unknown dtype {str(code)[:40]!r}")
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2 or len(shape) > 32:
        raise ValueError(f"the shape or the offsets of tensor {name[:80]!r} are not whole numbers")
    begin, end = offsets
    expected = math.prod(shape) * _dtype(code).itemsize
    if not begin <= end <= available or end - begin != expected:
        raise ValueError(f"tensor {name[:80]!r} of shape {shape} needs {expected} bytes and has {begin} to {end}")
    return code, tuple(shape), begin, end


def _naturals(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 48 for item in value)


def _dtype(code: str) -> np.dtype[Any]:
    if code == "BF16":
        import ml_dtypes  # comes with TensorFlow; only files with this type need it

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return np.dtype(_NAMES[code]).newbyteorder("<")
