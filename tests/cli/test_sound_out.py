"""Speech written while it is synthesized: to stdout, to files, through pipes that break."""

import os
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import made_model
import numpy as np
import pytest
import soundfile

from myxtts.cli import speak
from myxtts.cli.sound_out import StreamState, write_stream
from myxtts.errors import StorageError

TEXT = "One. Two words! And a third sentence, which is longer than those."
WORDS = ["--text", TEXT, "--speaker", "bob"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved())


@contextmanager
def read_from_stdout() -> Iterator[bytearray]:
    """What is written to descriptor 1 within the block, afterwards."""
    found, kept = bytearray(), os.dup(1)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 1)
        try:
            yield found
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        file.seek(0)
        found += file.read()


@pytest.fixture(scope="module")
def streamed(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The text as a file written by --stream."""
    out = tmp_path_factory.mktemp("out") / "out.wav"
    words = ["--checkpoint", str(run), "--text", TEXT, "--speaker", "bob", "--stream", "--out", str(out)]
    assert speak.main(words) == 0
    return out


def test_stdout_carries_sound_and_nothing_else(
    run: Path, streamed: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.isatty", lambda descriptor: False)
    with read_from_stdout() as sound:
        assert speak.main([*WORDS, "--checkpoint", str(run), "--out", "-"]) == 0
    header, samples = sound[:44], sound[44:]
    assert header[:4] == b"RIFF" and header[4:8] == header[40:44] == b"\xff\xff\xff\xff"
    assert samples == streamed.read_bytes()[44:]
    output = "".join(capfd.readouterr())
    assert "first sound " in output and " s after the model was loaded, " in output
    assert "voice: training speaker 'bob'; language: en-us; seed 1" in output and "stdout: " in output


def test_a_reader_that_leaves_ends_the_stream_quietly(run: Path) -> None:
    """In a process of its own, since a broken pipe affects the entire program."""
    command = [sys.executable, "-m", "myxtts", "speak", *WORDS, "--checkpoint", str(run), "--out", "-", "--raw"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert len(process.stdout.read(1000)) == 1000
        process.stdout.close()
        output = process.stderr.read().decode()
        assert process.wait(300) == 0, output
    assert "the reader left after" in output or "the reader left before the first sentence" in output
    assert "Traceback" not in output and "Broken" not in output and "\nerror: " not in output


def test_a_streamed_file_is_the_same_wav(run: Path, streamed: Path, tmp_path: Path) -> None:
    raw, mel = tmp_path / "out.raw", tmp_path / "mel.npy"
    words = ["--checkpoint", str(run), "--text", TEXT, "--speaker", "bob", "--raw", "--out", str(raw)]
    assert speak.main([*words, "--stream", "--save-mel", str(mel)]) == 0
    found, rate = soundfile.read(streamed, dtype="int16")
    assert rate == 22_050 and np.array_equal(np.frombuffer(raw.read_bytes(), "<i2"), found)
    assert np.load(mel, allow_pickle=False).shape == (len(found) // 256, 80)
    assert speak.main(words) == 0  # all at the end, atomically
    assert len(raw.read_bytes()) == 2 * len(found)


def test_what_is_spoken_is_in_the_file_before_the_next_sentence_is_made(tmp_path: Path) -> None:
    """So a process that is killed leaves all of it."""
    from myxtts.synthesis.speech import SpeechChunk, SpokenSentence

    out = tmp_path / "out.wav"

    def chunks() -> Iterator[SpeechChunk]:
        for number in range(1, 4):
            if number == 3:
                found, _ = soundfile.read(out)
                assert len(found) == 44_100 and out.stat().st_size == 44 + 2 * len(found)
                assert found[0] == pytest.approx(0.1, abs=1e-4) and found[-1] == pytest.approx(0.2, abs=1e-4)
            fields = SpokenSentence("x", "x", 0.0, 0.0), number, 3, "x", "x", (), 0, False
            yield SpeechChunk(np.full(22_050, 0.1 * number, np.float32), 22_050, np.zeros((0, 80), np.float32), *fields)

    state = StreamState()
    write_stream(chunks(), str(out), raw=False, state=state)
    assert state.progress == "3 of 3 sentences"


def test_ctrl_c_keeps_what_is_there(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from myxtts.synthesis.synthesizer import Synthesizer

    out = tmp_path / "out.wav"
    stream = Synthesizer.stream

    def stopping(self: Synthesizer, *args: object, **more: object) -> object:
        for chunk in stream(self, *args, **more):
            if chunk.number == 3:
                raise KeyboardInterrupt
            yield chunk

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Synthesizer, "stream", stopping)
        words = ["--checkpoint", str(run), "--text", TEXT, "--speaker", "bob", "--stream", "--out", str(out)]
        assert speak.main(words) == 75
    seconds = soundfile.info(out).duration
    output = f"2 of 3 sentences, {seconds:.2f} s, were written to '{out}'; the same command starts over"
    assert capsys.readouterr().err.endswith(f"error: stopped by Ctrl-C; {output}\n")


def test_a_failed_write(run: Path, tmp_path: Path) -> None:
    from myxtts.synthesis import Synthesizer

    chunks = Synthesizer.load(run).stream(TEXT, speaker="bob")
    with pytest.raises(StorageError, match=r"writing the speech failed at .*Is a directory"):
        write_stream(chunks, str(tmp_path), raw=False, state=StreamState())


def test_waiting_for_a_player_is_not_counted_as_computing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from myxtts.audio.sound_file import SoundWriter
    from myxtts.synthesis.speech import SpeechChunk, SpokenSentence

    write = SoundWriter.write
    monkeypatch.setattr(SoundWriter, "write", lambda self, samples: (time.sleep(0.2), write(self, samples))[1])
    fields = SpokenSentence("x", "x", 0.0, 0.0), 1, 2, "x", "x", (), 0, False
    chunk = SpeechChunk(np.zeros(2205, np.float32), 22_050, np.zeros((0, 80), np.float32), *fields)
    state = StreamState()
    begun = time.monotonic()
    write_stream(iter([chunk, chunk]), str(tmp_path / "a.wav"), raw=False, state=state)
    assert state.compute_seconds <= time.monotonic() - begun - 0.4 and state.seconds == pytest.approx(0.2)
    assert state.progress == "2 of 2 sentences"


@pytest.mark.parametrize("keeps_mels", [False, True])
def test_written_chunks_are_released(keeps_mels: bool, tmp_path: Path) -> None:
    """A stream of hours takes the memory of a sentence, and that of its mel where the mel is to be saved."""
    from myxtts.synthesis.speech import SpeechChunk, SpokenSentence

    samples_of: list[weakref.ref[np.ndarray]] = []
    mel_of: list[weakref.ref[np.ndarray]] = []

    def chunks() -> Iterator[SpeechChunk]:
        for number in range(1, 5):
            samples, mel_MC = np.zeros(2_560, np.float32), np.zeros((10, 80), np.float32)
            samples_of.append(weakref.ref(samples))
            mel_of.append(weakref.ref(mel_MC))
            fields = SpokenSentence("x", "x", 0.0, 0.0), number, 4, "voice 'a'", "fa", ("a note",), number, number == 2
            yield SpeechChunk(samples, 22_050, mel_MC, *fields)

    state = StreamState(keeps_mels=keeps_mels)
    write_stream(chunks(), str(tmp_path / "a.wav"), raw=False, state=state)
    assert [samples() for samples in samples_of] == [None] * 4
    assert [mel_MC() is not None for mel_MC in mel_of] == [keeps_mels] * 4
    assert len(state.mels) == (4 if keeps_mels else 0)
    assert state.progress == "4 of 4 sentences" and (state.voice, state.language) == ("voice 'a'", "fa")
    of_voice, capped, squeezed = state.notes
    assert of_voice == "a note" and capped.startswith("10 tokens were predicted longer than 1.5 s and cut")
    assert squeezed.startswith("1 of 4 sentences were predicted longer than 60 s and shortened")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk(run: Path) -> None:
    from myxtts.synthesis import Synthesizer

    chunks = Synthesizer.load(run).stream(TEXT, speaker="bob")
    with pytest.raises(
        StorageError, match=r"writing the speech failed at '/dev/full': No space left on device \[ENOSPC\]"
    ):
        write_stream(chunks, "/dev/full", raw=True, state=StreamState())


def test_without_a_stdout_for_sound_the_command_says_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*WORDS, "--checkpoint", "run", "--out", "-"]
    monkeypatch.setattr("os.isatty", lambda descriptor: descriptor == 1)
    assert speak.main(words) == 2
    assert (
        capsys.readouterr().err
        == "error: --out - would write sound to the terminal; pipe it to a program, or name a file\n"
    )
    monkeypatch.setattr("sys.stdout", None)
    assert speak.main(words) == 2
    assert capsys.readouterr().err == "error: --out - needs an open stdout; name a file instead\n"
