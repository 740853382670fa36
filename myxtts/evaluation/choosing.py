"""Which clips of a data root are spoken, in which order, and which recording is the voice of each: fixed by a seed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from myxtts.audio import waveform
from myxtts.config.schema import Config
from myxtts.data.manifest import METADATA_NAMES, id_prefixes, read_root
from myxtts.data.records import Utterance
from myxtts.data.roots import roots_in
from myxtts.data.split import split_validation
from myxtts.errors import DataError
from myxtts.messages import quoted
from myxtts.speakers import COPY_MARK

Split = Literal["val", "train", "all"]
SPLITS: tuple[Split, ...] = ("val", "train", "all")

SHORTEST_SECONDS = 1.0
"""A shorter clip says little about pitch, voice or words."""
REFERENCE_SECONDS = 5.0
"""The reference is the one nearest to this length, out of a few that the seed chooses."""
_REFERENCES_TRIED = 8
_OWN_VALIDATION = METADATA_NAMES["val"][:3]


@dataclass(frozen=True)
class Choice:
    """A clip to speak again, and the recording whose voice speaks it."""

    clip: Utterance
    reference: Utterance

    @property
    def own_reference(self) -> bool:
        """Whether the clip is its own reference, since its speaker has no other."""
        return self.clip.id == self.reference.id


@dataclass(frozen=True)
class Known:
    """The clips of a split and all clips of the root; `notes` say what was taken and why."""

    clips: list[Utterance]
    everyone: list[Utterance]
    notes: list[str]


@dataclass
class LeftOut:
    """Clips that were not spoken: how many for their length, and a line for each other."""

    lengths: int = 0
    longest_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def lines(self, most: int = 5) -> list[str]:
        """As notes, of the problems at most a few."""
        found = [f"left out: {line}" for line in self.problems[:most]]
        if len(self.problems) > most:
            found.append(f"left out: {len(self.problems) - most} more")
        if self.lengths:
            limits = f"shorter than {SHORTEST_SECONDS:g} s or longer than {self.longest_seconds:g} s"
            found.append(f"clips {limits}, passed over: {self.lengths}")
        return found


def known_clips(root: Path, split: Split, config: Config, trained: Collection[str]) -> Known:
    """The clips of a split of a data root, as a run sees it.

    Args:
        root: folder with metadata and recordings.
        split: "val" are clips that the run was not trained on, "train" those it was, "all" both.
        config: settings of the run.
        trained: ids of its training clips as the run has them (of several roots, with their names), empty if they
            are not known.
    Errors: DataError for a root that cannot be read, or without a clip of that split.
    """
    has_own = any((root / name).is_file() for name in _OWN_VALIDATION)
    has_train = any((root / name).is_file() for name in METADATA_NAMES["train"])
    held = read_root(root, "val", config.text.language) if has_own else None
    main = read_root(root, "train", config.text.language) if has_train or held is None else None
    notes = [note for manifest in (main, held) if manifest is not None for note in manifest.notes]
    rejected = sum(len(manifest.rejections) for manifest in (main, held) if manifest is not None)
    if rejected:
        notes.append(
            f"rows of the metadata that cannot be used: {rejected} (a dry run of the training lists such rows)"
        )
    everyone = list({u.id: u for manifest in (main, held) if manifest for u in manifest.utterances}.values())
    same, seen, why = _trained_here(root, config, trained, {u.id for u in everyone})
    notes += why
    if split == "all":
        chosen = everyone
    elif held is not None and not (same and trained):
        ids = {u.id for u in held.utterances}
        chosen = [u for u in everyone if (u.id in ids) == (split == "val")]
    elif same:
        if trained:
            unseen = sum(u.id not in seen for u in everyone)
            notes.append(
                f"clips that the run was not trained on, kept for validation or left out by its audit: {unseen} of "
                f"{len(everyone)}"
            )
        else:
            seen = {u.id for u in split_validation(everyone, config.data.validation_share)[0]}
            notes.append("the run has no list of its training clips (utterances.txt): the split was reckoned again")
        chosen = [u for u in everyone if (u.id in seen) == (split == "train")]
    else:
        chosen = everyone if split == "val" else []
        notes.append(_other_data(config, chosen, trained, seen))
    if not chosen:
        told = "".join(f" ({line})" for line in why)
        raise DataError(
            f"{root}: no clip of --split {split} among {len(everyone)}, for a run that was trained on "
            f"{quoted(config.data.train_path)}{told}; name other data, or take --split all"
        )
    return Known(chosen, everyone, [*notes, *_seen(chosen, split, seen)])


def _trained_here(
    root: Path, config: Config, trained: Collection[str], here: Collection[str]
) -> tuple[bool, set[str], list[str]]:
    """Whether a root is one of those that the run was trained on, by its path or by its ids, and then how it is known.

    Between the two the ids of training clips as that root has them; of a root that is none of them, the ids that any
    of them has. `here` are all ids of the root.
    """
    roots = roots_in(config.data.train_path)
    ids_of = [
        {name.removeprefix(prefix) for name in trained if name.startswith(prefix)} for prefix in id_prefixes(roots)
    ]
    for own, ids in zip(roots, ids_of, strict=True):
        if own.resolve() == root.resolve():
            return True, ids, []
    # A relative path, of a run from before they were kept whole, or one that is gone, says nothing: ids do.
    lost = [_recorded(ids) for own, ids in zip(roots, ids_of, strict=True) if not _stands(own)]
    ids = set().union(*(ids for ids in lost if ids <= set(here)))
    if not ids:
        return False, set().union(*ids_of), []
    named = quoted(config.data.train_path)
    why = (
        f"taken for training data of this run, which its settings name as {named}: it has all {len(ids)} training clips"
    )
    return True, ids, [why]


def _stands(own: Path) -> bool:
    """Whether a root of the settings is known for certain: it means the same everywhere, and is there."""
    return own.is_absolute() and own.exists()


def _recorded(ids: Collection[str]) -> set[str]:
    """Ids without those of slower and faster copies, which no metadata has."""
    return {name for name in ids if name.rpartition(COPY_MARK)[0] not in ids}


def _other_data(config: Config, chosen: Sequence[Utterance], trained: Collection[str], seen: Collection[str]) -> str:
    """What is known of data that is not the run's own; never more than its path and its ids tell."""
    named = quoted(config.data.train_path)
    if not trained and not all(_stands(own) for own in roots_in(config.data.train_path)):
        return (
            f"whether clips were trained on is not known: there is no list of the run's training clips "
            f"(utterances.txt), and the path in its settings, {named}, is relative or gone"
        )
    told = f"not the training data of this run ({named})"
    return told if {u.id for u in chosen} & set(seen) else f"{told}: no clip was trained on"


