"""From settings to data that is ready to train on: roots, features, audit, split, statistics."""

from __future__ import annotations

import gc
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from myxtts.audio import mel
from myxtts.config.schema import Config, DataConfig
from myxtts.data.anomalies import Anomaly, check_suspects, sound_anomalies
from myxtts.data.audit import Audit, SetFigures, check_share
from myxtts.data.batches import Batches, buckets_of
from myxtts.data.columns import columns_of_option
from myxtts.data.corpus import Corpus, measure_corpus
from myxtts.data.feature_store import FeatureStore, StoredClip
from myxtts.data.features import gather, symbol_table
from myxtts.data.identity import KnownClips, adopt_names, as_known, is_same_data
from myxtts.data.manifest import default_speakers, read_roots
from myxtts.data.plan import Bucket
from myxtts.data.pronunciations import dictionary_of, unused_in
from myxtts.data.records import TOO_LONG, UNKNOWN_LANGUAGE, Rejection, RootManifest, Utterance
from myxtts.data.roots import Roots, find_roots
from myxtts.data.source import ReadOptions
from myxtts.data.split import drawn, hold_out_speakers, split_validation
from myxtts.errors import DataError
from myxtts.messages import quoted
from myxtts.progress import Progress
from myxtts.speakers import COPY_MARK, cloning_note
from myxtts.text.phonemes import canonical_language

LITTLE_SPEECH_SECONDS = 120.0
"""Speakers with more speech get no copies, which are to increase the number of voices, not of clips."""


@dataclass(frozen=True)
class PreparedData:
    """Data that is ready to train on. `notes` are lines for the screen on what is used and why."""

    train: FeatureStore
    validation: FeatureStore
    corpus: Corpus
    audit: Audit
    buckets: tuple[Bucket, ...]
    notes: list[str]
    base: Corpus | None = None
    """For fine-tuning, the corpus of the initial weights, whose scales are kept."""

    def training_batches(self, config: Config) -> Batches:
        """The batches of the training clips."""
        return Batches(self.train, self.corpus, self.buckets, config, training=True)

    def validation_batches(self, config: Config) -> Batches:
        """The batches of the validation clips, the same at every validation."""
        return Batches(self.validation, self.corpus, self.buckets, config, training=False)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Without the search for cycles of objects, which takes a fifth of the time where there are many clips."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@_without_collector()
def prepare(
    config: Config,
    progress: Progress,
    *,
    named: Collection[str] = frozenset(),
    base: Corpus | None = None,
    known: KnownClips | None = None,
    shared: bool = False,
) -> PreparedData:
    """Reads, audits and caches the data of a run.

    Args:
        config: only its sections audio, text and data, and training.batch_size are used.
        progress: called for the tasks "features", "texts" and "built-in corpus".
        named: keys that the user set, such as "data.train_path"; these paths must exist.
        base: for fine-tuning, the corpus of the run with the initial weights.
        known: for a resumed run, the clips it began with; their ids, order and statistics are kept.
        shared: compute the features in a random order, so that several processes share the work.

    Errors: DataError if the data cannot be used as it is, StorageError if the cache cannot be written.
    """
    roots = find_roots(config, named, progress)
    dictionary, about_dictionary = dictionary_of(config.text, base, known.corpus if known else None)
    notes = [*roots.notes, *about_dictionary]
    options = read_options(config.data)
    manifests = read_roots(roots.train, "train", config.text.language, options=options)
    notes += [note for manifest in manifests for note in manifest.notes] + _speakers_in_several_roots(manifests)
    held = _validation_manifests(roots, manifests, config, notes)
    anomalies = [one for m in (*manifests, *held) for one in check_suspects(m, config.data.max_suspect_share)]
    given = config, notes, progress, dictionary, shared
    train, rejections = _usable_clips("training", manifests, roots.train, *given)
    if known:
        train, renamed = adopt_names(train, known, default_speakers(roots.train))
        notes += renamed
    if held:
        validation, more = _usable_clips("validation", held, roots.validation, *given, train)
        rejections += more
        if known:
            validation, _ = adopt_names(validation, known, _default_validation_speakers(roots))
    else:
        train, validation = _split(train, config.data, notes)
    if config.data.held_out_speakers:
        train, validation = _without_speakers(train, validation, config.data.held_out_speakers, notes)
    validation = _capped(validation, config.data.validation_max_clips, notes)
    notes += _same_recordings(train, validation)
    if known:
        train, validation, changes = as_known(train, validation, known)
        notes += changes
    copies: list[StoredClip] = []
    if config.data.perturbed_voices:
        copies = _perturbed_copies(train, manifests, roots.train, config, notes, progress, dictionary, shared)
    anomalies += sound_anomalies([*train, *validation])
    notes += unused_in(dictionary, [clip.utterance for clip in (*train, *validation)])
    prepared = _measure(train, copies, FeatureStore(validation), (rejections, anomalies), notes, config, base)
    prepared = replace(prepared, corpus=replace(prepared.corpus, dictionary=dictionary))
    if known and is_same_data([*train, *copies], known, prepared.corpus):
        return replace(prepared, corpus=replace(known.corpus, dictionary=dictionary))
    return prepared


