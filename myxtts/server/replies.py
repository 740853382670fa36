"""The forms of a reply with speech: the bytes of a sound file, server-sent events, or one JSON object."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from myxtts.audio.sound_file import HEADER_BYTES, wav_header
from myxtts.server.sound_formats import MEDIA_TYPES
from myxtts.synthesis.speech import SpeechChunk, SpokenSentence

GRANULARITIES = ("word", "segment")
"""The times that can be requested, with the names of OpenAI's transcriptions; a segment is a sentence."""


class Reply(Protocol):
    """Turns the chunks of a speech, which are sentences or parts of them, into the body of an answer."""

    media_type: str
    streams: bool
    """Whether it has bytes before the end."""

    def part(self, chunk: SpeechChunk, content: bytes) -> bytes:
        """The next bytes of the body; `content`: the bytes that this chunk adds to the sound file, possibly none."""
        ...

    def end(self, content: bytes) -> bytes:
        """The last bytes of the body; `content`: the end of the sound file."""
        ...

    def failed(self, error: dict[str, Any]) -> bytes | None:
        """The last bytes after an error in the middle; None where the form has no place for it."""
        ...


def reply(stream_format: str, response_format: str, granularities: Collection[str]) -> Reply:
    """The requested form of a reply."""
    return _FORMS[stream_format](response_format, granularities)


def times_of(sentence: SpokenSentence, granularities: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """Times in seconds from the start of the speech, with the keys of OpenAI's transcriptions."""

    def edges(start: float, end: float) -> dict[str, float]:
        return {name: round(sentence.start_seconds + x, 3) for name, x in (("start", start), ("end", end))}

    times: dict[str, list[dict[str, Any]]] = {}
    if "word" in granularities:
        times["words"] = [{"word": word.text, **edges(word.start_seconds, word.end_seconds)} for word in sentence.words]
    if "segment" in granularities:
        times["segments"] = [{"text": sentence.text, **edges(0.0, sentence.seconds)}]
    return times


class _Audio:
    streams = True

    def __init__(self, response_format: str, granularities: Collection[str]) -> None:
        self.media_type = MEDIA_TYPES[response_format]

    def part(self, chunk: SpeechChunk, content: bytes) -> bytes:
        return content

    def end(self, content: bytes) -> bytes:
        return content

    def failed(self, error: dict[str, Any]) -> bytes | None:
        return None


class _Events:
    """The events of OpenAI's API, and before the audio of each sentence one with its times, if requested."""

    media_type, streams = "text/event-stream", True

    def __init__(self, response_format: str, granularities: Collection[str]) -> None:
        self._granularities = granularities

    def part(self, chunk: SpeechChunk, content: bytes) -> bytes:
        events: list[dict[str, Any]] = []
        if self._granularities and chunk.first:
            events.append({"type": "speech.audio.timestamps", **times_of(chunk.sentence, self._granularities)})
        return _events([*events, *_deltas(content)])

    def end(self, content: bytes) -> bytes:
        return _events([*_deltas(content), {"type": "speech.audio.done"}])

    def failed(self, error: dict[str, Any]) -> bytes | None:
        return _events([{"type": "error", **error}])


class _Json:
    """One object: the sound file in base64, and the times, if requested."""

    media_type, streams = "application/json", False

    def __init__(self, response_format: str, granularities: Collection[str]) -> None:
        self._format, self._granularities = response_format, granularities
        self._content = bytearray()
        self._times: dict[str, list[dict[str, Any]]] = {}
        self._seconds, self._rate = 0.0, 0

    def part(self, chunk: SpeechChunk, content: bytes) -> bytes:
        self._content += content
        self._rate = chunk.sample_rate_hz
        self._seconds = chunk.sentence.start_seconds + chunk.sentence.seconds
        if chunk.first:
            for key, times in times_of(chunk.sentence, self._granularities).items():
                self._times.setdefault(key, []).extend(times)
        return b""

    def end(self, content: bytes) -> bytes:
        sound = bytes(self._content) + content
        if self._format == "wav":  # the header of a stream does not know its length
            sound = wav_header(self._rate, len(sound) - HEADER_BYTES) + sound[HEADER_BYTES:]
        audio = base64.b64encode(sound).decode("ascii")
        values = {"audio": audio, "format": self._format, "duration": round(self._seconds, 3), **self._times}
        return json.dumps(values).encode("ascii")

    def failed(self, error: dict[str, Any]) -> bytes | None:
        return None


_FORMS: dict[str, Callable[[str, Collection[str]], Reply]] = {"audio": _Audio, "sse": _Events, "json": _Json}
STREAM_FORMATS = tuple(_FORMS)


def _deltas(content: bytes) -> list[dict[str, Any]]:
    return [{"type": "speech.audio.delta", "audio": base64.b64encode(content).decode("ascii")}] if content else []


def _events(events: Sequence[dict[str, Any]]) -> bytes:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode("ascii")
