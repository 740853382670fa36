"""Voices that no recording has: two recordings mixed, and random ones. Whom are they near, as made and as heard?

As made: cosines of the voices themselves, which the program computes before it speaks. As heard: the model's own
encoder hears what was spoken in them, mean over the sentences; so what the decoder makes of a voice is in it too.

Mixtures: speech in a share of recording A and the rest of B, held against both recordings by the model's encoder, and
with a judge by the speaker model of bench.judge (SECS). The rows 100% A and 100% B say how near speech comes at all.

Random voices, of seeds 1 to K: mean cosine among them, and the mean of the cosines to the nearest training speaker.
As many training speakers, spread over all, are measured in the same way: among them, and to the nearest other person
(slower and faster copies of a speaker are training speakers too, but not other people).
"""

from __future__ import annotations

import statistics
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench import results
from bench.control import add_speech_options, sentences_of
from bench.marks import JUDGE, cell, judge_problems, judged, same_work
from myxtts.audio import waveform
from myxtts.cli.quiet import quiet_loading
from myxtts.cli.screen import Screen, guarded
from myxtts.errors import EXIT_DONE, ConfigError, DataError
from myxtts.progress import Progress
from myxtts.speakers import person_of
from myxtts.synthesis.voice_sources import VoiceSource

if TYPE_CHECKING:
    from myxtts.synthesis import Synthesizer

FloatArray = npt.NDArray[np.float32]

SHARES = (1.0, 0.7, 0.5, 0.3, 0.0)
"""Of recording A; the rest is of B."""
RANDOM_VOICES = 20


@dataclass
class Mixture:
    """A mixture and its cosines to recordings A and B: of the voice as made, of its speech as heard, by the judge."""

    share_of_a: float
    made: tuple[float, float]
    heard: tuple[float, float]
    judged: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True)
class Group:
    """Some voices, as made or as heard: mean cosine among them, and to the nearest training speaker (mean, range)."""

    who: str
    how: str
    voices: int
    among: float | None
    nearest: float
    nearest_least: float
    nearest_most: float


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("made_voices", "Whom mixed and random voices are near, as made and as heard in speech.")
    add_speech_options(made)
    made.add_argument("--references", metavar=("A", "B"), type=Path, nargs=2, help="two recordings to mix")
    made.add_argument(
        "--random", metavar="K", type=int, default=RANDOM_VOICES, help=f"random voices, 0: none ({RANDOM_VOICES})"
    )
    made.add_argument("--work", metavar="DIR", type=Path, help="folder for speech in mixtures, for the judge")
    made.add_argument("--judge-python", metavar="FILE", help="Python with the extra judge; without it none judges")
    made.add_argument("--judge-script", metavar="FILE", type=Path, default=JUDGE, help="another judge (bench/judge.py)")
    return guarded(lambda: _run(made.parse_args(argv)))


def _check(given: Namespace) -> None:
    """Raises ConfigError for options that cannot be."""
    problems = judge_problems(given)
    if given.judge_python is not None and (given.work is None or given.references is None):
        problems.append("--judge-python needs --references, and --work, a folder for what it is to hear")
    if given.random < 0 or given.random == 1:
        problems.append(f"--random is {given.random}, expected 0 or at least 2")
    if not given.random and given.references is None:
        problems.append("--random 0 without --references leaves nothing to measure; give two recordings")
    if problems:
        raise ConfigError(problems)


def _run(given: Namespace) -> int:
    _check(given)
    sentences = sentences_of(given.text_file)
    with quiet_loading():
        from myxtts.synthesis.synthesizer import Synthesizer

    screen = Screen()
    synthesizer = Synthesizer.load(given.checkpoint, prefer=given.prefer)
    speaker = Speaker(synthesizer, sentences, given.language)
    figures: dict[str, Any] = {"update": synthesizer.source.checkpoint.update, "sentences": sentences}
    tables = []
    if given.references is not None:
        if given.work is not None:
            given.work = given.work.resolve()
            own = {"checkpoint": str(Path(given.checkpoint).resolve()), "update": figures["update"]}
            named = {"references": [str(path.resolve()) for path in given.references], "language": given.language}
            same_work(given, {**own, **named, "sentences": sentences})
        between, mixtures = measure_mixtures(speaker, given, screen.progress)
        screen.close()
        figures |= {"a_to_b": between, "mixtures": [asdict(mixture) for mixture in mixtures]}
        tables.append((f"Mixtures, recording A to B: {between:.3f}", _mixture_rows(mixtures)))
    if given.random:
        groups = measure_random(speaker, given.random, screen.progress)
        screen.close()
        figures["groups"] = [asdict(group) for group in groups]
        tables.append(("Random voices", _group_rows(groups)))
    for number, (title, rows) in enumerate(tables, 1):
        last = number == len(tables)
        results.show(f"{title}; {given.checkpoint}", rows, figures, given.json if last else None, heads=True)
    return EXIT_DONE


class Speaker:
    """Speaks the sentences in a voice, and hears what came out with the model's own encoder."""

    def __init__(self, synthesizer: Synthesizer, sentences: Sequence[str], language: str | None) -> None:
        self.synthesizer, self.sentences, self._language = synthesizer, sentences, language

    def made(self, sources: Sequence[VoiceSource]) -> FloatArray:
        """The voice float32[E] as the program makes it, unit length."""
        return self.synthesizer.make_voice(voices=sources).voice.voice_E

    def heard(self, sources: Sequence[VoiceSource], out: Path | None = None) -> FloatArray:
        """The voices float32[N, E] that are heard in the N sentences, each of unit length; `out` keeps the sound."""
        found = []
        for number, sentence in enumerate(self.sentences, 1):
            speech = self.synthesizer.speak(sentence, voices=sources, language=self._language)
            found.append(self.synthesizer.voice([speech.samples])[0].voice_E)
            if out is not None:
                out.mkdir(parents=True, exist_ok=True)
                waveform.write_wav(out / f"{number:02d}.wav", speech.samples, speech.sample_rate_hz)
        return np.stack(found)


