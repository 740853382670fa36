"""Several speakers in a reference: how often they are noticed, and how often one speaker is taken for several.

python -m bench.reference_speakers --root DATA --root OTHER --clips 40

One speaker: clips of at least five seconds, and up to three clips of a speaker one after the other. Two: parts of a
speaker and of another one of the same root, five and five, seven and three, and four and two seconds long.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench import results
from myxtts.audio import mel, waveform
from myxtts.audio.activity import speech_frames
from myxtts.audio.reference_check import LEAST_SIMILARITY
from myxtts.audio.speaker_changes import Array, similarity_of_mel_parts
from myxtts.cli.screen import Screen, guarded
from myxtts.config.schema import AudioConfig
from myxtts.data.manifest import read_root
from myxtts.errors import EXIT_DONE
from myxtts.units import frames_of_seconds

AUDIO = AudioConfig()
LONG_SECONDS, JOINED = 5.0, 3
PARTS_SECONDS = ((5.0, 5.0), (7.0, 3.0), (4.0, 2.0))


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the shares of recordings of one and of two speakers that are noticed."""
    parser = results.parser("reference_speakers", "several speakers in a reference: detected, and false alarms")
    parser.add_argument("--root", metavar="DIR", type=Path, action="append", required=True, help="data root")
    parser.add_argument("--clips", metavar="N", type=int, default=40, help="recordings of each kind and root (40)")
    given = parser.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: argparse.Namespace) -> int:
    screen, random = Screen(), np.random.default_rng(0)
    table = [("root", "recordings", "of them noticed", "similarity, median", "5%", "95%")]
    figures: dict[str, object] = {"limit": LEAST_SIMILARITY}
    for root in given.root:
        for kind, found in _similarities(root, given.clips, random, screen).items():
            values = np.array(found)
            noticed = int((values < LEAST_SIMILARITY).sum())
            figures[f"{root.name} {kind}"] = found
            low, middle, high = np.percentile(values, (5.0, 50.0, 95.0))
            row = (f"{root.name}, {kind}", str(len(found)), f"{noticed} ({noticed / len(found):.0%})")
            table.append((*row, f"{middle:.2f}", f"{low:.2f}", f"{high:.2f}"))
    screen.close()
    results.show(f"Parts of a reference, limit {LEAST_SIMILARITY:g}", table, figures, given.json, heads=True)
    return EXIT_DONE


def _similarities(root: Path, clips: int, random: np.random.Generator, screen: Screen) -> dict[str, list[float]]:
    """Kind of recording -> its similarities; kinds without recordings are absent."""
    utterances = read_root(root, "train", "en-us").utterances
    chosen = [utterances[at] for at in random.permutation(len(utterances))[: 2 * clips]]
    speakers = {utterance.speaker for utterance in chosen}
    of_speaker: dict[str, list[Array]] = {}
    for number, utterance in enumerate([u for u in utterances if u.speaker in speakers][: 4 * clips], 1):
        of_speaker.setdefault(utterance.speaker, []).append(_speech(utterance.audio_path))
        screen.progress(root.name, number, min(4 * clips, len(utterances)))
    voices = list(of_speaker.values())
    long = [speech for voice in voices for speech in voice if len(speech) >= _frames(LONG_SECONDS)][:clips]
    joined = [voice for voice in voices if len(voice) > 1]
    found = {"one clip": [similarity_of_mel_parts(speech) for speech in long], "joined clips": list[float]()}
    for voice in (joined[at % len(joined)] for at in range(clips if joined else 0)):
        some = random.permutation(len(voice))[:JOINED]
        found["joined clips"].append(similarity_of_mel_parts(np.concatenate([voice[at] for at in some])))
    for first, second in PARTS_SECONDS if len(voices) > 1 else ():
        pairs = [random.choice(len(voices), 2, replace=False) for _ in range(clips)]
        parts = [
            (np.concatenate(voices[a])[: _frames(first)], np.concatenate(voices[b])[: _frames(second)])
            for a, b in pairs
        ]
        found[f"two speakers, {first:g} and {second:g} s"] = [similarity_of_mel_parts(np.concatenate(p)) for p in parts]
    return {kind: values for kind, values in found.items() if values}


def _frames(seconds: float) -> int:
    return frames_of_seconds(seconds, AUDIO.sample_rate_hz, AUDIO.hop_samples)


def _speech(path: Path) -> Array:
    """The mel of the speech of a clip, without silent ends and long pauses."""
    samples_N = waveform.trim(waveform.read(path, AUDIO), AUDIO)
    mel_MC = mel.log_mel(samples_N, AUDIO)
    return mel_MC[speech_frames(samples_N, AUDIO)[: len(mel_MC)]]


if __name__ == "__main__":
    sys.exit(main())
