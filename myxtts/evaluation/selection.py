"""Selects the clips to evaluate, their order and their references, reproducibly by a seed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from myxtts.audio import waveform
from myxtts.config.schema import Config
from myxtts.data.layouts import METADATA_NAMES
from myxtts.data.manifest import id_prefixes, read_root
from myxtts.data.records import Utterance
from myxtts.data.roots import roots_in
from myxtts.data.split import split_validation
from myxtts.errors import DataError
from myxtts.messages import quoted
from myxtts.speakers import COPY_MARK

Split = Literal["val", "train", "all"]

SHORTEST_SECONDS = 1.0
"""Shorter clips are too short for reliable figures of pitch, voice and words."""
REFERENCE_SECONDS = 5.0
"""The reference is the recording nearest to this length among a few that the seed selects."""
_REFERENCES_TRIED = 8
_OWN_VALIDATION = METADATA_NAMES["val"][:3]


@dataclass(frozen=True)
class SelectedClip:
    """A clip to synthesize, and the recording that serves as the reference of its voice."""

    clip: Utterance
    reference: Utterance

    @property
    def own_reference(self) -> bool:
        """Whether the clip is its own reference, since its speaker has no other recording."""
        return self.clip.id == self.reference.id


@dataclass(frozen=True)
class SplitClips:
    """The clips of a split and all clips of the data root; `notes` say how the split was determined."""

    clips: list[Utterance]
    all_clips: list[Utterance]
    notes: list[str]


@dataclass
class SkippedClips:
    """Clips that were not evaluated: the number of those of unsuitable length, and one line for each other."""

    lengths: int = 0
    longest_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def lines(self, most: int = 5) -> list[str]:
        """The skipped clips as notes, with at most `most` problems listed."""
        found = [f"skipped: {line}" for line in self.problems[:most]]
        if len(self.problems) > most:
            found.append(f"skipped: {len(self.problems) - most} more")
        if self.lengths:
            limits = f"shorter than {SHORTEST_SECONDS:g} s or longer than {self.longest_seconds:g} s"
            found.append(f"clips {limits}, skipped: {self.lengths}")
        return found


def split_clips(root: Path, split: Split, config: Config, trained: Collection[str]) -> SplitClips:
    """The clips of a split of a data root, as divided by a training run.

    Args:
        root: folder with metadata and recordings.
        split: "val" for clips that the run was not trained on, "train" for those it was, "all" for both.
        config: settings of the run.
        trained: ids of its training clips as in the run (with the names of their roots if there are several); empty if
            they are not known.

    Raises DataError for a root that cannot be read or has no clip of that split.
    """
    has_own = any((root / name).is_file() for name in _OWN_VALIDATION)
    has_train = any((root / name).is_file() for name in METADATA_NAMES["train"])
    held_out = read_root(root, "val", config.text.language) if has_own else None
    main = read_root(root, "train", config.text.language) if has_train or held_out is None else None
    notes = [note for manifest in (main, held_out) if manifest is not None for note in manifest.notes]
    rejected = sum(len(manifest.rejections) for manifest in (main, held_out) if manifest is not None)
    if rejected:
        notes.append(f"metadata rows that cannot be used: {rejected} (a dry run of the training lists them)")
    all_clips = list({u.id: u for manifest in (main, held_out) if manifest for u in manifest.utterances}.values())
    is_training_data, seen, reasons = _training_ids(root, config, trained, {u.id for u in all_clips})
    notes += reasons
    if split == "all":
        chosen = all_clips
    elif held_out is not None and not (is_training_data and trained):
        ids = {u.id for u in held_out.utterances}
        chosen = [u for u in all_clips if (u.id in ids) == (split == "val")]
    elif is_training_data:
        if trained:
            unseen = sum(u.id not in seen for u in all_clips)
            notes.append(
                f"clips that the run was not trained on, used for validation or rejected by its audit: {unseen} of "
                f"{len(all_clips)}"
            )
        else:
            data = config.data
            seen = {u.id for u in split_validation(all_clips, data.validation_share, data.validation_max_clips)[0]}
            notes.append("the run has no list of its training clips (utterances.txt): the split was computed again")
        chosen = [u for u in all_clips if (u.id in seen) == (split == "train")]
    else:
        chosen = all_clips if split == "val" else []
        notes.append(_other_data(config, chosen, trained, seen))
    if not chosen:
        details = "".join(f" ({line})" for line in reasons)
        raise DataError(
            f"{root}: no clip of --split {split} among {len(all_clips)}, for a run trained on "
            f"{quoted(config.data.train_path)}{details}; name other data, or use --split all"
        )
    return SplitClips(chosen, all_clips, [*notes, *_seen_note(chosen, split, seen)])


def _training_ids(
    root: Path, config: Config, trained: Collection[str], here: Collection[str]
) -> tuple[bool, set[str], list[str]]:
    """Whether a root is training data of the run, ids of training clips, and a note on how that is known.

    A root is recognized by its path, or, for training data that has been moved, by its ids `here`. The ids returned are
    those of the recognized root; for other data, those of all training roots.
    """
    roots = roots_in(config.data.train_path)
    ids_of = [
        {name.removeprefix(prefix) for name in trained if name.startswith(prefix)} for prefix in id_prefixes(roots)
    ]
    for own, ids in zip(roots, ids_of, strict=True):
        if own.resolve() == root.resolve():
            return True, ids, []
    # A path that does not exist here cannot be compared: the data may have been moved, so ids decide.
    moved = [_recorded(ids) for own, ids in zip(roots, ids_of, strict=True) if not own.exists()]
    ids = set().union(*(ids for ids in moved if ids <= set(here)))
    if not ids:
        return False, set().union(*ids_of), []
    named = quoted(config.data.train_path)
    return True, ids, [f"recognized as training data of this run ({named}): it contains all {len(ids)} training clips"]


def _recorded(ids: Collection[str]) -> set[str]:
    """Ids without those of speed-perturbed copies, which are not in the metadata."""
    return {name for name in ids if name.rpartition(COPY_MARK)[0] not in ids}


def _other_data(config: Config, chosen: Sequence[Utterance], trained: Collection[str], seen: Collection[str]) -> str:
    """What is known of data that is not the run's training data, from its path and ids."""
    named = quoted(config.data.train_path)
    if not trained and not all(own.exists() for own in roots_in(config.data.train_path)):
        return (
            "it is unknown which clips were used for training: there is no list of the run's training clips "
            f"(utterances.txt), and the path in its settings, {named}, does not exist"
        )
    other = f"not the training data of this run ({named})"
    return other if {u.id for u in chosen} & set(seen) else f"{other}: no clip was trained on"


