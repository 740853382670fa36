"""bench.fine_tuning: what is held out and trained on, its command, the marks before and after; nothing is trained."""

import json
import sys
from argparse import Namespace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import fine_tuning, held_out
from myxtts.audio.waveform import write_wav
from myxtts.cli.arguments import request_of, training_parser
from myxtts.cli.train import resolve_request
from myxtts.config.files import config_yaml
from myxtts.config.resolve import program_layer, resolve
from myxtts.data.manifest import read_root
from myxtts.data.records import Utterance
from myxtts.errors import DataError
from myxtts.storage.store import CheckpointStore

JUDGE = """
import json, sys
from pathlib import Path
lines = Path(sys.argv[1]).read_text().splitlines()
with open("judge_calls.txt", "a") as calls:
    calls.write(Path(sys.argv[1]).parent.name + "\\n")
secs = {"recordings": 0.9, "before": 0.5}.get(Path(sys.argv[1]).parent.name, 0.7)
total = {"wer": 0.1, "cer": 0.05, "dnsmos": 2.5, "secs": secs, "clips": len(lines)}
Path(sys.argv[3]).write_text(json.dumps({"total": total}))
"""


def utterances(count: int) -> list[Utterance]:
    return [
        Utterance(f"c{n}", Path(f"{n}.wav"), f"the sentence number {n}", "ann", "en-us", f"m.csv:{n}")
        for n in range(count)
    ]


def test_training_takes_about_the_seconds_asked_for_by_hash() -> None:
    made = utterances(30)
    seconds = [4.0 + 0.1 * n for n in range(30)]
    taken = held_out.limited(range(30), made, seconds, 60.0)
    assert abs(sum(seconds[row] for row in taken) - 60.0) <= 4.0
    order = list(range(30))[::-1]
    assert held_out.limited(order, made, seconds, 60.0) == taken == sorted(taken), "the same in any order"
    assert taken != list(range(len(taken))), "not simply the first ones"
    assert held_out.limited(range(30), made, seconds, 170.0) == list(range(30)), "all, where that is nearest"
    with pytest.raises(
        DataError, match=r"164 s of training recordings besides the held-out ones, requested were 200; lower --seconds"
    ):
        held_out.limited(range(30), made, seconds, 200.0)


def test_long_sentences_are_held_out_where_that_is_asked_for() -> None:
    seconds = [9.0] * 6
    with pytest.raises(DataError, match=r"0 sentences .* under 8 s"):
        held_out.choose(utterances(6), seconds, 2)
    assert len(held_out.choose(utterances(6), seconds, 2, longest=9.5)) == 2


