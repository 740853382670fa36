"""A guarded step over the small model, and the bytes of all that it owns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import made_batch
import numpy as np

from myxtts.config.schema import AudioConfig, Config, LossConfig, OptimizerConfig, TrainingConfig

RATE = 3e-3
RICH: dict[str, dict[str, Any]] = {
    "model": {"decoder": "flow", "critic_width": 4, "dropout": 0.1, "predictor_dropout": 0.3},
    "loss": {"adaptive_weights": True, "huber_delta": 0.5, "label_smoothing": 0.1},
    "optimizer": {"name": "muon"},
}
"""Everything that the plain step has not."""


class MadeStep:
    """A Step whose state can be looked at, kept and put back; `micro` and `update` have small defaults."""

    def __init__(
        self,
        model: Mapping[str, Any] | None = None,
        loss: Mapping[str, Any] | None = None,
        optimizer: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        cluster: Any = None,
    ) -> None:
        from myxtts.models.build import build_voice_cloner
        from myxtts.training.step import Step
        from myxtts.training.task import VoiceTask

        settings = TrainingConfig(**{"precision": "fp32", "ema_decay": 0.9, **(training or {})})
        config = made_batch.model_config(**(model or {}))

        def build() -> Any:
            return build_voice_cloner(
                config, precision=settings.precision, seed=3, recompute=settings.recompute, **made_batch.SIZES
            )

        one, average = build(), build()
        whole = Config(
            audio=AudioConfig(mel_channels=made_batch.SIZES["channels"]),
            model=config,
            loss=LossConfig(**(loss or {})),
            optimizer=OptimizerConfig(**{"clip_norm": 0.3, "beta_2": 0.99, **(optimizer or {})}),
            training=settings,
        )
        self.step = Step(VoiceTask(whole), one, average, cluster)
        self.calls = 0
        self._first = self.values()

    def variables(self) -> dict[str, Any]:
        """Everything that an update may change, by name."""
        step = self.step
        return {
            **{f"weight {v.path}": v.value for v in step.weights},
            **{f"average {v.path}": v.value for v in step.average.trainable_variables},
            **{f"moment {k}": v for k, v in step.optimizer.moments().items()},
            "norms": step.norms,
            "accepted": step.accepted,
        }

    def values(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(v.numpy()).copy() for name, v in self.variables().items()}

    def bytes(self) -> dict[str, bytes]:
        return {name: value.tobytes() for name, value in self.values().items()}

    def put(self, values: Mapping[str, np.ndarray]) -> None:
        for name, variable in self.variables().items():
            variable.assign(values[name])

    def reset(self) -> MadeStep:
        """As it was made, with an empty window."""
        from myxtts.training.optimizers import INITIAL_SCALE

        step = self.step
        step.discard()
        self.put(self._first)
        step.loss_scale.value.assign(INITIAL_SCALE if step.loss_scale.is_dynamic else 1.0)
        step.loss_scale.good_updates = 0
        self.calls = 0
        return self

    def micro(self, rows: Sequence[int] | dict[str, Any] = (0, 1, 2, 3), **faults: Any) -> Any:
        self.calls += 1
        batch = rows if isinstance(rows, dict) else made_batch.make_batch(rows)
        return self.step.micro(batch, seed=(1, self.calls), prior_strength=0.5, **faults)

    def update(self, rate: float = RATE) -> Any:
        return self.step.update(rate)

    def run(self, rows: Sequence[int] | dict[str, Any] = (0, 1, 2, 3), **faults: Any) -> Any:
        """A window of one micro-batch and its update."""
        self.micro(rows, **faults)
        return self.update()

    def gradients(self) -> dict[str, np.ndarray]:
        """What the window holds, by weight."""
        totals = self.step.gradients.packing.unpack(self.step.accumulated)
        return {v.path: total.numpy() for v, total in zip(self.step.weights, totals, strict=True)}

    def clipped(self) -> np.ndarray:
        """The gradient that AdamW's first step was given, from its first moments."""
        moments = self.step.optimizer.moments()
        flat = [v.numpy().ravel() for k, v in moments.items() if k.startswith("first/")]
        return np.concatenate(flat) / (1.0 - self.step.settings.beta_1)


def assert_learns(made: Any) -> None:
    """An update from here is applied, changes every part and leaves everything finite."""
    before = made.bytes()
    result = made.run()
    assert result.applied and 0.0 < result.grad_norm < 1e3
    after = made.values()
    assert all(np.isfinite(value).all() for value in after.values())
    changed = {name for name, value in after.items() if value.tobytes() != before[name]}
    for part in ("weight ", "average ", "moment "):
        assert any(name.startswith(part) for name in changed)
    assert {"accepted", "norms"} <= changed