def read_options(data: DataConfig) -> ReadOptions:
    """How the settings say that data roots are read. Errors: DataError for columns that make no table."""
    cache = Path(data.cache_path).expanduser()
    return ReadOptions(data.layout, columns_of_option(data.columns), cache, data.follow_links)


def _validation_manifests(
    roots: Roots, manifests: Sequence[RootManifest], config: Config, notes: list[str]
) -> list[RootManifest]:
    """Manifests of the validation data; none if a share of the training data is held out instead."""
    if not roots.validation:
        return []
    speakers, options = _default_validation_speakers(roots), read_options(config.data)
    held = read_roots(roots.validation, "val", config.text.language, speakers, options)
    own = {manifest.metadata.resolve() for manifest in manifests}
    same = [one for one in held if one.metadata.resolve() in own]
    if same:
        notes.append(f"{same[0].metadata}: is the training data too, so a share of it is held out for validation")
        return []
    train_paths = {path for manifest in manifests for path in _recordings(manifest)}
    for one in held:
        notes += one.notes + _overlap(train_paths, one)
    return held


def _default_validation_speakers(roots: Roots) -> list[str]:
    """The default speaker of each validation root: that of the same root, or of the only root, of the training data."""
    trained = default_speakers(roots.train)
    if len(trained) == 1:
        return trained * len(roots.validation)
    by_root = dict(zip((root.resolve() for root in roots.train), trained, strict=True))
    own = default_speakers(roots.validation)
    return [by_root.get(root.resolve(), name) for root, name in zip(roots.validation, own, strict=True)]


def _speakers_in_several_roots(manifests: Sequence[RootManifest]) -> list[str]:
    """A note if a speaker is in several roots."""
    roots_of: dict[str, int] = {}
    for manifest in manifests:
        for speaker in {u.speaker for u in manifest.utterances}:
            roots_of[speaker] = roots_of.get(speaker, 0) + 1
    several = sorted(speaker for speaker, count in roots_of.items() if count > 1)
    if not several:
        return []
    return [f"{len(several)} speakers are in several roots and count as one speaker each: {quoted(', '.join(several))}"]


def _without_speakers(
    train: list[StoredClip], validation: list[StoredClip], count: int, notes: list[str]
) -> tuple[list[StoredClip], list[StoredClip]]:
    """Training clips without the held-out speakers, and validation clips with them."""
    out = hold_out_speakers([clip.utterance for clip in train], count)
    kept = [clip for clip in train if clip.utterance.speaker not in out]
    validating = {clip.utterance.audio_path for clip in validation}
    moved = [clip for clip in train if clip.utterance.speaker in out and clip.utterance.audio_path not in validating]
    who = "speaker is held out" if len(out) == 1 else "speakers are held out"
    notes.append(f"{len(out)} {who} for validation: {quoted(', '.join(sorted(out)), 200)}")
    return kept, [*validation, *moved]


