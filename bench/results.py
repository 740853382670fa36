"""Shared by all measurements: the description of the machine, the printed table, the JSON file."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from myxtts.cli.screen import aligned
from myxtts.errors import StorageError

ROOT = Path(__file__).resolve().parents[1]


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """A parser with the option that all measurements have, --json FILE."""
    made = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=description, allow_abbrev=False)
    made.add_argument("--json", metavar="FILE", type=Path, help="file for all figures as JSON")
    return made


def show(
    title: str, rows: Sequence[Sequence[str]], figures: Mapping[str, object], json_path: Path | None, *, heads: bool
) -> None:
    """Prints the table (with a rule beneath its first row if that holds the heads) and writes the JSON file.

    Raises StorageError if the file cannot be written.
    """
    lines = aligned(rows)
    if heads and lines:
        lines.insert(1, "  " + "-" * (max(map(len, lines)) - 2))
    facts = machine()
    print(f"{title}  ({facts['processor']}, {facts['processors']} processors, TensorFlow {facts['tensorflow']})")
    print("\n".join(lines), flush=True)
    if json_path is not None:
        write_json(json_path, {"measurement": title, "machine": facts, **figures})
        print(f"written: {json_path}")


def write_json(path: Path, figures: object) -> None:
    """Writes figures as JSON, atomically. Raises StorageError."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}; choose another place") from error


def machine() -> dict[str, object]:
    """Processor, processors that this process may use, versions, and the commit of the code."""
    try:
        revision = subprocess.run(
            ["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
        ).stdout.strip()
    except FileNotFoundError:
        revision = ""
    return {
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "tensorflow": metadata.version("tensorflow"),
        "keras": metadata.version("keras"),
        "commit": revision or "unknown",
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    found = [line.partition(":")[2].strip() for line in names if line.startswith("model name")]
    return found[0] if found else platform.processor() or platform.machine()
