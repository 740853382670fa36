"""What is exported: the networks of a checkpoint, the requested voices, and the symbols that it has learned."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from myxtts.audio.harmonics import harmonic_table
from myxtts.data.corpus import Corpus
from myxtts.data.records import name_problem
from myxtts.errors import DataError
from myxtts.messages import quoted
from myxtts.models.build import build_voice_cloner
from myxtts.models.prosody import FloatArray
from myxtts.models.voice import Voice, mean_voice
from myxtts.synthesis.network import TensorFlowModel
from myxtts.synthesis.opened import OpenedCheckpoint, speaker_index
from myxtts.synthesis.voice_file import compatibility_note, read_voice, voice_problem
from myxtts.text.symbols import RESERVED
from myxtts.vocoder.files import VocoderFile

_SAME_DIRECTION = 1e-6
_EMBEDDINGS = "aligner/symbol/embeddings", "text_encoder/symbol/embeddings"


@dataclass(frozen=True, eq=False)
class NamedVoice:
    """A voice that is given away under a name."""

    name: str
    voice: Voice


@dataclass(frozen=True, eq=False)
class Source:
    """A checkpoint to export, with the voices to give away; `notes` are lines that a user should see.

    `vocoder`: the vocoder of the formats that give samples; None: Griffin-Lim.
    """

    opened: OpenedCheckpoint
    model: TensorFlowModel
    voices: tuple[NamedVoice, ...]
    notes: tuple[str, ...]
    vocoder: VocoderFile | None = None

    @cached_property
    def untrained(self) -> tuple[str, ...]:
        """Symbols of the table that never occurred in training; empty if that cannot be determined.

        The rows of such a symbol in both embeddings got no gradient. Weight decay only shortened them, so they still
        have the direction in which the seed of the run initialized them. (Rows that came from another run with
        --init-from and another seed are not recognized.)
        """
        config, corpus, average = self.opened.config, self.opened.corpus, self.opened.average
        initial = build_voice_cloner(
            config.model,
            channels=config.audio.mel_channels,
            symbols=len(self.opened.table),
            languages=len(corpus.languages),
            speakers=max(1, len(corpus.speakers)),
            harmonics=harmonic_table(config.audio, corpus.pitch_mean, corpus.pitch_std),
            seed=config.training.seed,
        )
        unmoved = np.ones(len(self.opened.table), bool)
        for variable in initial.trainable_variables:
            if variable.path.endswith(_EMBEDDINGS):
                unmoved &= _cosines(variable.numpy(), average[variable.path]) > 1.0 - _SAME_DIRECTION
        if unmoved[len(RESERVED) :].all():  # weights as they were initialized: nothing was learned yet
            return ()
        pairs = zip(self.opened.table.symbols, unmoved, strict=True)
        return tuple(symbol for symbol, same in pairs if same and symbol not in RESERVED)

    @property
    def corpus(self) -> Corpus:
        """The statistics without the training speakers; the exported voices take their place."""
        corpus, count = self.opened.corpus, len(self.voices)
        return dataclasses.replace(
            corpus,
            speakers=[named.name for named in self.voices],
            speaker_spectrum_ZC=np.zeros((count, corpus.speaker_spectrum_ZC.shape[1]), np.float32),
            speaker_prosody_ZQ=np.zeros((count, corpus.speaker_prosody_ZQ.shape[1]), np.float32),
        )


def _cosines(a: FloatArray, b: FloatArray) -> FloatArray:
    """Cosine of each pair of rows."""
    product = (a.astype(np.float64) * b).sum(axis=1)
    norms = np.linalg.norm(a.astype(np.float64), axis=1) * np.linalg.norm(b.astype(np.float64), axis=1)
    cosines: FloatArray = product / np.maximum(norms, 1e-12)
    return cosines


def voices_of(
    opened: OpenedCheckpoint, speakers: Sequence[str], files: Sequence[Path]
) -> tuple[list[NamedVoice], list[str]]:
    """The voices of training speakers and of files that `myxtts voice` saved, and notes about them.

    Raises DataError, CheckpointError for those that are not there, do not belong to the model, or share a name.
    """
    found, notes = [], []
    for speaker in speakers:
        index = speaker_index(opened, speaker)
        voice_ZE, style_ZY = opened.stored_voices(f"voice of speaker {quoted(speaker)}; save it with `myxtts voice`")
        if problem := voice_problem(voice_ZE[index], style_ZY[index]):
            raise DataError(f"speaker {quoted(speaker)}: {problem}; use another checkpoint")
        found.append(NamedVoice(speaker, mean_voice([Voice(voice_ZE[index], style_ZY[index])])))
    for path in files:
        stored = read_voice(path)
        if note := compatibility_note(stored, path, opened):
            notes.append(note)
        if name_problem("name", stored.name):
            raise DataError(
                f"voice {quoted(str(path), 200)} has the name {quoted(stored.name)}, which cannot be shown; save it "
                "again with `myxtts voice --name`"
            )
        found.append(NamedVoice(stored.name, mean_voice([Voice(stored.voice_E, stored.style_Y)])))
    names = [named.name for named in found]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"two voices are called {quoted(double)}; save one of them again with `myxtts voice --name`")
    return found, notes
