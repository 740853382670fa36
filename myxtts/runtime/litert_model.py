"""The networks of an exported model, run by LiteRT (extra `litert`).

The graph is in two halves: a sentence has as many frames as the durations of its tokens add up to, and they are rounded
between the halves, by the program that runs them.
"""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from myxtts.errors import CheckpointError, ConfigError, DataError, NonFiniteError
from myxtts.models.prosody import FloatArray, IntArray, round_durations
from myxtts.models.voice import Voice
from myxtts.runtime.folder import LITERT_ENCODER, PROSODY_TO_MEL, TEXT_TO_PROSODY, OpenedExport
from myxtts.runtime.interface import AcousticOutput, Controls
from myxtts.text.symbols import BLANK

PROSODY = ("log_durations", "pitch", "energy", "text", "mean")
"""Outputs of the first half. All but the log-durations, ln(1 + frames), are inputs of the second one."""
_IDENTITY = ("voice", "style")


class LiteRtModel:
    """The graphs of a folder of `--format litert`. Its methods may be called from several threads.

    Args:
        opened: the folder.
        interpreter: the class of the interpreter; None: that of ai-edge-litert.
    """

    def __init__(self, opened: OpenedExport, interpreter: Any = None) -> None:
        self._opened, self._interpreter = opened, interpreter
        self._text_to_prosody = self._graph(TEXT_TO_PROSODY, ("tokens", "language", *_IDENTITY), PROSODY)
        inputs = (*PROSODY[1:], *_IDENTITY, "durations", "controls")
        self._prosody_to_mel = self._graph(PROSODY_TO_MEL, inputs, ("mel", "f0", "limited"))

    def _graph(self, name: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> LiteRtGraph:
        """The graph in a file. Raises CheckpointError for one with other inputs and outputs."""
        made = LiteRtGraph(self._opened.path / name, self._opened.where, self._interpreter)
        if made.inputs != set(inputs) or made.outputs != set(outputs):
            raise CheckpointError(f"{self._opened.where}: {name} does not fit the settings beside it; export it again")
        return made

    @cached_property
    def _encoder(self) -> LiteRtGraph:
        return self._graph(LITERT_ENCODER, ("mel", "frames"), _IDENTITY)

    def voices(self, reference_ARC: FloatArray, length_A: IntArray) -> list[Voice]:
        """Voice and style of each normalized reference mel (A, R, C) with its length (A,)."""
        made = self._encoder(mel=np.asarray(reference_ARC, np.float32), frames=np.asarray(length_A, np.int32))
        return [Voice(voice_E, style_Y) for voice_E, style_Y in zip(made["voice"], made["style"], strict=True)]

    def generate(self, tokens_T: IntArray, language: int, voice: Voice, controls: Controls) -> AcousticOutput:
        """The mel of one sentence; the same arguments give the same mel. Raises NonFiniteError."""
        identity = {
            "voice": np.asarray(voice.voice_E, np.float32)[None],
            "style": np.asarray(voice.style_Y, np.float32)[None],
        }
        predicted = self._text_to_prosody(
            tokens=np.asarray(tokens_T, np.int32)[None], language=np.array([language], np.int32), **identity
        )
        longest_token, longest = self._opened.about.longest_frames
        durations = round_durations(
            predicted.pop("log_durations")[0], np.asarray(tokens_T) != BLANK,
            speed=controls.speed, longest_token=longest_token, longest=longest,
        )  # fmt: skip
        feeds = predicted | identity | {
            "durations": durations.frames_T[None],
            "controls": np.array([controls.pitch, controls.pitch_range, controls.energy], np.float32),
        }  # fmt: skip
        made = self._prosody_to_mel(**feeds)
        if not np.isfinite(made["mel"]).all():
            raise NonFiniteError("the model computed a mel that is not finite; export it again from another checkpoint")
        return AcousticOutput(
            made["mel"][0], made["f0"][0], durations.frames_T, durations.capped, durations.squeezed,
            int(made["limited"][0]),
        )  # fmt: skip

    def token_durations(
        self, tokens_T: IntArray, language: int, voice: Voice, mel_MC: FloatArray
    ) -> tuple[IntArray, IntArray] | None:
        """Not possible: an exported model has no aligner. Raises DataError."""
        raise DataError(f"{self._opened.where} has no aligner; name the run it was exported from")


class LiteRtGraph:
    """A graph in a file: call it with its inputs by name; it returns copies of its outputs by name.

    An interpreter holds the values of one call, so calls from several threads wait for each other.

    Args:
        path: of the file.
        where: the model in a message.
        interpreter: the class of the interpreter; None: that of ai-edge-litert.

    Raises:
        ConfigError: ai-edge-litert is not installed.
        CheckpointError: the file cannot be used.
    """

    def __init__(self, path: Path, where: str, interpreter: Any = None) -> None:
        made = interpreter or _interpreter()
        try:
            self._run = made(model_path=str(path)).get_signature_runner()
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:160]
            raise CheckpointError(f"{where}: LiteRT cannot load {path.name} ({reason}); export it again") from error
        self.inputs, self.outputs = set(self._run.get_input_details()), set(self._run.get_output_details())
        self._lock = threading.Lock()

    def __call__(self, **inputs: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """See the class."""
        with self._lock:
            outputs = self._run(**inputs)
            return {name: np.array(value) for name, value in outputs.items()}


def _interpreter() -> Any:
    """The class of ai-edge-litert. Raises ConfigError where it is not installed."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError as error:
        raise ConfigError(
            "a model in LiteRT's format needs the package ai-edge-litert; install it with "
            "`pip install 'myxtts[litert]'`"
        ) from error
    return Interpreter
