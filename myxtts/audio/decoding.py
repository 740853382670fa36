"""Decodes a recording in a separate process with time and memory limits, so that a decoder that hangs is an error.

Feature extraction has its own worker processes (data/pool.py). This is for single recordings, and works for callers
without `if __name__ == "__main__":`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from myxtts.audio import waveform
from myxtts.config.schema import AudioConfig
from myxtts.errors import DataError
from myxtts.messages import quoted

PROCESSOR_SECONDS = 60
WALL_SECONDS = 300.0
MEMORY_BYTES = 6 << 30
_LIMITS = (
    "import sys\n"
    "if sys.platform != 'win32':\n"
    "    import resource\n"
    "    resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]), int(sys.argv[2])))\n"
    "    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[3]), int(sys.argv[3])))\n"
    "sys.path.insert(0, sys.argv[1])\n"
)
_BODY = "from myxtts.audio.decoding import main\nsys.exit(main())\n"
_ROOT = Path(__file__).resolve().parents[2]


def read_isolated(path: Path, audio: AudioConfig, max_seconds: float) -> waveform.Array:
    """`waveform.read` in another process. Raises DataError, also where decoding exceeds a limit."""
    return recording_isolated(path, audio, max_seconds).samples_N


def recording_isolated(path: Path, audio: AudioConfig, max_seconds: float) -> waveform.Recording:
    """`waveform.read_recording` in another process. Raises DataError, also where decoding exceeds a limit."""
    path = Path(path)
    request = {"path": os.fspath(path.absolute()), "audio": dataclasses.asdict(audio), "max_seconds": max_seconds}
    words = [sys.executable, "-P", "-c", _LIMITS + _BODY, str(_ROOT), str(PROCESSOR_SECONDS), str(MEMORY_BYTES)]
    try:
        done = subprocess.run(
            words,
            input=json.dumps(request).encode("ascii"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders report damaged files there
            timeout=WALL_SECONDS,
            start_new_session=True,  # Ctrl-C interrupts only this process, which then ends the other
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _decoding_failed(path, f"took over {WALL_SECONDS:g} s") from None
    except OSError as error:
        raise DataError(f"{quoted(path, 200)}: cannot start a process to decode it ({error.strerror})") from error
    head, _, samples = done.stdout.partition(b"\n")
    if done.returncode or not head:
        if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            raise _decoding_failed(path, f"took over {PROCESSOR_SECONDS} s of the processor, or was killed")
        raise _decoding_failed(path, f"ended its process (exit code {done.returncode})")
    answer = json.loads(head)
    if answer["error"]:
        raise DataError(str(answer["error"]).replace(repr(request["path"]), quoted(path, 200), 1))
    samples_N = np.frombuffer(samples, dtype=np.float32).copy()
    return waveform.Recording(samples_N, answer["offset"], answer["clipped"], answer["inverted"])


def _decoding_failed(path: Path, what: str) -> DataError:
    return DataError(f"{quoted(path, 200)}: decoding it {what}; convert it to 16-bit wav again")


def main() -> int:
    """The other process: reads a JSON request from stdin, writes a line of JSON and raw float32 samples to stdout."""
    request = json.load(sys.stdin)
    error, samples, found = "", b"", {}
    try:
        recording = waveform.read_recording(
            Path(request["path"]), AudioConfig(**request["audio"]), request["max_seconds"]
        )
        samples = recording.samples_N.tobytes()
        found = {"offset": recording.offset, "clipped": recording.clipped, "inverted": recording.inverted}
    except DataError as problem:
        error = str(problem)
    except MemoryError:
        error = f"{quoted(Path(request['path']), 200)}: decoding needs more memory than allowed; cut it"
    sys.stdout.buffer.write(json.dumps({"error": error, **found}).encode("ascii") + b"\n" + samples)
    sys.stdout.buffer.flush()
    return 0
