"""Speech from eSpeak NG, a formant synthesizer whose library and data are in the wheel `espeakng_loader`.

eSpeak NG has global state, is not thread-safe, and its output depends on earlier calls (flutter and echo continue from
clip to clip). All jobs of a call are therefore spoken in order in one new process: the same jobs give the same bytes,
whatever phonemizer did with eSpeak NG in this process before, and a crash in C ends that process only.
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
_NO_SPEECH, _DISK_ERROR = 3, 4


@dataclass(frozen=True)
class EspeakVoice:
    """One voice: a language of eSpeak NG ("en-gb-scotland"), a variant of voices/!v ("f3"), rate and pitch."""

    language: str
    variant: str = ""
    words_per_minute: int = 160
    """80 to 450."""
    pitch: int = 50
    """Base pitch, 0 to 99; the frequency depends on the variant."""
    pitch_range: int = 50
    """Liveliness, 0 (monotone) to 99."""
    volume: int = 80
    """0 to 200; 100 can clip in some variants."""


@dataclass(frozen=True)
class SpeechJob:
    """A text, its voice, and the wav file to write, relative to the folder of the call."""

    text: str
    voice: EspeakVoice
    path: str


@dataclass(frozen=True)
class SpokenFile:
    """A file that was written: path as in the job, size, SHA-256 of the content, and length."""

    path: str
    bytes: int
    sha256: str
    samples: int


def library_and_data() -> tuple[Path, Path]:
    """Paths of the shared library and of the folder espeak-ng-data in the installed wheel."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise MyXTTSError(
            "the package espeakng-loader, which contains eSpeak NG, is not installed; run: pip install espeakng-loader"
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
    """Version of the wheel with eSpeak NG; the speech of another one may differ."""
    library_and_data()
    return metadata.version("espeakng-loader")


def variants() -> list[str]:
    """Sorted names of the voice variants in the wheel."""
    return sorted(path.name for path in (library_and_data()[1] / "voices" / "!v").iterdir())


def speak_to_files(
    jobs: Sequence[SpeechJob],
    folder: Path,
    progress: Progress = silent,
    task: str = "speak",
    keep_seconds: float = 0.08,
) -> list[SpokenFile]:
    """Speaks `jobs` in their order into wav files under `folder`: 22,050 Hz, 16 bits, mono.

    Silence at either end is cut to `keep_seconds`.

    Errors: DataError for a voice that eSpeak NG does not have, StorageError if a file cannot be written, MyXTTSError
    if eSpeak NG crashes or hangs.
    """
    if not jobs:
        return []
    _check(jobs)
    library, data = library_and_data()
    request = {
        "library_path": str(library),
        "data_path": str(data),
        "seed": 1,
        "keep_seconds": keep_seconds,
        "silence_threshold": 64,  # -54 dB of full scale
        "jobs": [{"text": job.text, "path": job.path, **dataclasses.asdict(job.voice)} for job in jobs],
    }
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            [sys.executable, "-I", str(_WORKER)],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C reaches this process only, which then ends the worker
        )
        try:
            return _exchange(process, request, progress, task, stderr)
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
            # eSpeak NG silently ignores an unknown variant.
            raise DataError(
                f"eSpeak NG has no voice variant {job.voice.variant!r}; it has {', '.join(sorted(known)[:12])}, ..."
            )
        if not job.text.strip() or "\0" in job.text:
            raise DataError(f"eSpeak NG cannot speak {job.text[:60]!r} for {job.path!r}: give a text with words in it")


def _exchange(
    process: subprocess.Popen[str], request: dict[str, Any], progress: Progress, task: str, stderr: IO[bytes]
) -> list[SpokenFile]:
    if process.stdin is None or process.stdout is None:
        raise MyXTTSError("the process of eSpeak NG was started without pipes")
    jobs = request["jobs"]
    spoken: list[SpokenFile] = []
    error = ""
    progress(task, 0, len(jobs))
    stall = _Stall(process)
    try:
        # The worker reads all its input before it answers, so that no full pipe can block both sides.
        with process.stdin:
            json.dump(request, process.stdin)
        for line in process.stdout:
            stall.restart()
            fields = json.loads(line)
            if "error" in fields:
                error = fields["error"]
                continue
            if fields.pop("sample_rate_hz") != SAMPLE_RATE_HZ:
                raise MyXTTSError(f"eSpeak NG has another sample rate than the expected {SAMPLE_RATE_HZ} Hz")
            spoken.append(SpokenFile(**fields))
            progress(task, len(spoken), len(jobs))
    except BrokenPipeError:
        pass  # the worker ended before it read everything; its exit code says why
    finally:
        stall.cancel()
    code = process.wait()
    if code == _NO_SPEECH:
        raise DataError(error)
    if code == _DISK_ERROR:
        raise StorageError(f"speech cannot be written: {error}; free space or set another data.cache_path")
    if code != 0 or len(spoken) != len(jobs):
        stderr.seek(0)
        last = (stderr.read().decode("utf-8", "replace").strip().splitlines() or ["without a message"])[-1]
        reason = f"was silent for {_STALL_SECONDS:.0f} s" if stall.happened else f"ended with code {code}"
        text = jobs[min(len(spoken), len(jobs) - 1)]["text"]
        raise MyXTTSError(
            f"eSpeak NG {reason} after {len(spoken)} of {len(jobs)} clips, at {text[:60]!r}: {last[:200]}"
        )
    return spoken


class _Stall:
    """Kills a process that has sent nothing for `_STALL_SECONDS`."""

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
