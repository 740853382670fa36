"""Writes speech to a file or to stdout while it is synthesized; the reader of a pipe may leave at any time."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from myxtts.cli.screen import Nowhere, print_errors
from myxtts.errors import ConfigError, MyXTTSError, Stopped

if TYPE_CHECKING:
    from myxtts.synthesis.speech import FloatArray, SpeechChunk

STDOUT = "-"


class StreamState:
    """What has been written of a text: sentences, seconds of sound, and when the first sound was ready.

    A text may be hours long, so chunks are counted and released; with `keeps_mels` their mels are kept, float32[M, C]
    each. `compute_seconds` does not include waiting for a slow reader, such as a player.
    """

    def __init__(self, *, keeps_mels: bool = False) -> None:
        # imported here since it needs NumPy and SciPy, which --help does without
        from myxtts.synthesis.speech import SpeechNotes

        self.mels: list[FloatArray] = []
        self.voice = ""
        self.language = ""
        self._total = 0
        self._notes: tuple[str, ...] = ()
        self._speech_notes = SpeechNotes()
        self._keeps_mels = keeps_mels
        self.seconds = 0.0
        self.compute_seconds = 0.0
        self.first_at: float | None = None
        self.reader_left = False

    @property
    def sentences(self) -> int:
        """Number of sentences written."""
        return self._speech_notes.sentences

    @property
    def progress(self) -> str:
        """The progress in words: "3 of 12 sentences"."""
        return f"{self.sentences} of {self._total} sentences" if self._total else "no sentence"

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the written speech for the user, one line each."""
        return (*self._notes, *self._speech_notes.lines())

    def add(self, chunk: SpeechChunk) -> None:
        """Counts a chunk that was written."""
        if not self._total:
            self.voice, self.language = chunk.voice, chunk.language
            self._total, self._notes = chunk.total, chunk.notes
        self._speech_notes.add(chunk)
        if self._keeps_mels:
            self.mels.append(chunk.mel_MC)


def stdout_problems() -> list[str]:
    """One line if there is no stdout, or it is a terminal, which would display sound as text."""
    if sys.stdout is None or isinstance(sys.stdout, Nowhere):
        return ["--out - needs an open stdout; name a file instead"]
    if os.isatty(1):
        return ["--out - would write sound to the terminal; pipe it to a program, or name a file"]
    return []


@contextlib.contextmanager
def sound_on_stdout() -> Iterator[BinaryIO]:
    """The program's stdout, reserved for sound: within the block anything else printed there goes to stderr.

    Raises ConfigError where there is no stdout.
    """
    try:
        sound = os.dup(1)
    except OSError:
        raise ConfigError("--out - needs an open stdout; name a file instead") from None
    if sys.stdout is not None:
        sys.stdout.flush()
    os.dup2(2, 1)
    try:
        with os.fdopen(sound, "wb", buffering=0, closefd=False) as file:
            yield file
    finally:
        os.dup2(sound, 1)
        os.close(sound)


def write_stream(chunks: Iterator[SpeechChunk], out: str, *, raw: bool, state: StreamState) -> None:
    """Writes each chunk as it comes; the file is created, or replaced, when the first one is ready.

    `state` is updated after each chunk, so that it is right after any error. A reader that leaves ends the stream
    without an error. Raises StorageError where writing fails, and what computing the chunks raises.
    """
    from myxtts.audio.sound_file import SoundWriter
    from myxtts.storage.files import storage_error

    with contextlib.ExitStack() as stack:
        file = stack.enter_context(sound_on_stdout()) if out == STDOUT else None
        writer: SoundWriter | None = None
        while True:
            started = time.perf_counter()
            chunk = next(chunks, None)
            state.compute_seconds += time.perf_counter() - started
            if chunk is None:
                return
            try:
                if file is None:
                    file = stack.enter_context(Path(out).open("wb", buffering=0))
                if writer is None:
                    rewrites_header = out != STDOUT and file.seekable()
                    writer = SoundWriter(file, chunk.sample_rate_hz, raw=raw, rewrites_header=rewrites_header)
                writer.write(chunk.samples)
            except BrokenPipeError:
                state.reader_left = True
                return
            except OSError as error:
                raise storage_error("writing the speech", Path(out), error) from error
            if state.first_at is None:
                state.first_at = time.perf_counter()
            state.add(chunk)
            state.seconds = writer.seconds


@contextlib.contextmanager
def reporting_partial_output(state: StreamState, out: str) -> Iterator[None]:
    """After an error, prints one line to stderr that says how much of the speech was written before it.

    Raises Stopped with the same information after Ctrl-C: what was written stays, but is incomplete.
    """
    place = "stdout" if out == STDOUT else repr(out)
    try:
        yield
    except MyXTTSError:
        if state.seconds:
            print_errors(f"note: {state.progress}, {state.seconds:.2f} s, were written to {place} before the error")
        raise
    except KeyboardInterrupt:
        if not state.seconds:
            raise
        raise Stopped(
            f"stopped by Ctrl-C; {state.progress}, {state.seconds:.2f} s, were written to {place}; the same command "
            "starts over"
        ) from None
