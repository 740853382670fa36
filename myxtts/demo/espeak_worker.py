"""The process that runs eSpeak NG: jobs as JSON on standard input, a JSON line per file on standard output.

espeak_voice.py runs this file in isolation (`python -I`). It uses only the standard library, so that the process is
independent of the parent's state, TensorFlow and phonemizer's own copy of eSpeak NG.
"""

from __future__ import annotations

import array
import ctypes
import hashlib
import io
import json
import sys
import wave
from pathlib import Path
from typing import Any

# Constants of speak_lib.h, which ships with eSpeak NG.
_OUTPUT_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_POSITION_CHARACTER = 1
_PARAMETER_RATE, _PARAMETER_VOLUME, _PARAMETER_PITCH, _PARAMETER_RANGE = 1, 2, 3, 4

_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _Voice(ctypes.Structure):
    """espeak_VOICE of speak_lib.h; of `languages` only the first is read: a priority byte, then the name."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("unused", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class SpeechError(Exception):
    """eSpeak NG does not have the voice, or gave no sound."""


class Engine:
    """eSpeak NG, loaded once, with its random numbers seeded."""

    def __init__(self, library_path: str, data_path: str, seed: int) -> None:
        self._library = ctypes.CDLL(library_path)
        self._declare()
        self._samples = bytearray()
        self._callback = _SynthCallback(self._collect)  # a reference, so that it is not freed while C uses it
        self.sample_rate_hz = int(
            self._library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, data_path.encode(), _DONT_EXIT)
        )
        if self.sample_rate_hz <= 0:
            raise SpeechError(f"eSpeak NG does not start with the data in {data_path!r}")
        # Initialize seeds breath and whisper noise from the clock; without a fixed seed all runs differ.
        self._library.espeak_ng_SetRandSeed(seed)
        self._library.espeak_SetSynthCallback(self._callback)
        self._identifiers = self._voice_files()

    def _declare(self) -> None:
        library = self._library
        library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        library.espeak_SetSynthCallback.argtypes = [_SynthCallback]
        library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
        library.espeak_ListVoices.argtypes = [ctypes.c_void_p]
        library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
        library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
        library.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
            ctypes.c_uint, ctypes.c_uint, ctypes.POINTER(ctypes.c_uint), ctypes.c_void_p,
        ]  # fmt: skip

    def _voice_files(self) -> dict[str, str]:
        """Voice file of each language: gmw/en for en-gb, which eSpeak NG does not find by the name of the language."""
        voices = self._library.espeak_ListVoices(None)
        files: dict[str, str] = {}
        index = 0
        while voices[index]:
            voice = voices[index].contents
            files.setdefault(voice.languages[1:].decode(), voice.identifier.decode())
            index += 1
        return files

    def _collect(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._samples += ctypes.string_at(samples, 2 * count)
        return 0

    def speak(self, job: dict[str, Any]) -> array.array[int]:
        """16-bit samples of one job, mono, at `sample_rate_hz`."""
        language, variant = job["language"], job["variant"]
        if language not in self._identifiers:
            raise SpeechError(f"eSpeak NG has no language {language!r}; it has en-us, en-gb, fa, de and others")
        name = self._identifiers[language] + ("+" + variant if variant else "")
        if self._library.espeak_SetVoiceByName(name.encode()) != 0:
            raise SpeechError(f"eSpeak NG has no voice {name!r} for the language {language!r}")
        # Loading a voice resets the parameters, so they are set after it.
        for parameter, value in (
            (_PARAMETER_RATE, job["words_per_minute"]),
            (_PARAMETER_VOLUME, job["volume"]),
            (_PARAMETER_PITCH, job["pitch"]),
            (_PARAMETER_RANGE, job["pitch_range"]),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._samples.clear()
        text = job["text"].encode()
        status = self._library.espeak_Synth(text, len(text) + 1, 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None)
        samples = array.array("h", bytes(self._samples))
        if status != 0 or not any(samples):
            raise SpeechError(f"eSpeak NG gave no sound for {job['text'][:60]!r} (status {status})")
        return samples


def without_silent_ends(samples: array.array[int], threshold: int, keep: int) -> array.array[int]:
    """The samples without silence (at most `threshold`) at either end, except for `keep` samples of it."""
    first = next(i for i, value in enumerate(samples) if abs(value) > threshold)
    last = next(i for i in range(len(samples) - 1, -1, -1) if abs(samples[i]) > threshold)
    return samples[max(first - keep, 0) : last + 1 + keep]


def wav_bytes(samples: array.array[int], sample_rate_hz: int) -> bytes:
    """A RIFF file, 16-bit mono, little endian."""
    if sys.byteorder == "big":
        samples = samples[:]
        samples.byteswap()
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate_hz)
        file.writeframes(samples.tobytes())
    return target.getvalue()


def _answer(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Speaks all jobs in order. Returns 0, or 3 if eSpeak NG cannot speak one, or 4 if a file cannot be written."""
    task = json.load(sys.stdin)
    try:
        engine = Engine(task["library_path"], task["data_path"], task["seed"])
        keep = round(task["keep_seconds"] * engine.sample_rate_hz)
        for job in task["jobs"]:
            samples = without_silent_ends(engine.speak(job), task["silence_threshold"], keep)
            content = wav_bytes(samples, engine.sample_rate_hz)
            Path(job["path"]).write_bytes(content)
            _answer(
                path=job["path"], bytes=len(content), sha256=hashlib.sha256(content).hexdigest(),
                samples=len(samples), sample_rate_hz=engine.sample_rate_hz,
            )  # fmt: skip
    except SpeechError as error:
        _answer(error=str(error))
        return 3
    except OSError as error:
        _answer(error=str(error))
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
