"""Real Persian speech: fine-tuning on the phonemes of the front end against those of eSpeak NG alone.

The starter is trained twice on the CC0 and CC BY clips of --data, from the same weights, with the same seed and number
of updates: once with the texts as written, once with the phonemes of eSpeak NG as `[[phonemes]]` in the texts. Held out
are the clips that may only be measured: those under CC BY-NC, of a speaker that the starter knows, and bench_*, of
speakers that no model knows. Both models, and the starter with both kinds of texts, align the held-out recordings and
synthesize their sentences with a recording of the speaker as reference; the judge (see bench.judge) rates the sound.

Differences are of the same clips, with the 95% interval of a bootstrap over clips.

WORK contains ARM/data and ARM/run, spoken/MARK/, judged/ and terms/ (loss terms). The same command continues.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import shutil
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench import results
from bench.fine_tuning import training_words
from bench.held_out import REFERENCE_SECONDS, HeldOut, by_hash
from bench.judged_training import JUDGE, call, cell, judged, open_work, outlive_ctrl_c, speak
from myxtts.audio import waveform
from myxtts.cli.screen import Screen, guarded
from myxtts.config.files import config_of_file
from myxtts.data.corpus import parse_corpus
from myxtts.errors import EXIT_DONE, ConfigError, DataError
from myxtts.progress import Progress
from myxtts.storage import STARTER
from myxtts.storage.find_checkpoint import find, steps_in
from myxtts.storage.run_directory import RunDirectory
from myxtts.text.normalization import normalize
from myxtts.text.phonemes import espeak

ARMS = ("front-end", "espeak")
BEFORE, AFTER, RECORDINGS = "before", "after", "recordings"
TRAINS, MEASURED = frozenset({"CC0-1.0", "CC-BY"}), frozenset({"CC-BY-NC"})
"""Licences of the clips to train on, and of those only to measure."""
FIGURES = {
    "alignment": ("alignment", ".4f"),
    "mel": ("mel", ".4f"),
    "dnsmos": ("DNSMOS", ".3f"),
    "dnsmos_background": ("background", ".3f"),
    "dnsmos_p808": ("P808", ".3f"),
    "secs": ("SECS", ".3f"),
}
"""Figure -> its head, and its form."""
DRAWS = 10_000
_HEADER = "id|text|speaker"
_MARKS = re.compile("([^\\w\\s\u064b-\u0652\u0654\u0670\u200c]+)")
Values = Mapping[str, float]
"""Clip -> figure."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measures as `argv` says; returns the exit code."""
    made = results.parser("real_persian", "Fine-tunes on real Persian speech with the front end and with eSpeak NG.")
    made.add_argument("--data", metavar="DIR", type=Path, required=True, help="folder persian_mixed, with sources.csv")
    made.add_argument("--work", metavar="DIR", type=Path, required=True, help="folder for all files")
    made.add_argument("--updates", metavar="N", type=int, default=300, help="of each training (300)")
    made.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="any other setting of both")
    made.add_argument(
        "--judge-python", metavar="FILE", help="Python with the extra judge; without it nothing is judged"
    )
    made.set_defaults(judge_script=JUDGE, base=STARTER, level="fine_tuning", language="fa")
    given = made.parse_args(argv)
    return guarded(lambda: _run(given))


def _run(given: Namespace) -> int:
    if given.updates < 1:
        raise ConfigError(f"--updates is {given.updates}, expected at least 1")
    train, held = split_clips(given.data)
    open_work(given, {"data": str(given.data.resolve())}, ("updates", "set"))
    screen = Screen()
    sentences = {arm: make_root(given.data, given.work / arm, train, held, arm, screen.progress) for arm in ARMS}
    write_recordings(sentences[ARMS[0]], given.work / "spoken" / RECORDINGS)
    screen.close()
    outlive_ctrl_c()
    for arm in ARMS:
        if (code := _train(given, arm, screen)) != EXIT_DONE:
            return code
    marks = {f"{arm}-{when}": (arm, when) for when in (BEFORE, AFTER) for arm in ARMS}
    for mark, (arm, when) in marks.items():
        spoken = given.work / "spoken" / mark
        if not (spoken / "speech.json").is_file():
            run = given.work / arm / "run" if when == AFTER else Path(STARTER)
            code = speak(run, given.work / arm / "held_out.json", spoken, "last", screen)
            if code != EXIT_DONE:
                return code
    ids = [sentence.id for sentence in sentences[ARMS[0]]]
    figures = {RECORDINGS: _sound(given, RECORDINGS, ids)}
    for mark, (arm, when) in marks.items():
        figures[mark] = {**_sound(given, mark, ids), **_terms(given, mark, arm, when, screen)}
    _report(given, len(train), figures, {s.id: s.speaker for s in sentences[ARMS[0]]})
    return EXIT_DONE


