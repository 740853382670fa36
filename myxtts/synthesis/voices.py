"""Voices for one model: of recordings, training speakers, saved files, chance, and mixtures of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from myxtts.errors import CheckpointError, DataError
from myxtts.messages import quoted as shown
from myxtts.models.generate import Generator, Voice, mean_voice
from myxtts.models.prosody import FloatArray
from myxtts.speakers import ENOUGH_SPEAKERS
from myxtts.synthesis.random_voice import nearest_of, random_voice
from myxtts.synthesis.references import pieces_of
from myxtts.synthesis.source import Source, speaker_index
from myxtts.synthesis.voice_file import fit_note, read_voice, voice_problem
from myxtts.synthesis.voice_sources import HIGHEST_SEED, VoiceSource, shares_of, told_together

_STYLE_STREAM = 223
"""Keeps the draw of a style apart from those that other parts draw with the same seed."""


@dataclass(frozen=True, eq=False)
class MadeVoice:
    """A voice, what a reader is told of it, the same without folders, and notes that a user should see."""

    voice: Voice
    told: str
    made_from: str
    notes: tuple[str, ...]


class VoiceMaker:
    """Makes voices for the model of one checkpoint."""

    def __init__(self, source: Source, generator: Generator) -> None:
        self._source = source
        self._generator = generator

    def make(self, sources: Sequence[VoiceSource]) -> MadeVoice:
        """The voice of some sources, mixed by their weights: on the unit sphere; its style is the weighted mean.

        Without sources the first training speaker is taken. Errors: DataError for sources that cannot be used,
        CheckpointError where the checkpoint holds no voices of its speakers.
        """
        notes: list[str] = []
        speakers = self._source.corpus.speakers
        if not sources:
            if not speakers:
                raise DataError("this model has no training speakers; give a recording of a voice as a reference")
            sources = [VoiceSource("speaker", speakers[0])]
            if len(speakers) > 1:
                notes.append(f"no voice was asked for: the first training speaker {shown(speakers[0])} speaks")
        people = self._source.corpus.speaker_count
        if people < ENOUGH_SPEAKERS and any(source.kind == "reference" for source in sources):
            voices_learned = "one voice" if people == 1 else f"{people} voices"
            notes.append(
                f"this model has learned {voices_learned}: a reference of somebody else changes little (cloning needs "
                f"at least {ENOUGH_SPEAKERS} training speakers)"
            )
        shares = shares_of(sources)
        voices = [self._voice(source, number, notes) for number, source in enumerate(sources, start=1)]
        weighted = any(source.weight is not None for source in sources)
        try:
            voice = mean_voice(voices, shares if weighted else None)
        except ValueError as error:
            raise DataError(f"the voices have nothing in common ({error}); leave one of them out") from error
        return MadeVoice(
            voice, told_together(sources), told_together(sources, full_path=False), tuple(dict.fromkeys(notes))
        )

    def _voice(self, source: VoiceSource, number: int, notes: list[str]) -> Voice:
        what = source.what
        if source.kind == "reference" and not isinstance(what, int):
            return self._of_reference(what, number, notes)
        if source.kind == "speaker" and isinstance(what, str):
            return self._of_speaker(what)
        if source.kind == "voice" and isinstance(what, (str, Path)):
            stored = read_voice(Path(what))
            if note := fit_note(stored, Path(what), self._source):
                notes.append(note)
            return mean_voice([Voice(stored.voice_E, stored.style_Y)])
        if source.kind == "random" and type(what) is int and 0 <= what <= HIGHEST_SEED:
            return self._of_chance(what, notes)
        raise DataError(f"{source.told()}: {shown(what)} is no {source.kind}; see VoiceSource")

    def _of_reference(self, reference: Path | str | FloatArray, number: int, notes: list[str]) -> Voice:
        pieces = pieces_of(reference, number, self._source.config, self._source.corpus)
        if pieces.note:
            notes.append(pieces.note)
        try:
            return mean_voice(self._generator.voices(pieces.mel_NRC, pieces.length_N))
        except ValueError as error:
            raise DataError(
                f"reference {number}: its parts have no voice in common ({error}); take one person"
            ) from error

    def _of_speaker(self, speaker: str) -> Voice:
        index = speaker_index(self._source, speaker)
        voice_ZE, style_ZS = self._stored(f"voice of speaker {shown(speaker)}; give a recording of it as a reference")
        return mean_voice([Voice(voice_ZE[index], style_ZS[index])])

    def _of_chance(self, seed: int, notes: list[str]) -> Voice:
        voice_ZE, style_ZS = self._stored("voices of its training speakers, from which one is drawn; take another one")
        voice_E, style_Y = random_voice(voice_ZE, style_ZS.shape[1], seed)
        index, cosine = nearest_of(voice_E, voice_ZE)
        notes.append(
            f"random voice {seed} is nearest to training speaker {shown(self._source.corpus.speakers[index])} "
            f"(cosine {cosine:.2f}) of {len(voice_ZE)}"
        )
        return Voice(voice_E, style_Y)

    def _stored(self, wanted: str) -> tuple[FloatArray, FloatArray]:
        """Voices and styles (Z, E), (Z, S) of all training speakers; `wanted` ends the line that tells of none."""
        where = f"checkpoint {shown(str(self._source.checkpoint.path), 200)}"
        stored = self._source.checkpoint.arrays.get("voices", {})
        speakers, model = len(self._source.corpus.speakers), self._source.config.model
        if "voice_ZE" not in stored or "style_ZS" not in stored:
            raise CheckpointError(f"{where} holds no {wanted}")
        voice_ZE, style_ZS = stored["voice_ZE"], stored["style_ZS"]
        if voice_ZE.shape != (speakers, model.voice_width) or style_ZS.shape != (speakers, model.style_width):
            raise CheckpointError(
                f"{where}: stored voices and styles of shapes {voice_ZE.shape} and {style_ZS.shape}, expected "
                f"{(speakers, model.voice_width)} and {(speakers, model.style_width)}; take another one"
            )
        for index, speaker in enumerate(self._source.corpus.speakers):
            if problem := voice_problem(voice_ZE[index], style_ZS[index]):
                raise CheckpointError(f"{where}: stored voice of speaker {shown(speaker)}: {problem}; take another one")
        return np.asarray(voice_ZE, np.float32), np.asarray(style_ZS, np.float32)


def varied(voice: Voice, strength: float, seed: int) -> Voice:
    """The same voice in another style: each number of its own plus `strength` x a draw from the prior N(0, 1).

    The step is about `strength` x sqrt(style width) long.
    """
    if strength == 0.0:
        return voice
    drawn_S = np.random.default_rng([seed, _STYLE_STREAM]).normal(size=len(voice.style_Y))
    return Voice(voice.voice_E, (voice.style_Y + strength * drawn_S).astype(np.float32))
