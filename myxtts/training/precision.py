"""The precision of the networks, and the loss scale of fp16.

The loss scale: the loss is multiplied before the gradient and the gradient divided after it.

Ours, because Keras's looks at one replica alone and lives in the optimizer, behind the finite test.
"""

from __future__ import annotations

import tensorflow as tf

from myxtts.config.hardware import processor_has_bf16

INITIAL_SCALE = 2.0**13
GROWTH_UPDATES = 1_000
LARGEST_SCALE = 2.0**16
SMALLEST_SCALE = 1.0


BF16_COMPUTE_CAPABILITY = (8, 0)


def chosen_precision(setting: str) -> str:
    """fp32, bf16 or fp16: the setting itself, or for `auto` bf16 where it is native and fp32 elsewhere."""
    if setting != "auto":
        return setting
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return "bf16" if tuple(capability) >= BF16_COMPUTE_CAPABILITY else "fp32"
    return "bf16" if processor_has_bf16() else "fp32"


class LossScale:
    """A factor on the loss: 1 in fp32 and bf16; in fp16 halved after an overflow, doubled after many good updates."""

    def __init__(self, precision: str) -> None:
        self.moves = precision == "fp16"
        self.value = tf.Variable(INITIAL_SCALE if self.moves else 1.0, trainable=False, dtype=tf.float32)
        self.good_updates = 0

    @property
    def has_room(self) -> bool:
        """Whether an overflow may be the scale's fault: fp16, and the scale can still fall."""
        return self.moves and float(self.value) > SMALLEST_SCALE

    def after_update(self, *, applied: bool, finite: bool) -> None:
        """Follow an update: `finite` says whether every gradient of its window was finite."""
        if not self.moves:
            return
        if not finite:
            self.value.assign(max(SMALLEST_SCALE, float(self.value) / 2.0))
            self.good_updates = 0
        elif applied:
            self.good_updates += 1
            if self.good_updates >= GROWTH_UPDATES:
                self.value.assign(min(LARGEST_SCALE, float(self.value) * 2.0))
                self.good_updates = 0

    def state(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        return {"value": float(self.value), "good_updates": float(self.good_updates), "moves": float(self.moves)}

    def restore(self, state: dict[str, float]) -> None:
        """Take back what `state` gave, from fp16 to fp16: in another precision there was no scale to go on with."""
        # a state of before does not say whether it moved; one that did not stood at 1
        if not (self.moves and state.get("moves", state["value"] != 1.0)):
            return
        self.value.assign(state["value"])
        self.good_updates = int(state["good_updates"])
