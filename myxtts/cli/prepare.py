"""`myxtts prepare`: computes the features of a data set into the cache, before or beside a training."""

from __future__ import annotations

from collections.abc import Sequence

from myxtts.cli.arguments import layer_of, preparation_parser
from myxtts.cli.screen import Screen, guarded
from myxtts.config.files import load_file
from myxtts.config.resolve import resolve
from myxtts.errors import EXIT_DONE, ConfigError
from myxtts.messages import escaped

PROGRAM = "myxtts prepare"


def main(argv: Sequence[str]) -> int:
    """Prepares data as `argv` says; returns the exit code."""
    return guarded(lambda: _run(argv))


def _run(argv: Sequence[str]) -> int:
    given, problems = preparation_parser(PROGRAM).parse_known(argv)
    layers = [layer_of(given, problems)]
    if not layers[0].sets("data.train_path"):
        raise ConfigError([*problems, "--data is missing; name a folder with metadata and recordings"])
    if given.config is not None:
        layers.append(load_file(given.config))
    resolved = resolve(layers)
    screen = Screen()
    from myxtts.data.prepare import prepare  # Imported here, so that --help is quick.

    try:
        prepared = prepare(resolved.config, screen.progress, named=resolved.named, shared=True)
    finally:
        screen.close()
    clips = len(prepared.train) + len(prepared.validation)
    screen.say(
        *prepared.notes,
        *prepared.audit.table(),
        f"{clips:,} clips are ready in {escaped(resolved.config.data.cache_path)}",
    )
    return EXIT_DONE
