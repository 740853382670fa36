"""Writes the files of a checkpoint: rejects values that are not finite, and hashes what it writes."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from myxtts.errors import NonFiniteError
from myxtts.storage import tensors
from myxtts.storage.checkpoint import MANIFEST, STATE, TENSORS_SUFFIX, FileRecord, check_file_name
from myxtts.storage.files import canonical_json

Arrays = Mapping[str, Mapping[str, tensors.Array]]


def check_arrays(update: int, arrays: Arrays) -> None:
    """Raises NonFiniteError naming the tensors with values that are not finite; TypeError or ValueError for bugs."""
    found = []
    for stem, named in arrays.items():
        check_file_name(stem + TENSORS_SUFFIX)
        for name, array in named.items():
            tensors.check_storable(name, array)
            if bad := tensors.count_nonfinite(array):
                found.append(f"{stem}/{name} ({bad} of {array.size})")
    if found:
        more = f" and {len(found) - 3} more tensors" if len(found) > 3 else ""
        raise NonFiniteError(
            f"the checkpoint of update {update} was not written: values that are not finite in "
            f"{', '.join(found[:3])}{more}; the previous checkpoint is untouched"
        )


def small_files(update: int, state: Mapping[str, object], texts: Mapping[str, str]) -> dict[str, bytes]:
    """File name -> content of state and texts. Raises NonFiniteError naming floats of the state that are not finite."""
    found: list[str] = []
    contents = {STATE: canonical_json(_plain(state, "state", found)) + b"\n"}
    if found:
        raise NonFiniteError(
            f"the checkpoint of update {update} was not written: {', '.join(found[:3])} not finite; "
            "the previous checkpoint is untouched"
        )
    for name, text in texts.items():
        check_file_name(name)
        if name in (MANIFEST, STATE) or name.endswith(TENSORS_SUFFIX):
            raise ValueError(f"{name!r} is a reserved file name")
        contents[name] = text.encode("utf-8", "surrogatepass")
    return contents


def _plain(value: object, where: str, found: list[str]) -> object:
    """`value` with plain numbers for NumPy scalars; a float that is not finite is added to `found` and becomes null."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        found.append(f"{where} is {value}")
        return None
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {key!r}, but JSON keys are strings")
        return {key: _plain(item, f"{where}.{key}", found) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]", found) for index, item in enumerate(value)]
    return value


def write_files(folder: Path, arrays: Arrays, contents: Mapping[str, bytes]) -> dict[str, FileRecord]:
    """Writes and fsyncs all files except the manifest into `folder`. Raises OSError."""
    records = {}
    for name, content in contents.items():
        write_durable(folder / name, content)
        records[name] = FileRecord(len(content), hashlib.sha256(content).hexdigest())
    for stem, named in arrays.items():
        name = stem + TENSORS_SUFFIX
        records[name] = FileRecord(*tensors.write_tensors(folder / name, named))
    return records


def write_durable(path: Path, content: bytes) -> None:
    """Writes a new small file and fsyncs it. Raises OSError."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
