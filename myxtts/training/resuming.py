"""What a run takes up from a run before it, and what must be the same for that."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from myxtts.config.fields import LEAVES, value_of
from myxtts.config.files import config_of_file
from myxtts.config.schema import Config, TrainingConfig
from myxtts.data.corpus import Corpus
from myxtts.data.prepare import Prepared
from myxtts.data.roots import absolute_paths
from myxtts.data.store import FeatureStore
from myxtts.errors import ConfigError
from myxtts.messages import quoted as shown
from myxtts.storage.checkpoint import Checkpoint
from myxtts.storage.files import storage_error
from myxtts.storage.run_directory import RunDirectory
from myxtts.storage.searching import find
from myxtts.training.trainer import Trainer


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
        name = f"{place.name}.before-{time.strftime('%Y%m%d-%H%M%S')}"
        number = 1
        try:
            while (target := place.with_name(name if number == 1 else f"{name}-{number}")).exists():
                number += 1
            written, others = directory.entries()
            target.mkdir()
            for item in written:
                shutil.move(str(item), str(target / item.name))
        except OSError as error:
            raise storage_error("moving the run aside", place, error) from error
    say(f"--fresh: the run that was here is now in {target}")
    if others:
        names = shown(", ".join(item.name for item in others), 200)
        say(f"--fresh: {len(others)} other entries of {directory.path} are of no run and stay: {names}")


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
    paths = absolute_paths(before.data)  # a run of before may have kept them as they were given
    return [f"{key} is {new!r}, was {old!r}" for key, old, new in pairs if new not in (old, paths.get(key, old))]


def loss_changed(checkpoint: Checkpoint, now: Config) -> bool:
    """Whether losses of then and of now are sums of other terms, so that neither measures the other."""
    return config_of_file(checkpoint.path / "config.yaml").loss != now.loss


def order_of(prepared: Prepared, training: TrainingConfig) -> str:
    """Short hash of all that the plan of an epoch follows from."""
    buckets = [str(bucket) for bucket in prepared.buckets]
    return _short_hash([_clips(prepared.train), buckets, training.batch_size, training.seed])


def goal_of(prepared: Prepared) -> str:
    """Short hash of the validation clips, on which the best checkpoint is chosen."""
    return _short_hash(_clips(prepared.validation))


def _clips(store: FeatureStore) -> list[object]:
    """What clips are known by: their ids, and their lengths in tokens and frames."""
    text_N, mel_N = store.lengths
    return [[u.id for u in store.utterances], text_N.tolist(), mel_N.tolist()]


def _short_hash(facts: object) -> str:
    return hashlib.blake2b(json.dumps(facts).encode(), digest_size=8).hexdigest()


def adopt_order(trainer: Trainer, prepared: Prepared) -> list[str]:
    """Fit a position to the data and the metric of this command; says in words what that changed.

    In another order (epoch, index) would point at other clips: the run goes on with the beginning of the next epoch.
    """
    said: list[str] = []
    position, training = trainer.position, trainer.config.training
    order, goal = order_of(prepared, training), goal_of(prepared)
    if position.order and position.order != order:
        position.epoch, position.index = position.epoch + 1, 0
        said.append(
            "the order of the data is another one than before (clips, batch size, seed or buckets differ): going on "
            f"with the beginning of epoch {position.epoch}"
        )
    if position.best_metric not in ("", training.best_metric):
        trainer.forget_best()
        said.append(f"the best is chosen by {training.best_metric} from now on, not by {position.best_metric}")
    elif position.validation_clips not in ("", goal):
        trainer.forget_best()
        said.append("the validation clips are others than before: the best is chosen anew")
    position.order, position.best_metric, position.validation_clips = order, training.best_metric, goal
    return said
