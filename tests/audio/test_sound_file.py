"""Sound files: valid after every chunk, through slow and broken pipes."""

import io
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from myxtts.audio.sound_file import SoundWriter, pcm16, wav_header
from myxtts.errors import NonFiniteError

RATE = 22_050


def tone(seconds: float, loudness: float, hz: float = 200.0) -> np.ndarray:
    return (loudness * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def test_a_header_of_unknown_length_is_read_to_the_end(tmp_path: Path) -> None:
    samples = tone(0.5, 0.5)
    file = io.BytesIO()
    writer = SoundWriter(file, RATE, raw=False, rewrites_header=False)
    writer.write(samples)
    assert (
        writer.seconds == pytest.approx(0.5) and file.getvalue()[40:44] == b"\xff\xff\xff\xff" == file.getvalue()[4:8]
    )
    path = tmp_path / "a.wav"
    path.write_bytes(file.getvalue())
    found, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE and np.array_equal(found, np.frombuffer(pcm16(samples), "<i2"))
    assert wav_header(RATE, 1 << 33)[40:44] == b"\xff\xff\xff\xff"


def test_a_file_is_a_whole_wav_after_each_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with path.open("wb", buffering=0) as file:
        writer = SoundWriter(file, RATE, raw=False, rewrites_header=True)
        for count in range(1, 4):
            writer.write(tone(0.1, 0.5))
            found, _ = soundfile.read(path)
            assert len(found) == count * 2_205
            assert int.from_bytes(path.read_bytes()[4:8], "little") == path.stat().st_size - 8


def test_raw_is_the_samples_alone() -> None:
    file = io.BytesIO()
    writer = SoundWriter(file, RATE, raw=True, rewrites_header=True)
    writer.write(np.array([0.0, 1.0, -2.0], np.float32))
    writer.write(np.array([0.5], np.float32))
    assert np.frombuffer(file.getvalue(), "<i2").tolist() == [0, 32_767, -32_767, 16_384]
    with pytest.raises(NonFiniteError, match="not finite; use another checkpoint"):
        writer.write(np.array([np.nan], np.float32))


def test_a_file_that_takes_little_at_a_time_gets_all() -> None:
    class Slow(io.BytesIO):
        def write(self, content: object) -> int:
            return super().write(bytes(content)[:100])  # type: ignore[call-overload]

    file = Slow()
    SoundWriter(file, RATE, raw=True, rewrites_header=False).write(tone(0.1, 0.5))
    assert file.getvalue() == pcm16(tone(0.1, 0.5))


def test_a_full_pipe_that_never_waits_gets_all_once() -> None:
    """As a stdout may be that another program set so: a write takes what there is room for, or says there is none."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    got = bytearray()

    def drain() -> None:
        time.sleep(0.8)  # it is full by then
        while part := os.read(reading, 20_000):
            got.extend(part)
            time.sleep(0.01)

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    samples = tone(5.0, 0.5)  # several times what a pipe holds
    with os.fdopen(writing, "wb", buffering=0) as file:
        writer = SoundWriter(file, RATE, raw=True, rewrites_header=False)
        used = time.thread_time()
        writer.write(samples)
        used = time.thread_time() - used
    reader.join(20.0)
    os.close(reading)
    assert bytes(got) == pcm16(samples) and writer.seconds == pytest.approx(5.0)
    assert used < 0.2, "it waits, and does not try again and again"


def test_a_reader_of_a_full_pipe_that_leaves_ends_the_wait() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    threading.Timer(0.2, os.close, [reading]).start()
    with os.fdopen(writing, "wb", buffering=0) as file, pytest.raises(BrokenPipeError):
        SoundWriter(file, RATE, raw=True, rewrites_header=False).write(tone(5.0, 0.5))
