"""Finds the recording of a metadata row, only below the root.

A row may name it with or without folder and suffix. Changes by other systems are accepted: an absolute
path below the root or of another machine, decomposed letters (macOS), other digits, other case, leading zeros lost in
a spreadsheet.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from myxtts.audio.containers import CONVERTED_SUFFIXES, READ_SUFFIXES
from myxtts.data.records import AMBIGUOUS_FILE, ESCAPES_ROOT, MISSING_FILE
from myxtts.messages import quoted

AUDIO_SUFFIXES = (*READ_SUFFIXES, *CONVERTED_SUFFIXES)
"""In order of preference for a row without a suffix."""
AUDIO_FOLDERS = ("wavs", "wav", "clips", "audio", "")
"""Folders of recordings; those of its speakers may be below."""
FOLLOW_LINKS = "data.follow_links (--set data.follow_links=true)"
"""The setting that allows links out of the root, for a message."""
_SUFFIXES = frozenset(AUDIO_SUFFIXES)


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
    """The recordings below one root; every folder is listed only once.

    `follow_links`: a symbolic link may lead out of the root. A name with ".." or an absolute path still does not.
    """

    def __init__(self, root: Path, follow_links: bool = False) -> None:
        self.root = root
        self._follow_links = follow_links
        self._real_root = Path(os.path.realpath(root))
        self._folders: dict[str, dict[str, bool]] = {}
        self._is_inside: dict[str, bool] = {}
        self._folded: dict[str, dict[str, list[str]]] = {}
        self._stems: dict[str, list[str]] | None = None

    def find(self, name: str) -> Found | NotFound:
        """The recording for an id or file name of the metadata; folder and suffix may be missing."""
        if not name or "\0" in name:
            return NotFound(MISSING_FILE, quoted(name))
        posix = PurePosixPath(name.replace("\\", "/"))
        foreign = posix.is_absolute() or (len(name) > 1 and name[1] == ":")
        escapes = NotFound(ESCAPES_ROOT, f"{quoted(name)}: a path must lead to a file below the root, without '..'")
        if ".." in posix.parts:
            return escapes
        for path in _tails(posix) if foreign else (posix,):
            for folder in AUDIO_FOLDERS:
                relative = self._beneath(PurePosixPath(folder) / path)
                if relative is not None:
                    return self._checked(relative, name)
        stem = _without_audio_suffix(posix)
        if len(posix.parts) == 1:
            places = self._by_stem().get(stem.name, [])
            if len(places) > 1:
                return NotFound(AMBIGUOUS_FILE, f"{quoted(name)} is {places[0]} and {places[1]}; name the folder too")
            if places:
                return self._checked(PurePosixPath(places[0]), name)
        for path in _tails(posix) if foreign else self._own_tails(posix):
            for folder in AUDIO_FOLDERS:
                similar = self._similar(PurePosixPath(folder) / path)
                if len(similar) > 1:
                    return NotFound(AMBIGUOUS_FILE, f"{quoted(name)} may be {similar[0]} or {similar[1]}; rename one")
                if similar:
                    return self._checked(similar[0], name)
        if foreign:
            return escapes
        tried = f"{self.root}/{stem}" if posix.parts[0] in AUDIO_FOLDERS else f"{self.root}/wavs/{stem}"
        return NotFound(MISSING_FILE, f"{quoted(tried)} with .wav, .flac, .ogg, .mp3 or another suffix of sound files")

    def is_recording(self, name: str) -> bool:
        """Whether a cell of a table names an existing recording."""
        return 0 < len(name) < 1_000 and isinstance(self.find(name), Found)

    def _beneath(self, path: PurePosixPath) -> PurePosixPath | None:
        """`path` as it is on the disk, with its own audio suffix or another one; None if there is no such file."""
        listing = self._listing(str(path.parent))
        if not listing:
            return None
        if has_audio_suffix(path.name) and path.name in listing:
            return path
        stem = _without_audio_suffix(path)
        for suffix in AUDIO_SUFFIXES:
            for cased in (suffix, suffix.upper()):
                if stem.name + cased in listing:
                    return stem.parent / (stem.name + cased)
        return None

    def _own_tails(self, path: PurePosixPath) -> Iterator[PurePosixPath]:
        """A relative path, and its parts that may be below the root if its first folders do not exist.

        A list may name files from the folder that the root is in, or from one that only its author had.
        """
        yield path
        if not any(self._listing(str(PurePosixPath(folder) / path.parts[0])) for folder in AUDIO_FOLDERS):
            yield from list(_tails(path))[1:]

    def _similar(self, path: PurePosixPath) -> list[PurePosixPath]:
        """Recordings in the folder of `path` with its name in another Unicode form or case, or other digits."""
        parent = str(path.parent)
        if parent not in self._folded:
            folded: dict[str, list[str]] = {}
            for entry in self._listing(parent):
                if has_audio_suffix(entry):
                    for key in {_folded(PurePosixPath(entry).stem), _without_zeros(PurePosixPath(entry).stem)}:
                        folded.setdefault(key, []).append(entry)
            self._folded[parent] = folded
        stem = _without_audio_suffix(path).name
        names = self._folded[parent].get(_folded(stem)) or self._folded[parent].get(_without_zeros(stem)) or []
        exact = [name for name in names if _same_form(name) == _same_form(path.name)]
        by_stem = {PurePosixPath(name).stem: name for name in sorted(exact or names, key=_preference, reverse=True)}
        return [path.parent / name for name in by_stem.values()]

    def _checked(self, relative: PurePosixPath, name: str) -> Found | NotFound:
        """The recording, unless a symbolic link in its path leaves the root."""
        path = self.root / relative
        linked = self._listing(str(relative.parent)).get(relative.name) or not self._inside(str(relative.parent))
        if linked and not self._follow_links:
            real = os.path.realpath(path)
            if not _is_below(real, self._real_root):
                what = f"{quoted(name)} is a link to {quoted(real)}"
                return NotFound(ESCAPES_ROOT, f"{what}; copy the file into the root, or set {FOLLOW_LINKS}")
        parts = _without_audio_suffix(relative).parts
        below = parts[1:] if parts[0] in AUDIO_FOLDERS and len(parts) > 1 else ()
        # Only wavs/ is not part of an id; ids are in the records of runs, so this cannot change.
        return Found(
            path, "/".join(below if parts[0] == "wavs" and below else parts), below[0] if len(below) > 1 else ""
        )

    def _inside(self, folder: str) -> bool:
        """Whether a folder is below the root with all links resolved."""
        if folder not in self._is_inside:
            self._is_inside[folder] = _is_below(os.path.realpath(self.root / folder), self._real_root)
        return self._is_inside[folder]

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
        """Recordings one folder below a folder of recordings by their name without suffix: wavs/SPEAKER/x.wav."""
        if self._stems is None:
            self._stems = {}
            for top in AUDIO_FOLDERS[:-1]:
                for folder in sorted(self._listing(top)):
                    if has_audio_suffix(folder):
                        continue
                    for file in sorted(self._listing(f"{top}/{folder}")):
                        if has_audio_suffix(file):
                            self._stems.setdefault(PurePosixPath(file).stem, []).append(f"{top}/{folder}/{file}")
        return self._stems


def has_audio_suffix(name: str) -> bool:
    """Whether a file name ends as one of a recording."""
    return os.path.splitext(name)[1].lower() in _SUFFIXES  # noqa: PTH122  # the faster call, once per cell


def _tails(path: PurePosixPath) -> Iterator[PurePosixPath]:
    """The path without its root, then without one more folder each: what may be below the root of a foreign path."""
    parts = path.parts[1:] if path.is_absolute() or path.parts[0].endswith(":") else path.parts
    yield from (PurePosixPath(*parts[at:]) for at in range(len(parts)))


def _folded(stem: str) -> str:
    """A stem with one form of each letter and digit (Persian and full-width ones too), and no invisible characters."""
    if stem.isascii():
        return stem.lower()
    visible = "".join(c for c in unicodedata.normalize("NFKC", stem) if unicodedata.category(c) != "Cf")
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in visible).casefold()


def _without_zeros(stem: str) -> str:
    """The stem as `_folded`; of digits alone, without leading zeros."""
    folded = _folded(stem)
    if folded.endswith(".0"):  # a number to a spreadsheet
        folded = folded[:-2]
    return "\0" + (folded.lstrip("0") or "0") if folded.isdecimal() else folded


def _same_form(name: str) -> str:
    return unicodedata.normalize("NFC", os.path.splitext(name)[0])  # noqa: PTH122


def _preference(name: str) -> int:
    """The place of a file's suffix among the audio suffixes."""
    return AUDIO_SUFFIXES.index(os.path.splitext(name)[1].lower())  # noqa: PTH122


def _is_below(path: str, root: Path) -> bool:
    """Whether a resolved path is the root or below it."""
    return path == str(root) or path.startswith(str(root).rstrip("/") + "/")


def _without_audio_suffix(path: PurePosixPath) -> PurePosixPath:
    """A path without a suffix of recordings; other dots are part of the name."""
    return path.with_suffix("") if has_audio_suffix(path.name) else path
