"""Files that the decoder cannot read as they are: pointers, headers without lengths, formats that ffmpeg converts."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
from functools import lru_cache
from pathlib import Path

from myxtts.errors import DataError
from myxtts.messages import quoted

READ_SUFFIXES = (
    ".wav", ".flac", ".ogg", ".mp3", ".opus", ".oga", ".aiff", ".aif", ".aifc", ".au", ".snd", ".caf", ".w64", ".rf64",
)  # fmt: skip
"""Formats that libsndfile decodes."""
CONVERTED_SUFFIXES = (".m4a", ".aac", ".webm", ".mp4", ".mka", ".wma", ".amr", ".3gp", ".mov", ".ape", ".wv")
"""Formats that need ffmpeg."""
CONVERSION_SECONDS = 50.0
LARGEST_CONVERSION_BYTES = 1 << 30

_STREAMED_BYTES = 0x7FFF_0000
"""Lengths in WAV headers from here on mean unknown: programs that write to a pipe use them, and 0."""
_SLACK_BYTES = 64
"""Tolerance for the stated length: some programs include the header, or a few more bytes."""
_MOST_CHUNKS = 1_000
_PAGES = (b"<!doctype", b"<html", b"<?xml", b'{"error')
"""What a failed download begins with."""
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def source_of(path: Path, size: int) -> Path | io.BytesIO:
    """What the decoder opens for the file `path` of `size` bytes: the file, or its content repaired or converted.

    Raises DataError for a truncated WAV, a Git LFS pointer, a web page, and without ffmpeg for a format that needs it.
    """
    try:
        with path.open("rb") as file:
            start = file.read(200)
            if start.startswith(_LFS_POINTER):
                raise DataError(
                    f"{quoted(path, 200)}: a Git LFS pointer, not the recording itself; fetch it with `git lfs pull`"
                )
            if start.lstrip().lower().startswith(_PAGES):
                raise DataError(f"{quoted(path, 200)}: a web page, not the recording itself; download it again")
        place = _wav_data(path)
    except OSError:
        return path  # the decoder reports the reason
    if place is not None:
        begin, stated = place
        if stated < _STREAMED_BYTES and stated > max(size, size + _SLACK_BYTES - begin):
            raise DataError(
                f"{quoted(path, 200)}: truncated: its header states {stated} bytes of samples, the file has "
                f"{max(0, size - begin)}; copy it again"
            )
        if stated == 0 and size > begin and size <= LARGEST_CONVERSION_BYTES:
            content = path.read_bytes()
            if not content[begin : begin + 4].isalnum() or content[begin : begin + 4].lower() not in _OTHER_CHUNKS:
                return io.BytesIO(_with_length(content, begin))
    if path.suffix.lower() in CONVERTED_SUFFIXES:
        return io.BytesIO(converted(path))
    return path


_OTHER_CHUNKS = (b"list", b"fact", b"id3 ", b"bext", b"cue ", b"smpl", b"inst")
"""Chunks that may follow the data of a WAV file without samples."""


def can_convert() -> bool:
    """Whether ffmpeg is on the PATH."""
    return shutil.which("ffmpeg") is not None


def converted(path: Path) -> bytes:
    """The recording as WAV, by ffmpeg. Raises DataError where it is not on the PATH or cannot read the file."""
    status = path.stat()
    return _converted(path.absolute(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1)  # a file is opened for its header, then for its samples
def _converted(path: Path, size: int, changed_ns: int) -> bytes:
    program = shutil.which("ffmpeg")
    how = f"convert it, for example with `ffmpeg -i {path.name} {path.stem}.wav`"
    if program is None:
        raise DataError(
            f"{quoted(path, 200)}: exists, but cannot be read ({path.suffix[1:].lower() or 'its format'} needs "
            f"ffmpeg, which is not on the PATH); install ffmpeg, or {how}"
        )
    try:
        done = subprocess.run(
            [program, "-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe", "-i", f"file:{path}", "-vn",
             "-map_metadata", "-1", "-fs", str(LARGEST_CONVERSION_BYTES), "-f", "wav", "pipe:1"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CONVERSION_SECONDS,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
        )  # fmt: skip
    except (subprocess.TimeoutExpired, OSError) as error:
        raise DataError(f"{quoted(path, 200)}: ffmpeg did not convert it ({error!s:.120}); {how}") from error
    begin = done.stdout.find(b"data") + 8
    if done.returncode or begin < 8:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise DataError(f"{quoted(path, 200)}: ffmpeg cannot read it ({quoted(said, 120)}); record or copy it again")
    return _with_length(done.stdout, begin)


def _with_length(content: bytes, begin: int) -> bytes:
    """The WAV file with the length of its data, which begins at `begin`, in its headers."""
    repaired = bytearray(content)
    repaired[4:8] = struct.pack("<I", len(content) - 8)
    repaired[begin - 4 : begin] = struct.pack("<I", len(content) - begin)
    return bytes(repaired)


def _wav_data(path: Path) -> tuple[int, int] | None:
    """Offset and stated number of bytes of the samples of a WAV file; None for another format. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        for _ in range(_MOST_CHUNKS):
            chunk = file.read(8)
            if len(chunk) < 8:
                return None
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                return file.tell(), length
            file.seek(length + length % 2, os.SEEK_CUR)
    return None
