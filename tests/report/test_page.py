"""The report page of run directories made here: complete, young, torn, hostile."""

import base64
import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_lines import train_line, validation_line

from myxtts.audio.waveform import write_wav
from myxtts.errors import DataError, StorageError
from myxtts.report import write_report
from myxtts.report.page import judge
from myxtts.report.run_files import read_run
from myxtts.report.samples import gallery

VOID = {"meta", "img", "br", "input", "link", "path"}


class Balanced(HTMLParser):
    """Checks that every element is closed where it was opened, and gathers what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def parsed(page: str) -> Balanced:
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    return parser


def write_samples(run: Path, update: int, text: str = "Hello.", name: str = "one", seconds: float = 1.0) -> Path:
    folder = run / "samples" / f"update-{update:07d}"
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(update)
    write_wav(folder / f"{name}.wav", noise.normal(0, 0.1, int(seconds * 22_050)).astype(np.float32), 22_050)
    np.savez(
        folder / f"{name}.npz",
        predicted_mel_MC=noise.normal(-5, 2, (86, 80)).astype(np.float32),
        true_mel_MC=noise.normal(-5, 2, (86, 80)).astype(np.float32),
        alignment_TM=noise.random((20, 86)).astype(np.float16),
    )
    entry = {"name": name, "text": text, "speaker": "LJ", "language": "en-us", "seconds": seconds}
    entry |= {"wav": f"{name}.wav", "npz": f"{name}.npz"}
    (folder / "index.json").write_text(json.dumps([entry]), encoding="utf-8")
    return folder


def write_validation(run: Path, update: int) -> None:
    write_samples(run, update)
    with (run / "metrics.jsonl").open("a") as file:
        file.write(validation_line(update))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of 600 updates with everything in it."""
    run = tmp_path / "voice"
    run.mkdir()
    (run / "config.yaml").write_text(
        "model_size: tiny\noptimization_level: basic\naudio: {sample_rate_hz: 22050, hop_samples: 256}\n"
        "data: {train_path: ../my <recordings>}\noptimizer: {clip_norm: 0.3}\n"
        "training: {seed: 7, best_metric: mel, batch_size: 16, grad_accum: 4}\n"
    )
    chain = [
        {"layer": "--lr", "value": 2e-5, "reason": ""},
        {"layer": "level basic", "value": 1e-5, "reason": "8e-5 is where runs diverged"},
        {"layer": "default", "value": 1e-4, "reason": ""},
    ]
    same = [{"layer": "level basic", "value": 0.9, "reason": ""}, {"layer": "default", "value": 0.9, "reason": ""}]
    (run / "provenance.json").write_text(json.dumps({"optimizer.learning_rate": chain, "optimizer.beta_1": same}))
    (run / "corpus.json").write_text(json.dumps({"speakers": ["LJ", "Mary"], "languages": ["en-us", "fa"]}))
    lines = [train_line(update) for update in range(1, 601)]
    lines[299] = train_line(300, skipped=True, loss=None, grad_norm=None)
    (run / "metrics.jsonl").write_text("".join([*lines, validation_line(500)]))
    events = [
        {"time": 1.77e9, "update": 0, "event": "start", "message": "level basic"},
        {"time": 1.77e9, "update": 300, "event": "skip", "message": "gradient norm is NaN; clip LJ001-0001"},
        {"time": 1.77e9, "update": 500, "event": "best", "metric": "mel", "value": 1.4},
    ]
    (run / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    write_samples(run, 250)
    write_samples(run, 500, text="سلام دنیا")
    return run


def test_the_page_says_what_the_run_is(run: Path) -> None:
    path = write_report(run)
    assert path == run / "report.html"
    page = path.read_text(encoding="utf-8")
    parsed(page)
    assert "<h1>voice</h1>" in page
    for fact in ("tiny", "basic", "../my &lt;recordings&gt;", "16 × 4 clips", "en-us, fa", "2026-02-02"):
        assert fact in page, fact
    assert re.search(r"<dt>Seed</dt><dd[^>]*>7</dd>", page)
    for title in ("Total loss", "Gradient norm", "Learning rate", "Speed", "Waiting for data", "KL divergence"):
        assert f"<strong>{title}</strong>" in page
    assert "clip 0.3" in page
    assert "Watch it" in page and "1 update skipped, the last at 300" in page
    assert "metric: mel, value: 1.4" in page


def test_settings_show_where_they_came_from(run: Path) -> None:
    page = write_report(run).read_text(encoding="utf-8")
    assert "<code>optimizer.learning_rate</code>" in page
    assert "1e-05 (level basic); 0.0001 (default)" in page
    assert "optimizer.beta_1" not in page


def test_the_page_needs_no_network_and_runs_nothing_from_outside(run: Path) -> None:
    page = write_report(run).read_text(encoding="utf-8")
    parser = parsed(page)
    assert parser.sources and all(source.startswith("data:") for source in parser.sources)
    assert "url(" not in page and "@import" not in page and "link" not in parser.tags
    assert "default-src 'none'" in page
    assert parser.tags.count("script") == 1


def test_samples_are_pictures_and_players(run: Path) -> None:
    page = write_report(run).read_text(encoding="utf-8")
    assert page.count("<audio controls") == 2  # newest and one earlier
    assert page.count('src="data:image/png;base64,') == 5  # the true mel is shown once
    assert '<p class="text" dir="auto">سلام دنیا</p>' in page
    wav = re.search(r'src="data:audio/wav;base64,([^"]+)"', page)
    assert wav is not None
    assert base64.b64decode(wav.group(1)) == (run / "samples/update-0000500/one.wav").read_bytes()


def test_what_the_ladder_did_is_not_lost_among_the_events(run: Path) -> None:
    saved = [{"update": u, "event": "checkpoint", "message": "saved"} for u in range(25_000)]
    taken = [
        {"update": 300, "event": "skip", "rung": 1, "message": "update 301 skipped"},
        {"update": 300, "event": "skip", "rung": 1, "message": "update 301 skipped again"},
        {"update": 300, "event": "rollback", "rung": 3, "message": "rung 3: back to update 200 from 300"},
    ]
    (run / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in [*taken, *saved]))
    page = write_report(run).read_text(encoding="utf-8")
    parsed(page)
    assert page.count("rung 3: back to update 200 from 300") == 1, "the table of all events shows the newest alone"
    assert re.search(r"<td>a bad update was skipped</td><td[^>]*>2</td>", page)
    assert re.search(r"<td>rolled back to a healthy checkpoint</td><td[^>]*>1</td>", page)


