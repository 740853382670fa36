"""Sound: recordings, Griffin-Lim and the neural vocoder side by side, on recorded and on predicted mels, in one run.

The clips are those of metadata_eval.csv in a data root, none of which a model may have been trained on. Speakers with
training clips form one group, all others another. The reference of a sentence is a training clip of its speaker if
there is one; otherwise the recording itself, with the text of the next speaker, so that the reference contains no word
of it. Clips in languages other than English are omitted, since the judge knows only English.

Speed is that of the vocoder alone and from text to sound in a stored voice, relative to real time, on the processors
that this process may use; `first s` is the median time to the first part of a stream in that voice, after a warm-up
text. Memory is the peak of this process.

WORK contains the sounds and lists of every row. The judge runs once for each list.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bench import results
from bench.held_out import REFERENCE_SECONDS, by_hash
from bench.judged_training import JUDGE, cell
from myxtts.audio import pitch, waveform
from myxtts.audio.mel import log_mel
from myxtts.cli.screen import Screen, guarded
from myxtts.config.schema import AudioConfig
from myxtts.data.manifest import read_root
from myxtts.data.records import Utterance
from myxtts.errors import EXIT_DONE, ConfigError, DataError
from myxtts.vocoder.files import GRIFFIN_LIM, NEURAL, Vocoder, open_vocoder

if TYPE_CHECKING:
    from myxtts.synthesis import Synthesizer

ENGLISH = "en"
JUDGED = ("wer", "secs", "dnsmos", "dnsmos_background", "dnsmos_p808")
HEADS = [
    "clips",
    "mels",
    "vocoder",
    "word error",
    "SECS",
    "DNSMOS",
    "background",
    "P808",
    "vocoder x",
    "in all x",
    "first s",
]
SPLITS: tuple[Literal["train", "val"], ...] = ("train", "val")


@dataclass(frozen=True)
class SoundClip:
    """A clip to speak: its recording, the text, and the reference that gives the voice."""

    recording: Path
    own_text: str
    text: str
    reference: Path


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("sound", "Recordings, Griffin-Lim and the neural vocoder on recorded and predicted mels.")
    made.add_argument("--data", metavar="ROOT", type=Path, required=True, help="data root with metadata_eval.csv")
    made.add_argument("--checkpoint", metavar="RUN", type=Path, help="voice model; without it only recorded mels")
    made.add_argument("--vocoder", metavar="KIND", nargs="+", default=[GRIFFIN_LIM, NEURAL], help="vocoders to compare")
    made.add_argument("--clips", metavar="N", type=int, default=20, help="largest number of clips per group (20)")
    made.add_argument("--speakers", metavar="REGEX", default="", help="only speakers whose names begin with it (all)")
    made.add_argument("--prefer", choices=("best", "last"), default="last", help="which checkpoint speaks (last)")
    made.add_argument(
        "--judge-python", metavar="FILE", help="Python with the extra judge; without it nothing is judged"
    )
    made.add_argument("--work", metavar="DIR", type=Path, default=Path("sound"), help="folder for everything (./sound)")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    if given.clips < 1:
        raise ConfigError("--clips must be at least 1")
    screen, audio = Screen(), AudioConfig()
    vocoders = {kind: open_vocoder(kind, audio) for kind in given.vocoder}
    chosen = choose(given.data, given.clips, given.speakers)
    synthesizers = _synthesizers(given)
    rows: list[dict[str, Any]] = []
    for group, clips in chosen.items():
        rows += _recorded(group, clips, vocoders, audio, given.work, screen)
        for kind, synthesizer in synthesizers.items():
            rows.append(_predicted(group, clips, kind, synthesizer, given.work, screen))
    screen.close()
    for row in rows:
        row["judged"] = judge(given, Path(row["list"]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    table = [HEADS]
    for row in rows:
        found = row["judged"] or {}
        speeds = [cell(row.get(name), ".0f") for name in ("vocoder_speed", "speed")] + [cell(row.get("first"), ".2f")]
        figures = [cell(found.get(name), ".3f" if name == "wer" else ".2f") for name in JUDGED]
        table.append([f"{row['clips']} {row['group']}", row["mels"], row["vocoder"], *figures, *speeds])
    title = f"sound: {given.checkpoint or 'no voice model'}; peak memory {peak:,.0f} MB"
    results.show(title, table, {"rows": rows, "peak_mb": peak}, given.json, heads=True)
    return EXIT_DONE


def choose(root: Path, most: int, speakers: str = "") -> dict[str, list[SoundClip]]:
    """The clips of each group, chosen by a hash of their ids. Raises DataError for data that cannot be used."""
    own = {split: read_root(root, split, "en-us").utterances for split in SPLITS}
    if {str(u.audio_path) for u in own["val"]} & {str(u.audio_path) for u in own["train"]}:
        raise DataError(
            f"{root}: a clip of metadata_eval.csv is in metadata_train.csv; give a root with held-out clips"
        )
    training: dict[str, list[Utterance]] = {}
    for utterance in own["train"]:
        training.setdefault(utterance.speaker, []).append(utterance)
    held = [u for u in own["val"] if u.language.startswith(ENGLISH) and re.match(speakers, u.speaker)]
    seen = sorted((u for u in held if u.speaker in training), key=lambda u: by_hash(u.id))[:most]
    first = {u.speaker: u for u in sorted(held, key=lambda u: by_hash(u.id)) if u.speaker not in training}
    unseen = list(first.values())[:most]
    groups = {
        "trained": [SoundClip(u.audio_path, u.text, u.text, reference_of(training[u.speaker])) for u in seen],
        "unseen": [
            SoundClip(u.audio_path, u.text, other.text, u.audio_path)
            for u, other in zip(unseen, [*unseen[1:], *unseen[:1]], strict=True)
        ],
    }
    if not (found := {group: clips for group, clips in groups.items() if clips}):
        raise DataError(f"{root}: metadata_eval.csv holds no English clip")
    return found


def reference_of(utterances: Sequence[Utterance]) -> Path:
    """The recording of a speaker that is nearest to REFERENCE_SECONDS, among fifty of them."""
    some = sorted(utterances, key=lambda u: by_hash(u.id))[:50]
    seconds = {u.id: waveform.probe(u.audio_path).seconds for u in some}
    return min(some, key=lambda u: abs(seconds[u.id] - REFERENCE_SECONDS)).audio_path


def _synthesizers(given: Namespace) -> dict[str, Synthesizer]:
    if given.checkpoint is None:
        return {}
    from myxtts.synthesis import Synthesizer

    return {kind: Synthesizer.load(given.checkpoint, given.prefer, kind) for kind in given.vocoder}


def _recorded(
    group: str,
    clips: Sequence[SoundClip],
    vocoders: Mapping[str, Vocoder],
    audio: AudioConfig,
    work: Path,
    screen: Screen,
) -> list[dict[str, Any]]:
    """The recordings, and their mels through every vocoder."""
    seconds, spent = 0.0, dict.fromkeys(vocoders, 0.0)
    lists: dict[str, list[str]] = {kind: [] for kind in ("recording", *vocoders)}
    for number, clip in enumerate(clips, 1):
        recording_N = waveform.trim(waveform.read(clip.recording, audio), audio)
        mel_MC, hz_M = log_mel(recording_N, audio), pitch.track(recording_N, audio)
        sounds = {"recording": recording_N}
        for kind, vocoder in vocoders.items():
            begun = time.perf_counter()
            sounds[kind] = vocoder(mel_MC, hz_M, 1)
            spent[kind] += time.perf_counter() - begun
        seconds += len(recording_N) / audio.sample_rate_hz
        for kind, samples_N in sounds.items():
            path = _path(work, group, "recorded", kind, number)
            waveform.write_wav(path, samples_N, audio.sample_rate_hz)
            lists[kind].append(f"{path}\t{clip.own_text}\t{clip.reference}")
        screen.progress(f"recorded mels, {group}", number, len(clips))
    return [
        {
            **_row(
                group,
                "-" if kind == "recording" else "recorded",
                kind,
                clips,
                _write(work, group, "recorded", kind, lines),
            ),
            **({"vocoder_speed": seconds / spent[kind]} if kind in spent else {}),
        }
        for kind, lines in lists.items()
    ]


def _predicted(
    group: str, clips: Sequence[SoundClip], kind: str, synthesizer: Synthesizer, work: Path, screen: Screen
) -> dict[str, Any]:
    """The sentences spoken by the voice model with one vocoder."""
    rate = synthesizer.config.audio.sample_rate_hz
    lines = []
    for number, clip in enumerate(clips, 1):
        speech = synthesizer.speak(clip.text, references=[clip.reference])
        path = _path(work, group, "predicted", kind, number)
        waveform.write_wav(path, np.asarray(speech.samples), rate)
        lines.append(f"{path}\t{clip.text}\t{clip.reference}")
        screen.progress(f"predicted mels, {group}, {Path(kind).name}", number, len(clips))
    row = _row(group, "predicted", kind, clips, _write(work, group, "predicted", kind, lines))
    return {**row, **_speeds([clip.text for clip in clips], synthesizer)}


def _speeds(texts: Sequence[str], synthesizer: Synthesizer) -> dict[str, float]:
    """Speed relative to real time of texts in a stored voice, and the median seconds to the first part of each."""
    seconds = spent = 0.0
    first = []
    for text in [texts[0], *texts]:  # again, since the first sentence of each length builds graphs
        begun = time.perf_counter()
        next(synthesizer.stream(text, speaker=synthesizer.speakers[0]))
        first.append(time.perf_counter() - begun)
    for text in texts:
        speech = synthesizer.speak(text, speaker=synthesizer.speakers[0])
        seconds, spent = seconds + speech.seconds, spent + speech.compute_seconds
    return {"speed": seconds / spent, "first": float(np.median(first[1:]))}


def _path(work: Path, group: str, mels: str, kind: str, number: int) -> Path:
    path = work / group / f"{mels}-{Path(kind).name}" / f"{number:02d}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _write(work: Path, group: str, mels: str, kind: str, lines: Sequence[str]) -> Path:
    path = work / group / f"{mels}-{Path(kind).name}" / "list.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _row(group: str, mels: str, kind: str, clips: Sequence[SoundClip], list_path: Path) -> dict[str, Any]:
    name = kind if kind in (GRIFFIN_LIM, NEURAL, "recording") else Path(kind).name
    return {"group": group, "clips": len(clips), "mels": mels, "vocoder": name, "list": str(list_path.resolve())}


def judge(given: Namespace, list_path: Path) -> dict[str, float] | None:
    """The judge's figures of a list; None without a judge. Raises DataError where it fails."""
    if given.judge_python is None:
        return None
    out = list_path.with_name("judged.json")
    code = subprocess.run(
        [given.judge_python, str(JUDGE), str(list_path), "--json", str(out)],
        env={**os.environ, "PYTHONPATH": str(results.ROOT)},
        check=False,
    ).returncode
    if code != EXIT_DONE:
        raise DataError(f"the judge ended with exit code {code} on {list_path}; its output is above")
    total: dict[str, float] = json.loads(out.read_text(encoding="utf-8"))["total"]
    return total


if __name__ == "__main__":
    sys.exit(main())
