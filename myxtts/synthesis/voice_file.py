"""A voice on the disk: a small safetensors file that knows which model its numbers mean something to.

A voice is a point in the space of one speaker encoder, and that space belongs to weights. Two fingerprints say whose:

- `encoder`: of the averaged weights of the speaker encoder. Where it is the same, the numbers mean the same.
- `kin`: of the data, the seed and the widths. Another checkpoint of one run has the same: its encoder has learned on,
  its space has turned a little (the voice of a training speaker at update 1,000 and at 2,050 of one run: cosine 0.93;
  at 2,000 and 2,050: 1.00). The voice is used, with a note. Another run of the same data, seed and widths, at another
  level, say, cannot be told from it.

A model with neither is refused: in its space the same numbers are somebody else, or nobody.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from myxtts.errors import CheckpointError, DataError
from myxtts.messages import quoted as shown
from myxtts.storage.files import canonical_json, read_regular_file, write_atomic
from myxtts.storage.tensors import count_nonfinite, parse_metadata, parse_tensors, write_tensors
from myxtts.synthesis.source import Source

FloatArray = npt.NDArray[np.float32]

FORMAT, FORMAT_VERSION = "myxtts-voice", 1
SUFFIX = ".voice"
_LARGEST_FILE = 1 << 20
SHORTEST, LONGEST = 0.5, 2.0
"""Between these lies the length of a voice, which is a unit vector."""
LARGEST_STYLE = 1e3
"""Deviations of its prior: a style is a few of them long."""
_DIGITS = 32
_TEXTS = ("name", "made_from", "encoder", "kin", "update", "digest")
_NAME_ONE = "name a file that `python -m myxtts voice` wrote"
_AGAIN = "make it again with `python -m myxtts voice`"


@dataclass(frozen=True)
class Belonging:
    """Whose voice it is: fingerprints of the encoder and of what all checkpoints of a run share, and the update."""

    encoder: str
    kin: str
    update: int


@dataclass(frozen=True, eq=False)
class StoredVoice:
    """A saved voice: float32[E] of unit length, style float32[S]; `made_from` tells what, without folders."""

    voice_E: FloatArray
    style_Y: FloatArray
    name: str
    made_from: str
    belonging: Belonging


def belonging_of(source: Source) -> Belonging:
    """What a voice that is made with this checkpoint belongs to. Raises CheckpointError where it has no encoder."""
    average = source.checkpoint.arrays.get("average", {})
    names = sorted(name for name in average if "/speaker_encoder/" in f"/{name}")
    if not names:
        raise CheckpointError(
            f"checkpoint {shown(str(source.checkpoint.path), 200)} holds no averaged weights of a speaker encoder; "
            "take one that a training of MyXTTS has written"
        )
    digest = hashlib.sha256()
    for name in names:
        array = np.ascontiguousarray(average[name])
        digest.update(canonical_json([name, array.dtype.name, list(array.shape)]))
        digest.update(array.tobytes())
    model, training = source.config.model, source.config.training
    shared = {
        "corpus": source.corpus.to_json(),
        "seed": training.seed,
        "widths": [model.speaker_width, model.voice_width, model.style_width],
    }
    kin = hashlib.sha256(canonical_json(shared)).hexdigest()
    return Belonging(digest.hexdigest()[:_DIGITS], kin[:_DIGITS], source.checkpoint.update)


def write_voice(path: Path, voice: StoredVoice) -> None:
    """Writes a voice, whole or not at all. Raises StorageError."""
    arrays = {"voice_E": voice.voice_E.astype(np.float32), "style_Y": voice.style_Y.astype(np.float32)}
    texts = {
        "format": FORMAT,
        "version": str(FORMAT_VERSION),
        "name": voice.name,
        "made_from": voice.made_from,
        "encoder": voice.belonging.encoder,
        "kin": voice.belonging.kin,
        "update": str(voice.belonging.update),
        "voice_width": str(len(voice.voice_E)),
        "style_width": str(len(voice.style_Y)),
    }
    texts["digest"] = _digest(arrays, texts)
    write_atomic(path, lambda temporary: write_tensors(temporary, arrays, texts), "writing the voice")


def read_voice(path: Path) -> StoredVoice:
    """A voice, every byte of it proved. Raises DataError for a file that is damaged or no voice."""
    name = f"voice {shown(str(path), 200)}"
    try:
        real = Path(os.path.realpath(path))  # the file is one that the user named, and may lie behind a link
        content = np.frombuffer(read_regular_file(real, _LARGEST_FILE), np.uint8)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"{name}: cannot be read ({reason}); {_NAME_ONE}") from error
    try:
        arrays = parse_tensors(content)
        texts = parse_metadata(content)
    except ValueError as error:
        raise DataError(f"{name}: damaged or no voice ({error}); {_AGAIN}") from error
    if texts.get("format") != FORMAT:
        raise DataError(f"{name}: no voice of MyXTTS; {_NAME_ONE}")
    version = texts.get("version", "")
    if version.isdecimal() and (len(version) > 9 or int(version) > FORMAT_VERSION):
        raise DataError(f"{name}: of format {shown(version)}, this MyXTTS reads up to {FORMAT_VERSION}; upgrade MyXTTS")
    if problem := _problem(arrays, texts):
        raise DataError(f"{name}: damaged ({problem}); {_AGAIN}")
    belonging = Belonging(texts["encoder"], texts["kin"], int(texts["update"]))
    return StoredVoice(arrays["voice_E"], arrays["style_Y"], texts["name"], texts["made_from"], belonging)


def fit_note(voice: StoredVoice, path: Path, source: Source) -> str | None:
    """A note where the voice is of another checkpoint of the same run. Raises DataError where of another model."""
    name = f"voice {shown(str(path), 200)}"
    model, own = source.config.model, belonging_of(source)
    if (len(voice.voice_E), len(voice.style_Y)) != (model.voice_width, model.style_width):
        raise DataError(
            f"{name} has {len(voice.voice_E)} + {len(voice.style_Y)} numbers and this model {model.voice_width} + "
            f"{model.style_width}: it is of another model; make it again from its recordings with this checkpoint"
        )
    if voice.belonging.encoder == own.encoder:
        return None
    if voice.belonging.kin == own.kin:
        return (
            f"{name} was made at update {voice.belonging.update} of this run and is used at update {own.update}: the "
            "encoder has changed since; if it sounds unlike, make it again with this checkpoint"
        )
    raise DataError(
        f"{name} is of another model (encoder {shown(voice.belonging.encoder[:12])}, here {own.encoder[:12]}); make it "
        "again from its recordings with this checkpoint, or speak with the one it was made with"
    )


def voice_problem(voice_E: npt.NDArray[np.generic], style_S: npt.NDArray[np.generic]) -> str | None:
    """Why numbers that came from a file are no voice: none, not finite, of another length than 1, an absurd style."""
    for name, array in (("voice_E", voice_E), ("style_S", style_S)):
        if array.dtype.kind != "f" or array.ndim != 1 or not array.size or count_nonfinite(array):
            return f"{name} is no row of finite numbers"
    length, largest = float(np.linalg.norm(voice_E.astype(np.float64))), float(np.abs(style_S.astype(np.float64)).max())
    if not SHORTEST <= length <= LONGEST:
        return f"the voice has the length {length:.3g}, expected 1"
    if largest > LARGEST_STYLE:
        return f"a number of the style is {largest:.3g}, expected at most {LARGEST_STYLE:g}"
    return None


def _problem(arrays: Mapping[str, npt.NDArray[np.generic]], texts: Mapping[str, str]) -> str | None:
    """What is wrong in a file that could be parsed."""
    if lacking := [text for text in _TEXTS if text not in texts]:
        return f"{lacking[0]} is missing"
    if set(arrays) != {"voice_E", "style_Y"}:
        return "it does not hold a voice and a style"
    if any(array.dtype != np.float32 for array in arrays.values()):
        return "its numbers are not float32"
    if problem := voice_problem(arrays["voice_E"], arrays["style_S"]):
        return problem
    if not texts["update"].isdecimal() or len(texts["update"]) > 12:
        return "its update is no number"
    if texts["digest"] != _digest(arrays, texts):
        return "its content differs from its own hash"
    return None


def _digest(arrays: Mapping[str, npt.NDArray[np.generic]], texts: Mapping[str, str]) -> str:
    """Of everything but itself."""
    digest = hashlib.sha256(canonical_json({key: text for key, text in texts.items() if key != "digest"}))
    for name in sorted(arrays):
        digest.update(name.encode("ascii") + np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
