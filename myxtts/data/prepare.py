"""From settings to data that is ready to train on: which roots, features, audit, split, statistics."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from myxtts.audio import mel
from myxtts.config.schema import Config, DataConfig
from myxtts.data.audit import Audit, SetFigures, check_share
from myxtts.data.batches import Batches, buckets_of
from myxtts.data.corpus import Corpus, measure_corpus
from myxtts.data.features import gather, symbol_table
from myxtts.data.manifest import default_speakers, read_roots
from myxtts.data.plan import Bucket
from myxtts.data.records import TOO_LONG, UNKNOWN_LANGUAGE, Manifest, Rejection, Utterance, shown
from myxtts.data.roots import Roots, find_roots
from myxtts.data.split import hold_out_speakers, split_validation
from myxtts.data.store import Clip, FeatureStore
from myxtts.errors import DataError
from myxtts.progress import Progress
from myxtts.speakers import COPY_MARK, too_few_to_clone
from myxtts.text.phonemes import canonical_language

LITTLE_SPEECH_SECONDS = 120.0
"""A speaker with more needs no copies: they are there for the number of voices, not of clips."""


@dataclass(frozen=True)
class Prepared:
    """Data that is ready to train on. `notes` says in lines for the screen what was taken and why."""

    train: FeatureStore
    validation: FeatureStore
    corpus: Corpus
    audit: Audit
    buckets: tuple[Bucket, ...]
    notes: list[str]
    base: Corpus | None = None
    """What the weights were trained on that learn on here; its scales hold."""

    def training_batches(self, config: Config) -> Batches:
        """The batches of the training clips."""
        return Batches(self.train, self.corpus, self.buckets, config, training=True)

    def validation_batches(self, config: Config) -> Batches:
        """The batches of the validation clips: the same ones at every validation."""
        return Batches(self.validation, self.corpus, self.buckets, config, training=False)


def prepare(
    config: Config, progress: Progress, *, named: Collection[str] = frozenset(), base: Corpus | None = None
) -> Prepared:
    """Reads, audits and caches the data of a run.

    Args:
        config: its sections audio, text, data and training.batch_size count.
        progress: told of "features", "texts" and the making of the built-in corpus.
        named: keys that the user set, such as "data.train_path"; a path that was named must exist.
        base: the corpus of the run whose weights learn on here.
    Errors: DataError for data that cannot be used as it is, StorageError if the cache cannot be written.
    """
    roots = find_roots(config, named, progress)
    notes = list(roots.notes)
    manifests = read_roots(roots.train, "train", config.text.language)
    notes += [note for manifest in manifests for note in manifest.notes] + _in_several(manifests)
    held = _held(roots, manifests, config, notes)
    train, rejections = _gathered("training", manifests, roots.train, config, progress)
    if held:
        validation, more = _gathered("validation", held, roots.validation, config, progress, train)
        rejections += more
    else:
        train, validation = _split(train, config.data, notes)
    if config.data.held_out_speakers:
        train, validation = _without_speakers(train, validation, config.data.held_out_speakers, notes)
    notes += _same_recordings(train, validation)
    copies = _copies(train, manifests, roots.train, config, notes, progress) if config.data.perturbed_voices else []
    return _prepared(train, copies, FeatureStore(validation), rejections, notes, config, base)


def _held(roots: Roots, manifests: Sequence[Manifest], config: Config, notes: list[str]) -> list[Manifest]:
    """Manifests of the validation data; none where a share of the training data is kept."""
    if not roots.validation:
        return []
    held = read_roots(roots.validation, "val", config.text.language, _default_speakers_held(roots))
    own = {manifest.metadata.resolve() for manifest in manifests}
    same = [one for one in held if one.metadata.resolve() in own]
    if same:
        notes.append(f"{same[0].metadata}: holds the training data too, so a share of it is kept for validation")
        return []
    trained = {path for manifest in manifests for path in _recordings(manifest)}
    for one in held:
        notes += one.notes + _overlap(trained, one)
    return held


def _default_speakers_held(roots: Roots) -> list[str]:
    """The default speaker of each validation root: that of the training data where it is the same voice."""
    trained = default_speakers(roots.train)
    if len(trained) == 1:
        return trained * len(roots.validation)
    by_root = dict(zip((root.resolve() for root in roots.train), trained, strict=True))
    own = default_speakers(roots.validation)
    return [by_root.get(root.resolve(), name) for root, name in zip(roots.validation, own, strict=True)]


def _in_several(manifests: Sequence[Manifest]) -> list[str]:
    """A note if a speaker is in several roots."""
    roots_of: dict[str, int] = {}
    for manifest in manifests:
        for speaker in {u.speaker for u in manifest.utterances}:
            roots_of[speaker] = roots_of.get(speaker, 0) + 1
    several = sorted(speaker for speaker, count in roots_of.items() if count > 1)
    if not several:
        return []
    return [f"{len(several)} speakers are in several roots and count as one person each: {shown(', '.join(several))}"]


def _without_speakers(
    train: list[Clip], validation: list[Clip], count: int, notes: list[str]
) -> tuple[list[Clip], list[Clip]]:
    """Training clips without those of the speakers held out, which validate with the rest."""
    out = hold_out_speakers([clip.utterance for clip in train], count)
    kept = [clip for clip in train if clip.utterance.speaker not in out]
    there = {clip.utterance.audio_path for clip in validation}
    moved = [clip for clip in train if clip.utterance.speaker in out and clip.utterance.audio_path not in there]
    who = "speaker is never trained on and validates" if len(out) == 1 else "speakers are never trained on and validate"
    notes.append(f"{len(out)} {who}: {shown(', '.join(sorted(out)), 200)}")
    return kept, [*validation, *moved]


def _copies(
    train: list[Clip],
    manifests: Sequence[Manifest],
    roots: Sequence[Path],
    config: Config,
    notes: list[str],
    progress: Progress,
) -> list[Clip]:
    """Of every training speaker with little speech, slower and faster copies of the clips under names of their own."""
    share = config.data.perturbed_voices
    seconds: dict[str, float] = defaultdict(float)
    for clip in train:
        seconds[clip.utterance.speaker] += seconds_of(clip)
    few = {speaker for speaker, sum_ in seconds.items() if sum_ < LITTLE_SPEECH_SECONDS}
    root_of = {u.id: root for manifest, root in zip(manifests, roots, strict=True) for u in manifest.utterances}
    copies: list[Clip] = []
    left_out: Counter[str] = Counter()
    clips = [clip for clip in train if clip.utterance.speaker in few]
    for speed in (1.0 - share, 1.0 + share):
        long = [clip for clip in clips if seconds_of(clip) / speed > config.data.max_clip_seconds]
        left_out[TOO_LONG] += len(long)
        left = {clip.utterance.id for clip in long}
        for root in dict.fromkeys(roots):  # the cache keeps a list a root
            own = [u for u in (c.utterance for c in clips) if root_of[u.id] == root and u.id not in left]
            gathered = gather([_copy(u, speed) for u in own], root, config, progress)
            copies += gathered.clips
            left_out.update(rejection.reason for rejection in gathered.rejections)
    same = {clip.utterance.speaker for clip in copies} & set(seconds)
    if same:
        raise DataError(
            f"data.perturbed_voices {share:g}: the copy of a speaker would have the name of another one, "
            f"{shown(min(same))}; rename that speaker, or set data.perturbed_voices to 0"
        )
    without = "".join(f"; {count} left out: {reason}" for reason, count in sorted(left_out.items()) if count)
    notes.append(
        f"data.perturbed_voices {share:g}: {len(copies)} copies of the clips of {len(few)} speakers with under "
        f"{LITTLE_SPEECH_SECONDS / 60:g} minutes, slower and faster, train as speakers of their own{without}"
    )
    return copies


def seconds_of(clip: Clip) -> float:
    """Length of a clip's recording."""
    return clip.facts.samples / clip.facts.sample_rate_hz


