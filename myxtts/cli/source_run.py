"""The source run of fine-tuning (--init-from): the settings its weights depend on, and its corpus statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from myxtts.cli.arguments import Request
from myxtts.config.fields import LEAVES, coerce
from myxtts.config.files import config_of_file
from myxtts.config.resolve import Layer, Resolved, source_layer, strongest
from myxtts.errors import CheckpointError, ConfigError, DataError
from myxtts.messages import quoted

if TYPE_CHECKING:
    from myxtts.data.corpus import Corpus


@dataclass(frozen=True)
class SourceRun:
    """Settings of the source run as a layer, and its corpus as text with the path it was read from."""

    layer: Layer
    corpus_text: str
    corpus_path: str

    def corpus(self) -> Corpus:
        """Parses the corpus. Raises CheckpointError."""
        from myxtts.data.corpus import parse_corpus

        try:
            return parse_corpus(self.corpus_text.encode("utf-8", "surrogatepass"))
        except DataError as error:
            raise CheckpointError(
                f"{self.corpus_path}: its corpus cannot be read ({error}); use another checkpoint"
            ) from error


def source_run(request: Request, layers: Sequence[Layer]) -> SourceRun | None:
    """The run named by --init-from, or the one that the run to be resumed was started from; None without either.

    Raises CheckpointError, before features are computed or anything is written.
    """
    if request.init_from:
        return _named(request.init_from)
    run = _run_directory(layers)
    return None if request.fresh or run is None else _source_of(run)


def cold_start(resolved: Resolved, source: SourceRun | None, *, fresh: bool) -> str | None:
    """A warning where the settings are meant for fine-tuning but no source run is given; else None."""
    from myxtts.storage.run_directory import RunDirectory

    run = RunDirectory(Path(resolved.config.training.checkpoint_dir).expanduser())
    resumes = run.checkpoints_path.exists() and not fresh
    if source is not None or resumes or resolved.config.schedule.diagonal_prior_updates:
        return None
    return (
        f"schedule.diagonal_prior_updates is 0 ({resolved.source('schedule.diagonal_prior_updates').layer}), which is "
        "meant for fine-tuning: training from scratch may never find an alignment; name a run with --init-from"
    )


def _named(init_from: str) -> SourceRun:
    from myxtts.storage.find_checkpoint import find

    checkpoint = find(Path(init_from))
    if "config.yaml" not in checkpoint.texts:
        raise CheckpointError(f"{checkpoint.path}: contains no settings (config.yaml); use another checkpoint")
    layer = _layer(checkpoint.path / "config.yaml", f"run {_name(init_from)} (--init-from)")
    return SourceRun(layer, checkpoint.texts.get("corpus.json", ""), str(checkpoint.path))


def _source_of(run: Path) -> SourceRun | None:
    """The source of a run that was started with --init-from, from the copies it keeps; None for another run."""
    from myxtts.storage.files import read_regular_file
    from myxtts.storage.run_directory import RunDirectory

    directory = RunDirectory(run)
    place = directory.base_corpus_path
    if not place.is_file():
        return None
    layer = _layer(directory.config_path, f"run {_name(str(run))} (started with --init-from)")
    try:
        text = read_regular_file(place).decode("utf-8")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{place}: its corpus cannot be read ({error}); use another checkpoint") from error
    return SourceRun(layer, text, str(place))


def _run_directory(layers: Sequence[Layer]) -> Path | None:
    """The run directory in `layers`; None for an invalid one, which is reported with the other settings."""
    key = "training.checkpoint_dir"
    try:
        return Path(str(coerce(LEAVES[key], strongest(layers, key)))).expanduser()
    except ValueError:
        return None


def _layer(config: Path, name: str) -> Layer:
    try:
        return source_layer(config_of_file(config), name)
    except ConfigError as error:
        raise CheckpointError(
            f"{name}: its settings cannot be read ({error.problems[0]}); use another checkpoint"
        ) from error


def _name(path: str) -> str:
    return path if path.isprintable() and len(path) <= 60 else quoted(path)
