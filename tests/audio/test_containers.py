"""Files that are not what their name says, or that need repair or a converter."""

from __future__ import annotations

import stat
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from myxtts.audio import containers, waveform
from myxtts.config.schema import AudioConfig
from myxtts.errors import DataError

AUDIO = AudioConfig()


def tone(seconds: float = 0.5, rate: int = 22_050) -> np.ndarray:
    return (0.3 * np.sin(np.arange(round(seconds * rate)) / 9)).astype(np.float32)


@pytest.mark.parametrize("suffix", containers.READ_SUFFIXES)
def test_formats_that_are_read(tmp_path: Path, suffix: str) -> None:
    formats = {".opus": ("OGG", "OPUS"), ".oga": ("OGG", "VORBIS"), ".aif": ("AIFF", None), ".aifc": ("AIFF", None),
               ".snd": ("AU", None), ".rf64": ("RF64", None)}  # fmt: skip
    kind, subtype = formats.get(suffix, (suffix[1:].upper(), None))
    rate = 24_000 if suffix == ".opus" else 22_050
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, tone(rate=rate), rate, format=kind, subtype=subtype)
    assert len(waveform.read(path, AUDIO)) == pytest.approx(11_025, abs=1_200)


def test_a_web_page_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_text("\n<!DOCTYPE html><html>404</html>")
    with pytest.raises(DataError, match=r"a\.mp3': a web page, .*download it again"):
        containers.source_of(path, path.stat().st_size)


def test_a_git_lfs_pointer_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    with pytest.raises(DataError, match=r"a\.wav': a Git LFS pointer, .*fetch it with `git lfs pull`"):
        waveform.read(path, AUDIO)


def test_a_data_chunk_of_length_0_with_samples_behind_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), 22_050)
    whole = waveform.read(path, AUDIO)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", 0)
    path.write_bytes(content)
    assert np.array_equal(waveform.read(path, AUDIO), whole) and waveform.probe(path).samples == 11_025
    path.write_bytes(bytes(content[: at + 4]) + b"LIST" + struct.pack("<I", 4) + b"INFO")
    with pytest.raises(DataError, match="contains no samples"):
        waveform.read(path, AUDIO)


def stand_in(folder: Path, body: str) -> None:
    program = folder / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("suffix", [".m4a", ".webm", ".AAC", ".wma"])
def test_what_needs_ffmpeg_is_converted_or_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"\0\0\0 ftypM4A " + suffix.encode() * 20)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"exists, but cannot be read .*install ffmpeg, or convert it") as caught:
        waveform.read(path, AUDIO)
    assert "\n" not in str(caught.value) and f"ffmpeg -i {path.name} a.wav" in str(caught.value)
    soundfile.write(tmp_path / "converted.wav", tone(), 22_050)
    content = bytearray((tmp_path / "converted.wav").read_bytes())
    content[content.index(b"data") + 4 :][:4] = b"\xff" * 4  # as ffmpeg writes to a pipe
    (tmp_path / "converted").write_bytes(content)
    stand_in(tmp_path, f"exec /bin/cat {tmp_path / 'converted'}")
    assert len(waveform.read(path, AUDIO, 10.0)) == 11_025
    path.write_bytes(b"other content")
    stand_in(tmp_path, "echo 'Invalid data\nfound' >&2; exit 1")
    with pytest.raises(DataError, match=r"ffmpeg cannot read it \('Invalid data found'\)"):
        waveform.read(path, AUDIO)


@pytest.mark.parametrize(("gain", "used"), [(-1.0, 1.0), (-0.9, 1.0), (-2.0, 2.0), (-0.5, 1.0)])
def test_channels_that_cancel_are_not_averaged(tmp_path: Path, gain: float, used: float) -> None:
    random = np.random.default_rng(0)
    left = tone() + 0.02
    stereo = np.stack([left, gain * left], axis=1) + 1e-4 * random.standard_normal((len(left), 2))
    path = tmp_path / "a.wav"
    soundfile.write(path, stereo, 22_050, subtype="FLOAT")
    found = waveform.read_recording(path, AUDIO)
    assert found.inverted and np.std(found.samples_N) == pytest.approx(used * np.std(left), rel=0.02)


@pytest.mark.parametrize("gain", [1.0, 0.3, 0.0])
def test_other_channels_are_averaged(tmp_path: Path, gain: float) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([tone(), gain * tone()], axis=1), 22_050, subtype="FLOAT")
    found = waveform.read_recording(path, AUDIO)
    assert not found.inverted
    assert np.allclose(found.samples_N, (1 + gain) / 2 * tone(), atol=1e-6)


def test_a_dc_offset_is_removed_and_a_small_one_is_left(tmp_path: Path) -> None:
    for offset, left in ((0.2, 0.0), (-0.05, 0.0), (0.004, 0.004)):
        soundfile.write(tmp_path / "a.wav", tone() + offset, 22_050, subtype="FLOAT")
        found = waveform.read_recording(tmp_path / "a.wav", AUDIO)
        assert found.offset == pytest.approx(offset, abs=1e-3)
        assert found.samples_N.mean() == pytest.approx(left, abs=1e-3)