@pytest.fixture
def root(tmp_path: Path) -> Path:
    source = tmp_path / "ann"
    (source / "wavs").mkdir(parents=True)
    rows = []
    for number in range(8):
        noise = 0.1 * np.random.default_rng(number).standard_normal(22_050)
        write_wav(source / "wavs" / f"c{number}.wav", noise.astype(np.float32), 22_050)
        rows.append(f"c{number}|this is sentence number {number}|ann")
    (source / "metadata.csv").write_text("id|text|speaker\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return source


def test_the_rest_of_the_clips_is_not_in_the_copy(root: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    held = held_out.make_root(root, work, 2, "en-us", lambda *_: None, longest=2.0, train_seconds=3.0)
    train = read_root(work / "data", "train", "en-us").utterances
    assert len(train) == 3 and len(held) == 2
    assert len(list((work / "data" / "wavs").iterdir())) == 5
    assert {row.reference for row in held} <= {str(clip.audio_path) for clip in train}
    assert fine_tuning.trained_seconds(Namespace(work=work, language="en-us")) == pytest.approx(3.0)


def make_base(path: Path) -> Path:
    texts = {"config.yaml": config_yaml(resolve([])).replace('decoder: "regression"', 'decoder: "flow"')}
    CheckpointStore(path / "checkpoints", 1, 1).save(7, {"average": {"w": np.ones(2, np.float32)}}, {}, texts=texts)
    return path


def test_the_training_command_begins_with_the_base_and_goes_on_without(tmp_path: Path) -> None:
    given = Namespace(
        work=tmp_path / "work", base=make_base(tmp_path / "base"), level="fine_tuning", language="en-us", set=["a.b=1"]
    )
    words = fine_tuning.training_words(given, 5.0)
    assert words[words.index("--init-from") + 1] == str(given.base)
    settings = [word for before, word in pairwise(words) if before == "--set"]
    assert settings[-2:] == ["a.b=1", "training.max_minutes=5"]
    given.set = []
    parsed = training_parser("x", None).parse_known(fine_tuning.training_words(given, 5.0))
    config = resolve_request(request_of(*parsed), program_layer("train_main.py", {}), None)[0].config
    assert (config.optimization_level, config.model.decoder) == ("fine_tuning", "flow")
    assert config.training.max_minutes == 5.0 and config.schedule.diagonal_prior_updates == 0
    make_base(given.work / "run")
    assert "--init-from" not in fine_tuning.training_words(given, 10.0)


def test_before_after_and_ceiling_are_judged_once(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    base = make_base(tmp_path / "base")
    (tmp_path / "judge.py").write_text(JUDGE)
    trained: list[float] = []
    spoke: list[tuple[Any, ...]] = []

    def train_until(run: Path, minutes: float, words: Any, screen: Any) -> int:
        trained.append(minutes)
        return 0

    def speak(checkpoint: Path, sentences: Path, out: Path, prefer: str, screen: Any) -> int:
        spoke.append((checkpoint.name, out.name, prefer))
        rows = json.loads(sentences.read_text())
        out.mkdir(parents=True)
        (out / "list.tsv").write_text("".join(f"x.wav\t{row['text']}\t{row['reference']}\n" for row in rows))
        (out / "speech.json").write_text('{"update": 7}')
        return 0

    monkeypatch.setattr("bench.judged_training.train_until", train_until)
    monkeypatch.setattr(fine_tuning, "speak", speak)
    words = ["--base", str(base), "--data", str(root), "--work", "work", "--sentences", "2", "--seconds", "4"]
    words += ["--minutes", "5", "1", "--judge-python", sys.executable, "--judge-script", str(tmp_path / "judge.py")]
    assert fine_tuning.main(words) == 0
    assert trained == [1.0, 5.0]
    assert spoke == [("base", "before", "best"), ("run", "minutes-1", "last"), ("run", "minutes-5", "last")]
    shown = capsys.readouterr().out
    assert "base on 4 s of ann, level fine_tuning, 2 held-out sentences" in shown
    assert "word error  char. error  DNSMOS  SECS" in shown
    figures = json.loads(Path("work/fine_tuning.json").read_text())
    assert [row["mark"] for row in figures["marks"]] == ["recordings", "before", "minutes-1", "minutes-5"]
    assert [row["judged"]["secs"] for row in figures["marks"]] == [0.9, 0.5, 0.7, 0.7]
    assert {row["judged"]["clips"] for row in figures["marks"]} == {2}
    assert fine_tuning.main(words) == 0
    assert len(spoke) == 3 and len(trained) == 2
    assert len(Path("judge_calls.txt").read_text().split()) == 4, "what is done is not done twice"
    assert fine_tuning.main([*words, "--seconds", "3"]) == 2
    assert "seconds 4.0 (now 3.0)" in capsys.readouterr().err


def test_what_cannot_be_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--base", str(tmp_path / "no"), "--data", str(tmp_path), "--work", str(tmp_path / "w")]
    assert fine_tuning.main([*words, "--minutes", "0", "--seconds", "0"]) == 2
    told = capsys.readouterr().err
    assert "which is no folder; name a trained run" in told
    assert "--minutes has 0" in told and "--seconds and --longest must be over 0" in told
    assert not (tmp_path / "w").exists()
