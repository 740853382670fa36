"""Builds a voice cloner with initialized weights; reads and writes its weights by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from myxtts.audio.harmonics import HarmonicTable
from myxtts.batch import FIELDS, PROSODY_FIGURES
from myxtts.config.schema import ModelConfig
from myxtts.errors import CheckpointError
from myxtts.models.voice_cloner import VoiceCloner

Arrays = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class LoadReport:
    """The result for every tensor: loaded, missing in the file, unknown to the model, or of another shape."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    other_shape: tuple[str, ...]

    def lines(self) -> list[str]:
        """The report for a reader, a line for every tensor that did not match."""
        found = [f"{len(self.loaded)} tensors loaded"]
        found += [f"not in the checkpoint, keeps its initial values: {name}" for name in self.missing]
        found += [f"not in this model, ignored: {name}" for name in self.unknown]
        found += [f"other shape, keeps its initial values: {name}" for name in self.other_shape]
        return found


def example_batch(channels: int, tokens: int = 3, frames: int = 6) -> dict[str, tf.Tensor]:
    """A batch of one row of zeros that keeps the contract, to build weights with."""
    sizes = {"B": 1, "T": tokens, "M": frames, "S": frames, "R": 8, "C": channels, "Q": len(PROSODY_FIGURES)}
    batch = {f.key: np.zeros([sizes[letter] for letter in f.letters], f.dtype) for f in FIELDS}
    lengths = {"text_length_B": tokens, "mel_length_B": frames, "target_length_B": frames, "reference_length_B": 8}
    for key, length in lengths.items():
        batch[key][:] = length
    batch["target_BS"][:] = np.arange(frames)
    return {key: tf.constant(value) for key, value in batch.items()}


def build_voice_cloner(
    model: ModelConfig,
    *,
    channels: int,
    symbols: int,
    languages: int,
    speakers: int,
    harmonics: HarmonicTable,
    precision: str = "fp32",
    seed: int = 1,
    mel_std_C: npt.NDArray[np.float32] | None = None,
    recompute: bool = False,
) -> VoiceCloner:
    """A VoiceCloner whose weights exist and follow from `seed` alone.

    `mel_std_C` and `recompute` matter in training only (VoiceCloner).
    """
    keras.utils.set_random_seed(seed)
    cloner = VoiceCloner(
        model,
        channels=channels,
        symbols=symbols,
        languages=languages,
        speakers=speakers,
        harmonics=harmonics,
        precision=precision,
        mel_std_C=mel_std_C,
        recompute=recompute,
    )
    cloner(example_batch(channels), tf.constant(1.0))
    return cloner


def least_weights(model: ModelConfig, *, channels: int, symbols: int, languages: int, speakers: int) -> int:
    """Numbers that the large matrices of a VoiceCloner hold: over half of all its weights, and nothing is built."""
    width, predictor, speaker = model.width, model.predictor_width, model.speaker_width
    voice, style = model.voice_width, model.style_width
    decoder_blocks = model.decoder_blocks + (model.flow_draft_blocks if model.decoder == "flow" else 0)
    return (
        width * (2 * (symbols + channels) + languages)
        + 9 * width**2  # prenet and aligner
        + 12 * width**2 * model.text_blocks
        + (8 * width**2 + 2 * voice * width) * decoder_blocks
        + predictor * (18 * predictor + 3 * width + 3 * (voice + style))
        + predictor * (8 * predictor + width + 4 * (voice + style))  # voice source
        + speaker * (13 * speaker + 2 * voice + 4 * style)
        + voice * (voice + speakers)
        + 90 * model.critic_width**2
    )


def check_size(
    available: int, where: str, model: ModelConfig, *, channels: int, symbols: int, languages: int, speakers: int
) -> None:
    """Raises CheckpointError for settings whose model cannot come from `available` numbers, before it takes memory."""
    least = least_weights(model, channels=channels, symbols=symbols, languages=languages, speakers=speakers)
    if least > available:
        raise CheckpointError(
            f"{where}: config.yaml describes a model of at least {least} weights (model.width {model.width}, "
            f"model.text_blocks {model.text_blocks}, model.decoder_blocks {model.decoder_blocks}), the file of weights "
            f"holds {available}; take another one"
        )


def weights_of(model: keras.layers.Layer) -> Arrays:
    """Every weight by its path, fp32."""
    return {v.path: v.numpy() for v in model.trainable_variables}


def load_weights(
    model: keras.layers.Layer, arrays: Mapping[str, npt.NDArray[np.generic]], *, strict: bool = True
) -> LoadReport:
    """Put weights in by name.

    Args:
        model: a built model.
        arrays: path -> values.
        strict: every tensor must match in name and shape.

    Raises:
        CheckpointError: a tensor holds no floats; or strict, and something does not match: names the first few tensors
            and both shapes.
    """
    own = {v.path: v for v in model.trainable_variables}
    if odd := next((n for n in own if n in arrays and arrays[n].dtype.kind not in "fV"), None):
        raise CheckpointError(
            f"the weight {odd} is of type {arrays[odd].dtype}, expected float32; take another checkpoint"
        )
    same = [n for n in own if n in arrays and tuple(arrays[n].shape) == tuple(own[n].shape)]
    report = LoadReport(
        loaded=tuple(same),
        missing=tuple(n for n in own if n not in arrays),
        unknown=tuple(n for n in arrays if n not in own),
        other_shape=tuple(
            f"{n} {tuple(arrays[n].shape)}, model {tuple(own[n].shape)}" for n in own if n in arrays and n not in same
        ),
    )
    if strict and (report.missing or report.unknown or report.other_shape):
        first = (
            *report.other_shape,
            *(f"{n} missing" for n in report.missing),
            *(f"{n} unknown" for n in report.unknown),
        )
        raise CheckpointError(
            f"the checkpoint does not fit this model: {'; '.join(first[:3])} ({len(first)} tensors in all): "
            "use the model size, decoder and version of MyXTTS that it was trained with, or --init-from to take what "
            "fits"
        )
    for name in same:
        own[name].assign(arrays[name])
    return report
