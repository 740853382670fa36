"""Whether an exported model computes the same as TensorFlow: compared on synthetic sentences before it appears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from myxtts.config.schema import AudioConfig
from myxtts.errors import ConfigError
from myxtts.export.graphs import Graph
from myxtts.export.onnx_file import ExportError
from myxtts.export.source import Source
from myxtts.models.prosody import FloatArray, IntArray
from myxtts.models.voice import Voice
from myxtts.runtime.interface import AcousticModel, AcousticOutput, Controls
from myxtts.runtime.onnx_model import session
from myxtts.text.symbols import BLANK, RESERVED

TOKEN_COUNTS = 15, 65, 147, 317
REFERENCE_FRAMES = 64, 201, 430
_CHANGED = Controls(speed=1.3, pitch=3.0, pitch_range=1.5, energy=2.0, seed=2)
_MOST_DRAWS = 4
MEL_ERROR, PITCH_ERROR_HZ, VOICE_ERROR = 5e-4, 0.02, 1e-5
"""Largest differences to TensorFlow; measured ones are about a tenth of them."""
SAMPLE_ERROR = 0.05
"""Largest difference of a sample, relative to the peak: tiny differences in pitch add up in the phase."""
LOSSY_MEL_ERROR = {"fp16": 0.05, "int8": 0.5}
"""Largest mean difference of the mels of the tokens, in nepers, where weights are stored in fewer bits."""


@dataclass(frozen=True)
class Parity:
    """Largest differences found: natural-log mel, F0, voice; and the numbers of frames at which they were compared."""

    mel: float
    pitch_hz: float
    voice: float
    frames: tuple[int, ...]

    @property
    def line(self) -> str:
        """The figures in one line."""
        return (
            f"{len(self.frames)} sentences of {min(self.frames)} to {max(self.frames)} frames; largest difference to "
            f"TensorFlow: mel {self.mel:.1e} nepers, F0 {self.pitch_hz:.1e} Hz, voice {self.voice:.1e}"
        )


def sentences(source: Source) -> list[tuple[IntArray, int, Voice, Controls]]:
    """Sentences of many lengths, languages, voices and controls, made of symbols that the model learned."""
    opened, rng = source.opened, np.random.default_rng(7)
    untrained = {*RESERVED, *source.untrained}
    known = np.array([i for i, symbol in enumerate(opened.table.symbols) if symbol not in untrained])
    model = opened.config.model
    found = []
    counts = [min(count, opened.config.data.max_text_tokens) for count in TOKEN_COUNTS]
    for number, count in enumerate([*counts, *counts]):
        tokens_T = rng.choice(known, count).astype(np.int32)
        if opened.config.text.blank_between:
            tokens_T[::2] = BLANK
        voice_E = rng.normal(size=model.voice_width)
        if source.voices:
            voice = source.voices[number % len(source.voices)].voice
        else:
            unit_E = (voice_E / np.linalg.norm(voice_E)).astype(np.float32)
            voice = Voice(unit_E, np.zeros(model.style_width, np.float32))
        controls = Controls() if number < len(counts) else _CHANGED
        found.append((tokens_T, number % len(opened.corpus.languages), voice, controls))
    return found


def compare(source: Source, exported: AcousticModel, weights: str = "fp32") -> Parity:
    """Compares an exported model with TensorFlow.

    Raises:
        ConfigError: the model loses too much in int8, which is no defect: it depends on the weights.
        ExportError: it differs by more than the limits.
    """
    cases = sentences(source)
    mel, pitch_hz = 0.0, 0.0
    frames: list[int] = []
    while cases:
        tokens_T, language, voice, controls = cases.pop(0)
        wanted, found, tokens_T = _same_durations(source, exported, (tokens_T, language, voice, controls), weights)
        frames.append(len(wanted.mel_MC))
        if weights == "fp32":
            mel = max(mel, _largest(wanted.mel_MC, found.mel_MC))
            pitch_hz = max(pitch_hz, _largest(wanted.pitch_hz_M, found.pitch_hz_M))
        else:
            mel = max(mel, _token_difference(wanted, found))
        if not cases and len({count % 2 for count in frames}) < 2 and len(frames) < 4 * len(TOKEN_COUNTS):
            shorter = tokens_T[: len(tokens_T) - 2]
            cases.append((shorter, language, voice, controls))
    voice_error = _voice_difference(source, exported)
    most = MEL_ERROR if weights == "fp32" else LOSSY_MEL_ERROR[weights]
    lossless = weights == "fp32"
    if weights == "int8" and most < mel < np.inf:
        raise ConfigError(f"--weights int8 changes the mels of this model by {mel:.2g} nepers, more than {most:g}: use "
                          "--weights fp16")  # fmt: skip
    if not (mel <= most and pitch_hz <= PITCH_ERROR_HZ and voice_error <= (VOICE_ERROR if lossless else most)):
        raise ExportError(f"the exported model differs from TensorFlow: mel {mel:.2g}, F0 {pitch_hz:.2g} Hz, voice "
                          f"{voice_error:.2g}")  # fmt: skip
    return Parity(mel, pitch_hz, voice_error, tuple(frames))


def _same_durations(
    source: Source, exported: AcousticModel, case: tuple[IntArray, int, Voice, Controls], weights: str
) -> tuple[AcousticOutput, AcousticOutput, IntArray]:
    """The outputs of both models for a sentence, and its tokens.

    A duration that is exactly between two frames may be rounded either way, so other tokens are tried then.
    """
    tokens_T, language, voice, controls = case
    for _ in range(_MOST_DRAWS):
        wanted, found = (model.generate(tokens_T, language, voice, controls) for model in (source.model, exported))
        if weights != "fp32" or np.array_equal(wanted.duration_T, found.duration_T):
            return wanted, found, tokens_T
        if np.abs(np.cumsum(wanted.duration_T) - np.cumsum(found.duration_T)).max() > 1:
            break
        tokens_T = np.concatenate([tokens_T[2:], tokens_T[:2]])
    raise ExportError(f"the exported model predicts other durations than TensorFlow for {len(tokens_T)} tokens")


def _largest(a: FloatArray, b: FloatArray) -> float:
    return float(np.abs(a - b).max(initial=0.0)) if a.shape == b.shape and np.isfinite(b).all() else np.inf


def _token_difference(a: AcousticOutput, b: AcousticOutput) -> float:
    """Mean difference of the mels of the tokens that both speak."""
    difference_T = np.abs(_token_means(a) - _token_means(b)).mean(axis=1)
    both_T = np.isfinite(difference_T)
    return float(difference_T[both_T].mean()) if both_T.any() else np.inf


def _token_means(output: AcousticOutput) -> FloatArray:
    """Mean mel (T, C) of each token; NaN for one without frames."""
    parts = np.split(output.mel_MC, np.cumsum(output.duration_T)[:-1])
    missing = np.full(output.mel_MC.shape[1], np.nan, np.float32)
    return np.stack([part.mean(axis=0) if len(part) else missing for part in parts])


def _voice_difference(source: Source, exported: AcousticModel) -> float:
    """Largest difference of the voices of made-up references."""
    channels, rng, worst = source.opened.config.audio.mel_channels, np.random.default_rng(9), 0.0
    for frames in REFERENCE_FRAMES:
        reference_ARC = rng.normal(size=(2, frames, channels)).astype(np.float32)
        length_A = np.array([frames, frames - 17], np.int32)
        reference_ARC[1, frames - 17 :] = 0.0
        pairs = zip(*(model.voices(reference_ARC, length_A) for model in (source.model, exported)), strict=True)
        for wanted, found in pairs:
            worst = max(worst, _largest(wanted.voice_E, found.voice_E), _largest(wanted.style_Y, found.style_Y))
    return worst


def onnx_vocoder(path: Path) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """The vocoder in an ONNX file: mel [1, M, C] and F0 [1, M] to samples [1, N]."""
    exported = session(path, "the exported vocoder")

    def run(mel: FloatArray, f0: FloatArray) -> FloatArray:
        samples: FloatArray = exported.run(["samples"], {"mel": mel, "f0": f0})[0]
        return samples

    return run


def compare_vocoder(
    graph: Graph, exported: Callable[[FloatArray, FloatArray], FloatArray], audio: AudioConfig
) -> float:
    """Largest difference of an exported vocoder to TensorFlow, relative to the peak, at odd and even lengths.

    Raises ExportError where it exceeds SAMPLE_ERROR, or a value is not finite.
    """
    rng, worst = np.random.default_rng(5), 0.0
    for frames in (1, 64, 201):
        mel = rng.normal(-5.0, 1.0, (1, frames, audio.mel_channels)).astype(np.float32)
        f0 = np.where(rng.random((1, frames)) < 0.6, rng.uniform(90.0, 300.0, (1, frames)), 0.0).astype(np.float32)
        wanted = graph.function(tf.constant(mel), tf.constant(f0))["samples"].numpy()
        found = exported(mel, f0)
        if found.shape != (1, frames * audio.hop_samples) or not np.isfinite(found).all():
            raise ExportError(f"the vocoder: {found.shape} samples for {frames} frames, or samples that are not finite")
        worst = max(worst, float(np.abs(found - wanted).max() / np.abs(wanted).max(initial=1e-3)))
    if not worst <= SAMPLE_ERROR:
        raise ExportError(f"the vocoder: samples differ from TensorFlow by {worst:.2g} of the peak")
    return worst