def _perturbed_copies(
    train: list[StoredClip],
    manifests: Sequence[RootManifest],
    roots: Sequence[Path],
    config: Config,
    notes: list[str],
    progress: Progress,
    dictionary: Mapping[str, str],
    shared: bool,
) -> list[StoredClip]:
    """Slower and faster copies of the clips of training speakers with little speech, as new speakers."""
    share = config.data.perturbed_voices
    seconds: dict[str, float] = defaultdict(float)
    for clip in train:
        seconds[clip.utterance.speaker] += seconds_of(clip)
    few = {speaker for speaker, total in seconds.items() if total < LITTLE_SPEECH_SECONDS}
    root_of = {u.audio_path: root for manifest, root in zip(manifests, roots, strict=True) for u in manifest.utterances}
    copies: list[StoredClip] = []
    skipped_copies: Counter[str] = Counter()
    clips = [clip for clip in train if clip.utterance.speaker in few]
    for speed in (1.0 - share, 1.0 + share):
        long_ids = {clip.utterance.id for clip in clips if seconds_of(clip) / speed > config.data.max_clip_seconds}
        skipped_copies[TOO_LONG] += len(long_ids)
        for root in dict.fromkeys(roots):  # the cache has one list per root
            own = [u for u in (c.utterance for c in clips) if root_of[u.audio_path] == root and u.id not in long_ids]
            gathered = gather([_copy(u, speed) for u in own], root, config, progress, dictionary, shared)
            copies += gathered.clips
            notes += [note for note in gathered.notes if note not in notes]
            skipped_copies.update(rejection.reason for rejection in gathered.rejections)
    same = {clip.utterance.speaker for clip in copies} & set(seconds)
    if same:
        raise DataError(
            f"data.perturbed_voices {share:g}: the copy of a speaker would have the name of another speaker, "
            f"{quoted(min(same))}; rename that speaker, or set data.perturbed_voices to 0"
        )
    skipped = "".join(f"; {count} skipped: {reason}" for reason, count in sorted(skipped_copies.items()) if count)
    notes.append(
        f"data.perturbed_voices {share:g}: {len(copies)} copies of the clips of {len(few)} speakers with under "
        f"{LITTLE_SPEECH_SECONDS / 60:g} minutes, slower and faster, are training clips of new speakers{skipped}"
    )
    return copies


def seconds_of(clip: StoredClip) -> float:
    """Length of a clip's recording."""
    return clip.facts.samples / clip.facts.sample_rate_hz


def _copy(utterance: Utterance, speed: float) -> Utterance:
    """The utterance at another speed, by a new speaker."""
    tag = f"{COPY_MARK}{speed:g}"
    return replace(utterance, id=utterance.id + tag, speaker=utterance.speaker + tag, speed=speed)


def _usable_clips(
    name: str,
    manifests: Sequence[RootManifest],
    roots: Sequence[Path],
    config: Config,
    notes: list[str],
    progress: Progress,
    dictionary: Mapping[str, str],
    shared: bool,
    train: Sequence[StoredClip] = (),
) -> tuple[list[StoredClip], list[Rejection]]:
    """The usable clips of the manifests and all rejections; raises DataError if too many rows are rejected."""
    clips: list[StoredClip] = []
    rejections: list[Rejection] = []
    for manifest, root in zip(manifests, roots, strict=True):
        gathered = gather(_canonical_languages(manifest.utterances, config), root, config, progress, dictionary, shared)
        clips += gathered.clips
        notes += gathered.notes
        rejections += [*manifest.rejections, *gathered.rejections]
    if train:
        languages = {clip.utterance.language for clip in train}
        unknown = [clip.utterance for clip in clips if clip.utterance.language not in languages]
        rejections += [
            Rejection(u.source, u.id, UNKNOWN_LANGUAGE, f"{quoted(u.language)} is in no training clip") for u in unknown
        ]
        clips = [clip for clip in clips if clip.utterance.language in languages]
    check_share(name, len(clips), rejections, config.data.max_rejected_share)
    return clips, rejections


def _canonical_languages(utterances: Sequence[Utterance], config: Config) -> list[Utterance]:
    """Utterances with the language codes of eSpeak NG, so that fr and fr-fr are one language of the model.

    An unknown language is kept; its rows are rejected later, with their locations.
    """
    if config.text.symbols != "phonemes":
        return list(utterances)
    codes: dict[str, str] = {}
    for language in {utterance.language for utterance in utterances}:
        try:
            codes[language] = canonical_language(language)
        except DataError:
            codes[language] = language
    return [u if codes[u.language] == u.language else replace(u, language=codes[u.language]) for u in utterances]


def _split(clips: list[StoredClip], data: DataConfig, notes: list[str]) -> tuple[list[StoredClip], list[StoredClip]]:
    """Splits one set into training and validation clips."""
    train, held = split_validation([clip.utterance for clip in clips], data.validation_share, data.validation_max_clips)
    train_ids, held_ids = {u.id for u in train}, {u.id for u in held}
    if len(held) == data.validation_max_clips:
        notes.append(f"{len(held):,} clips are held out for validation, the limit (data.validation_max_clips)")
    if train_ids & held_ids:
        notes.append("there is only one clip, used for training and validation: validation figures are meaningless")
    languages = {u.language for u in train}
    only_held = {u.id for u in held if u.language not in languages}
    if only_held:  # a model only has the languages of its training clips
        train_ids |= only_held
        held_ids = held_ids - only_held or held_ids
        use = "training and validation" if held_ids <= train_ids else "training, not for validation"
        some = f"{len(only_held)} clips of a language with no other training clip"
        notes.append(f"{some} are used for {use}: {quoted(min(only_held))}")
    return [c for c in clips if c.utterance.id in train_ids], [c for c in clips if c.utterance.id in held_ids]


