"""Fuzzed settings files, through the training command in this process: `--config FILE --dry-run` on three clips."""

# Tables, one row a line.
# ruff: noqa: E501

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from myxtts.cli.train import main
from myxtts.config.fields import LEAVES
from myxtts.config.files import config_yaml
from myxtts.config.resolve import resolve
from tests.data.made_recordings import make_root
from tests.faults.fuzzed import Expected, Outcome, chosen_items, described, judged, time_limit

Maker = Callable[[np.random.Generator], bytes]
VALUES = ["nan", ".nan", "inf", "-.inf", "-1", "0", "1", "1e9", "1e999", "-0.0", "'16'", '"3"', "1e-05", "0x10", "0o7", "1_000", "16.0",
          "16.5", "true", "no", "null", "~", "''", "[]", "{}", "[1]", "2026-01-01", "1:30", "!!int '3'", "!!python/name:os", "&a 1",
          "*a", "|\n  x", ">-\n  y", "9" * 400, "x" * 6000, "\u202e", "سلام", "'a\\0b'", '"a\\0b"', '"\\x1b[2J"', '"\\ud800"', "~nobody-here/x",
          "a/" * 900 + "x", "y" * 300, "/dev/null", "/proc/self/mem", "/", ".", "..", "%s", "${HOME}", "basic", "tiny",
          "phonemes", "fp16", "cosine_restarts", "2", "7", "64", "100", "0.5", "30", "48000", "8000", "1024"]  # fmt: skip


def _text(*texts: str) -> Maker:
    return lambda random: str(texts[int(random.integers(len(texts)))]).encode("utf-8", "surrogatepass")


def _one_value(random: np.random.Generator) -> bytes:
    rows: dict[str, list[str]] = {}
    for key in random.choice(list(LEAVES), size=int(random.integers(1, 4)), replace=False):
        section, _, name = str(key).rpartition(".")
        rows.setdefault(section, []).append(f"{name}: {VALUES[int(random.integers(len(VALUES)))]}")
    parts = []
    for section, lines in rows.items():
        parts += lines if not section else [f"{section}:", *(f"  {line}" for line in lines)]
    return "\n".join(parts).encode("utf-8", "surrogatepass")


def _good_value(random: np.random.Generator) -> bytes:
    """Settings within their own ranges: what is left are contradictions, and what the data path makes of them."""
    rows: dict[str, list[str]] = {}
    for key in random.choice([key for key in LEAVES if not key.endswith(("_path", "_dir"))], size=3, replace=False):
        field = LEAVES[str(key)]
        section, _, name = str(key).rpartition(".")
        accepts = field.accepts
        if accepts.choices:
            value: object = random.choice(accepts.choices)
        elif field.kind == "bool":
            value = bool(random.integers(2))
        elif field.kind == "str":
            value = "en-us"
        else:
            low = accepts.low if accepts.low is not None else (accepts.above or 0.0) * 1.0001 + 1e-9
            high = min(accepts.high if accepts.high is not None else 1e5, max(low * 100, 1.0) if low else 1e4)
            value = float(random.choice([low, high, random.uniform(low, max(low, high))]))
            value = round(float(value)) if field.kind == "int" else float(value)
        rows.setdefault(section, []).append(f"{name}: {value}")
    parts = []
    for section, lines in sorted(rows.items()):
        parts += lines if not section else [f"{section}:", *(f"  {line}" for line in lines)]
    return "\n".join(parts).encode()


def _mutated(random: np.random.Generator) -> bytes:
    lines = config_yaml(resolve([])).splitlines()
    for _ in range(int(random.integers(1, 4))):
        at, how = int(random.integers(len(lines))), int(random.integers(5))
        if how == 0:
            lines.insert(at, lines[int(random.integers(len(lines)))])
        elif how == 1:
            del lines[at]
        elif how == 2:
            lines[at] = f"{lines[at].partition(':')[0]}: {VALUES[int(random.integers(len(VALUES)))]}"
        elif how == 3:
            cut = int(random.integers(len(lines[at]) + 1))
            lines[at] = lines[at][:cut] + str(random.choice(list("{}[]&*!|>'\"%@`#,?:-\t\0\x1b "))) + lines[at][cut:]
        else:
            lines[at] = " " * int(random.integers(6)) + lines[at].strip()
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _bomb(random: np.random.Generator) -> bytes:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, int(random.integers(2, 20)))]
    return "\n".join(rows).encode()


