"""The micro-batches of one update: their batches, results and arguments, and the running losses of clips."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from myxtts.data.loader import Loaded
from myxtts.training.step import MicroResult

HIGHEST = 100.0
"""Larger losses are clipped to it: a total starts near 3, and one bad batch must not dominate the mean of a clip."""
NEWEST_SHARE = 0.3
"""Share of the newest value in the running mean."""


@dataclass(frozen=True)
class Micro:
    """One micro-batch: its number in the run, the batch, the result, and the arguments it was computed with."""

    number: int
    loaded: Loaded
    result: MicroResult
    knobs: Mapping[str, Any]
    """Arguments of Step.micro besides the batch."""

    @property
    def real_B(self) -> npt.NDArray[np.bool_]:
        """Which rows are utterances."""
        return self.result.real_B

    @property
    def rows_B(self) -> npt.NDArray[np.int64]:
        """The row of each utterance in the feature store."""
        return self.loaded.rows_B


@dataclass
class Window:
    """The micro-batches of one update."""

    terms: tuple[str, ...]
    """Names of the loss terms."""
    micros: list[Micro] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    def skipped(self) -> list[Micro]:
        """Micro-batches whose loss or gradient was not finite."""
        return [m for m in self.micros if not m.result.good]

    def mean_terms(self) -> tuple[dict[str, float], float]:
        """Mean of each term and of the total over the utterances of the finite micro-batches; NaN if there are none."""
        good = [m for m in self.micros if m.result.good]
        if not good:
            return dict.fromkeys(self.terms, float("nan")), float("nan")
        terms = np.concatenate([m.result.terms_KB[:, m.real_B] for m in good], axis=1).mean(axis=1, dtype=np.float64)
        total = np.concatenate([m.result.total_B[m.real_B] for m in good]).mean(dtype=np.float64)
        return {t: float(v) for t, v in zip(self.terms, terms, strict=True)}, float(total)


class ClipLosses:
    """Running loss (A,) of each clip, 0 for a clip never seen, and how often it was seen (A,), by feature store row."""

    def __init__(self, clips: int) -> None:
        self.loss_A = np.zeros(clips, np.float32)
        self.seen_A = np.zeros(clips, np.int32)

    def observe(self, window: Window) -> None:
        """Update the losses of the clips in a window, where they are finite."""
        for micro in window.micros:
            keep = micro.real_B & np.isfinite(micro.result.total_B)
            rows = micro.rows_B[keep]
            values = np.minimum(micro.result.total_B[keep], HIGHEST)
            before = np.where(self.seen_A[rows] > 0, self.loss_A[rows], values)
            self.loss_A[rows] = before + NEWEST_SHARE * (values - before)
            self.seen_A[rows] += 1

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """The arrays for a checkpoint."""
        return {"loss": self.loss_A, "seen": self.seen_A}

    def restore(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Restore what `arrays` returned, unless it is of other clips."""
        if arrays["loss"].shape == self.loss_A.shape == arrays["seen"].shape:
            self.loss_A = np.array(arrays["loss"], np.float32)
            self.seen_A = np.array(arrays["seen"], np.int32)
