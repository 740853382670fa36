"""The layout of VCTK: wav48*/SPEAKER/NAME.wav (or NAME_mic1.flac) with txt/SPEAKER/NAME.txt."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from myxtts.data.audio_files import AUDIO_SUFFIXES
from myxtts.data.records import (
    ESCAPES_ROOT,
    MISSING_FILE,
    MISSING_TEXT,
    NOT_UTF8,
    Manifest,
    Rejection,
    Utterance,
    name_problem,
    shown,
    text_problem,
    visible,
)

MICROPHONES = ("_mic1", "_mic2")
LARGEST_TEXT_BYTES = 1 << 20


def audio_folder(root: Path) -> Path | None:
    """The folder wav48* of a root in this layout, or None if it is not."""
    if not (root / "txt").is_dir():
        return None
    folders = sorted(path for path in root.glob("wav48*") if path.is_dir())
    return folders[-1] if folders else None


def read(root: Path, audio: Path, language: str) -> Manifest:
    """Utterances of a root in this layout; of two microphones the first is taken."""
    real_root = Path(os.path.realpath(root))
    utterances: list[Utterance] = []
    rejections: list[Rejection] = []
    speakers = {path.name for folder in (audio, root / "txt") for path in folder.iterdir() if path.is_dir()}
    for speaker in sorted(speakers):
        recordings = _recordings(audio / speaker)
        texts = {path.stem: path for path in (root / "txt" / speaker).glob("*.txt")}
        for name in sorted(recordings.keys() | texts.keys()):
            source = f"{visible(str(root / 'txt' / speaker / name))}.txt:1"
            if name not in recordings:
                rejections.append(Rejection(source, visible(name), MISSING_FILE, shown(str(audio / speaker / name))))
            elif name not in texts:
                rejections.append(Rejection(source, visible(name), MISSING_TEXT, shown(str(recordings[name]))))
            elif not all(_inside(path, real_root) for path in (recordings[name], texts[name])):
                link = f"{shown(str(recordings[name]))} is a link"
                rejections.append(Rejection(source, visible(name), ESCAPES_ROOT, link))
            else:
                made = _utterance(name, recordings[name], texts[name], speaker, language, source)
                if isinstance(made, Rejection):
                    rejections.append(made)
                else:
                    utterances.append(made)
    note = f"{root}: VCTK layout ({audio.name}/SPEAKER, txt/SPEAKER), {len(utterances)} texts with a recording"
    return Manifest(utterances, rejections, root / "txt", [note])


def _recordings(folder: Path) -> dict[str, Path]:
    """Recordings of a speaker by the name that their text has."""
    found: dict[str, Path] = {}
    if folder.is_dir():
        for path in sorted(folder.iterdir()):  # _mic1 sorts before _mic2, and the first one counts
            if path.suffix.lower() in AUDIO_SUFFIXES:
                name = path.stem
                for microphone in MICROPHONES:
                    name = name.removesuffix(microphone)
                found.setdefault(name, path)
    return found


def _inside(path: Path, real_root: Path) -> bool:
    """Whether no symbolic link leads the path out of the root."""
    return Path(os.path.realpath(path)).is_relative_to(real_root)


def _utterance(
    name: str, recording: Path, text_path: Path, speaker: str, language: str, source: str
) -> Utterance | Rejection:
    """One recording with the text of its file."""
    problem = name_problem("file", name) or name_problem("speaker", speaker)
    if problem:
        return Rejection(source, visible(name), *problem)
    try:
        status = text_path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a FIFO would wait for ever
            return Rejection(source, name, MISSING_TEXT, f"{shown(str(text_path))}: not a regular file")
        if status.st_size > LARGEST_TEXT_BYTES:
            return Rejection(source, name, NOT_UTF8, f"{status.st_size} bytes are no text of a clip")
        raw = text_path.read_bytes()
        text = " ".join(raw.decode("utf-8-sig").split())
    except UnicodeDecodeError as error:
        return Rejection(source, name, NOT_UTF8, f"byte {raw[error.start : error.start + 1]!r} at {error.start}")
    except OSError as error:
        return Rejection(source, name, MISSING_TEXT, f"{shown(str(text_path))}: {error.strerror}")
    problem = text_problem(text)
    if problem:
        return Rejection(source, name, *problem)
    return Utterance(f"{speaker}/{name}", recording, text, speaker, language, source)
