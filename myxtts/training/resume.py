"""What a run continues from: an earlier run or its weights, and what must be the same for that."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from shlex import quote

from myxtts.config.fields import LEAVES, value_of
from myxtts.config.files import config_of_file
from myxtts.config.schema import Config, TrainingConfig
from myxtts.data.corpus import Corpus
from myxtts.data.feature_store import FeatureStore
from myxtts.data.prepare import PreparedData
from myxtts.errors import CheckpointError, ConfigError
from myxtts.messages import quoted as shown
from myxtts.storage.checkpoint import Checkpoint, read_manifest, step_name
from myxtts.storage.files import storage_error, strict_json
from myxtts.storage.find_checkpoint import find
from myxtts.storage.run_directory import RunDirectory
from myxtts.training.run_state import RunState


def source_of_weights(path: Path) -> Checkpoint:
    """The checkpoint at `path` with its averaged weights read: --fresh may move the folder away in the next moment."""
    source = find(path)
    return dataclasses.replace(source, arrays={"average": dict(source.arrays["average"])})


def put_aside(directory: RunDirectory, say: Callable[[str], None]) -> None:
    """Move the run that is there to a name of its own: --fresh loses nothing. The lock is taken by whoever uses it.

    What no run writes stays, and is named.

    Raises:
        StorageError: the disk refuses, or another process has the run.
    """
    if not directory.checkpoints_path.exists() and not directory.metrics_path.exists():
        return
    with directory.lock():
        place = directory.path.resolve()  # "." has no name of its own
        try:
            written, others = directory.entries()
            target = _name_aside(place)
            target.mkdir()
            _move_all(written, target)
        except OSError as error:
            raise storage_error("moving the run aside", place, error) from error
    say(
        f"--fresh: the run that was here is now in {target}; the same command without --fresh and with "
        f"--checkpoint-dir {quote(str(target))} goes on with it"
    )
    if others:
        names = shown(", ".join(item.name for item in others), 200)
        say(f"--fresh: {len(others)} other entries of {directory.path} are of no run and stay: {names}")


def _name_aside(place: Path) -> Path:
    """A free name beside the run; inside it where that is another disk, to which nothing could be renamed."""
    stamp, number = f"before-{time.strftime('%Y%m%d-%H%M%S')}", 1
    beside = place.parent.stat().st_dev == place.stat().st_dev and os.access(place.parent, os.W_OK)
    name = f"{place.name}.{stamp}" if beside else stamp
    parent = place.parent if beside else place
    while (target := parent / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return target


def _move_all(items: Sequence[Path], target: Path) -> None:
    """Rename all items into `target`, or none: a rename needs no space, and what cannot be renamed is not copied."""
    moved: list[Path] = []
    try:
        for item in items:
            item.rename(target / item.name)
            moved.append(item)
    except OSError:
        for item in moved:
            (target / item.name).rename(item)
        target.rmdir()
        raise


def check_same_data(checkpoint: Checkpoint, corpus: Corpus, run: Path) -> None:
    """Refuse to go on with other data: ids of speakers, languages and symbols, and statistics, would differ.

    Raises:
        ConfigError: what to do instead.
    """
    stored = checkpoint.texts.get("corpus.json", "")
    own = json.dumps(corpus.to_json(), sort_keys=True)
    if not stored or json.dumps(json.loads(stored), sort_keys=True) != own:
        raise ConfigError(
            f"the data is not the one that the run in {run} was trained on (clips, speakers or statistics differ): "
            f"take the same data, start over with --fresh, or start a new run in another --checkpoint-dir with "
            f"--init-from {run}"
        )


def changed_settings(checkpoint: Checkpoint, now: Config) -> list[str]:
    """Every setting in which `now` differs from what the checkpoint was trained with, in words."""
    before = config_of_file(checkpoint.path / "config.yaml")
    pairs = ((key, value_of(before, key), value_of(now, key)) for key in LEAVES)
    return [f"{key} is {new!r}, was {old!r}" for key, old, new in pairs if new != old]


LEARNING = (
    "optimizer.",
    "loss.",
    "schedule.",
    "model.",
    "data.augment",
    "training.batch_size",
    "training.grad_accum",
    "training.precision",
    "training.segment_seconds",
    "training.ema_decay",
    "training.spike_factor",
    "training.devices",
)
"""Prefixes of the settings that affect whether a run learns or diverges."""


def take_up(state: RunState, changes: Iterable[str]) -> None:
    """Record in the recovery ladder where a run was resumed, whether it was healthy, and which settings changed."""
    ill = state.health.verdict().sign == "ill"
    bearing = [change for change in changes if change.startswith(LEARNING)]
    state.recovery.take_up(state.position.update, bearing, ill=ill)


def kept_in_words(directory: Path, stale: Sequence[int], aside: str) -> str:
    """Where a rollback keeps the checkpoints after the one gone back to, and the command that brings the best back.

    Args:
        directory: of the checkpoints.
        stale: their updates, newest first.
        aside: what their names begin with there.
    """
    if not stale:
        return ""
    best = next(iter(best_marks(directory / step_name(step) for step in stale).values()), None)
    name = best.name if best else step_name(stale[0])
    back = f"mv {quote(str(directory / f'{aside}-{name}'))} {quote(str(directory / name))}"
    return (
        f"; nothing is deleted: the checkpoints after it are kept in {directory} as {aside}-step-*; this brings back "
        f"the {'best' if best else 'newest'} of them: {back}"
    )


def best_marks(folders: Iterable[Path]) -> dict[tuple[object, object], Path]:
    """Of the checkpoints that were saved as the best, the one with the lowest value by each measure."""
    found: dict[tuple[object, object], tuple[float, Path]] = {}
    for folder in folders:
        try:
            if not read_manifest(folder).best:
                continue
            position = strict_json((folder / "state.json").read_bytes())["position"]  # type: ignore[index]
            measure, value = (position["best_metric"], position["validation_clips"]), float(position["best"])
        except (CheckpointError, OSError, KeyError, TypeError, ValueError):
            continue  # damaged: it is no best that anybody could go on from
        if measure not in found or value < found[measure][0]:
            found[measure] = (value, folder)
    return {measure: folder for measure, (_, folder) in found.items()}


def loss_changed(checkpoint: Checkpoint, now: Config) -> bool:
    """Whether losses of then and of now are sums of other terms, so that neither measures the other."""
    return config_of_file(checkpoint.path / "config.yaml").loss != now.loss


def order_of(prepared: PreparedData, training: TrainingConfig) -> str:
    """Short hash of all that the plan of an epoch follows from."""
    buckets = [str(bucket) for bucket in prepared.buckets]
    return _short_hash([_clips(prepared.train), buckets, training.batch_size, training.seed])


def goal_of(prepared: PreparedData) -> str:
    """Short hash of the validation clips, on which the best checkpoint is chosen."""
    return _short_hash(_clips(prepared.validation))


def _clips(store: FeatureStore) -> list[object]:
    """What clips are known by: their ids, and their lengths in tokens and frames."""
    text_N, mel_N = store.lengths
    return [[u.id for u in store.utterances], text_N.tolist(), mel_N.tolist()]


def _short_hash(facts: object) -> str:
    return hashlib.blake2b(json.dumps(facts).encode(), digest_size=8).hexdigest()
