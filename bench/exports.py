"""A model in TensorFlow, ONNX Runtime and LiteRT, with its weights in 32, 16 and 8 bits: size, speed, memory, quality.

The model is exported in each format to WORK (existing folders are reused), then every row is measured in its own
process: CPU seconds until the model is loaded and until the first sentence of a stream is ready, both from the start of
the process including imports; CPU seconds per second of speech afterwards; and the peak memory. CPU seconds are used
because other work on the machine lengthens wall times.

Quality is the difference to TensorFlow over the same sentences: the mean absolute difference of the mels of the tokens
in nepers (0.115 are 1 dB), and the share of tokens with another duration. LiteRT is omitted without ai-edge-litert.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench import results
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE, ConfigError

TEXTS = [
    ("The rain had stopped before the train came in.", "en-us"),
    ("Good morning.", "en-us"),
    ("She had your dark suit in greasy wash water all year, and nobody was there to see it.", "en-us"),
    ("It costs 25 dollars at the corner shop, and twice as much in town.", "en-us"),
    ("امروز هوا بسیار خوب است و همه به پارک رفته‌اند.", "fa"),
    ("سلام، حال شما چطور است؟", "fa"),
]
_CHILD = "import sys; from bench.exports_run import measure; sys.exit(measure(sys.argv[1:]))"
WEIGHTS = ("fp32", "fp16", "int8")
HEADS = ("", "folder MB", "graphs MB", "load s", "first sound s", "real-time factor", "memory MB", "mel difference",
         "other durations")  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("exports", "Size, speed, memory and quality of a model in every format that MyXTTS speaks.")
    made.add_argument("--checkpoint", default="starter", metavar="RUN", help="run directory (starter)")
    made.add_argument("--speaker", default="kathleen", metavar="NAME", help="its training speaker (kathleen)")
    made.add_argument("--work", metavar="DIR", type=Path, required=True, help="folder for the exports")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    screen = Screen()
    given.work.mkdir(parents=True, exist_ok=True)
    formats = ["onnx"]
    if importlib.util.find_spec("ai_edge_litert") is not None:
        formats.append("litert")
    rows: list[tuple[str, str, Path | None]] = [("TensorFlow", given.checkpoint, None)]
    kinds = [(kind, weights) for kind in formats for weights in WEIGHTS]
    for number, (kind, weights) in enumerate(kinds):
        screen.progress("exporting", number, len(kinds))
        folder = given.work / f"{kind}-{weights}"
        if not folder.exists():
            words = [sys.executable, "-m", "myxtts", "export", given.checkpoint, "--format", kind, "--weights", weights,
                     "--speaker", given.speaker, "--out", str(folder)]  # fmt: skip
            _done(words)
        rows.append((f"{'ONNX' if kind == 'onnx' else 'LiteRT'} {weights}", str(folder), folder))
    measured: dict[str, dict[str, Any]] = {}
    for number, (name, model, folder) in enumerate(rows):
        screen.progress("measuring", number, len(rows))
        out = given.work / f"{name.replace(' ', '-')}.json"
        spec = {"model": model, "speaker": given.speaker, "texts": TEXTS, "started": time.time()}
        _done([sys.executable, "-c", _CHILD, json.dumps(spec), str(out)])
        measured[name] = json.loads(out.read_text(encoding="utf-8"))
        measured[name] |= _sizes(folder or _checkpoint_folder(given.checkpoint), folder is None)
        measured[name] |= _difference(given.work / "TensorFlow.npz", out.with_suffix(".npz"))
    screen.close()
    table = [HEADS, *(_row(name, figures) for name, figures in measured.items())]
    title = f"{given.checkpoint} in every format, {len(TEXTS)} sentences"
    results.show(title, table, {"model": given.checkpoint, "rows": measured}, given.json, heads=True)
    return EXIT_DONE


def _row(name: str, figures: dict[str, Any]) -> tuple[str, ...]:
    return (
        name, f"{figures['folder_mb']:.1f}", f"{figures['graphs_mb']:.1f}", f"{figures['load']['cpu_seconds']:.2f}",
        f"{figures['first_sound']['cpu_seconds']:.2f}", f"{figures['real_time_factor']:.3f}",
        f"{figures['peak_memory_mb']:.0f}", f"{figures['mel_difference']:.1e}", f"{figures['other_durations']:.1%}",
    )  # fmt: skip


def _done(words: Sequence[str]) -> None:
    """Runs a command. Raises ConfigError with its last line where it fails."""
    done = subprocess.run(words, cwd=results.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise ConfigError(f"{' '.join(words[1:4])} ended with {done.returncode}: {last}")


def _checkpoint_folder(name: str) -> Path:
    from myxtts.storage.find_checkpoint import find

    return find(Path(name), "best").path


def _sizes(folder: Path, checkpoint: bool) -> dict[str, float]:
    """Megabytes of the files needed for synthesis, and of the networks from tokens to mel among them.

    Every row uses the NumPy vocoder of MyXTTS; its graph for other programs is not counted.
    """
    files = {path.name: path.stat().st_size / 1e6 for path in folder.iterdir() if path.is_file()}
    files.pop("vocoder.onnx", None)
    graphs = ("average.safetensors",) if checkpoint else (
        "text_to_mel.onnx", "text_to_prosody.tflite", "prosody_to_mel.tflite"
    )  # fmt: skip
    kept = ("average.safetensors", "voices.safetensors", "config.yaml", "corpus.json")
    return {
        "folder_mb": sum(size for name, size in files.items() if not checkpoint or name in kept),
        "graphs_mb": sum(size for name, size in files.items() if name in graphs),
    }


def _difference(wanted: Path, found: Path) -> dict[str, float]:
    """Mean absolute difference of the mels of tokens that both have, and share of tokens with different durations."""
    a, b = np.load(wanted, allow_pickle=False), np.load(found, allow_pickle=False)
    differences, others, tokens = [], 0, 0
    for number in range(len(TEXTS)):
        means = [_token_means(arrays[f"mel_{number}"], arrays[f"durations_{number}"]) for arrays in (a, b)]
        difference_T = np.abs(means[0] - means[1]).mean(axis=1)
        differences.append(difference_T[np.isfinite(difference_T)])
        others += int((a[f"durations_{number}"] != b[f"durations_{number}"]).sum())
        tokens += len(difference_T)
    return {"mel_difference": float(np.concatenate(differences).mean()), "other_durations": others / tokens}


def _token_means(mel_MC: Any, duration_T: Any) -> Any:
    """Mean mel (T, C) of each token; NaN for one without frames."""
    missing = np.full(mel_MC.shape[1], np.nan)
    parts = np.split(mel_MC, np.cumsum(duration_T)[:-1])
    return np.stack([part.mean(axis=0) if len(part) else missing for part in parts])


if __name__ == "__main__":
    sys.exit(main())
