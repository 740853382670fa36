"""Named arrays in safetensors files (with the safetensors package), and the hash of each written file."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
from safetensors.numpy import save

from myxtts import faults
from myxtts.storage.files import strict_json

Array = npt.NDArray[Any]

_EXPONENT_BITS = {"float64": ("<u8", 0x7FF << 52), "float32": ("<u4", 0xFF << 23),
                  "float16": ("<u2", 0x1F << 10), "bfloat16": ("<u2", 0xFF << 7)}  # fmt: skip
_STORABLE = {
    *("float64", "float32", "float16", "bfloat16", "bool"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (64, 32, 16, 8)),
}
_SHORT_NAMES = {"F": "float", "BF": "bfloat", "I": "int", "U": "uint"}
"""The package writes dtypes by their long names and reads them by short ones: F32, BF16, BOOL."""


def count_nonfinite(array: Array) -> int:
    """Number of values in `array` that are NaN or infinite; 0 for integers and booleans."""
    if array.dtype.name in ("float64", "float32"):
        finite = np.isfinite(array)
        return 0 if finite.all() else int(array.size - np.count_nonzero(finite))
    if array.dtype.name not in _EXPONENT_BITS:
        return 0
    # NumPy is slow on float16 and has no bfloat16. A value is not finite if all exponent bits are set.
    kind, mask = _EXPONENT_BITS[array.dtype.name]
    bits = np.ascontiguousarray(array).reshape(-1).view(kind)
    return int(np.count_nonzero((bits & np.array(mask, kind)) == mask))


def check_storable(name: str, array: Array) -> None:
    """Raises TypeError or ValueError for what the format cannot hold, which is a bug in the caller."""
    if array.dtype.name not in _STORABLE:
        raise TypeError(f"tensor {name!r} has dtype {array.dtype}, which a checkpoint cannot hold")
    if not name or name == "__metadata__" or not name.isprintable():
        raise ValueError(f"{name!r} is not a valid tensor name")


def write_tensors(
    path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Writes `arrays` to a new file at `path` and fsyncs it. Returns its size and SHA-256. Raises OSError.

    metadata: name -> text, stored in the header of the file.
    """
    for name, array in arrays.items():
        check_storable(name, array)
    little = {name: a.astype(a.dtype.newbyteorder("<"), order="C", copy=False) for name, a in arrays.items()}
    content = save(little, dict(metadata) if metadata else None)
    with path.open("xb", buffering=0) as file:
        half = len(content) // 2
        _write(file, content[:half])
        faults.point("store.in_file")
        _write(file, content[half:])
        faults.point("store.before_fsync")
        os.fsync(file.fileno())
    return len(content), hashlib.sha256(content).hexdigest()


def _write(file: io.FileIO, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]


def parse_tensors(content: npt.NDArray[np.uint8]) -> dict[str, Array]:
    """Read-only arrays in the bytes of a safetensors file. Raises ValueError if it is damaged."""
    try:
        found = safetensors.deserialize(content.tobytes())  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise ValueError(f"not an intact safetensors file: {error}") from error
    return {
        name: np.frombuffer(bytes(entry["data"]), _dtype(name, entry["dtype"])).reshape(entry["shape"])
        for name, entry in found
    }


def parse_metadata(content: npt.NDArray[np.uint8]) -> dict[str, str]:
    """The metadata (name -> text) of a file that `parse_tensors` accepted. Raises ValueError if they are not texts."""
    length = int.from_bytes(content[:8].tobytes(), "little")
    header = strict_json(content[8 : 8 + length].tobytes())
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its metadata are not a mapping of names to texts")
    return metadata


def _dtype(name: str, code: str) -> np.dtype[Any]:
    letters = code.rstrip("0123456789")
    long = "bool" if code == "BOOL" else _SHORT_NAMES.get(letters, "") + code[len(letters) :]
    if long not in _STORABLE:
        raise ValueError(f"tensor {name[:80]!r} has dtype {code!r}, which is not supported")
    if long == "bfloat16":
        import ml_dtypes  # comes with TensorFlow; only files with this type need it

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return np.dtype(long).newbyteorder("<")
