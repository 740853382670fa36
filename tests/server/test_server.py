"""The server over real HTTP: OpenAI's client in every format, streams, errors in its shape, the queue, the token."""

import base64
import gc
import io
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import made_model
import numpy as np
import pytest
import soundfile

pytest.importorskip("starlette")
uvicorn = pytest.importorskip("uvicorn")
httpx = pytest.importorskip("httpx2")

from myxtts.synthesis import Synthesizer  # noqa: E402
from myxtts.synthesis.options import SPEAK_OPTIONS  # noqa: E402
from tests.server.served import served, wait_for  # noqa: E402

TEXT = "A good day to all of you. And to nobody else."
SPEECH = "/v1/audio/speech"


@pytest.fixture(scope="module")
def synthesizer(tmp_path_factory: pytest.TempPathFactory) -> Synthesizer:
    return Synthesizer.load(made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved()))


@pytest.fixture(scope="module")
def url(synthesizer: Synthesizer) -> Iterator[str]:
    with served(synthesizer, max_queue=20) as address:
        yield address


def post(url: str, **values: object) -> Any:
    content = json.dumps({"input": TEXT, "voice": "bob", **values})  # ASCII, so that half a surrogate pair is sent too
    return httpx.post(url + SPEECH, content=content, timeout=60)


@pytest.mark.parametrize(
    ("name", "rate", "tolerance"),
    [("wav", 22_050, 0), ("flac", 22_050, 0), ("mp3", 22_050, 2_500), ("opus", 24_000, 2_000), ("pcm", 24_000, 200)],
)
def test_the_client_of_openai_in_every_format(
    url: str, synthesizer: Synthesizer, name: str, rate: int, tolerance: int
) -> None:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        content = client.audio.speech.create(model="tts-1", voice="bob", input=TEXT, response_format=name).read()
    if name == "pcm":
        samples = np.frombuffer(content, "<i2") / 32_768.0
    else:
        samples, found = soundfile.read(io.BytesIO(content))
        assert found == rate
    wanted = sum(len(chunk.samples) for chunk in synthesizer.stream(TEXT, speaker="bob")) * rate / 22_050
    assert abs(len(samples) - wanted) <= tolerance
    if name in ("wav", "flac"):
        exact = np.concatenate([chunk.samples for chunk in synthesizer.stream(TEXT, speaker="bob")])
        np.testing.assert_allclose(samples, exact, atol=1e-4)


def test_the_client_streams_and_lists(url: str) -> None:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        with client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="ann", input=TEXT, response_format="pcm", speed=1.5
        ) as answer:
            parts = list(answer.iter_bytes())
        assert sum(map(len, parts)) > 20_000
        assert [model.id for model in client.models.list()] == ["myxtts"]
        assert client.models.retrieve("myxtts").id == "myxtts"
        with pytest.raises(openai.NotFoundError, match="model 'x/y' is not served; there is: myxtts"):
            client.models.retrieve("x/y")
    listed = httpx.get(f"{url}/v1/audio/voices").json()
    assert [voice["id"] for voice in listed["voices"]] == ["ann", "bob", "cleo"]
    assert listed["languages"] == ["en-us", "fa"]


def test_events(url: str) -> None:
    whole = post(url, response_format="wav").content
    lines = post(url, response_format="wav", stream_format="sse").text.split("\n\n")
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line]
    assert [event["type"] for event in events] == ["speech.audio.delta"] * (len(events) - 1) + ["speech.audio.done"]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == whole and len(events) >= 3


