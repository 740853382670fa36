"""Saved voices: small safetensors files that record which model they belong to.

A voice is a point in the space of one speaker encoder, and is meaningless to any other. Two fingerprints identify it:

- `encoder`: of the averaged weights of the speaker encoder. The same encoder means the same space.
- `kin`: of data, seed and widths, the same for all checkpoints of a run. The encoder of another checkpoint has been
  trained further and its space has moved a little (a training speaker's voice at updates 1,000 and 2,050 of one run:
  cosine 0.93; at 2,000 and 2,050: 1.00), so the voice is used, with a note. Another run with the same data, seed and
  widths, such as one at another level, cannot be distinguished.

A model that matches neither is rejected: the same numbers would be another voice, or none.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from myxtts.errors import DataError
from myxtts.messages import quoted
from myxtts.runtime.interface import OpenedModel, VoiceModel
from myxtts.storage.files import canonical_json, read_regular_file, write_atomic
from myxtts.storage.tensors import count_nonfinite, parse_metadata, parse_tensors, write_tensors

FloatArray = npt.NDArray[np.float32]

FORMAT, FORMAT_VERSION = "myxtts-voice", 1
SUFFIX = ".voice"
_LARGEST_FILE = 1 << 20
LONGEST_CONSENT = 300
"""Characters of a statement of consent."""
SHORTEST, LONGEST = 0.5, 2.0
"""Allowed length of a voice, nominally a unit vector."""
LARGEST_STYLE = 1e3
"""Allowed magnitude of a style dimension, in deviations of its prior; real ones are a few deviations."""
_TEXTS = ("name", "made_from", "encoder", "kin", "update", "digest")
_NAME_ONE = "name a file written by `myxtts voice`"
_AGAIN = "create it again with `myxtts voice`"


@dataclass(frozen=True, eq=False)
class StoredVoice:
    """A saved voice: embedding float32[E] of unit length and style float32[Y].

    `made_from` describes its parts, without folders. `consent`: who consented and when, as given; "" if nothing was.
    """

    voice_E: FloatArray
    style_Y: FloatArray
    name: str
    made_from: str
    model: VoiceModel
    consent: str = ""


def write_voice(path: Path, voice: StoredVoice) -> None:
    """Writes a voice atomically. Raises StorageError."""
    arrays = {"voice_E": voice.voice_E.astype(np.float32), "style_Y": voice.style_Y.astype(np.float32)}
    texts = {
        "format": FORMAT,
        "version": str(FORMAT_VERSION),
        "name": voice.name,
        "made_from": voice.made_from,
        "encoder": voice.model.encoder,
        "kin": voice.model.run,
        "update": str(voice.model.update),
        "voice_width": str(len(voice.voice_E)),
        "style_width": str(len(voice.style_Y)),
    }
    if voice.consent:
        texts["consent"] = voice.consent
    texts["digest"] = _digest(arrays, texts)
    write_atomic(path, lambda temporary: write_tensors(temporary, arrays, texts), "writing the voice")


def read_voice(path: Path) -> StoredVoice:
    """Reads a voice and verifies its hash. Raises DataError for a file that is damaged or not a voice."""
    name = f"voice {quoted(str(path), 200)}"
    try:
        real = Path(os.path.realpath(path))  # the user may name a link
        content = np.frombuffer(read_regular_file(real, _LARGEST_FILE), np.uint8)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"{name}: cannot be read ({reason}); {_NAME_ONE}") from error
    try:
        arrays = parse_tensors(content)
        texts = parse_metadata(content)
    except ValueError as error:
        raise DataError(f"{name}: damaged or not a voice ({error}); {_AGAIN}") from error
    if texts.get("format") != FORMAT:
        raise DataError(f"{name}: not a MyXTTS voice; {_NAME_ONE}")
    version = texts.get("version", "")
    if version.isdecimal() and (len(version) > 9 or int(version) > FORMAT_VERSION):
        raise DataError(
            f"{name}: format version {quoted(version)}, this MyXTTS reads up to {FORMAT_VERSION}; upgrade MyXTTS"
        )
    if problem := _problem(arrays, texts):
        raise DataError(f"{name}: damaged ({problem}); {_AGAIN}")
    model = VoiceModel(texts["encoder"], texts["kin"], int(texts["update"]))
    vectors = arrays["voice_E"], arrays["style_Y"]
    return StoredVoice(*vectors, texts["name"], texts["made_from"], model, texts.get("consent", ""))


def compatibility_note(voice: StoredVoice, path: Path, opened: OpenedModel) -> str | None:
    """A note where the voice comes from another checkpoint of the same run; DataError where from another model."""
    name = f"voice {quoted(str(path), 200)}"
    model, own = opened.config.model, opened.voice_model
    if (len(voice.voice_E), len(voice.style_Y)) != (model.voice_width, model.style_width):
        raise DataError(
            f"{name} has {len(voice.voice_E)} + {len(voice.style_Y)} numbers and this model {model.voice_width} + "
            f"{model.style_width}: it belongs to another model; create it again from its recordings with this "
            "checkpoint"
        )
    if voice.model.encoder == own.encoder:
        return None
    if voice.model.run == own.run:
        return (
            f"{name} was made at update {voice.model.update} of this run and is used at update {own.update}: the "
            "encoder has changed since; if the voice sounds different, create it again with this checkpoint"
        )
    raise DataError(
        f"{name} belongs to another model (encoder {quoted(voice.model.encoder[:12])}, here {own.encoder[:12]}); "
        "create it again from its recordings with this checkpoint, or use the checkpoint it was made with"
    )


def consent_problem(text: str) -> str | None:
    """Why a text is no statement of consent, as the end of a sentence; None where it is one."""
    if text.isprintable() and 3 <= len(text.strip()) <= LONGEST_CONSENT:
        return None
    return f"expected who consented and when, 3 to {LONGEST_CONSENT} printable characters"


def voice_problem(voice_E: npt.NDArray[np.generic], style_Y: npt.NDArray[np.generic]) -> str | None:
    """Why arrays from a file are not a valid voice and style; None where they are."""
    for name, array in (("voice", voice_E), ("style", style_Y)):
        if array.dtype.kind != "f" or array.ndim != 1 or not array.size or count_nonfinite(array):
            return f"the {name} is not a vector of finite numbers"
    length, largest = float(np.linalg.norm(voice_E.astype(np.float64))), float(np.abs(style_Y.astype(np.float64)).max())
    if not SHORTEST <= length <= LONGEST:
        return f"the voice has the length {length:.3g}, expected 1"
    if largest > LARGEST_STYLE:
        return f"a number of the style is {largest:.3g}, expected at most {LARGEST_STYLE:g}"
    return None


def _problem(arrays: Mapping[str, npt.NDArray[np.generic]], texts: Mapping[str, str]) -> str | None:
    """What is wrong in a file that could be parsed."""
    if missing := [text for text in _TEXTS if text not in texts]:
        return f"{missing[0]} is missing"
    if set(arrays) != {"voice_E", "style_Y"}:
        return "it does not contain a voice and a style"
    if any(array.dtype != np.float32 for array in arrays.values()):
        return "its numbers are not float32"
    if problem := voice_problem(arrays["voice_E"], arrays["style_Y"]):
        return problem
    if not texts["update"].isdecimal() or len(texts["update"]) > 12:
        return "its update is not a number"
    if texts["digest"] != _digest(arrays, texts):
        return "its content differs from its own hash"
    return None


def _digest(arrays: Mapping[str, npt.NDArray[np.generic]], texts: Mapping[str, str]) -> str:
    """Hash of everything but itself."""
    digest = hashlib.sha256(canonical_json({key: text for key, text in texts.items() if key != "digest"}))
    for name in sorted(arrays):
        digest.update(name.encode("ascii") + np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
