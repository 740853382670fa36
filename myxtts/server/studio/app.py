"""The application: the page, the requests of its tabs, and the speech API."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from myxtts import __version__
from myxtts.server.app import EXCEPTION_HANDLERS, ServerSettings, application
from myxtts.server.speech_request import ApiError
from myxtts.server.studio.common import STUDIO_ERRORS, StudioSettings, WorkerThreads
from myxtts.server.studio.data_tab import DataTab
from myxtts.server.studio.guard import StudioGuard
from myxtts.server.studio.models import DEFAULT, SpeakingModels
from myxtts.server.studio.processes import Processes
from myxtts.server.studio.runs import RunShelf
from myxtts.server.studio.speaking import SpeakTab
from myxtts.server.studio.train_tab import TrainTab
from myxtts.server.studio.voices_tab import VoicesTab
from myxtts.server.voice_folder import VoiceFolder
from myxtts.synthesis.options import SPEAK_OPTIONS
from myxtts.synthesis.synthesizer import Synthesizer

_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_NO_SLIDERS = ("language", "steps")


def studio(synthesizer: Synthesizer, settings: StudioSettings, token: str) -> Starlette:
    """The ASGI application of the studio; `token`: the key of its page."""
    workers = WorkerThreads(settings.threads + 2)
    processes = Processes(settings.state / "processes")
    runs = RunShelf(settings.runs, settings.other_runs, processes)
    voices = VoiceFolder(settings.voices)
    models = SpeakingModels(settings, runs, synthesizer)
    speak = SpeakTab(models, voices, workers, settings.state / "history")
    recordings = VoicesTab(models, voices, workers, settings.state / "recording", settings.max_upload_bytes)
    data = DataTab(processes, workers, settings.state / "audits")
    train = TrainTab(settings, runs, processes, workers)

    async def state(request: Request) -> Response:
        def found() -> dict[str, Any]:
            return {
                "version": __version__,
                "model": settings.model,
                "models": models.catalog(),
                "languages": models.get(DEFAULT).languages,
                "options": _options(),
                "runs_folder": str(settings.runs),
                "voices_folder": str(settings.voices),
                "speaking": speak.speaking(),
                **train.choices(),
            }

        return JSONResponse(await workers.run(found))

    api = application(
        synthesizer,
        ServerSettings(settings.threads, allow_voices=True, max_upload_bytes=settings.max_upload_bytes),
        voices,
    )
    routes = [
        Route("/", _page, methods=["GET"]),
        Route("/favicon.ico", _icon, methods=["GET"]),
        Route("/studio/page/{name}", _page_file, methods=["GET"]),
        Route("/studio/state", state, methods=["GET"]),
        *speak.routes(),
        *recordings.routes(),
        *data.routes(),
        *train.routes(),
        Mount("/", api),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(StudioGuard, token=token)],
        exception_handlers={**EXCEPTION_HANDLERS, **STUDIO_ERRORS},
    )


def _options() -> list[dict[str, Any]]:
    """The sliders: the options of a synthesis with their ranges."""
    return [
        {
            "name": name,
            "default": info.default,
            "low": info.low,
            "high": info.high,
            "unit": info.unit,
            "whole": info.whole,
            "flow_only": info.flow_only,
            "description": info.description,
        }
        for name, info in SPEAK_OPTIONS.items()
        if name not in _NO_SLIDERS
    ]


@cache
def _content(name: str) -> bytes:
    """A file of the page. Raises ApiError."""
    folder = files("myxtts.server.studio") / "page"
    known = {entry.name: entry for entry in folder.iterdir() if entry.is_file()}
    if name not in known:
        raise ApiError(404, "there is no such file")
    return known[name].read_bytes()


async def _page(request: Request) -> Response:
    return Response(_content("index.html"), media_type=_KINDS[".html"])


async def _icon(request: Request) -> Response:
    return Response(_content("icon.svg"), media_type=_KINDS[".svg"])


async def _page_file(request: Request) -> Response:
    name = str(request.path_params["name"])
    kind = _KINDS.get(f".{name.rpartition('.')[2]}")
    if kind is None:
        raise ApiError(404, "there is no such file")
    return Response(_content(name), media_type=kind)


def page_texts(language: str) -> dict[str, str]:
    """The texts of the page in a language."""
    texts = json.loads(_content(f"{language}.json"))
    assert isinstance(texts, dict)
    return texts
