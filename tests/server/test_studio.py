"""The studio over HTTP: who may use it, and that what it starts and makes is found again by another server."""

import ast
import fcntl
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import made_model
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
httpx = pytest.importorskip("httpx2")

from myxtts.errors import StorageError  # noqa: E402
from myxtts.server.studio import app  # noqa: E402
from myxtts.server.studio.app import page_texts  # noqa: E402
from myxtts.server.studio.guard import token_of  # noqa: E402
from myxtts.synthesis import Synthesizer  # noqa: E402
from myxtts.synthesis.speech import SpeechNotes  # noqa: E402
from tests.data.made_recordings import make_root  # noqa: E402
from tests.server.made_studio import TOKEN, MadeStudio, open_studio  # noqa: E402
from tests.test_words import findings  # noqa: E402

BEARER = {"Authorization": f"Bearer {TOKEN}"}
FORM = {"name": "anna", "base": "", "level": "basic", "size": "tiny", "language": "", "minutes": None, "settings": ""}


@pytest.fixture(scope="module")
def synthesizer(tmp_path_factory: pytest.TempPathFactory) -> Synthesizer:
    return Synthesizer.load(made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved()))


@pytest.fixture(scope="module")
def studio(synthesizer: Synthesizer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadeStudio]:
    with open_studio(tmp_path_factory.mktemp("studio"), synthesizer) as opened:
        yield opened


def ask(studio: MadeStudio, method: str, path: str, status: int = 200, **more: Any) -> Any:
    answer = httpx.request(method, studio.url + path, headers=BEARER, timeout=120, **more)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.headers["content-type"] == "application/json" else answer


def until(work: Callable[[], Any]) -> Any:
    """What `work` returns once it is true."""
    deadline = time.monotonic() + 180
    while not (found := work()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
    return found


def test_who_may_use_it(studio: MadeStudio) -> None:
    def status(path: str, method: str = "GET", **headers: str) -> int:
        return int(httpx.request(method, studio.url + path, headers=headers, json={}).status_code)

    port = studio.url.rpartition(":")[2]
    cookie = {"Cookie": f"myxtts_studio={TOKEN}"}
    own = {**cookie, "Origin": studio.url}
    assert status("/studio/state") == 401 and status("/") == 401 and status("/?token=wrong") == 401
    assert status("/studio/state", **cookie) == 200 and status("/studio/state", **BEARER) == 200
    assert status("/studio/state", Cookie="myxtts_studio=wrong") == 401
    for host in ("evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}"):
        assert status("/studio/state", Host=host, **cookie) == 403, host
    assert status("/studio/state", Host=f"localhost:{port}", **cookie) == 200
    assert status("/studio/speak", "POST", **own) == 400, (
        "an empty request of the page itself gets as far as its fields"
    )
    for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}):
        assert status("/studio/speak", "POST", **cookie, **origin) == 403, origin
        assert status("/v1/audio/speech", "POST", **cookie, **origin) == 403, origin
    assert status("/studio/state", **cookie, **{"Sec-Fetch-Site": "cross-site"}) == 403
    reply = httpx.get(f"{studio.url}/?token={TOKEN}", follow_redirects=False)
    assert reply.status_code == 303 and reply.headers["location"] == "/"
    assert all(word in reply.headers["set-cookie"].lower() for word in ("httponly", "samesite=strict"))
    assert status("/health") == 200


def test_the_page_and_its_headers(studio: MadeStudio) -> None:
    page = ask(studio, "GET", "/")
    policy = page.headers["content-security-policy"]
    assert (
        "unsafe" not in policy
        and "default-src 'none'" in policy
        and page.headers["x-content-type-options"] == "nosniff"
    )
    assert "onclick=" not in page.text and "style=" not in page.text
    assert "//" not in page.text, "nothing from elsewhere"
    for name in ("main.js", "style.css", "en.json"):
        assert ask(studio, "GET", f"/studio/page/{name}")
    for name in ("app.py", "..%2fapp.py", "none.js"):
        ask(studio, "GET", f"/studio/page/{name}", 404)


