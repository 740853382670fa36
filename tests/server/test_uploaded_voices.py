"""Voices by upload: off unless allowed, with consent, and nothing left behind of what is no recording of a voice."""

import contextlib
import io
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import made_model
import numpy as np
import pytest
import soundfile

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
httpx = pytest.importorskip("httpx2")

from myxtts.errors import ConfigError, DataError  # noqa: E402
from myxtts.server.voice_folder import VoiceFolder, name_problem  # noqa: E402
from myxtts.synthesis import Synthesizer  # noqa: E402
from myxtts.synthesis.voice_file import read_voice  # noqa: E402
from myxtts.synthesis.voice_parts import VoicePart  # noqa: E402
from tests.server.served import served, until  # noqa: E402

VOICES = "/v1/audio/voices"
CONSENT = {"consent_by": "Ann Example", "consent_date": "2026-12-01"}


@pytest.fixture(scope="module")
def synthesizer(tmp_path_factory: pytest.TempPathFactory) -> Synthesizer:
    return Synthesizer.load(made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("voices")


@pytest.fixture(scope="module")
def url(synthesizer: Synthesizer, folder: Path) -> Iterator[str]:
    with served(synthesizer, VoiceFolder(folder), allow_voices=True, max_upload_bytes=2_000_000) as address:
        yield address


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A tone, which is accepted only by name."""
    return made_model.save_recording(tmp_path_factory.mktemp("audio") / "a.wav", seconds=4.0).read_bytes()


def upload(url: str, content: bytes, filename: str = "me.wav", **fields: str) -> Any:
    return httpx.post(url + VOICES, data=fields, files={"audio_sample": (filename, content)}, timeout=60)


def wav(samples: np.ndarray, rate: int = 22_050, subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype=subtype)
    return file.getvalue()


SECOND = np.arange(88_200) / 22_050
NOISE = 0.1 * np.random.default_rng(0).normal(size=len(SECOND)) * (0.2 + np.sin(2.0 * SECOND) ** 2)
CHORD = sum(0.1 * np.sin(2 * np.pi * hz * SECOND) for hz in (262.0, 330.0, 392.0, 523.0))
CONTENTS = {
    "text": b"no audio at all",
    "empty": b"",
    "silent": wav(np.zeros(44_100)),
    "cut": wav(np.zeros(44_100))[:60],
    "short": wav(np.full(10, 0.1)),
    "not finite": wav(np.full(44_100, np.nan), subtype="FLOAT"),
    "too loud": wav(np.full(44_100, 1e30), subtype="FLOAT"),
    "slow": wav(NOISE, rate=1),
    "fast": wav(NOISE, rate=10_000_000),
    "wav of nothing": b"RIFF" + b"\xff" * 2_000,
    "flac of nothing": b"fLaC" + bytes(2_000),
    "ogg of nothing": b"OggS" + b"\xff" * 2_000,
    "mp3 of nothing": b"\xff\xfb\x90" + bytes(2_000),
    "noise": wav(NOISE),
    "music": wav(CHORD),
    "large": bytes(3_000_000),
}
"""Uploads that are no recording of one voice."""


def test_a_voice_is_made_stored_with_consent_and_spoken_with(url: str, folder: Path, recording: bytes) -> None:
    answer = upload(url, recording, name="anna", accept_problem="true", **CONSENT)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["object"], made["id"], made["consent"]) == ("audio.voice", "anna", "Ann Example, 2026-12-01")
    assert 3.0 < made["kept"]["kept_seconds"] <= 4.0 and made["kept"]["problem"]
    stored = read_voice(folder / "anna.voice")
    assert (stored.consent, stored.made_from) == ("Ann Example, 2026-12-01", "recording 'me.wav'")
    assert sorted(path.name for path in folder.iterdir()) == ["anna.voice"], "the recording is not kept"
    assert "anna" in [voice["id"] for voice in httpx.get(url + VOICES).json()["voices"]]
    speech = {"input": "Hello.", "response_format": "wav"}
    spoken = [
        httpx.post(f"{url}/v1/audio/speech", json={**speech, "voice": voice}, timeout=60)
        for voice in ("anna", "bob", "anna:0.5+bob:0.5")
    ]
    assert [answer.status_code for answer in spoken] == [200] * 3
    assert len({answer.content for answer in spoken}) == 3


@pytest.mark.parametrize(
    ("changes", "content", "status", "param", "code"),
    [
        ({}, "text", 400, "audio_sample", "invalid_audio"),
        ({}, "empty", 400, "audio_sample", "invalid_audio"),
        ({}, "silent", 400, "audio_sample", "invalid_audio"),
        ({}, "cut", 400, "audio_sample", "invalid_audio"),
        ({}, "short", 400, "audio_sample", "invalid_audio"),
        ({}, "not finite", 400, "audio_sample", "invalid_audio"),
        ({}, "too loud", 400, "audio_sample", "invalid_audio"),
        ({}, "slow", 400, "audio_sample", "invalid_audio"),
        ({}, "fast", 400, "audio_sample", "invalid_audio"),
        ({}, "wav of nothing", 400, "audio_sample", "invalid_audio"),
        ({}, "flac of nothing", 400, "audio_sample", "invalid_audio"),
        ({}, "ogg of nothing", 400, "audio_sample", "invalid_audio"),
        ({}, "mp3 of nothing", 400, "audio_sample", "invalid_audio"),
        ({}, "noise", 400, "audio_sample", "not_one_voice"),
        ({}, "music", 400, "audio_sample", "not_one_voice"),
        ({}, "tone", 400, "audio_sample", "not_one_voice"),
        ({}, "large", 413, "audio_sample", None),
        ({"consent_by": ""}, "tone", 400, "consent_by", None),
        ({"consent_by": "a\nb"}, "tone", 400, "consent_by", None),
        ({"consent_by": "x" * 4_000}, "tone", 400, "consent_by", None),
        ({"consent_date": "yesterday"}, "tone", 400, "consent_date", None),
        ({"consent_date": ""}, "tone", 400, "consent_date", None),
        ({"consent_date": "2026-02-31"}, "tone", 400, "consent_date", None),
        ({"consent_date": "2026-W01-1"}, "tone", 400, "consent_date", None),
        ({"consent_date": "9999-12-31"}, "tone", 400, "consent_date", None),
        ({"name": ""}, "tone", 400, "name", None),
        ({"name": "../x"}, "tone", 400, "name", None),
        ({"name": "a:b"}, "tone", 400, "name", None),
        ({"name": "a" * 61}, "tone", 400, "name", None),
        ({"name": "\u202ea"}, "tone", 400, "name", None),
        ({"name": "bob"}, "tone", 400, "name", None),
    ],
)
def test_what_is_wrong_is_an_error_and_leaves_nothing(
    url: str, folder: Path, recording: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    changes: dict, content: str, status: int, param: str, code: str | None,
) -> None:  # fmt: skip
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = sorted(folder.rglob("*"))
    fields = {"name": "new", **CONSENT, **changes}
    answer = upload(url, recording if content == "tone" else CONTENTS[content], **fields)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (param, code) and "\n" not in error["message"]
    assert str(tmp_path) not in answer.text and "Traceback" not in answer.text
    assert sorted(folder.rglob("*")) == before and list(tmp_path.iterdir()) == []


def test_the_id_of_a_voice_is_its_name_in_the_list(url: str, folder: Path, recording: bytes) -> None:
    """A name may come in Unicode's decomposed form, as from macOS."""
    made = upload(url, recording, name="Andre\u0301", accept_problem="true", **CONSENT).json()
    assert made["id"] == made["name"] == "Andr\u00e9"
    assert made["id"] in [voice["id"] for voice in httpx.get(url + VOICES).json()["voices"]]
    (folder / "Andr\u00e9.voice").unlink()


@contextlib.contextmanager
def slow_upload(url: str) -> Iterator[socket.socket]:
    """A client that sends the beginning of a recording, and waits."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as client:
        head = f"POST {VOICES} HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        client.sendall(f"{head}Content-Length: 100000\r\n\r\n--x\r\n".encode())
        yield client


def test_a_recording_that_arrives_slowly_holds_up_no_speech(
    synthesizer: Synthesizer, tmp_path: Path, recording: bytes
) -> None:
    with served(synthesizer, VoiceFolder(tmp_path), allow_voices=True, max_queue=1, max_uploads=1) as address:
        with slow_upload(address):
            until(address, "myxtts_uploads 1")
            speech = {"input": "Hello.", "voice": "bob", "response_format": "wav"}
            assert httpx.post(f"{address}/v1/audio/speech", json=speech, timeout=60).status_code == 200
            refused = upload(address, recording, name="anna", accept_problem="true", **CONSENT)
            assert refused.status_code == 503 and refused.json()["error"]["code"] == "queue_full"
            assert refused.headers["retry-after"]
        until(address, "myxtts_uploads 0")
        assert upload(address, recording, name="anna", accept_problem="true", **CONSENT).status_code == 201


def test_a_recording_that_does_not_arrive_in_time(
    synthesizer: Synthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = VoiceFolder(tmp_path / "voices")
    with served(synthesizer, folder, allow_voices=True, upload_seconds=0.3) as address:
        with slow_upload(address) as client:
            answer = b"".join(iter(lambda: client.recv(4_096), b""))  # until the server closes the connection
            assert b" 408 " in answer.split(b"\r\n")[0] and b"did not arrive within 0.3 s" in answer
        until(address, "myxtts_uploads 0")
    assert not list(tmp_path.glob("myxtts-upload-*"))


def test_uploads_take_their_place_in_the_queue(
    synthesizer: Synthesizer, tmp_path: Path, recording: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once they are received, and are made into voices."""
    from myxtts.server.upload import add_uploaded

    going = threading.Event()

    def held(*args: Any, **more: Any) -> Any:
        assert going.wait(60)
        return add_uploaded(*args, **more)

    monkeypatch.setattr("myxtts.server.app.add_uploaded", held)
    with served(synthesizer, VoiceFolder(tmp_path), allow_voices=True, max_queue=1) as address:
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(upload, address, recording, name="anna", accept_problem="true", **CONSENT)
            until_queue(address, 1)
            refused = upload(address, recording, name="ben", accept_problem="true", **CONSENT)
            going.set()
            assert refused.status_code == 503 and refused.json()["error"]["code"] == "queue_full"
            assert refused.headers["retry-after"] and first.result().status_code == 201
        until_queue(address, 0)
        assert upload(address, recording, name="ben", accept_problem="true", **CONSENT).status_code == 201


def until_queue(url: str, length: int) -> None:
    deadline = time.monotonic() + 60
    while httpx.get(f"{url}/health").json()["queue"] != length:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_gigabytes_are_not_read(url: str) -> None:
    """The length in the header ends the request; without one the limit does."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as client:
        client.sendall(
            f"POST {VOICES} HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            f"Content-Length: {2 << 30}\r\n\r\n".encode()
        )
        assert b" 413 " in client.recv(200)
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="audio_sample"; filename="a.wav"\r\n\r\n'
        while sent < 2 << 30:
            sent += 1 << 16
            yield bytes(1 << 16)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    with contextlib.suppress(httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        # or the server closes the connection while the client writes
        assert httpx.post(url + VOICES, content=endless(), headers=headers, timeout=60).status_code == 413
    assert sent < 64 << 20


def test_bodies_that_are_no_form(url: str) -> None:
    for content, kind in (
        (b"{}", "application/json"), (b"x", "multipart/form-data"), (b"x", "multipart/form-data; boundary=y"),
        (b'--y\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--y--\r\n', "multipart/form-data; boundary=y"),
    ):  # fmt: skip
        answer = httpx.post(url + VOICES, content=content, headers={"Content-Type": kind})
        assert answer.status_code == 400 and "error" in answer.json(), (content, answer.text)


def test_off_unless_allowed(synthesizer: Synthesizer, tmp_path: Path, recording: bytes) -> None:
    for voices in (None, VoiceFolder(tmp_path)):
        with served(synthesizer, voices) as address:
            answer = upload(address, recording, name="anna", **CONSENT)
            assert answer.status_code == 403 and answer.json()["error"]["code"] == "voices_not_allowed"
    assert list(tmp_path.iterdir()) == []


def test_the_folder_renames_and_moves_to_the_trash(synthesizer: Synthesizer, tmp_path: Path) -> None:
    folder = VoiceFolder(tmp_path / "new" / "voices")
    made = synthesizer.make_voice(speaker="bob")
    folder.add("bob 2", made, synthesizer, consent="Bob, 2026-01-01", recording=(np.zeros(100, np.float32), 22_050))
    folder.rename("bob 2", "باب")
    assert folder.names() == ["باب"] and folder.recording("باب") and folder.consent("باب") == "Bob, 2026-01-01"
    with pytest.raises(ConfigError, match="taken"):
        folder.add("باب", made, synthesizer)
    for _ in range(2):
        folder.trash("باب")
        folder.add("باب", made, synthesizer)
    assert len(list((folder.path / "trash").glob("*.voice"))) == 2 and folder.names() == ["باب"]
    assert len(list((folder.path / "trash").glob("*.wav"))) == 1
    for name in ("none", "../x", "trash"):
        with pytest.raises(DataError, match="no voice"):
            folder.trash(name)


def test_a_voice_of_another_model_is_made_again_from_its_recording(synthesizer: Synthesizer, tmp_path: Path) -> None:
    arrays = dict(made_model.weights("regression"))
    name = next(name for name in arrays if "/speaker_encoder/voice/kernel" in f"/{name}")
    arrays[name] = arrays[name] + np.float32(0.1)
    run = made_model.save_run(tmp_path / "run", made_model.resolved(training__seed=9), average=arrays)
    other, folder = Synthesizer.load(run), VoiceFolder(tmp_path / "voices")
    samples = soundfile.read(made_model.save_recording(tmp_path / "a.wav"), dtype="float32")[0]
    made = synthesizer.make_voice(voices=[VoicePart("reference", samples)])
    folder.add("anna", made, synthesizer, recording=(samples, 22_050))
    folder.add("bare", made, synthesizer)
    part = folder.part("anna", None, other)
    assert read_voice(Path(str(part.what))).model == other.opened.voice_model
    assert folder.part("anna", None, other).what == part.what and folder.names() == ["anna", "bare"]
    other.make_voice(voices=[part])
    assert [entry["usable"] for entry in folder.list(other)] == [True, False]
    assert [entry["usable"] for entry in folder.list(synthesizer)] == [True, True]


def test_names() -> None:
    for name in ("anna", "Anna B.", "سارا", "می‌نا", "a" * 60):
        assert name_problem(name) is None, name
    for name in ("", " a", "a ", ".a", "a/b", "a\\b", "a+b", "a:b", "a\nb", "a\u202eb", "trash", "a" * 61, None, 3):
        assert name_problem(name) is not None, name
