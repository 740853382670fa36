"""The clips of an earlier start of a run, identified by content: a renamed folder or a sorted table changes nothing.

A clip is the content of its recording, as in the name of its feature file. Its id and, where no table names one, its
speaker come from the names of folders; a resumed run keeps those that it began with.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from myxtts.data.corpus import Corpus, parse_corpus
from myxtts.data.feature_store import FeatureStore, StoredClip
from myxtts.errors import DataError
from myxtts.messages import quoted
from myxtts.storage.files import read_regular_file, strict_json

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class KnownClip:
    """A clip as the run knows it: whether it is a training clip, its id, content, speaker and text."""

    train: bool
    id: str
    content: str
    speaker: str
    text: str


@dataclass(frozen=True)
class KnownClips:
    """The clips and statistics of a run."""

    clips: list[KnownClip]
    corpus: Corpus

    def of(self, *, train: bool) -> list[KnownClip]:
        """The training or the validation clips, in their order."""
        return [clip for clip in self.clips if clip.train == train]


def clip_lines(train: FeatureStore, validation: FeatureStore) -> str:
    """The clips of a run for its file, one JSON object per line."""
    lines = []
    for store in (train, validation):
        for row, u in enumerate(store.utterances):
            values = {"train": store is train, "id": u.id, "content": store.entry_path(row).stem, "speaker": u.speaker}
            lines.append(json.dumps({**values, "text": u.text}, ensure_ascii=False))
    return "".join(f"{line}\n" for line in lines)


def read_known(clips_path: Path, corpus_path: Path) -> KnownClips | None:
    """The clips recorded in a run directory; None if there is no usable record."""
    try:
        lines = bytes(read_regular_file(clips_path, None)).splitlines()
        clips = [KnownClip(**values) for line in lines if isinstance(values := strict_json(line), dict)]
        corpus = parse_corpus(bytes(read_regular_file(corpus_path, None)))
    except (OSError, ValueError, TypeError, DataError):
        return None
    texts = all(isinstance(value, str) for clip in clips for value in (clip.id, clip.content, clip.speaker, clip.text))
    return KnownClips(clips, corpus) if clips and texts else None


def adopt_names(
    clips: Sequence[StoredClip], known: KnownClips, default_speakers: Collection[str]
) -> tuple[list[StoredClip], list[str]]:
    """The clips with the ids that the run knows their contents by, and notes on what changed.

    A speaker is renamed only if it is one of `default_speakers`, which are names of folders, and all its known clips
    had one other name.
    """
    by_content = _unique([(clip.content, clip) for clip in known.clips])
    counts = Counter(clip.entry.stem for clip in clips)
    found = {
        at: by_content[clip.entry.stem]
        for at, clip in enumerate(clips)
        if counts[clip.entry.stem] == 1 and clip.entry.stem in by_content
    }
    speakers: dict[str, set[str]] = {}
    for at, own in found.items():
        speakers.setdefault(clips[at].utterance.speaker, set()).add(own.speaker)
    present = {clip.utterance.speaker for clip in clips}
    renamed = {
        now: next(iter(before))
        for now, before in speakers.items()
        if now in default_speakers and len(before) == 1 and not before & present
    }
    named: list[StoredClip] = []
    moved = 0
    taken = {clip.utterance.id for at, clip in enumerate(clips) if at not in found}
    for at, clip in enumerate(clips):
        utterance = clip.utterance
        if at in found and found[at].id != utterance.id and found[at].id not in taken:
            utterance, moved = replace(utterance, id=found[at].id), moved + 1
        speaker = renamed.get(utterance.speaker, utterance.speaker)
        named.append(replace(clip, utterance=replace(utterance, speaker=speaker)))
    notes = []
    if moved or renamed:
        names = ", ".join(f"{quoted(now, 60)} is still {quoted(before, 60)}" for now, before in renamed.items())
        notes.append(
            "the data was renamed since this run began; its clips are identified by their content: "
            + "; ".join(filter(None, [f"{moved} ids are kept" if moved else "", f"speaker {names}" if names else ""]))
        )
    return named, notes


def as_known(
    train: list[StoredClip], validation: list[StoredClip], known: KnownClips
) -> tuple[list[StoredClip], list[StoredClip], list[str]]:
    """The clips in the order in which the run knows them if they are the same ones, and notes on what changed."""
    notes = _changes([*train, *validation], known)
    return _in_order(train, known.of(train=True)), _in_order(validation, known.of(train=False)), notes


def is_same_data(train: Sequence[StoredClip], known: KnownClips, measured: Corpus) -> bool:
    """Whether only texts differ from the training data of the run, so that its statistics remain valid."""
    before = [(clip.content, clip.id, clip.speaker) for clip in known.of(train=True)]
    now = [(clip.entry.stem, clip.utterance.id, clip.utterance.speaker) for clip in train]
    return now == before and all(
        getattr(measured, name) == getattr(known.corpus, name)
        for name in ("speakers", "languages", "symbols", "mel_fingerprint")
    )


def _in_order(clips: list[StoredClip], known: Sequence[KnownClip]) -> list[StoredClip]:
    """The clips in the known order if they are the same ones, else as they are."""
    by_name = _unique([((clip.entry.stem, clip.utterance.id), clip) for clip in clips])
    names = [(clip.content, clip.id) for clip in known]
    if len(by_name) != len(clips) or set(names) != set(by_name) or len(names) != len(clips):
        return clips
    return [by_name[name] for name in names]


def _changes(clips: Sequence[StoredClip], known: KnownClips) -> list[str]:
    """Notes on clips that are new, missing, or have another text."""
    before = _unique([(clip.content, clip) for clip in known.clips])
    now = _unique([(clip.entry.stem, clip.utterance) for clip in clips])
    notes = []
    changed = [(u, before[key]) for key, u in now.items() if key in before and before[key].text != u.text]
    if changed:
        u, own = changed[0]
        notes.append(
            f"{len(changed)} texts changed since this run began: {quoted(u.id, 60)} was {quoted(own.text, 60)}, is "
            f"{quoted(u.text, 60)}"
        )
    new = [u.id for key, u in now.items() if key not in before]
    gone = [clip.id for key, clip in before.items() if key not in now]
    for ids, what in ((new, "are new"), (gone, "are missing or have another content")):
        if ids:
            notes.append(f"{len(ids)} clips {what} since this run began: {quoted(', '.join(ids[:5]), 120)}")
    return notes


def _unique(pairs: Sequence[tuple[K, V]]) -> dict[K, V]:
    """The values by key, without keys that occur twice."""
    counts = Counter(key for key, _ in pairs)
    return {key: value for key, value in pairs if counts[key] == 1}
