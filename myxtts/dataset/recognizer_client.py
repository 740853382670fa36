"""Runs the recognizer in another process, which may be another Python that has the extra `transcribe`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from myxtts.dataset.sound import Array
from myxtts.errors import DataError
from myxtts.messages import quoted
from myxtts.other_python import extra_problem, last_line
from myxtts.storage.files import temporary_name

INSTALL = "pip install 'myxtts[transcribe]'"
_SCRIPT = Path(__file__).with_name("recognizer.py")


@dataclass(frozen=True)
class RecognizerSetup:
    """The model's folder or name, the Python that runs it (None: this one), and whether a name may be downloaded."""

    model: str
    python: str = ""
    download: bool = False

    def command(self, *words: str) -> list[str]:
        """The command line of the recognizer."""
        return [self.python or sys.executable, "-P", str(_SCRIPT), *words]


@dataclass(frozen=True)
class RecognizedWord:
    """A word as it was recognized, with its times in seconds and its probability."""

    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True)
class Recognized:
    """What was recognized in some seconds of sound, and where speech is, in seconds from its start."""

    words: list[RecognizedWord]
    speech: list[tuple[float, float]]


def recognizer_problem(python: str) -> str | None:
    """Why the recognizer cannot run, in one line with what to do; None if it can."""
    advice = f"{INSTALL}, name another Python with --python, or cut without texts with --no-texts"
    words = RecognizerSetup("", python).command("--missing")
    return extra_problem("the recognizer", words, "--python", advice)


class RecognizerProcess:
    """The recognizer with its model loaded, as a context. Raises DataError where it cannot load or ends early."""

    def __init__(self, setup: RecognizerSetup, language: str, work: Path) -> None:
        self._setup = setup
        self._samples = work / temporary_name(".f32")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by __exit__
        self._process = subprocess.Popen(
            setup.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, encoding="utf-8",
            start_new_session=True,  # Ctrl-C interrupts only this process, which then ends the other
        )  # fmt: skip
        model = str(Path(setup.model).absolute()) if Path(setup.model).is_dir() else setup.model
        try:
            answer = self._ask({"model": model, "language": language, "download": setup.download})
            if "error" in answer:
                raise self._cannot_load(str(answer["error"]))
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> RecognizerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def recognize(self, samples_N: Array) -> Recognized:
        """Words of samples at 16 kHz."""
        samples_N.tofile(self._samples)
        answer = self._ask({"samples": str(self._samples.absolute())})
        words = [RecognizedWord(str(text), float(a), float(b), float(p)) for text, a, b, p in answer["words"]]
        return Recognized(words, [(float(a), float(b)) for a, b in answer["speech"]])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        line = ""
        if stdin is not None and stdout is not None:
            try:
                stdin.write(json.dumps(request) + "\n")
                stdin.flush()
                line = stdout.readline()
            except BrokenPipeError:
                line = ""
        if not line.endswith("\n"):
            code = self._process.wait()
            self._errors.seek(0)
            raise DataError(f"the recognizer ended with code {code}: {last_line(self._errors.read())}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _cannot_load(self, reason: str) -> DataError:
        name = quoted(self._setup.model, 200)
        if "no language" in reason:
            return DataError(f"--model {name}: {reason}")
        advice = "name the folder of a Whisper model that was converted for faster-whisper (CTranslate2)"
        if not (self._setup.download or Path(self._setup.model).is_absolute() or Path(self._setup.model).exists()):
            advice += ", or add --download to fetch a model of that name"
        return DataError(f"--model {name} cannot be loaded ({reason[:160]}); {advice}")

    def _close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._errors.close()
        self._samples.unlink(missing_ok=True)
