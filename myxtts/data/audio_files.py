"""Finds the recording of a metadata row, below the root and nowhere else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from myxtts.data.records import AMBIGUOUS_FILE, ESCAPES_ROOT, MISSING_FILE
from myxtts.messages import quoted

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
AUDIO_FOLDERS = ("wavs", "")


@dataclass(frozen=True)
class Found:
    """A recording: its path, its id (path below wavs/ without suffix), its folder in wavs/ or ""."""

    path: Path
    id: str
    folder: str


@dataclass(frozen=True)
class NotFound:
    """Why there is no recording for a row."""

    reason: str
    value: str


class AudioFiles:
    """The recordings below one root; every folder is listed only once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._real_root = Path(os.path.realpath(root))
        self._folders: dict[str, dict[str, bool]] = {}
        self._stems: dict[str, list[str]] | None = None

    def find(self, name: str) -> Found | NotFound:
        """The recording for an id or file name of the metadata; folder and suffix may be missing."""
        if not name or "\0" in name:
            return NotFound(MISSING_FILE, quoted(name))
        posix = PurePosixPath(name.replace("\\", "/"))
        if posix.is_absolute() or ".." in posix.parts or (len(name) > 1 and name[1] == ":"):
            return NotFound(ESCAPES_ROOT, f"{quoted(name)}: a path must be relative to the root and without '..'")
        for folder in AUDIO_FOLDERS:
            relative = self._beneath(PurePosixPath(folder) / posix)
            if relative is not None:
                return self._checked(relative, name)
        stem = _without_audio_suffix(posix)
        if len(posix.parts) == 1:
            places = self._by_stem().get(stem.name, [])
            if len(places) > 1:
                return NotFound(AMBIGUOUS_FILE, f"{quoted(name)} is {places[0]} and {places[1]}; name the folder too")
            if places:
                return self._checked(PurePosixPath(places[0]), name)
        tried = f"{self.root}/wavs/{stem}" if posix.parts[:1] != ("wavs",) else f"{self.root}/{stem}"
        return NotFound(MISSING_FILE, f"{quoted(tried)} with .wav, .flac, .ogg, .mp3")

    def _beneath(self, path: PurePosixPath) -> PurePosixPath | None:
        """`path` as it is on the disk, with its own audio suffix or another one; None if there is no such file."""
        listing = self._listing(str(path.parent))
        if path.suffix.lower() in AUDIO_SUFFIXES and path.name in listing:
            return path
        stem = _without_audio_suffix(path)
        for suffix in AUDIO_SUFFIXES:
            for cased in (suffix, suffix.upper()):
                if stem.name + cased in listing:
                    return stem.parent / (stem.name + cased)
        return None

    def _checked(self, relative: PurePosixPath, name: str) -> Found | NotFound:
        """The recording, unless a symbolic link in its path leaves the root."""
        path = self.root / relative
        if self._listing(str(relative.parent)).get(relative.name) or not self._inside(str(relative.parent)):
            real = os.path.realpath(path)
            if not _is_below(real, self._real_root):
                return NotFound(
                    ESCAPES_ROOT, f"{quoted(name)} is a link to {quoted(real)}; copy the file into the root"
                )
        parts = _without_audio_suffix(relative).parts
        below = parts[1:] if parts[0] == "wavs" and len(parts) > 1 else parts
        return Found(path, "/".join(below), below[0] if parts[0] == "wavs" and len(below) > 1 else "")

    def _inside(self, folder: str) -> bool:
        """Whether a folder below the root is there with all links resolved."""
        return _is_below(os.path.realpath(self.root / folder), self._real_root)

    def _listing(self, folder: str) -> dict[str, bool]:
        """Names in a folder below the root, and whether each is a symbolic link; empty if it is not a folder."""
        known = self._folders.get(folder)
        if known is None:
            try:
                with os.scandir(self.root / folder) as entries:
                    known = {entry.name: entry.is_symlink() for entry in entries}
            except (OSError, ValueError):
                known = {}
            self._folders[folder] = known
        return known

    def _by_stem(self) -> dict[str, list[str]]:
        """Recordings one folder below wavs/ by their name without suffix: wavs/SPEAKER/x.wav."""
        if self._stems is None:
            self._stems = {}
            for folder in sorted(self._listing("wavs")):
                if PurePosixPath(folder).suffix.lower() in AUDIO_SUFFIXES:
                    continue
                for file in sorted(self._listing(f"wavs/{folder}")):
                    if PurePosixPath(file).suffix.lower() in AUDIO_SUFFIXES:
                        self._stems.setdefault(PurePosixPath(file).stem, []).append(f"wavs/{folder}/{file}")
        return self._stems


def _is_below(path: str, root: Path) -> bool:
    """Whether a resolved path is the root or below it."""
    return path == str(root) or path.startswith(str(root).rstrip("/") + "/")


def _without_audio_suffix(path: PurePosixPath) -> PurePosixPath:
    """A path without .wav, .flac, .ogg or .mp3; other dots are part of the name."""
    return path.with_suffix("") if path.suffix.lower() in AUDIO_SUFFIXES else path
