"""Runs that must end without an alarm: `python -m tests.faults.healthy_runs --data ROOT`.

A dozen clips with noise from 0 to 20 dB below the speech and loudness from 1 to 1/20, several draws of it; the level
`plateau_breaker` through several restarts of the rate; the flow decoder with Muon in fp16. The networks are those of
the tests, a few thousand weights. ROOT has metadata.csv and wavs/ as LJ Speech; without it recordings are made up.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from tests.training import made_run

CLIPS = 12
ALARMS = ("skip", "skip_micro_batches", "quarantine", "rollback", "gave_up", "failed", "hang")
QUICK = {"training__grad_accum": 1, "training__validation_every_updates": 75, "training__checkpoint_every_updates": 75}
KINDS: dict[str, dict[str, object]] = {
    "small noisy data": {},
    "small noisy data, batches of one": {"training__batch_size": 1},
    "small noisy data, learning rate 5e-3": {"optimizer__learning_rate": 5e-3},
    "plateau_breaker": {
        "optimization_level": "plateau_breaker",
        "schedule__warmup_updates": 10,
        "schedule__decay_updates": 25,
        "schedule__adversarial_start_updates": 40,
        "schedule__adversarial_ramp_updates": 20,
        "model__critic_width": 4,
    },
    "flow, Muon, fp16": {
        "model__decoder": "flow",
        "model__flow_draft_blocks": 1,
        "optimizer__name": "muon",
        "training__precision": "fp16",
        "training__best_metric": "total",
    },
}


def noisy_copy(source: Path, target: Path, seed: int) -> None:
    """The CLIPS shortest clips of `source`, with noise and another loudness each."""
    chance = np.random.default_rng(seed)
    rows = {line.split("|")[0]: line for line in (source / "metadata.csv").read_text("utf-8").splitlines()}
    found = [p for p in sorted((source / "wavs").glob("*.wav"), key=lambda p: p.stat().st_size) if p.stem in rows]
    (target / "wavs").mkdir(parents=True)
    for path in found[:CLIPS]:
        audio, rate = soundfile.read(path)
        noise = audio.std() * 10.0 ** (-chance.uniform(0.0, 20.0) / 20.0) * chance.normal(size=len(audio))
        loudness = 20.0 ** -chance.uniform(0.0, 1.0) / max(1.0, float(np.abs(audio + noise).max()))
        soundfile.write(target / "wavs" / path.name, loudness * (audio + noise), rate)
    head = [rows["id"]] if "id" in rows else []
    lines = [*head, *(rows[path.stem] for path in found[:CLIPS])]
    (target / "metadata.csv").write_text("\n".join(lines) + "\n", "utf-8")


def run(folder: Path, name: str, root: str, updates: int, **settings: object) -> tuple[int, Counter[str]]:
    """Train folder/name on folder/root; the updates that it has, and its alarms."""
    made, _ = made_run.train(folder, name, root=root, training__max_updates=updates, **{**QUICK, **settings})
    events = Counter(event["event"] for event in made_run.records(folder / name / "events.jsonl"))
    return made, Counter({alarm: events[alarm] for alarm in ALARMS if events[alarm]})


def main(argv: Sequence[str] | None = None) -> int:
    """Train, print a line for each run; 0 if none gave an alarm."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.healthy_runs")
    parser.add_argument("--data", type=Path, metavar="ROOT", help="metadata.csv and wavs/ as LJ Speech")
    parser.add_argument("--seeds", type=int, default=6, help="draws of the noise")
    parser.add_argument("--updates", type=int, default=150, help="of each run")
    options = parser.parse_args(argv)
    alarmed = 0
    with tempfile.TemporaryDirectory(prefix="myxtts-healthy-") as temporary, made_run.KeptTrainers().in_use():
        folder = Path(temporary)
        source = options.data or made_run.make_root(folder / "made-up", CLIPS)
        for seed in range(options.seeds):
            noisy_copy(source, folder / f"root-{seed}", seed)
        for kind, settings in KINDS.items():
            for seed in range(options.seeds if kind.startswith("small") else 1):
                name = f"{kind.replace(' ', '-').replace(',', '')}-{seed}"
                made, alarms = run(folder, name, f"root-{seed}", options.updates, **settings)
                alarmed += bool(alarms) or made != options.updates
                loss = [loss for _, loss in made_run.losses(folder / name)]
                print(
                    f"{kind}, draw {seed}: {made} updates, loss {np.mean(loss[:10]):.2f} to {np.mean(loss[-10:]):.2f}, "
                    f"alarms: {dict(alarms) or 'none'}",
                    flush=True,
                )
    print(f"{alarmed} runs with an alarm")
    return int(bool(alarmed))


if __name__ == "__main__":
    sys.exit(main())
