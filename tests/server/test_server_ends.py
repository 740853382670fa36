"""Requests and speeches that end early: what the client sees, and one line at most in the log of the server."""

import json
import logging
import socket
from pathlib import Path
from typing import Any

import made_model
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
httpx = pytest.importorskip("httpx2")

from myxtts.errors import NonFiniteError  # noqa: E402
from myxtts.server.voice_folder import VoiceFolder  # noqa: E402
from myxtts.synthesis import Synthesizer  # noqa: E402
from tests.server.served import served, until, wait_for  # noqa: E402

SPEECH, TEXT = "/v1/audio/speech", "A good day to all of you. And to nobody else."


@pytest.fixture(scope="module")
def synthesizer(tmp_path_factory: pytest.TempPathFactory) -> Synthesizer:
    return Synthesizer.load(made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved()))


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What uvicorn would print."""
    monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", True)
    monkeypatch.setattr("uvicorn.config.Config.configure_logging", lambda config: None)
    return caplog


def answer_of(address: str, **values: str) -> Any:
    """The status of an answer and its events; None in place of the status of one that is incomplete."""
    body = {"input": TEXT, "voice": "bob", "response_format": "pcm", **values}
    with httpx.stream("POST", address + SPEECH, json=body, timeout=60) as answer:
        content = b""
        try:
            for part in answer.iter_bytes():
                content += part
        except httpx.RemoteProtocolError:
            return None, content
        return answer.status_code, content


@pytest.mark.parametrize("kind", [NonFiniteError, RuntimeError])
@pytest.mark.parametrize("stream_format", ["audio", "sse", "json"])
def test_a_speech_that_fails_in_its_second_sentence(
    synthesizer: Synthesizer, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture,
    kind: type[Exception], stream_format: str,
) -> None:  # fmt: skip
    """A known error is one line in the log; an unknown one is there with its traceback, once."""
    generate, calls = synthesizer.model.generate, []

    def breaks(*args: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) > 1:
            raise kind("no such mel")
        return generate(*args, **more)

    monkeypatch.setattr(synthesizer.model, "generate", breaks)
    with served(synthesizer) as address:
        status, content = answer_of(address, stream_format=stream_format)
        wait_for(address, 0)
    message = "no such mel" if kind is NonFiniteError else "internal error"
    if stream_format == "audio":
        assert status is None and content, "a sound file must not look complete"
    elif stream_format == "sse":
        first, *_, last = [json.loads(line.removeprefix("data: ")) for line in content.decode().split("\n\n") if line]
        assert status == 200 and first["type"] == "speech.audio.delta"
        assert last["type"] == "error" and message in last["error"]["message"]
    else:
        assert status == 500 and message in json.loads(content)["error"]["message"]
    lines = [record for record in log.records if record.name.startswith("uvicorn")]
    if kind is RuntimeError:
        assert [bool(record.exc_info) for record in lines] == [True]
    elif stream_format == "json":  # the client knows
        assert lines == []
    else:
        assert [record.getMessage() for record in lines] == ["a speech ended early: no such mel"]
        assert not lines[0].exc_info


@pytest.mark.parametrize("path", [SPEECH, "/v1/audio/voices"])
def test_a_client_that_leaves_while_it_sends(
    synthesizer: Synthesizer, tmp_path: Path, log: pytest.LogCaptureFixture, path: str
) -> None:
    with served(synthesizer, VoiceFolder(tmp_path), allow_voices=True) as address:
        host, port = address.removeprefix("http://").split(":")
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        with socket.create_connection((host, int(port)), timeout=30) as client:
            client.sendall(f"{head}Content-Length: 1000\r\n\r\n--x\r\n".encode())
            client.shutdown(socket.SHUT_WR)
            assert client.recv(100) == b""
        until(address, 'myxtts_requests_total{status="499"} 1')
    assert [one.getMessage() for one in log.records if one.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=y", "Multipart/Form-Data; boundary=y"])
def test_a_damaged_form_is_no_line_on_stderr(
    synthesizer: Synthesizer, tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    with served(synthesizer, VoiceFolder(tmp_path), allow_voices=True) as address:
        answer = httpx.post(f"{address}/v1/audio/voices", content=b"RIFF", headers={"Content-Type": kind}, timeout=60)
    assert answer.status_code == 400 and "the form cannot be read" in answer.json()["error"]["message"]
    assert "boundary" not in capfd.readouterr().err


def test_what_a_browser_is_allowed(synthesizer: Synthesizer) -> None:
    """OpenAI's client in a browser sends headers of its own; a wrong method is answered with the right ones."""
    with served(synthesizer, origins=("https://a.example",)) as address:
        asked = {
            "Origin": "https://a.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os",
        }
        answer = httpx.options(address + SPEECH, headers=asked, timeout=60)
        assert answer.status_code == 200 and "x-stainless-os" in answer.headers["access-control-allow-headers"]
        assert httpx.get(address + SPEECH, timeout=60).headers["allow"] == "POST"
