"""Finds the recording that a metadata row means, below the root and nowhere else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from myxtts.data.records import AMBIGUOUS_FILE, ESCAPES_ROOT, MISSING_FILE, shown

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
AUDIO_FOLDERS = ("wavs", "")


@dataclass(frozen=True)
class Found:
    """A recording: its path, its id (path below wavs/ without ending), its folder in wavs/ or ""."""

    path: Path
    id: str
    folder: str


@dataclass(frozen=True)
class NotFound:
    """Why there is no recording for a row."""

    reason: str
    value: str


class AudioFiles:
    """The recordings below one root; every folder is listed once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._real_root = Path(os.path.realpath(root))
        self._folders: dict[str, dict[str, bool]] = {}
        self._stems: dict[str, list[str]] | None = None

    def find(self, name: str) -> Found | NotFound:
        """The recording of an id or file as metadata writes it; guesses folder and ending."""
        if not name or "\0" in name:
            return NotFound(MISSING_FILE, shown(name))
        posix = PurePosixPath(name.replace("\\", "/"))
        if posix.is_absolute() or ".." in posix.parts or (len(name) > 1 and name[1] == ":"):
            return NotFound(ESCAPES_ROOT, f"{shown(name)}: a path must be relative to the root and without '..'")
        for folder in AUDIO_FOLDERS:
            relative = self._beneath(PurePosixPath(folder) / posix)
            if relative is not None:
                return self._checked(relative, name)
        stem = _without_audio_suffix(posix)
        if len(posix.parts) == 1:
            places = self._by_stem().get(stem.name, [])
            if len(places) > 1:
                return NotFound(AMBIGUOUS_FILE, f"{shown(name)} is {places[0]} and {places[1]}; name the folder too")
            if places:
                return self._checked(PurePosixPath(places[0]), name)
        tried = f"{self.root}/wavs/{stem}" if posix.parts[:1] != ("wavs",) else f"{self.root}/{stem}"
        return NotFound(MISSING_FILE, f"{shown(tried)} with .wav, .flac, .ogg, .mp3")

    def _beneath(self, path: PurePosixPath) -> PurePosixPath | None:
        """`path` as it stands on the disk, with its own ending or with another of audio; None: there is none."""
        listing = self._listing(str(path.parent))
        if path.suffix.lower() in AUDIO_SUFFIXES and path.name in listing:
            return path
        stem = _without_audio_suffix(path)
        for suffix in AUDIO_SUFFIXES:
            for ending in (suffix, suffix.upper()):
                if stem.name + ending in listing:
                    return stem.parent / (stem.name + ending)
        return None

    def _checked(self, relative: PurePosixPath, name: str) -> Found | NotFound:
        """The recording, unless a symbolic link on the way to it leaves the root."""
        path = self.root / relative
        if self._listing(str(relative.parent)).get(relative.name) or not self._inside(str(relative.parent)):
            real = os.path.realpath(path)
            if not _is_below(real, self._real_root):
                return NotFound(ESCAPES_ROOT, f"{shown(name)} is a link to {shown(real)}; copy the file into the root")
        parts = _without_audio_suffix(relative).parts
        below = parts[1:] if parts[0] == "wavs" and len(parts) > 1 else parts
        return Found(path, "/".join(below), below[0] if parts[0] == "wavs" and len(below) > 1 else "")

    def _inside(self, folder: str) -> bool:
        """Whether a folder below the root really lies there."""
        return _is_below(os.path.realpath(self.root / folder), self._real_root)

    def _listing(self, folder: str) -> dict[str, bool]:
        """Names in a folder below the root, each with whether it is a symbolic link; empty for no folder."""
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
        """Recordings one folder below wavs/ by their name without ending: wavs/SPEAKER/x.wav."""
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
    """Whether a real path is the root or lies below it."""
    return path == str(root) or path.startswith(str(root).rstrip("/") + "/")


def _without_audio_suffix(path: PurePosixPath) -> PurePosixPath:
    """A path without .wav, .flac, .ogg or .mp3; other dots belong to the name."""
    return path.with_suffix("") if path.suffix.lower() in AUDIO_SUFFIXES else path