def test_texts_of_the_page() -> None:
    texts = {language: page_texts(language) for language in ("en", "fa")}
    assert texts["en"].keys() == texts["fa"].keys()
    assert [line for key, text in texts["en"].items() for line in findings(key, text)] == []
    for language in texts:
        assert all(text.strip() for text in texts[language].values())


def messages_of(path: Path) -> Iterator[tuple[str, str]]:
    """(place, message) of each error that a file raises for a user; values are X."""

    def text_of(node: ast.AST) -> str:
        if isinstance(node, ast.JoinedStr):
            return "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)  # type: ignore[misc]
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""

    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("ApiError", "DataError", "ConfigError"):
            arguments = node.args[1:2] if node.func.id == "ApiError" else node.args[:1]  # type: ignore[attr-defined]
            for argument in arguments:
                if len(text := text_of(argument)) > 1:
                    yield f"{path.name}:{node.lineno}", text


def test_errors_are_translated_into_persian() -> None:
    translations = page_texts("errors.fa")
    server = Path(app.__file__).parents[1]
    found = [one for path in (*server.glob("*.py"), *server.glob("studio/*.py")) for one in messages_of(path)]
    assert len(found) > 50
    # a path that does not exist, which the page never asks for; an error of a weight, whose text comes from elsewhere
    unknown = ("X X: X", "voice X")
    missing = [
        (place, text)
        for place, text in found
        if text not in unknown and not any(re.search(pattern, text) for pattern in translations)
    ]
    assert missing == []
    for message, wanted in (
        ("the recording is silent; check the microphone, and record speech", "ساکت"),
        ("the recording has 0.20 s of sound, at least 0.5 s are needed; three to ten", "0.20 ثانیه"),
        ("the recording: not a readable recording (Format not recognised); convert it to wav", "WAV"),
        ("its pitch stays the same from frame to frame: it seems to be music or tones, not speech", "موسیقی"),
        ("speed is 9, expected 0.25 to 4 times", "speed برابر 9 است؛ باید 0.25 to 4 times باشد."),
        ("recording 'me.wav'", "me.wav"),
        ("level is 'x', expected one of: basic, enhanced", "یکی از این‌ها باید باشد: basic, enhanced."),
    ):
        pattern, match = next((p, m) for p in translations if (m := re.search(p, message)))
        text = re.sub(r"\{(\d)\}", lambda place, m=match: m[int(place[1])], translations[pattern])
        assert wanted in text, (message, text)
    counted = SpeechNotes(3, 1, 1, 1, 0.5, 100, 90, (60.0, 400.0))
    for note in counted.lines(gain=0.5):
        assert any(re.search(pattern, note) for pattern in translations), note
    for text in translations.values():
        assert re.search("[\u0600-\u06ff]", text) and "  " not in text


def test_the_token_is_kept_and_private(tmp_path: Path) -> None:
    token = token_of(tmp_path)
    assert len(token) > 30 and token_of(tmp_path) == token and (tmp_path / "token").stat().st_mode & 0o077 == 0
    (tmp_path / "token").write_text("short")
    assert token_of(tmp_path) not in (token, "short")


def test_a_speech_is_followed_by_its_words_and_kept(studio: MadeStudio) -> None:
    values = {"input": "A good day. And one more.", "voice": "bob", "model": "", "speed": 1.5}
    entry = ask(studio, "POST", "/studio/speak", 201, json=values)
    lines = [json.loads(line) for line in ask(studio, "GET", f"/studio/speak/{entry['id']}").text.splitlines()]
    sentences = [line for line in lines if line["type"] == "sentence"]
    assert len(sentences) == 2 and [lines[0]["type"], lines[1]["type"], lines[-1]["type"]] == [
        "sentence",
        "audio",
        "end",
    ]
    assert [word[0] for word in sentences[0]["words"]] == ["A", "good", "day."]
    times = [time for line in sentences for word in line["words"] for time in word[1:]]
    assert times == sorted(times) and times[-1] <= lines[-1]["entry"]["seconds"] + 0.01
    kept = ask(studio, "GET", "/studio/history")["history"][0]
    assert kept["state"] == "done" and kept["voice"] == "bob" and kept["options"]["speed"] == 1.5
    assert ask(studio, "GET", f"/studio/history/{kept['id']}/audio").content[:4] == b"RIFF"
    ask(studio, "DELETE", f"/studio/history/{kept['id']}")
    ask(studio, "GET", f"/studio/history/{kept['id']}/audio", 404)
    for changes in ({"voice": "nobody"}, {"speed": 9}, {"input": " "}, {"model": "none"}, {"model": "../x"}):
        error = ask(studio, "POST", "/studio/speak", 400, json={**values, **changes})["error"]
        assert error["message"] and "\n" not in error["message"]
    assert not ask(studio, "GET", "/studio/history")["speaking"]


