"""`--format savedmodel`: signatures `speak` and `encode` for TensorFlow Serving and plain TensorFlow."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from myxtts.export import graphs
from myxtts.export.card import model_card
from myxtts.export.onnx_file import ExportError
from myxtts.export.parity import sentences
from myxtts.export.source import Source
from myxtts.export.vocoder import vocoder_graph
from myxtts.models.prosody import decoder_noise
from myxtts.runtime.onnx_model import text_to_mel_feeds

_NOISE_FRAMES = 1_024
_CONTENTS = {
    "saved_model.pb": "signatures `speak` (tokens, language, voice, style, controls -> samples, mel, f0, durations, "
    "limits) and `encode` (mel, frames -> voice, style)",
    "variables/": "empty: the weights are constants of the graph",
    "voices.json": "the named voices: values of the inputs `voice` and `style`",
}


def write_saved_model(folder: Path, source: Source, license_name: str) -> list[str]:
    """Writes a SavedModel that needs no MyXTTS, and compares it with TensorFlow. Returns lines for the user."""
    speak, encode = _with_samples(source), graphs.speaker_encoder(source.model)
    module = tf.Module()
    module.speak, module.encode = _frozen(speak), _frozen(encode)
    # nothing is trained further, and the custom gradients of the layers capture their weights
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    signatures = {"speak": module.speak, "encode": module.encode}
    with _quiet():
        tf.saved_model.save(module, str(folder), signatures=signatures, options=options)
    voices = {
        named.name: {"voice": named.voice.voice_E.tolist(), "style": named.voice.style_Y.tolist()}
        for named in source.voices
    }
    (folder / "voices.json").write_text(json.dumps(voices, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(model_card(source, _CONTENTS, license_name), encoding="utf-8")
    return [_verify(folder, source, speak)]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings about gradients, which nobody will compute."""
    levels = {name: logging.getLogger(name).level for name in ("tensorflow", "absl")}
    try:
        for name in levels:
            logging.getLogger(name).setLevel(logging.ERROR)
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _with_samples(source: Source) -> graphs.Graph:
    """The text-to-mel graph with a vocoder behind it, and the noise of a flow decoder from a table."""
    inner, vocoder = graphs.text_to_mel(source.model), vocoder_graph(source.vocoder, source.opened.config.audio)
    model, channels = source.opened.config.model, source.opened.config.audio.mel_channels
    flow = model.decoder == "flow"
    noise_BMC = decoder_noise(1, _NOISE_FRAMES, channels)[None] * np.float32(0.667)

    def run(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        more = {"noise": tf.constant(noise_BMC), "steps": tf.constant([model.flow_steps], tf.int64)} if flow else {}
        made = inner.function(**inputs, **more)
        return {"samples": tf.expand_dims(vocoder(made["mel"][0], made["f0"][0]), 0), **made}

    return graphs.Graph(run, inner.signature[:5], ("samples", *inner.outputs))


def _frozen(graph: graphs.Graph) -> Callable[..., dict[str, tf.Tensor]]:
    """The graph with its weights as constants: without those that it does not need, such as the speakers' table."""
    names = [spec.name for spec in graph.signature]

    @tf.function(input_signature=graph.signature, autograph=False)
    def traced(*inputs: tf.Tensor) -> list[tf.Tensor]:
        made = graph.function(**dict(zip(names, inputs, strict=True)))
        return [made[name] for name in graph.outputs]

    constant = convert_variables_to_constants_v2(traced.get_concrete_function())

    @tf.function(input_signature=graph.signature, autograph=False)
    def named(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(graph.outputs, constant(*inputs), strict=True))

    return named


def _verify(folder: Path, source: Source, graph: graphs.Graph) -> str:
    """Compares what was written with the graph before it was written. Raises ExportError."""
    with _quiet():
        loaded: Any = tf.saved_model.load(str(folder))
    speak, worst = loaded.signatures["speak"], 0.0
    frames = []
    for tokens_T, language, voice, controls in sentences(source)[::3]:
        feeds = {name: tf.constant(x) for name, x in text_to_mel_feeds(tokens_T, language, voice, controls).items()}
        wanted, found = graph.function(**feeds), speak(**feeds)
        if not np.array_equal(wanted["durations"], found["durations"]):
            raise ExportError(f"the SavedModel predicts other durations for {len(tokens_T)} tokens")
        worst = max(worst, float(np.abs(wanted["mel"] - found["mel"]).max()))
        frames.append(int(found["mel"].shape[1]))
    if not worst <= 5e-4:
        raise ExportError(f"the SavedModel differs by {worst:.2g} in the mel")
    return f"verified: sentences of {frames} frames; largest difference of the mel {worst:.1e}"
