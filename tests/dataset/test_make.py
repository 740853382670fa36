"""A data set of a long recording: right texts at right clips, resumable, and nothing that a person made is lost."""

from __future__ import annotations

import csv
import hashlib
import re
from pathlib import Path

import pytest
import soundfile
from long_recordings import SENTENCES, KnowsTheTruth, LongRecording, assemble

from myxtts.audio.activity import measure_sound
from myxtts.data.manifest import read_root
from myxtts.dataset.make import MakeOptions, Maker
from myxtts.dataset.recordings import find_recordings
from myxtts.dataset.sound import ANALYSIS
from myxtts.dataset.words import key_words
from myxtts.errors import DataError
from myxtts.progress import silent

OPTIONS = MakeOptions("en-us", "ann")


def make(
    place: Path, root: Path, recognizer: KnowsTheTruth | None, text: str = "", options: MakeOptions = OPTIONS
) -> object:
    return Maker(find_recordings(place), root, options, recognizer, {"": text} if text else {}).make(silent)


def rows_of(root: Path) -> list[dict[str, str]]:
    with (root / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE))


def cuts_of(root: Path) -> list[dict[str, str]]:
    with (root / "cuts.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def content_of(root: Path) -> dict[str, str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def sentences_in(root: Path, recording: LongRecording) -> dict[str, str]:
    """id -> the sentences that are spoken in its clip."""
    found = {}
    for cut in cuts_of(root):
        inside = [
            text
            for start, end, kind, text in recording.truth
            if kind == "speech" and float(cut["start"]) < 0.5 * (start + end) < float(cut["end"])
        ]
        if cut["id"]:
            found[cut["id"]] = " ".join(inside)
    return found


def words_of(text: str) -> list[str]:
    return key_words(text, "en-us")


def test_clips_have_their_texts_level_and_length(chapter: LongRecording, tmp_path: Path) -> None:
    root = tmp_path / "set"
    made = make(chapter.write(tmp_path / "book.wav"), root, KnowsTheTruth(chapter, {"rider": "writer"}))
    truth = sentences_in(root, chapter)
    rows = rows_of(root)
    assert " ".join(truth.values()) == " ".join(SENTENCES)
    for row in rows:
        wanted = truth[row["id"]].replace("rider", "writer")
        assert row["text"] == wanted and row["speaker"] == "ann" and row["language"] == "en-us"
        assert (float(row["confidence"]) < 0.8) == ("writer" in wanted)
        samples, rate = soundfile.read(root / "wavs" / f"{row['id']}.wav", dtype="float32")
        assert rate == 22_050 and 2.0 <= len(samples) / rate <= 12.0
        assert measure_sound(samples, ANALYSIS)[1] == pytest.approx(-23.0, abs=1.5)
        assert abs(samples[0]) < 1e-3 and abs(samples[-1]) < 1e-3
    reasons = {cut["reason"] for cut in cuts_of(root)}
    assert {"music or tones", "noise"} <= reasons
    assert made.clips == len(rows) and made.doubtful == 1 and made.dropped["noise"] > 3.0  # type: ignore[attr-defined]
    assert not (root / ".work").exists()


def test_the_trainer_reads_it(chapter: LongRecording, tmp_path: Path) -> None:
    root = tmp_path / "set"
    make(chapter.write(tmp_path / "book.wav"), root, KnowsTheTruth(chapter))
    manifest = read_root(root, "train", "en-us")
    assert [u.text for u in manifest.utterances] == [row["text"] for row in rows_of(root)]
    assert {(u.speaker, u.language) for u in manifest.utterances} == {("ann", "en-us")} and not manifest.rejections


def test_a_transcript_wins_over_what_was_recognized(chapter: LongRecording, tmp_path: Path) -> None:
    root = tmp_path / "set"
    text = f"CHAPTER ONE AND ONLY {chapter.text} THE VERY END".replace("harbour", "Harbour")
    recognizer = KnowsTheTruth(chapter, {"rider": "writer", "harbour": "harbor", "counted": "county"})
    make(chapter.write(tmp_path / "book.flac", 44_100), root, recognizer, text)
    truth = sentences_in(root, chapter)
    assert {row["id"]: row["text"].replace("Harbour", "harbour") for row in rows_of(root)} == truth
    assert all(float(row["confidence"]) > 0.8 for row in rows_of(root))
    assert soundfile.info(root / "wavs" / f"{rows_of(root)[0]['id']}.wav").samplerate == 44_100


def test_what_the_transcript_lacks_is_dropped(chapter: LongRecording, tmp_path: Path) -> None:
    root = tmp_path / "set"
    make(chapter.write(tmp_path / "book.wav"), root, KnowsTheTruth(chapter), " ".join(SENTENCES[2:]))
    dropped = [cut for cut in cuts_of(root) if cut["reason"] == "not in the transcript"]
    assert dropped and all("morning" in cut["value"] or "waited" in cut["value"] for cut in dropped)
    assert words_of(" ".join(row["text"] for row in rows_of(root))) == words_of(" ".join(SENTENCES[2:]))


def test_several_recordings_of_one_text_and_speakers_in_folders(
    spoken: dict[str, object], chapter: LongRecording, tmp_path: Path
) -> None:
    first, second = assemble(spoken, SENTENCES[:3]), assemble(spoken, SENTENCES[3:])  # type: ignore[arg-type]
    first.write(tmp_path / "in" / "bob" / "1.wav")
    second.write(tmp_path / "in" / "part 2.wav")

    class Both:
        def recognize(self, samples_N: object) -> object:
            self.calls = getattr(self, "calls", 0) + 1
            return KnowsTheTruth(first if self.calls == 1 else second).recognize(samples_N)  # type: ignore[arg-type]

    root = tmp_path / "set"
    make(tmp_path / "in", root, Both(), " ".join(SENTENCES))  # type: ignore[arg-type]
    rows = rows_of(root)
    assert {row["speaker"]: row["id"].rpartition("-")[0] for row in rows} == {"bob": "1", "ann": "part-2"}
    assert " ".join(row["text"] for row in rows if row["speaker"] == "bob") == " ".join(SENTENCES[:3])


def test_an_interrupted_run_continues_and_ends_with_identical_files(
    spoken: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = assemble(spoken, (SENTENCES * 3)[:14])  # type: ignore[arg-type]
    place = recording.write(tmp_path / "book.wav")
    whole, broken = tmp_path / "whole" / "set", tmp_path / "broken" / "set"
    whole.parent.mkdir()
    broken.parent.mkdir()
    recognizer = KnowsTheTruth(recording)
    make(place, whole, recognizer)
    assert recognizer.calls >= 2
    with pytest.raises(KeyboardInterrupt):
        make(place, broken, KnowsTheTruth(recording, stop_after=1))
    assert not (broken / "metadata.csv").exists() and not (broken / "wavs").exists()
    (journal,) = (broken / ".work").glob("*.words")
    with journal.open("ab") as file:
        file.write(b'{"part": "0.00')  # a kill in the middle of a line
    rest = KnowsTheTruth(recording)

    def stop_at_third(done: list[int] = [0]) -> None:  # noqa: B006
        done[0] += 1
        if done[0] == 3:
            raise KeyboardInterrupt

    from myxtts.dataset import make as module

    written = module.write_wav
    monkeypatch.setattr(module, "write_wav", lambda *values: (stop_at_third(), written(*values)))
    with pytest.raises(KeyboardInterrupt):
        make(place, broken, rest)
    monkeypatch.undo()
    assert rest.calls == recognizer.calls - 1 and len(list((broken / "wavs").iterdir())) == 2
    make(place, broken, KnowsTheTruth(recording, stop_after=0))
    assert content_of(broken) == content_of(whole)


def test_a_complete_data_set_is_left_alone(chapter: LongRecording, tmp_path: Path) -> None:
    root, place = tmp_path / "set", chapter.write(tmp_path / "book.wav")
    make(place, root, KnowsTheTruth(chapter))
    (root / "metadata.csv").write_text("corrected", encoding="utf-8")
    before = content_of(root)
    assert make(place, root, KnowsTheTruth(chapter)) is None
    assert content_of(root) == before
    with pytest.raises(DataError, match=r"begun with speaker ann, now it is bob; .*--out"):
        make(place, root, KnowsTheTruth(chapter), options=MakeOptions("en-us", "bob"))
    other = chapter.write(tmp_path / "other.wav")
    with pytest.raises(DataError, match=r"made from other recordings.*--out"):
        make(other, root, KnowsTheTruth(chapter))


def test_a_folder_of_somebody_else_is_not_touched(chapter: LongRecording, tmp_path: Path) -> None:
    root, place = tmp_path / "set", chapter.write(tmp_path / "book.wav")
    root.mkdir()
    (root / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match=r"not empty.*--out"):
        make(place, root, KnowsTheTruth(chapter))
    assert [path.name for path in root.iterdir()] == ["mine.txt"]
    with pytest.raises(DataError, match="is a file; name a folder"):
        make(place, root / "mine.txt", KnowsTheTruth(chapter))


def test_a_file_among_the_clips_stops_the_run_before_it_is_lost(chapter: LongRecording, tmp_path: Path) -> None:
    root, place = tmp_path / "set", chapter.write(tmp_path / "book.wav")
    with pytest.raises(KeyboardInterrupt):
        make(place, root, KnowsTheTruth(chapter, stop_after=1))
    (root / "metadata.csv").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match=r"metadata\.csv.*move it away"):
        make(place, root, KnowsTheTruth(chapter))
    assert (root / "metadata.csv").read_text(encoding="utf-8") == "mine"
    (root / "metadata.csv").unlink()
    (root / "wavs" / "mine.wav").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match=r"mine\.wav.*move it away"):
        make(place, root, KnowsTheTruth(chapter))