def _seen(chosen: Sequence[Utterance], split: Split, trained: Collection[str]) -> Iterator[str]:
    """A warning where clips that should be new have the ids of training clips."""
    both = {u.id for u in chosen} & set(trained)
    if split == "val" and both:
        yield (
            f"clips with the id of a training clip: {len(both)} of {len(chosen)}, as {quoted(min(both))}; if they are "
            "the same recordings, the figures flatter"
        )


def in_languages(known: Known, speaks: Callable[[str], bool]) -> Known:
    """The same without clips of languages that a model does not speak. Raises DataError if none is left."""
    strange = sorted({u.language for u in known.clips if not speaks(u.language)})
    if not strange:
        return known
    kept = [u for u in known.clips if u.language not in strange]
    languages = ", ".join(quoted(language) for language in strange)
    told = f"clips of a language that this model does not speak ({languages}): {len(known.clips) - len(kept)}"
    if not kept:
        raise DataError(f"no clip can be evaluated; {told}; name data of a language that it was trained on")
    return Known(kept, known.everyone, [*known.notes, told])


def in_order(clips: Sequence[Utterance], seed: int) -> list[Utterance]:
    """The clips as the seed orders them, speakers in turn; a clip's place does not depend on the order of the rows."""
    of_speaker: dict[str, list[Utterance]] = {}
    for clip in sorted(clips, key=lambda u: _drawn(seed, "clip", u.id)):
        of_speaker.setdefault(clip.speaker, []).append(clip)
    speakers = sorted(of_speaker, key=lambda name: _drawn(seed, "speaker", name))
    turns = zip_longest(*(of_speaker[name] for name in speakers))
    return [clip for turn in turns for clip in turn if clip is not None]


def _drawn(seed: int, what: str, name: str) -> bytes:
    return blake2b(f"{seed} {what} {name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


def choices(known: Known, seed: int, longest_seconds: float, left_out: LeftOut) -> Iterator[Choice]:
    """Clips of a usable length with their references, in the order of the seed.

    What is passed over is added to `left_out`. A recording is not decoded here, only its header is read.
    """
    left_out.longest_seconds = longest_seconds
    of_speaker: dict[str, list[Utterance]] = {}
    for utterance in known.everyone:
        of_speaker.setdefault(utterance.speaker, []).append(utterance)
    for clip in in_order(known.clips, seed):
        seconds = _seconds(clip, left_out.problems)
        if seconds is None:
            continue
        if not SHORTEST_SECONDS <= seconds <= longest_seconds:
            left_out.lengths += 1
            continue
        yield Choice(clip, _reference_of(clip, of_speaker[clip.speaker], seed, longest_seconds))


def _reference_of(clip: Utterance, own: Sequence[Utterance], seed: int, longest_seconds: float) -> Utterance:
    """Another recording of the speaker, near five seconds long; the clip itself where there is none."""
    others = sorted((u for u in own if u.id != clip.id), key=lambda u: _drawn(seed, f"reference of {clip.id}", u.id))
    lengths = [(other, _seconds(other, [])) for other in others[:_REFERENCES_TRIED]]
    usable = [(u, s) for u, s in lengths if s is not None and SHORTEST_SECONDS <= s <= 2.0 * longest_seconds]
    return min(usable, key=lambda pair: abs(pair[1] - REFERENCE_SECONDS))[0] if usable else clip


def _seconds(clip: Utterance, problems: list[str]) -> float | None:
    try:
        return waveform.probe(clip.audio_path).seconds
    except DataError as error:
        problems.append(f"{clip.source}: {error}")
        return None