def measure_mixtures(speaker: Speaker, given: Namespace, progress: Progress) -> tuple[float, list[Mixture]]:
    """The cosine between both recordings, and every share of SHARES, judged where there is a judge."""
    audio = speaker.synthesizer.config.audio
    recordings = [waveform.read(path, audio) for path in given.references]  # once: a path is decoded for every sentence
    both_2E = np.stack([speaker.made([VoiceSource("reference", samples)]) for samples in recordings])
    mixtures = []
    for number, share in enumerate(SHARES, 1):
        parts = zip(recordings, (share, round(1.0 - share, 6)), strict=True)
        sources = [VoiceSource("reference", samples, weight) for samples, weight in parts if weight > 0.0]
        name = f"mix-{share:g}"
        out = None if given.work is None else given.work / "spoken" / name
        made, heard = both_2E @ speaker.made(sources), (speaker.heard(sources, out) @ both_2E.T).mean(axis=0)
        mixture = Mixture(share, (float(made[0]), float(made[1])), (float(heard[0]), float(heard[1])))
        if out is not None:
            of_a, of_b = (_judged(given, speaker.sentences, out, letter, path) for letter, path in _lettered(given))
            mixture.judged = of_a, of_b
        mixtures.append(mixture)
        progress("mixtures", number, len(SHARES))
    return float(both_2E[0] @ both_2E[1]), mixtures


def _lettered(given: Namespace) -> list[tuple[str, Path]]:
    return list(zip("ab", given.references, strict=True))


def _judged(given: Namespace, sentences: Sequence[str], out: Path, letter: str, reference: Path) -> float | None:
    """SECS of speech against a recording; a judge is asked for totals, so each recording has a list of its own."""
    folder = out.with_name(f"{out.name}-to-{letter}")
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{out / f'{n:02d}.wav'}\t{text}\t{reference.resolve()}" for n, text in enumerate(sentences, 1)]
    (folder / "list.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return (judged(given, folder.name) or {}).get("secs")


def measure_random(speaker: Speaker, count: int, progress: Progress) -> list[Group]:
    """Random voices and as many training speakers, each as made and as heard."""
    names = speaker.synthesizer.speakers
    first_name: dict[str, str] = {}
    for name in names:
        first_name.setdefault(person_of(name), name)
    people = list(first_name.values())
    if len(people) < 2:
        raise DataError(f"the model has {len(names)} training speakers of one person; measure one of several people")
    stored_ZE = np.stack([speaker.made([VoiceSource("speaker", name)]) for name in names])
    chosen = [people[int(at)] for at in np.unique(np.linspace(0, len(people) - 1, count).round())]
    kinds = {
        "random voices": [VoiceSource("random", seed) for seed in range(1, count + 1)],
        "training speakers": [VoiceSource("speaker", name) for name in chosen],
    }
    total, done, groups = sum(map(len, kinds.values())), 0, []
    for who, sources in kinds.items():
        # A training speaker is not near itself, nor its own copies, but near other people.
        others_KZ = np.array([[_is_other(source, name) for name in names] for source in sources])
        made, heard = [], []
        for source in sources:
            made.append(speaker.made([source]))
            mean_E = speaker.heard([source]).mean(axis=0)
            heard.append(mean_E / np.linalg.norm(mean_E))
            done += 1
            progress("random voices", done, total)
        groups += [group_of(who, "made", np.stack(made), stored_ZE, others_KZ)]
        groups += [group_of(who, "heard", np.stack(heard), stored_ZE, others_KZ)]
    return groups


def _is_other(source: VoiceSource, name: str) -> bool:
    """Whether a training speaker is another person than a source; a random voice is nobody."""
    return not isinstance(source.what, str) or person_of(source.what) != person_of(name)


def group_of(
    who: str, how: str, voice_KE: FloatArray, stored_ZE: FloatArray, others_KZ: npt.NDArray[np.bool_]
) -> Group:
    """Cosines of unit voices (K, E) among each other, and to the nearest of the stored ones (Z, E) that `others` names.

    One voice has none among.
    """
    cosine_KK = voice_KE @ voice_KE.T
    pairs = cosine_KK[np.triu_indices(len(voice_KE), 1)]
    nearest_K = np.where(others_KZ, voice_KE @ stored_ZE.T, -1.0).max(axis=1)
    among = float(pairs.mean()) if len(pairs) else None
    ends = float(nearest_K.min()), float(nearest_K.max())
    return Group(who, how, len(voice_KE), among, statistics.fmean(nearest_K.tolist()), *ends)


def _mixture_rows(mixtures: Sequence[Mixture]) -> list[tuple[str, ...]]:
    heads = (f"{how} {letter}" for how in ("made, to", "heard, to", "SECS to") for letter in "AB")
    rows: list[tuple[str, ...]] = [("share of A", *heads)]
    for one in mixtures:
        cosines = (*one.made, *one.heard, *one.judged)
        rows.append((f"{one.share_of_a:.0%}", *(cell(value, ".3f") for value in cosines)))
    return rows


def _group_rows(groups: Sequence[Group]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("voices", "as", "number", "among them", "to the nearest", "least", "most")]
    for one in groups:
        cosines = (one.among, one.nearest, one.nearest_least, one.nearest_most)
        rows.append((one.who, one.how, str(one.voices), *(cell(value, ".3f") for value in cosines)))
    return rows


if __name__ == "__main__":
    sys.exit(main())
