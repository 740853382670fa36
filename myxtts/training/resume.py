"""What a run starts from: its own checkpoint or the weights of another run, and the conditions for resuming."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from shlex import quote

import numpy as np

from myxtts.config.fields import LEAVES, value_of
from myxtts.config.files import config_of_file
from myxtts.config.schema import Config, TrainingConfig
from myxtts.data.corpus import Corpus
from myxtts.data.feature_store import FeatureStore
from myxtts.data.prepare import PreparedData
from myxtts.errors import CheckpointError, ConfigError
from myxtts.messages import quoted
from myxtts.storage.checkpoint import Checkpoint, read_manifest, step_name
from myxtts.storage.files import free_path, storage_error, strict_json
from myxtts.storage.find_checkpoint import find
from myxtts.storage.run_directory import RunDirectory
from myxtts.training.run_state import RunState
from myxtts.vocoder.files import UNIVERSAL, UNIVERSAL_PATH, read_vocoder


def source_of_weights(path: Path, trains: str = "voice") -> Checkpoint:
    """The checkpoint at `path` with its averaged weights in memory, because --fresh may move the folder.

    For a vocoder, `path` may also be a vocoder file, or UNIVERSAL. Raises CheckpointError for a source of another kind.
    """
    if trains == "vocoder":
        found = read_vocoder(UNIVERSAL_PATH if path == Path(UNIVERSAL) and not path.exists() else path)
        average = {name: np.asarray(weight, np.float32) for name, weight in found.weights.items()}
        return Checkpoint(found.path, found.update, True, {"average": average}, {}, {})
    source = find(path)
    if "config.yaml" in source.texts and config_of_file(source.path / "config.yaml").trains != trains:
        raise CheckpointError(
            f"--init-from {quoted(str(path), 200)} holds a vocoder, not a voice model; name another run"
        )
    return dataclasses.replace(source, arrays={"average": dict(source.arrays["average"])})


def put_aside(directory: RunDirectory, say: Callable[[str], None]) -> None:
    """Move an existing run to a new name, so that --fresh deletes nothing. Files that no run writes stay.

    Raises:
        StorageError: moving failed, or another process uses the run.
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
        f"--fresh: the previous run is now in {target}; to resume it, use the same command without --fresh and with "
        f"--checkpoint-dir {quote(str(target))}"
    )
    if others:
        names = quoted(", ".join(item.name for item in others), 200)
        say(f"--fresh: {len(others)} other entries of {directory.path} are not part of a run and stay: {names}")


def _name_aside(place: Path) -> Path:
    """A free name beside the run, or inside it if its parent is on another file system or not writable."""
    stamp = f"before-{time.strftime('%Y%m%d-%H%M%S')}"
    beside = place.parent.stat().st_dev == place.stat().st_dev and os.access(place.parent, os.W_OK)
    return free_path(place.with_name(f"{place.name}.{stamp}") if beside else place / stamp)


def _move_all(items: Sequence[Path], target: Path) -> None:
    """Move all items into `target`, or none. They are renamed, never copied: that needs no space."""
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
    """Check that the data are those of the checkpoint: ids of speakers, languages and symbols depend on them.

    Raises:
        ConfigError: they are not; the message says what to do.
    """
    stored = checkpoint.texts.get("corpus.json", "")
    before = json.loads(stored or "{}")
    before.pop("dictionary", None)  # other pronunciations are reported, and change no index
    if json.dumps(before, sort_keys=True) != json.dumps(corpus.trained_on(), sort_keys=True):
        raise ConfigError(
            f"the data differ from those that the run in {run} was trained on (clips, speakers or statistics): "
            f"use the same data, start over with --fresh, or start a new run in another --checkpoint-dir with "
            f"--init-from {run}"
        )


def changed_settings(checkpoint: Checkpoint, now: Config) -> list[str]:
    """Every setting in which `now` differs from the checkpoint, as text for messages."""
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


def record_resume(state: RunState, changes: Iterable[str]) -> None:
    """Record in the recovery ladder where a run was resumed, whether it was healthy, and which settings changed."""
    ill = state.health.verdict().sign == "ill"
    relevant = [change for change in changes if change.startswith(LEARNING)]
    state.recovery.resumed(state.position.update, relevant, ill=ill)


def describe_kept(directory: Path, stale: Sequence[int], aside: str) -> str:
    """Message: where a rollback keeps the later checkpoints, and the command that restores the best of them.

    Args:
        directory: the folder of checkpoints.
        stale: updates of the later checkpoints, newest first.
        aside: prefix of their new names.
    """
    if not stale:
        return ""
    best = next(iter(best_marks(directory / step_name(step) for step in stale).values()), None)
    name = best.name if best else step_name(stale[0])
    back = f"mv {quote(str(directory / f'{aside}-{name}'))} {quote(str(directory / name))}"
    return (
        f"; nothing is deleted: the later checkpoints are kept in {directory} as {aside}-step-*; to restore the "
        f"{'best' if best else 'newest'} of them: {back}"
    )


def best_marks(folders: Iterable[Path]) -> dict[tuple[object, object], Path]:
    """Among the checkpoints saved as the best, the one with the lowest value for each metric and validation set."""
    found: dict[tuple[object, object], tuple[float, Path]] = {}
    for folder in folders:
        try:
            if not read_manifest(folder).best:
                continue
            position = strict_json((folder / "state.json").read_bytes())["position"]  # type: ignore[index]
            measure, value = (position["best_metric"], position["validation_clips"]), float(position["best"])
        except (CheckpointError, OSError, KeyError, TypeError, ValueError):
            continue  # damaged: nothing could resume from it
        if measure not in found or value < found[measure][0]:
            found[measure] = (value, folder)
    return {measure: folder for measure, (_, folder) in found.items()}


def loss_changed(checkpoint: Checkpoint, now: Config) -> bool:
    """Whether the loss function changed since the checkpoint, so that the losses are not comparable."""
    return config_of_file(checkpoint.path / "config.yaml").loss != now.loss


def order_hash(prepared: PreparedData, training: TrainingConfig) -> str:
    """Short hash of everything that determines the order of batches."""
    buckets = [str(bucket) for bucket in prepared.buckets]
    return _short_hash([_clips(prepared.train), buckets, training.batch_size, training.seed])


def validation_hash(prepared: PreparedData) -> str:
    """Short hash of the validation clips, which determine the best checkpoint."""
    return _short_hash(_clips(prepared.validation))


def _clips(store: FeatureStore) -> list[object]:
    """What identifies the clips: their ids, and their lengths in tokens and frames."""
    text_A, mel_A = store.lengths
    return [list(store.utterances.ids), text_A.tolist(), mel_A.tolist()]


def _short_hash(facts: object) -> str:
    return hashlib.blake2b(json.dumps(facts).encode(), digest_size=8).hexdigest()
