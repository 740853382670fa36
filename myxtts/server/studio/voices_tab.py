"""The tab Voices: examines a recording, and makes it a voice with a name and a statement of consent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from myxtts.audio import waveform
from myxtts.audio.waveform import write_wav
from myxtts.errors import ConfigError
from myxtts.messages import quoted
from myxtts.server.speech_request import ApiError, parse_voice
from myxtts.server.studio.common import WorkerThreads, json_of, text_of
from myxtts.server.studio.models import DEFAULT, SpeakingModels
from myxtts.server.upload import check_problem, consent_of, examined, figures_of, is_set, received
from myxtts.server.voice_folder import VoiceFolder
from myxtts.storage.files import read_regular_file, strict_json, write_text_atomic
from myxtts.synthesis.options import HIGHEST_SEED
from myxtts.synthesis.synthesizer import Synthesizer
from myxtts.synthesis.voice_parts import VoicePart


class VoicesTab:
    """Keeps one recording until it becomes a voice or is replaced; a reloaded page finds it."""

    def __init__(
        self, models: SpeakingModels, voices: VoiceFolder, workers: WorkerThreads, folder: Path, most_bytes: int
    ) -> None:
        self._models, self._voices, self._workers = models, voices, workers
        self._most_bytes = most_bytes
        self._wav, self._record = folder / "recording.wav", folder / "recording.json"
        folder.mkdir(parents=True, exist_ok=True)

    def routes(self) -> list[Route]:
        """Its routes."""
        return [
            Route("/studio/voices", self.list_voices, methods=["GET"]),
            Route("/studio/voices", self.add, methods=["POST"]),
            Route("/studio/voices/{name}", self.rename, methods=["PATCH"]),
            Route("/studio/voices/{name}", self.trash, methods=["DELETE"]),
            Route("/studio/voices/{name}/recording", self.recording_of, methods=["GET"]),
            Route("/studio/recording", self.examine, methods=["POST"]),
            Route("/studio/recording", self.discard, methods=["DELETE"]),
            Route("/studio/recording/audio", self.audio, methods=["GET"]),
        ]

    def pending(self) -> dict[str, Any] | None:
        """Facts about the pending recording; None if there is none."""
        try:
            value = strict_json(read_regular_file(self._record, 1 << 20))
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) and self._wav.is_file() else None

    async def list_voices(self, request: Request) -> Response:
        """Saved voices and training speakers of a model, and the pending recording."""
        model = request.query_params.get("model", DEFAULT)

        def listed() -> dict[str, Any]:
            synthesizer = self._models.get(model)
            return {
                "voices": self._voices.list(synthesizer),
                "speakers": synthesizer.speakers,
                "languages": synthesizer.languages,
                "flow": synthesizer.config.model.decoder == "flow",
                "pending": self.pending(),
            }

        return JSONResponse(await self._workers.run(listed))

    async def examine(self, request: Request) -> Response:
        """Keeps an uploaded recording, and reports which part of it is used."""
        synthesizer = self._models.get(DEFAULT)
        async with received(request, self._most_bytes) as upload:

            def work() -> dict[str, Any]:
                recording = examined(upload.path, synthesizer)
                found = {"filename": Path(upload.filename).name[:200], **figures_of(recording)}
                self._record.unlink(missing_ok=True)
                write_wav(self._wav, recording.samples_N, recording.sample_rate_hz)
                write_text_atomic(self._record, json.dumps(found))
                return found

            return JSONResponse(await self._workers.run(work), 201)

    async def discard(self, request: Request) -> Response:
        """Removes the pending recording."""
        self._record.unlink(missing_ok=True)
        self._wav.unlink(missing_ok=True)
        return JSONResponse({"deleted": True})

    async def audio(self, request: Request) -> Response:
        """The used part of the recording."""
        if not self._wav.is_file():
            raise ApiError(404, "there is no recording")
        return FileResponse(self._wav, media_type="audio/wav")

    async def add(self, request: Request) -> Response:
        """Makes a voice from the recording, a mixture (`voice`), or a random `seed`."""
        values = await json_of(request)
        name, model = text_of(values, "name"), text_of(values, "model")
        synthesizer = await self._workers.run(lambda: self._models.get(model))

        def work() -> str:
            try:
                self._voices.check_new(name, synthesizer.speakers)
                if values.get("voice") is not None:
                    return self._mixed(name, values["voice"], synthesizer)
                if values.get("seed") is not None:
                    return self._random(name, values["seed"], synthesizer)
                return self._recorded(name, values, synthesizer)
            except ConfigError as error:
                raise ApiError(400, error.problems[0], "name") from None

        added = await self._workers.run(work)
        return JSONResponse({"id": added, "name": added}, 201)

    def _recorded(self, name: str, values: dict[str, Any], synthesizer: Synthesizer) -> str:
        pending = self.pending()
        if pending is None:
            raise ApiError(400, "there is no recording; record a voice, or drop a file", "audio_sample")
        consent = consent_of(values)
        check_problem(str(pending.get("problem", "")), is_set(values.get("accept_problem")))
        audio = synthesizer.config.audio
        samples_N = waveform.read(self._wav, audio)
        made = synthesizer.make_voice(voices=[VoicePart("reference", samples_N)])
        kept = None if values.get("keep_recording") is False else (samples_N, audio.sample_rate_hz)
        made_from = f"recording {quoted(str(pending.get('filename', '')), 80)}"
        added = self._voices.add(name, made, synthesizer, made_from=made_from, consent=consent, recording=kept)
        self._record.unlink(missing_ok=True)
        self._wav.unlink(missing_ok=True)
        return added

    def _mixed(self, name: str, voice: Any, synthesizer: Synthesizer) -> str:
        saved = self._voices.names()
        parts, consents = [], []
        for one, weight in parse_voice(voice, [*saved, *synthesizer.speakers]):
            if one in saved:
                parts.append(self._voices.part(one, weight, synthesizer))
                consents.append(self._voices.consent(one))
            else:
                parts.append(VoicePart("speaker", one, weight))
        consent = "; ".join(dict.fromkeys(filter(None, consents)))
        made = synthesizer.make_voice(voices=parts)
        return self._voices.add(name, made, synthesizer, made_from=f"mix {quoted(voice, 200)}", consent=consent)

    def _random(self, name: str, seed: Any, synthesizer: Synthesizer) -> str:
        if type(seed) is not int or not 0 <= seed <= HIGHEST_SEED:
            raise ApiError(400, f"seed is {quoted(seed)}, expected a whole number 0 to {HIGHEST_SEED}", "seed")
        made = synthesizer.make_voice(voices=[VoicePart("random", seed)])
        return self._voices.add(name, made, synthesizer)

    async def rename(self, request: Request) -> Response:
        """Gives a voice another name."""
        values = await json_of(request)
        name, new = request.path_params["name"], text_of(values, "name")
        speakers = self._models.get(DEFAULT).speakers
        renamed = await self._workers.run(lambda: self._voices.rename(name, new, speakers))
        return JSONResponse({"id": renamed, "name": renamed})

    async def trash(self, request: Request) -> Response:
        """Moves a voice to the folder `trash`."""
        name = request.path_params["name"]
        place = await self._workers.run(lambda: self._voices.trash(name))
        return JSONResponse({"deleted": name, "moved_to": str(place)})

    async def recording_of(self, request: Request) -> Response:
        """The recording of a voice."""
        name = request.path_params["name"]
        path = self._voices.recording(name) if name in self._voices.names() else None
        if path is None:
            raise ApiError(404, "the recording of this voice was not kept")
        return FileResponse(path, media_type="audio/wav")
