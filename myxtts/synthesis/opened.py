"""A model opened for synthesis: verified files, settings and corpus statistics, before any network is built."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from myxtts.audio import mel
from myxtts.config.fields import nearest
from myxtts.config.files import config_of_file
from myxtts.config.schema import Config
from myxtts.data.corpus import Corpus, parse_corpus
from myxtts.errors import CheckpointError, ConfigError, DataError
from myxtts.messages import quoted
from myxtts.models.prosody import FloatArray
from myxtts.runtime.folder import is_export, open_export
from myxtts.runtime.hub import downloaded
from myxtts.runtime.interface import OpenedModel, VoiceModel
from myxtts.storage.checkpoint import Checkpoint
from myxtts.storage.files import canonical_json
from myxtts.storage.find_checkpoint import find
from myxtts.storage.tensors import Array
from myxtts.text.phonemes import canonical_language
from myxtts.text.symbols import SymbolTable
from myxtts.vocoder.files import NEURAL

if TYPE_CHECKING:
    from myxtts.synthesis.network import TensorFlowModel

CONFIG_NAME, CORPUS_NAME = "config.yaml", "corpus.json"
_MOST_NAMES = 20
_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.-]{0,95}")
_DIGITS = 32


@dataclass(frozen=True)
class OpenedCheckpoint:
    """A checkpoint that can be used for synthesis; `notes` are lines that a user should see."""

    checkpoint: Checkpoint
    config: Config
    corpus: Corpus
    table: SymbolTable
    notes: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The step folder."""
        return self.checkpoint.path

    @property
    def where(self) -> str:
        """The step folder in a message."""
        return f"checkpoint {quoted(str(self.checkpoint.path), 200)}"

    @property
    def summary(self) -> str:
        """One line for a user."""
        kind = ", the best by validation" if self.checkpoint.best else ""
        return f"checkpoint: {self.checkpoint.path} (update {self.checkpoint.update}{kind}, averaged weights)"

    @property
    def update(self) -> int:
        """Update of the training that the weights are from."""
        return self.checkpoint.update

    @property
    def speaker_count(self) -> int:
        """Number of voices that the model was trained on, not counting speed-perturbed copies."""
        return self.corpus.speaker_count

    @property
    def vocoder(self) -> str:
        """The vocoder that comes with MyXTTS: a checkpoint has none of its own."""
        return NEURAL

    @property
    def untrained(self) -> frozenset[str]:
        """Symbols that never occurred in training: a checkpoint does not record them."""
        return frozenset()

    @property
    def average(self) -> Mapping[str, Array]:
        """The averaged weights by name. Raises CheckpointError where there are none."""
        if "average" not in self.checkpoint.arrays:
            raise CheckpointError(
                f"{self.where} contains no averaged weights; use a checkpoint written by a MyXTTS training run"
            )
        return self.checkpoint.arrays["average"]

    @cached_property
    def voice_model(self) -> VoiceModel:
        """The model of voices made with this checkpoint. Raises CheckpointError where it has no encoder."""
        average = self.checkpoint.arrays.get("average", {})
        names = sorted(name for name in average if "/speaker_encoder/" in f"/{name}")
        if not names:
            raise CheckpointError(
                f"{self.where} contains no averaged weights of a speaker encoder; use a checkpoint written by a MyXTTS "
                "training run"
            )
        digest = hashlib.sha256()
        for name in names:
            array = np.ascontiguousarray(average[name])
            digest.update(canonical_json([name, array.dtype.name, list(array.shape)]))
            digest.update(array.tobytes())
        model, training = self.config.model, self.config.training
        shared = {
            "corpus": self.corpus.trained_on(),
            "seed": training.seed,
            "widths": [model.speaker_width, model.voice_width, model.style_width],
        }
        run = hashlib.sha256(canonical_json(shared)).hexdigest()
        return VoiceModel(digest.hexdigest()[:_DIGITS], run[:_DIGITS], self.update)

    def stored_voices(self, wanted: str) -> tuple[FloatArray, FloatArray]:
        """Voices (Z, E) and styles (Z, Y) of all training speakers, not checked but for their shapes.

        Raises CheckpointError, which ends with `wanted`, where there are none.
        """
        stored = self.checkpoint.arrays.get("voices", {})
        speakers, model = len(self.corpus.speakers), self.config.model
        if "voice_ZE" not in stored or "style_ZS" not in stored:
            raise CheckpointError(f"{self.where} contains no {wanted}")
        voice_ZE, style_ZY = stored["voice_ZE"], stored["style_ZS"]
        if voice_ZE.shape != (speakers, model.voice_width) or style_ZY.shape != (speakers, model.style_width):
            raise CheckpointError(
                f"{self.where}: stored voices and styles of shapes {voice_ZE.shape} and {style_ZY.shape}, expected "
                f"{(speakers, model.voice_width)} and {(speakers, model.style_width)}; use another one"
            )
        return voice_ZE, style_ZY

    def load(self) -> TensorFlowModel:
        """Imports TensorFlow and builds the networks. Raises CheckpointError where the weights do not fit."""
        from myxtts.synthesis.network import TensorFlowModel

        return TensorFlowModel(self)


