"""Whether a processor has bf16, from the text in which Linux describes it."""

from __future__ import annotations

import pytest

from myxtts.config.hardware import bf16_flags

MODEL = "processor\t: 0\nmodel name\t: avx512_bf16 in a name says nothing\n"


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("fpu vme avx512f avx512_bf16", {"avx512_bf16"}),
        ("fpu amx_tile amx_bf16 avx512_bf16", {"amx_bf16", "avx512_bf16"}),
        ("fpu vme avx2", set()),
        ("", set()),
    ],
)
def test_flags_of_the_processor(flags: str, found: set[str]) -> None:
    assert bf16_flags(f"{MODEL}flags\t\t: {flags}\n") == found


def test_another_systems_text_has_none() -> None:
    assert bf16_flags("CPU part : 0xd0c\nFeatures : fp asimd bf16\n") == frozenset()