def _copy(utterance: Utterance, speed: float) -> Utterance:
    """The utterance at another speed, by a speaker of its own."""
    tag = f"{COPY_MARK}{speed:g}"
    return replace(utterance, id=utterance.id + tag, speaker=utterance.speaker + tag, speed=speed)


def _gathered(
    name: str,
    manifests: Sequence[Manifest],
    roots: Sequence[Path],
    config: Config,
    progress: Progress,
    train: Sequence[Clip] = (),
) -> tuple[list[Clip], list[Rejection]]:
    """The clips of some manifests that can be used and all rejections; stops if too many are rejected."""
    clips: list[Clip] = []
    rejections: list[Rejection] = []
    for manifest, root in zip(manifests, roots, strict=True):
        gathered = gather(_one_name_a_language(manifest.utterances, config), root, config, progress)
        clips += gathered.clips
        rejections += [*manifest.rejections, *gathered.rejections]
    if train:
        languages = {clip.utterance.language for clip in train}
        strange = [clip.utterance for clip in clips if clip.utterance.language not in languages]
        rejections += [
            Rejection(u.source, u.id, UNKNOWN_LANGUAGE, f"{shown(u.language)} is in no training clip") for u in strange
        ]
        clips = [clip for clip in clips if clip.utterance.language in languages]
    check_share(name, len(clips), rejections, config.data.max_rejected_share)
    return clips, rejections