def test_text_of_users_is_escaped(run: Path) -> None:
    write_samples(run, 600, text="</p><script>alert(1)</script>", name="x")
    with (run / "events.jsonl").open("a") as file:
        file.write(json.dumps({"update": 600, "event": "<img src=x>", "message": '"><b onclick=x>\ud800'}) + "\n")
    with (run / "metrics.jsonl").open("a") as file:
        file.write(train_line(601, terms={"</figure><script>": 1.0}))
    parser = parsed(write_report(run).read_text(encoding="utf-8"))
    assert parser.tags.count("script") == 1
    assert all(source.startswith("data:") for source in parser.sources)


def test_a_young_run_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model_size: tiny\n")
    page = write_report(tmp_path).read_text(encoding="utf-8")
    parsed(page)
    for words in (
        "No updates yet",
        "No loss terms yet",
        "No samples yet",
        "No events yet",
        "nothing was skipped, and the run was never rolled back",
        "There is no metrics.jsonl",
        "too early to judge: 0 of 100 updates",
    ):
        assert words.lower() in page.lower(), words


def test_torn_and_foreign_lines_are_ignored_and_reported(run: Path) -> None:
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b'[1]\n\xff\xfe\n{"kind":"train","update":"x"}\n{"kind":"train","update":1e999}\n')
        file.write(b'{"kind":"other","update":9}\n{"kind":"train","update":601,"loss":"high","terms":[1]}\n')
        file.write(b"[" * 100_000 + b'\n{"kind":"train","upd')
    page = write_report(run).read_text(encoding="utf-8")
    assert "4 lines of metrics.jsonl could not be read and are ignored (first: line 602)" in page
    assert "2 entries of metrics.jsonl have no update number" in page
    assert "<strong>601</strong>" in page


@pytest.mark.parametrize("name", ["config.yaml", "provenance.json", "corpus.json"])
def test_a_damaged_file_is_reported(run: Path, name: str) -> None:
    (run / name).write_bytes(b"[}{: \xff")
    page = write_report(run).read_text(encoding="utf-8")
    assert f"{name} is not readable" in page


def test_damaged_samples_are_reported(run: Path) -> None:
    folder = write_samples(run, 600)
    (folder / "one.npz").write_bytes((folder / "one.npz").read_bytes()[:2_000])
    (folder / "one.wav").unlink()
    (run / "samples" / "update-0000800").mkdir()
    page = write_report(run).read_text(encoding="utf-8")
    assert "&#39;one.wav&#39; is missing" in page
    assert "&#39;one.npz&#39; cannot be read (BadZipFile)" in page
    assert "samples/update-0000800/index.json is missing or not readable" in page


def test_arrays_that_are_not_pictures_are_reported(run: Path) -> None:
    folder = write_samples(run, 600)
    np.savez(folder / "one.npz", predicted_mel_MC=np.zeros(5), alignment_TM=np.full((3, 4), np.nan))
    shown = gallery(read_run(run)).sentences[0].newest
    assert [picture.title for picture in shown.pictures] == ["Alignment"]
    assert "predicted_mel_MC of 'one.npz' is not a picture: float64 of shape (5,)." in shown.notes


