"""Who speaks what in bench.cloning: strangers speak each other's texts, known voices their own held-out sentences."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bench import cloning, results, sweep_levels, sweep_voices, told_apart
from myxtts.cli.arguments import request_of, training_parser
from myxtts.cli.train import resolve_request
from myxtts.config.resolve import program_layer
from myxtts.config.schema import Config, DataConfig, TextConfig, TrainingConfig
from myxtts.data.prepare import Prepared, prepare
from myxtts.errors import ConfigError
from myxtts.progress import silent
from tests.data.made_recordings import make_root

FloatArray = npt.NDArray[np.float32]
CLIPS, SPEAKERS = 15, 5


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    root = make_root(tmp_path / "root", clips=CLIPS)
    rows = [f"c{i}|Say it again number {i}.|s{i % SPEAKERS}" for i in range(CLIPS)]
    (root / "metadata.csv").write_text("id|text|speaker\n" + "\n".join(rows) + "\n")
    data = DataConfig(
        train_path=str(root),
        cache_path=str(tmp_path / "cache"),
        num_workers=1,
        held_out_speakers=3,
        validation_share=0.3,
    )
    config = Config(text=TextConfig(symbols="characters"), data=data, training=TrainingConfig(batch_size=4))
    return prepare(config, silent)


def test_strangers_speak_the_text_of_the_next_one_in_their_own_voice(prepared: Prepared) -> None:
    known = set(prepared.corpus.speakers)
    found = cloning.readers(prepared.validation, known)
    assert len(found) == 3 and not {row.speaker for row in found} & known
    own = {row.speaker: row for row in cloning.recordings(prepared.validation, known)}
    for at, row in enumerate(found):
        assert row.recording == row.reference == own[row.speaker].recording
        assert row.text == own[found[(at + 1) % 3].speaker].text != own[row.speaker].text


def test_known_voices_speak_held_out_sentences_with_a_training_recording_as_reference(prepared: Prepared) -> None:
    trained = {str(u.audio_path): u.speaker for u in prepared.train.utterances}
    found = cloning.sentences(prepared.train, prepared.validation, 20, 100)
    assert found and {row.speaker for row in found} <= set(prepared.corpus.speakers)
    assert all(trained[row.reference] == row.speaker and row.recording not in trained for row in found)
    assert len(cloning.sentences(prepared.train, prepared.validation, 1, 100)) == 1


def test_the_training_command_names_all_roots_and_who_is_held_out(tmp_path: Path) -> None:
    given = cloning.Namespace(
        data=[Path("/a"), Path("/b")],
        work=tmp_path,
        size="tiny",
        level="enhanced",
        set=["loss.mel_weight=2"],
        readers=20,
    )
    words = cloning.training_words(given, 30.0)
    assert words[1] == os.pathsep.join(("/a", "/b"))
    settings = [word for before, word in pairwise(words) if before == "--set"]
    assert "data.held_out_speakers=20" in settings and "loss.mel_weight=2" in settings
    assert settings[-1] == "training.max_minutes=30"


def test_every_variant_of_the_sweep_is_a_setting_that_can_be_and_changes_one_thing(tmp_path: Path) -> None:
    given = sweep_levels.Namespace(
        work=tmp_path, size="tiny", set=[], minutes=6.0, language="en-us", data=tmp_path, sentences=20
    )
    seen = set()
    for name in sweep_levels.VARIANTS:
        parsed = training_parser("train_main.py", None).parse_known(sweep_levels.training_words(given, name))
        config = resolve_request(request_of(*parsed), program_layer("train_main.py", {}), None)[0].config
        assert config.optimization_level == "enhanced" and config.training.max_minutes == 6.0
        batch = name.removeprefix("batch ").partition(",")[0] if name.startswith("batch") else "16"
        assert config.training.batch_size == int(batch)
        seen.add(dataclasses.replace(config, training=dataclasses.replace(config.training, checkpoint_dir="")))
    assert len(seen) == len(sweep_levels.VARIANTS)
    folders = {sweep_levels.folder_of(name) for name in sweep_levels.VARIANTS}
    assert len(folders) == len(sweep_levels.VARIANTS) and all("/" not in f and " " not in f for f in folders)


def test_a_variant_that_does_not_exist_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep_levels.main(["--data", str(tmp_path), "--work", str(tmp_path / "w"), "--only", "rate tripled"]) == 2
    assert "--only has 'rate tripled'; there are: batch 16, other chance" in capsys.readouterr().err


def test_a_batch_size_for_all_variants_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", str(tmp_path), "--work", str(tmp_path / "w"), "--set", "training.batch_size=8"]
    assert sweep_levels.main(words) == 2
    assert "every variant carries its own; --only 'batch 8' trains with 8" in capsys.readouterr().err


def rows_of(heading: str) -> list[str]:
    """Names of the rows of all tables of variants in a section of docs/measurements.md."""
    page = (results.ROOT / "docs" / "measurements.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    tables = re.findall(r"^\| variant \|.*\n\|[ |-]+\n((?:\|.*\n)+)", section, re.M)
    return [line.split("|")[1].strip() for table in tables for line in table.splitlines()]


def test_the_rows_of_the_measurements_are_variants_of_the_scripts() -> None:
    found = rows_of("The level enhanced")
    assert len(found) == 21 and set(found) <= set(sweep_levels.VARIANTS)
    found = [name.partition(",")[0] for name in rows_of("Voice weights and augmentations")]
    assert len(found) == 15 and set(found) <= set(sweep_voices.VARIANTS)


def test_the_table_of_the_voices_says_how_near_halves_of_one_and_of_two_people_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = sweep_voices.Namespace(work=tmp_path, data=[tmp_path], size="tiny", minutes=12.0, set=[], readers=20)
    heard = {"same": 0.954, "other": 0.396, "equal_error_rate": 0.05}
    told = {how: {**heard, "same": 0.954 if how == "clean" else 0.2} for how in told_apart.HEARD}
    record = {"name": sweep_voices.BASE, "updates": 743, "validation": {}, "told_apart": told}
    results.write_json(sweep_voices.record_of(given, sweep_voices.BASE), record)
    sweep_voices._table(given, None)
    head, _, row = capsys.readouterr().out.splitlines()[1:4]
    assert "same, other" in head and "0.95, 0.40" in row


def test_every_variant_of_the_voices_is_a_setting_that_can_be_and_changes_something(tmp_path: Path) -> None:
    given = sweep_voices.Namespace(
        work=tmp_path,
        size="tiny",
        set=["training.segment_seconds=2.5"],
        minutes=12.0,
        readers=3,
        sentences=0,
        data=[tmp_path],
        judge_python=None,
    )
    seen = set()
    for name in sweep_voices.VARIANTS:
        words = sweep_voices.cloning_words(given, name)
        asked = [setting for at, setting in enumerate(words) if at and words[at - 1] == "--set"]
        assert asked[0] == "training.segment_seconds=2.5" and set(sweep_voices.VARIANTS[name]) <= set(asked)
        trained = ["--train-data", str(tmp_path), *(word for setting in asked for word in ("--set", setting))]
        parsed = training_parser("train_main.py", None).parse_known(trained)
        config = resolve_request(request_of(*parsed), program_layer("train_main.py", {}), None)[0].config
        augmented = [getattr(config.data, key) > 0.0 for key in dataclasses.asdict(config.data) if "augment" in key]
        assert sum(augmented) == sum("augment" in setting for setting in sweep_voices.VARIANTS[name])
        seen.add(config)
    assert len(seen) == len(sweep_voices.VARIANTS)


def test_the_second_half_is_heard_as_it_is_called() -> None:
    rate = 22_050
    seconds = np.arange(2 * rate) / rate
    tone = {hz: (0.1 * np.sin(2.0 * np.pi * hz * seconds)).astype(np.float32) for hz in (100, 1_000, 6_000)}

    def level(samples: FloatArray) -> float:
        return float(np.sqrt(np.mean(samples[rate // 2 :] ** 2)))

    assert 20.0 * math.log10(level(told_apart.softer(tone[1_000], rate)) / level(tone[1_000])) == pytest.approx(-12.0)
    for hz, low, high in ((100, 0.0, 0.1), (1_000, 0.95, 1.05), (6_000, 0.0, 0.1)):
        assert low <= level(told_apart.telephone(tone[hz], rate)) / level(tone[hz]) <= high
    noise = told_apart.noisy(tone[1_000], rate) - tone[1_000]
    assert 20.0 * math.log10(level(tone[1_000]) / level(noise)) == pytest.approx(20.0, abs=0.5)
    assert len(told_apart.faster(tone[1_000], rate)) == pytest.approx(2 * rate / 1.1, abs=2)


def test_too_few_readers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cloning.main(["--data", str(tmp_path), "--work", str(tmp_path / "w"), "--readers", "1"])
    assert code == ConfigError("x").exit_code
    assert "--readers at least 2" in capsys.readouterr().err
