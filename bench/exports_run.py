"""One process of bench.exports: loads a model, synthesizes, and writes figures; `measure` gets the arguments SPEC OUT.

SPEC is JSON: model, speaker, texts ([text, language] each), and the time at which the process was started. OUT gets the
figures as JSON, and OUT with the suffix .npz the mels and durations of the texts.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

REPEATS = 2


def measure(words: Sequence[str]) -> int:
    """Measures as the command line says; returns the exit code."""
    spec, out = json.loads(words[0]), Path(words[1])

    def moment() -> dict[str, float]:
        """CPU and wall seconds since the process was started."""
        return {"cpu_seconds": time.process_time(), "wall_seconds": time.time() - spec["started"]}

    from myxtts.cli.runtime import quiet_loading

    with quiet_loading():
        from myxtts.synthesis import Synthesizer

        synthesizer = Synthesizer.load(spec["model"])
    figures: dict[str, Any] = {"load": moment()}
    text, language = spec["texts"][0]
    next(synthesizer.stream(text, speaker=spec["speaker"], language=language))
    figures["first_sound"] = moment()
    spoken = 0.0
    for text, language in spec["texts"]:  # each length once before the measurement, which prepares the graphs
        synthesizer.speak(text, speaker=spec["speaker"], language=language)
    begin = moment()
    for text, language in spec["texts"] * REPEATS:
        spoken += synthesizer.speak(text, speaker=spec["speaker"], language=language).seconds
    end = moment()
    figures["real_time_factor"] = (end["cpu_seconds"] - begin["cpu_seconds"]) / spoken
    figures["speech_seconds"] = spoken / REPEATS
    figures["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024 / 1e6
    figures["tensorflow_loaded"] = "tensorflow" in sys.modules
    arrays: dict[str, Any] = {}
    voice = synthesizer.make_voice(speaker=spec["speaker"]).voice
    for number, (text, language) in enumerate(spec["texts"]):
        tokens_T = synthesizer.tokenizer.encode([text], language)[0].tokens
        made = synthesizer.model.generate(tokens_T, synthesizer.languages.index(language), voice, _controls())
        arrays |= {f"mel_{number}": made.mel_MC, f"durations_{number}": made.duration_T}
    np.savez(out.with_suffix(".npz"), **arrays)
    out.write_text(json.dumps(figures), encoding="utf-8")
    return 0


def _controls() -> Any:
    from myxtts.runtime.interface import Controls

    return Controls()
