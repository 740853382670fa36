"""From settings to data that is ready to train on: which roots, features, audit, split, statistics."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from myxtts.audio import mel
from myxtts.config.schema import Config, DataConfig
from myxtts.data import demo_corpus
from myxtts.data.audit import Audit, SetFigures, check_share
from myxtts.data.batches import Batches, buckets_of
from myxtts.data.corpus import Corpus, measure_corpus
from myxtts.data.features import gather, symbol_table
from myxtts.data.manifest import EXPECTED, METADATA_NAMES, default_speaker, read_root
from myxtts.data.plan import Bucket
from myxtts.data.records import UNKNOWN_LANGUAGE, Manifest, Rejection, Utterance, shown
from myxtts.data.split import split_validation
from myxtts.data.store import Clip, FeatureStore
from myxtts.errors import DataError
from myxtts.progress import Progress
from myxtts.text.phonemes import canonical_language

TRAIN_KEY = "data.train_path"
VALIDATION_KEY = "data.val_path"


@dataclass(frozen=True)
class Prepared:
    """Data that is ready to train on. `notes` says in lines for the screen what was taken and why."""

    train: FeatureStore
    validation: FeatureStore
    corpus: Corpus
    audit: Audit
    buckets: tuple[Bucket, ...]
    notes: list[str]

    def training_batches(self, config: Config) -> Batches:
        """The batches of the training clips."""
        return Batches(self.train, self.corpus, self.buckets, config, training=True)

    def validation_batches(self, config: Config) -> Batches:
        """The batches of the validation clips: the same ones at every validation."""
        return Batches(self.validation, self.corpus, self.buckets, config, training=False)


@dataclass(frozen=True)
class Roots:
    """Where the data is. `validation` None: a share of the training data is kept."""

    train: Path
    validation: Path | None
    notes: list[str]


def prepare(config: Config, progress: Progress, *, named: Collection[str] = frozenset()) -> Prepared:
    """Reads, audits and caches the data of a run.

    Args:
        config: its sections audio, text, data and training.batch_size count.
        progress: told of "features", "texts" and the making of the built-in corpus.
        named: keys that the user set, such as "data.train_path"; a path that was named must exist.
    Errors: DataError for data that cannot be used as it is, StorageError if the cache cannot be written.
    """
    roots = find_roots(config, named, progress)
    notes = list(roots.notes)
    manifest = read_root(roots.train, "train", config.text.language)
    notes += manifest.notes
    held = None
    if roots.validation is not None:
        speaker = default_speaker(roots.train)
        held = read_root(roots.validation, "val", config.text.language, speaker)
        if held.metadata.resolve() == manifest.metadata.resolve():
            notes.append(f"{held.metadata}: holds the training data too, so a share of it is kept for validation")
            held = None
        else:
            notes += held.notes + _overlap(manifest, held)
    train, rejections = _gathered("training", manifest, roots.train, config, progress)
    if held is None or roots.validation is None:
        train, validation = _split(train, config.data, notes)
    else:
        validation, more = _gathered("validation", held, roots.validation, config, progress, train)
        rejections += more
    return _prepared(FeatureStore(train), FeatureStore(validation), rejections, notes, config)


def find_roots(config: Config, named: Collection[str], progress: Progress) -> Roots:
    """Where training and validation data are; the built-in corpus where the default does not exist.

    Errors: DataError for a path that the user named and that does not exist, or that cannot be looked at.
    """
    try:
        return _find_roots(config, named, progress)
    except OSError as error:
        raise DataError(
            f"{TRAIN_KEY} or {VALIDATION_KEY}: {shown(str(error.filename), 200)} cannot be looked at "
            f"({error.strerror}); check the path and its permissions"
        ) from error


def _find_roots(config: Config, named: Collection[str], progress: Progress) -> Roots:
    """As `find_roots`, with the errors of the disk as they come."""
    data, default = config.data, DataConfig()
    notes: list[str] = []
    train = Path(data.train_path).expanduser()
    built_in = not train.exists() and data.train_path == default.train_path and TRAIN_KEY not in named
    if built_in:
        train = demo_corpus.ensure(Path(data.cache_path).expanduser(), progress)
        notes.append(
            f"there is no {data.train_path}: training on the built-in corpus (synthetic speech of eSpeak NG, not human "
            f"voices) in {train}; name your recordings with --train-data"
        )
    elif not train.exists():
        raise _absent(TRAIN_KEY, data.train_path, "--train-data")
    validation = Path(data.val_path).expanduser()
    if data.val_path != default.val_path or VALIDATION_KEY in named:
        if not validation.exists():
            raise _absent(VALIDATION_KEY, data.val_path, "--val-data")
        return Roots(train, validation, notes)
    # The default validation data belongs to the default training data: it says nothing of other recordings.
    belongs = train.resolve() == Path(default.train_path).expanduser().resolve()
    if belongs and validation.exists():
        return Roots(train, validation, notes)
    why = f"there is no {data.val_path}"
    if validation.exists():
        why = f"{data.val_path} belongs to {default.train_path} and is not taken (--val-data names what is)"
    own = next((name for name in METADATA_NAMES["val"][:3] if (train / name).is_file()), None)
    if own is None:
        notes.append(f"{why}: {data.validation_share:.0%} of the training clips validate")
    elif not built_in:
        notes.append(f"{why}: {train / own} validates")
    return Roots(train, train if own else None, notes)


def _absent(key: str, value: str, option: str) -> DataError:
    """The error for a named path that is not there."""
    return DataError(
        f"{key}: {shown(value, 200)} does not exist (looked in {shown(str(Path.cwd()), 120)}); name a folder with "
        f"{EXPECTED} by {option}"
    )


def _gathered(
    name: str, manifest: Manifest, root: Path, config: Config, progress: Progress, train: Sequence[Clip] = ()
) -> tuple[list[Clip], list[Rejection]]:
    """The clips of a manifest that can be used and all rejections; stops if too many are rejected."""
    gathered = gather(_one_name_a_language(manifest.utterances, config), root, config, progress)
    clips = gathered.clips
    rejections = [*manifest.rejections, *gathered.rejections]
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


def _overlap(train: Manifest, held: Manifest) -> list[str]:
    """A note if clips are in both sets."""
    if held.metadata.parent.resolve() != train.metadata.parent.resolve():
        return []
    both = {u.id for u in train.utterances} & {u.id for u in held.utterances}
    if not both:
        return []
    example = shown(min(both))
    return [f"{held.metadata}: {len(both)} clips are training clips too ({example}): validation figures will flatter"]


def _prepared(
    train: FeatureStore, validation: FeatureStore, rejections: list[Rejection], notes: list[str], config: Config
) -> Prepared:
    """Statistics and shapes over the clips of both sets."""
    corpus = measure_corpus(train, symbol_table(config).to_json(), mel.fingerprint(config.audio))
    audit = Audit(SetFigures.of(train), SetFigures.of(validation), rejections)
    buckets = buckets_of([train, validation], config.data.length_buckets)
    unknown = sorted(set(validation.speakers) - set(corpus.speakers))
    if unknown:
        notes.append(f"{len(unknown)} validation speakers are in no training clip: {shown(', '.join(unknown))}")
    return Prepared(train, validation, corpus, audit, buckets, notes)
