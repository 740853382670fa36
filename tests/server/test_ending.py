"""SIGTERM at any time of `myxtts serve` and `myxtts studio` ends them as usual."""

import importlib
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_model
import pytest

pytest.importorskip("starlette")
uvicorn = pytest.importorskip("uvicorn")

Started = Callable[[str], int]


@pytest.fixture
def start(tmp_path: Path) -> Started:
    """Runs a command with a small model on any free port."""
    run = str(made_model.save_run(tmp_path / "run", made_model.resolved()))

    def started(command: str) -> int:
        more = ["--no-open", "--runs", str(tmp_path / "runs")] if command == "studio" else []
        before = signal.getsignal(signal.SIGTERM)
        try:
            return int(importlib.import_module(f"myxtts.cli.{command}").main([run, "--port", "0", *more]))
        finally:
            assert signal.getsignal(signal.SIGTERM) == before
            signal.signal(signal.SIGTERM, before)

    return started


@pytest.mark.parametrize("command", ["serve", "studio"])
def test_while_the_model_is_loaded(command: str, start: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    """It raises SystemExit, so that temporary files are removed."""

    def loaded(*args: object, **more: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(f"myxtts.cli.{command}.load_synthesizer", loaded)
    with pytest.raises(SystemExit) as ended:
        start(command)
    assert ended.value.code == 128 + signal.SIGTERM


@pytest.mark.timeout(120)
@pytest.mark.parametrize("command", ["serve", "studio"])
def test_before_the_server_handles_signals(command: str, start: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    run = uvicorn.Server.run

    def signalled(self: Any, *args: Any, **more: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        run(self, *args, **more)

    monkeypatch.setattr(uvicorn.Server, "run", signalled)
    assert start(command) == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("command", ["serve", "studio"])
def test_while_it_serves(command: str, start: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    startup = uvicorn.Server.startup

    async def signalled(self: Any, *args: Any, **more: Any) -> None:
        await startup(self, *args, **more)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(uvicorn.Server, "startup", signalled)
    assert start(command) == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("command", ["serve", "studio"])
def test_ctrl_c_is_the_ordinary_end(
    command: str, start: Started, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    startup = uvicorn.Server.startup

    async def signalled(self: Any, *args: Any, **more: Any) -> None:
        await startup(self, *args, **more)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(uvicorn.Server, "startup", signalled)
    assert start(command) == 0 and "stopped" not in capsys.readouterr().err
