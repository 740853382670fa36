"""Reading and writing recordings: codings, rates, channels, and every way in which a file can be bad."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from myxtts.audio import waveform
from myxtts.config.schema import AudioConfig
from myxtts.errors import DataError, NonFiniteError, StorageError

AUDIO = AudioConfig()


def tone(seconds: float = 0.5, rate: int = 22_050, hz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = 22_050, **options: str) -> Path:
    soundfile.write(path, samples, rate, **options)
    return path


def error_of(path: Path, **options: float) -> str:
    with pytest.raises(DataError) as caught:
        waveform.read(path, AUDIO, **options)
    message = str(caught.value)
    assert "\n" not in message and repr(str(path))[-20:] in message
    return message


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.wav", "PCM_U8", 2e-2), ("a.wav", "PCM_16", 1e-4), ("a.wav", "PCM_24", 1e-5), ("a.wav", "PCM_32", 1e-5),
        ("a.wav", "FLOAT", 1e-6), ("a.wav", "DOUBLE", 1e-6), ("a.wav", "ULAW", 3e-2), ("a.wav", "ALAW", 3e-2),
        ("a.flac", "PCM_16", 1e-4), ("a.ogg", "VORBIS", 0.1), ("a.mp3", "MPEG_LAYER_III", 0.1),
    ],
)  # fmt: skip
def test_codings(tmp_path: Path, name: str, subtype: str, tolerance: float) -> None:
    samples = waveform.read(write(tmp_path / name, tone(), subtype=subtype), AUDIO)
    assert samples.dtype == np.float32
    middle = slice(3_000, 8_000)
    assert np.abs(samples[middle] - tone()[middle]).max() < tolerance


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 96_000, 384_000])
def test_rates_are_resampled(tmp_path: Path, rate: int) -> None:
    samples = waveform.read(write(tmp_path / "a.wav", tone(rate=rate), rate, subtype="FLOAT"), AUDIO)
    assert abs(len(samples) - 11_025) <= 1
    assert np.abs(samples[2_000:9_000] - tone()[2_000:9_000]).max() < 5e-3


@pytest.mark.parametrize("channels", [2, 5, 8])
def test_channels_are_averaged(tmp_path: Path, channels: int) -> None:
    many = np.outer(tone(), np.arange(channels)).astype(np.float32) / channels
    samples = waveform.read(write(tmp_path / "a.wav", many, subtype="FLOAT"), AUDIO)
    np.testing.assert_allclose(samples, many.mean(axis=1), atol=1e-6)


def test_an_mp3_called_wav_is_read_by_its_content(tmp_path: Path) -> None:
    write(tmp_path / "a.mp3", tone()).rename(tmp_path / "a.wav")
    assert np.std(waveform.read(tmp_path / "a.wav", AUDIO)) > 0.2


def test_probe_reads_the_header(tmp_path: Path) -> None:
    info = waveform.probe(write(tmp_path / "a.flac", np.zeros((8_000, 2)), 16_000))
    assert info == waveform.AudioInfo(sample_rate_hz=16_000, channels=2, samples=8_000, seconds=0.5)


def test_missing_folder_fifo_loop_and_nul(tmp_path: Path) -> None:
    assert "cannot be opened (No such file" in error_of(tmp_path / "gone.wav")
    assert "not a regular file" in error_of(tmp_path)
    os.mkfifo(tmp_path / "pipe.wav")
    assert "not a regular file" in error_of(tmp_path / "pipe.wav")
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    assert "cannot be opened" in error_of(tmp_path / "loop.wav")
    assert "cannot be opened" in error_of(tmp_path / "a\0b.wav")


def test_newline_in_a_name_stays_in_one_line(tmp_path: Path) -> None:
    assert "a\\nb.wav" in error_of(tmp_path / "a\nb.wav")


def test_unreadable_contents(tmp_path: Path) -> None:
    for name, content in {
        "empty.wav": b"",
        "text.wav": b"hello" * 50,
        "head.wav": b"RIFF",
        "noise.flac": b"fLaC\xff" * 40,
    }.items():
        (tmp_path / name).write_bytes(content)
        assert "convert it" in (message := error_of(tmp_path / name)) or "0 bytes" in message
    (tmp_path / "a.raw").write_bytes(b"1234")
    assert "raw samples have no known" in error_of(tmp_path / "a.raw")


def test_no_samples_and_one_sample(tmp_path: Path) -> None:
    assert "no samples" in error_of(write(tmp_path / "none.wav", np.zeros(0)))
    assert len(waveform.read(write(tmp_path / "one.wav", np.ones(1)), AUDIO)) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_name_the_first(tmp_path: Path, value: float) -> None:
    samples = tone()
    samples[[77, 99]] = value
    message = error_of(write(tmp_path / "a.wav", samples, subtype="FLOAT"))
    assert "2 samples are not finite, the first at index 77" in message


def test_values_far_over_full_scale(tmp_path: Path) -> None:
    assert "samples reach 1.64e+04" in error_of(write(tmp_path / "a.wav", tone() * 32_768, subtype="FLOAT"))


def test_rates_without_sense(tmp_path: Path) -> None:
    assert "sample rate 1 Hz" in error_of(write(tmp_path / "a.wav", np.zeros(9), 1))


def test_too_long_by_its_header_is_rejected_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.wav", tone(2.0))
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("decoded"))
    assert "2.0 s long, at most 1.5 s" in error_of(path, max_seconds=1.5)


def test_a_header_that_claims_hours_gives_what_is_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(), subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", 0x7FFF_0000)
    path.write_bytes(content)
    assert len(waveform.read(path, AUDIO)) == 11_025


@pytest.mark.parametrize("length", [0, 0x7FFF_F000, 0x8000_0000, 0xFFFF_FFFF, 2 * 11_025 + 44])
def test_a_length_that_nobody_knew_or_with_its_header_is_no_cut(tmp_path: Path, length: int) -> None:
    content = bytearray(write(tmp_path / "a.wav", tone(), subtype="PCM_16").read_bytes())
    content[40:44] = struct.pack("<I", length)
    (tmp_path / "a.wav").write_bytes(content)
    waveform.probe(tmp_path / "a.wav")


def test_the_length_of_the_whole_file_is_no_cut(tmp_path: Path) -> None:
    """Where other chunks stand before the sound it counts them in."""
    content = write(tmp_path / "a.wav", tone(), subtype="PCM_16").read_bytes()
    at = content.index(b"data")
    chunk = b"LIST" + struct.pack("<I", 100) + b"INFO" + bytes(96)
    complete = content[:at] + chunk + b"data" + struct.pack("<I", len(content) + len(chunk)) + content[at + 8 :]
    (tmp_path / "a.wav").write_bytes(complete)
    waveform.probe(tmp_path / "a.wav")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "PCM_24"])
def test_a_truncated_wav_is_rejected(tmp_path: Path, subtype: str, share: float) -> None:
    path = write(tmp_path / "a.wav", tone(), subtype=subtype)
    content = path.read_bytes()
    begin = content.index(b"data") + 8
    kept = int(share * (len(content) - begin))
    path.write_bytes(content[: begin + kept])
    (stated,) = struct.unpack_from("<I", content, begin - 4)
    assert f"truncated: its header states {stated} bytes of samples, the file has {kept}" in error_of(path)
    with pytest.raises(DataError, match="truncated"):
        waveform.probe(path)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_truncation_never_gives_more_than_an_error_of_one_line(tmp_path: Path, name: str) -> None:
    content = write(tmp_path / name, tone(1.0)).read_bytes()
    for share in (0.02, 0.1, 0.5, 0.9):
        (tmp_path / name).write_bytes(content[: int(len(content) * share)])
        try:
            assert len(waveform.read(tmp_path / name, AUDIO)) <= 22_050 + 2_400
        except DataError as error:
            assert "\n" not in str(error)


def test_trim_cuts_silence_and_keeps_a_little() -> None:
    quiet = 1e-4 * np.random.default_rng(0).standard_normal(22_050).astype(np.float32)
    trimmed = waveform.trim(np.concatenate([quiet, tone(1.0), quiet]), AUDIO)
    assert 22_050 + 2 * 800 < len(trimmed) < 22_050 + 2 * 1_102 + 512
    untouched = AudioConfig(trim_db=0.0)
    assert len(waveform.trim(quiet, untouched)) == len(quiet)
    assert len(waveform.trim(np.zeros(500, np.float32), AUDIO)) == 500


def test_silence_is_noticed_with_an_offset_too() -> None:
    assert waveform.is_silent(np.zeros(0, np.float32))
    assert waveform.is_silent(np.full(9_000, 0.3, np.float32))
    assert not waveform.is_silent(0.01 * tone())


def test_written_file_is_16_bit_and_clipped(tmp_path: Path) -> None:
    waveform.write_wav(tmp_path / "out.wav", 4.0 * tone(), 22_050)
    samples, rate = soundfile.read(tmp_path / "out.wav", dtype="int16")
    assert rate == 22_050 and soundfile.info(tmp_path / "out.wav").subtype == "PCM_16"
    assert samples.max() == 32_767 and samples.min() == -32_767
    assert [path.name for path in tmp_path.iterdir()] == ["out.wav"]


def test_writing_what_is_not_finite_or_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match="sample 1 is nan; nothing was written"):
        waveform.write_wav(tmp_path / "out.wav", np.array([0.0, np.nan], np.float32), 22_050)
    with pytest.raises(StorageError, match="No such file or directory"):
        waveform.write_wav(tmp_path / "no" / "out.wav", tone(), 22_050)
    (tmp_path / "out.wav").mkdir()
    with pytest.raises(StorageError, match=r"writing the recording failed at .*out\.wav.*Is a directory"):
        waveform.write_wav(tmp_path / "out.wav", tone(), 22_050)
    assert [path.name for path in tmp_path.iterdir()] == ["out.wav"]


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_a_written_file_has_the_permissions_that_the_umask_leaves(tmp_path: Path, mask: int, mode: int) -> None:
    """Cloned speech is readable only by its owner if the umask says so."""
    before = os.umask(mask)
    try:
        waveform.write_wav(tmp_path / "out.wav", tone(), 22_050)
    finally:
        os.umask(before)
    assert (tmp_path / "out.wav").stat().st_mode & 0o777 == mode


def test_a_name_as_long_as_a_file_system_takes_is_written(tmp_path: Path) -> None:
    name = "صدا" * 41 + ".wav"  # 250 bytes
    waveform.write_wav(tmp_path / name, tone(), 22_050)
    assert [path.name for path in tmp_path.iterdir()] == [name]
