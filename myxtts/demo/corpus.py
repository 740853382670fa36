"""The built-in corpus: sentences of this project spoken by eSpeak NG, made on first use without network access.

It is synthetic speech, so that everything can be tried at once; no model that is trained on it sounds human.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from myxtts.demo.espeak_voice import EspeakVoice, SpeechJob, SpokenFile, engine_version, speak_to_files
from myxtts.demo.sentences import ENGLISH, ENGLISH_HELD_OUT, PERSIAN, PERSIAN_HELD_OUT
from myxtts.errors import StorageError
from myxtts.progress import Progress, silent

FORMAT = 1
HEADER = "id|text|normalized|speaker|language"
MANIFEST_NAME = "manifest.json"
_FOLDER_PREFIX = "demo-"
_BUILDING_MARK = ".building-"
_STALE_SECONDS = 3600.0
_CLASSES = 5


@dataclass(frozen=True)
class DemoSpeaker:
    """A speaker: its voice, and which fifths of the sentences (0 to 4) it has in training."""

    name: str
    voice: EspeakVoice
    fifths: tuple[int, ...]


@dataclass(frozen=True)
class DemoClip:
    """One utterance of the corpus and its split, "train" or "eval"."""

    id: str
    text: str
    speaker: DemoSpeaker
    split: str


# Each English voice has two fifths (48 sentences), a different pair for every voice, so that each sentence is spoken by
# three or four voices: the model gets the same words in several voices and several words in each voice.
SPEAKERS = (
    DemoSpeaker("us_woman", EspeakVoice("en-us", "f3", 150, 48, 55), (0, 1)),
    DemoSpeaker("us_woman_high", EspeakVoice("en-us", "linda", 160, 58, 50), (2, 3)),
    DemoSpeaker("us_man", EspeakVoice("en-us", "m3", 156, 58, 55), (1, 4)),
    DemoSpeaker("us_man_deep", EspeakVoice("en-us", "m7", 142, 38, 45), (0, 2)),
    DemoSpeaker("gb_woman", EspeakVoice("en-gb", "f1", 152, 45, 55), (3, 4)),
    DemoSpeaker("gb_man", EspeakVoice("en-gb-x-rp", "Lee", 160, 70, 60), (0, 3)),
    DemoSpeaker("scottish_man", EspeakVoice("en-gb-scotland", "", 148, 66, 60), (2, 4)),
    DemoSpeaker("caribbean_woman", EspeakVoice("en-029", "steph", 146, 48, 60), (1, 3)),
    DemoSpeaker("persian_woman", EspeakVoice("fa", "belinda", 140, 46, 60, volume=55), (0, 1, 2, 3)),
    DemoSpeaker("persian_man", EspeakVoice("fa", "m1", 140, 62, 60), (0, 1, 2, 4)),
)


def clips() -> list[DemoClip]:
    """All utterances in the order in which they are made, the same on every machine.

    The evaluation split has for each speaker two sentences (Persian: three) that no voice has in training, and for
    English speakers one that only other voices have.
    """
    found: list[DemoClip] = []
    for number, speaker in enumerate(SPEAKERS):
        persian = speaker.voice.language == "fa"
        pool, held_out = (PERSIAN, PERSIAN_HELD_OUT) if persian else (ENGLISH, ENGLISH_HELD_OUT)
        place = sum((other.voice.language == "fa") == persian for other in SPEAKERS[:number])
        share = 3 if persian else 2
        texts = [(text, "train") for index, text in enumerate(pool) if index % _CLASSES in speaker.fifths]
        texts += [(text, "eval") for text in held_out[place * share : (place + 1) * share]]
        if not persian:
            others = [text for index, text in enumerate(pool) if index % _CLASSES not in speaker.fifths]
            texts.append((others[7 * number], "eval"))
        found += [
            DemoClip(f"{speaker.name}_{index:03d}", text, speaker, split)
            for index, (text, split) in enumerate(texts, start=1)
        ]
    return found


def version() -> str:
    """Twelve hex digits that change with the sentences, the voices, the format and the version of eSpeak NG."""
    content = {
        "format": FORMAT,
        "engine": engine_version(),
        "clips": [[clip.id, clip.text, clip.split, dataclasses.asdict(clip.speaker.voice)] for clip in clips()],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def ensure(cache_root: Path, progress: Progress = silent) -> Path:
    """Data root of the built-in corpus under `cache_root`; made if it is absent or damaged.

    The folder has metadata_train.csv, metadata_eval.csv, wavs/ (22,050 Hz, 16 bits, mono) and a manifest with the
    SHA-256 of every file, which is checked on each call. Errors: StorageError if it cannot be written.
    """
    try:
        return _ensure(cache_root.expanduser(), progress)
    except OSError as error:
        advice = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "check its permissions"
        raise StorageError(
            f"the built-in corpus cannot be made under {str(cache_root)!r}: {error.strerror or error}; "
            f"{advice}, or set data.cache_path to another folder"
        ) from error


def _ensure(cache_root: Path, progress: Progress) -> Path:
    root = cache_root / f"{_FOLDER_PREFIX}{version()}"
    if is_intact(root):
        return root
    cache_root.mkdir(parents=True, exist_ok=True)
    _remove_stale(cache_root)
    building = _new_folder(root)
    try:
        _build(building, progress)
        _put_in_place(building, root)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return root


def _new_folder(root: Path) -> Path:
    """A new folder beside `root` that no other process uses, with permissions according to the umask."""
    folder = root.with_name(f"{root.name}{_BUILDING_MARK}{secrets.token_hex(8)}")
    folder.mkdir()
    return folder


def is_intact(root: Path) -> bool:
    """Whether every file of the corpus has the content recorded in the manifest."""
    try:
        manifest = json.loads((root / MANIFEST_NAME).read_text(encoding="utf-8"))
        files = manifest["files"]
        expected = {f"wavs/{clip.id}.wav" for clip in clips()} | {"metadata_train.csv", "metadata_eval.csv"}
        return set(files) == expected and all(
            hashlib.sha256((root / name).read_bytes()).hexdigest() == digest for name, digest in files.items()
        )
    except FileNotFoundError:
        return False
    except (NotADirectoryError, IsADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        return False  # with a damaged manifest the corpus is made again


def _build(root: Path, progress: Progress) -> None:
    (root / "wavs").mkdir()
    everything = clips()
    jobs = [SpeechJob(clip.text, clip.speaker.voice, f"wavs/{clip.id}.wav") for clip in everything]
    spoken = speak_to_files(jobs, root, progress, task="built-in corpus")
    for split in ("train", "eval"):
        rows = [HEADER] + [_row(clip) for clip in everything if clip.split == split]
        (root / f"metadata_{split}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8", newline="\n")
    _write_manifest(root, spoken)


def _row(clip: DemoClip) -> str:
    return "|".join((clip.id, clip.text, clip.text, clip.speaker.name, clip.speaker.voice.language))


def _write_manifest(root: Path, spoken: list[SpokenFile]) -> None:
    files = {file.path: file.sha256 for file in spoken}
    for path in sorted(root.glob("metadata_*.csv")):
        files[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest = {
        "about": "Synthetic speech made by eSpeak NG; not recordings of people.",
        "format": FORMAT,
        "engine": engine_version(),
        "files": files,
    }
    (root / MANIFEST_NAME).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _put_in_place(building: Path, root: Path) -> None:
    """Renames the finished folder, unless another process has made an intact corpus in the meantime."""
    if root.exists() or root.is_symlink():
        if is_intact(root):
            return
        aside = _new_folder(root)
        root.replace(aside / "damaged")
        shutil.rmtree(aside, ignore_errors=True)
    try:
        building.rename(root)
    except OSError:
        if not is_intact(root):
            raise


def _remove_stale(cache_root: Path) -> None:
    """Removes folders left by killed processes; recent ones may belong to a process that is still running."""
    for path in cache_root.glob(f"{_FOLDER_PREFIX}*{_BUILDING_MARK}*"):
        if time.time() - path.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
