"""`python -m myxtts demo`: what it trains, when it continues, and what it speaks. No network is trained here."""

import json
from pathlib import Path

import made_model
import numpy as np
import pytest

from myxtts.audio.waveform import write_wav
from myxtts.cli import demo
from myxtts.demo import corpus as demo_corpus
from myxtts.text.symbols import default_table


def write_events(run: Path, *names: str) -> None:
    run.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"time": 1.0, "update": at, "event": name, "message": ""}) for at, name in enumerate(names)]
    (run / "events.jsonl").write_text("".join(line + "\n" for line in lines))


def test_what_is_spoken_is_in_no_training_clip() -> None:
    trained = {clip.text for clip in demo_corpus.clips() if clip.split == "train"}
    voices = {speaker.name: speaker.voice.language for speaker in demo_corpus.SPEAKERS}
    assert len({spoken.speaker for spoken in demo.SENTENCES}) == len(demo.SENTENCES) == 3
    for spoken in demo.SENTENCES:
        assert spoken.text not in trained and voices[spoken.speaker] == spoken.language


@pytest.mark.parametrize(
    ("events", "finished"),
    [
        ((), False),
        (("start", "checkpoint"), False),
        (("start", "end", "checkpoint"), True),
        (("start", "signal"), False),
        (("start", "end", "resume", "best"), False),
        (("start", "early_stop"), True),
    ],
)
def test_whether_the_training_is_finished(tmp_path: Path, events: tuple[str, ...], finished: bool) -> None:
    write_events(tmp_path, *events)
    assert demo.is_finished(tmp_path) is finished


@pytest.mark.parametrize("from_scratch", [False, True])
def test_it_trains_on_the_built_in_corpus_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_scratch: bool
) -> None:
    """Never on data that happens to lie at the default path."""
    root = tmp_path / "demo-1"
    root.mkdir()
    (root / "metadata_eval.csv").touch()
    monkeypatch.setattr(demo_corpus, "ensure", lambda cache, progress: root)
    seen: list[list[str]] = []
    monkeypatch.setattr(demo.train, "main", lambda words, **kwargs: seen.append(words) or 75)
    monkeypatch.setattr(demo, "_speak_before", lambda *_: seen.append(["before"]))
    monkeypatch.setattr(demo, "_clips_of", lambda *_: {})
    words = ["--out", str(tmp_path / "out"), "--minutes", "2", *(["--from-scratch"] if from_scratch else [])]
    assert demo.main(words) == 75
    *before, words = seen
    assert before == ([] if from_scratch else [["before"]])
    assert words[:4] == ["--train-data", str(root), "--val-data", str(root)]
    assert words[words.index("--optimization-level") + 1] == ("enhanced" if from_scratch else "fine_tuning")
    assert words[words.index("--checkpoint-dir") + 1] == str(tmp_path / "out" / "run")
    assert "training.max_minutes=2" in words and ("--init-from" in words) is not from_scratch