def _seen_note(chosen: Sequence[Utterance], split: Split, trained: Collection[str]) -> Iterator[str]:
    """A warning where clips of the validation split have ids of training clips."""
    both = {u.id for u in chosen} & set(trained)
    if split == "val" and both:
        yield (
            f"clips with the id of a training clip: {len(both)} of {len(chosen)}, as {quoted(min(both))}; if they are "
            "the same recordings, the figures are too optimistic"
        )


def in_languages(found: SplitClips, speaks: Callable[[str], bool]) -> SplitClips:
    """Without clips in languages that the model does not speak. Raises DataError if none is left."""
    unknown = sorted({u.language for u in found.clips if not speaks(u.language)})
    if not unknown:
        return found
    kept = [u for u in found.clips if u.language not in unknown]
    languages = ", ".join(quoted(language) for language in unknown)
    note = f"clips in a language that this model does not speak ({languages}): {len(found.clips) - len(kept)}"
    if not kept:
        raise DataError(f"no clip can be evaluated; {note}; name data in a language that it was trained on")
    return SplitClips(kept, found.all_clips, [*found.notes, note])


def in_order(clips: Sequence[Utterance], seed: int) -> list[Utterance]:
    """The clips in the order of the seed, speakers in turn, independent of the order of the metadata rows."""
    of_speaker: dict[str, list[Utterance]] = {}
    for clip in sorted(clips, key=lambda u: _hash(seed, "clip", u.id)):
        of_speaker.setdefault(clip.speaker, []).append(clip)
    speakers = sorted(of_speaker, key=lambda name: _hash(seed, "speaker", name))
    turns = zip_longest(*(of_speaker[name] for name in speakers))
    return [clip for turn in turns for clip in turn if clip is not None]


def _hash(seed: int, what: str, name: str) -> bytes:
    return blake2b(f"{seed} {what} {name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


def select_clips(found: SplitClips, seed: int, longest_seconds: float, skipped: SkippedClips) -> Iterator[SelectedClip]:
    """Clips of a usable length with their references, in the order of the seed.

    The others are added to `skipped`. Only the headers of recordings are read.
    """
    skipped.longest_seconds = longest_seconds
    of_speaker: dict[str, list[Utterance]] = {}
    for utterance in found.all_clips:
        of_speaker.setdefault(utterance.speaker, []).append(utterance)
    for clip in in_order(found.clips, seed):
        seconds = _seconds(clip, skipped.problems)
        if seconds is None:
            continue
        if not SHORTEST_SECONDS <= seconds <= longest_seconds:
            skipped.lengths += 1
            continue
        yield SelectedClip(clip, _reference_of(clip, of_speaker[clip.speaker], seed, longest_seconds))


def _reference_of(clip: Utterance, own: Sequence[Utterance], seed: int, longest_seconds: float) -> Utterance:
    """Another recording of the speaker, of about five seconds; the clip itself where there is none."""
    others = sorted((u for u in own if u.id != clip.id), key=lambda u: _hash(seed, f"reference of {clip.id}", u.id))
    lengths = [(other, _seconds(other, [])) for other in others[:_REFERENCES_TRIED]]
    usable = [(u, s) for u, s in lengths if s is not None and SHORTEST_SECONDS <= s <= 2.0 * longest_seconds]
    return min(usable, key=lambda pair: abs(pair[1] - REFERENCE_SECONDS))[0] if usable else clip


def _seconds(clip: Utterance, problems: list[str]) -> float | None:
    try:
        return waveform.probe(clip.audio_path).seconds
    except DataError as error:
        problems.append(f"{clip.source}: {error}")
        return None
