"""The networks of an exported model, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from myxtts.errors import CheckpointError, ConfigError, DataError, NonFiniteError
from myxtts.models.prosody import FloatArray, IntArray, decoder_noise
from myxtts.models.voice import Voice
from myxtts.runtime.folder import ENCODER, TEXT_TO_MEL, OpenedExport
from myxtts.runtime.interface import AcousticOutput, Controls

INPUTS = ("tokens", "language", "voice", "style", "controls")
FLOW_INPUTS = ("noise", "steps")
OUTPUTS = ("mel", "f0", "durations", "limits")
ENCODER_INPUTS, ENCODER_OUTPUTS = ("mel", "frames"), ("voice", "style")
_FRAMES_PER_TOKEN = 12
"""Rows of noise per token at speed 1, more than speech needs; where they do not suffice the graph runs again."""


class OnnxModel:
    """The graphs of an exported folder. Sessions are thread-safe; the speaker encoder is loaded when it is needed."""

    def __init__(self, opened: OpenedExport) -> None:
        self._opened = opened
        model, channels = opened.config.model, opened.config.audio.mel_channels
        inputs = (*INPUTS, *FLOW_INPUTS) if model.decoder == "flow" else INPUTS
        widths = {"voice": model.voice_width, "style": model.style_width, "noise": channels, "mel": channels}
        self._text_to_mel = self._graph(TEXT_TO_MEL, inputs, OUTPUTS, widths)

    @cached_property
    def _encoder(self) -> Any:
        channels = self._opened.config.audio.mel_channels
        return self._graph(ENCODER, ENCODER_INPUTS, ENCODER_OUTPUTS, {"mel": channels})

    def _graph(self, name: str, inputs: tuple[str, ...], outputs: tuple[str, ...], widths: Mapping[str, int]) -> Any:
        """The session of a graph with these inputs and outputs; `widths` are their last lengths, where they are fixed.

        Raises CheckpointError for another graph.
        """
        made = session(self._opened.path / name, self._opened.where)
        values = [*made.get_inputs(), *made.get_outputs()]
        wrong = [value.name for value in values if value.name in widths and value.shape[-1:] != [widths[value.name]]]
        if sorted(value.name for value in values) != sorted((*inputs, *outputs)) or wrong:
            raise CheckpointError(f"{self._opened.where}: {name} does not fit the settings beside it; export it again")
        return made

    def voices(self, reference_ARC: FloatArray, length_A: IntArray) -> list[Voice]:
        """Voice and style of each normalized reference mel (A, R, C) with its length (A,)."""
        feeds = {"mel": np.asarray(reference_ARC, np.float32), "frames": np.asarray(length_A, np.int64)}
        voice_AE, style_AY = self._encoder.run(list(ENCODER_OUTPUTS), feeds)
        return [Voice(voice_E, style_Y) for voice_E, style_Y in zip(voice_AE, style_AY, strict=True)]

    def generate(self, tokens_T: IntArray, language: int, voice: Voice, controls: Controls) -> AcousticOutput:
        """The mel of one sentence; the same arguments give the same mel. Raises NonFiniteError."""
        feeds = text_to_mel_feeds(tokens_T, language, voice, controls)
        model, channels = self._opened.config.model, self._opened.config.audio.mel_channels
        rows = 0
        if model.decoder == "flow":
            feeds["steps"] = np.array([model.flow_steps if controls.steps is None else controls.steps], np.int64)
            rows = int(_FRAMES_PER_TOKEN * len(tokens_T) / controls.speed) + 1
            feeds["noise"] = _noise(controls, rows, channels)
        mel, f0, durations, limits = self._text_to_mel.run(list(OUTPUTS), feeds)
        if model.decoder == "flow" and mel.shape[1] > rows:
            feeds["noise"] = _noise(controls, mel.shape[1], channels)
            mel, f0, durations, limits = self._text_to_mel.run(list(OUTPUTS), feeds)
        if not np.isfinite(mel).all():
            raise NonFiniteError("the model computed a mel that is not finite; export it again from another checkpoint")
        capped, squeezed, pitch_limited = (int(count) for count in limits)
        return AcousticOutput(mel[0], f0[0], durations[0].astype(np.int32), capped, bool(squeezed), pitch_limited)

    def token_durations(
        self, tokens_T: IntArray, language: int, voice: Voice, mel_MC: FloatArray
    ) -> tuple[IntArray, IntArray] | None:
        """Not possible: an exported model has no aligner. Raises DataError."""
        raise DataError(f"{self._opened.where} has no aligner; name the run it was exported from")


def text_to_mel_feeds(
    tokens_T: IntArray, language: int, voice: Voice, controls: Controls
) -> dict[str, np.ndarray[Any, Any]]:
    """The inputs of the graph of a regression decoder; a flow decoder needs `noise` and `steps` besides."""
    return {
        "tokens": np.asarray(tokens_T, np.int64)[None],
        "language": np.array([language], np.int64),
        "voice": np.asarray(voice.voice_E, np.float32)[None],
        "style": np.asarray(voice.style_Y, np.float32)[None],
        "controls": np.array([controls.speed, controls.pitch, controls.pitch_range, controls.energy], np.float32),
    }


def _noise(controls: Controls, rows: int, channels: int) -> FloatArray:
    """Noise [1, rows, C] of the deviation that the controls ask for."""
    noise: FloatArray = decoder_noise(controls.seed, rows, channels)[None] * np.float32(controls.temperature)
    return noise


def onnxruntime() -> ModuleType:
    """The module. Raises ConfigError where it is not installed."""
    try:
        import onnxruntime as module
    except ModuleNotFoundError as error:
        raise ConfigError(
            "an exported model needs the package onnxruntime; install it with `pip install 'myxtts[runtime]'`"
        ) from error
    return module


def session(path: Path, where: str) -> Any:
    """An inference session on the CPU of the graph in a file. Raises CheckpointError for one that cannot be used."""
    ort = onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # without it idle threads spin and take CPU time from the next request
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    state = ort.capi.onnxruntime_pybind11_state
    names = (
        "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "NotImplemented",
        "RuntimeException",
    )  # fmt: skip
    known = tuple(getattr(state, name) for name in names)
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except known as error:
        reason = " ".join(str(error).split())[:160]
        raise CheckpointError(f"{where}: ONNX Runtime cannot load a graph ({reason}); export it again") from error
