"""The tabs Train and Runs: the ordinary commands as processes, and the contents of the run directory."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from myxtts.config.fields import unknown_key
from myxtts.config.files import config_of_file
from myxtts.config.presets import LEVEL_SUMMARIES, LEVELS, SIZES
from myxtts.errors import ConfigError
from myxtts.messages import quoted
from myxtts.report.page import render
from myxtts.report.run_files import read_run
from myxtts.server.speech_request import ApiError
from myxtts.server.studio.common import StudioSettings, WorkerThreads, folder_of, json_of, text_of
from myxtts.server.studio.guard import REPORT_POLICY
from myxtts.server.studio.processes import Processes
from myxtts.server.studio.runs import TRAIN, RunShelf, sample_path
from myxtts.server.voice_folder import name_problem
from myxtts.storage import STARTER

PLAN, TASK = "plan", "task"
_PLAN_KEY = "plan"
_PLAN_HEAD = "Plan (estimates"
TASKS = ("evaluate", "export", "report", "doctor")
_LOG_LINES = 40
_MOST_SETTINGS = 30


class TrainTab:
    """Plans, starts, stops and continues trainings, and starts commands on runs."""

    def __init__(self, settings: StudioSettings, runs: RunShelf, processes: Processes, workers: WorkerThreads) -> None:
        self._settings, self._runs, self._processes, self._workers = settings, runs, processes, workers

    def routes(self) -> list[Route]:
        """Its routes."""
        return [
            Route("/studio/plan", self.plan, methods=["GET"]),
            Route("/studio/plan", self.start_plan, methods=["POST"]),
            Route("/studio/runs", self.list_runs, methods=["GET"]),
            Route("/studio/runs", self.start, methods=["POST"]),
            Route("/studio/runs/{name}", self.get, methods=["GET"]),
            Route("/studio/runs/{name}/stop", self.stop, methods=["POST"]),
            Route("/studio/runs/{name}/continue", self.resume, methods=["POST"]),
            Route("/studio/runs/{name}/report", self.report, methods=["GET"]),
            Route("/studio/runs/{name}/samples/{update:int}/{wav}", self.sample, methods=["GET"]),
            Route("/studio/runs/{name}/tasks/{task}", self.task, methods=["GET"]),
            Route("/studio/runs/{name}/tasks/{task}", self.start_task, methods=["POST"]),
        ]

    def choices(self) -> dict[str, Any]:
        """The choices of the form."""
        levels = [{"id": name, "summary": LEVEL_SUMMARIES[name]} for name in LEVELS if name != "vocoder"]
        return {"levels": levels, "sizes": list(SIZES), "starter": STARTER}

    async def start_plan(self, request: Request) -> Response:
        """Audits the data and estimates the training, by the same command with --dry-run."""
        values = await json_of(request)
        words = [*self._words(values), "--dry-run"]

        def work() -> None:
            if self._processes.running(PLAN, _PLAN_KEY):
                self._processes.stop(PLAN, _PLAN_KEY)
                raise ApiError(503, "another plan is being made; it is stopped, try again", code="queue_full")
            self._processes.start(PLAN, _PLAN_KEY, [*self._settings.program, *words])

        await self._workers.run(work)
        return JSONResponse(self._plan(), 201)

    async def plan(self, request: Request) -> Response:
        """The newest plan."""
        return JSONResponse(await self._workers.run(self._plan))

    def _plan(self) -> dict[str, Any]:
        record = self._processes.get(PLAN, _PLAN_KEY)
        if record is None:
            return {"state": "none"}
        words = [word for word in record.words[len(self._settings.program) :] if word != "--dry-run"]
        lines = self._processes.log(PLAN, _PLAN_KEY)
        plan: dict[str, Any] = {"command": self._shown(words), "lines": lines, "rows": []}
        if self._processes.running(PLAN, _PLAN_KEY):
            return {**plan, "state": "running"}
        begin = next((at for at, line in enumerate(lines) if line.startswith(_PLAN_HEAD)), None)
        if begin is None:
            problems = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
            problem = problems or lines[-1:] or ["it ended without a reason"]
            return {**plan, "state": "failed", "problems": problem}
        table = [line for line in lines[begin + 1 :] if line.startswith("  ")]
        rows = [[cell.strip() for cell in line.strip().split("  ", 1)] for line in table]
        notes = [line for line in lines[begin + 1 :] if not line.startswith("  ")]
        return {**plan, "state": "done", "rows": [row for row in rows if len(row) == 2], "notes": notes}

    async def start(self, request: Request) -> Response:
        """Starts a training."""
        values = await json_of(request)
        words = self._words(values)
        name = text_of(values, "name")

        def work() -> dict[str, Any]:
            if self._runs.path(name).exists():
                raise ApiError(
                    400, f"the name {quoted(name)} is taken; choose another one, or continue that run", "name"
                )
            self._processes.start(TRAIN, name, [*self._settings.program, *words])
            return self._detail(name)

        return JSONResponse(await self._workers.run(work), 201)

    def _words(self, values: dict[str, Any]) -> list[str]:
        """The command of the form. Raises ApiError."""
        name, data, base = (text_of(values, field) for field in ("name", "data", "base"))
        level, size = text_of(values, "level"), text_of(values, "size")
        language = text_of(values, "language")
        if problem := name_problem(name):
            raise ApiError(400, problem, "name")
        folder, what = folder_of(data)
        if what:
            raise ApiError(400, f"the data folder {quoted(data, 200)} {what}; name a folder of recordings", "data")
        words = ["train", "--train-data", str(folder.absolute()), "--checkpoint-dir", str(self._runs.root / name)]
        if base:
            words += ["--init-from", base if base == STARTER else str(self._runs.existing(base).absolute())]
        if level not in LEVELS or level == "vocoder":
            raise ApiError(400, f"level is {quoted(level)}, expected one of: {', '.join(LEVELS)}", "level")
        words += ["--optimization-level", level]
        if not base:  # a base brings its size
            if size not in SIZES:
                raise ApiError(400, f"size is {quoted(size)}, expected one of: {', '.join(SIZES)}", "size")
            words += ["--model-size", size]
        if language:
            words += ["--language", language]
        minutes = values.get("minutes")
        if minutes is not None:
            if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes <= 1e6:
                raise ApiError(400, f"minutes is {quoted(minutes)}, expected a number over 0", "minutes")
            words += ["--set", f"training.max_minutes={minutes:g}"]
        return [*words, *_extra_settings(values.get("settings"))]

    async def stop(self, request: Request) -> Response:
        """Requests that a training saves and ends; a second request ends it immediately."""
        name = str(request.path_params["name"])
        stopped = await self._workers.run(lambda: self._processes.stop(TRAIN, name))
        if not stopped:
            raise ApiError(
                400, f"run {quoted(name)} was not started here or is not running; stop it where it was started"
            )
        return JSONResponse(await self._workers.run(lambda: self._detail(name)))

    async def resume(self, request: Request) -> Response:
        """Starts the command of a run again, which continues it."""
        name = str(request.path_params["name"])

        def work() -> dict[str, Any]:
            path = self._runs.path(name)
            if self._runs.state(name) in ("training", "preparing", "stopping"):
                raise ApiError(400, f"run {quoted(name)} is running already")
            self._processes.start(TRAIN, name, [*self._settings.program, *self._continuing(name, path)])
            return self._detail(name)

        return JSONResponse(await self._workers.run(work))

    def _continuing(self, name: str, path: Path) -> list[str]:
        """The words that continue a run: those that started it, or its own settings if it was started elsewhere."""
        record = self._processes.get(TRAIN, name)
        if record is None:
            config = self._runs.existing(name) / "config.yaml"
            return ["train", "--config", str(config.absolute()), "--checkpoint-dir", str(path)]
        words = list(record.words[len(self._settings.program) :])
        if "--init-from" in words and any(path.glob("checkpoints/step-*")):
            at = words.index("--init-from")
            del words[at : at + 2]
        return words

    async def list_runs(self, request: Request) -> Response:
        """All runs."""
        listed = await self._workers.run(lambda: [self._runs.summary(name) for name in self._runs.names()])
        return JSONResponse({"runs": listed})

    async def get(self, request: Request) -> Response:
        """A run: state, command, curves, health, samples."""
        name = str(request.path_params["name"])
        return JSONResponse(await self._workers.run(lambda: self._detail(name)))

    def _detail(self, name: str) -> dict[str, Any]:
        summary = self._runs.summary(name)
        record = self._processes.get(TRAIN, name)
        if record is None:
            self._runs.existing(name)
        started = {} if record is None else {"command": self._shown(record.words[len(self._settings.program) :])}
        path = self._runs.path(name)
        more = self._runs.detail(name) if summary["changed"] and _has_files(path) else {}
        try:
            again = self._shown(self._continuing(name, path))
        except ConfigError:
            again = ""
        tasks = {task: self._shown(self._task_words(task, path)) for task in TASKS}
        log = self._processes.log(TRAIN, name, _LOG_LINES)
        return {**more, **summary, **started, "continue_command": again, "log": log, "tasks": tasks}

    async def report(self, request: Request) -> Response:
        """The report of a run, the same page as `myxtts report` writes."""
        path = self._runs.existing(str(request.path_params["name"]))
        page = await self._workers.run(lambda: render(read_run(path)))
        return HTMLResponse(page.encode("utf-8", "replace"), headers={"Content-Security-Policy": REPORT_POLICY})

    async def sample(self, request: Request) -> Response:
        """A sample of a validation."""
        path = self._runs.existing(str(request.path_params["name"]))
        return FileResponse(sample_path(path, request.path_params["update"], request.path_params["wav"]))

    async def start_task(self, request: Request) -> Response:
        """Starts a command on a run."""
        name, task = self._task_of(request)
        path = self._runs.existing(name)
        words = [*self._settings.program, *self._task_words(task, path)]
        await self._workers.run(lambda: self._processes.start(TASK, f"{task} {name}", words))
        return JSONResponse(self._task(name, task), 201)

    async def task(self, request: Request) -> Response:
        """The output of a command on a run."""
        name, task = self._task_of(request)
        return JSONResponse(await self._workers.run(lambda: self._task(name, task)))

    def _task_of(self, request: Request) -> tuple[str, str]:
        task = str(request.path_params["task"])
        if task not in TASKS:
            raise ApiError(404, f"there is no task {quoted(task)}")
        return str(request.path_params["name"]), task

    def _task(self, name: str, task: str) -> dict[str, Any]:
        key = f"{task} {name}"
        record = self._processes.get(TASK, key)
        if record is None:
            return {"state": "none", "lines": []}
        running = self._processes.running(TASK, key)
        state = "running" if running else "failed" if record.exit_code else "done"
        return {"state": state, "lines": self._processes.log(TASK, key)}

    def _task_words(self, task: str, path: Path) -> list[str]:
        run = str(path)
        return {
            "evaluate": ["evaluate", "--checkpoint", run, "--data", _data_of(path)],
            "export": ["export", run, "--format", "onnx", "--out", f"{run}-onnx"],
            "report": ["report", run],
            "doctor": ["doctor", run],
        }[task]

    def _shown(self, words: Any) -> str:
        """A command as a user writes it."""
        return f"{self._settings.shown_program} {shlex.join(words)}"


def _data_of(path: Path) -> str:
    """The training data of a run, as its settings have it."""
    try:
        return config_of_file(path / "config.yaml").data.train_path
    except ConfigError:
        return "DATA"


def _has_files(path: Path) -> bool:
    return any((path / name).is_file() for name in ("config.yaml", "metrics.jsonl", "events.jsonl"))


def _extra_settings(value: Any) -> list[str]:
    """Lines `section.key=value` as options. Raises ApiError."""
    if value is None or value == "":
        return []
    if not isinstance(value, str) or len(value) > 4_096:
        raise ApiError(400, "settings is not text; write lines such as data.max_clip_seconds=8", "settings")
    words: list[str] = []
    lines = [line.strip() for line in value.splitlines() if line.strip()]
    for line in lines[:_MOST_SETTINGS]:
        key, equals, _ = line.partition("=")
        problem = unknown_key(key.strip()) if equals else f"{quoted(line)} is no setting; write it as key=value"
        if not problem and key.strip() == "training.checkpoint_dir":
            problem = "training.checkpoint_dir is the folder of the run; choose its name instead"
        if problem:
            raise ApiError(400, problem, "settings")
        words += ["--set", line]
    return words
