"""Stands in for `python -m myxtts` in tests of the studio: it writes a run as a training does."""

import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve()


def main(words: list[str]) -> int:
    if words[0] != "train":
        print(f"{words[0]} of {words[1:]}")
        return 0
    options = dict(zip(words[1::2], words[2::2], strict=False))
    if options.get("--optimization-level") == "plateau_breaker":
        print("error: data: none of its 3 rows can be used; fix the rows listed below")
        return 2
    if "--dry-run" in words:
        print("training 8 clips\n\nPlan (estimates; nothing was trained or written to the run directory):")
        print(
            "  training clips    8 (0.2 minutes, speakers: 2)\n  time              about 9 min at about 7,000 frames/s"
        )
        return 0
    train(Path(options["--checkpoint-dir"]))
    return 75


def train(run: Path) -> None:
    """Two validations; then updates until Ctrl-C. A run that is there is continued."""
    from tests.report.made_lines import train_line, validation_line

    stopped, parent = list[int](), os.getppid()
    signal.signal(signal.SIGINT, lambda number, frame: stopped.append(number))
    run.mkdir(parents=True, exist_ok=True)
    lock = run / "lock"
    held = lock.open("a")
    fcntl.flock(held, fcntl.LOCK_EX)
    lock.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "time": time.time()}))
    (run / "config.yaml").write_text("model_size: tiny\noptimization_level: basic\n")
    with (run / "events.jsonl").open("a") as events, (run / "metrics.jsonl").open("a") as metrics:

        def event(kind: str, **more: object) -> None:
            events.write(json.dumps({"event": kind, "time": time.time(), "update": 0, **more}) + "\n")
            events.flush()

        event("start", message="a new run")
        event("skip", message="update 3 was skipped", rung=1)
        for update in (10, 20):
            folder = run / "samples" / f"update-{update:07d}"
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(run.parent / "sample.wav", folder / "a.wav")
            entry = {"name": "a", "text": "A good day.", "wav": "a.wav", "speaker": "bob", "language": "en-us"}
            (folder / "index.json").write_text(json.dumps([entry]))
        for update in range(1, 100_000):
            metrics.write(train_line(update))
            if update in (10, 20):
                metrics.write(validation_line(update))
            metrics.flush()
            print(f"update {update} of 100  loss 1.5", file=sys.stderr, flush=True)
            if stopped or os.getppid() != parent:  # the tests have ended
                break
            if update >= 25:
                time.sleep(0.05)
        event("signal", message="stopped by SIGINT")
    lock.write_text("")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[2]))
    sys.exit(main(sys.argv[1:]))