def test_options_and_mixed_voices(url: str, synthesizer: Synthesizer) -> None:
    plain = post(url, response_format="wav").content
    for changed in (
        {"speed": 2.0}, {"pitch": 4.0}, {"energy": -9.0}, {"seed": 7, "vary": 1.0}, {"language": "fa"},
        {"voice": "ann:0.7+bob:0.3"}, {"voice": "ann+bob"}, {"voice": {"id": "ann"}},
    ):  # fmt: skip
        answer = post(url, response_format="wav", **changed)
        assert answer.status_code == 200 and answer.content != plain, changed
    ignored = post(url, response_format="wav", instructions="cheerful", unknown=[1], model="x", stream=True)
    assert ignored.content == plain


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"input": ""}, "input"), ({"input": 3}, "input"), ({"input": "a" * 5_000}, "input"),
        ({"input": "..."}, "input"),
        ({"voice": "nobody"}, "voice"), ({"voice": "../../etc/passwd"}, "voice"), ({"voice": "/etc/passwd"}, "voice"),
        ({"voice": 3}, "voice"), ({"voice": "ann:0+bob:1"}, "voice"), ({"voice": "ann:1+bob"}, "voice"),
        ({"voice": "+".join(["ann"] * 9)}, "voice"), ({"speed": 9}, "speed"), ({"speed": "fast"}, "speed"),
        ({"speed": True}, "speed"), ({"pitch": -99}, "pitch"), ({"seed": 1.5}, "seed"), ({"seed": -1}, "seed"),
        ({"temperature": 3}, "temperature"), ({"language": "xx"}, "language"), ({"language": 3}, "language"),
        ({"response_format": "aac"}, "response_format"), ({"stream_format": "x"}, "stream_format"),
    ],
)  # fmt: skip
def test_fields_out_of_range(url: str, values: dict, param: str) -> None:
    answer = post(url, **values)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error" and error["param"] == param and "\n" not in error["message"]
    assert "Traceback" not in answer.text


def test_every_option_out_of_its_range(url: str) -> None:
    """By the ranges that the options state, and values of every other type."""
    for name, info in SPEAK_OPTIONS.items():
        if name == "steps":  # not the client's to choose
            continue
        wrong: list[object] = [[], {}, [1], True, False]
        if info.low is None or info.high is None:
            wrong += [3, "", "e\nn", "\ud800", "x" * 10_000]
        else:
            wrong += ["1", "nan", info.low - 1, info.high + 1, 1e308, -1e308, 10**400, -(10**400)]
            wrong += [0.5] if info.whole else []
        for value in wrong:
            answer = post(url, **{name: value})
            assert answer.status_code == 400, (name, value, answer.text)
            error = answer.json()["error"]
            assert error["param"] == name and error["type"] == "invalid_request_error", (name, value, error)
            assert "\n" not in error["message"] and len(error["message"]) < 1_000
    assert httpx.get(url + "/health").json()["queue"] == 0


def test_texts_and_voices_that_are_no_words(url: str) -> None:
    """What cannot be spoken is an error of its field; what can be is spoken."""
    for text in ("\ud800", "\x00\x01", "\U0001f600", "\u200f\u200f", "\t\n ", "{}" * 50, "<speak>", "\u0301" * 9):
        answer = post(url, input=text, response_format="pcm")
        assert answer.status_code in (200, 400), (text, answer.text)
        if answer.status_code == 400:
            assert answer.json()["error"]["param"] == "input", (text, answer.text)
    for voice in ("", " ", "ann:", "ann:x", "ann:nan", "ann:-1", "ann:inf", "ann:1e999", "+", "ann+", "\ud800", [],
                  ["ann"], {"id": 3}, {"id": "../ann"}, True, 10**400, "ann" * 10_000):  # fmt: skip
        answer = post(url, voice=voice)
        assert answer.status_code == 400 and answer.json()["error"]["param"] == "voice", (voice, answer.text)
        assert len(answer.json()["error"]["message"]) < 1_000
    for name in ("response_format", "stream_format"):
        for value in ("", "WAV", 3, [], {}, True):
            answer = post(url, **{name: value})
            assert answer.status_code == 400 and answer.json()["error"]["param"] == name, (name, value)
    assert httpx.get(url + "/health").json()["queue"] == 0


def test_bodies_and_paths_that_are_no_requests(url: str) -> None:
    for content in (b"", b"{", b"[]", b'{"input": NaN}', b"\xff", b"[" * 100_000, b'{"input":"a","input":"b"}'):
        answer = httpx.post(url + SPEECH, content=content)
        assert answer.status_code == 400 and set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert httpx.post(url + SPEECH, content=b" " * (1 << 21)).status_code == 413
    assert httpx.get(url + SPEECH).status_code == 405 and "error" in httpx.get(url + SPEECH).json()
    assert httpx.get(url + "/v1/../../etc/passwd").status_code == 404