def _capped(validation: list[StoredClip], most: int, notes: list[str]) -> list[StoredClip]:
    """At most this many validation clips, and a note if there are more."""
    if len(validation) <= most:
        return validation
    kept = drawn([clip.utterance for clip in validation], most)
    notes.append(
        f"{most:,} of {len(validation):,} validation clips are used, drawn evenly over the speakers "
        "(data.validation_max_clips)"
    )
    return [clip for clip in validation if clip.utterance.id in kept]


def _overlap(train_paths: Collection[Path], held: RootManifest) -> list[str]:
    """A note if clips are in both sets. Compares paths, since ids contain the root's name if there are several."""
    both = [u.id for u, path in zip(held.utterances, _recordings(held), strict=True) if path in train_paths]
    if not both:
        return []
    return [f"{held.metadata}: {len(both)} clips are training clips too ({quoted(min(both))}), which biases validation"]


def _same_recordings(train: Sequence[StoredClip], validation: Sequence[StoredClip]) -> list[str]:
    """Notes on identical recordings under several paths, which have the same feature file."""
    first: dict[Path, Utterance] = {}
    twice: list[str] = []
    for clip in train:
        seen = first.setdefault(clip.entry, clip.utterance)
        if seen is not clip.utterance:
            twice.append(f"{quoted(clip.utterance.id)} is {quoted(seen.id)}")
    leaked: list[str] = []
    for clip in validation:
        trained = first.get(clip.entry)
        # for the same path there is a note with its metadata
        if trained and clip.utterance.audio_path.resolve() != trained.audio_path.resolve():
            leaked.append(f"{quoted(clip.utterance.id)} is {quoted(trained.id)}")
    notes = []
    if leaked:
        notes.append(
            f"{len(leaked)} validation clips have the same recording as a training clip ({min(leaked)}), "
            "which biases validation"
        )
    if twice:
        notes.append(f"{len(twice)} training clips have the same recording as another one ({min(twice)})")
    return notes


def _recordings(manifest: RootManifest) -> list[Path]:
    """The path of each recording, with symbolic links in the root resolved."""
    root = manifest.metadata.parent
    real = root.resolve()
    paths = (u.audio_path for u in manifest.utterances)
    return [real / path.relative_to(root) if path.is_relative_to(root) else path for path in paths]


def _measure(
    recorded: list[StoredClip],
    copies: list[StoredClip],
    validation: FeatureStore,
    found: tuple[list[Rejection], list[Anomaly]],
    notes: list[str],
    config: Config,
    base: Corpus | None,
) -> PreparedData:
    """Statistics of the training clips, and batch shapes for the clips of both sets."""
    train = FeatureStore(recorded + copies)
    corpus = measure_corpus(train, symbol_table(config).to_json(), mel.fingerprint(config.audio), base)
    for store in (train, validation):
        store.forget_sums()
    audit = Audit(SetFigures.of(FeatureStore(recorded) if copies else train), SetFigures.of(validation), *found)
    buckets = buckets_of([train, validation], config.data.length_buckets)
    if few := cloning_note(corpus.speaker_count):
        notes.append(few)
    notes += _unseen_speakers(set(validation.speakers), corpus)
    return PreparedData(train, validation, corpus, audit, buckets, notes, base)


def _unseen_speakers(validating: Collection[str], corpus: Corpus) -> list[str]:
    """A note on validation speakers without training clips, and on whether speaker verification can measure them."""
    unseen = sorted(set(validating) - set(corpus.speakers))
    if len(unseen) != 1:
        names = quoted(", ".join(unseen))
        return [f"{len(unseen)} validation speakers are in no training clip: {names}"] if unseen else []
    rate = f"the equal error rate is that of all {len(validating)} validation speakers"
    if len(validating) == 1:
        rate = "no equal error rate is measured"
    return [
        f"1 validation speaker is in no training clip: {quoted(unseen[0])}; speaker verification needs two, so {rate}; "
        "with two unseen speakers or more (data.held_out_speakers) it is that of unseen speakers"
    ]
