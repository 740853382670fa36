"""Times of words and sentences in replies of the server, through OpenAI's client."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import made_model
import numpy as np
import pytest
import soundfile

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
httpx = pytest.importorskip("httpx2")
openai = pytest.importorskip("openai")

from myxtts.synthesis import Synthesizer  # noqa: E402
from tests.server.served import served  # noqa: E402

TEXT = "A good day, to all 25 of you. And to nobody else."
WORDS = TEXT.split()


@pytest.fixture(scope="module")
def synthesizer(tmp_path_factory: pytest.TempPathFactory) -> Synthesizer:
    return Synthesizer.load(made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved()))


@pytest.fixture(scope="module")
def url(synthesizer: Synthesizer) -> Iterator[str]:
    with served(synthesizer) as address:
        yield address


def create(url: str, stream_format: str, granularities: list[str], **more: Any) -> bytes:
    extra = {"timestamp_granularities": granularities, "stream_format": stream_format}
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        answer = client.audio.speech.create(
            model="myxtts", voice="bob", input=TEXT, response_format="wav", extra_body=extra, **more
        )
        content: bytes = answer.read()
    return content


def test_one_json_object_with_audio_words_and_sentences(url: str, synthesizer: Synthesizer) -> None:
    values = json.loads(create(url, "json", ["word", "segment"]))
    content = base64.b64decode(values["audio"])
    samples, rate = soundfile.read(io.BytesIO(content))
    assert int.from_bytes(content[4:8], "little") == len(content) - 8, "the header knows its length"
    assert values["format"] == "wav" and values["duration"] == pytest.approx(len(samples) / rate, abs=1e-3)
    assert [word["word"] for word in values["words"]] == WORDS
    assert [segment["text"] for segment in values["segments"]] == [TEXT[:29], TEXT[30:]]
    edges = [edge for word in values["words"] for edge in (word["start"], word["end"])]
    assert edges == sorted(edges) and edges[0] >= 0.0 and edges[-1] <= values["duration"]
    for segment, first, last in zip(values["segments"], (0, 8), (7, 11), strict=True):
        assert segment["start"] <= values["words"][first]["start"]
        assert values["words"][last]["end"] <= segment["end"]
    spoken = synthesizer.speak(TEXT, speaker="bob").sentences
    starts = [sentence.start_seconds + word.start_seconds for sentence in spoken for word in sentence.words]
    np.testing.assert_allclose([word["start"] for word in values["words"]], starts, atol=6e-4)


def test_events_give_the_times_before_the_audio_of_their_sentence(url: str) -> None:
    text = create(url, "sse", ["word"]).decode("utf-8")
    events = [json.loads(block.removeprefix("data: ")) for block in text.split("\n\n") if block]
    kinds = [event["type"].rpartition(".")[2] for event in events]
    assert kinds[:2] == ["timestamps", "delta"] and kinds[-1] == "done" and kinds.count("timestamps") == 2
    assert set(kinds[1:-1]) == {"timestamps", "delta"} and kinds[-2] == "delta"
    assert [word["word"] for event in events for word in event.get("words", [])] == WORDS
    assert all(set(event) == {"type", "words"} for event in events if "words" in event)
    audio = b"".join(base64.b64decode(event["audio"]) for event in events if "audio" in event)
    plain = json.loads(create(url, "json", []))
    assert base64.b64decode(plain["audio"])[44:] == audio[44:] and set(plain) == {"audio", "format", "duration"}


def test_twice_the_speed_halves_the_times(url: str) -> None:
    plain, fast = (json.loads(create(url, "json", ["word"], speed=speed)) for speed in (1.0, 2.0))
    assert fast["words"][-1]["end"] < 0.8 * plain["words"][-1]["end"]


@pytest.mark.parametrize(
    ("stream_format", "value"),
    [("audio", ["word"]), ("sse", "word"), ("sse", ["phoneme"]), ("json", [["word"]]), ("json", {"word": 1}),
     ("json", True)],
)  # fmt: skip
def test_times_that_cannot_be_given(url: str, stream_format: str, value: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        create(url, stream_format, value)
    assert caught.value.body["param"] == "timestamp_granularities" and "\n" not in caught.value.body["message"]
