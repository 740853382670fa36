"""bench.real_persian: the clips to train on and to measure, the texts of both arms, the steps; nothing is trained."""

import json
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import real_persian
from myxtts.audio.waveform import write_wav
from myxtts.cli.arguments import request_of, training_parser
from myxtts.cli.train import resolve_request
from myxtts.config.resolve import program_layer
from myxtts.config.schema import TextConfig
from myxtts.data.manifest import read_root
from myxtts.text.phonemes import espeak
from myxtts.text.symbols import default_table
from myxtts.text.tokenizer import Tokenizer

CLIPS = [
    ("story_1", "کتاب بزرگ", "nazari", "CC-BY", 2.0),
    ("story_2", "مادر بزرگ من", "nazari", "CC-BY", 5.0),
    ("virgool_1", "نمی‌دونم چرا", "virgool", "CC0-1.0", 1.0),
    ("voiz_1", "لطفا صبر کنید", "voiz", "MIT", 1.0),
    ("bench_1", "من ۲ کتاب دارم، باشه؟", "bench", "MIT", 1.0),
    ("bench_2", "پسر بچه", "bench", "MIT", 4.0),
    ("nc_1", "هوا سرد است.", "nazari", "CC-BY-NC", 1.0),
]
TRAINED, HELD = ["story_1", "story_2", "virgool_1"], ["bench_1", "bench_2", "nc_1"]
JUDGE = """
import json, sys
from pathlib import Path
lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
assert sys.argv[4:] == ["--language", "fa"]
better = {"front-end-after": 0.5}.get(Path(sys.argv[1]).parent.name, 0.0)
clips = [{"dnsmos": 2.5 + better + 0.1 * n, "secs": None} for n in range(len(lines))]
Path(sys.argv[3]).write_text(json.dumps({"clips": clips, "total": {}}))
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "mixed"
    (root / "wavs").mkdir(parents=True)
    for name, *_, seconds in CLIPS:
        noise = 0.1 * np.random.default_rng(0).standard_normal(int(seconds * 22_050))
        write_wav(root / "wavs" / f"{name}.flac", noise.astype(np.float32), 22_050)
    for path, chosen in (("metadata.csv", CLIPS[:-1]), ("metadata_nc.csv", CLIPS[-1:])):
        rows = [f"{name}|{text}|{speaker}" for name, text, speaker, *_ in chosen]
        (root / path).write_text("\n".join(["id|text|speaker", *rows]) + "\n", encoding="utf-8")
    sources = [f"{name}|{speaker}|x|{licence}" for name, _, speaker, licence, _ in CLIPS]
    (root / "sources.csv").write_text("\n".join(["id|speaker|source|licence", *sources]) + "\n", encoding="utf-8")
    return root


def test_the_phonemes_of_espeak_are_what_a_model_gets() -> None:
    tokenizer = Tokenizer(TextConfig(blank_between=False), default_table("phonemes"))
    for written, marks in (("حد کار بالا", ""), ("من ۲ کتاب دارم، باشه؟", ",?")):
        text = real_persian.espeak_text(written)
        [encoded] = tokenizer.encode([text], "fa")
        spoken = "".join(encoded.symbols)
        assert not encoded.unknown and [mark for mark in spoken if mark in ",?"] == list(marks)
        if not marks:
            assert spoken == espeak(written, "fa") == text.replace("[[", "").replace("]]", "")
    assert "".join(tokenizer.encode(["کتاب بزرگ"], "fa")[0].symbols) != espeak("کتاب بزرگ", "fa"), "it has no ezafe"


def test_held_out_clips_are_only_measured(data: Path, tmp_path: Path) -> None:
    train, held = real_persian.split_clips(data)
    assert ([row["id"] for row in train], [row["id"] for row in held]) == (TRAINED, HELD)
    sentences = real_persian.make_root(data, tmp_path / "a", train, held, "espeak", lambda *_: None)
    root = tmp_path / "a" / "data"
    assert [row.id for row in read_root(root, "train", "fa").utterances] == TRAINED
    evaluated = read_root(root, "val", "fa").utterances
    assert [row.id for row in evaluated] == HELD and all("[[" in row.text for row in evaluated)
    assert [Path(row.reference).stem for row in sentences] == ["bench_2", "bench_1", "story_2"]
    assert sentences == real_persian.make_root(data, tmp_path / "a", [], [], "espeak", lambda *_: None), "kept"


def test_differences_are_of_the_same_clips() -> None:
    mean, low, high = real_persian.difference({"a": 1.0, "b": 2.0, "c": 9.0}, {"a": 0.5, "b": 1.5})
    assert (mean, low, high) == (0.5, 0.5, 0.5)
    mean, low, high = real_persian.difference({"a": 1.0, "b": 3.0}, {"a": 0.0, "b": 0.0})
    assert (mean, low, high) == (2.0, 1.0, 3.0)


def test_both_arms_are_trained_spoken_and_judged_once(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "judge.py").write_text(JUDGE)
    commands: list[list[str]] = []
    spoke: list[tuple[str, str]] = []

    def call(words: list[str], screen: Any) -> int:
        commands.append(words[2:])
        run = Path(words[words.index("--checkpoint-dir") + 1])
        (run / "checkpoints" / "step-00000040").mkdir(parents=True)
        return 0

    def speak(checkpoint: Path, sentences: Path, out: Path, prefer: str, screen: Any) -> int:
        spoke.append((checkpoint.name, out.name))
        rows = json.loads(sentences.read_text(encoding="utf-8"))
        out.mkdir(parents=True)
        (out / "list.tsv").write_text("".join(f"x.wav\t{row['text']}\tr.wav\n" for row in rows), encoding="utf-8")
        (out / "speech.json").write_text("{}")
        return 0

    def clip_terms(run: Path, checkpoint: Path, progress: Any) -> dict[str, dict[str, float]]:
        worse = float(run.parent.name == "espeak")
        return {name: {clip: 1.0 + worse for clip in HELD} for name in ("alignment", "mel")}

    monkeypatch.setattr(real_persian, "call", call)
    monkeypatch.setattr(real_persian, "speak", speak)
    monkeypatch.setattr(real_persian, "clip_terms", clip_terms)
    monkeypatch.setattr(real_persian, "JUDGE", tmp_path / "judge.py")
    words = ["--data", str(data), "--work", "w", "--updates", "40", "--judge-python", sys.executable]
    assert real_persian.main(words) == 0
    shown = capsys.readouterr().out
    assert "3 clips, 40 updates; 1 held-out clips, speaker in training" in shown
    assert "2 held-out clips, unseen speakers" in shown
    assert re.search(r"front-end-before minus espeak-before +-1\.0000 \(-1\.0000 to -1\.0000\)", shown)
    assert "+0.500 (+0.500 to +0.500)" in shown
    assert [one[:2] for one in spoke] == [
        ("starter", "front-end-before"),
        ("starter", "espeak-before"),
        ("run", "front-end-after"),
        ("run", "espeak-after"),
    ]
    settings = [[word for before, word in pairwise(one) if before == "--set"] for one in commands]
    assert settings[0] == settings[1] and not any("max_minutes" in setting for setting in settings[0])
    config = resolve_request(
        request_of(*training_parser("x", None).parse_known(commands[0])), program_layer("train_main.py", {}), None
    )[0].config
    assert (config.training.max_updates, config.text.language, config.optimization_level) == (40, "fa", "fine_tuning")
    assert real_persian.main(words) == 0
    assert len(commands) == 2 and len(spoke) == 4, "what is done is not done twice"
    assert real_persian.main([*words, "--updates", "0"]) == 2
    assert real_persian.main(["--data", str(tmp_path), "--work", "w"]) != 0
    assert "name the folder persian_mixed with its three tables" in capsys.readouterr().err
