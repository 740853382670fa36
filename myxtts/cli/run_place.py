"""Where a run is to be kept, looked at before the data is audited and anything is written."""

from __future__ import annotations

from pathlib import Path

from myxtts.config.leaves import shown
from myxtts.config.schema import Config

KEY = "training.checkpoint_dir"


def run_place_problems(config: Config) -> list[str]:
    """What is in the way of keeping a run in `training.checkpoint_dir`; at most one line."""
    try:
        return _data_in(Path(config.training.checkpoint_dir).expanduser(), config)
    except OSError:  # what cannot be looked at is told where it is opened
        return []


def _data_in(run: Path, config: Config) -> list[str]:
    """A line if the run directory is or holds a data root: recordings and what --fresh moves away do not mix."""
    from myxtts.data.roots import TRAIN_KEY, VALIDATION_KEY, roots_in

    place = run.resolve()
    for key, value in ((TRAIN_KEY, config.data.train_path), (VALIDATION_KEY, config.data.val_path)):
        for root in roots_in(value):
            real = root.resolve()
            if real.is_relative_to(place) and real.is_dir():
                which = "is" if real == place else "holds"
                return [
                    f"{KEY} is {shown(str(run), 200)}, which {which} the data of {key} ({shown(str(root), 200)}); "
                    "name a folder of its own for the run"
                ]
    return []
