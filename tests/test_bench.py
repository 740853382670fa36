"""The measurements: what they choose, read and draw; they are measured elsewhere."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import stand_in_judge

from bench import held_out, recordings, results
from bench.judged_training import JUDGE
from myxtts.audio.waveform import write_wav
from myxtts.cli.arguments import request_of, training_parser
from myxtts.cli.train import resolve_request
from myxtts.config.resolve import program_layer
from myxtts.data.manifest import read_root
from myxtts.data.records import Utterance
from myxtts.errors import ConfigError, DataError

NO_MEASUREMENTS = ("starter", "peer_worker")
SCRIPTS = sorted(
    path.stem
    for path in (results.ROOT / "bench").glob("*.py")
    if "__main__" in path.read_text(encoding="utf-8") and path.stem not in ("__init__", *NO_MEASUREMENTS)
)


def utterance(number: int, text: str) -> Utterance:
    return Utterance(f"clip-{number}", Path(f"{number}.wav"), text, "ann", "en-us", f"metadata.csv:{number + 1}")


def test_every_script_has_a_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in SCRIPTS:
        with pytest.raises(SystemExit) as left:
            importlib.import_module(f"bench.{name}").main(["--help"])
        shown = capsys.readouterr().out
        assert left.value.code == 0
        assert f"python -m bench.{name}" in shown and "--json FILE" in shown


def test_the_readme_of_bench_names_every_script() -> None:
    text = (results.ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    assert [name for name in SCRIPTS if f"`{name}`" not in text] == []


def test_held_out_sentences_are_spread_unique_and_the_same_for_any_order() -> None:
    utterances = [utterance(n, f"a sentence that has number {n}") for n in range(40)]
    utterances += [
        utterance(40, "too short"),
        utterance(41, "said twice in here"),
        utterance(42, "Said twice, in here."),
    ]
    seconds = [0.1 * n for n in range(40)] + [1.0, 1.0, 1.0]
    chosen = held_out.choose(utterances, seconds, 4)
    assert [int(seconds[row]) for row in chosen] == [0, 1, 2, 3]
    assert not {40, 41, 42} & set(chosen)
    back = held_out.choose(utterances[::-1], seconds[::-1], 4)
    assert {utterances[::-1][row].id for row in back} == {utterances[row].id for row in chosen}


def test_too_few_sentences_are_an_error_that_says_how_many() -> None:
    with pytest.raises(DataError, match=r"1 sentences of 4 words.*at least 4.*--sentences"):
        held_out.choose([utterance(0, "one two three four")], [2.0], 2)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "wavs").mkdir(parents=True)
    rows = []
    for number in range(6):
        noise = 0.1 * np.random.default_rng(number).standard_normal(22_050 + 2_205 * number)
        write_wav(source / "wavs" / f"clip{number}.wav", noise.astype(np.float32), 22_050)
        rows.append(
            f"clip{number}|this is | sentence number {number}".replace(" | ", " ") + f" of six|voice{number % 2}"
        )
    (source / "metadata.csv").write_text("id|text|speaker\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return source


def test_the_copy_is_a_root_that_the_program_reads(root: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    told: list[int] = []
    held = held_out.make_root(root, work, 2, "en-us", lambda task, done, total: told.append(done))
    train = read_root(work / "data", "train", "en-us")
    held_again = read_root(work / "data", "val", "en-us")
    assert told == [1, 2, 3, 4, 5, 6]
    assert not train.rejections and not held_again.rejections
    assert len(train.utterances) == 4
    assert [u.text for u in held_again.utterances] == [sentence.text for sentence in held]
    assert not {u.id for u in train.utterances} & {u.id for u in held_again.utterances}
    for sentence in held:
        reference = next(u for u in train.utterances if str(u.audio_path) == sentence.reference)
        assert reference.speaker == sentence.speaker
    assert held_out.make_root(tmp_path / "gone", work, 2, "en-us", lambda *_: None) == held


def test_another_measurement_in_the_same_folder_is_refused(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    stored = {"data": str(root.resolve()), "size": "small", "level": "enhanced", "set": [], "sentences": 2}
    (work / "settings.json").write_text(json.dumps({**stored, "language": "en-us", "prefer": "last"}), encoding="utf-8")
    code = recordings.main(["--data", str(root), "--work", str(work), "--sentences", "2"])
    assert code == 2
    assert "size 'small' (now 'tiny')" in capsys.readouterr().err


def test_a_judge_of_ones_own_needs_a_python(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = recordings.main(
        ["--data", str(root), "--work", str(tmp_path / "w"), "--judge-script", str(tmp_path / "no.py")]
    )
    assert code == 2
    told = capsys.readouterr().err
    assert "--judge-script needs --judge-python" in told and "which is no file" in told
    assert not (tmp_path / "w").exists()


def test_the_training_of_recordings_is_one_that_the_program_takes(tmp_path: Path) -> None:
    given = recordings.Namespace(
        work=tmp_path, size="tiny", level="basic", set=["training.threads=1"], language="en-us", minutes=[10.0]
    )
    words = recordings.training_words(given, 10.0)
    request = request_of(*training_parser("train_main.py", None).parse_known(words))
    resolved, built_in = resolve_request(request, program_layer("train_main.py", {}), None)
    assert not built_in
    assert resolved.config.training.max_minutes == 10.0
    assert resolved.config.training.early_stopping_validations == 1_000_000
    assert resolved.config.training.threads == 1
    with pytest.raises(ConfigError):
        words[words.index("basic")] = "basics"
        resolve_request(
            request_of(*training_parser("train_main.py", None).parse_known(words)), program_layer("x", {}), None
        )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_throughput_is_measured_with_the_loop_of_the_program(root: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    words = ["--data", str(root), "--windows", "2", "--updates", "2", "--json", str(figures)]
    for setting in ("width=16", "heads=2", "decoder_blocks=1", "text_blocks=1", "speaker_width=16"):
        words += ["--set", f"model.{setting}"]
    words += ["--set", "training.batch_size=2", "--set", "training.threads=1", "--set", "data.num_workers=1"]
    words += ["--set", f"data.cache_path={tmp_path / 'cache'}"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.train_throughput", *words],
        cwd=results.ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "peak memory" in done.stdout
    measured = json.loads(figures.read_text(encoding="utf-8"))
    assert [window["updates"] for window in measured["windows"]] == [2, 2]
    assert all(window["frames"] > 100 and window["seconds"] > 0 for window in measured["windows"])
    assert 0.0 <= measured["wait_share"] <= 1.0


def test_the_judge_of_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins for its models, which recognize "hello en." in every clip; totals are over words, not clips."""
    (tmp_path / "modules").mkdir()
    stand_in_judge.install(tmp_path / "modules", monkeypatch)
    lines = ["a.wav\tHello.\treference.wav", "b.wav\tGood morning, hello en.\t"]
    (tmp_path / "list.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = [sys.executable, str(JUDGE), str(tmp_path / "list.tsv"), "--json", str(tmp_path / "found.json")]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True)
    assert "a.wav  wer 1.00  cer 0.60  dnsmos 2.50  secs 0.60  recognized: hello en." in done.stdout
    found = json.loads((tmp_path / "found.json").read_text())
    assert [clip["secs"] for clip in found["clips"]] == [pytest.approx(0.6), None]
    assert found["total"]["wer"] == pytest.approx((1 + 2) / (1 + 4)) and found["total"]["secs"] == pytest.approx(0.6)
    assert (found["total"]["clips"], found["total"]["dnsmos"]) == (2, 2.5)
