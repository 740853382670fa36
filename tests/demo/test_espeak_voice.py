"""Speech from eSpeak NG: format, determinism, isolation, and the errors a wrong voice or a full disk gives."""

from __future__ import annotations

import hashlib
import wave
from pathlib import Path

import numpy as np
import pytest

from myxtts.demo import espeak_voice
from myxtts.demo.espeak_voice import EspeakVoice, SpeechJob, SpokenFile, speak_to_files
from myxtts.errors import DataError, MyXTTSError, StorageError

# f3 has breath, whose noise is random: a missing seed shows in this voice.
WOMAN = EspeakVoice("en-us", "f3", 150)
MAN = EspeakVoice("en-gb", "m3", 150)
TEXT = "The quick brown fox jumps over a lazy dog."


def spoken_samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (22_050, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.int32)


def loudest_period_hz(samples: np.ndarray) -> float:
    middle = samples[8_000:30_000].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(middle, 1 << 16)) ** 2
    correlation = np.fft.irfft(spectrum)
    lags = np.arange(22_050 // 400, 22_050 // 70)
    return float(22_050 / lags[np.argmax(correlation[lags])])


def speak(folder: Path, *jobs: SpeechJob) -> list[SpokenFile]:
    folder.mkdir(exist_ok=True)
    return speak_to_files(jobs, folder)


def test_writes_what_it_reports(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    jobs = [SpeechJob(TEXT, WOMAN, "a.wav"), SpeechJob(TEXT, MAN, "b.wav")]
    files = speak_to_files(jobs, tmp_path, lambda *step: seen.append(step), task="voices")
    assert [file.path for file in files] == ["a.wav", "b.wav"]
    assert seen == [("voices", 0, 2), ("voices", 1, 2), ("voices", 2, 2)]
    for file in files:
        content = (tmp_path / file.path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)
        samples = spoken_samples(tmp_path / file.path)
        assert len(samples) == file.samples
        assert 2.0 < len(samples) / 22_050 < 5.0
        assert 3_000 < np.abs(samples).max() < 32_767


def test_the_same_jobs_give_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    jobs = [SpeechJob(TEXT, WOMAN, "a.wav"), SpeechJob("Good morning!", EspeakVoice("fa", "whisper"), "b.wav")]
    runs = [speak(tmp_path / name, *jobs) for name in ("first", "second", "third")]
    assert runs[0] == runs[1] == runs[2]


def test_voice_rate_and_pitch_have_an_effect(tmp_path: Path) -> None:
    slow, fast, high, low = (
        EspeakVoice("en-us", "m3", 120),
        EspeakVoice("en-us", "m3", 220),
        EspeakVoice("en-us", "m3", 150, pitch=80),
        EspeakVoice("en-us", "m3", 150, pitch=20),
    )
    voices = {"slow": slow, "fast": fast, "high": high, "low": low, "woman": WOMAN}
    speak(tmp_path, *(SpeechJob(TEXT, voice, f"{name}.wav") for name, voice in voices.items()))
    samples = {name: spoken_samples(tmp_path / f"{name}.wav") for name in voices}
    assert len(samples["slow"]) > 1.4 * len(samples["fast"])
    assert loudest_period_hz(samples["high"]) > 1.2 * loudest_period_hz(samples["low"])
    assert loudest_period_hz(samples["woman"]) > 150 > loudest_period_hz(samples["low"])


def test_silent_ends_are_cut_but_for_what_is_kept(tmp_path: Path) -> None:
    speak_to_files([SpeechJob(TEXT, MAN, "a.wav")], tmp_path, keep_seconds=0.05)
    loud = np.flatnonzero(np.abs(spoken_samples(tmp_path / "a.wav")) > 64)
    total = len(spoken_samples(tmp_path / "a.wav"))
    assert loud[0] <= 0.05 * 22_050 + 1
    assert total - loud[-1] <= 0.05 * 22_050 + 2


def test_the_wheel_carries_voices_of_both_sexes() -> None:
    assert {"f1", "f3", "m3", "m7", "linda", "steph", "Lee", "belinda"} <= set(espeak_voice.variants())
    assert espeak_voice.engine_version()


def test_no_jobs_start_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak_voice, "_WORKER", tmp_path / "not there.py")
    assert speak_to_files([], tmp_path) == []


@pytest.mark.parametrize(
    ("voice", "text", "wanted"),
    [
        (EspeakVoice("en-us", "nobody"), TEXT, "no voice variant 'nobody'"),
        (EspeakVoice("tlh-x"), TEXT, "no language 'tlh-x'"),
        (MAN, " \t", r"cannot speak ' \\t' for 'a.wav'"),
        (MAN, "a\0b", r"cannot speak 'a\\x00b'"),
        (MAN, "...", r"gave no sound for '...'"),
    ],
)
def test_what_cannot_be_spoken_is_an_error_of_one_line(
    tmp_path: Path, voice: EspeakVoice, text: str, wanted: str
) -> None:
    with pytest.raises(DataError, match=wanted) as caught:
        speak_to_files([SpeechJob(text, voice, "a.wav")], tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "a.wav").exists()


def test_a_file_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot be written: .*missing/a\.wav"):
        speak_to_files([SpeechJob(TEXT, MAN, "missing/a.wav")], tmp_path)


def test_a_crash_of_the_engine_ends_its_process_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("import ctypes, sys\nsys.stdin.read()\nctypes.string_at(0)\n", encoding="utf-8")
    monkeypatch.setattr(espeak_voice, "_WORKER", worker)
    with pytest.raises(MyXTTSError, match=r"ended with code -11 after 0 of 1 clips, at 'The quick"):
        speak_to_files([SpeechJob(TEXT, MAN, "a.wav")], tmp_path)


def test_a_process_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("import sys, time\nsys.stdin.read()\ntime.sleep(60)\n", encoding="utf-8")
    monkeypatch.setattr(espeak_voice, "_WORKER", worker)
    monkeypatch.setattr(espeak_voice, "_STALL_SECONDS", 0.5)
    with pytest.raises(MyXTTSError, match="was silent for"):
        speak_to_files([SpeechJob(TEXT, MAN, "a.wav")], tmp_path)
