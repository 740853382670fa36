"""Synthesis: text and a voice to a waveform.

The public names are imported on first use, so that the parts that need no TensorFlow load without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from myxtts.synthesis.options import SpeakOptions
    from myxtts.synthesis.speech import Speech, SpeechChunk
    from myxtts.synthesis.synthesizer import Synthesizer
    from myxtts.synthesis.voice_parts import VoicePart

__all__ = ["SpeakOptions", "Speech", "SpeechChunk", "Synthesizer", "VoicePart"]

_HOMES = {
    "SpeakOptions": "myxtts.synthesis.options",
    "Speech": "myxtts.synthesis.speech",
    "SpeechChunk": "myxtts.synthesis.speech",
    "Synthesizer": "myxtts.synthesis.synthesizer",
    "VoicePart": "myxtts.synthesis.voice_parts",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
