"""A server that runs in a thread."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def running(app: Any, host: str = "127.0.0.1") -> Iterator[str]:
    """The address of an application that is served."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    with socket.socket() as listener:
        listener.bind((host, 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.02)
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def wait_for(url: str, queue: int) -> None:
    """Waits until this many requests are in progress or waiting."""
    import httpx2

    deadline = time.monotonic() + 60
    while httpx2.get(url + "/health", timeout=60).json()["queue"] != queue:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def until(url: str, line: str) -> None:
    """Waits for a line of the metrics."""
    import httpx2

    deadline = time.monotonic() + 60
    while line not in httpx2.get(f"{url}/metrics", timeout=60).text.splitlines():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def served(synthesizer: Any, voices: Any = None, **settings: Any) -> Iterator[str]:
    """The address of a speech server."""
    from myxtts.server.app import ServerSettings, application

    with running(application(synthesizer, ServerSettings(**settings), voices)) as address:
        yield address