def test_a_damaged_recording_leaves_nothing(tmp_path: Path, chapter: LongRecording) -> None:
    place = chapter.write(tmp_path / "book.flac")
    content = bytearray(place.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20_000] = bytes(20_000)
    place.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"book\.flac.*damaged after [\d.]+ s.*again"):
        make(place, tmp_path / "set", KnowsTheTruth(chapter))
    assert not (tmp_path / "set").exists()


def test_without_texts_the_page_asks_for_them(chapter: LongRecording, tmp_path: Path) -> None:
    root = tmp_path / "set"
    make(chapter.write(tmp_path / "book.wav"), root, None, options=MakeOptions("fa", "ann", texts=False))
    assert not (root / "metadata.csv").exists() and len(list((root / "wavs").iterdir())) >= 3
    page = (root / "review.html").read_text(encoding="utf-8")
    assert '"first": "fa"' in page and '"texts": false' in page


def test_the_page_is_self_contained_and_shows_what_is_doubtful(chapter: LongRecording, tmp_path: Path) -> None:
    root = tmp_path / "set"
    recognizer = KnowsTheTruth(chapter, {"rider": "</script><b>writer"})
    make(chapter.write(tmp_path / "book.wav"), root, recognizer)
    page = (root / "review.html").read_text(encoding="utf-8")
    assert "http" not in re.sub(r"http-equiv", "", page)
    assert page.count("</script>") == 2 and "\\u003cb\\u003ewriter" in page
    assert "Only doubtful texts" in page and "فقط متن‌های نامطمئن" in page and "music or tones" in page