def test_persian_recordings_need_and_get_their_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wavs").mkdir()
    texts = ["سلام، حال شما چطور است؟", "هوا سرد است.", "باران می\u200cبارد.", "کتاب کجاست؟"]
    rows = [f"c{number}|{text}|{text}" for number, text in enumerate(texts)]
    (tmp_path / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    for number in range(len(texts)):
        write_wav(tmp_path / "wavs" / f"c{number}.wav", np.full(22_050, 0.1, np.float32), 22_050)
    trained: list[list[str]] = []
    before: list[str] = []
    monkeypatch.setattr(demo.train, "main", lambda words, **kwargs: trained.append(words) or 75)
    monkeypatch.setattr(
        demo, "_speak_before", lambda out, clips, _: before.extend(u[0].language for u in clips.values())
    )
    words = ["--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert demo.main(words) == 2 and not trained and not before
    assert "--language fa for Persian" in capsys.readouterr().err
    assert demo.main([*words, "--language", "fa"]) == 75
    assert before == ["fa"] and trained[0][-2:] == ["--language", "fa"]
    assert demo.main(["--language", "fa"]) == 2
    run = tmp_path / "out" / "run"
    run.mkdir(parents=True)
    data = json.dumps({"train_path": str(tmp_path)})
    (run / "config.yaml").write_text(f'data: {data}\ntext: {{"language": "fa"}}\n', encoding="utf-8")
    assert demo.languages_of(run, [tmp_path.name]) == [(tmp_path.name, "fa")]
    (tmp_path / "metadata.csv").unlink()
    assert demo.languages_of(run, ["sara"]) == [("sara", "fa")]


def test_a_run_that_goes_on_begins_nowhere(tmp_path: Path) -> None:
    words = demo.training_words(tmp_path, "data", 2.0, from_scratch=False, new=False)
    assert "--init-from" not in words and "fine_tuning" in words


def test_sentences_for_the_speakers_of_a_user() -> None:
    chosen = demo.sentences_of([("a", "en-us"), ("a@0.9", "en-us"), ("b", "fa"), ("c", "en-us"), ("d", "fa")])
    assert [(s.speaker, s.language) for s in chosen] == [("a", "en-us"), ("b", "fa"), ("c", "en-us")]
    assert any("\u0600" < letter < "\u06ff" for letter in chosen[1].text) and chosen[0].text.isascii()
    built_in = [(speaker.name, speaker.voice.language) for speaker in demo_corpus.SPEAKERS]
    assert demo.sentences_of(built_in) == list(demo.SENTENCES)


def test_a_finished_run_speaks_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    spoken = [demo.DemoSentence(name, "en-us", "A good day.") for name in made_model.SPEAKERS]
    monkeypatch.setattr(demo, "SENTENCES", spoken)
    monkeypatch.setattr(demo.train, "main", lambda *_, **__: pytest.fail("trained a finished run"))
    made_model.save_run(run, made_model.resolved(), made_model.corpus(symbols=default_table("phonemes").to_json()))
    (run / "config.yaml").write_text((run / "checkpoints" / "step-00000010" / "config.yaml").read_text())
    write_events(run, "start", "end")
    assert demo.main(["--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "is already finished" in printed and "-m myxtts speak --checkpoint" in printed
    assert f"Report: {run / 'report.html'}" in printed
    for name in made_model.SPEAKERS:
        assert (tmp_path / f"{name}.wav").stat().st_size > 1_000 and f"{tmp_path / name}.wav" in printed


def test_more_minutes_go_on_with_a_finished_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    write_events(run, "start", "end")
    (run / "config.yaml").write_text("training:\n  max_minutes: 9.0\n")
    monkeypatch.setattr(demo_corpus, "ensure", lambda cache, progress: tmp_path / "demo-1")
    seen: list[str] = []
    monkeypatch.setattr(demo.train, "main", lambda words, **kwargs: seen.append(words[words.index("--set") + 1]) or 0)
    monkeypatch.setattr(demo, "_clips_of", lambda *_: {})
    monkeypatch.setattr(demo, "_speak_before", lambda *_: None)
    monkeypatch.setattr(demo, "_speak", lambda *_: seen.append("spoken"))
    assert demo.main(["--out", str(tmp_path), "--minutes", "30"]) == 0
    assert seen == ["training.max_minutes=30", "spoken"]
    for minutes in ("9", "2"):
        seen.clear()
        assert demo.main(["--out", str(tmp_path), "--minutes", minutes]) == 0 and seen == ["spoken"]


def test_a_finished_run_without_a_time_limit_only_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_events(tmp_path / "run", "start", "end")
    (tmp_path / "run" / "config.yaml").write_text("training:\n  max_minutes: 0.0\n")
    monkeypatch.setattr(demo.train, "main", lambda *_, **__: pytest.fail("trained a finished run"))
    monkeypatch.setattr(demo, "_speak", lambda *_: None)
    assert demo.main(["--out", str(tmp_path), "--minutes", "30"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--minutes", "0"], "--minutes is 0.0, expected 0.05 to 10000"),
        (["--mintes", "1"], "did you mean --minutes?"),
        (["--out", __file__], "which is a file; name a folder"),
    ],
)
def test_mistakes(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
