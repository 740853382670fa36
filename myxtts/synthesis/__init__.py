"""Text and a voice to a waveform.

`Synthesizer` and `Speech` are imported when first asked for: what needs no TensorFlow here answers without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from myxtts.synthesis.speech import Speech
    from myxtts.synthesis.stream import Piece
    from myxtts.synthesis.synthesizer import Synthesizer
    from myxtts.synthesis.voice_sources import VoiceSource

__all__ = ["Piece", "Speech", "Synthesizer", "VoiceSource"]

_HOMES = {
    "Piece": "myxtts.synthesis.stream",
    "Speech": "myxtts.synthesis.speech",
    "Synthesizer": "myxtts.synthesis.synthesizer",
    "VoiceSource": "myxtts.synthesis.voice_sources",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
