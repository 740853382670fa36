"""The folder of an exported model (`--format onnx`, `litert`): its files, and how they are verified when opened."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from myxtts.audio import mel
from myxtts.config.fields import LEAVES, value_of
from myxtts.config.resolve import SOURCE_KEYS, Given, Layer, Rank, resolve
from myxtts.config.schema import Config
from myxtts.data.corpus import Corpus
from myxtts.errors import CheckpointError, ConfigError, DataError
from myxtts.messages import quoted
from myxtts.models.prosody import FloatArray
from myxtts.runtime import WEIGHTS
from myxtts.runtime.interface import AcousticModel, VoiceModel
from myxtts.storage.files import canonical_json, open_regular, read_regular_file, strict_json
from myxtts.storage.tensors import parse_tensors
from myxtts.text.symbols import SymbolTable
from myxtts.vocoder.files import GRIFFIN_LIM, NEURAL

ONNX, LITERT, FORMAT_VERSION = "myxtts-onnx", "myxtts-litert", 1
CONFIG, TEXT_TO_MEL, ENCODER, VOICES, CARD = (
    "config.json", "text_to_mel.onnx", "speaker_encoder.onnx", "voices.safetensors", "README.md",
)  # fmt: skip
VOCODER, VOCODER_WEIGHTS = "vocoder.onnx", "vocoder.safetensors"
"""The vocoder as a graph for other programs, and its weights, which MyXTTS itself uses (absent with Griffin-Lim)."""
TEXT_TO_PROSODY, PROSODY_TO_MEL, LITERT_ENCODER = (
    "text_to_prosody.tflite", "prosody_to_mel.tflite", "speaker_encoder.tflite",
)  # fmt: skip
_NEEDED = {
    ONNX: (TEXT_TO_MEL, ENCODER, VOICES, VOCODER),
    LITERT: (TEXT_TO_PROSODY, PROSODY_TO_MEL, LITERT_ENCODER, VOICES),
}
"""Format -> files that its folder has beside config.json and the card."""
_LARGEST_CONFIG = 16 << 20
_AGAIN = "export it again with `myxtts export`"
EXPORTED_KEYS = tuple(
    key
    for key in LEAVES
    if key in ("text.language", "data.max_text_tokens", "data.reference_seconds", "data.reference_min_seconds")
    or (key in SOURCE_KEYS and key != "model_size")
)
"""Settings that synthesis needs; the others, among them paths, stay with the run."""


@dataclass(frozen=True, eq=False)
class ExportConfig:
    """Content of config.json.

    Attributes:
        config: settings; only EXPORTED_KEYS have a meaning.
        corpus: statistics; only the exported speakers.
        voice_model: what voices belong to.
        speaker_count: number of voices that the model was trained on.
        untrained: symbols of the table that never occurred in training; they are not spoken.
        vocoder: `neural` or `griffin_lim`.
        weights: precision in which the graphs store the weights: fp32, fp16 or int8.
        format: ONNX or LITERT.
        longest_frames: most frames of a token and of a sentence at speed 1, for who rounds the durations (LITERT); the
            graphs of ONNX know them.
    """

    config: Config
    corpus: Corpus
    voice_model: VoiceModel
    speaker_count: int
    untrained: tuple[str, ...]
    vocoder: str
    weights: str
    format: str = ONNX
    longest_frames: tuple[int, int] = (0, 0)

    def to_json(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """As plain values, with size and hash of the other files of the folder, and a hash of everything."""
        values = {
            "format": self.format,
            "version": FORMAT_VERSION,
            "settings": {key: value_of(self.config, key) for key in EXPORTED_KEYS},
            "corpus": self.corpus.to_json(),
            "voice_model": dataclasses.asdict(self.voice_model),
            "speaker_count": self.speaker_count,
            "untrained": list(self.untrained),
            "vocoder": self.vocoder,
            "weights": self.weights,
            **({"longest_frames": list(self.longest_frames)} if self.format == LITERT else {}),
            "files": {
                name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                for name, content in files.items()
            },
        }
        return {**values, "digest": _digest(values)}


@dataclass(frozen=True, eq=False)
class OpenedExport:
    """An exported folder whose files are all there and have the hashes of its config.json."""

    path: Path
    about: ExportConfig
    voices: bytes | bytearray
    table: SymbolTable
    notes: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """The folder in a message."""
        return f"exported model {quoted(str(self.path), 200)}"

    @property
    def summary(self) -> str:
        """One line for a user."""
        return f"exported model: {self.path} (update {self.update}, weights {self.about.weights})"

    @property
    def config(self) -> Config:
        """Settings; only EXPORTED_KEYS have a meaning."""
        return self.about.config

    @property
    def corpus(self) -> Corpus:
        """Statistics of the training data; only the exported speakers."""
        return self.about.corpus

    @property
    def update(self) -> int:
        """Update of the training that the weights are from."""
        return self.about.voice_model.update

    @property
    def speaker_count(self) -> int:
        """Number of voices that the model was trained on."""
        return self.about.speaker_count

    @property
    def untrained(self) -> frozenset[str]:
        """Symbols of the table that never occurred in training."""
        return frozenset(self.about.untrained)

    @property
    def voice_model(self) -> VoiceModel:
        """The model that voices belong to."""
        return self.about.voice_model

    def stored_voices(self, wanted: str) -> tuple[FloatArray, FloatArray]:
        """Voices (Z, E) and styles (Z, Y) of the exported speakers. Raises CheckpointError for damaged ones."""
        model, speakers = self.config.model, len(self.corpus.speakers)
        try:
            stored = parse_tensors(np.frombuffer(self.voices, np.uint8))
        except ValueError as error:
            raise CheckpointError(f"{self.where}: {VOICES} is damaged ({error}); {_AGAIN}") from error
        shapes = {"voice_ZE": (speakers, model.voice_width), "style_ZY": (speakers, model.style_width)}
        for name, shape in shapes.items():
            if name not in stored or stored[name].shape != shape or not np.isfinite(stored[name]).all():
                raise CheckpointError(f"{self.where}: {VOICES} has no {name} of shape {shape}; {_AGAIN}")
        voice_ZE, style_ZY = (np.asarray(stored[name], np.float32) for name in shapes)
        return voice_ZE, style_ZY

    @property
    def vocoder(self) -> str:
        """The vocoder that it was exported with: its file, or Griffin-Lim."""
        return str(self.path / VOCODER_WEIGHTS) if self.about.vocoder == NEURAL else GRIFFIN_LIM

    def load(self) -> AcousticModel:
        """The networks. Raises ConfigError without what runs them, CheckpointError for graphs that it cannot load."""
        if self.about.format == LITERT:
            from myxtts.runtime.litert_model import LiteRtModel

            return LiteRtModel(self)
        from myxtts.runtime.onnx_model import OnnxModel

        return OnnxModel(self)


def is_export(path: Path) -> bool:
    """Whether a folder looks like an exported one. (A run has a config.yaml.)"""
    return (path / CONFIG).is_file()


def open_export(path: Path) -> OpenedExport:
    """Reads an exported folder and verifies every file of it. Raises CheckpointError, one line, for a damaged one."""
    where = f"exported model {quoted(str(path), 200)}"
    try:
        values = strict_json(_read(path / CONFIG, _LARGEST_CONFIG))
        about, listed = _parsed(values, where)
        table = SymbolTable.from_json(about.corpus.symbols)
        own_vocoder = (VOCODER_WEIGHTS,) if about.vocoder == NEURAL else ()
        found = {name: _fingerprint(path / name) for name in (*_NEEDED[about.format], *own_vocoder)}
        voices = _read(path / VOICES, _LARGEST_CONFIG)
    except OSError as error:
        missing = Path(str(error.filename)).name if error.filename else "a file"
        raise CheckpointError(f"{where}: {missing} cannot be read ({error.strerror}); {_AGAIN}") from error
    except (ValueError, DataError, ConfigError, RecursionError) as error:
        reason = error.problems[0] if isinstance(error, ConfigError) else str(error)
        raise CheckpointError(f"{where}: {CONFIG} is damaged ({quoted(reason, 200)}); {_AGAIN}") from error
    for name, entry in found.items():
        if listed.get(name) != entry:
            raise CheckpointError(f"{where}: {name} is not the file that was exported; {_AGAIN}")
    own = mel.fingerprint(about.config.audio)
    if about.corpus.mel_fingerprint != own or len(about.corpus.mel_mean_C) != about.config.audio.mel_channels:
        raise CheckpointError(f"{where} has mels of another definition than this version of MyXTTS; {_AGAIN}")
    return OpenedExport(path, about, voices, table)


def _fingerprint(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file."""
    digest, size = hashlib.sha256(), 0
    with open_regular(Path(os.path.realpath(path)), "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
            size += len(part)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _read(path: Path, limit: int) -> bytearray:
    """The bytes of a file; links are followed, since caches of downloads consist of them."""
    return read_regular_file(Path(os.path.realpath(path)), limit)


def _parsed(values: object, where: str) -> tuple[ExportConfig, dict[str, Any]]:
    """Content of config.json, and sizes and hashes of the files. Raises ValueError, DataError, ConfigError."""
    if not isinstance(values, dict) or values.get("format") not in (ONNX, LITERT):
        raise CheckpointError(
            f"{where} is not an exported model of MyXTTS ({CONFIG}: no format {ONNX} or {LITERT}); {_AGAIN}"
        )
    version = values.get("version")
    if type(version) is not int or not 0 < version <= FORMAT_VERSION:
        raise CheckpointError(
            f"{where}: format version {quoted(version)}, this MyXTTS reads up to {FORMAT_VERSION}; upgrade MyXTTS"
        )
    if values.get("digest") != _digest({key: value for key, value in values.items() if key != "digest"}):
        raise ValueError("its content differs from its own hash")
    settings, corpus, model = (values.get(key) for key in ("settings", "corpus", "voice_model"))
    if not (isinstance(settings, dict) and isinstance(corpus, dict) and isinstance(model, dict)):
        raise ValueError("settings, corpus or voice_model is missing")
    if set(settings) != set(EXPORTED_KEYS):
        raise ValueError(f"settings are missing or unknown: {sorted(set(settings) ^ set(EXPORTED_KEYS))[:3]}")
    given = tuple(Given(key, value, CONFIG) for key, value in settings.items())
    config = resolve([Layer(Rank.FILE, CONFIG, given)]).config
    encoder, run, update = (model.get(key) for key in ("encoder", "run", "update"))
    if not (isinstance(encoder, str) and isinstance(run, str) and type(update) is int and update >= 0):
        raise ValueError("voice_model is not two fingerprints and an update")
    count, vocoder, weights, files = (values.get(key) for key in ("speaker_count", "vocoder", "weights", "files"))
    if type(count) is not int or count < 0 or not isinstance(files, dict):
        raise ValueError("speaker_count or files is missing")
    if weights not in WEIGHTS:
        raise ValueError(f"weights is {quoted(weights)}, expected one of: {', '.join(WEIGHTS)}")
    untrained = values.get("untrained")
    if not isinstance(untrained, list) or not all(isinstance(symbol, str) for symbol in untrained):
        raise ValueError("untrained is not a list of symbols")
    if vocoder not in (NEURAL, GRIFFIN_LIM):
        raise ValueError(f"the vocoder is {quoted(vocoder)}, this MyXTTS has {NEURAL} and {GRIFFIN_LIM}")
    kind = str(values["format"])
    longest = values.get("longest_frames", [0, 0])
    if not (isinstance(longest, list) and len(longest) == 2 and all(type(n) is int and n >= 0 for n in longest)):
        raise ValueError("longest_frames is not two numbers")
    if kind == LITERT and 0 in longest:
        raise ValueError("longest_frames is missing")
    read = Corpus.from_json(corpus)
    if not read.languages:
        raise ValueError("it has no languages")
    about = ExportConfig(
        config, read, VoiceModel(encoder, run, update), count, tuple(untrained), str(vocoder), str(weights), kind,
        (longest[0], longest[1]),
    )  # fmt: skip
    return about, files


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(values)).hexdigest()
