"""Loops compiled by numba, cached on the disk where a folder for that can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(function: Loop, signature: str | None = None, *, error_model: str = "python") -> Loop:
    """The function as machine code without the interpreter's lock.

    Compiled at once for a signature, else at the first call. Where no cache folder can be written (a read-only
    installation without a home folder), numba raises an error: then every process compiles it, without a cache.
    """
    try:
        return _compiled(function, signature, error_model, cache=True)
    except RuntimeError:
        return _compiled(function, signature, error_model, cache=False)


def _compiled(function: Loop, signature: str | None, error_model: str, *, cache: bool) -> Loop:
    arguments = () if signature is None else (signature,)
    return cast(Loop, numba.njit(*arguments, cache=cache, nogil=True, error_model=error_model)(function))