def split_clips(data: Path) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """The rows of `persian_mixed` to train on, and those to measure. Raises DataError for another folder."""
    try:
        licences = {row["id"]: row["licence"] for row in _rows(data / "sources.csv")}
        rows = [row for name in ("metadata.csv", "metadata_nc.csv") for row in _rows(data / name)]
        train = [row for row in rows if licences[row["id"]] in TRAINS and not row["id"].startswith("bench_")]
        held = [row for row in rows if licences[row["id"]] in MEASURED or row["id"].startswith("bench_")]
    except (OSError, KeyError) as error:
        raise DataError(f"{data}: {error}; name the folder persian_mixed with its three tables") from None
    if both := {row["text"] for row in train} & {row["text"] for row in held}:
        raise DataError(f"{data}: {sorted(both)[0]!r} is among the training and the held-out texts")
    return train, held


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE))


def espeak_text(text: str) -> str:
    """The Persian text with each word as `[[phonemes]]` of eSpeak NG, and its punctuation."""
    parts = []
    for part in _MARKS.split(normalize(text, "fa")):
        words = part if _MARKS.fullmatch(part) else " ".join(f"[[{word}]]" for word in espeak(part, "fa").split())
        parts.append(f" {words}" if part[:1].isspace() else words)
    return "".join(parts).strip()


def make_root(
    source: Path,
    target: Path,
    train: Sequence[dict[str, str]],
    held: Sequence[dict[str, str]],
    arm: str,
    progress: Progress,
) -> list[HeldOut]:
    """Copies the recordings to TARGET/data, with texts for an arm; returns the held-out sentences.

    The reference is a training recording of the speaker, or else another held-out one.
    """
    record, data = target / "held_out.json", target / "data"
    if record.is_file():
        return [HeldOut(**row) for row in json.loads(record.read_text(encoding="utf-8"))]
    shutil.rmtree(data, ignore_errors=True)  # of an interrupted copy
    (data / "wavs").mkdir(parents=True)
    seconds: dict[str, float] = {}
    texts: dict[str, str] = {}
    for number, row in enumerate(rows := [*train, *held], 1):
        path = data / "wavs" / f"{row['id']}.flac"
        shutil.copyfile(source / "wavs" / path.name, path)
        seconds[row["id"]] = waveform.probe(path).seconds
        texts[row["id"]] = espeak_text(row["text"]) if arm == "espeak" else row["text"]
        progress(f"copying recordings, {arm}", number, len(rows))
    for split, part in (("train", train), ("eval", held)):
        lines = [f"{row['id']}|{texts[row['id']]}|{row['speaker']}" for row in part]
        (data / f"metadata_{split}.csv").write_text("\n".join([_HEADER, *lines]) + "\n", encoding="utf-8")
    sentences = []
    for row in held:
        same = [one["id"] for one in train if one["speaker"] == row["speaker"]]
        same = same or [one["id"] for one in held if one["speaker"] == row["speaker"] and one is not row]
        if not same:
            raise DataError(f"{source}: speaker {row['speaker']!r} has no recording for a reference")
        nearest = min(same, key=lambda clip: (abs(seconds[clip] - REFERENCE_SECONDS), by_hash(clip)))
        recording, reference = (str(data / "wavs" / f"{clip}.flac") for clip in (row["id"], nearest))
        sentences.append(HeldOut(row["id"], texts[row["id"]], row["speaker"], "fa", recording, reference))
    results.write_json(record, [dataclasses.asdict(sentence) for sentence in sentences])
    return sentences