def _one_name_a_language(utterances: Sequence[Utterance], config: Config) -> list[Utterance]:
    """Utterances whose language has eSpeak NG's own code, so that fr and fr-fr are one language of the model.

    An unknown language stays as it is; its rows are rejected with their place later.
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


def _split(clips: list[Clip], data: DataConfig, notes: list[str]) -> tuple[list[Clip], list[Clip]]:
    """Training and validation clips out of one set."""
    train, held = split_validation([clip.utterance for clip in clips], data.validation_share)
    train_ids, held_ids = {u.id for u in train}, {u.id for u in held}
    if train_ids & held_ids:
        notes.append("there is one clip alone: it trains and validates, so validation figures say nothing")
    languages = {u.language for u in train}
    strange = {u.id for u in held if u.language not in languages}
    if strange:  # the model knows the languages of its training clips alone
        train_ids |= strange
        held_ids = held_ids - strange or held_ids
        also = "train and validate" if held_ids <= train_ids else "train instead of validating"
        notes.append(f"{len(strange)} clips of a language with no other training clip {also}: {shown(min(strange))}")
    return [c for c in clips if c.utterance.id in train_ids], [c for c in clips if c.utterance.id in held_ids]


def _overlap(trained: Collection[Path], held: Manifest) -> list[str]:
    """A note if clips train and validate; by their recordings, since ids of several roots have the roots' names."""
    both = [u.id for u, path in zip(held.utterances, _recordings(held), strict=True) if path in trained]
    if not both:
        return []
    example = shown(min(both))
    return [f"{held.metadata}: {len(both)} clips are training clips too ({example}): validation figures will flatter"]


def _same_recordings(train: Sequence[Clip], validation: Sequence[Clip]) -> list[str]:
    """Notes if recordings under several paths are the same byte for byte, which the file of their features tells."""
    first: dict[Path, Utterance] = {}
    twice: list[str] = []
    for clip in train:
        seen = first.setdefault(clip.entry, clip.utterance)
        if seen is not clip.utterance:
            twice.append(f"{shown(clip.utterance.id)} is {shown(seen.id)}")
    leaked: list[str] = []
    for clip in validation:
        trained = first.get(clip.entry)
        # the same path is told with the metadata that names it
        if trained and clip.utterance.audio_path.resolve() != trained.audio_path.resolve():
            leaked.append(f"{shown(clip.utterance.id)} is {shown(trained.id)}")
    notes = []
    if leaked:
        notes.append(
            f"{len(leaked)} validation clips have the recording of a training clip, byte for byte ({min(leaked)}): "
            "validation figures will flatter"
        )
    if twice:
        notes.append(f"{len(twice)} training clips have the recording of another one, byte for byte ({min(twice)})")
    return notes


def _recordings(manifest: Manifest) -> list[Path]:
    """The path of each recording below the real folder that the metadata is in, however the root was written."""
    root = manifest.metadata.parent
    real = root.resolve()
    return [real / u.audio_path.relative_to(root) for u in manifest.utterances]


def _prepared(
    recorded: list[Clip],
    copies: list[Clip],
    validation: FeatureStore,
    rejections: list[Rejection],
    notes: list[str],
    config: Config,
    base: Corpus | None,
) -> Prepared:
    """Statistics and shapes over the clips of both sets."""
    train = FeatureStore(recorded + copies)
    corpus = measure_corpus(train, symbol_table(config).to_json(), mel.fingerprint(config.audio), base)
    audit = Audit(SetFigures.of(FeatureStore(recorded)), SetFigures.of(validation), rejections)
    buckets = buckets_of([train, validation], config.data.length_buckets)
    if few := too_few_to_clone(corpus.people):
        notes.append(few)
    notes += _strangers(set(validation.speakers), corpus)
    return Prepared(train, validation, corpus, audit, buckets, notes, base)


def _strangers(validating: Collection[str], corpus: Corpus) -> list[str]:
    """A note on validation speakers who are not trained on; one alone does not show how strangers are told apart."""
    unknown = sorted(set(validating) - set(corpus.speakers))
    if len(unknown) != 1:
        names = shown(", ".join(unknown))
        return [f"{len(unknown)} validation speakers are in no training clip: {names}"] if unknown else []
    rate = f"the equal error rate is of all {len(validating)} validation speakers"
    if len(validating) == 1:
        rate = "no equal error rate is measured"
    return [
        f"1 validation speaker is in no training clip: {shown(unknown[0])}; one alone has nobody to be told from, so "
        f"{rate}; two strangers or more (data.held_out_speakers) give that of strangers"
    ]
