"""The synthesizer: a trained model that speaks a text in the voice of a recording or of a training speaker."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from myxtts.audio import mel
from myxtts.config.schema import Config
from myxtts.data.corpus import Corpus
from myxtts.errors import DataError
from myxtts.models.prosody import FloatArray, IntArray
from myxtts.models.voice import Voice
from myxtts.progress import Progress, silent
from myxtts.runtime.interface import AcousticOutput, Controls, OpenedModel
from myxtts.synthesis.opened import language_index, open_model
from myxtts.synthesis.options import LONGEST_SENTENCE_TOKENS, SpeakOptions, text_problems
from myxtts.synthesis.speech import (
    PeakLimiter,
    Speech,
    SpeechChunk,
    SpeechNotes,
    SpokenSentence,
    amplify_mel,
    clipping_gain,
    floor_mel,
    level_db,
    pause_frames,
    sentence_parts,
)
from myxtts.synthesis.voice_parts import VoicePart
from myxtts.synthesis.voices import MadeVoice, Reference, VoiceMaker, varied, voice_parts
from myxtts.synthesis.word_times import word_times
from myxtts.text.dictionary import read_dictionary
from myxtts.text.phonemes import language_of
from myxtts.text.reading import EncodedSentences, read_text
from myxtts.text.symbols import RESERVED
from myxtts.text.tokenizer import Tokenizer
from myxtts.units import seconds_of_frames
from myxtts.vocoder.files import NEURAL, Vocoder, open_vocoder

_SEED_STEP = 7_919
"""Added to the seed from one sentence to the next, so that sentences do not share their noise."""


@dataclass(frozen=True, eq=False)
class _SpeechTask:
    """A text that is checked and ready to be spoken."""

    reading: EncodedSentences
    language: int
    language_code: str
    voice: Voice
    voice_description: str
    options: SpeakOptions
    notes: tuple[str, ...]


class Synthesizer:
    """Speaks with the averaged weights of a checkpoint, or with an exported model.

    Load it once and reuse it: the first text is the slowest.

    Example:
        >>> from pathlib import Path
        >>> from myxtts.audio.waveform import write_wav
        >>> from myxtts.synthesis import Synthesizer
        >>> synthesizer = Synthesizer.load("checkpoints")
        >>> speech = synthesizer.speak("Hello there.", references=["voice.wav"], speed=1.1)
        >>> write_wav(Path("hello.wav"), speech.samples, speech.sample_rate_hz)
    """

    def __init__(
        self, opened: OpenedModel, vocoder: Vocoder | None = None, dictionary: Mapping[str, str] | None = None
    ) -> None:
        """Loads the networks of an opened model. Raises CheckpointError where its weights do not fit.

        vocoder: None: the one that an export contains; else the one that comes with MyXTTS, for mels of its
            convention; else Griffin-Lim.
        dictionary: pronunciations, as `read_dictionary` returns them, which win over those the model was trained with.
        """
        self.opened = opened
        entries = {**opened.corpus.dictionary, **(dictionary or {})}
        self.tokenizer = Tokenizer(opened.config.text, opened.table, opened.untrained, entries)
        self.model = opened.load()
        self._vocoder = vocoder or open_vocoder(opened.vocoder, opened.config.audio)
        self._voice_maker = VoiceMaker(opened, self.model)

    @classmethod
    def load(
        cls,
        path: Path | str,
        prefer: Literal["best", "last"] = "best",
        vocoder: str = NEURAL,
        dictionary: Path | str | None = None,
    ) -> Synthesizer:
        """Loads the model of a run directory, its checkpoints folder, a step folder, or an exported folder.

        An exported folder (`myxtts export --format onnx`) is run by ONNX Runtime, and TensorFlow is not imported.

        Args:
            path: the folder.
            prefer: which checkpoint of a run: the best by validation, or the last one.
            vocoder: `neural` (the one that comes with MyXTTS), `griffin_lim`, or a vocoder file or run.
            dictionary: a file of pronunciations that take precedence over those of the model.

        Raises:
            CheckpointError, DataError, ConfigError: nothing there can be used.
        """
        opened = open_model(Path(path), prefer)
        entries = read_dictionary(Path(dictionary).expanduser()) if dictionary else None
        return cls(opened, None if vocoder == NEURAL else open_vocoder(vocoder, opened.config.audio), entries)

    def warm_up(self) -> None:
        """Speaks one symbol, so that the first text is as fast as the others: graphs are built at their first use."""
        model, audio = self.config.model, self.config.audio
        voice_E = np.full(model.voice_width, model.voice_width**-0.5, np.float32)
        voice = Voice(voice_E, np.zeros(model.style_width, np.float32))
        made = self.model.generate(np.array([len(RESERVED)], np.int32), 0, voice, Controls())
        self._vocoder(floor_mel(made.mel_MC, audio), made.pitch_hz_M, 1)

    @property
    def config(self) -> Config:
        """The settings that the model was trained with."""
        return self.opened.config

    @property
    def corpus(self) -> Corpus:
        """Statistics of the training data, speakers, languages and symbols."""
        return self.opened.corpus

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
        voices: Sequence[VoicePart] = (),
        language: str | None = None,
        speed: float = 1.0,
        pitch: float = 0.0,
        pitch_range: float = 1.0,
        energy: float = 0.0,
        vary: float = 0.0,
        seed: int = 1,
        temperature: float = 0.667,
        steps: int | None = None,
        progress: Progress = silent,
    ) -> Speech:
        """Speaks a text, sentence by sentence, in one voice.

        All given parts of a voice (`references`, `speaker`, `voices`) are mixed; without any, the first training
        speaker is used. Where a peak would clip, the level of the whole speech is reduced.

        Args:
            text: at least one word, up to 100,000 characters; symbols that cannot be spoken are listed in the notes.
            references: recordings of the voice, paths or mono float32 samples at the model's rate.
            speaker: name of a training speaker.
            voices: parts of the voice with weights: recordings, training speakers, saved and random voices.
            language: language of the text, one that the model was trained on. None: as in the model's settings, or
                by the script of the text.
            speed: speaking rate; 2 is twice as fast; 0.25 to 4 times.
            pitch: pitch shift; -24 to 24 semitones.
            pitch_range: scales the range of the intonation the model predicts; 0 is monotone; 0 to 4 times.
            energy: change of the loudness; -30 to 30 dB.
            vary: varies the style of the voice, the seed selects how; scale of the noise added to it; 0 to 2.
            seed: random seed; the same seed gives the same samples; 0 to 2147483647.
            temperature: flow decoder: scale of its noise; 0 to 2.
            steps: flow decoder: number of Euler steps, 0 uses only its draft; 0 to 200 steps. None: as in
                the model's settings.
            progress: called with "synthesis", the number of finished sentences, and their total.

        Returns:
            Samples, mel, sentences and notes.

        Raises:
            DataError: the text, a voice or the language cannot be used.
            ConfigError: a number is out of range.
            NonFiniteError: the model computes values that are not finite.

        Example:
            >>> speech = synthesizer.speak("Good morning.", speaker="anna", pitch=2.0)
            >>> speech.seconds, speech.notes
        """
        started = time.perf_counter()
        options = SpeakOptions(
            language=language,
            speed=speed,
            pitch=pitch,
            pitch_range=pitch_range,
            energy=energy,
            vary=vary,
            seed=seed,
            temperature=temperature,
            steps=steps,
        )
        task = self._prepare(text, voice_parts(references, speaker, voices), options)
        chunks = list(self._chunks(task, progress))
        notes = SpeechNotes()
        for chunk in chunks:
            notes.add(chunk)
        samples = np.concatenate([chunk.samples for chunk in chunks])
        gain = clipping_gain(samples)
        return Speech(
            samples=samples * np.float32(gain) if gain < 1.0 else samples,
            sample_rate_hz=self.config.audio.sample_rate_hz,
            mel_MC=np.concatenate([chunk.mel_MC for chunk in chunks]),
            seconds=len(samples) / self.config.audio.sample_rate_hz,
            compute_seconds=time.perf_counter() - started,
            sentences=tuple(chunk.sentence for chunk in chunks if chunk.last),
            voice=task.voice_description,
            language=task.language_code,
            notes=(*task.notes, *notes.lines(gain)),
            gain=gain,
        )

    def stream(
        self,
        text: str,
        *,
        references: Sequence[Reference] = (),
        speaker: str | None = None,
        voices: Sequence[VoicePart] = (),
        language: str | None = None,
        speed: float = 1.0,
        pitch: float = 0.0,
        pitch_range: float = 1.0,
        energy: float = 0.0,
        vary: float = 0.0,
        seed: int = 1,
        temperature: float = 0.667,
        steps: int | None = None,
        progress: Progress = silent,
    ) -> Iterator[SpeechChunk]:
        """Speaks a text like `speak`, with the same arguments, and yields each part as soon as it is ready.

        A sentence comes in one part or several: the neural vocoder computes the first second of it before the rest. The
        arguments are checked at once, the parts are computed on demand. The concatenated samples are those of `speak`
        where no peak would clip; else only the surroundings of each such peak are attenuated.
        """
        options = SpeakOptions(
            language=language,
            speed=speed,
            pitch=pitch,
            pitch_range=pitch_range,
            energy=energy,
            vary=vary,
            seed=seed,
            temperature=temperature,
            steps=steps,
        )
        task = self._prepare(text, voice_parts(references, speaker, voices), options)
        limiter = PeakLimiter(self.config.audio)
        return (limiter.add(chunk) for chunk in self._chunks(task, progress))

    def token_durations(
        self,
        text: str,
        recording_N: FloatArray,
        *,
        references: Sequence[Reference] = (),
        speaker: str | None = None,
        language: str | None = None,
    ) -> tuple[IntArray, IntArray] | None:
        """Frames int32[T] of each token of a text: aligned to a recording of it, and predicted for a voice.

        Args:
            text: encoded as one sentence, as in training.
            recording_N: mono samples at the model's rate, without silent ends. Its own mean spectrum is used as that
                of its speaker.
            references, speaker, language: as for `speak`.

        Returns:
            None for a text longer than any in training, or a recording with fewer frames than tokens.

        Raises:
            DataError, ConfigError, NonFiniteError: as `speak`.
        """
        task = self._prepare(text, voice_parts(references, speaker, ()), SpeakOptions(language=language))
        tokens_T = self.tokenizer.encode([text], task.language_code)[0].tokens
        if len(tokens_T) > self.config.data.max_text_tokens:
            return None
        mel_MC = self.corpus.normalize_mel(mel.log_mel(recording_N, self.config.audio))
        centered_MC = mel_MC - mel_MC.mean(axis=0)
        return self.model.token_durations(tokens_T, task.language, task.voice, centered_MC)

    def make_voice(
        self, references: Sequence[Reference] = (), speaker: str | None = None, voices: Sequence[VoicePart] = ()
    ) -> MadeVoice:
        """The voice that `speak` would use for these arguments. Raises DataError, CheckpointError."""
        return self._voice_maker.make(voice_parts(references, speaker, voices))

    def _prepare(self, text: str, parts: Sequence[VoicePart], options: SpeakOptions) -> _SpeechTask:
        for problem in text_problems(text):
            raise DataError(problem)
        language, code = language_index(self.opened, options.language)
        if options.language is None:
            language, code = language_index(self.opened, language_of(text, code, self.languages))
        # Longer sentences are not in the training data, and attention over very long ones would exhaust the memory.
        longest_tokens = min(self.config.data.max_text_tokens, LONGEST_SENTENCE_TOKENS)
        reading = read_text(text, code, self.tokenizer, self.languages, longest_tokens)
        made = self._voice_maker.make(parts)
        voice = varied(made.voice, options.vary, options.seed)
        notes = (*self.opened.notes, *reading.notes, *made.notes)
        return _SpeechTask(reading, language, code, voice, made.description, options, notes)

    def _chunks(self, task: _SpeechTask, progress: Progress) -> Iterator[SpeechChunk]:
        """The parts of each sentence with the pause before it, their peaks not yet limited."""
        audio, reading = self.config.audio, task.reading
        rate, hop = audio.sample_rate_hz, audio.hop_samples
        total, frames = len(reading.encodings), 0
        for at, (text, encoding) in enumerate(zip(reading.sentences, reading.encodings, strict=True)):
            progress("synthesis", at, total)
            seed = (task.options.seed + at * _SEED_STEP) % 2**31
            made, mel_MC = self._mel(encoding.tokens, task, seed)
            pause = pause_frames(audio, task.options.speed, first=at == 0, wanted=reading.pauses[at])
            start = seconds_of_frames(frames + pause, rate, hop)
            words = word_times(text, encoding.normalized, encoding.symbols, made.duration_T, hop / rate)
            seconds = seconds_of_frames(len(mel_MC), rate, hop)
            sentence = SpokenSentence(text, encoding.normalized, start, seconds, words)
            waves = self._vocoder.parts(mel_MC, made.pitch_hz_M, seed)
            frames += pause + len(mel_MC)
            first = True
            for part_MC, wave_N, last in sentence_parts(mel_MC, waves, pause, audio):
                yield SpeechChunk(
                    samples=wave_N,
                    sample_rate_hz=rate,
                    mel_MC=part_MC,
                    sentence=sentence,
                    number=at + 1,
                    total=total,
                    voice=task.voice_description,
                    language=task.language_code,
                    notes=task.notes,
                    capped=made.capped,
                    squeezed=made.squeezed,
                    voiced=made.voiced,
                    pitch_limited=made.pitch_limited,
                    pitch_range_hz=(audio.pitch_low_hz, audio.pitch_high_hz),
                    first=first,
                    last=last,
                )
                first = False
        progress("synthesis", total, total)

    def _mel(self, tokens_T: IntArray, task: _SpeechTask, seed: int) -> tuple[AcousticOutput, FloatArray]:
        """The output of the model for a sentence, and its natural-log mel at the requested level.

        A model conditioned on more energy follows only in part; a gain makes up the difference to the level of the
        sentence without the change.
        """
        options = task.options
        controls = Controls(
            speed=options.speed,
            pitch=options.pitch,
            pitch_range=options.pitch_range,
            energy=options.energy,
            seed=seed,
            temperature=options.temperature,
            steps=options.steps,
        )
        made = self.model.generate(tokens_T, task.language, task.voice, controls)
        mel_MC = made.mel_MC
        if options.energy:
            unchanged = self.model.generate(tokens_T, task.language, task.voice, replace(controls, energy=0.0))
            mel_MC = amplify_mel(mel_MC, level_db(unchanged.mel_MC) + options.energy - level_db(mel_MC))
        return made, floor_mel(mel_MC, self.config.audio)
