"""Speech to a file or to stdout while it is made; whoever reads it may leave at any time."""

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
    from myxtts.synthesis.speech import FloatArray
    from myxtts.synthesis.stream import Piece

STDOUT = "-"


class Streamed:
    """What of a text was written: how many of its sentences, seconds of sound, and when the first sound was there.

    A text may be hours long, so pieces are counted and let go; with `keeps_mels` their mels stay, float32[M, C] each.
    `compute_seconds` leaves out the time that a slow reader, such as a player, made it wait.
    """

    def __init__(self, *, keeps_mels: bool = False) -> None:
        # Needs numpy and scipy, which --help does without.
        from myxtts.synthesis.outcome import Outcome

        self.mels: list[FloatArray] = []
        self.voice = ""
        self.language = ""
        self._total = 0
        self._notes: tuple[str, ...] = ()
        self._outcome = Outcome()
        self._keeps_mels = keeps_mels
        self.seconds = 0.0
        self.compute_seconds = 0.0
        self.first_at: float | None = None
        self.reader_left = False

    @property
    def sentences(self) -> int:
        """How many were written."""
        return self._outcome.sentences

    @property
    def told(self) -> str:
        """How far it came: "3 of 12 sentences"."""
        return f"{self.sentences} of {self._total} sentences" if self.sentences else "no sentence"

    @property
    def notes(self) -> tuple[str, ...]:
        """What a listener should know of what was written."""
        return (*self._notes, *self._outcome.notes())

    def add(self, piece: Piece) -> None:
        """Counts a piece that was written."""
        if not self.sentences:
            self.voice, self.language = piece.voice, piece.language
            self._total, self._notes = piece.total, piece.notes
        self._outcome.add(piece)
        if self._keeps_mels:
            self.mels.append(piece.mel_MC)


def stdout_problems() -> list[str]:
    """One line if there is no stdout, or it is a terminal, which would take sound for letters."""
    if sys.stdout is None or isinstance(sys.stdout, Nowhere):
        return ["--out - has no stdout to write to; name a file"]
    if os.isatty(1):
        return ["--out - would write sound to the terminal; pipe it, or name a file"]
    return []


@contextlib.contextmanager
def sound_on_stdout() -> Iterator[BinaryIO]:
    """The program's stdout for sound alone: until the end whatever else is printed there goes to stderr.

    Raises ConfigError where there is no stdout.
    """
    try:
        sound = os.dup(1)
    except OSError:
        raise ConfigError("--out - has no stdout to write to; name a file") from None
    if sys.stdout is not None:
        sys.stdout.flush()
    os.dup2(2, 1)
    try:
        with os.fdopen(sound, "wb", buffering=0, closefd=False) as file:
            yield file
    finally:
        os.dup2(sound, 1)
        os.close(sound)


def write_stream(pieces: Iterator[Piece], out: str, *, raw: bool, streamed: Streamed) -> None:
    """Writes each piece as it comes; the file is made, or replaced, when the first one is ready.

    `streamed` is kept up to date, so that it tells the truth after any error. A reader that leaves ends the stream
    without one. Raises StorageError where the disk refuses, and what making the pieces raises.
    """
    from myxtts.storage.files import storage_error
    from myxtts.synthesis.stream import SoundWriter

    with contextlib.ExitStack() as stack:
        file = stack.enter_context(sound_on_stdout()) if out == STDOUT else None
        writer: SoundWriter | None = None
        while True:
            asked_at = time.perf_counter()
            piece = next(pieces, None)
            streamed.compute_seconds += time.perf_counter() - asked_at
            if piece is None:
                return
            try:
                if file is None:
                    file = stack.enter_context(Path(out).open("wb", buffering=0))
                if writer is None:
                    known = out != STDOUT and file.seekable()
                    writer = SoundWriter(file, piece.sample_rate_hz, raw=raw, rewrites_header=known)
                writer.write(piece.samples)
            except BrokenPipeError:
                streamed.reader_left = True
                return
            except OSError as error:
                raise storage_error("writing the speech", Path(out), error) from error
            if streamed.first_at is None:
                streamed.first_at = time.perf_counter()
            streamed.add(piece)
            streamed.seconds = writer.seconds


@contextlib.contextmanager
def telling_what_is_there(streamed: Streamed, out: str) -> Iterator[None]:
    """After an error, one line to stderr that says what of the speech was written before it.

    Raises Stopped that says the same after Ctrl-C: sound that was written stays, and is no whole.
    """
    place = "stdout" if out == STDOUT else repr(out)
    try:
        yield
    except MyXTTSError:
        if streamed.sentences:
            print_errors(f"note: {streamed.told}, {streamed.seconds:.2f} s, were written to {place} before")
        raise
    except KeyboardInterrupt:
        if not streamed.sentences:
            raise
        raise Stopped(
            f"stopped by Ctrl-C; {streamed.told}, {streamed.seconds:.2f} s, were written to {place}; the same command "
            "begins anew"
        ) from None
