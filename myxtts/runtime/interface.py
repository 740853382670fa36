"""The interface of a model for synthesis: TensorFlow runs a checkpoint, ONNX Runtime an exported model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from myxtts.config.schema import Config
from myxtts.data.corpus import Corpus
from myxtts.models.prosody import FloatArray, IntArray
from myxtts.models.voice import Voice
from myxtts.text.symbols import SymbolTable


@dataclass(frozen=True)
class VoiceModel:
    """The model a voice belongs to: fingerprints of its encoder and of its run, and the update of the checkpoint."""

    encoder: str
    run: str
    update: int


@dataclass(frozen=True)
class Controls:
    """How a sentence is spoken, in the units of SpeakOptions; `steps` None: as in the model's settings."""

    speed: float = 1.0
    pitch: float = 0.0
    pitch_range: float = 1.0
    energy: float = 0.0
    seed: int = 1
    temperature: float = 0.667
    steps: int | None = None


@dataclass(frozen=True, eq=False)
class AcousticOutput:
    """The output of a model for one sentence.

    Attributes:
        mel_MC: natural-log mel float32[M, C]; it may be below the floor of the mel definition.
        pitch_hz_M: F0 float32[M], limited to the range of the settings; 0 where unvoiced.
        duration_T: frames of each token, int32[T].
        capped: tokens that were predicted too long and cut.
        squeezed: whether the sentence was predicted too long and shortened.
        pitch_limited: voiced frames whose pitch was out of range.
    """

    mel_MC: FloatArray
    pitch_hz_M: FloatArray
    duration_T: IntArray
    capped: int
    squeezed: bool
    pitch_limited: int

    @property
    def voiced(self) -> int:
        """Number of voiced frames."""
        return int(np.count_nonzero(self.pitch_hz_M))


class AcousticModel(Protocol):
    """The networks of a model: from tokens and a voice to a mel, and from a reference to a voice."""

    def voices(self, reference_ARC: FloatArray, length_A: IntArray) -> list[Voice]:
        """Voice and style of each normalized reference mel (A, R, C) with its length (A,)."""

    def generate(self, tokens_T: IntArray, language: int, voice: Voice, controls: Controls) -> AcousticOutput:
        """The mel of one sentence; the same arguments give the same mel. Raises NonFiniteError."""

    def token_durations(
        self, tokens_T: IntArray, language: int, voice: Voice, mel_MC: FloatArray
    ) -> tuple[IntArray, IntArray] | None:
        """Frames of each token, aligned to a normalized mel and predicted. Raises DataError without an aligner."""


class OpenedModel(Protocol):
    """A verified model on disk, before its networks are loaded."""

    @property
    def path(self) -> Path:
        """The folder that was opened."""

    @property
    def where(self) -> str:
        """The folder in a message, as "checkpoint 'runs/a/...'"."""

    @property
    def config(self) -> Config:
        """Settings; of an exported model only those that synthesis needs have a meaning."""

    @property
    def corpus(self) -> Corpus:
        """Statistics of the training data; of an exported model only the exported speakers."""

    @property
    def table(self) -> SymbolTable:
        """Symbols of the model."""

    @property
    def notes(self) -> Sequence[str]:
        """What a user should know of it, one line each."""

    @property
    def summary(self) -> str:
        """One line for a user: path and update."""

    @property
    def update(self) -> int:
        """Update of the training that the weights are from."""

    @property
    def speaker_count(self) -> int:
        """Number of voices that the model was trained on."""

    @property
    def untrained(self) -> frozenset[str]:
        """Symbols of the table that never occurred in training, where that is known: they are not spoken."""

    @property
    def voice_model(self) -> VoiceModel:
        """The model that voices belong to."""

    @property
    def vocoder(self) -> str:
        """What `neural` means for it: a vocoder file, or the name of a vocoder (vocoder.files.find_vocoder)."""

    def stored_voices(self, wanted: str) -> tuple[FloatArray, FloatArray]:
        """Voices (Z, E) and styles (Z, Y) of the speakers. CheckpointError, which ends with `wanted`, without any."""

    def load(self) -> AcousticModel:
        """Loads the networks. Raises CheckpointError where they do not fit."""
