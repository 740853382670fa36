"""A studio with a small model, whose commands are those of made_program.py."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import made_model

from tests.server.served import running

TOKEN = "t" * 40
STAND_IN = (sys.executable, str(Path(__file__).with_name("made_program.py")))


@dataclass(frozen=True)
class MadeStudio:
    url: str
    folder: Path

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def voices(self) -> Path:
        return self.folder / "voices"


@contextmanager
def open_studio(
    folder: Path, synthesizer: Any, load: Any = None, program: tuple[str, ...] = STAND_IN
) -> Iterator[MadeStudio]:
    from myxtts.server.studio.app import studio
    from myxtts.server.studio.common import StudioSettings
    from myxtts.synthesis import Synthesizer

    (folder / "runs").mkdir(exist_ok=True)
    made_model.save_recording(folder / "runs" / "sample.wav")
    settings = StudioSettings(
        model="starter",
        runs=folder / "runs",
        voices=folder / "voices",
        program=program,
        load=load or Synthesizer,
        max_upload_bytes=4_000_000,
    )
    settings.state.mkdir(exist_ok=True)
    with running(studio(synthesizer, settings, TOKEN)) as url:
        yield MadeStudio(url, folder)
