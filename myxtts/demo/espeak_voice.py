"""Speech from eSpeak NG, the formant synthesizer whose library and data the wheel `espeakng_loader` carries.

eSpeak NG keeps its state in globals, is not thread-safe, and what it says depends on what it said before (flutter and
echo run on from clip to clip). All jobs of a call are therefore spoken one after another in one fresh process: the
same jobs give the same bytes, whatever phonemizer or anything else in this process did with eSpeak NG before, and a
crash in C ends that process and not this one.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from myxtts.errors import DataError, MyXTTSError, StorageError
from myxtts.progress import Progress, silent

SAMPLE_RATE_HZ = 22_050
_WORKER = Path(__file__).with_name("espeak_worker.py")
_STALL_SECONDS = 60.0
_REFUSED, _DISK = 3, 4


@dataclass(frozen=True)
class EspeakVoice:
    """One voice: a language of eSpeak NG ("en-gb-scotland"), a variant of voices/!v ("f3"), rate and pitch."""

    language: str
    variant: str = ""
    words_per_minute: int = 160
    """80 to 450."""
    pitch: int = 50
    """Base pitch, 0 to 99; what it is in Hz depends on the variant."""
    pitch_range: int = 50
    """Liveliness, 0 (monotone) to 99."""
    volume: int = 80
    """0 to 200; 100 can clip in some variants."""


@dataclass(frozen=True)
class SpeechJob:
    """A text, the voice that speaks it and the wav file to write, relative to the folder of the call."""

    text: str
    voice: EspeakVoice
    path: str


@dataclass(frozen=True)
class SpokenFile:
    """A written file: its path as in the job, size, SHA-256 of the content, and length."""

    path: str
    bytes: int
    sha256: str
    samples: int


def library_and_data() -> tuple[Path, Path]:
    """Paths of the shared library and of the folder espeak-ng-data that the installed wheel carries."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise MyXTTSError(
            "the package espeakng-loader, which carries eSpeak NG, is not installed; run: pip install espeakng-loader"
        ) from error
    library, data = Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path())
    for path in (library, data):
        if not path.exists():
            raise MyXTTSError(
                f"espeakng-loader is installed without {str(path)!r}; "
                "run: pip install --force-reinstall espeakng-loader"
            )
    return library, data


def engine_version() -> str:
    """Version of the wheel that carries eSpeak NG: another one may speak differently."""
    library_and_data()
    return metadata.version("espeakng-loader")


def variants() -> list[str]:
    """Names of the voice variants that the wheel carries, sorted."""
    return sorted(path.name for path in (library_and_data()[1] / "voices" / "!v").iterdir())


def speak_to_files(
    jobs: Sequence[SpeechJob],
    folder: Path,
    progress: Progress = silent,
    task: str = "speak",
    keep_seconds: float = 0.08,
) -> list[SpokenFile]:
    """Speak `jobs` in their order into wav files under `folder`: 22,050 Hz, 16 bits, mono.

    Silence at either end is cut to `keep_seconds`. Raises DataError for a voice that eSpeak NG does not have,
    StorageError where the disk refuses, MyXTTSError where eSpeak NG crashes or hangs.
    """
    if not jobs:
        return []
    _check(jobs)
    library, data = library_and_data()
    order = {
        "library_path": str(library),
        "data_path": str(data),
        "seed": 1,
        "keep_seconds": keep_seconds,
        "silence_threshold": 64,  # -54 dB of full scale
        "jobs": [{"text": job.text, "path": job.path, **dataclasses.asdict(job.voice)} for job in jobs],
    }
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            [sys.executable, "-I", str(_WORKER)],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the worker
        )
        try:
            return _converse(process, order, progress, task, complaints)
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None and not pipe.closed:
                    pipe.close()


def _check(jobs: Sequence[SpeechJob]) -> None:
    known = set(variants())
    for job in jobs:
        if job.voice.variant and job.voice.variant not in known:
            # eSpeak NG itself ignores an unknown variant without a word.
            raise DataError(
                f"eSpeak NG has no voice variant {job.voice.variant!r}; it has {', '.join(sorted(known)[:12])}, ..."
            )
        if not job.text.strip() or "\0" in job.text:
            raise DataError(f"eSpeak NG cannot speak {job.text[:60]!r} for {job.path!r}: give a text with words in it")


def _converse(
    process: subprocess.Popen[str], order: dict[str, Any], progress: Progress, task: str, complaints: IO[bytes]
) -> list[SpokenFile]:
    if process.stdin is None or process.stdout is None:
        raise MyXTTSError("eSpeak NG's process was started without pipes")
    jobs = order["jobs"]
    spoken: list[SpokenFile] = []
    error = ""
    progress(task, 0, len(jobs))
    stall = _Stall(process)
    try:
        # The worker reads everything before it answers, so neither side waits for the other with a full pipe.
        with process.stdin:
            json.dump(order, process.stdin)
        for line in process.stdout:
            stall.restart()
            fields = json.loads(line)
            if "error" in fields:
                error = fields["error"]
                continue
            if fields.pop("sample_rate_hz") != SAMPLE_RATE_HZ:
                raise MyXTTSError(f"eSpeak NG speaks at another rate than the {SAMPLE_RATE_HZ} Hz that this needs")
            spoken.append(SpokenFile(**fields))
            progress(task, len(spoken), len(jobs))
    except BrokenPipeError:
        pass  # the worker ended before it read all; its exit code below says why
    finally:
        stall.cancel()
    code = process.wait()
    if code == _REFUSED:
        raise DataError(error)
    if code == _DISK:
        raise StorageError(f"speech cannot be written: {error}; free space or choose another cache path")
    if code != 0 or len(spoken) != len(jobs):
        complaints.seek(0)
        last = (complaints.read().decode("utf-8", "replace").strip().splitlines() or ["it left no message"])[-1]
        reason = f"was silent for {_STALL_SECONDS:.0f} s" if stall.happened else f"ended with code {code}"
        text = jobs[min(len(spoken), len(jobs) - 1)]["text"]
        raise MyXTTSError(
            f"eSpeak NG's process {reason} after {len(spoken)} of {len(jobs)} clips, at {text[:60]!r}: {last[:200]}"
        )
    return spoken


class _Stall:
    """Ends a process that has not been heard of for `_STALL_SECONDS`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._timer: threading.Timer | None = None
        self.happened = False
        self.restart()

    def restart(self) -> None:
        self.cancel()
        self._timer = threading.Timer(_STALL_SECONDS, self._end)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        self.happened = True
        self._process.kill()
