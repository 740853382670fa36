"""The application: routes, the queue of requests, and the metrics.

Each part of a speech is computed by one of a few worker threads, so requests take turns, and after a client disconnects
only the current part is finished. The queue is bounded; when it is full, the answer is 503 with Retry-After.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from myxtts.errors import ConfigError, DataError, MyXTTSError, StorageError
from myxtts.messages import escaped, quoted
from myxtts.server.replies import Reply, reply
from myxtts.server.sound_formats import encoder
from myxtts.server.speech_request import ApiError, SpeechRequest, api_error, parse_request
from myxtts.server.upload import Upload, add_uploaded, received
from myxtts.server.voice_folder import VoiceFolder
from myxtts.synthesis.speech import SpeechChunk
from myxtts.synthesis.synthesizer import Synthesizer
from myxtts.synthesis.voice_parts import VoicePart

MODEL_ID = "myxtts"
_MODEL = {"id": MODEL_ID, "object": "model", "created": 0, "owned_by": "myxtts"}
LOG = logging.getLogger("uvicorn.error")
LOG.addFilter(lambda record: record.msg != "ASGI callable returned without completing response.")  # we say why
_MOST_BODY_BYTES = 1_000_000
_RETRY_SECONDS = "2"
_LEFT = 499
"""Status in the metrics of a client that left while it sent its request; it gets no answer."""
_OPEN_PATHS = ("/health",)
"""Paths that need no token, for monitoring."""
_NO_TOKEN = ApiError(401, "the token is missing or wrong", code="invalid_api_key")
INTERNAL = "internal error; the log of the server has the details"


@dataclass(frozen=True)
class ServerSettings:
    """Limits and access.

    Attributes:
        threads: sentences computed at the same time.
        max_queue: requests in progress or waiting; further ones get 503.
        max_characters: longest text of a request.
        token: the bearer token that clients must send; None: none.
        origins: web pages of these origins may use the server (CORS).
        allow_voices: whether clients may add voices to the folder of voices.
        max_upload_bytes: largest recording of a client.
        max_uploads: recordings received at the same time; further ones get 503.
        upload_seconds: time in which a recording must arrive.
    """

    threads: int = 2
    max_queue: int = 8
    max_characters: int = 4_096
    token: str | None = None
    origins: tuple[str, ...] = ()
    allow_voices: bool = False
    max_upload_bytes: int = 64_000_000
    max_uploads: int = 4
    upload_seconds: float = 300.0


@dataclass
class Metrics:
    """Counts since the start."""

    requests: dict[int, int] = field(default_factory=dict)
    active: int = 0
    uploads: int = 0
    speech_seconds: float = 0.0
    compute_seconds: float = 0.0

    def text(self) -> str:
        """The metrics in the text format of Prometheus."""
        factor = self.compute_seconds / self.speech_seconds if self.speech_seconds else 0.0
        lines = ["# TYPE myxtts_requests_total counter"]
        lines += [f'myxtts_requests_total{{status="{status}"}} {n}' for status, n in sorted(self.requests.items())]
        for name, kind, value in (
            ("myxtts_queue", "gauge", self.active),
            ("myxtts_uploads", "gauge", self.uploads),
            ("myxtts_speech_seconds_total", "counter", self.speech_seconds),
            ("myxtts_compute_seconds_total", "counter", self.compute_seconds),
            ("myxtts_real_time_factor", "gauge", factor),
        ):
            lines += [f"# TYPE {name} {kind}", f"{name} {value:.12g}"]
        return "\n".join(lines) + "\n"


def application(synthesizer: Synthesizer, settings: ServerSettings, voices: VoiceFolder | None = None) -> Starlette:
    """The ASGI application for a synthesizer; `voices`: saved voices that it serves as well."""
    service = _Service(synthesizer, settings, voices)
    routes = [
        Route("/v1/audio/speech", service.speech, methods=["POST"]),
        Route("/v1/audio/voices", service.voices, methods=["GET"]),
        Route("/v1/audio/voices", service.add_voice, methods=["POST"]),
        Route("/v1/models", service.models, methods=["GET"]),
        Route("/v1/models/{id:path}", service.model, methods=["GET"]),
        Route("/health", service.health, methods=["GET"]),
        Route("/metrics", service.metrics_text, methods=["GET"]),
    ]
    middleware = [
        # any header: OpenAI's client in a browser sends many of its own
        Middleware(CORSMiddleware, allow_origins=list(settings.origins), allow_methods=["GET", "POST"],
                   allow_headers=["*"], expose_headers=["Retry-After"])
    ] if settings.origins else []  # fmt: skip
    return Starlette(
        routes=routes,
        middleware=[*middleware, Middleware(_Guard, service=service)],
        exception_handlers=EXCEPTION_HANDLERS,
    )


def error_response(error: ApiError) -> JSONResponse:
    """An error as a reply."""
    headers = {"Retry-After": _RETRY_SECONDS} if error.status == 503 else None
    if error.status in (408, 413):
        headers = {"Connection": "close"}  # else the rest of the body would be received and discarded
    if error.status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    return JSONResponse(error.body(), error.status, headers)


async def _as_json(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        answer = error_response(ApiError(error.status_code, f"{request.method} {request.url.path}: {error.detail}"))
        answer.headers.update(error.headers or {})  # 405 lists the allowed methods
        return answer
    return error_response(error if isinstance(error, ApiError) else ApiError(500, INTERNAL))


async def _left(request: Request, error: Exception) -> Response:
    return Response(status_code=_LEFT)


EXCEPTION_HANDLERS: Any = {ApiError: _as_json, HTTPException: _as_json, ClientDisconnect: _left, Exception: _as_json}
"""Every error in OpenAI's format."""


