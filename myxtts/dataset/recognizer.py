"""The recognizer: words of a recording with their times, by faster-whisper, in a process of its own.

It needs the extra `transcribe` but not MyXTTS, so any Python that has the extra can run this file. Its first
line of input is an object with `model` (a folder or a name), `download` and `language`; each further one has `samples`,
a file of float32 at 16 kHz. It answers each line with one: first a description or an `error`, then `words` as lists of
text, start, end and probability, and `speech`, the parts that a voice activity detector found.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

RATE_HZ = 16_000
PACKAGES = {"faster_whisper": "faster-whisper"}
"""Module -> package in the extra."""
_BEAMS = 5
_CODES = {"nb": "no", "cmn": "zh"}
"""Language codes of eSpeak NG that differ in Whisper."""


def missing() -> list[str]:
    """Packages of the extra that this Python lacks. Imports nothing."""
    return [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]


class Recognizer:
    """A Whisper model on the CPU or the GPU; nothing is downloaded without `download`."""

    def __init__(self, model: str, language: str, download: bool) -> None:
        if not download:
            os.environ["HF_HUB_OFFLINE"] = "1"
        # Waiting threads must sleep: spinning, they would take the processor from the others on a busy machine.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        os.environ.setdefault("KMP_BLOCKTIME", "0")
        wanted = os.environ.get("OMP_NUM_THREADS", "")
        threads = int(wanted) if wanted.isdecimal() else os.cpu_count() or 1
        from faster_whisper import WhisperModel

        if Path(model).is_absolute() and not Path(model).is_dir():
            raise ValueError("there is no such folder")
        try:
            self._model = WhisperModel(
                model, device="auto", compute_type="default", cpu_threads=threads,
                local_files_only=not download,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            if type(error).__name__ == "LocalEntryNotFoundError":  # of a package that may change where it is
                raise ValueError("it is not on this machine") from None
            raise
        code = language.lower().replace("_", "-").partition("-")[0]
        self._code = _CODES.get(code, code)
        known = self._model.supported_languages
        if self._code not in known:
            only = " (it knows English only)" if list(known) == ["en"] else ""
            advice = "name a multilingual one, such as small with --download"
            raise ValueError(f"the model has no language {self._code!r}{only}; {advice}")

    def describe(self) -> dict[str, str]:
        """The version of faster-whisper."""
        return {"faster-whisper": importlib.metadata.version("faster-whisper")}

    def answer(self, samples_N: Any) -> dict[str, Any]:
        """Words and speech of some seconds of sound."""
        from faster_whisper.vad import VadOptions, get_speech_timestamps

        options = VadOptions(min_silence_duration_ms=200, speech_pad_ms=50)
        found = get_speech_timestamps(samples_N, options)
        speech = [[part["start"] / RATE_HZ, part["end"] / RATE_HZ] for part in found]
        if not speech:
            return {"words": [], "speech": []}
        # One temperature: others are random, and an interrupted run would differ.
        segments, _ = self._model.transcribe(
            samples_N, language=self._code, beam_size=_BEAMS, temperature=0.0, word_timestamps=True,
            condition_on_previous_text=False, no_speech_threshold=None,
        )  # fmt: skip
        words = [
            [word.word, round(float(word.start), 3), round(float(word.end), 3), round(float(word.probability), 4)]
            for segment in segments
            for word in segment.words or ()
        ]
        return {"words": words, "speech": speech}


def _end_with(parent: int) -> None:
    """Ends the process when its parent has ended, even in the middle of a part."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main() -> None:
    """Answers the lines of stdin on stdout."""
    if "--missing" in sys.argv[1:]:
        sys.stdout.write(json.dumps(missing()) + "\n")
        return
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # output of libraries must not mix with the answers

    def say(answer: dict[str, Any]) -> None:
        out.write(json.dumps(answer) + "\n")
        out.flush()

    first = json.loads(sys.stdin.readline())
    try:
        recognizer = Recognizer(first["model"], first["language"], first["download"])
    except (OSError, RuntimeError, ValueError) as error:
        say({"error": " ".join(str(error).split())[:300]})
        return
    say(recognizer.describe())
    import numpy as np

    for line in sys.stdin:
        say(recognizer.answer(np.fromfile(json.loads(line)["samples"], np.float32)))


if __name__ == "__main__":
    main()
