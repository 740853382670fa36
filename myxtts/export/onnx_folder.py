"""`--format onnx`: three graphs, settings, voices and a card, which myxtts.runtime speaks without TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from myxtts.export import graphs
from myxtts.export.card import model_card
from myxtts.export.onnx_file import OPSET, convert, store
from myxtts.export.parity import compare, compare_vocoder, onnx_vocoder
from myxtts.export.source import Source
from myxtts.export.vocoder import vocoder_graph
from myxtts.runtime.folder import (
    CARD,
    CONFIG,
    ENCODER,
    ONNX,
    TEXT_TO_MEL,
    VOCODER,
    VOCODER_WEIGHTS,
    VOICES,
    ExportConfig,
    open_export,
)
from myxtts.storage.tensors import write_tensors
from myxtts.vocoder.files import GRIFFIN_LIM, NEURAL, save_vocoder

CONTENTS = {
    TEXT_TO_MEL: f"ONNX graph (opset {OPSET}): tokens, language, voice, style and controls (speed, pitch in semitones, "
    "pitch range, energy in dB) to a natural-log mel, F0 in Hz, durations in frames, and counts of limited values",
    ENCODER: "ONNX graph: a normalized reference mel to a voice and its style",
    VOCODER: "ONNX graph: a natural-log mel and F0 in Hz to samples",
    VOICES: "the named voices",
    CONFIG: "settings, symbols, statistics, and the hashes of the other files",
}


def write_folder(folder: Path, source: Source, weights: str, license_name: str) -> list[str]:
    """Writes the files into an empty folder, opens it as a user would, and compares it with TensorFlow.

    Returns lines for the user. Raises ExportError where the result is not what TensorFlow computes.
    """
    store(convert(graphs.text_to_mel(source.model)), folder / TEXT_TO_MEL, weights)
    store(convert(graphs.speaker_encoder(source.model)), folder / ENCODER, "fp32" if weights == "int8" else weights)
    vocoder, audio = source.vocoder, source.opened.config.audio
    graph = graphs.with_batch(vocoder_graph(vocoder, audio), audio.mel_channels)
    store(convert(graph), folder / VOCODER, "fp32" if weights == "int8" else weights)
    complete_folder(folder, source, CONTENTS, weights, license_name)
    parity = compare(source, open_export(folder).load(), weights)
    error = compare_vocoder(graph, onnx_vocoder(folder / VOCODER), audio)
    return [f"verified: {parity.line}", f"verified: samples of the vocoder within {error:.1e} of the peak"]


def complete_folder(
    folder: Path, source: Source, contents: Mapping[str, str], weights: str, license_name: str, kind: str = ONNX
) -> None:
    """Writes the other files of a folder: voices, weights of the vocoder, settings and card.

    `contents` are the files that the card lists; `kind` is runtime.folder's ONNX or LITERT.
    """
    opened, vocoder = source.opened, source.vocoder
    if vocoder is not None:
        save_vocoder(vocoder, folder / VOCODER_WEIGHTS)
    model = opened.config.model
    voices = {
        "voice_ZE": np.zeros((len(source.voices), model.voice_width), np.float32),
        "style_ZY": np.zeros((len(source.voices), model.style_width), np.float32),
    }
    for index, named in enumerate(source.voices):
        voices["voice_ZE"][index], voices["style_ZY"][index] = named.voice.voice_E, named.voice.style_Y
    write_tensors(folder / VOICES, voices)
    about = ExportConfig(
        opened.config, source.corpus, opened.voice_model, opened.speaker_count, source.untrained,
        GRIFFIN_LIM if vocoder is None else NEURAL, weights, kind,
        (source.model.longest_token, source.model.longest),
    )  # fmt: skip
    hashed = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    text = json.dumps(about.to_json(hashed), ensure_ascii=False, indent=1)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8")
    own = {VOCODER_WEIGHTS: "the weights of the vocoder, for MyXTTS"} if vocoder is not None else {}
    (folder / CARD).write_text(model_card(source, {**contents, **own}, license_name), encoding="utf-8")
