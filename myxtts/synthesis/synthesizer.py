"""The synthesizer: a trained model that speaks any text in the voice of a recording or of a training speaker."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Unpack

import numpy as np

from myxtts.audio import mel
from myxtts.audio.griffin_lim import waveform_of_mel
from myxtts.audio.harmonics import harmonic_table
from myxtts.config.schema import Config
from myxtts.data.corpus import Corpus
from myxtts.errors import CheckpointError, DataError
from myxtts.messages import quoted as shown
from myxtts.models.build import build_voice_cloner, check_size, load_weights
from myxtts.models.generate import Generated, Generator, Voice
from myxtts.models.prosody import FloatArray, IntArray, Manner
from myxtts.progress import Progress, silent
from myxtts.synthesis.asked import Asked, Prepared, Reference, manner_of, parts_of
from myxtts.synthesis.limits import LONGEST_SENTENCE_TOKENS, longest_sentence, text_problems
from myxtts.synthesis.outcome import LONGEST_SENTENCE_SECONDS, LONGEST_TOKEN_SECONDS, Outcome
from myxtts.synthesis.reading import read_text
from myxtts.synthesis.source import Source, language_index, open_source
from myxtts.synthesis.speech import Speech, SpokenSentence, gain_for, level_db, louder, ready_to_join, sane_mel
from myxtts.synthesis.stream import Piece, limited
from myxtts.synthesis.voice_sources import VoiceSource
from myxtts.synthesis.voices import MadeVoice, VoiceMaker, varied
from myxtts.text.tokenizer import Tokenizer
from myxtts.units import frames_of_seconds, seconds_of_frames

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
        average = source.checkpoint.arrays["average"]
        channels, symbols = config.audio.mel_channels, len(source.table)
        languages, speakers = len(corpus.languages), max(1, len(corpus.speakers))
        check_size(
            sum(array.size for array in average.values()), where, config.model, channels=channels, symbols=symbols,
            languages=languages, speakers=speakers,
        )  # fmt: skip
        model = build_voice_cloner(
            config.model,
            channels=channels,
            symbols=symbols,
            languages=languages,
            speakers=speakers,
            harmonics=harmonic_table(config.audio, corpus.pitch_mean, corpus.pitch_std),
            precision="fp32",
        )
        load_weights(model, average)
        self.generator = Generator(model)
        self._voice_maker = VoiceMaker(source, self.generator)

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

    def speak(self, text: str, *, progress: Progress = silent, **asked: Unpack[Asked]) -> Speech:
        """Speaks a text of up to LONGEST_TEXT characters, sentence by sentence, in one voice.

        Args:
            text: at least a word; what cannot be spoken is named in the notes.
            progress: told of "synthesis", in sentences.
            asked: voice and manner, see `Asked`.

        Where a peak would clip, all of it is made softer alike.

        Errors: DataError for text, voices or language that cannot be used, ConfigError for numbers out of range,
        NonFiniteError if the model is broken.
        """
        started = time.perf_counter()
        prepared = self._prepare(text, **asked)
        pieces = list(self._pieces(prepared, progress))
        outcome = Outcome()
        for piece in pieces:
            outcome.add(piece)
        samples = np.concatenate([piece.samples for piece in pieces])
        gain = gain_for(samples)
        return Speech(
            samples=samples * np.float32(gain) if gain < 1.0 else samples,
            sample_rate_hz=self.config.audio.sample_rate_hz,
            mel_MC=np.concatenate([piece.mel_MC for piece in pieces]),
            seconds=len(samples) / self.config.audio.sample_rate_hz,
            compute_seconds=time.perf_counter() - started,
            sentences=tuple(piece.sentence for piece in pieces),
            voice=prepared.voice_told,
            language=prepared.code,
            notes=(*prepared.notes, *outcome.notes(gain)),
            gain=gain,
        )

    def stream(self, text: str, *, progress: Progress = silent, **asked: Unpack[Asked]) -> Iterator[Piece]:
        """The same as `speak`, one sentence at a time, as soon as it is ready. Everything is checked before the first.

        The samples of all pieces in a row are those of `speak` where no peak would clip. Where one would, only its
        surroundings are made softer, since what comes after is not known.
        """
        prepared = self._prepare(text, **asked)
        pieces = self._pieces(prepared, progress)
        return (
            replace(piece, samples=limited(piece.samples, piece.sample_rate_hz), gain=gain_for(piece.samples))
            for piece in pieces
        )

    def token_durations(
        self, text: str, recording_N: FloatArray, **asked: Unpack[Asked]
    ) -> tuple[IntArray, IntArray] | None:
        """Frames int32[T] of each token of a text in a recording of it, by the aligner, and as predicted for a voice.

        Args:
            text: read as one, as in training.
            recording_N: mono samples at the model's rate, without silent ends; its own mean spectrum stands for that
                of its speaker.
            asked: the voice; its manner does not count.

        Returns:
            None for a text longer than any in training, or a recording of fewer frames than tokens.

        Errors: as `speak`.
        """
        prepared = self._prepare(text, **asked)
        tokens_T = self.tokenizer.encode([text], prepared.code)[0].tokens
        if len(tokens_T) > self.config.data.max_text_tokens:
            return None
        mel_MC = self.corpus.normalize_mel(mel.log_mel(recording_N, self.config.audio))
        centered_MC = mel_MC - mel_MC.mean(axis=0)
        return self.generator.token_durations(tokens_T, prepared.language, prepared.voice, centered_MC)

    def voice(
        self, references: Sequence[Reference] = (), speaker: str | None = None, voices: Sequence[VoiceSource] = ()
    ) -> tuple[Voice, str]:
        """The voice of recordings, training speakers, saved voices or chance, and what it is called. DataError."""
        made = self.make_voice(references, speaker, voices)
        return made.voice, made.told

    def make_voice(
        self, references: Sequence[Reference] = (), speaker: str | None = None, voices: Sequence[VoiceSource] = ()
    ) -> MadeVoice:
        """The same with what a user should know of it."""
        return self._voice_maker.make(parts_of(references, speaker, voices))

    def _prepare(
        self,
        text: str,
        *,
        references: Sequence[Reference] = (),
        speaker: str | None = None,
        voices: Sequence[VoiceSource] = (),
        language: str | None = None,
        speed: float = 1.0,
        pitch: float = 0.0,
        pitch_range: float = 1.0,
        energy: float = 0.0,
        vary: float = 0.0,
        seed: int = 1,
        temperature: float = 0.667,
        steps: int | None = None,
    ) -> Prepared:
        manner = manner_of(
            self.corpus,
            self._frames(LONGEST_TOKEN_SECONDS),
            longest_sentence(self.config.audio, LONGEST_SENTENCE_SECONDS),
            speed=speed,
            pitch=pitch,
            pitch_range=pitch_range,
            energy=energy,
            vary=vary,
            seed=seed,
            temperature=temperature,
            steps=steps,
        )
        for problem in text_problems(text):
            raise DataError(problem)
        language_id, code = language_index(self.source, language)
        # longer ones were never learned; attention over settings at the end of their range would fill the memory
        longest_tokens = min(self.config.data.max_text_tokens, LONGEST_SENTENCE_TOKENS)
        reading = read_text(text, code, self.tokenizer, self.languages, longest_tokens)
        made = self.make_voice(references, speaker, voices)
        voice = varied(made.voice, vary, seed)
        notes = (*self.source.notes, *reading.notes, *made.notes)
        return Prepared(reading, language_id, code, voice, made.told, manner, energy, notes)

    def _frames(self, seconds: float) -> int:
        return frames_of_seconds(seconds, self.config.audio.sample_rate_hz, self.config.audio.hop_samples)

    def _pieces(self, prepared: Prepared, progress: Progress) -> Iterator[Piece]:
        """Each sentence with the pause before it, its peaks as they are."""
        audio, reading, manner = self.config.audio, prepared.reading, prepared.manner
        rate, hop = audio.sample_rate_hz, audio.hop_samples
        total, frames = len(reading.encodings), 0
        for at, (text, encoding) in enumerate(zip(reading.sentences, reading.encodings, strict=True)):
            progress("synthesis", at, total)
            own = replace(manner, seed=(manner.seed + at * _SEED_STEP) % 2**31)
            made, mel_MC = self._mel(encoding.tokens, prepared, own)
            pitch_hz_M = self.corpus.pitch_hz(made.frame_pitch_M, made.voiced_M, audio)
            wave_N = waveform_of_mel(mel_MC, audio, seed=own.seed, pitch_hz_M=pitch_hz_M)
            length = len(mel_MC)
            mel_MC, wave_N = ready_to_join(mel_MC, wave_N, audio, manner.speed, first=at == 0)
            frames += len(mel_MC)
            start = seconds_of_frames(frames - length, rate, hop)
            sentence = SpokenSentence(text, encoding.normalized, start, seconds_of_frames(length, rate, hop))
            told = (prepared.voice_told, prepared.code, prepared.notes)
            yield Piece(
                wave_N,
                rate,
                mel_MC,
                sentence,
                at + 1,
                total,
                *told,
                made.capped,
                made.squeezed,
                voiced=int(made.voiced_M.sum()),
                pitch_kept=self._pitch_kept(made),
                pitch_range_hz=(audio.pitch_low_hz, audio.pitch_high_hz),
            )
        progress("synthesis", total, total)

    def _pitch_kept(self, made: Generated) -> int:
        """Voiced frames that were to have a pitch that neither the comb nor the waveform can have."""
        audio, corpus = self.config.audio, self.corpus
        hz_M = np.exp(made.frame_pitch_M.astype(np.float64) * corpus.pitch_std + corpus.pitch_mean)
        return int((made.voiced_M & ((hz_M < audio.pitch_low_hz) | (hz_M > audio.pitch_high_hz))).sum())

    def _mel(self, tokens_T: IntArray, prepared: Prepared, manner: Manner) -> tuple[Generated, FloatArray]:
        """A sentence: what the model gave, and its natural-log mel, as loud as was asked.

        A model that is asked for more energy speaks as if with more, but not all of the way (bench.control: 2 dB of 6
        after 2,050 updates, 4 after 6,738). How loud it would have been is known, so a gain does the rest.
        """
        audio = self.config.audio
        made = self.generator.generate_mel(tokens_T, prepared.language, prepared.voice, manner)
        mel_MC = self.corpus.denormalize_mel(made.mel_MC)
        if prepared.energy_db:
            plainly = replace(manner, energy_shift=0.0)
            plain = self.generator.generate_mel(tokens_T, prepared.language, prepared.voice, plainly)
            wanted = level_db(self.corpus.denormalize_mel(plain.mel_MC)) + prepared.energy_db
            mel_MC = louder(mel_MC, wanted - level_db(mel_MC))
        return made, sane_mel(mel_MC, audio)