def test_a_speech_with_an_unexpected_error_ends(
    studio: MadeStudio, synthesizer: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate, calls = synthesizer.model.generate, []

    def breaks(*args: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("no such mel")
        return generate(*args, **more)

    monkeypatch.setattr(synthesizer.model, "generate", breaks)
    entry = ask(studio, "POST", "/studio/speak", 201, json={"input": "A good day. And one more.", "voice": "bob"})
    last = json.loads(ask(studio, "GET", f"/studio/speak/{entry['id']}").text.splitlines()[-1])
    assert last["entry"]["state"] == "failed" and "internal error" in last["entry"]["problem"]
    assert ask(studio, "GET", "/studio/history")["speaking"] == []


def test_a_speech_that_cannot_be_kept_does_not_count_as_computed(
    studio: MadeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise StorageError("the disk is full; free some space")

    monkeypatch.setattr("myxtts.server.studio.speaking.write_text_atomic", full)
    answer = ask(studio, "POST", "/studio/speak", 500, json={"input": "A good day.", "voice": "bob"})
    assert "free some space" in answer["error"]["message"]
    assert ask(studio, "GET", "/studio/history")["speaking"] == []


def test_a_recording_becomes_a_voice(studio: MadeStudio, tmp_path: Path) -> None:
    content = made_model.save_recording(tmp_path / "a.wav", seconds=4.0).read_bytes()
    kept = ask(studio, "POST", "/studio/recording", 201, files={"audio_sample": ("me.wav", content)})
    assert kept["kept_seconds"] > 3 and kept["problem"], "a tone is no voice"
    assert ask(studio, "GET", "/studio/voices")["pending"] == kept, "a page that is loaded again finds it"
    assert ask(studio, "GET", "/studio/recording/audio").content[:4] == b"RIFF"
    values = {"name": "anna", "consent_by": "Ann", "consent_date": "2026-12-01", "accept_problem": True}
    for missing in ("consent_by", "consent_date", "accept_problem", "name"):
        ask(studio, "POST", "/studio/voices", 400, json={**values, missing: None})
    ask(studio, "POST", "/studio/voices", 201, json=values)
    ask(studio, "POST", "/studio/voices", 400, json=values)
    ask(studio, "POST", "/studio/voices", 201, json={"name": "half", "voice": "anna:0.5+bob:0.5"})
    ask(studio, "POST", "/studio/voices", 201, json={"name": "seven", "seed": 7})
    listed = {voice["id"]: voice for voice in ask(studio, "GET", "/studio/voices")["voices"]}
    assert listed["anna"]["consent"] == listed["half"]["consent"] == "Ann, 2026-12-01" and listed["anna"]["recording"]
    assert not listed["seven"]["consent"] and ask(studio, "GET", "/studio/voices")["pending"] is None
    assert ask(studio, "GET", "/studio/voices/anna/recording").content[:4] == b"RIFF"
    ask(studio, "PATCH", "/studio/voices/half", json={"name": "نیمه"})
    ask(studio, "PATCH", "/studio/voices/seven", 400, json={"name": "bob"})
    ask(studio, "DELETE", "/studio/voices/seven")
    assert sorted(path.name for path in studio.voices.glob("*.voice")) == ["anna.voice", "نیمه.voice"]
    assert [path.name[:5] for path in (studio.voices / "trash").iterdir()] == ["seven"]
    ask(studio, "GET", "/studio/voices/..%2f..%2fx/recording", 404)
    ask(studio, "POST", "/studio/recording", 400, files={"audio_sample": ("x.wav", b"no audio")})
    ask(studio, "POST", "/studio/recording", 413, files={"audio_sample": ("x.wav", bytes(5_000_000))})


@pytest.mark.process
def test_the_audit_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from myxtts.server.studio import audit_worker

    monkeypatch.setenv("HOME", str(tmp_path))
    root = make_root(tmp_path / "data", clips=8)
    with (root / "metadata.csv").open("a") as table:
        table.write("gone|Nothing here.|s0\n")
    out = tmp_path / "a.json"
    assert audit_worker.main([str(root), "", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["state"] == "done" and found["train"]["clips"] + found["validation"]["clips"] == 8
    missing = found["findings"][0]
    assert (missing["kind"], missing["count"], missing["rejected"]) == ("missing file", 1, True)
    assert missing["clips"][0]["id"] == "gone" and not missing["clips"][0]["playable"]
    assert found["rejected_share"] > found["most_rejected_share"]
    assert {clip["id"] for clip in found["clips"]} == set(found["paths"]) and found["clips"][0]["seconds"] >= 1.0
    texts = page_texts("en")
    from myxtts.data.anomalies import MEANINGS
    from myxtts.data.records import REASONS

    assert [kind for kind in (*MEANINGS, *REASONS) if f"find.{kind}" not in texts or f"fix.{kind}" not in texts] == []
    (tmp_path / "empty").mkdir()
    assert audit_worker.main([str(tmp_path / "empty"), "", str(out)]) == 2
    assert json.loads(out.read_text())["state"] == "failed" and json.loads(out.read_text())["problem"]


@pytest.mark.process
def test_a_training_survives_the_server(synthesizer: Synthesizer, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    form = {**FORM, "data": str(data)}
    with open_studio(tmp_path, synthesizer) as studio:
        ask(studio, "POST", "/studio/plan", 201, json=form)
        plan = until(lambda: (p := ask(studio, "GET", "/studio/plan"))["state"] != "running" and p)
        assert plan["state"] == "done" and ["time", "about 9 min at about 7,000 frames/s"] in plan["rows"]
        assert plan["command"].startswith("myxtts train --train-data") and "--dry-run" not in plan["command"]
        started = ask(studio, "POST", "/studio/runs", 201, json=form)
        assert started["command"] == plan["command"]
        until(lambda: ask(studio, "GET", "/studio/runs/anna")["state"] == "training")
        ask(studio, "POST", "/studio/runs", 400, json=form)
        ask(studio, "POST", "/studio/runs/anna/continue", 400)
    with open_studio(tmp_path, synthesizer) as studio:  # another server finds it running, and its plan
        assert ask(studio, "GET", "/studio/plan")["command"] == plan["command"]
        run = until(lambda: (r := ask(studio, "GET", "/studio/runs/anna")).get("samples") and r)
        assert run["state"] == "training" and run["command"] == plan["command"]
        assert (
            [sample["update"] for sample in run["samples"]] == [20, 10] and run["charts"] and run["verdict"]["checks"]
        )
        assert " evaluate --checkpoint " in run["tasks"]["evaluate"] and "--data" in run["tasks"]["evaluate"]
        assert run["ladder"][0]["message"] == "update 3 was skipped"
        sample = f"/studio/runs/anna/samples/20/{run['samples'][0]['wav']}"
        assert ask(studio, "GET", sample).content[:4] == b"RIFF"
        ask(studio, "GET", "/studio/runs/anna/samples/20/..%2fa.wav", 404)
        ask(studio, "GET", "/studio/runs/anna/samples/20/b.wav", 400)
        assert ask(studio, "POST", "/studio/runs/anna/stop")["state"] in ("stopping", "stopped")
        until(lambda: ask(studio, "GET", "/studio/runs/anna")["state"] == "stopped")
        ask(studio, "POST", "/studio/runs/anna/stop", 400)
        ask(studio, "POST", "/studio/runs/anna/continue")
        until(lambda: ask(studio, "GET", "/studio/runs/anna")["state"] == "training")
        ask(studio, "POST", "/studio/runs/anna/stop")
        until(lambda: ask(studio, "GET", "/studio/runs/anna")["state"] == "stopped")
        report = ask(studio, "GET", "/studio/runs/anna/report")
        assert "sandbox allow-scripts" in report.headers["content-security-policy"] and "A good day." in report.text
        ask(studio, "POST", "/studio/runs/anna/tasks/doctor", 201)
        task = until(lambda: (t := ask(studio, "GET", "/studio/runs/anna/tasks/doctor"))["state"] == "done" and t)
        assert task["lines"] == [f"doctor of ['{studio.runs / 'anna'}']"]
        assert [run["name"] for run in ask(studio, "GET", "/studio/runs")["runs"]] == ["anna"]


def test_a_run_whose_process_was_killed(studio: MadeStudio) -> None:
    """Its lock file names a process that is there again, as another one."""
    run = studio.runs / "killed"
    run.mkdir()
    (run / "config.yaml").write_text("model_size: tiny\n")
    (run / "lock").write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "time": 1.7e9}))
    (run / "metrics.jsonl").write_text("torn")
    with (run / "lock").open("rb") as lock:
        assert ask(studio, "GET", "/studio/runs/killed")["state"] == "ended"
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert ask(studio, "GET", "/studio/runs/killed")["state"] == "training", "it was started elsewhere"
    assert "--config" in ask(studio, "GET", "/studio/runs/killed")["continue_command"]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"name": "../x"}, "name"), ({"name": ""}, "name"), ({"data": "/none"}, "data"), ({"data": ""}, "data"),
        ({"level": "vocoder"}, "level"), ({"size": "huge"}, "size"), ({"minutes": -1}, "minutes"),
        ({"settings": "x"}, "settings"), ({"settings": "data.none=1"}, "settings"),
        ({"settings": "training.checkpoint_dir=/x"}, "settings"), ({"base": "none"}, None), ({"data": "a\nb"}, "data"),
        ({"data": "x" * 4_000}, "data"), ({"data": "~nobody-here/x"}, "data"),
    ],
)  # fmt: skip
def test_mistakes_in_the_form(studio: MadeStudio, changes: dict, param: str | None) -> None:
    values = {**FORM, "data": str(studio.folder), **changes}
    for path in ("/studio/plan", "/studio/runs"):
        error = ask(studio, "POST", path, 400, json=values)["error"]
        assert error["param"] == param and "\n" not in error["message"]
    if param == "data":
        answer = ask(studio, "POST", "/studio/audits", 400, json={"folder": values["data"]})
        assert answer["error"]["param"] == "folder"
        assert ask(studio, "GET", "/studio/folders", params={"path": f"{values['data']}/x"})["folders"] == []


