"""Features of the processor that settings depend on."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})


def bf16_flags(cpu_info: str) -> frozenset[str]:
    """The flags for bf16 matrix products in the text of /proc/cpuinfo."""
    flags: set[str] = set()
    for line in cpu_info.splitlines():
        name, _, values = line.partition(":")
        if name.strip() == "flags":
            flags.update(values.split())
    return _BF16_FLAGS & flags


@lru_cache(maxsize=1)
def processor_has_bf16() -> bool:
    """Whether the processor multiplies bf16 matrices natively; False where that cannot be known."""
    try:
        return bool(bf16_flags(_CPU_INFO.read_text(encoding="ascii", errors="replace")))
    except OSError:
        return False
