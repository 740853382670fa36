"""A recording decoded in a process of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from myxtts.audio import decoding, waveform
from myxtts.config.schema import AudioConfig
from myxtts.errors import DataError

AUDIO = AudioConfig()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "a.flac"
    soundfile.write(path, 0.3 * np.sin(np.arange(16_000) * 0.1), 16_000)
    return path


def test_gives_what_reading_gives(recording: Path) -> None:
    apart = decoding.read_isolated(recording, AUDIO, 10.0)
    assert np.array_equal(apart, waveform.read(recording, AUDIO, 10.0)) and apart.flags.writeable


def test_says_what_reading_says(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (recording.parent / "b.wav").write_bytes(b"no recording")
    monkeypatch.chdir(recording.parent)
    with pytest.raises(DataError, match=r"^'b\.wav': not a readable recording"):
        decoding.read_isolated(Path("b.wav"), AUDIO, 10.0)
    with pytest.raises(DataError, match=r"1\.0 s long, at most 0\.5 s are allowed"):
        decoding.read_isolated(recording, AUDIO, 0.5)


@pytest.mark.parametrize(
    ("body", "wall", "words"),
    [
        ("while True: pass\n", 600.0, "took over 1 s of the processor"),
        ("import time\ntime.sleep(60)\n", 0.5, "took over 0.5 s"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", 600.0, "ended its process"),
        ("b = [bytes(1 << 28) for i in range(40)]\n", 600.0, "ended its process"),
    ],
)
def test_a_decoder_that_hangs_dies_or_eats_memory_is_an_error_of_one_line(
    recording: Path, monkeypatch: pytest.MonkeyPatch, body: str, wall: float, words: str
) -> None:
    monkeypatch.setattr(decoding, "_BODY", body)
    monkeypatch.setattr(decoding, "PROCESSOR_SECONDS", 1)
    monkeypatch.setattr(decoding, "WALL_SECONDS", wall)
    monkeypatch.setattr(decoding, "MEMORY_BYTES", 1 << 30)
    with pytest.raises(DataError, match=words) as caught:
        decoding.read_isolated(recording, AUDIO, 10.0)
    assert "\n" not in str(caught.value) and "a.flac" in str(caught.value)


def test_too_much_memory_inside_the_decoder(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoiled = (
        "from myxtts.audio import decoding, waveform\n"
        "def read(*a): return [bytes(1 << 28) for i in range(40)]\n"
        "waveform.read_recording = read\nsys.exit(decoding.main())\n"
    )
    monkeypatch.setattr(decoding, "_BODY", spoiled)
    monkeypatch.setattr(decoding, "MEMORY_BYTES", 3 << 30)
    with pytest.raises(DataError, match="more memory than allowed"):
        decoding.read_isolated(recording, AUDIO, 10.0)
