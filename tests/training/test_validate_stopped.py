"""The validation after Ctrl-C: its failure does not turn a saved run into a failed one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from myxtts.errors import StorageError
from myxtts.training.run import _validate_stopped


def test_a_validation_that_fails_is_a_warning() -> None:
    warnings: list[str] = []
    log = SimpleNamespace(say=lambda *_: None, warn=lambda *lines: warnings.extend(lines))
    position = SimpleNamespace(update=5, validated_update=0)
    run: Any = SimpleNamespace(state=SimpleNamespace(position=position), log=log)

    def fail(scheduled: bool) -> bool:
        raise StorageError("features.bin: the cached features are missing")

    saved: list[Any] = []
    saver: Any = SimpleNamespace(save=lambda **marks: saved.append(marks))
    validation: Any = SimpleNamespace(run=fail)
    _validate_stopped(run, saver, validation)
    assert len(warnings) == 1 and "features.bin" in warnings[0] and not saved
