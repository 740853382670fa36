"""How well a run's voice encoder tells people apart by recordings that are heard in another way than their references.

One half of each recording is heard as it is and the other one as another microphone would have given it: softer,
through a telephone's band, under noise, faster. These are changes of the sound itself, by other means than the
augmentations of training, which work on mels. The list is that of bench.cloning: WORK/recordings.json.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench import results
from bench.marks import cell
from myxtts.audio import waveform
from myxtts.audio.likeness import separated
from myxtts.cli.quiet import quiet_loading
from myxtts.cli.screen import guarded
from myxtts.errors import EXIT_DONE

FloatArray = npt.NDArray[np.float32]

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


AS_IT_IS = "clean"
HEARD: Mapping[str, Callable[[FloatArray, int], FloatArray]] = {
    AS_IT_IS: unchanged,
    "softer": softer,
    "telephone": telephone,
    "noisy": noisy,
    "faster": faster,
}
"""How the second half of a recording is heard."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("told_apart", "Tells people apart by halves of recordings, one of them changed in its sound.")
    made.add_argument("--checkpoint", metavar="RUN", type=Path, required=True, help="run directory")
    made.add_argument("--list", metavar="FILE", type=Path, required=True, help="JSON list: recording, one a person")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    rows = json.loads(given.list.read_text(encoding="utf-8"))
    found = told_apart(given.checkpoint, [Path(row["recording"]) for row in rows])
    table: list[tuple[str, ...]] = [("second half", "same", "other", "equal error rate")]
    table += [
        (how, *(cell(one[key], ".3f") for key in ("same", "other", "equal_error_rate"))) for how, one in found.items()
    ]
    results.show(
        f"Told apart by {given.checkpoint}: {len(rows)} people", table, {"heard": found}, given.json, heads=True
    )
    return EXIT_DONE


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


if __name__ == "__main__":
    sys.exit(main())
