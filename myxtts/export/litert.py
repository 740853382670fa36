"""`--format litert`: the graph in two halves and the speaker encoder for LiteRT (Android, iOS).

Durations are rounded between the halves, by the program that runs them: LiteRT has no float64, and a sentence has as
many frames as they add up to. Batches have an open length: with a fixed one the shapes that the layers assert stay in
the graph, and LiteRT has no such operation.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from myxtts.errors import ConfigError
from myxtts.export import graphs
from myxtts.export.graphs import Graph
from myxtts.export.onnx_folder import complete_folder
from myxtts.export.parity import compare
from myxtts.export.source import Source
from myxtts.runtime.folder import (
    CONFIG,
    LITERT,
    LITERT_ENCODER,
    PROSODY_TO_MEL,
    TEXT_TO_PROSODY,
    VOICES,
    open_export,
)
from myxtts.runtime.litert_model import PROSODY, LiteRtModel
from myxtts.synthesis.network import TensorFlowModel

CONTENTS = {
    TEXT_TO_PROSODY: "LiteRT graph: tokens, language, voice and style to ln(1 + frames), pitch, energy and two "
    "encodings of each token",
    PROSODY_TO_MEL: "LiteRT graph: these, the rounded durations, voice, style and controls (pitch in semitones, pitch "
    "range, energy in dB) to a natural-log mel and F0 in Hz",
    LITERT_ENCODER: "LiteRT graph: a normalized reference mel to a voice and its style",
    VOICES: "the named voices",
    CONFIG: "settings, symbols, statistics, and the hashes of the other files",
}


def write_litert(folder: Path, source: Source, weights: str, license_name: str) -> list[str]:
    """Writes the files into an empty folder and compares them with TensorFlow. Returns lines for the user.

    Raises ExportError where the result is not what TensorFlow computes, ConfigError for a flow decoder.
    """
    if source.model.config.model.decoder == "flow":
        # with the same inputs, fresh interpreters of TensorFlow 2.21 differ by up to 2.8 nepers, in 8 of 60 calls
        raise ConfigError(
            "--format litert: LiteRT sometimes computes the steps of a flow decoder incorrectly; use --format onnx, or "
            "export a model whose model.decoder is regression"
        )
    model, exact = source.model, "fp32" if weights == "int8" else weights
    _write(folder / TEXT_TO_PROSODY, text_to_prosody(model), model, weights)
    _write(folder / PROSODY_TO_MEL, prosody_to_mel(model), model, weights)
    _write(folder / LITERT_ENCODER, _speaker_encoder(model), model, exact)
    complete_folder(folder, source, CONTENTS, weights, license_name, LITERT)
    with _quiet():
        parity = compare(source, LiteRtModel(open_export(folder), tf.lite.Interpreter), weights)
    return [f"verified: {parity.line}"]


def text_to_prosody(model: TensorFlowModel) -> Graph:
    """Tokens int32 [B, T], language int32 [B], voice and style -> runtime.litert_model.PROSODY, of float32."""
    config = model.config.model

    def run(tokens: tf.Tensor, language: tf.Tensor, voice: tf.Tensor, style: tf.Tensor) -> dict[str, tf.Tensor]:
        shape = tf.shape(tokens)
        made = model.generator.predict_graph(tokens, tf.fill(shape[:1], shape[1]), language, voice, style)
        names = "log_duration_BT", "pitch_BT", "energy_BT", "text_BTD", "mean_BTC"
        return {name: made[key] for name, key in zip(PROSODY, names, strict=True)}

    signature = [
        tf.TensorSpec([None, None], tf.int32, "tokens"),
        tf.TensorSpec([None], tf.int32, "language"),
        *_identity(config.voice_width, config.style_width),
    ]
    return Graph(run, signature, PROSODY)


def prosody_to_mel(model: TensorFlowModel) -> Graph:
    """Outputs of the first half, durations int32 [B, T], voice, style and controls float32 [3] -> mel, f0, limited.

    mel float32 [B, M, C], natural log; f0 float32 [B, M] in Hz, 0 unvoiced; limited int32 [B]: voiced frames whose
    pitch was limited.
    """
    config, channels = model.config.model, model.config.audio.mel_channels

    def run(
        pitch: tf.Tensor, energy: tf.Tensor, text: tf.Tensor, mean: tf.Tensor, durations: tf.Tensor, voice: tf.Tensor,
        style: tf.Tensor, controls: tf.Tensor,
    ) -> dict[str, tf.Tensor]:  # fmt: skip
        semitones, pitch_range, decibels = tf.unstack(controls)
        made = model.generator.decode_graph(
            text, mean, durations, *graphs.shifted_prosody(model, pitch, energy, semitones, decibels), voice, style,
            pitch_range, tf.constant(0), tf.zeros([1, 1, channels]), frame_step=1,
        )  # fmt: skip
        mel, f0, limited_B = graphs.mel_and_f0(model, made)
        return {"mel": mel, "f0": f0, "limited": tf.cast(limited_B, tf.int32)}

    f32 = tf.float32
    signature = [
        tf.TensorSpec([None, None], f32, "pitch"),
        tf.TensorSpec([None, None], f32, "energy"),
        tf.TensorSpec([None, None, config.width], f32, "text"),
        tf.TensorSpec([None, None, channels], f32, "mean"),
        tf.TensorSpec([None, None], tf.int32, "durations"),
        *_identity(config.voice_width, config.style_width),
        tf.TensorSpec([3], f32, "controls"),
    ]
    return Graph(run, signature, ("mel", "f0", "limited"))


def _identity(voice_width: int, style_width: int) -> list[tf.TensorSpec]:
    return [
        tf.TensorSpec([None, voice_width], tf.float32, "voice"),
        tf.TensorSpec([None, style_width], tf.float32, "style"),
    ]


def _speaker_encoder(model: TensorFlowModel) -> Graph:
    graph = graphs.speaker_encoder(model)
    mel, frames = graph.signature
    return Graph(graph.function, [mel, tf.TensorSpec(frames.shape, tf.int32, frames.name)], graph.outputs)


def _write(path: Path, graph: Graph, model: TensorFlowModel, weights: str) -> None:
    """Converts a graph, with builtin operations alone."""
    module = tf.Module()
    module.function = tf.function(graph.function, input_signature=graph.signature, autograph=False)
    # what Keras wraps is not seen: the converter would report success and write a file without weights
    module.weights = [variable.value for variable in model.generator.model.variables]
    with _quiet():
        converter: Any = tf.lite.TFLiteConverter.from_concrete_functions(
            [module.function.get_concrete_function()], module
        )
        if weights != "fp32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if weights == "fp16":
            converter.target_spec.supported_types = [tf.float16]
        path.write_bytes(converter.convert())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """TensorFlow warns that its interpreter moves to another package, and the converter reports its progress."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