def open_model(path: Path, prefer: Literal["best", "last"] = "best") -> OpenedModel:
    """Opens and verifies an exported folder or, with `open_checkpoint`, a run. Raises as `open_checkpoint`.

    `owner/name`, where no such folder exists, is a model on Hugging Face, if the package huggingface_hub is installed.
    """
    if not path.exists() and _HUB_NAME.fullmatch(str(path)):
        path = downloaded(str(path))
    return open_export(path) if is_export(path) else open_checkpoint(path, prefer)


def open_checkpoint(path: Path, prefer: Literal["best", "last"] = "best") -> OpenedCheckpoint:
    """Finds and verifies the checkpoint of a run directory, checkpoints folder or step folder.

    Raises CheckpointError, DataError or ConfigError for one that cannot be used.
    """
    checkpoint = find(Path(path), prefer)
    where = f"checkpoint {quoted(str(checkpoint.path), 200)}"
    for name in (CONFIG_NAME, CORPUS_NAME):
        if name not in checkpoint.texts:
            raise CheckpointError(f"{where} has no {name}; use a checkpoint written by a MyXTTS training run")
    try:
        config = config_of_file(checkpoint.path / CONFIG_NAME)
    except ConfigError as error:
        more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
        raise CheckpointError(
            f"{where}: {CONFIG_NAME} cannot be used: {error.problems[0]}{more}; use another checkpoint"
        ) from error
    try:
        corpus = parse_corpus(checkpoint.texts[CORPUS_NAME].encode("utf-8", "surrogatepass"))
    except DataError as error:
        raise CheckpointError(f"{where}: {CORPUS_NAME} cannot be used: {error}; use another checkpoint") from error
    if len(corpus.mel_mean_C) != config.audio.mel_channels:
        raise CheckpointError(
            f"{where}: {CORPUS_NAME} has {len(corpus.mel_mean_C)} mel channels, {CONFIG_NAME} says "
            f"{config.audio.mel_channels}; use another checkpoint"
        )
    own = mel.fingerprint(config.audio)
    if corpus.mel_fingerprint != own:
        raise CheckpointError(
            f"{where} was trained on mels of another definition ({quoted(corpus.mel_fingerprint)}, here "
            f"{own}); use the version of MyXTTS that trained it, or train again"
        )
    notes = tuple(f"{damage.path.name} was skipped: {damage.reason}" for damage in checkpoint.passed_over)
    return OpenedCheckpoint(checkpoint, config, corpus, SymbolTable.from_json(corpus.symbols), notes)


def speaker_index(opened: OpenedModel, name: str) -> int:
    """Index of a training speaker. Raises DataError, which suggests the nearest name and lists the speakers."""
    speakers = opened.corpus.speakers
    if name in speakers:
        return speakers.index(name)
    raise DataError(f"speaker {quoted(name)} is not in this model; {_available(name, speakers)}")


def language_index(opened: OpenedModel, language: str | None) -> tuple[int, str]:
    """Index and code of a language of the model; None: the one in the settings if the model has it, else its first.

    Raises DataError, which suggests the nearest code and lists the languages.
    """
    languages = opened.corpus.languages
    if language is None:
        wanted = opened.config.text.language
        code = wanted if wanted in languages else languages[0]
        return languages.index(code), code
    for code in (language, language.strip().replace("_", "-").lower()):
        if code in languages:
            return languages.index(code), code
    try:
        code = canonical_language(language)
    except DataError:
        code = language
    if code in languages:
        return languages.index(code), code
    raise DataError(f"language {quoted(language)} is not in this model; {_available(language, languages)}")


def _available(name: str, names: Sequence[str]) -> str:
    best = nearest(name, names)
    listed = ", ".join(quoted(item) for item in names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more (--list shows all)" if len(names) > _MOST_NAMES else ""
    hint = f"did you mean {quoted(best)}? " if best else ""
    return f"{hint}available: {listed}{more}" if names else "it has none"
