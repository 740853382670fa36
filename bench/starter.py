"""The starter model: its training data from several roots, and its folder from a trained run.

    python -m bench.starter data --root NAME=DIR ... --out DIR      one data root from several, with held-out clips
    python -m bench.starter pack RUN --out myxtts/starter           the averaged weights of a run in half precision

`data` holds out clips by a hash of their names, the same ones on every run: some speakers of a root with many speakers
and few clips each, some sentences of any other root. With --built-in it adds the built-in corpus, and with
--espeak-texts the texts of a file, spoken by eSpeak NG. The training is then the ordinary command.
"""

from __future__ import annotations

import json
import shutil
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.held_out import by_hash
from myxtts.cli.screen import Screen, guarded
from myxtts.config.files import config_of_file
from myxtts.config.schema import Config
from myxtts.data.corpus import parse_corpus
from myxtts.data.manifest import read_root
from myxtts.data.records import Utterance
from myxtts.errors import EXIT_DONE, CheckpointError, ConfigError, DataError
from myxtts.speakers import COPY_MARK
from myxtts.storage.checkpoint import MANIFEST, CheckpointManifest, write_durable, write_files
from myxtts.storage.find_checkpoint import find

FEW_CLIPS = 10
"""Of a root whose speakers have fewer clips on average, entire speakers are held out."""
HELD_SPEAKERS, HELD_SENTENCES = 20, 20
VOICES = [("f2", 150, 50), ("f4", 140, 55), ("m2", 150, 45), ("m4", 140, 50), ("linda", 150, 52), ("m7", 145, 40),
          ("steph", 140, 50), ("Lee", 150, 60)]  # fmt: skip
"""Variant of eSpeak NG, words per minute and pitch of the voices that read --espeak-texts."""
HEADER = "id\ttext\tspeaker\tlanguage"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in `argv`; returns the exit code."""
    parser = ArgumentParser(prog="python -m bench.starter", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    data = commands.add_parser("data", help="one data root from several")
    data.add_argument("--root", metavar="NAME=DIR[:LANGUAGE]", action="append", required=True, help="a data root")
    data.add_argument(
        "--per-speaker",
        metavar="N",
        type=int,
        default=0,
        help="largest number of clips per speaker of a root with held-out speakers",
    )
    data.add_argument(
        "--known",
        metavar="RUN",
        help="hold out only speakers that this model, the start of the next one, does not have",
    )
    data.add_argument("--espeak-texts", metavar="FILE", type=Path, help="texts for eSpeak NG, one per line")
    data.add_argument("--espeak-language", metavar="CODE", default="fa", help="their language (fa)")
    data.add_argument("--built-in", action="store_true", help="add the built-in corpus")
    data.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder to write")
    data.set_defaults(run=_data)
    pack = commands.add_parser("pack", help="the folder of the starter from a run")
    pack.add_argument("checkpoint", metavar="RUN", type=Path, help="run directory of the training")
    pack.add_argument("--prefer", choices=("best", "last"), default="last", help="which checkpoint (last)")
    pack.add_argument("--first", metavar="SPEAKER", help="the default speaker")
    pack.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="folder to write; an older starter in it is replaced"
    )
    pack.set_defaults(run=_pack)
    given = parser.parse_args(argv)
    return guarded(lambda: int(given.run(given)))


def _data(given: Namespace) -> int:
    if given.out.exists():
        raise ConfigError(f"--out {str(given.out)!r} is there already; name a new folder")
    screen, rows = Screen(), {"train": list[str](), "eval": list[str]()}
    known: Sequence[str] = ()
    if given.known:
        known = parse_corpus(find(Path(given.known), "last").texts["corpus.json"].encode("utf-8")).speakers
    for word in given.root:
        name, equals, place = word.partition("=")
        folder, _, language = place.partition(":")
        if not equals or not Path(folder).is_dir():
            raise ConfigError(f"--root {word!r}: write NAME=DIR, a folder that exists")
        utterances = read_root(Path(folder), "train", language or "en-us").utterances
        held = held_out(utterances)
        several = len({u.speaker for u in utterances}) > 1
        if several and any(_speaker(name, u, several) in known for u in utterances):
            held = {u.id for u in utterances if _speaker(name, u, several) not in known}
        for number, utterance in enumerate(_limited(utterances, given.per_speaker), 1):
            target = given.out / "wavs" / name / utterance.audio_path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(utterance.audio_path, target)
            speaker = _speaker(name, utterance, several)
            line = (f"wavs/{name}/{target.name}", utterance.text.replace("\t", " "), speaker, utterance.language)
            rows["eval" if utterance.id in held else "train"].append("\t".join(line))
            screen.progress(f"copying {name}", number, len(utterances))
    if given.built_in:
        _add_built_in(given.out, rows, screen)
    if given.espeak_texts:
        _add_espeak(given, rows["train"], screen)
    screen.close()
    for split, lines in rows.items():
        (given.out / f"metadata_{split}.csv").write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
        screen.say(f"{split}: {len(lines)} clips")
    return EXIT_DONE


def _speaker(root: str, utterance: Utterance, several: bool) -> str:
    """The root's name for its only speaker, and as a prefix of names that are numbers."""
    if not several:
        return root
    return f"{root}_{utterance.speaker}" if utterance.speaker.isdigit() else utterance.speaker


