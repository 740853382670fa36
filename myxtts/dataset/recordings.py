"""Finds and names the long recordings, and reads their samples in blocks."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from myxtts.audio.waveform import HIGHEST_RATE_HZ, LOUDEST_SAMPLE, LOWEST_RATE_HZ, open_recording, probe
from myxtts.data.audio_files import has_audio_suffix
from myxtts.errors import DataError
from myxtts.messages import quoted
from myxtts.units import seconds_of_samples

Array = npt.NDArray[np.float32]

LONGEST_SECONDS = 24 * 3600.0
_MOST_RECORDINGS = 10_000
_BLOCK_SAMPLES = 262_144
_CANCELLED = 0.2
"""As in `audio.waveform`: below this share of the loudest channel's power, the channels cancel each other."""
_HASHED_BYTES = 1 << 20


@dataclass(frozen=True)
class LongRecording:
    """A recording to cut.

    Attributes:
        path: its file.
        name: prefix of its clips, unique among the recordings.
        folder: its folder below the one that the user named; "" for none.
        sample_rate_hz: of the file.
        seconds: by its header.
        key: hash of its content, for the intermediate files of an interrupted run.
    """

    path: Path
    name: str
    folder: str
    sample_rate_hz: int
    seconds: float
    key: str


def find_recordings(place: Path) -> list[LongRecording]:
    """The recordings at `place`: a file, or a folder with files and folders of files. Raises DataError."""
    try:
        if not place.exists():
            raise DataError(f"{quoted(place, 200)}: there is no such file or folder; name a recording, or their folder")
        paths = _paths_in(place) if place.is_dir() else [place]
    except OSError as error:
        raise DataError(f"{quoted(place, 200)}: cannot be read ({error.strerror}); check its permissions") from error
    if not paths:
        raise DataError(f"{quoted(place, 200)}: no recordings; expected files such as .wav, .flac, .mp3 or .ogg")
    if len(paths) > _MOST_RECORDINGS:
        raise DataError(f"{quoted(place, 200)}: {len(paths)} recordings, at most {_MOST_RECORDINGS}; split the folder")
    found: list[LongRecording] = []
    taken: set[str] = set()
    for path in paths:
        info = probe(path)
        where = quoted(path, 200)
        if not LOWEST_RATE_HZ <= info.sample_rate_hz <= HIGHEST_RATE_HZ:
            raise DataError(
                f"{where}: sample rate {info.sample_rate_hz} Hz, supported are {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} "
                "Hz; convert it"
            )
        if info.samples == 0:
            raise DataError(f"{where}: contains no samples; record or copy it again")
        if info.seconds > LONGEST_SECONDS:
            raise DataError(f"{where}: {info.seconds / 3600:.1f} hours, at most {LONGEST_SECONDS / 3600:g}; split it")
        folder = path.parent.relative_to(place).parts[0] if place.is_dir() and path.parent != place else ""
        folder = "".join(c if c.isprintable() and c != "|" else "-" for c in folder)  # a cell of the metadata
        name = _unique(_name_of(path.stem), taken)
        found.append(LongRecording(path, name, folder, info.sample_rate_hz, info.seconds, _key_of(path)))
    return found


def _paths_in(folder: Path) -> list[Path]:
    """Recordings in a folder and in its folders, in the order of their names with numbers as numbers."""
    places = [folder, *(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))]
    paths = [path for place in places for path in place.iterdir() if has_audio_suffix(path.name) and path.is_file()]
    return sorted(paths, key=lambda path: [_natural(part) for part in path.relative_to(folder).parts])


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts if part]


def _name_of(stem: str) -> str:
    """A stem as a portable part of a file name: letters, digits, hyphens and underscores."""
    name = re.sub(r"[^\w-]+", "-", unicodedata.normalize("NFC", stem)).strip("-")
    return name[:60] or "recording"


def _unique(name: str, taken: set[str]) -> str:
    number, made = 2, name
    while made.casefold() in taken:
        made, number = f"{name}-{number}", number + 1
    taken.add(made.casefold())
    return made


def _key_of(path: Path) -> str:
    """Hash of the size, the beginning and the end of a file."""
    digest = hashlib.blake2b(digest_size=12)
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            digest.update(str(size).encode())
            for at in (0, max(0, size - _HASHED_BYTES)):
                file.seek(at)
                digest.update(file.read(_HASHED_BYTES))
    except OSError as error:
        raise DataError(f"{quoted(path, 200)}: cannot be read ({error.strerror}); check its permissions") from error
    return digest.hexdigest()


def mono_blocks(path: Path) -> Iterator[Array]:
    """The samples of a recording in blocks, as one channel: the mean, or the loudest where channels cancel each other.

    Raises DataError for what cannot be decoded or is not finite.
    """
    path = Path(path)
    with open_recording(path) as file:
        channel = _loudest_alone(file, path) if file.channels > 1 else None
        done = 0
        for block in _blocks(file, path):
            if file.channels == 1:
                mono = block[:, 0]
            else:
                mono = block.mean(axis=1, dtype=np.float32) if channel is None else block[:, channel]
            _check(mono, done, path, file.samplerate)
            done += len(mono)
            yield np.ascontiguousarray(mono)
        if done == 0:
            raise DataError(f"{quoted(path, 200)}: contains no samples; record or copy it again")


def _blocks(file: soundfile.SoundFile, path: Path) -> Iterator[Array]:
    done, size = 0, max(1, _BLOCK_SAMPLES // file.channels)
    try:
        while True:
            block = file.read(size, dtype="float32", always_2d=True)
            if len(block) == 0:
                return
            done += len(block)
            if done > LONGEST_SECONDS * file.samplerate:
                raise DataError(f"{quoted(path, 200)}: longer than {LONGEST_SECONDS / 3600:g} hours; split it")
            yield block
    except soundfile.LibsndfileError as error:
        reason = " ".join(str(error.error_string).split()).rstrip(".")
        at = seconds_of_samples(done, file.samplerate)
        raise DataError(f"{quoted(path, 200)}: damaged after {at:.2f} s ({reason}); record or copy it again") from error


def _loudest_alone(file: soundfile.SoundFile, path: Path) -> int | None:
    """The loudest channel where the mean of the channels is far weaker; None where the mean is good."""
    sums, squares = np.zeros((2, file.channels + 1))
    done = 0
    with np.errstate(over="ignore", invalid="ignore"):  # samples that are not finite are reported later
        for block in _blocks(file, path):
            for at, values in enumerate((block.mean(axis=1, dtype=np.float32), *block.T)):
                sums[at] += values.sum(dtype=np.float64)
                squares[at] += np.square(values, dtype=np.float64).sum()
            done += len(block)
        power = squares / max(1, done) - np.square(sums / max(1, done))
    file.seek(0)
    return None if power[0] >= _CANCELLED * power[1:].max() else int(power[1:].argmax())


def _check(mono: Array, done: int, path: Path, rate: int) -> None:
    peak = float(np.abs(mono).max())
    if not peak <= LOUDEST_SAMPLE:  # or not a number
        at = seconds_of_samples(done + int(np.argmax(~(np.abs(mono) <= LOUDEST_SAMPLE))), rate)
        raise DataError(
            f"{quoted(path, 200)}: a sample at {at:.2f} s is {peak:.3g}, full scale is 1; export it again as 16-bit"
        )
