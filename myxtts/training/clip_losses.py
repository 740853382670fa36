"""What each training clip costs: a running mean of its total loss, so that the worst can be named."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from myxtts.training.window import Window

HIGHEST = 100.0
"""A loss over it counts as it: a total begins near 3, and the arithmetic of one bad batch is not the clip's."""
NEWEST_SHARE = 0.3
"""Share of the newest value in the running mean."""


class ClipLosses:
    """loss (N,) float32, 0 where a clip was never seen, and seen (N,) int32, by row of the feature store."""

    def __init__(self, clips: int) -> None:
        self.loss_N = np.zeros(clips, np.float32)
        self.seen_N = np.zeros(clips, np.int32)

    def observe(self, window: Window) -> None:
        """Take in the finite losses of a window."""
        for micro in window.micros:
            keep = micro.real_B & np.isfinite(micro.result.total_B)
            rows = micro.loaded.batch["utterance_B"][keep]
            values = np.minimum(micro.result.total_B[keep], HIGHEST)
            before = np.where(self.seen_N[rows] > 0, self.loss_N[rows], values)
            self.loss_N[rows] = before + NEWEST_SHARE * (values - before)
            self.seen_N[rows] += 1

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """For a checkpoint."""
        return {"loss": self.loss_N, "seen": self.seen_N}

    def restore(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Take back what `arrays` gave; of other data, nothing."""
        if arrays.get("loss") is not None and arrays["loss"].shape == self.loss_N.shape:
            self.loss_N = np.array(arrays["loss"], np.float32)
            self.seen_N = np.array(arrays["seen"], np.int32)