def test_pickled_arrays_are_rejected(run: Path) -> None:
    folder = write_samples(run, 600)
    np.savez(folder / "one.npz", predicted_mel_MC=np.array([[{}]], dtype=object))
    assert "'one.npz' cannot be read (ValueError)." in gallery(read_run(run)).sentences[0].newest.notes


def test_an_index_cannot_name_files_elsewhere(run: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(b"secret")
    folder = write_samples(run, 600)
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    names = ["../../../secret.wav", str(tmp_path / "secret.wav"), "link.wav", "..", 3]
    (folder / "index.json").write_text(json.dumps([{"name": str(name), "wav": name} for name in names]))
    shown = gallery(read_run(run))
    assert [sentence.newest.audio for sentence in shown.sentences] == [""] * 5
    notes = [sentence.newest.notes[0] for sentence in shown.sentences]
    assert all("is missing" in note or "cannot be read" in note for note in notes)


def test_the_page_stays_small_newest_first(run: Path) -> None:
    for update in (750, 1_000):
        write_validation(run, update)
    shown = gallery(read_run(run), max_bytes=90_000)
    assert shown.sentences[0].newest.audio and shown.update == 1_000
    assert not shown.sentences[0].earlier[-1].audio
    assert shown.notes[0].startswith("Pictures and sounds are limited to 0 MB, newest first. Omitted: ")
    assert "of update 750" in shown.notes[0] and "of update 1,000" not in shown.notes[0]


def test_a_few_earlier_validations_are_shown(run: Path) -> None:
    for update in range(750, 4_001, 250):
        write_validation(run, update)
    assert [take.update for take in gallery(read_run(run)).sentences[0].earlier] == [2_000, 1_000, 250]


def test_samples_of_before_a_rollback_are_not_shown(run: Path) -> None:
    for update in (550, 700, 1_000):
        write_samples(run, update)
    shown = gallery(read_run(run))
    assert shown.update == 550 and [take.update for take in shown.sentences[0].earlier] == [500, 250]
    note = "Omitted: samples of update 700, 1,000; the metrics end at 600 (the run was rolled back, or is still "
    note += "writing them)."
    assert shown.notes == [note] and note in write_report(run).read_text(encoding="utf-8")
    (run / "metrics.jsonl").write_text(train_line(200))
    shown = gallery(read_run(run))
    assert shown.sentences == [] and shown.notes[0].startswith("No samples yet") and "end at 200" in shown.notes[1]
    (run / "metrics.jsonl").unlink()
    assert gallery(read_run(run)).update == 1_000, "without metrics nothing is known to be from before a rollback"


def test_a_resumed_run_counts_every_update_once(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.writelines(train_line(update, loss=1.0) for update in range(400, 451))
    read = read_run(run)
    assert read.train.updates == list(range(1, 451))
    assert read.train.values["loss"][399:] == [1.0] * 51
    assert read.validations == []


def test_a_skipped_update_and_its_repetition_are_both_kept(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write(train_line(601, skipped=True) + train_line(601))
    read = read_run(run)
    assert (read.train.updates[-2:], read.train.skipped[-2:]) == ([601, 601], [True, False])


def test_health_follows_from_the_files_alone(run: Path) -> None:
    lines = [train_line(update, grad_norm=2.0, wait_share=0.4) for update in range(1, 301)]
    (run / "metrics.jsonl").write_text("".join(lines))
    verdict = judge(read_run(run)).verdict()
    assert verdict.sign == "watch"
    assert len(verdict.reasons) == 2 and "gradient norm 2 is not under 1" in verdict.reasons[0]


def test_a_long_run_gives_a_small_page_quickly(run: Path) -> None:
    line = train_line(7)
    (run / "metrics.jsonl").write_text("".join(line.replace('"update": 7', f'"update": {u}') for u in range(30_000)))
    (run / "samples").rename(run / "elsewhere")
    started = time.process_time()
    size = write_report(run).stat().st_size
    assert size < 300_000
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_text(""), "is a file"),
        (lambda path: path.mkdir(), "is not a run directory: it has none of config.yaml, metrics.jsonl"),
    ],
)
def test_what_is_not_a_run_is_rejected(tmp_path: Path, make: Any, words: str) -> None:
    path = tmp_path / "thing"
    make(path)
    with pytest.raises(DataError) as caught:
        write_report(path)
    assert words in str(caught.value) and "--checkpoint-dir" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (path / "report.html").exists()


def test_an_unwritable_page_is_a_storage_error(run: Path) -> None:
    (run / "report.html").mkdir()
    with pytest.raises(StorageError, match=r"writing failed at .*report\.html"):
        write_report(run)
    assert [path.name for path in run.iterdir() if path.name.startswith("tmp.")] == []
