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
    """What became of every tensor: loaded, missing in the file, not known to the model, or of another shape."""

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
) -> VoiceCloner:
    """A VoiceCloner whose weights exist and follow from `seed` alone; `mel_std_C` matters in training (VoiceCloner)."""
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
    )
    cloner(example_batch(channels), tf.constant(1.0))
    return cloner


def weights_of(cloner: VoiceCloner) -> Arrays:
    """Every weight by its path, fp32."""
    return {v.path: v.numpy() for v in cloner.trainable_variables}


def load_weights(
    cloner: VoiceCloner, arrays: Mapping[str, npt.NDArray[np.generic]], *, strict: bool = True
) -> LoadReport:
    """Put weights in by name.

    Args:
        cloner: a built model.
        arrays: path -> values.
        strict: every tensor must match in name and shape.

    Raises:
        CheckpointError: strict, and something does not match; names the first few tensors and both shapes.
    """
    own = {v.path: v for v in cloner.trainable_variables}
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
