"""What each voice weight and each augmentation of references changes: trained with and without, on the same minutes.

Every variant is a training of its own from nothing by bench.cloning, which says how strangers' voices came out; how
well its voice encoder tells them apart when they are heard in another way is measured by bench.told_apart.

WORK holds a folder a variant; a variant that has its record is not trained again, and one that was stopped goes on.
`--only` names variants, so that two processes can share WORK, each on its own processor.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import results
from bench.cloning import KINDS
from bench.marks import JUDGED, add_options, call, cell, judge_problems, same_work, strange_variants, sweep
from bench.sweep_levels import folder_of
from bench.told_apart import AS_IT_IS, HEARD, told_apart
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE, ConfigError

BASE = "all weights"
BAND, NOISE = "data.augment_band=0.4", "data.augment_noise_db=15"
VARIANTS: Mapping[str, tuple[str, ...]] = {
    BASE: (),
    "other chance": ("training.seed=2",),
    "no voice_similarity": ("loss.voice_similarity_weight=0",),
    "no speaker_classification": ("loss.speaker_classification_weight=0",),
    "no voice_reconstruction": ("loss.voice_reconstruction_weight=0",),
    "no prosody_matching": ("loss.prosody_matching_weight=0",),
    "no spectral_consistency": ("loss.spectral_consistency_weight=0",),
    "augmented: band": (BAND,),
    "augmented: noise": (NOISE,),
    "augmented: band and noise": (BAND, NOISE),
}
"""Name -> settings on top of the level, whose own augmentations are off. `other chance`: how much says nothing."""
TERMS = ("voice_similarity", "voice_reconstruction", "prosody_matching", "spectral_consistency", "mel")
"""Of the newest validation, each without its weight."""


def main(argv: Sequence[str] | None = None) -> int:
    """Sweeps as `argv` says; returns the exit code."""
    made = results.parser("sweep_voices", "Voice weights and augmentations, each trained with and without.")
    made.add_argument("--data", metavar="ROOT", type=Path, nargs="+", required=True, help="data roots")
    made.add_argument("--only", metavar="NAME", nargs="+", default=[], help="these variants; all without it")
    made.add_argument("--readers", metavar="N", type=int, default=20, help="speakers held out (20)")
    add_options(made, 12.0, sentences=0)
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    problems = judge_problems(given)
    if given.minutes <= 0:
        problems.append(f"--minutes is {given.minutes:g}, expected more than 0")
    problems += strange_variants(given, VARIANTS)
    if problems:
        raise ConfigError(problems)
    given.work, given.data = given.work.resolve(), [root.resolve() for root in given.data]
    given.work.mkdir(parents=True, exist_ok=True)
    names = ("minutes", "size", "set", "sentences", "readers")
    same_work(given, {"data": [str(r) for r in given.data], **{name: getattr(given, name) for name in names}})
    return sweep(given, VARIANTS, record_of, _train, _table)


def record_of(given: Namespace, name: str) -> Path:
    """Where a variant's figures are."""
    path: Path = given.work / folder_of(name) / "record.json"
    return path


def settings_of(name: str) -> list[str]:
    """The settings of a variant: what it names, and every augmentation that it does not name is off."""
    named = VARIANTS[name]
    off = [setting.partition("=")[0] for setting in (BAND, NOISE) if setting not in named]
    return [*(f"{key}=0" for key in off), *named]


def cloning_words(given: Namespace, name: str) -> list[str]:
    """The options of bench.cloning for a variant."""
    folder = given.work / folder_of(name)
    words = ["--data", *map(str, given.data), "--work", str(folder), "--minutes", f"{given.minutes:g}"]
    words += ["--size", given.size, "--readers", str(given.readers), "--sentences", str(given.sentences)]
    words += ["--no-recordings", "--json", str(folder / "cloning.json")]
    for setting in (*given.set, *settings_of(name)):
        words += ["--set", setting]
    if given.judge_python is not None:
        words += ["--judge-python", given.judge_python, "--judge-script", str(given.judge_script.resolve())]
    return words


def _train(given: Namespace, name: str, screen: Screen) -> int:
    """Trains and judges a variant, hears the readers with it, and writes its record; the exit code of what failed."""
    folder = given.work / folder_of(name)
    code = call([sys.executable, "-m", "bench.cloning", *cloning_words(given, name)], screen)
    if code == EXIT_DONE:
        mark = json.loads((folder / "cloning.json").read_text(encoding="utf-8"))["marks"][-1]
        recordings = json.loads((folder / "recordings.json").read_text(encoding="utf-8"))
        told = told_apart(folder / "run", [Path(row["recording"]) for row in recordings])
        results.write_json(record_of(given, name), {"name": name, **mark, "told_apart": told})
    return code


def _table(given: Namespace, json_path: Path | None) -> None:
    heads = ("variant", "updates", *TERMS, "same, other", *(f"EER {how}" for how in HEARD))
    rows: list[tuple[str, ...]] = [(*heads, *(name for _, name in JUDGED))]
    figures = []
    for name in VARIANTS:
        if not record_of(given, name).is_file():
            continue
        row: dict[str, Any] = json.loads(record_of(given, name).read_text(encoding="utf-8"))
        figures.append(row)
        about = [cell(row.get("updates"), "d"), *(cell(row.get("validation", {}).get(term), ".3f") for term in TERMS)]
        about.append(", ".join(cell(row["told_apart"][AS_IT_IS][key], ".2f") for key in ("same", "other")))
        about += [cell(row["told_apart"][how]["equal_error_rate"], ".1%") for how in HEARD]
        heard = row.get(KINDS[0]) or {}
        rows.append((name, *about, *(cell(heard.get(key), ".3f") for key, _ in JUDGED)))
    data = " + ".join(root.name for root in given.data)
    title = f"Voices: {data}, size {given.size}, {given.minutes:g} minutes each, {given.readers} readers held out"
    settings = {"data": data, "size": given.size, "minutes": given.minutes, "set": given.set}
    results.show(title, rows, {"settings": settings, "variants": figures}, json_path, heads=True)


if __name__ == "__main__":
    sys.exit(main())