def has_token(headers: Headers, token: str) -> bool:
    """Whether a request brings a token as a bearer."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(given.encode("utf-8", "replace"), token.encode("utf-8"))


class _Guard:
    """Checks the token, and counts the answers by status."""

    def __init__(self, app: ASGIApp, service: _Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._service.count(message["status"])
            await send(message)

        app = self._app if self._service.admits(Request(scope)) else error_response(_NO_TOKEN)
        await app(scope, receive, counted)


class _Service:
    def __init__(self, synthesizer: Synthesizer, settings: ServerSettings, folder: VoiceFolder | None) -> None:
        self._synthesizer, self._settings, self._folder = synthesizer, settings, folder
        self._metrics = Metrics()
        self._workers = ThreadPoolExecutor(settings.threads, "speech")

    def count(self, status: int) -> None:
        """Counts an answer."""
        self._metrics.requests[status] = self._metrics.requests.get(status, 0) + 1

    def admits(self, request: Request) -> bool:
        """Whether a request has the token, or needs none."""
        if self._settings.token is None or request.url.path in _OPEN_PATHS:
            return True
        return has_token(request.headers, self._settings.token)

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok", "queue": self._metrics.active, "max_queue": self._settings.max_queue})

    async def metrics_text(self, request: Request) -> Response:
        return PlainTextResponse(self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_MODEL]})

    async def model(self, request: Request) -> Response:
        name = request.path_params["id"]
        if name != MODEL_ID:
            message = f"model {quoted(name)} is not served; there is: {MODEL_ID}"
            raise ApiError(404, message, "model", "model_not_found")
        return JSONResponse(_MODEL)

    async def voices(self, request: Request) -> Response:
        listed = [{"id": name, "name": name} for name in self._known()]
        return JSONResponse({"voices": listed, "languages": self._synthesizer.languages})

    def _known(self) -> list[str]:
        """The ids of all voices: saved ones, then training speakers."""
        saved = self._folder.names() if self._folder is not None else []
        return list(dict.fromkeys([*saved, *self._synthesizer.speakers]))

    async def add_voice(self, request: Request) -> Response:
        folder = self._folder
        if not self._settings.allow_voices or folder is None:
            raise ApiError(403, "this server takes no voices; start it with --allow-voices", code="voices_not_allowed")
        async with AsyncExitStack() as stack:
            upload = await self._receive(request, stack)

            def add() -> dict[str, Any]:
                return add_uploaded(upload, self._synthesizer, folder, self._synthesizer.speakers, keep_recording=False)

            self._enter()
            try:
                added = await asyncio.get_running_loop().run_in_executor(self._workers, add)
            except StorageError as error:
                raise ApiError(500, str(error)) from error
            finally:
                self._metrics.active -= 1
        return JSONResponse(added, 201)

    async def _receive(self, request: Request, stack: AsyncExitStack) -> Upload:
        """An upload, which has no place in the queue yet: a slow client holds up no speech. Raises ApiError."""
        self._check_queue()  # so that no recording is sent in vain
        if self._metrics.uploads >= self._settings.max_uploads:
            message = f"{self._metrics.uploads} recordings are being received; try again later"
            raise ApiError(503, message, code="queue_full")
        self._metrics.uploads += 1
        try:
            async with asyncio.timeout(self._settings.upload_seconds):
                return await stack.enter_async_context(received(request, self._settings.max_upload_bytes))
        except TimeoutError:
            message = f"the recording did not arrive within {self._settings.upload_seconds:g} s; send a shorter one"
            raise ApiError(408, message) from None
        finally:
            self._metrics.uploads -= 1

    def _enter(self) -> None:
        """Takes a place in the queue. Raises ApiError where it is full."""
        self._check_queue()
        self._metrics.active += 1

    def _check_queue(self) -> None:
        if self._metrics.active >= self._settings.max_queue:
            raise ApiError(503, f"{self._metrics.active} requests are waiting; try again later", code="queue_full")

    async def speech(self, request: Request) -> Response:
        wanted = parse_request(await body_of(request), self._known(), self._settings.max_characters)
        self._enter()
        try:
            chunks = self._chunks(wanted)
            first = await self._next(chunks)  # so that a problem of the text is an error, not a broken stream
        except BaseException:
            self._metrics.active -= 1
            raise
        form = reply(wanted.stream_format, wanted.response_format, wanted.timestamp_granularities)
        streamed = self._streamed(request, wanted.response_format, form, chunks, first)
        if form.streams:
            return _Stream(streamed, media_type=form.media_type)
        # nothing is sent before everything is computed, so that an error in the middle has its own status
        return Response(b"".join([content async for content in streamed]), media_type=form.media_type)

    def _chunks(self, wanted: SpeechRequest) -> Iterator[SpeechChunk]:
        """The sentences, or parts of them; a generator, so that the text is also processed in a worker."""
        saved = set(self._folder.names()) if self._folder is not None else set()
        parts = [
            self._folder.part(name, weight, self._synthesizer)
            if self._folder is not None and name in saved
            else VoicePart("speaker", name, weight)
            for name, weight in wanted.voices
        ]
        yield from self._synthesizer.stream(wanted.text, voices=parts, **asdict(wanted.options))

    async def _next(self, chunks: Iterator[SpeechChunk]) -> SpeechChunk | None:
        """The next sentence or part of one, computed in a worker. Raises ApiError."""

        def compute() -> SpeechChunk | None:
            started = time.perf_counter()
            try:
                return next(chunks, None)
            finally:
                self._metrics.compute_seconds += time.perf_counter() - started

        try:
            chunk = await asyncio.get_running_loop().run_in_executor(self._workers, compute)
        except (DataError, ConfigError) as error:
            raise api_error(error) from None
        except MyXTTSError as error:
            raise ApiError(500, str(error)) from error
        except Exception as error:
            LOG.exception("a speech ended with an internal error")
            raise ApiError(500, INTERNAL) from error
        if chunk is not None:
            self._metrics.speech_seconds += len(chunk.samples) / chunk.sample_rate_hz
        return chunk

    async def _streamed(
        self,
        request: Request,
        response_format: str,
        form: Reply,
        chunks: Iterator[SpeechChunk],
        chunk: SpeechChunk | None,
    ) -> AsyncIterator[bytes]:
        """The bytes of the reply. Leaving it early, as when the client disconnects, ends the work."""
        output = None
        try:
            assert chunk is not None, "a text has at least one sentence"
            output = encoder(response_format, chunk.sample_rate_hz)
            while chunk is not None:
                if content := form.part(chunk, output.write(chunk.samples)):
                    yield content
                if not form.streams and await request.is_disconnected():
                    return
                chunk = await self._next(chunks)
            if content := form.end(output.close()):
                yield content
        except ApiError as error:
            failure = form.failed(error.body())
            if failure is None:
                raise
            _log_end(error)
            yield failure
        finally:
            if output is not None:
                output.release()
            self._metrics.active -= 1


class _Stream(StreamingResponse):
    """A body that stays incomplete after an error, which the client sees as a connection that was closed early."""

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except ApiError as error:
            _log_end(error)


def _log_end(error: ApiError) -> None:
    if error.message != INTERNAL:
        LOG.error("a speech ended early: %s", escaped(error.message))


async def body_of(request: Request) -> bytes:
    """The body, at most a megabyte. Raises ApiError."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > _MOST_BODY_BYTES:
            raise ApiError(413, f"the body is longer than {_MOST_BODY_BYTES / 1e6:g} MB")
    return bytes(content)