@pytest.mark.process
def test_a_training_that_fails_says_why(studio: MadeStudio) -> None:
    form = {**FORM, "name": "bad", "data": str(studio.folder), "level": "plateau_breaker"}
    ask(studio, "POST", "/studio/plan", 201, json=form)
    plan = until(lambda: (p := ask(studio, "GET", "/studio/plan"))["state"] != "running" and p)
    assert plan["problems"] == ["data: none of its 3 rows can be used; fix the rows listed below"]
    ask(studio, "POST", "/studio/runs", 201, json=form)
    run = until(lambda: (r := ask(studio, "GET", "/studio/runs/bad"))["state"] == "failed" and r)
    assert run["log"][-1].startswith("error: data")


def test_mistakes_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from myxtts.cli import studio as command

    def lines(*words: str) -> str:
        assert command.main(list(words)) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said

    (tmp_path / "file").touch()
    assert "--port is 70000, expected 0 to 65535" in lines("--port", "70000")
    assert "which is a file" in lines("--runs", str(tmp_path / "file"))
    assert "which is a file" in lines("--voices", str(tmp_path / "file"))
    runs = str(tmp_path / "runs")
    assert "no checkpoint" in lines(str(tmp_path), "--runs", runs)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "cannot be used" in lines("--port", str(taken.getsockname()[1]), "--runs", runs)
