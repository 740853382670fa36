"""Decisions that depend on a clock or a signal: made by one process, sent to all with the results of a micro-batch.

A process that left the loop on its own would leave the others waiting in the next sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from myxtts.training.cluster import Cluster
from myxtts.training.signals import StopSignals

SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP")


class Orders:
    """Whether to stop and why, and whether a hot save is due.

    A single process decides when it checks. Of several, the chief decides about time, any of them about
    signals, when a micro-batch is computed; the decision applies after its update.

    Args:
        cluster: the processes.
        signals: those that this process received.
        save_due: whether the hot interval has passed.
        time_over: whether training.max_minutes has passed.
    """

    def __init__(
        self, cluster: Cluster, signals: StopSignals, save_due: Callable[[], bool], time_over: Callable[[], bool]
    ) -> None:
        self._cluster, self._signals, self._save_due, self._time_over = cluster, signals, save_due, time_over
        self._sums: Sequence[float] = ()
        if cluster.size > 1:
            self.take(cluster.sum_now(np.array(self.given(), np.float32)).tolist())

    def given(self) -> list[float]:
        """What this process orders now, for Step.micro."""
        if self._cluster.size == 1:
            return []
        chief = self._cluster.chief
        return [
            float(chief and self._save_due()),
            float(chief and self._time_over()),
            *(float(self._signals.requested == name) for name in SIGNALS),
        ]

    def take(self, sums: Sequence[float]) -> None:
        """Accept the sums over all processes of what each one ordered."""
        self._sums = sums

    @property
    def stop(self) -> str:
        """The signal that ends the run, "minutes" if the time is over, else empty."""
        if self._cluster.size == 1:
            return self._signals.requested or ("minutes" if self._time_over() else "")
        received = [name for name, count in zip(SIGNALS, self._sums[2:], strict=True) if count]
        return received[0] if received else "minutes" if self._sums[1] else ""

    @property
    def save_due(self) -> bool:
        """Whether the hot interval has passed."""
        return self._save_due() if self._cluster.size == 1 else bool(self._sums[0])
