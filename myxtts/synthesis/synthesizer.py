"""The synthesizer: a trained model that speaks any text in the voice of a recording or of a training speaker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from myxtts.audio.griffin_lim import waveform_of_mel
from myxtts.config.leaves import shown
from myxtts.config.schema import Config
from myxtts.data.corpus import Corpus
from myxtts.errors import CheckpointError, ConfigError, DataError
from myxtts.models.build import build_voice_cloner, load_weights
from myxtts.models.generate import Generated, Generator, Manner, Voice, mean_voice
from myxtts.models.prosody import FloatArray, shift_of_decibels, shift_of_semitones
from myxtts.progress import Progress, silent
from myxtts.synthesis.limits import limit_problems, text_problems
from myxtts.synthesis.reading import Reading, read_text
from myxtts.synthesis.references import pieces_of
from myxtts.synthesis.source import Source, language_index, open_source, speaker_index
from myxtts.synthesis.speech import Speech, SpokenSentence, join, sane_mel
from myxtts.text.tokenizer import Tokenizer
from myxtts.units import frames_of_seconds

Reference = Path | str | npt.NDArray[np.float32]

LONGEST_TOKEN_SECONDS = 1.5
LONGEST_SENTENCE_SECONDS = 60.0
_SEED_STEP = 7_919
"""Between the seeds of two sentences of a text, so that they do not share their noise."""


class Synthesizer:
    """Speaks with the averaged weights of a checkpoint. Make one with `load` and keep it: the first text is slowest."""

    def __init__(self, source: Source) -> None:
        """Builds the model of an opened checkpoint. Raises CheckpointError where its weights do not fit."""
        config, corpus = source.config, source.corpus
        where = f"checkpoint {shown(str(source.checkpoint.path), 200)}"
        if "average" not in source.checkpoint.arrays:
            raise CheckpointError(f"{where} holds no averaged weights; take one that a training of MyXTTS has written")
        self.source = source
        self.tokenizer = Tokenizer(config.text, source.table)
        model = build_voice_cloner(
            config.model,
            channels=config.audio.mel_channels,
            symbols=len(source.table),
            languages=len(corpus.languages),
            speakers=max(1, len(corpus.speakers)),
            precision="fp32",
        )
        load_weights(model, source.checkpoint.arrays["average"])
        self.generator = Generator(model)

    @classmethod
    def load(cls, path: Path | str, prefer: Literal["best", "last"] = "best") -> Synthesizer:
        """A synthesizer from a run directory, its checkpoints folder or a step folder.

        Raises CheckpointError, DataError or ConfigError for one that cannot be used.
        """
        return cls(open_source(Path(path), prefer))

    @property
    def config(self) -> Config:
        """The settings that the model was trained with."""
        return self.source.config

    @property
    def corpus(self) -> Corpus:
        """What the model remembers of its data."""
        return self.source.corpus

    @property
    def speakers(self) -> list[str]:
        """Names of the training speakers."""
        return list(self.corpus.speakers)

    @property
    def languages(self) -> list[str]:
        """Codes of the languages that the model was trained on."""
        return list(self.corpus.languages)

    def speak(
        self,
        text: str,
        *,
        references: Sequence[Reference] = (),
        speaker: str | None = None,
        language: str | None = None,
        speed: float = 1.0,
        pitch: float = 0.0,
        energy: float = 0.0,
        seed: int = 1,
        temperature: float = 0.667,
        steps: int | None = None,
        progress: Progress = silent,
    ) -> Speech:
        """Speaks a text of any length, sentence by sentence, in one voice.

        Args:
            text: at least a word; what cannot be spoken is named in the notes.
            references: recordings of the voice, paths or mono float32 samples at the model's rate; averaged.
            speaker: a training speaker instead; with neither, the first one.
            language: of the text, one that the model was trained on; None: the default of its settings.
            speed: 0.25 to 4, 2 is twice as fast.
            pitch: -24 to 24 semitones.
            energy: -30 to 30 dB.
            seed: of the decoder's noise and of the phases; the same seed gives the same samples.
            temperature: of the flow decoder's noise, 0 to 2.
            steps: Euler steps of the flow decoder; None: as in the model's settings.
            progress: told of "synthesis", in sentences.

        Errors: DataError for text, references, speaker or language that cannot be used, ConfigError for numbers out of
        range, NonFiniteError if the model is broken.
        """
        started = time.perf_counter()
        asked: dict[str, float | None] = {"speed": speed, "pitch": pitch, "energy": energy, "temperature": temperature}
        if problems := limit_problems({**asked, "steps": steps, "seed": seed}):
            raise ConfigError(problems)
        for problem in text_problems(text):
            raise DataError(problem)
        language_id, code = language_index(self.source, language)
        reading = read_text(text, code, self.tokenizer, self.languages)
        notes = [*self.source.notes, *reading.notes]
        voice, name = self.voice(references, speaker, notes)
        audio = self.config.audio
        manner = Manner(
            speed=speed,
            pitch_shift=shift_of_semitones(pitch, self.corpus.pitch_std),
            energy_shift=shift_of_decibels(energy, self.corpus.energy_std),
            seed=seed,
            temperature=temperature,
            steps=steps,
            longest_token=frames_of_seconds(LONGEST_TOKEN_SECONDS, audio.sample_rate_hz, audio.hop_samples),
            longest=frames_of_seconds(LONGEST_SENTENCE_SECONDS, audio.sample_rate_hz, audio.hop_samples),
        )
        mels, waves, notes_of_model = self._spoken(reading, language_id, voice, manner, progress)
        notes += notes_of_model
        samples, mel_MC, places = join(mels, waves, audio, speed)
        told = tuple(
            SpokenSentence(sentence, encoding.normalized, *place)
            for sentence, encoding, place in zip(reading.sentences, reading.encodings, places, strict=True)
        )
        seconds = len(samples) / audio.sample_rate_hz
        compute = time.perf_counter() - started
        return Speech(samples, audio.sample_rate_hz, mel_MC, seconds, compute, told, name, code, tuple(notes))

    def _spoken(
        self, reading: Reading, language: int, voice: Voice, manner: Manner, progress: Progress
    ) -> tuple[list[FloatArray], list[FloatArray], list[str]]:
        """Natural-log mel and waveform of each sentence, and notes about what the model predicted."""
        mels, waves, made = [], [], []
        total = len(reading.encodings)
        for at, encoding in enumerate(reading.encodings):
            progress("synthesis", at, total)
            own = replace(manner, seed=(manner.seed + at * _SEED_STEP) % 2**31)
            made.append(self.generator.generate_mel(encoding.tokens, language, voice, own))
            mels.append(sane_mel(self.corpus.denormalize_mel(made[-1].mel_MC), self.config.audio))
            waves.append(waveform_of_mel(mels[-1], self.config.audio, seed=own.seed))
        progress("synthesis", total, total)
        return mels, waves, _duration_notes(made)

    def voice(
        self, references: Sequence[Reference] = (), speaker: str | None = None, notes: list[str] | None = None
    ) -> tuple[Voice, str]:
        """The voice of some recordings, or of a training speaker, and what it is called. Raises DataError."""
        if isinstance(references, (str, Path, np.ndarray)):
            raise DataError("references is one recording, expected a list; write references=[...]")
        if len(references) and speaker is not None:
            raise DataError(f"both references and speaker {shown(speaker)} are given; choose one of them")
        if len(references):
            return self._voice_of_references(references)
        if speaker is None:
            if not self.corpus.speakers:
                raise DataError("this model has no training speakers; give a recording of a voice as a reference")
            speaker = self.corpus.speakers[0]
            if notes is not None and len(self.corpus.speakers) > 1:
                notes.append(f"no voice was asked for: the first training speaker {shown(speaker)} speaks")
        return self._stored_voice(speaker), f"training speaker {shown(speaker)}"

    def _voice_of_references(self, references: Sequence[Reference]) -> tuple[Voice, str]:
        voices = []
        for number, reference in enumerate(references, start=1):
            pieces = pieces_of(reference, number, self.config, self.corpus)
            voices.append(self.generator.voices(pieces.mel_NRC, pieces.length_N))
        try:
            voice = mean_voice([mean_voice(pieces) for pieces in voices])
        except ValueError as error:
            raise DataError(f"the references have no voice in common ({error}); take one person") from error
        names = [shown(str(r), 80) if isinstance(r, (str, Path)) else "samples" for r in references]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return voice, f"{'reference' if len(names) == 1 else 'mean of references'} {', '.join(names[:3])}{more}"

    def _stored_voice(self, speaker: str) -> Voice:
        index = speaker_index(self.source, speaker)
        stored = self.source.checkpoint.arrays.get("voices", {})
        try:
            voice_E, style_S = stored["voice_ZE"][index], stored["style_ZS"][index]
        except (KeyError, IndexError):
            raise CheckpointError(
                f"checkpoint {shown(str(self.source.checkpoint.path), 200)} holds no voice of speaker "
                f"{shown(speaker)}; give a recording of it as a reference"
            ) from None
        model = self.config.model
        if voice_E.shape != (model.voice_width,) or style_S.shape != (model.style_width,):
            raise CheckpointError(
                f"checkpoint {shown(str(self.source.checkpoint.path), 200)}: stored voices of widths {voice_E.shape} "
                f"and {style_S.shape}, the model has {model.voice_width} and {model.style_width}; take another one"
            )
        return mean_voice([Voice(np.asarray(voice_E, np.float32), np.asarray(style_S, np.float32))])


def _duration_notes(spoken: Sequence[Generated]) -> list[str]:
    capped = sum(made.capped for made in spoken)
    notes = []
    if capped:
        notes.append(
            f"{capped} tokens were predicted longer than {LONGEST_TOKEN_SECONDS:g} s and cut: "
            "the model needs more training"
        )
    if any(made.squeezed for made in spoken):
        notes.append(
            f"a sentence was predicted longer than {LONGEST_SENTENCE_SECONDS:g} s and squeezed: "
            "the model needs more training"
        )
    return notes
