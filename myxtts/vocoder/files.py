"""Vocoders to choose from: the one that comes with MyXTTS, one that a user trained, or Griffin-Lim.

A vocoder file is a safetensors file with the averaged weights in fp16, and its settings in the header.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from myxtts.audio import griffin_lim, mel
from myxtts.audio.source_filter import KINDS, SUBFRAMES, bins
from myxtts.config.check import contradictions
from myxtts.config.fields import LEAVES, build, coerce, value_of
from myxtts.config.files import config_of_file
from myxtts.config.schema import AudioConfig, Config, VocoderConfig
from myxtts.errors import CheckpointError, ConfigError
from myxtts.messages import quoted
from myxtts.storage.files import read_regular_file, strict_json, write_atomic
from myxtts.storage.find_checkpoint import find
from myxtts.storage.tensors import count_nonfinite, parse_metadata, parse_tensors, write_tensors
from myxtts.vocoder.constants import KERNEL
from myxtts.vocoder.neural import NeuralVocoder

NEURAL, GRIFFIN_LIM = "neural", "griffin_lim"
UNIVERSAL = "universal"
"""Its name where a training begins with it (--init-from)."""
UNIVERSAL_PATH = Path(__file__).with_name("universal.safetensors")
"""The vocoder that comes with MyXTTS; universal.md beside it says what it was trained on."""
FORMAT = "1"
_MOST_BYTES = 256 << 20
_SETTINGS = tuple(
    key for key in LEAVES if key.startswith("audio.") or key in ("vocoder.width", "vocoder.blocks", "vocoder.expansion")
)
FloatArray = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class VocoderFile:
    """A vocoder read from disk: where it was, its settings and weights."""

    path: Path
    audio: AudioConfig
    vocoder: VocoderConfig
    weights: Mapping[str, npt.NDArray[Any]]
    update: int

    def network(self) -> NeuralVocoder:
        """The vocoder, ready to speak."""
        return NeuralVocoder(self.weights, self.vocoder, self.audio)


class Vocoder(Protocol):
    """From a mel to samples."""

    def __call__(self, mel_MC: FloatArray, pitch_hz_M: FloatArray, seed: int) -> FloatArray:
        """Samples float32[M * hop] of a natural-log mel float32[M, C] and its F0 in Hz (0 unvoiced); deterministic."""

    def parts(self, mel_MC: FloatArray, pitch_hz_M: FloatArray, seed: int) -> Iterable[FloatArray]:
        """The same samples in one part or several of whole frames, each as soon as it is computed."""


class GriffinLim:
    """Pitch-conditioned Griffin-Lim, for mels of any convention."""

    def __init__(self, audio: AudioConfig) -> None:
        self.audio = audio

    def __call__(self, mel_MC: FloatArray, pitch_hz_M: FloatArray, seed: int = 0) -> FloatArray:
        """Samples float32 (M * hop,) of a natural-log mel (M, C) and a pitch (M,) in Hz."""
        return griffin_lim.waveform_of_mel(mel_MC, self.audio, seed=seed, pitch_hz_M=pitch_hz_M)

    def parts(self, mel_MC: FloatArray, pitch_hz_M: FloatArray, seed: int = 0) -> list[FloatArray]:
        """All samples in one part: each of its iterations needs the whole mel."""
        return [self(mel_MC, pitch_hz_M, seed)]


def open_vocoder(choice: str, audio: AudioConfig) -> NeuralVocoder | GriffinLim:
    """The vocoder for mels of the convention `audio`: see `find_vocoder`."""
    found = find_vocoder(choice, audio)
    return GriffinLim(audio) if found is None else found.network()


def find_vocoder(choice: str, audio: AudioConfig) -> VocoderFile | None:
    """The weights of the vocoder for mels of the convention `audio`; None for Griffin-Lim, which has none.

    Args:
        choice: `neural` (the one that comes with MyXTTS; Griffin-Lim for mels of another convention), `griffin_lim`,
            or the path of a vocoder file or of the run directory of `myxtts vocoder train`.
        audio: the mel convention of the voice model.

    Raises:
        CheckpointError: nothing there can be used, or it speaks mels of another convention.
    """
    if choice == GRIFFIN_LIM:
        return None
    if choice == NEURAL:
        universal = _universal()
        same = universal is not None and mel.fingerprint(universal.audio) == mel.fingerprint(audio)
        return universal if same else None
    found = read_vocoder(Path(choice).expanduser())
    if mel.fingerprint(found.audio) != mel.fingerprint(audio):
        raise CheckpointError(
            f"vocoder {quoted(choice, 200)} expects mels of another convention ({_difference(found.audio, audio)}); "
            f"take one trained on this convention, or {GRIFFIN_LIM}"
        )
    return found


def read_vocoder(path: Path) -> VocoderFile:
    """A vocoder file, or the best checkpoint of a vocoder run. Raises CheckpointError for anything else."""
    return _of_run(path) if path.is_dir() else _of_file(path)


def write_vocoder(run: Path, out: Path) -> VocoderFile:
    """Write the averaged weights of the best checkpoint of a vocoder run to a file, in fp16.

    Raises:
        CheckpointError: the run cannot be used.
        StorageError: writing failed; an existing file is left as it was.
    """
    found = _of_run(run)
    save_vocoder(found, out)
    return found


def save_vocoder(found: VocoderFile, out: Path) -> None:
    """Write a vocoder to a file, in fp16. Raises CheckpointError for a weight that does not fit, StorageError."""
    halves = {name: np.asarray(w, np.float16) for name, w in found.weights.items()}
    if odd := next((name for name, w in halves.items() if count_nonfinite(w)), None):
        raise CheckpointError(
            f"vocoder {quoted(str(found.path), 200)}: the weight {odd} does not fit into fp16; train it again"
        )
    config = Config(audio=found.audio, vocoder=found.vocoder)
    metadata = {
        "format": FORMAT,
        "mel": mel.fingerprint(found.audio),
        "update": str(found.update),
        "settings": json.dumps({key: value_of(config, key) for key in _SETTINGS}, sort_keys=True),
    }
    write_atomic(out, lambda temporary: write_tensors(temporary, halves, metadata), "writing the vocoder")


@functools.lru_cache(maxsize=1)
def _universal() -> VocoderFile | None:
    return _of_file(UNIVERSAL_PATH) if UNIVERSAL_PATH.exists() else None


def _of_run(path: Path) -> VocoderFile:
    where = f"vocoder {quoted(str(path), 200)}"
    checkpoint = find(path)
    try:
        config = config_of_file(checkpoint.path / "config.yaml")
    except ConfigError as error:
        raise CheckpointError(f"{where}: config.yaml cannot be used: {error.problems[0]}; use another run") from error
    if config.trains != "vocoder":
        raise CheckpointError(f"{where} holds a voice model, not a vocoder; give a run of `myxtts vocoder train`")
    average = checkpoint.arrays.get("average", {})
    return _checked(VocoderFile(path, config.audio, config.vocoder, average, checkpoint.update))


def _of_file(path: Path) -> VocoderFile:
    where = f"vocoder {quoted(str(path), 200)}"
    try:
        content = np.frombuffer(read_regular_file(path, _MOST_BYTES), np.uint8)
        weights, metadata = parse_tensors(content), parse_metadata(content)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CheckpointError(
            f"{where} cannot be read ({reason}); give {NEURAL}, {GRIFFIN_LIM}, or a vocoder file or run"
        ) from error
    try:
        if metadata.get("format") != FORMAT:
            raise ValueError(f"format {quoted(metadata.get('format'))}, this version reads {FORMAT}")
        config = _settings(metadata.get("settings", ""))
        update = int(metadata.get("update", ""))
        if metadata.get("mel") != mel.fingerprint(config.audio):
            raise ValueError("its mel fingerprint is not that of its settings")
    except ValueError as error:
        raise CheckpointError(
            f"{where} is not a vocoder file ({error}); write one with `myxtts vocoder save`"
        ) from error
    return _checked(VocoderFile(path, config.audio, config.vocoder, weights, update))


def _settings(text: str) -> Config:
    """The settings in the header of a vocoder file. Raises ValueError for anything else."""
    given = strict_json(text.encode("utf-8", "surrogatepass"))
    if not isinstance(given, dict) or set(given) != set(_SETTINGS):
        raise ValueError("its settings are missing, or this version does not know them")
    known = {key: field.default for key, field in LEAVES.items()}
    config = build(known | {key: coerce(LEAVES[key], raw) for key, raw in given.items()})
    if problems := list(contradictions(config)):
        raise ValueError(problems[0].message)
    return config


def _checked(found: VocoderFile) -> VocoderFile:
    """The same; raises CheckpointError if its weights do not fit its settings or are not finite."""
    where = f"vocoder {quoted(str(found.path), 200)}"
    expected = _shapes(found.vocoder, found.audio)
    for name, shape in expected.items():
        weight = found.weights.get(name)
        if weight is None or weight.shape != shape or weight.dtype.kind != "f":
            is_now = "missing" if weight is None else f"{weight.dtype} {weight.shape}"
            raise CheckpointError(f"{where}: the weight {name} is {is_now}, expected floats {shape}; use another one")
        if count_nonfinite(weight):
            raise CheckpointError(f"{where}: the weight {name} holds a value that is not finite; use another one")
    return dataclasses.replace(found, weights={name: found.weights[name] for name in expected})


def _shapes(vocoder: VocoderConfig, audio: AudioConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every weight by its name."""
    width, wide, head = vocoder.width, vocoder.width * vocoder.expansion, SUBFRAMES * KINDS * bins(audio)
    shapes: dict[str, tuple[int, ...]] = {
        "front/dense/kernel": (KERNEL * (audio.mel_channels + 2), width),
        "front/dense/bias": (width,),
        "head/kernel": (width, head),
        "head/bias": (head,),
    }
    norms = ["norm_in", "norm_out"]
    for number in range(vocoder.blocks):
        block = f"block_{number}"
        norms.append(f"{block}/norm")
        shapes |= {
            f"{block}/filters": (KERNEL, width),
            f"{block}/bias": (width,),
            f"{block}/scale": (width,),
            f"{block}/widen/kernel": (width, wide),
            f"{block}/widen/bias": (wide,),
            f"{block}/narrow/kernel": (wide, width),
            f"{block}/narrow/bias": (width,),
        }
    shapes |= {f"{norm}/{part}": (width,) for norm in norms for part in ("gain", "bias")}
    return {f"vocoder/{name}": shape for name, shape in shapes.items()}


def _difference(own: AudioConfig, wanted: AudioConfig) -> str:
    """The first settings in which two conventions differ."""
    names = [field.name for field in dataclasses.fields(AudioConfig)]
    found = [
        f"{n} {getattr(own, n):g}, here {getattr(wanted, n):g}" for n in names if getattr(own, n) != getattr(wanted, n)
    ]
    return "; ".join(found[:2]) or "another version of the mel"
