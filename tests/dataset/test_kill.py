"""A run that is killed leaves nothing running, and the same command ends with the same files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from long_recordings import SENTENCES, assemble

WHISPER = """
import os, time
from types import SimpleNamespace as N
class WhisperModel:
    supported_languages = ['en']
    def __init__(self, model, **options):
        open(os.environ['PID_FILE'], 'w').write(str(os.getpid()))
        self.parts = 0
    def transcribe(self, samples, language, **options):
        self.parts += 1
        if self.parts > 1 and 'HANG' in os.environ: time.sleep(600)
        return [N(words=[N(word=' hello you.', start=0.1, end=1.5, probability=0.9)])], None
"""
VAD = """
class VadOptions:
    def __init__(self, **options): pass
def get_speech_timestamps(samples, options): return [{'start': 0, 'end': len(samples)}]
"""


@pytest.mark.process
def test_a_kill_ends_the_recognizer_and_the_same_command_continues(
    spoken: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = assemble(spoken, (SENTENCES * 3)[:14]).write(tmp_path / "book.wav")
    package = tmp_path / "packages" / "faster_whisper"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(WHISPER)
    (package / "vad.py").write_text(VAD)
    information = tmp_path / "packages" / "faster_whisper-1.2.1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: faster-whisper\nVersion: 1.2.1\n")
    repository = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "packages"), str(repository)]))
    monkeypatch.setenv("PID_FILE", str(tmp_path / "pid"))

    def command(root: str) -> list[str]:
        words = ["dataset", "make", str(recording), "--out", str(tmp_path / root), "--model", str(tmp_path)]
        return [sys.executable, "-m", "myxtts", *words, "--speaker", "ann"]

    subprocess.run(command("whole"), check=True, capture_output=True)
    killed = subprocess.Popen(
        command("killed"), env={**os.environ, "HANG": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    work = tmp_path / "killed" / ".work"
    until(lambda: any(path.stat().st_size for path in work.glob("*.words")))
    recognizer = int((tmp_path / "pid").read_text())
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    until(lambda: not is_running(recognizer))
    assert not (tmp_path / "killed" / "metadata.csv").exists()
    subprocess.run(command("killed"), check=True, capture_output=True)
    for path in (tmp_path / "whole").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "killed" / path.relative_to(tmp_path / "whole")).read_bytes(), path
    assert len(list((tmp_path / "killed").rglob("*"))) == len(list((tmp_path / "whole").rglob("*")))


def until(is_so: object, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.2)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