def test_four_at_once_give_the_bytes_of_one_after_another(url: str) -> None:
    texts = [f"This is number {n}. And more of it." for n in range(4)]

    def content(text: str) -> bytes:
        return post(url, input=text, response_format="wav").content

    serial = [content(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(content, texts)) == serial


def test_a_full_queue_and_a_client_that_leaves(synthesizer: Synthesizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One request is held in its second sentence; the next is turned away; the held one leaves, and all is free."""
    going, sentences = threading.Event(), []
    generate = synthesizer.model.generate

    def held(*args: object, **more: object) -> object:
        sentences.append(1)
        if len(sentences) > 1:
            assert going.wait(60)
        return generate(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(synthesizer.model, "generate", held)
    with served(synthesizer, max_queue=1, threads=1) as address:
        long = {"input": "One more sentence here. " * 30, "voice": "bob", "response_format": "pcm"}
        with httpx.stream("POST", address + SPEECH, json=long, timeout=60) as answer:
            parts = answer.iter_bytes()  # kept: the client closes the connection with it
            assert next(parts), "the first sentence arrives while the second is held"
            refused = post(address)
            assert refused.status_code == 503 and refused.headers["retry-after"]
            assert refused.json()["error"]["code"] == "queue_full"
        going.set()
        wait_for(address, 0)
        spoken = len(sentences)
        assert spoken <= 4, "the client left: no more than the current sentence is computed"
        assert post(address).status_code == 200
        counted = httpx.get(address + "/metrics").text
        assert 'myxtts_requests_total{status="503"} 1' in counted and "myxtts_queue 0" in counted


def test_the_token(synthesizer: Synthesizer) -> None:
    openai = pytest.importorskip("openai")
    with served(synthesizer, token="secret") as address:
        refused = post(address)
        assert refused.status_code == 401 and refused.json()["error"]["code"] == "invalid_api_key"
        wrong = openai.OpenAI(base_url=f"{address}/v1", api_key="wrong", max_retries=0)
        with wrong, pytest.raises(openai.AuthenticationError):
            wrong.models.list()
        with openai.OpenAI(base_url=f"{address}/v1", api_key="secret") as client:
            assert len(list(client.models.list())) == 1
        for given, status in (("bearer secret", 200), ("Basic secret", 401), ("Bearer", 401), ("secret", 401)):
            assert httpx.get(f"{address}/v1/models", headers={"Authorization": given}).status_code == status, given
        assert httpx.get(f"{address}/metrics").status_code == 401 and httpx.get(f"{address}/health").status_code == 200


def test_other_pages_may_not_use_it_unless_named(synthesizer: Synthesizer, url: str) -> None:
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in httpx.get(f"{url}/v1/models", headers=asked).headers
    with served(synthesizer, origins=("https://a.example",)) as address:
        answer = httpx.get(f"{address}/v1/models", headers=asked)
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert httpx.options(f"{address}{SPEECH}", headers=asked).status_code == 200


def test_a_model_whose_numbers_are_not_finite(synthesizer: Synthesizer, monkeypatch: pytest.MonkeyPatch) -> None:
    from myxtts.errors import NonFiniteError

    def broken(*args: object, **more: object) -> object:
        raise NonFiniteError("the model computed a mel that is not finite; use another checkpoint")

    monkeypatch.setattr(synthesizer.model, "generate", broken)
    with served(synthesizer) as address:
        answer = post(address)
        assert answer.status_code == 500 and answer.json()["error"]["type"] == "server_error"
        assert httpx.get(f"{address}/health").json()["queue"] == 0


def test_an_error_in_the_middle_of_events_is_one(synthesizer: Synthesizer, monkeypatch: pytest.MonkeyPatch) -> None:
    from myxtts.errors import NonFiniteError

    generate, calls = synthesizer.model.generate, []

    def breaks(*args: object, **more: object) -> object:
        calls.append(1)
        if len(calls) > 1:
            raise NonFiniteError("the model computed a mel that is not finite; use another checkpoint")
        return generate(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(synthesizer.model, "generate", breaks)
    with served(synthesizer) as address:
        answer = post(address, stream_format="sse", response_format="pcm")
        *sound, last = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
        assert answer.status_code == 200 and sound and sound[-1]["type"] == "speech.audio.delta"
        assert last["type"] == "error" and last["error"]["type"] == "server_error"
        assert "not finite" in last["error"]["message"]
        for stream_format, response_format in (("json", "wav"), ("audio", "pcm")):
            calls.clear()
            try:
                assert post(address, stream_format=stream_format, response_format=response_format).status_code == 500
            except httpx.RemoteProtocolError:  # a sound file has no place for an error; it must not look complete
                assert stream_format == "audio"
            else:
                assert stream_format == "json"
        assert httpx.get(f"{address}/health").json()["queue"] == 0


def test_an_encoder_that_cannot_be_made_gives_its_place_back(
    synthesizer: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*args: object) -> None:
        raise RuntimeError("no such format in this libsndfile")

    monkeypatch.setattr("myxtts.server.app.encoder", missing)
    with served(synthesizer, max_queue=1) as address:
        for _ in range(2):
            assert post(address, stream_format="json").status_code == 500
        wait_for(address, 0)


@pytest.mark.parametrize("name", ["mp3", "opus", "flac"])
def test_a_sound_file_that_is_left_unfinished_prints_nothing(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    from myxtts.server.sound_formats import encoder

    output = encoder(name, 22_050)
    output.write(np.zeros(10_000, np.float32))
    output.release()
    output.release()
    del output
    gc.collect()
    assert capfd.readouterr().err == ""


def test_mistakes_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from myxtts.cli import serve

    def lines(*words: str) -> str:
        assert serve.main(list(words)) == 2
        return capsys.readouterr().err

    assert "MODEL is missing" in lines() and "--port is 70000, expected 0 to 65535" in lines("x", "--port", "70000")
    assert "--token-file" in lines("x", "--token-file", str(tmp_path / "none"))
    (tmp_path / "empty").write_text("\n")
    assert "has no token" in lines("x", "--token-file", str(tmp_path / "empty"))
    assert "no checkpoint" in lines(str(tmp_path), "--port", "0", "--origin", "chrome-extension://abc", "--origin", "*")
    for host in ("a" * 70, "192.0.2.1"):  # neither needs a name server
        assert f"--host '{host}' is no address of this machine" in lines(str(tmp_path), "--host", host)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"--port {port} cannot be used on 127.0.0.1" in lines(str(tmp_path), "--port", port)
    for origin in ("https://a.example/", "a.example", "null"):
        assert f"--origin is '{origin}', expected scheme and host" in lines("x", "--origin", origin)
    assert "--voices is 'none', which does not exist" in lines("x", "--voices", "none")
    (tmp_path / "file").touch()
    assert "which is a file" in lines("x", "--voices", str(tmp_path / "file"), "--allow-voices")


@pytest.mark.parametrize("command", ["serve", "studio"])
def test_a_dictionary_is_spoken_by_the_server(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib

    from myxtts.errors import DataError
    from myxtts.text.phonemes import transcribe

    module = importlib.import_module(f"myxtts.cli.{command}")
    run = str(made_model.save_run(tmp_path / "run", made_model.resolved()))
    words = [run, "--port", "0", *(["--no-open", "--runs", str(tmp_path / "runs")] if command == "studio" else [])]

    def loaded(opened: object, vocoder: str = "neural", dictionary: dict | None = None) -> None:
        raise DataError(f"loaded, {transcribe(['Siobhan'], 'en-us', dictionary)[0].phonemes}")

    monkeypatch.setattr(module, "load_synthesizer", loaded)
    (tmp_path / "words.tsv").write_text("Siobhan\t/\u0283\u026av\u02c8\u0254\u02d0n/\n", encoding="utf-8")
    assert module.main([*words, "--dictionary", str(tmp_path / "words.tsv")]) == 2
    assert "loaded, \u0283\u026av\u02c8\u0254\u02d0n" in capsys.readouterr().err
    assert module.main([*words, "--dictionary", str(tmp_path / "none")]) == 2
    assert "none: No such file or directory; name a text file" in capsys.readouterr().err
