"""Graceful stop: the first SIGTERM, SIGHUP or Ctrl-C makes the loop save and end; a second one ends at once."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable, Iterable
from types import FrameType

ONE_REQUEST_SECONDS = 0.3
"""Signals within this time are one request: `timeout` signals its child and its group, make forwards them."""

_Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers | None


class StopSignals:
    """A context for the main thread, in which `requested` is the name of the signal to stop, or None.

    A signal more than ONE_REQUEST_SECONDS later exits with code 128 + its number, even during a long computation of
    TensorFlow: a separate thread receives every signal through a pipe. Worker processes forked in the context handle
    SIGTERM normally, and ignore Ctrl-C and SIGHUP, because these reach the whole process group and the loop still needs
    its workers while it saves.

    SIGHUP, which a closing terminal sends, stops the run, too, but a second one does not exit immediately: shell and
    kernel each send it, some time apart. If it is ignored (nohup), it stays ignored and the training continues.
    """

    def __init__(self, signals: Iterable[signal.Signals] = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)) -> None:
        self._signals = tuple(signals)
        self._old_handlers: dict[signal.Signals, _Handler] = {}
        self._requested: str | None = None
        self._left = threading.Event()
        self._pipe: tuple[int, int] = (-1, -1)
        self._old_wakeup = -1
        self._thread: threading.Thread | None = None

    @property
    def requested(self) -> str | None:
        """Name of the first signal, such as "SIGTERM"."""
        return self._requested

    def __enter__(self) -> StopSignals:
        self._requested = None
        self._left.clear()
        self._pipe = os.pipe()
        os.set_blocking(self._pipe[1], False)
        try:
            self._old_wakeup = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        except ValueError:
            self._close_pipe()
            raise  # not the main thread: a defect in the caller
        for number in self._signals:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                self._old_handlers[number] = signal.signal(number, self._note)
        self._thread = threading.Thread(target=self._watch, name="stop signals", daemon=True)
        self._thread.start()
        _entered.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _entered.remove(self)
        self._restore_handlers()
        signal.set_wakeup_fd(self._old_wakeup)
        self._left.set()
        os.close(self._pipe[1])  # ends the thread
        if self._thread is not None:
            self._thread.join()
        os.close(self._pipe[0])

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._requested is None:
            self._requested = signal.Signals(number).name

    def _watch(self) -> None:
        if not self._next_signal():
            return
        self._left.wait(ONE_REQUEST_SECONDS)
        # Empty the pipe: while the main thread holds the interpreter, this thread may be late.
        waiting = select.poll()
        waiting.register(self._pipe[0], select.POLLIN)
        while waiting.poll(0) and os.read(self._pipe[0], 64):
            pass
        while number := self._next_signal():
            if number != signal.SIGHUP:
                os._exit(128 + number)

    def _next_signal(self) -> int:
        """Wait for one of the signals; 0 once the pipe is closed."""
        while received := os.read(self._pipe[0], 64):
            for number in received:
                if number in self._signals:
                    return number
        return 0

    def _restore_handlers(self) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._old_handlers.clear()

    def _close_pipe(self) -> None:
        for descriptor in self._pipe:
            os.close(descriptor)

    def _leave_in_child(self) -> None:
        """In a forked worker: the pipe belongs to the parent, and one Ctrl-C must not count once per worker."""
        signal.set_wakeup_fd(-1)
        noted = set(self._old_handlers)
        self._restore_handlers()
        for number in noted & {signal.SIGINT, signal.SIGHUP}:
            signal.signal(number, signal.SIG_IGN)
        self._close_pipe()


_entered: list[StopSignals] = []


def _after_fork_in_child() -> None:
    for stop in _entered:
        with contextlib.suppress(ValueError):  # forked by a thread, which cannot set handlers
            stop._leave_in_child()
    _entered.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)
