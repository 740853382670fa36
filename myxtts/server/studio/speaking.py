"""The tab Speak: sentences as they are computed, with word times, and the history.

A speech belongs to the server, not to the page: a reloaded page receives it from its beginning, and the history keeps
it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from myxtts.audio.sound_file import pcm16
from myxtts.audio.waveform import write_wav
from myxtts.errors import MyXTTSError
from myxtts.server.app import INTERNAL, LOG, body_of
from myxtts.server.speech_request import ApiError, object_of, parse_request
from myxtts.server.studio.common import WorkerThreads, text_of
from myxtts.server.studio.models import SpeakingModels
from myxtts.server.voice_folder import VoiceFolder
from myxtts.storage.files import read_regular_file, strict_json, write_text_atomic
from myxtts.synthesis.options import LONGEST_TEXT
from myxtts.synthesis.speech import SpeechChunk, SpeechNotes
from myxtts.synthesis.voice_parts import VoicePart

MOST_KEPT = 50
_MOST_AT_ONCE = 4
_MOST_BYTES = 1 << 22


class _SpeechJob:
    """A speech in progress: its events so far, and the requests that wait for more."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.entry = entry
        self.events: list[bytes] = []
        self.finished = self.cancelled = False
        self.more = asyncio.Event()

    def add(self, event: dict[str, Any], last: bool = False) -> None:
        """Adds an event and wakes the waiting requests."""
        self.events.append(json.dumps(event, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        self.finished = last
        self.more.set()
        self.more = asyncio.Event()


class SpeakTab:
    """Starts speeches, streams them, keeps their history in a folder."""

    def __init__(self, models: SpeakingModels, voices: VoiceFolder, workers: WorkerThreads, folder: Path) -> None:
        self._models, self._voices, self._workers, self._folder = models, voices, workers, folder
        self._jobs: dict[str, _SpeechJob] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        folder.mkdir(parents=True, exist_ok=True)

    def routes(self) -> list[Route]:
        """Its routes."""
        return [
            Route("/studio/speak", self.start, methods=["POST"]),
            Route("/studio/speak/{id}", self.events, methods=["GET"]),
            Route("/studio/speak/{id}", self.cancel, methods=["DELETE"]),
            Route("/studio/history", self.list_history, methods=["GET"]),
            Route("/studio/history/{id}/audio", self.audio, methods=["GET"]),
            Route("/studio/history/{id}", self.forget, methods=["DELETE"]),
        ]

    def speaking(self) -> list[str]:
        """Ids of the speeches that are being computed."""
        return [key for key, job in self._jobs.items() if not job.finished]

    def history(self) -> list[dict[str, Any]]:
        """What was spoken, the newest first."""
        found = []
        for path in sorted(self._folder.glob("*.json"), reverse=True):
            try:
                entry = strict_json(read_regular_file(path, _MOST_BYTES))
            except (OSError, ValueError):
                continue
            if isinstance(entry, dict) and entry.get("id") == path.stem:
                if entry.get("state") == "speaking" and path.stem not in self.speaking():
                    entry["state"] = "interrupted"
                found.append(entry)
        return found

    async def start(self, request: Request) -> Response:
        """Starts a speech."""
        body = await body_of(request)
        model = text_of(object_of(body), "model")
        if len(self.speaking()) >= _MOST_AT_ONCE:
            raise ApiError(503, "other speeches are being computed; wait for them, or stop one", code="queue_full")
        synthesizer = await self._workers.run(lambda: self._models.get(model))
        saved = self._voices.names()
        wanted = parse_request(body, [*saved, *synthesizer.speakers], LONGEST_TEXT)
        key = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        voice = "+".join(name if weight is None else f"{name}:{weight:g}" for name, weight in wanted.voices)
        job = _SpeechJob(
            {"id": key, "time": time.time(), "state": "speaking", "model": model, "text": wanted.text, "voice": voice,
             "options": {name: value for name, value in asdict(wanted.options).items() if value is not None}}
        )  # fmt: skip

        def begin() -> tuple[Iterator[SpeechChunk], SpeechChunk]:
            parts = [
                self._voices.part(name, weight, synthesizer) if name in saved else VoicePart("speaker", name, weight)
                for name, weight in wanted.voices
            ]
            chunks = synthesizer.stream(wanted.text, voices=parts, **asdict(wanted.options))
            return chunks, next(chunks)

        chunks, first = await self._workers.run(begin)  # a problem of the text is an error, not a broken stream
        self._write(job.entry)  # first: a speech that cannot be kept must not count as one that is being computed
        self._jobs = {key: job for key, job in self._jobs.items() if not job.finished} | {key: job}
        task = asyncio.create_task(self._speak(job, chunks, first))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return JSONResponse(job.entry, 201)

    async def _speak(self, job: _SpeechJob, chunks: Iterator[SpeechChunk], chunk: SpeechChunk | None) -> None:
        notes, parts, sentences = SpeechNotes(), [], []
        entry, started, rate = job.entry, time.perf_counter(), 1
        try:
            while chunk is not None and not (job.cancelled and chunk.first):
                notes.add(chunk)
                parts.append(chunk.samples)
                rate = chunk.sample_rate_hz
                entry["notes"] = list(chunk.notes)
                if chunk.first:
                    sentences.append(_sentence(chunk))
                    job.add({"type": "sentence", "total": chunk.total, **sentences[-1]})
                audio = base64.b64encode(pcm16(chunk.samples)).decode("ascii")
                job.add({"type": "audio", "rate": rate, "audio": audio})
                chunk = await self._workers.run(lambda: next(chunks, None))
            entry["state"] = "stopped" if job.cancelled else "done"
        except Exception as error:  # without an end the page would wait forever
            entry |= {"state": "failed", "problem": _problem(error)}
        samples = np.concatenate(parts)
        entry |= {
            "sentences": sentences,
            "seconds": len(samples) / rate,
            "compute_seconds": time.perf_counter() - started,
            "notes": [*entry.get("notes", []), *notes.lines()],
        }
        try:
            await self._workers.run(lambda: self._keep(entry, samples, rate))
        except Exception as error:
            entry["notes"].append(_problem(error))
        job.add({"type": "end", "entry": entry}, last=True)

    def _keep(self, entry: dict[str, Any], samples: Any, rate: int) -> None:
        write_wav(self._wav(entry["id"]), samples, rate)
        self._write(entry)
        for old in self.history()[MOST_KEPT:]:
            self._wav(old["id"]).unlink(missing_ok=True)
            (self._folder / f"{old['id']}.json").unlink(missing_ok=True)

    async def events(self, request: Request) -> Response:
        """The sentences of a speech and their sound as they are computed, one JSON object per line."""
        job = self._jobs.get(request.path_params["id"])
        if job is None:
            raise ApiError(404, "this speech is not being computed")

        async def lines() -> AsyncIterator[bytes]:
            at = 0
            while True:
                more = job.more
                while at < len(job.events):
                    at += 1
                    yield job.events[at - 1]
                if job.finished:
                    return
                await more.wait()

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def cancel(self, request: Request) -> Response:
        """Ends a speech after its current sentence."""
        job = self._jobs.get(request.path_params["id"])
        if job is not None:
            job.cancelled = True
        return JSONResponse({"cancelled": job is not None})

    async def list_history(self, request: Request) -> Response:
        """The history, and the speeches in progress."""
        return JSONResponse({"history": await self._workers.run(self.history), "speaking": self.speaking()})

    async def audio(self, request: Request) -> Response:
        """The sound of a speech."""
        path = self._wav(self._known(request))
        if not path.is_file():
            raise ApiError(404, "this speech has no audio")
        return FileResponse(path, media_type="audio/wav", filename=f"myxtts-{path.name}")

    async def forget(self, request: Request) -> Response:
        """Removes a speech from the history."""
        key = self._known(request)
        self._wav(key).unlink(missing_ok=True)
        (self._folder / f"{key}.json").unlink(missing_ok=True)
        return JSONResponse({"deleted": key})

    def _known(self, request: Request) -> str:
        key = str(request.path_params["id"])
        if not (key.replace("-", "").isalnum() and key.isascii() and (self._folder / f"{key}.json").is_file()):
            raise ApiError(404, "there is no such speech")
        return key

    def _wav(self, key: str) -> Path:
        return self._folder / f"{key}.wav"

    def _write(self, entry: dict[str, Any]) -> None:
        write_text_atomic(self._folder / f"{entry['id']}.json", json.dumps(entry, ensure_ascii=True))


def _problem(error: Exception) -> str:
    """An error as a line for the page."""
    if isinstance(error, MyXTTSError | OSError):
        return str(error)
    LOG.error("a speech ended with an internal error", exc_info=error)
    return INTERNAL


def _sentence(chunk: SpeechChunk) -> dict[str, Any]:
    """A sentence and its words; times are in seconds from the start of the speech."""
    sentence = chunk.sentence
    start = sentence.start_seconds
    words = [
        [word.text, round(start + word.start_seconds, 3), round(start + word.end_seconds, 3)] for word in sentence.words
    ]
    return {"number": chunk.number, "text": sentence.text, "start": start, "seconds": sentence.seconds, "words": words}