def write_recordings(sentences: Sequence[HeldOut], out: Path) -> None:
    """The list of the held-out recordings themselves, for the judge."""
    out.mkdir(parents=True, exist_ok=True)
    lines = [f"{sentence.recording}\t{sentence.text}\t{sentence.reference}" for sentence in sentences]
    (out / "list.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _train(given: Namespace, arm: str, screen: Screen) -> int:
    """Trains an arm up to --updates, if it is not yet there; the exit code."""
    steps = steps_in(RunDirectory(given.work / arm / "run").checkpoints_path)
    if steps and steps[0] >= given.updates:
        return EXIT_DONE
    words = training_words(Namespace(**{**vars(given), "work": given.work / arm}), None, given.updates)
    return call([sys.executable, str(results.ROOT / "train_main.py"), *words], screen)


def _terms(given: Namespace, mark: str, arm: str, when: str, screen: Screen) -> dict[str, Values]:
    """Alignment loss and mel loss of every held-out clip, computed once."""
    path = given.work / "terms" / f"{mark}.json"
    if not path.is_file():
        run = given.work / arm / "run"
        results.write_json(path, clip_terms(run, run if when == AFTER else Path(STARTER), screen.progress))
        screen.close()
    found: dict[str, Values] = json.loads(path.read_text(encoding="utf-8"))
    return found


def clip_terms(run: Path, checkpoint: Path, progress: Progress) -> dict[str, Values]:
    """Alignment and mel loss of the validation clips of a run, with the averaged weights of a checkpoint."""
    import tensorflow as tf

    from myxtts.data.prepare import prepare
    from myxtts.models.build import load_weights
    from myxtts.training.task import VoiceTask

    model_of = find(checkpoint, "last")
    corpus = parse_corpus(model_of.texts["corpus.json"].encode("utf-8", "surrogatepass"))
    start = parse_corpus(find(Path(STARTER)).texts["corpus.json"].encode("utf-8", "surrogatepass"))
    config = config_of_file(RunDirectory(run).path / "config.yaml")
    prepared = prepare(config, progress, named={"data.train_path", "data.val_path"}, base=start)
    batches = prepared.validation_batches(config)
    task = VoiceTask(config_of_file(model_of.path / "config.yaml"), corpus)
    model = task.build("fp32")
    load_weights(model, dict(model_of.arrays["average"]))

    def validate(batch: Any) -> Any:
        return task.validation(model, batch)[0]

    terms_of = tf.function(validate, autograph=False, input_signature=[task.signature])
    found: dict[str, dict[str, float]] = {"alignment": {}, "mel": {}}
    plan = batches.plan(0)
    for number, planned in enumerate(plan, 1):
        batch = batches.build(planned, 0)
        terms = terms_of({key: tf.convert_to_tensor(value) for key, value in batch.items()})
        for at, row in enumerate(batch["utterance_B"].tolist()):
            if batch["weight_B"][at] > 0:
                for name, of_clip in found.items():
                    of_clip[prepared.validation.utterances[row].id] = float(terms[name][at])
        progress("loss terms", number, len(plan))
    return dict(found)


def _sound(given: Namespace, mark: str, ids: Sequence[str]) -> dict[str, Values]:
    """The judge's figures of every clip; none without a judge."""
    if judged(given, mark, "fa") is None:
        return {}
    clips = json.loads((given.work / "judged" / f"{mark}.json").read_text(encoding="utf-8"))["clips"]
    return {
        figure: {name: clip[figure] for name, clip in zip(ids, clips, strict=True) if clip.get(figure) is not None}
        for figure in FIGURES
    }


def difference(one: Values, other: Values) -> tuple[float, float, float]:
    """Mean of `one` minus `other` over the clips of both, and its 95% interval by a bootstrap over the clips."""
    paired = np.array([one[clip] - other[clip] for clip in sorted(one.keys() & other.keys())])
    rows = np.random.default_rng(0).integers(len(paired), size=(DRAWS, len(paired)))
    low, high = np.quantile(paired[rows].mean(axis=1), (0.025, 0.975))
    return float(paired.mean()), float(low), float(high)


def table(figures: Mapping[str, Mapping[str, Values]], clips: Sequence[str]) -> list[tuple[str, ...]]:
    """Means of a group of clips for each mark, and the differences."""

    def of(mark: str, figure: str) -> Values:
        return {clip: value for clip, value in figures[mark].get(figure, {}).items() if clip in clips}

    rows = [("", *(head for head, _ in FIGURES.values()))]
    for mark in figures:
        means = [float(np.mean(list(of(mark, figure).values()))) if of(mark, figure) else None for figure in FIGURES]
        rows.append((mark, *(cell(mean, form) for mean, (_, form) in zip(means, FIGURES.values(), strict=True))))
    pairs = [(f"{ARMS[0]}-{when}", f"{ARMS[1]}-{when}") for when in (BEFORE, AFTER)]
    pairs += [(f"{arm}-{AFTER}", f"{arm}-{BEFORE}") for arm in ARMS]
    for one, other in pairs:
        shown = []
        for figure, (_, form) in FIGURES.items():
            both = of(one, figure), of(other, figure)
            sizes = difference(*both) if all(both) else None
            shown.append("{} ({} to {})".format(*(format(size, "+" + form) for size in sizes)) if sizes else "-")
        rows.append((f"{one} minus {other}", *shown))
    return rows


def _report(
    given: Namespace, trained: int, figures: Mapping[str, Mapping[str, Values]], speaker_of: Mapping[str, str]
) -> None:
    about = f"{trained} clips, {given.updates} updates"
    of_bench = [clip for clip in speaker_of if clip.startswith("bench_")]
    groups = {"speaker in training": [clip for clip in speaker_of if clip not in of_bench], "unseen speakers": of_bench}
    for group, clips in groups.items():
        title = f"Real Persian: starter fine-tuned on {about}; {len(clips)} held-out clips, {group}"
        last = given.json or given.work / "real_persian.json" if clips is of_bench else None
        facts = {"settings": {"updates": given.updates, "set": given.set, "trained": trained}, "clips": figures}
        results.show(title, table(figures, clips), facts, last, heads=True)


if __name__ == "__main__":
    sys.exit(main())
