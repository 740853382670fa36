"""Text and a voice to a waveform.

`Synthesizer` and `Speech` are imported when first asked for: what needs no TensorFlow here answers without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from myxtts.synthesis.speech import Speech
    from myxtts.synthesis.synthesizer import Synthesizer

__all__ = ["Speech", "Synthesizer"]

_HOMES = {"Synthesizer": "myxtts.synthesis.synthesizer", "Speech": "myxtts.synthesis.speech"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
