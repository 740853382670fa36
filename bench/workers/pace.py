"""CPU time after every update in a checkout of MyXTTS: `python pace.py OPTIONS.json`, started in that checkout.

It runs the checkout's own training command and replaces nothing of it, so that older versions can be measured, too. CPU
time is that of the whole process, with the loader, journals and the loop.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Trains as the options say, and writes one pair (CPU seconds, frames) for each update."""
    options = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    from myxtts.cli.train import main as train
    from myxtts.training.step import Step

    micro, update = Step.micro, Step.update
    updates: list[tuple[float, int]] = []
    frames = [0]

    def counted_micro(this: Any, batch: Any, **rest: Any) -> Any:
        frames[0] += int(batch["mel_length_B"][batch["weight_B"] > 0].sum())
        return micro(this, batch, **rest)

    def timed_update(this: Any, *given: Any, **rest: Any) -> Any:
        result = update(this, *given, **rest)
        updates.append((time.process_time(), frames[0]))
        frames[0] = 0
        return result

    watched: Any = Step
    watched.micro, watched.update = counted_micro, timed_update
    sys.argv = ["train_main.py", *options["words"]]
    try:
        sys.exit(train(program="train_main.py", default_checkpoint_dir="./checkpoints"))
    finally:
        Path(options["out"]).write_text(json.dumps(updates), encoding="utf-8")


if __name__ == "__main__":
    main()
