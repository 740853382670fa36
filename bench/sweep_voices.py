"""What each voice weight and each augmentation of references changes: trained with and without, on the same minutes.

Every variant is a training of its own from nothing by bench.cloning, which says how strangers' voices came out. Of the
voice encoder it is measured besides how well it tells the held-out readers apart when one half of each recording is
heard as it is and the other one as another microphone would have given it: softer, through a telephone's band, under
noise, faster. These are changes of the sound itself, by other means than the augmentations, which work on mels.

WORK holds a folder a variant; a variant that has its record is not trained again, and one that was stopped goes on.
`--only` names variants, so that two processes can share WORK, each on its own processor.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import results
from bench.cloning import KINDS
from bench.marks import JUDGED, add_options, call, cell, judge_problems, same_work, strange_variants, sweep
from bench.sweep_levels import folder_of
from myxtts.audio import waveform
from myxtts.audio.likeness import separated
from myxtts.cli.quiet import quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE, ConfigError

FloatArray = npt.NDArray[np.float32]

BASE = "all weights"
LEVEL, BAND = "data.augment_level_db=12", "data.augment_band=0.4"
NOISE, SPEED = "data.augment_noise_db=15", "data.augment_speed=0.1"
VARIANTS: Mapping[str, tuple[str, ...]] = {
    BASE: (),
    "other chance": ("training.seed=2",),
    "no voice_similarity": ("loss.voice_similarity_weight=0",),
    "no speaker_classification": ("loss.speaker_classification_weight=0",),
    "no voice_reconstruction": ("loss.voice_reconstruction_weight=0",),
    "no prosody_matching": ("loss.prosody_matching_weight=0",),
    "no spectral_consistency": ("loss.spectral_consistency_weight=0",),
    "augmented: level": (LEVEL,),
    "augmented: band": (BAND,),
    "augmented: noise": (NOISE,),
    "augmented: speed": (SPEED,),
    "augmented: band and noise": (BAND, NOISE),
    "augmented: all": (LEVEL, BAND, NOISE, SPEED),
}
"""Name -> settings on top of the level, whose own augmentations are off. `other chance`: how much says nothing."""
TERMS = ("voice_similarity", "voice_reconstruction", "prosody_matching", "spectral_consistency", "mel")
"""Of the newest validation, each without its weight."""
TELEPHONE_HZ = (300.0, 3_400.0)
SOFTER_DB, NOISE_DB, FASTER = 12.0, 20.0, 1.1


def softer(samples_N: FloatArray, rate_hz: int) -> FloatArray:
    """Twelve decibels less."""
    return samples_N * np.float32(10.0 ** (-SOFTER_DB / 20.0))


def telephone(samples_N: FloatArray, rate_hz: int) -> FloatArray:
    """300 to 3,400 Hz, fourth-order Butterworth."""
    from scipy.signal import butter, sosfilt

    return np.asarray(sosfilt(butter(4, TELEPHONE_HZ, "bandpass", fs=rate_hz, output="sos"), samples_N), np.float32)


def noisy(samples_N: FloatArray, rate_hz: int) -> FloatArray:
    """White noise 20 dB under the speech."""
    noise_N = np.random.default_rng(1).normal(size=len(samples_N)).astype(np.float32)
    return samples_N + noise_N * np.float32(np.sqrt(np.mean(samples_N**2)) * 10.0 ** (-NOISE_DB / 20.0))


def faster(samples_N: FloatArray, rate_hz: int) -> FloatArray:
    """A tenth faster at the same pitch."""
    from librosa.effects import time_stretch

    return np.asarray(time_stretch(samples_N, rate=FASTER), np.float32)


def unchanged(samples_N: FloatArray, rate_hz: int) -> FloatArray:
    """As it is."""
    return samples_N


HEARD: Mapping[str, Callable[[FloatArray, int], FloatArray]] = {
    "clean": unchanged,
    "softer": softer,
    "telephone": telephone,
    "noisy": noisy,
    "faster": faster,
}
"""How the second half of a recording is heard."""


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
    off = [setting.partition("=")[0] for setting in (LEVEL, BAND, NOISE, SPEED) if setting not in named]
    return [*(f"{key}=0" for key in off), *named]


def cloning_words(given: Namespace, name: str) -> list[str]:
    """The options of bench.cloning for a variant."""
    folder = given.work / folder_of(name)
    words = ["--data", *map(str, given.data), "--work", str(folder), "--minutes", f"{given.minutes:g}"]
    words += ["--size", given.size, "--readers", str(given.readers), "--sentences", str(given.sentences)]
    words += ["--no-recordings", "--json", str(folder / "cloning.json")]
    for setting in (*given.set, *settings_of(name)):
        words += ["--set", setting]
    if given.judge_script is not None:
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


def told_apart(run: Path, recordings: Sequence[Path]) -> dict[str, dict[str, float | None]]:
    """How near a run's encoder hears both halves of a recording, and halves of two, by how the second one is heard."""
    with quiet_loading():
        from myxtts.synthesis.synthesizer import Synthesizer

    synthesizer = Synthesizer.load(run, prefer="last")
    audio = synthesizer.config.audio
    loaded = [waveform.read(path, audio) for path in recordings]
    first = np.stack([synthesizer.voice(references=[x[: len(x) // 2]])[0].voice_E for x in loaded])
    found: dict[str, dict[str, float | None]] = {}
    for how, change in HEARD.items():
        second = [
            synthesizer.voice(references=[change(x[len(x) // 2 :], audio.sample_rate_hz)])[0].voice_E for x in loaded
        ]
        parted = separated((first @ np.stack(second).T).ravel(), np.eye(len(loaded), dtype=bool).ravel())
        found[how] = {
            "same": parted.same_mean,
            "other": parted.other_mean,
            "equal_error_rate": parted.equal_error_rate,
        }
    return found


def _table(given: Namespace, json_path: Path | None) -> None:
    heads = ("variant", "updates", *TERMS, *(f"EER {how}" for how in HEARD))
    rows: list[tuple[str, ...]] = [(*heads, *(name for _, name in JUDGED))]
    figures = []
    for name in VARIANTS:
        if not record_of(given, name).is_file():
            continue
        row: dict[str, Any] = json.loads(record_of(given, name).read_text(encoding="utf-8"))
        figures.append(row)
        about = [cell(row.get("updates"), "d"), *(cell(row.get("validation", {}).get(term), ".3f") for term in TERMS)]
        about += [cell(row["told_apart"][how]["equal_error_rate"], ".1%") for how in HEARD]
        heard = row.get(KINDS[0]) or {}
        rows.append((name, *about, *(cell(heard.get(key), ".3f") for key, _ in JUDGED)))
    data = " + ".join(root.name for root in given.data)
    title = f"Voices: {data}, size {given.size}, {given.minutes:g} minutes each, {given.readers} readers held out"
    settings = {"data": data, "size": given.size, "minutes": given.minutes, "set": given.set}
    results.show(title, rows, {"settings": settings, "variants": figures}, json_path, heads=True)


if __name__ == "__main__":
    sys.exit(main())
