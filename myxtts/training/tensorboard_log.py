"""TensorBoard event files of a run, written without TensorFlow."""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import socket
import time
import wave
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from myxtts.audio.drawing import alignment_png, mel_png, mel_range
from myxtts.errors import StorageError
from myxtts.storage.files import storage_error

_OPTIMIZATION = ("grad_norm", "learning_rate")
_SPEED = ("frames_per_second", "wait_share")
_PREFIX = "events.out.tfevents."


class TensorBoardLog:
    """An event file under `folder`. On resume, data after `resume_update` from an earlier process are hidden."""

    def __init__(self, folder: Path, resume_update: int | None = None) -> None:
        self._path = folder / f"{_PREFIX}{_next_moment(folder):019d}.{socket.gethostname()}.{os.getpid()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("xb")
        except OSError as error:
            raise storage_error("writing", self._path, error) from error
        self._records = RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self.go_back(-1 if resume_update is None else resume_update)

    def go_back(self, update: int) -> None:
        """Hide the data of later updates, which the run repeats."""
        # At every session start but the first, TensorBoard drops all steps from that step on.
        self._write(Event(wall_time=time.time(), step=update + 1, session_log=SessionLog(status=SessionLog.START)))
        self.flush()

    def train(self, record: Mapping[str, Any]) -> None:
        """Scalars of one update, given as its line of metrics.jsonl; values that are not finite are omitted."""
        scalars = {"loss/total": record.get("loss")}
        scalars |= {f"loss/{term}": value for term, value in (record.get("terms") or {}).items()}
        scalars |= {f"weighted/{term}": value for term, value in (record.get("weighted") or {}).items()}
        scalars |= {f"optimization/{key}": record.get(key) for key in _OPTIMIZATION}
        scalars["optimization/skipped"] = float(bool(record.get("skipped")))
        scalars |= {f"speed/{key}": record.get(key) for key in _SPEED}
        self._scalars(int(record["update"]), scalars)

    def validation(self, update: int, metrics: Mapping[str, float]) -> None:
        """Scalars of one validation."""
        self._scalars(update, {f"validation/{name}": value for name, value in metrics.items()})
        self.flush()

    def sample(
        self,
        update: int,
        name: str,
        *,
        predicted_mel_MC: NDArray[Any] | None = None,
        true_mel_MC: NDArray[Any] | None = None,
        alignment_TM: NDArray[Any] | None = None,
        wav_path: Path | None = None,
    ) -> None:
        """One validation sentence: natural-log mels, alignment 0..1 and a 16-bit WAV file; each may be None."""
        values: list[Any] = []
        mels = {"predicted_mel": predicted_mel_MC, "true_mel": true_mel_MC}
        given = {key: np.asarray(mel) for key, mel in mels.items() if mel is not None}
        value_range = mel_range(*given.values())
        for key, mel_MC in given.items():
            values.append(_image(f"{name}/{key}", mel_png(mel_MC, value_range), mel_MC.shape[0], mel_MC.shape[1]))
        if alignment_TM is not None:
            tokens, frames = alignment_TM.shape
            values.append(_image(f"{name}/alignment", alignment_png(alignment_TM), frames, tokens))
        if wav_path is not None:
            values.append(self._audio(f"{name}/audio", wav_path))
        self._summary(update, values)
        self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system."""
        try:
            self._file.flush()
        except OSError as error:
            raise storage_error("writing", self._path, error) from error

    def close(self) -> None:
        """Flush and close the event file."""
        try:
            self._file.close()
        except OSError as error:
            raise storage_error("writing", self._path, error) from error

    def __enter__(self) -> TensorBoardLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(StorageError):  # must not hide the error that ended the run
            self.close()

    def _scalars(self, update: int, scalars: Mapping[str, Any]) -> None:
        finite = {tag: float(value) for tag, value in scalars.items() if value is not None}
        self._summary(update, [Summary.Value(tag=tag, simple_value=v) for tag, v in finite.items() if math.isfinite(v)])

    def _audio(self, tag: str, wav_path: Path) -> Any:
        try:
            content = wav_path.read_bytes()
            with wave.open(io.BytesIO(content)) as wav:
                rate, channels, samples = wav.getframerate(), wav.getnchannels(), wav.getnframes()
        except (OSError, wave.Error, EOFError) as error:
            raise StorageError(f"cannot read {str(wav_path)!r} for TensorBoard ({error}); is it a WAV file?") from error
        audio = Summary.Audio(
            sample_rate=rate,
            num_channels=channels,
            length_frames=samples,
            encoded_audio_string=content,
            content_type="audio/wav",
        )
        return Summary.Value(tag=tag, audio=audio)

    def _summary(self, update: int, values: Iterable[Any]) -> None:
        summary = Summary(value=list(values))
        if summary.value:
            self._write(Event(wall_time=time.time(), step=update, summary=summary))

    def _write(self, event: Any) -> None:
        try:
            self._records.write(event.SerializeToString())
        except OSError as error:
            raise storage_error("writing", self._path, error) from error


def _next_moment(folder: Path) -> int:
    """Nanoseconds since 1970, later than those in the names in `folder`, in whose order TensorBoard reads the files.

    After the clock of the machine was set back, a new file would otherwise be read before the older ones.
    """
    moments = [path.name.removeprefix(_PREFIX).partition(".")[0] for path in folder.glob(f"{_PREFIX}*")]
    return max([time.time_ns(), *(1 + int(moment) for moment in moments if re.fullmatch(r"\d{1,19}", moment))])


def _image(tag: str, png: bytes, width: int, height: int) -> Any:
    return Summary.Value(
        tag=tag, image=Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
    )
