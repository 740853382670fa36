"""The networks of a checkpoint, run by TensorFlow: the only module of synthesis that imports it."""

from __future__ import annotations

import numpy as np

from myxtts.audio.harmonics import harmonic_table
from myxtts.models.build import build_voice_cloner, check_size, load_weights
from myxtts.models.generate import Generator
from myxtts.models.prosody import FloatArray, IntArray, decibels_to_deviations, semitones_to_deviations
from myxtts.models.voice import Voice
from myxtts.runtime.interface import AcousticOutput, Controls
from myxtts.synthesis.opened import OpenedCheckpoint
from myxtts.synthesis.options import LONGEST_SENTENCE_SECONDS, LONGEST_TOKEN_SECONDS, longest_sentence
from myxtts.units import frames_of_seconds


class TensorFlowModel:
    """The averaged weights of a checkpoint in TensorFlow. Raises CheckpointError where they do not fit.

    Attributes:
        generator: its graphs.
        longest_token, longest: most frames of a token and of a sentence at speed 1.
    """

    def __init__(self, opened: OpenedCheckpoint) -> None:
        config, corpus, average = opened.config, opened.corpus, opened.average
        self.config, self.corpus = config, corpus
        channels, symbols = config.audio.mel_channels, len(opened.table)
        languages, speakers = len(corpus.languages), max(1, len(corpus.speakers))
        check_size(
            sum(array.size for array in average.values()), opened.where, config.model, channels=channels,
            symbols=symbols, languages=languages, speakers=speakers,
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
        audio = config.audio
        self.longest_token = frames_of_seconds(LONGEST_TOKEN_SECONDS, audio.sample_rate_hz, audio.hop_samples)
        self.longest = longest_sentence(audio, LONGEST_SENTENCE_SECONDS)

    def voices(self, reference_ARC: FloatArray, length_A: IntArray) -> list[Voice]:
        """Voice and style of each normalized reference mel (A, R, C) with its length (A,)."""
        return self.generator.voices(reference_ARC, length_A)

    def generate(self, tokens_T: IntArray, language: int, voice: Voice, controls: Controls) -> AcousticOutput:
        """The mel of one sentence; the same arguments give the same mel. Raises NonFiniteError."""
        audio, corpus = self.config.audio, self.corpus
        made = self.generator.generate_mel(
            tokens_T,
            language,
            voice,
            speed=controls.speed,
            pitch_shift=semitones_to_deviations(controls.pitch, corpus.pitch_std),
            pitch_range=controls.pitch_range,
            energy_shift=decibels_to_deviations(controls.energy, corpus.energy_std),
            seed=controls.seed,
            temperature=controls.temperature,
            steps=controls.steps,
            longest_token=self.longest_token,
            longest=self.longest,
        )
        hz_M = np.exp(made.frame_pitch_M.astype(np.float64) * corpus.pitch_std + corpus.pitch_mean)
        limited_M = made.voiced_M & ((hz_M < audio.pitch_low_hz) | (hz_M > audio.pitch_high_hz))
        return AcousticOutput(
            mel_MC=corpus.denormalize_mel(made.mel_MC),
            pitch_hz_M=corpus.pitch_hz(made.frame_pitch_M, made.voiced_M, audio),
            duration_T=made.duration_T,
            capped=made.capped,
            squeezed=made.squeezed,
            pitch_limited=int(limited_M.sum()),
        )

    def token_durations(
        self, tokens_T: IntArray, language: int, voice: Voice, mel_MC: FloatArray
    ) -> tuple[IntArray, IntArray] | None:
        """Frames of each token, aligned to a normalized mel and predicted: see Generator.token_durations."""
        return self.generator.token_durations(tokens_T, language, voice, mel_MC)
