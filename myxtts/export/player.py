"""`--format piper` and `--format sherpa`: one voice in one language, from phonemes to samples in a single graph.

The front ends of Piper (Python), libpiper, sherpa-onnx 1.x and 2.x send different sequences for the same phonemes:
with and without pads, and with the ids 0 to 2 as pad, start and end whatever the map of the voice says. So the graph
itself drops every id up to 2 and what is beyond the length, and puts the blanks where training had them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from myxtts.config.schema import AudioConfig
from myxtts.errors import ConfigError, DataError
from myxtts.export import graphs
from myxtts.export.card import model_card
from myxtts.export.onnx_file import OPSET, ExportError, convert, store
from myxtts.export.parity import SAMPLE_ERROR, sentences
from myxtts.export.source import NamedVoice, Source
from myxtts.export.vocoder import VocoderGraph, vocoder_graph
from myxtts.messages import quoted
from myxtts.models.prosody import decoder_noise
from myxtts.runtime.interface import Controls
from myxtts.runtime.onnx_model import session
from myxtts.text.symbols import BLANK, RESERVED

_RESERVED_BY_PLAYERS = "_^$"
_NOISE_FRAMES = 1_024
_SHORTEST_SCALE = 0.05
_TEMPERATURE = 0.667


def player_graph(source: Source, voice: NamedVoice, language: int, vocoder: VocoderGraph) -> graphs.Graph:
    """input int64 [1, T], input_lengths int64 [1], scales float32 [3] -> output float32 [1, 1, N], durations [1, T].

    scales: noise (a flow decoder's temperature), length (2 is half as fast), and one that has no effect here. The
    durations are float32 frames of each given id: libpiper reads nothing else.
    """
    text_to_mel = graphs.text_to_mel(source.model).function
    audio, blank_between = source.opened.config.audio, source.opened.config.text.blank_between
    # made into tensors inside the function: one from outside would become an input of the graph
    voice_BE, style_BY = (x[None].astype(np.float32) for x in (voice.voice.voice_E, voice.voice.style_Y))
    flow = source.opened.config.model.decoder == "flow"
    noise_BMC = decoder_noise(1, _NOISE_FRAMES, audio.mel_channels)[None]
    steps = np.array([source.opened.config.model.flow_steps], np.int64)

    def run(input: tf.Tensor, input_lengths: tf.Tensor, scales: tf.Tensor) -> dict[str, tf.Tensor]:
        given_T = tf.cast(input[0], tf.int32)
        inside_T = tf.range(tf.shape(given_T)[0]) < tf.cast(input_lengths[0], tf.int32)
        known_T = (given_T >= len(RESERVED)) & inside_T
        known = tf.boolean_mask(given_T, known_T)
        # a text without any known symbol is one blank, so that nothing is gathered from an empty list
        token_T = _interleaved(known) if blank_between else tf.concat([known, [BLANK]], axis=0)
        speed = 1.0 / tf.maximum(scales[1], _SHORTEST_SCALE)
        controls = tf.stack([speed, 0.0, 1.0, 0.0])
        more = [tf.constant(noise_BMC) * scales[0], tf.constant(steps)] if flow else []
        tokens = tf.cast(tf.expand_dims(token_T, 0), tf.int64)
        given = tf.constant([language], tf.int64), tf.constant(voice_BE), tf.constant(style_BY)
        made = text_to_mel(tokens, *given, controls, *more)
        # at least one frame, so that a text of nothing is a moment of silence and no empty array
        silence = [[0, 1], [0, 0]]
        mel_MC = tf.pad(made["mel"][0], silence, constant_values=float(np.log(audio.log_floor)))
        with tf.name_scope("vocoder"):
            samples_N = vocoder(mel_MC, tf.pad(made["f0"][0], [[0, 1]]))
        hop = audio.hop_samples
        spoken = tf.shape(samples_N)[0] - tf.where(tf.shape(known)[0] > 0, hop, 0)
        samples_N = tf.slice(samples_N, [0], tf.reshape(spoken, [1]))
        # a scale without effect stays connected: the players set all three
        samples_N += 0.0 * tf.reduce_sum(scales)
        duration_T = tf.cast(made["durations"][0], tf.int32)
        frames_T = _of_given(duration_T, known_T, blank_between)
        return {"output": tf.reshape(samples_N, [1, 1, -1]), "durations": tf.cast(frames_T, tf.float32)[None]}

    signature = [
        tf.TensorSpec([1, None], tf.int64, name="input"),
        tf.TensorSpec([1], tf.int64, name="input_lengths"),
        tf.TensorSpec([3], tf.float32, name="scales"),
    ]
    return graphs.Graph(run, signature, ("output", "durations"))


def _interleaved(known: tf.Tensor) -> tf.Tensor:
    """Symbols with a blank before, between and behind them."""
    pairs = tf.stack([tf.fill([tf.shape(known)[0]], BLANK), known], axis=1)
    return tf.concat([tf.reshape(pairs, [-1]), [BLANK]], axis=0)


def _of_given(duration_T: tf.Tensor, known_T: tf.Tensor, blank_between: bool) -> tf.Tensor:
    """Frames of each given id: those of a symbol and the blank behind it; those before the first go to the first id."""
    if blank_between:
        first, own = duration_T[:1], tf.reduce_sum(tf.reshape(duration_T[1:], [-1, 2]), axis=1)
    else:
        first, own = duration_T[-1:], duration_T[:-1]
    own = tf.concat([own, tf.zeros([1], tf.int32)], axis=0)
    place_T = tf.maximum(tf.cumsum(tf.cast(known_T, tf.int32)) - 1, 0)
    frames_T = tf.where(known_T, tf.gather(own, place_T), 0)
    return frames_T + tf.pad(first, [[0, tf.maximum(tf.shape(frames_T)[0] - 1, 0)]])[: tf.shape(frames_T)[0]]


def write_player(
    folder: Path, source: Source, language: int, weights: str, license_name: str, *, sherpa: bool
) -> list[str]:
    """Writes NAME.onnx with NAME.onnx.json (Piper), or with tokens.txt (sherpa-onnx), and a card; verifies the graph.

    Returns lines for the user. Raises ConfigError, DataError for a source that cannot be exported so, ExportError.
    """
    opened = source.opened
    if opened.config.text.symbols != "phonemes":
        raise ConfigError("this model speaks characters, and the players send phonemes; use --format onnx")
    if len(source.voices) != 1:
        raise DataError(
            f"{len(source.voices)} voices are named, and this format holds one; name it with --speaker or --voice"
        )
    (voice,), code = source.voices, opened.corpus.languages[language]
    name = f"{code}-{''.join(c if c.isalnum() or c in '-_' else '_' for c in voice.name)}"
    graph = player_graph(source, voice, language, vocoder_graph(source.vocoder, opened.config.audio))
    path = folder / f"{name}.onnx"
    store(convert(graph, _metadata(code, opened.config.audio)), path, weights)
    ids = _ids(source)
    contents = {path.name: f"ONNX graph (opset {OPSET}): phonemes to samples in the voice {voice.name}, {code}"}
    if sherpa:
        lines = [f"{symbol} {number}\n" for symbol, number in ids.items()]
        (folder / "tokens.txt").write_text("".join(lines), encoding="utf-8")
        contents["tokens.txt"] = "symbols and their ids, for sherpa-onnx"
    else:
        text = json.dumps(_piper_config(source, code, ids), ensure_ascii=False, indent=1)
        (folder / f"{path.name}.json").write_text(text + "\n", encoding="utf-8")
        contents[f"{path.name}.json"] = "settings and phoneme ids, for Piper"
    (folder / "README.md").write_text(model_card(source, contents, license_name), encoding="utf-8")
    return [_verify(path, graph, source, voice, language, weights)]


def _ids(source: Source) -> dict[str, int]:
    """Symbol -> id. Marks of the players and symbols that training never saw are blanks, which the graph drops."""
    untrained = {*source.untrained, *RESERVED}
    marks = dict.fromkeys(_RESERVED_BY_PLAYERS, BLANK)
    symbols = [symbol for symbol in source.opened.table.symbols if symbol not in RESERVED and symbol not in marks]
    own = {symbol: BLANK if symbol in untrained else source.opened.table.id_of(symbol) for symbol in symbols}
    return {**marks, **own}


def _metadata(code: str, audio: AudioConfig) -> dict[str, str]:
    """What sherpa-onnx reads from the file."""
    return {
        "model_type": "vits",
        "comment": "piper",
        "language": code,
        "voice": code,
        "has_espeak": "1",
        "n_speakers": "1",
        "sample_rate": str(audio.sample_rate_hz),
    }


def _piper_config(source: Source, code: str, ids: dict[str, int]) -> dict[str, Any]:
    audio = source.opened.config.audio
    return {
        "audio": {"sample_rate": audio.sample_rate_hz, "quality": "medium"},
        "espeak": {"voice": code},
        "language": {"code": code},
        "phoneme_type": "espeak",
        "phoneme_id_map": {symbol: [number] for symbol, number in ids.items()},
        "num_symbols": len(source.opened.table),
        "num_speakers": 1,
        "speaker_id_map": {},
        "inference": {"noise_scale": _TEMPERATURE, "length_scale": 1.0, "noise_w": 0.0},
        "hop_length": audio.hop_samples,
        "dataset": "",
    }


def _verify(path: Path, graph: graphs.Graph, source: Source, voice: NamedVoice, language: int, weights: str) -> str:
    """Compares a file with TensorFlow, as each player would call it. Returns a line; raises ExportError."""
    onnx_session = session(path, "the exported file")
    function = tf.function(graph.function, input_signature=graph.signature, autograph=False)
    hop, worst = source.opened.config.audio.hop_samples, 0.0
    frames: list[int] = []
    cases = [tokens_T[tokens_T != BLANK] for tokens_T, *_ in sentences(source)[:3]]
    cases += [tokens_T[:-1] for tokens_T in cases]
    for symbols in cases:
        plain = np.stack([np.full(len(symbols), BLANK), symbols], axis=1).reshape(-1)
        forms = [plain, np.concatenate([[1, 0], plain, [0, 2]]), symbols]
        outputs = [_run(onnx_session, np.asarray(form, np.int64)) for form in forms]
        for (samples_N, frames_T), form in zip(outputs, forms, strict=True):
            if len(samples_N) != hop * frames_T.sum() or len(frames_T) != len(form):
                raise ExportError(f"{path.name}: the durations do not add up to the samples")
            if not np.array_equal(samples_N, outputs[0][0]):
                raise ExportError(f"{path.name}: the players' forms of a sentence give different samples")
        frames.append(int(outputs[0][1].sum()))
        if weights != "fp32":
            continue
        wanted = function(*(tf.constant(value) for value in _feeds(np.asarray(plain, np.int64)).values()))
        if not np.array_equal(wanted["durations"].numpy()[0], outputs[0][1]):
            raise ExportError(f"{path.name} predicts other durations than TensorFlow for {len(symbols)} symbols")
        samples_N = wanted["output"].numpy()[0, 0]
        worst = max(worst, float(np.abs(samples_N - outputs[0][0]).max() / np.abs(samples_N).max(initial=1e-3)))
        tokens_T = np.full(2 * len(symbols) + 1, BLANK, np.int32)
        tokens_T[1::2] = symbols
        if source.opened.config.text.blank_between:
            own = source.model.generate(tokens_T, language, voice.voice, Controls())
            if int(own.duration_T.sum()) != frames[-1]:
                raise ExportError(f"{path.name} speaks {frames[-1]} frames, the model {own.duration_T.sum()}")
    for nothing in ([], [0], [1, 0, 2]):
        _run(onnx_session, np.array(nothing, np.int64))
    if not worst <= SAMPLE_ERROR or len({count % 2 for count in frames}) < 2:
        raise ExportError(f"{path.name}: samples differ from TensorFlow by {worst:.2g} of the peak at {frames} frames")
    return f"verified: sentences of {frames} frames; largest difference to TensorFlow {worst:.1e} of the peak"


def _feeds(ids: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    return {
        "input": ids[None],
        "input_lengths": np.array([len(ids)], np.int64),
        "scales": np.array([_TEMPERATURE, 1.0, 0.0], np.float32),
    }


def _run(onnx_session: Any, ids: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    samples, frames = onnx_session.run(["output", "durations"], _feeds(ids))
    if not np.isfinite(samples).all():
        raise ExportError(f"the graph gives samples that are not finite for {quoted(ids.tolist())}")
    return samples[0, 0], frames[0]