def held_out(utterances: Sequence[Utterance]) -> set[str]:
    """Ids of the held-out clips; at most a tenth of the clips or speakers."""
    speakers = sorted({u.speaker for u in utterances}, key=lambda name: by_hash(name))
    if len(speakers) > 1 and len(utterances) / len(speakers) < FEW_CLIPS:
        chosen = set(speakers[: min(HELD_SPEAKERS, len(speakers) // 10)])
        return {u.id for u in utterances if u.speaker in chosen}
    most = min(HELD_SENTENCES, len(utterances) // 10)
    return {u.id for u in sorted(utterances, key=lambda u: by_hash(u.id))[:most]}


def _limited(utterances: Sequence[Utterance], most: int) -> list[Utterance]:
    """At most `most` clips of each speaker, chosen by a hash; all with 0 or with a single speaker."""
    if not most or len({u.speaker for u in utterances}) == 1:
        return list(utterances)
    kept: dict[str, list[Utterance]] = {}
    for utterance in sorted(utterances, key=lambda u: by_hash(u.id)):
        kept.setdefault(utterance.speaker, []).append(utterance)
    ids = {u.id for clips in kept.values() for u in clips[:most]}
    return [u for u in utterances if u.id in ids]


def _add_built_in(out: Path, rows: dict[str, list[str]], screen: Screen) -> None:
    from myxtts.demo import corpus

    root = corpus.ensure(out.parent / f".{out.name}-built-in")
    for clip in corpus.clips():
        target = out / "wavs" / "built_in" / f"{clip.id}.wav"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / "wavs" / f"{clip.id}.wav", target)
        line = (f"wavs/built_in/{target.name}", clip.text, clip.speaker.name, clip.speaker.voice.language)
        rows["train" if clip.split == "train" else "eval"].append("\t".join(line))


def _add_espeak(given: Namespace, rows: list[str], screen: Screen) -> None:
    from myxtts.demo.espeak_voice import EspeakVoice, SpeechJob, speak_to_files

    texts = [line.strip() for line in given.espeak_texts.read_text(encoding="utf-8").splitlines() if line.strip()]
    (given.out / "wavs" / "espeak").mkdir(parents=True, exist_ok=True)
    jobs = []
    for number, text in enumerate(texts):
        variant, rate, pitch = VOICES[number % len(VOICES)]
        voice = EspeakVoice(given.espeak_language, variant, rate, pitch, 60, volume=60)
        jobs.append(SpeechJob(text, voice, f"wavs/espeak/{number:04d}.wav"))
        speaker = f"espeak_{given.espeak_language}_{variant}"
        rows.append("\t".join((jobs[-1].path, text, speaker, given.espeak_language)))
    speak_to_files(jobs, given.out, screen.progress, task="eSpeak NG")


def _pack(given: Namespace) -> int:
    checkpoint = find(given.checkpoint, given.prefer)
    if "average" not in checkpoint.arrays or "voices" not in checkpoint.arrays:
        raise CheckpointError(f"{checkpoint.path} holds no averaged weights and voices; name a run of `myxtts train`")
    config = config_of_file(checkpoint.path / "config.yaml")
    corpus = parse_corpus(checkpoint.texts["corpus.json"].encode("utf-8"))
    order = np.array([i for i, name in enumerate(corpus.speakers) if COPY_MARK not in name])
    if given.first:
        if given.first not in corpus.speakers:
            raise DataError(f"--first {given.first!r} is no training speaker")
        at = corpus.speakers.index(given.first)
        order = np.concatenate([[at], order[order != at]])
    facts = corpus.to_json()
    facts["speakers"] = [corpus.speakers[i] for i in order]
    for key in ("speaker_spectrum_ZC", "speaker_prosody_ZQ"):
        facts[key] = [facts[key][i] for i in order]
    average = {name: np.asarray(w, np.float16) for name, w in checkpoint.arrays["average"].items()}
    for name in average:
        if name.endswith("voice_heads/speaker"):
            average[name] = np.ascontiguousarray(average[name][order])
    voices = {
        name: np.ascontiguousarray(np.asarray(v, np.float16)[order]) for name, v in checkpoint.arrays["voices"].items()
    }
    _write(given.out, checkpoint.update, {"average": average, "voices": voices}, _settings(config), facts)
    size = sum(path.stat().st_size for path in given.out.iterdir()) / 1e6
    Screen().say(f"{given.out}: update {checkpoint.update}, {size:.1f} MB; write its card.md")
    return EXIT_DONE


def _settings(config: Config) -> str:
    """config.yaml with the settings that the networks depend on, and without any path of the machine that trained."""
    from myxtts.config.fields import value_of
    from myxtts.config.files import config_yaml
    from myxtts.config.resolve import SOURCE_KEYS, Given, Layer, Rank, resolve

    keys = [*SOURCE_KEYS, "text.language", "data.max_text_tokens", "data.max_clip_seconds", "data.reference_seconds"]
    layer = Layer(Rank.FILE, "starter", tuple(Given(key, value_of(config, key), "starter") for key in keys))
    return config_yaml(resolve([layer]))


def _write(out: Path, update: int, arrays: dict[str, Any], settings: str, corpus: dict[str, Any]) -> None:
    if out.exists() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise ConfigError(f"--out {str(out)!r} holds something else than a starter; name a new folder")
    card = out / "card.md"
    kept = card.read_text(encoding="utf-8") if card.is_file() else None
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    texts = {"config.yaml": settings, "corpus.json": json.dumps(corpus, ensure_ascii=False), "state.json": "{}"}
    records = write_files(out, arrays, {name: text.encode("utf-8") for name, text in texts.items()})
    write_durable(out / MANIFEST, CheckpointManifest(update, True, records).to_bytes())
    if kept is not None:
        card.write_text(kept, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
