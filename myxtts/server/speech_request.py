"""A request for speech: its fields, checked against the ranges of SpeakOptions, and errors in OpenAI's format."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from myxtts.errors import ConfigError, DataError
from myxtts.messages import quoted
from myxtts.server.replies import GRANULARITIES, STREAM_FORMATS
from myxtts.storage.files import strict_json
from myxtts.synthesis.options import SPEAK_OPTIONS, SpeakOptions
from myxtts.synthesis.voice_parts import split_weight, weight_problem

FORMATS = ("mp3", "wav", "flac", "opus", "pcm")
_FIELDS = tuple(name for name in SPEAK_OPTIONS if name != "steps")
"""Options that a request may set; the number of steps of a flow decoder is the server's, since it decides the cost."""
_MOST_PARTS = 8


class ApiError(Exception):
    """An error for a client: HTTP status, message, the field it concerns, and a code."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        self.status, self.message, self.param, self.code = status, message, param, code
        super().__init__(message)

    def body(self) -> dict[str, Any]:
        """As OpenAI's clients expect it."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


@dataclass(frozen=True)
class SpeechRequest:
    """A checked request: text, (voice id, weight) of each part, options, and the form of the reply."""

    text: str
    voices: tuple[tuple[str, float | None], ...]
    options: SpeakOptions
    response_format: str
    stream_format: str
    timestamp_granularities: tuple[str, ...] = ()


def object_of(body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises ApiError."""
    try:
        values = strict_json(body)
    except ValueError as error:
        raise ApiError(400, f"the body is not valid JSON ({error})") from None
    if not isinstance(values, dict):
        raise ApiError(400, "the body is not a JSON object")
    return values


def parse_request(body: bytes, known: Collection[str], most_characters: int) -> SpeechRequest:
    """The request in a JSON body. Unknown fields are ignored, as clients send fields of other services.

    Args:
        body: JSON.
        known: ids of the voices.
        most_characters: longest text.

    Raises ApiError.
    """
    values = object_of(body)
    text = values.get("input")
    if text is not None and not isinstance(text, str):
        raise ApiError(400, f"input is {quoted(text)}, expected a text", "input")
    if not text or not text.strip():
        raise ApiError(400, "input is missing or empty; write at least one word", "input")
    if len(text) > most_characters:
        raise ApiError(400, f"input has {len(text)} characters, at most {most_characters} are allowed", "input")
    stream_format = _choice(values, "stream_format", STREAM_FORMATS)
    return SpeechRequest(
        text,
        parse_voice(values.get("voice"), known),
        _options(values),
        _choice(values, "response_format", FORMATS),
        stream_format,
        _granularities(values, stream_format),
    )


def _choice(values: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str:
    value = values.get(name)
    if value is None:
        return choices[0]
    if value not in choices:
        raise ApiError(400, f"{name} is {quoted(value)}, expected one of: {', '.join(choices)}", name)
    return str(value)


def _granularities(values: Mapping[str, Any], stream_format: str) -> tuple[str, ...]:
    """What times are wanted."""
    name, expected = "timestamp_granularities", f"a list of: {', '.join(GRANULARITIES)}"
    value = values.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or any(one not in GRANULARITIES for one in value):
        raise ApiError(400, f"{name} is {quoted(value)}, expected {expected}", name)
    if value and stream_format == "audio":
        raise ApiError(400, f"{name} needs stream_format sse or json; a sound file cannot contain times", name)
    return tuple(dict.fromkeys(value))


def _options(values: Mapping[str, Any]) -> SpeakOptions:
    given = {name: values[name] for name in _FIELDS if values.get(name) is not None}
    for name, value in given.items():
        if isinstance(value, bool) or (expected := SPEAK_OPTIONS[name].problem(value)) is not None:
            wanted = SPEAK_OPTIONS[name].range if isinstance(value, bool) else expected
            raise ApiError(400, f"{name} is {quoted(value)}, expected {wanted}", name)
    try:
        return SpeakOptions(**given)
    except ConfigError as error:
        raise ApiError(400, error.problems[0]) from None


def parse_voice(value: Any, known: Collection[str]) -> tuple[tuple[str, float | None], ...]:
    """The parts of a voice: an id, or a mixture as "a:0.7+b:0.3". Raises ApiError."""
    if isinstance(value, dict):
        value = value.get("id")
    if value is None:
        return ()
    if not isinstance(value, str):
        raise ApiError(400, f"voice is {quoted(value)}, expected the id of a voice", "voice")
    if value in known:
        return ((value, None),)
    parts: list[tuple[str, float | None]] = []
    for text in value.split("+"):
        try:
            name, weight = split_weight(text, known.__contains__)
        except ConfigError as error:
            raise ApiError(400, f"voice {error.problems[0]}", "voice") from None
        if name not in known:
            listed = ", ".join(list(known)[:20]) or "none"
            raise ApiError(400, f"voice {quoted(name)} is not served; there are: {listed}", "voice", "voice_not_found")
        parts.append((name, weight))
    if len(parts) > _MOST_PARTS:
        raise ApiError(400, f"voice has {len(parts)} parts, at most {_MOST_PARTS} are allowed", "voice")
    if problem := weight_problem([(f"voice {quoted(name)}", weight) for name, weight in parts]):
        raise ApiError(400, problem, "voice")
    return tuple(parts)


def api_error(error: DataError | ConfigError) -> ApiError:
    """An error of the synthesizer about a request."""
    message = error.problems[0] if isinstance(error, ConfigError) else str(error)
    return ApiError(400, message, "language" if message.startswith("language ") else "input")
