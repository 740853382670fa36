"""The tab Data: audits a folder in a separate process and plays its clips."""

from __future__ import annotations

import hashlib
import io
import sys
from pathlib import Path
from typing import Any

import soundfile
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from myxtts.audio import decoding
from myxtts.config.schema import AudioConfig
from myxtts.messages import quoted
from myxtts.server.speech_request import ApiError
from myxtts.server.studio.common import WorkerThreads, folder_of, json_of, text_of
from myxtts.server.studio.processes import Processes
from myxtts.storage.files import read_regular_file, strict_json

AUDIT = "audit"
_PLAYED_AS_THEY_ARE = {".wav": "audio/wav", ".flac": "audio/flac", ".mp3": "audio/mpeg", ".ogg": "audio/ogg"}
_MOST_BYTES = 64 << 20
_LONGEST_SECONDS = 120.0
_MOST_FOLDERS = 60


class DataTab:
    """Starts audits and serves their results."""

    def __init__(self, processes: Processes, workers: WorkerThreads, folder: Path) -> None:
        self._processes, self._workers, self._folder = processes, workers, folder
        folder.mkdir(parents=True, exist_ok=True)

    def routes(self) -> list[Route]:
        """Its routes."""
        return [
            Route("/studio/folders", self.folders, methods=["GET"]),
            Route("/studio/audits", self.list_audits, methods=["GET"]),
            Route("/studio/audits", self.start, methods=["POST"]),
            Route("/studio/audits/{key}", self.get, methods=["GET"]),
            Route("/studio/audits/{key}/stop", self.stop, methods=["POST"]),
            Route("/studio/audits/{key}/audio", self.audio, methods=["GET"]),
        ]

    async def folders(self, request: Request) -> Response:
        """Folders that begin with the typed text, for completion."""
        typed = request.query_params.get("path", "") or "~/"

        def found() -> list[str]:
            try:
                path = Path(typed).expanduser()
                parent, begin = (path, "") if typed.endswith("/") else (path.parent, path.name)
                names = sorted(p.name for p in parent.iterdir() if p.is_dir() and p.name.startswith(begin))
            except (OSError, ValueError, RuntimeError):  # RuntimeError: the home of nobody, as in ~ann
                return []
            hidden = begin.startswith(".")
            return [str(parent / name) for name in names if hidden or not name.startswith(".")][:_MOST_FOLDERS]

        return JSONResponse({"folders": await self._workers.run(found)})

    async def start(self, request: Request) -> Response:
        """Audits a folder."""
        values = await json_of(request)
        folder, language = text_of(values, "folder"), text_of(values, "language")
        path, what = folder_of(folder)
        if what:
            raise ApiError(400, f"the folder {quoted(folder, 200)} {what}; name a folder of recordings", "folder")
        path = path.absolute()
        key = hashlib.sha256(str(path).encode("utf-8", "replace")).hexdigest()[:16]
        if not self._processes.running(AUDIT, key):
            self._file(key).unlink(missing_ok=True)
            worker = [sys.executable, "-m", "myxtts.server.studio.audit_worker", str(path), language]
            self._processes.start(AUDIT, key, [*worker, str(self._file(key))], note=str(path))
        return JSONResponse(self._state(key), 201)

    async def stop(self, request: Request) -> Response:
        """Ends an audit."""
        key = self._known(request)
        return JSONResponse({"stopped": self._processes.stop(AUDIT, key)})

    async def list_audits(self, request: Request) -> Response:
        """All audits without their clips, the newest first."""

        def listed() -> list[dict[str, Any]]:
            states = [self._state(key) for key in reversed(self._processes.keys(AUDIT))]
            return [{name: state.get(name) for name in ("id", "folder", "state")} for state in states]

        return JSONResponse({"audits": await self._workers.run(listed)})

    async def get(self, request: Request) -> Response:
        """An audit."""
        key = self._known(request)
        state = await self._workers.run(lambda: self._state(key))
        return JSONResponse({name: value for name, value in state.items() if name != "paths"})

    async def audio(self, request: Request) -> Response:
        """The recording of a clip of an audit."""
        key, clip = self._known(request), request.query_params.get("clip", "")
        path = self._state(key).get("paths", {}).get(clip)
        if not isinstance(path, str) or not Path(path).is_file():
            raise ApiError(404, f"clip {quoted(clip)} has no recording")
        kind = _PLAYED_AS_THEY_ARE.get(Path(path).suffix.lower())
        if kind is not None:
            return FileResponse(path, media_type=kind)

        def decoded() -> bytes:
            audio, file = AudioConfig(), io.BytesIO()
            samples_N = decoding.read_isolated(Path(path), audio, _LONGEST_SECONDS)
            soundfile.write(file, samples_N, audio.sample_rate_hz, format="WAV")
            return file.getvalue()

        return Response(await self._workers.run(decoded), media_type="audio/wav")

    def _known(self, request: Request) -> str:
        key = str(request.path_params["key"])
        if self._processes.get(AUDIT, key) is None:
            raise ApiError(404, "there is no such audit")
        return key

    def _state(self, key: str) -> dict[str, Any]:
        record = self._processes.get(AUDIT, key)
        assert record is not None
        try:
            value = strict_json(read_regular_file(self._file(key), _MOST_BYTES))
        except (OSError, ValueError):
            value = {}
        state = {"id": key, "folder": record.note, "state": "running", **(value if isinstance(value, dict) else {})}
        if state["state"] == "running" and not self._processes.running(AUDIT, key):
            lines = self._processes.log(AUDIT, key)
            problem = "it was stopped" if record.stops else "it ended early: " + (lines[-1] if lines else "no reason")
            state |= {"state": "failed", "problem": problem, "lines": lines[-20:]}
        return state

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.json"