ITEMS: dict[str, tuple[Expected, Maker]] = {
    "unknown key": ("reject", _text("training:\n  sede: 1", "lr: 1", "optimizer:\n  learning_rte: 1", "'': 1", "? [a]\n: 1")),
    "NaN": ("reject", _text("optimizer:\n  learning_rate: .nan", "loss:\n  mel_weight: nan", "training:\n  batch_size: NaN")),
    "infinite": ("reject", _text("optimizer:\n  clip_norm: .inf", "training:\n  epochs: 1e999", "loss:\n  kl_weight: -.inf")),
    "negative": ("reject", _text("training:\n  batch_size: -4", "optimizer:\n  learning_rate: -1e-5", "loss:\n  mel_weight: -1")),
    "numbers as strings": ("accept", _text("training:\n  batch_size: '2'", 'optimizer:\n  learning_rate: "1e-5"')),
    "a warmup over the total": ("reject", _text("schedule:\n  warmup_updates: 900\ntraining:\n  max_updates: 10")),
    "batch 0": ("reject", _text("training:\n  batch_size: 0", "training:\n  grad_accum: 0")),
    "batch 1e9": ("reject", _text("training:\n  batch_size: 1e9", "training:\n  batch_size: 1000000000")),
    "alias bomb": ("reject", _bomb),
    "duplicate keys": ("reject", _text("training:\n  seed: 1\n  seed: 2", "model_size: tiny\nmodel_size: big", "data:\ndata:\n  length_buckets: 3")),
    "nested deeply": ("reject", _text("[" * 5000, "{a: " * 3000, "- " * 4000 + "x")),
    "tags": ("reject", _text("training:\n  seed: !!python/object/apply:os.system ['true']", "!!python/name:os.system : 1")),
    "no mapping": ("reject", _text("- a\n- b", "just text", "42", "a: 1\n---\nb: 2")),
    "UTF-16 and BOM": ("accept", lambda random: "training:\n  seed: 3\n".encode(str(random.choice(["utf-16", "utf-8-sig"])))),
    "not UTF-8": ("reject", lambda random: b"training:\n  seed: \xff\xfe\n"),
    "NUL and escapes": ("reject", _text("training:\n  seed: \0", "training:\n  checkpoint_dir: \"a\\0b\"", "\x1b[2J: 1", '"\\x1b[2J": 1')),
    "paths": ("any", _text(*(f"{section}:\n  {key}: {value}" for section, key in (("training", "checkpoint_dir"), ("data", "cache_path"), ("data", "val_path"))
              for value in ("~nobody-here/x", "/dev/null", "/proc/x/y", "a/" * 900 + "x", "y" * 300, '"\\ud800"', "FILE/x")))),
    "any value": ("any", _one_value),
    "values in their ranges": ("any", _good_value),
    "changed lines": ("any", _mutated),
    "noise": ("any", lambda random: random.bytes(int(random.integers(0, 400)))),
}  # fmt: skip
WEIGHTS = {"any value": 12, "values in their ranges": 5, "changed lines": 10, "noise": 2, "paths": 3}


def fuzz(count: int, seed: int, done: Callable[[int], None]) -> Iterator[Outcome]:
    """Settings files, each through the command."""
    random = np.random.default_rng([seed, 4])
    with tempfile.TemporaryDirectory(prefix="myxtts-fuzz-") as name:
        folder = Path(name)
        make_root(folder / "root", clips=3)
        for item in chosen_items(ITEMS, WEIGHTS, count, random):
            yield one(item, folder, random)
            done(1)


def one(item: str, folder: Path, random: np.random.Generator) -> Outcome:
    """What comes of one settings file."""
    expected, make = ITEMS[item]
    path = folder / "settings.yaml"
    path.write_bytes(make(random).replace(b"FILE", str(folder / "root" / "metadata.csv").encode()))
    words = ["--config", str(path), "--dry-run", "--train-data", str(folder / "root")]
    given = path.read_bytes()
    if b"cache_path" not in given:
        words += ["--set", f"data.cache_path={folder / 'cache'}"]
    words += ["--num-workers", "1"] if b"num_workers" not in given else []
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.chdir(folder), time_limit(60):
            code = main(words, default_checkpoint_dir="./checkpoints")
    except (Exception, SystemExit) as error:
        state, message = described(error)
        return Outcome(item, "traceback", f"{state}: {message}\n{given[:400]!r}")
    if code not in (0, 2, 4):
        return Outcome(item, "traceback", f"exit code {code}: {err.getvalue()[-1500:]}\n{given[:400]!r}")
    raw = [line for line in (out.getvalue() + err.getvalue()).splitlines() if not line.isprintable()]
    if raw:
        return Outcome(item, "wrong", f"control characters on the screen: {raw[:2]!r}\n{given[:400]!r}")
    if code == 0:
        return judged(item, expected, "accepted", repr(given[:200]))
    errors = [line.removeprefix("error: ") for line in err.getvalue().splitlines() if line.startswith("error: ")]
    places = [str(path), str(folder), *LEAVES, "/dev/", "/proc/"]
    outcomes = [judged(item, expected, "rejected", line, places) for line in errors]
    bad = [outcome for outcome in outcomes if outcome.state == "wrong"]
    if not outcomes:
        return Outcome(item, "wrong", f"exit code {code} without a word: {err.getvalue()!r}")
    outcome = bad[0] if bad else outcomes[0]
    outcome.message += "" if not bad else f"\n{given[:400]!r}"
    return outcome
