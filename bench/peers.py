"""The training steps of Matcha-TTS and Piper's VITS next to ours, on one batch of synthetic clips, alternating.

The sources of both are not part of MyXTTS: the command takes the paths of checkouts whose alignment search is compiled,
and a Python with the packages of their networks. Each runs in a process with one thread, in alternating rounds, so that
other work on the machine affects all of them. The result is frames per processor time, without making batches.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bench import results
from bench.stepping import made_step, resolved_with
from myxtts.cli.runtime import quiet_loading
from myxtts.cli.screen import guarded
from myxtts.errors import EXIT_DONE, ConfigError

WORKER = Path(__file__).parent / "workers" / "peer.py"
PEERS = {"matcha": "Matcha-TTS", "piper": "Piper's VITS"}
CHANNELS, HOP = 80, 256
"""Mel channels and samples of a frame, in all three."""
OURS = {
    "fp32": ["training.precision=fp32", "model.critic_width=0"],
    "fp32, critic": ["training.precision=fp32"],
    "bf16": ["training.precision=bf16", "model.critic_width=0"],
    "bf16, critic": ["training.precision=bf16"],
}
"""Name of a row -> its settings."""
Figures = dict[str, Any]


class Contestant(Protocol):
    """A training step that can be run."""

    weights: int

    def run(self, steps: int) -> Figures:
        """Run so many steps; returns seconds as `wall` and `processor`, and the last `loss`."""


@dataclass
class Rounds:
    """The rounds of one contestant, in frames per second of processor time."""

    contestant: Contestant
    rates: list[float] = field(default_factory=list)
    found: list[Figures] = field(default_factory=list)


class Ours:
    """The step of this checkout in this process."""

    def __init__(self, given: Namespace, settings: Sequence[str], arrays: Figures) -> None:
        config = resolved_with(given, ".", [*settings, "training.threads=1", "training.grad_accum=1"]).config
        with quiet_loading():
            from myxtts.training.gpu import prepare_tensorflow
        prepare_tensorflow(config.training)
        step, batch_of = made_step(config, given.tokens, given.frames)
        batch = {**batch_of(given.clips), "text_BT": arrays["text_BT"], "mel_BMC": arrays["mel_BMC"]}
        self.weights = sum(int(np.prod(w.shape)) for w in step.weights)
        self.count, self.step, self.batch = 0, step, batch
        self.run(1)

    def run(self, steps: int) -> Figures:
        """See Contestant."""
        wall, processor = time.perf_counter(), time.process_time()
        for _ in range(steps):
            self.count += 1
            result = self.step.micro(self.batch, seed=(1, self.count), prior_strength=0.5)
            self.step.update(1e-4)
        seconds = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
        return {**seconds, "loss": float(result.total_B.mean())}


class Peer:
    """The step of another project in a process of its own."""

    def __init__(self, name: str, python: str, checkout: Path, batch: Path, stack: ExitStack) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        words = [python, str(WORKER), name, str(checkout.resolve()), str(batch)]
        self.name, self.checkout = name, checkout
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True, cwd=batch.parent
        )
        stack.callback(self.process.wait)
        stack.callback(self.process.stdin.close)  # type: ignore[union-attr]
        self.ready = self._line()
        self.weights = int(self.ready["weights"])

    def run(self, steps: int) -> Figures:
        """See Contestant."""
        self.process.stdin.write(f"{steps}\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        return self._line()

    def _line(self) -> Figures:
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        if not line.startswith("{"):
            raise ConfigError(
                f"{self.checkout}: the step of {PEERS[self.name]} did not run, see above: it needs a checkout with its "
                "compiled alignment search, and --peers-python with what its networks import"
            )
        found: Figures = json.loads(line)
        return found


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("peers", "Training steps of Matcha-TTS and Piper's VITS beside ours, on one batch.")
    made.add_argument("--matcha", metavar="DIR", type=Path, help="a checkout of Matcha-TTS")
    made.add_argument("--piper", metavar="DIR", type=Path, help="a checkout of Piper")
    made.add_argument("--peers-python", metavar="PYTHON", default=sys.executable, help="a Python that has torch")
    made.add_argument("--size", metavar="SIZE", default="tiny", help="our model size (tiny)")
    made.add_argument("--level", metavar="LEVEL", default="enhanced", help="our optimization level (enhanced)")
    made.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="any other setting of ours")
    made.add_argument("--ours", choices=tuple(OURS), nargs="+", default=list(OURS), help="our variants (all four)")
    made.add_argument("--clips", metavar="N", type=int, default=8, help="clips of the batch (8)")
    made.add_argument("--frames", metavar="N", type=int, default=544, help="mel frames of a clip (544)")
    made.add_argument("--tokens", metavar="N", type=int, default=192, help="tokens of a clip (192)")
    made.add_argument("--rounds", metavar="N", type=int, default=5, help="rounds of each (5)")
    made.add_argument("--seconds", metavar="S", type=float, default=4.0, help="about the length of a round (4)")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    if given.frames % 4:
        raise ConfigError(f"--frames {given.frames}: Matcha-TTS takes multiples of 4")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        arrays = made_arrays(given.clips, given.tokens, given.frames)
        np.savez(folder / "batch.npz", **arrays)
        everyone: dict[str, Rounds] = {}
        for name, title in PEERS.items():
            if (checkout := getattr(given, name)) is not None:
                peer = Peer(name, given.peers_python, checkout, folder / "batch.npz", stack)
                everyone[title] = Rounds(peer)
        for name in given.ours:
            everyone[f"MyXTTS {given.size}, {name}"] = Rounds(Ours(given, OURS[name], arrays))
        frames = given.clips * given.frames
        steps = {name: _steps(rounds.contestant, given.seconds) for name, rounds in everyone.items()}
        for number in range(given.rounds):
            for name, rounds in everyone.items():
                found = rounds.contestant.run(steps[name])
                rounds.found.append({**found, "steps": steps[name]})
                rounds.rates.append(frames * steps[name] / found["processor"])
            print(f"round {number + 1} of {given.rounds}", file=sys.stderr, flush=True)
    best = max(statistics.median(rounds.rates) for rounds in everyone.values())
    rows = [("step", "weights", "frames per CPU second", "range", "steps of a round", "of the fastest")]
    for name, rounds in everyone.items():
        rate = statistics.median(rounds.rates)
        spread = f"{min(rounds.rates):,.0f} to {max(rounds.rates):,.0f}"
        weights = f"{rounds.contestant.weights / 1e6:.1f} M"
        rows.append((name, weights, f"{rate:,.0f}", spread, str(steps[name]), f"{rate / best:.2f}"))
    figures = {n: {"rates": r.rates, "rounds": r.found, "weights": r.contestant.weights} for n, r in everyone.items()}
    title = f"Training steps, {given.clips} clips of {given.frames} frames and {given.tokens} tokens, one thread each"
    results.show(title, rows, {"contestants": figures}, given.json, heads=True)
    return EXIT_DONE


def _steps(contestant: Contestant, seconds: float) -> int:
    """Steps that take about so many seconds of processor time; this one warms up."""
    return max(1, round(seconds / contestant.run(1)["processor"]))


def made_arrays(clips: int, tokens: int, frames: int) -> Figures:
    """A batch of clips of noise: token ids, normalized mels, samples, and their lengths."""
    random = np.random.default_rng(1)
    return {
        "text_BT": random.integers(3, 64, [clips, tokens]).astype(np.int32),
        "text_length_B": np.full(clips, tokens, np.int32),
        "mel_BMC": random.standard_normal([clips, frames, CHANNELS]).astype(np.float32),
        "mel_length_B": np.full(clips, frames, np.int32),
        "wave_BN": 0.1 * random.uniform(-1.0, 1.0, [clips, frames * HOP]).astype(np.float32),
    }


if __name__ == "__main__":
    sys.exit(main())
