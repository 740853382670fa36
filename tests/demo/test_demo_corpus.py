"""The built-in corpus: enough of every voice, fair evaluation, every phoneme, and always intact on the disk."""

from __future__ import annotations

import csv
import itertools
import os
import time
import unicodedata
import wave
from collections import Counter
from pathlib import Path

import espeakng_loader
import pytest

from myxtts.demo import corpus as demo_corpus
from myxtts.demo.corpus import SPEAKERS, DemoSpeaker, clips, ensure, is_intact
from myxtts.demo.sentences import ENGLISH, ENGLISH_HELD_OUT, PERSIAN, PERSIAN_HELD_OUT
from myxtts.errors import StorageError

CONSONANTS = "p b t d k ɡ tʃ dʒ f v θ ð s z ʃ ʒ h m n ŋ l ɹ j w"
VOWELS = "iː ɪ ɛ æ ɑː ɔː ʊ uː ʌ ɜː ə ɚ eɪ aɪ ɔɪ oʊ aʊ ɪɹ ɛɹ ʊɹ"
PERSIAN_LETTERS = set("ءآابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی")
PERSIAN_MARKS = {" ", "\u200c", "\u064b", ".", "،", "؟", "!"}  # zero-width non-joiner, tanwin, punctuation


def persian(speaker: DemoSpeaker) -> bool:
    return speaker.voice.language == "fa"


@pytest.fixture(scope="module")
def cache_and_root(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    cache = tmp_path_factory.mktemp("cache")
    return cache, ensure(cache)


@pytest.fixture
def few_speakers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A corpus of 51 clips, for tests that make it more than once."""
    monkeypatch.setattr(demo_corpus, "SPEAKERS", SPEAKERS[:1])


def rows(root: Path, split: str) -> list[dict[str, str]]:
    with (root / f"metadata_{split}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE))


def test_every_speaker_has_enough_to_train_and_to_evaluate() -> None:
    trained = Counter(clip.speaker.name for clip in clips() if clip.split == "train")
    evaluated = Counter(clip.speaker.name for clip in clips() if clip.split == "eval")
    assert sum(not persian(speaker) for speaker in SPEAKERS) >= 8
    assert sum(persian(speaker) for speaker in SPEAKERS) >= 2
    assert {name: count >= 48 for name, count in trained.items()} == {speaker.name: True for speaker in SPEAKERS}
    assert set(evaluated.values()) == {3}
    assert set(evaluated) == set(trained)


def test_every_voice_is_another_and_women_men_and_accents_are_there() -> None:
    names = [speaker.name for speaker in SPEAKERS]
    assert len(set(names)) == len(names)
    assert len({speaker.voice for speaker in SPEAKERS}) == len(SPEAKERS)
    assert sum("woman" in name for name in names) >= 4
    assert sum("woman" not in name for name in names) >= 4
    assert len({speaker.voice.language for speaker in SPEAKERS if not persian(speaker)}) >= 4


def test_texts_are_unique_and_held_out_ones_not_in_training() -> None:
    texts = ENGLISH + ENGLISH_HELD_OUT + PERSIAN + PERSIAN_HELD_OUT
    assert len({" ".join(text.lower().split()) for text in texts}) == len(texts)
    training = {clip.text for clip in clips() if clip.split == "train"}
    assert training == set(ENGLISH + PERSIAN)
    unseen = Counter(clip.text for clip in clips() if clip.split == "eval" and clip.text not in training)
    assert set(unseen) == set(ENGLISH_HELD_OUT + PERSIAN_HELD_OUT)
    assert set(unseen.values()) == {1}


def test_no_speaker_says_a_sentence_twice_and_voices_overlap_without_being_alike() -> None:
    texts_of = {speaker.name: [clip.text for clip in clips() if clip.speaker is speaker] for speaker in SPEAKERS}
    for texts in texts_of.values():
        assert len(set(texts)) == len(texts)
    english = [set(texts_of[speaker.name]) for speaker in SPEAKERS if not persian(speaker)]
    assert all(len(a & b) < 30 for a, b in itertools.combinations(english, 2))
    assert all(any(a & b for b in english if b is not a) for a in english)


def test_texts_need_no_quoting_and_are_normalized() -> None:
    for text in ENGLISH + ENGLISH_HELD_OUT:
        assert text.isascii()
        assert 3 <= len(text.split()) <= 16
    for text in PERSIAN + PERSIAN_HELD_OUT:
        assert set(text) <= PERSIAN_LETTERS | PERSIAN_MARKS, text
        assert "\u200c " not in text
        assert " \u200c" not in text
        assert unicodedata.normalize("NFC", text) == text
    for text in ENGLISH + ENGLISH_HELD_OUT + PERSIAN + PERSIAN_HELD_OUT:
        assert text == text.strip()
        assert "|" not in text
        assert "  " not in text
        assert not any(character.isdigit() for character in text)
        assert text[-1] in ".!?؟"
    assert PERSIAN_LETTERS - set("".join(PERSIAN)) <= {"ء"}
    assert sum(text.endswith("?") for text in ENGLISH) >= 10
    assert sum(text.endswith("!") for text in ENGLISH) >= 5


def test_every_english_phoneme_occurs_in_the_training_sentences() -> None:
    from phonemizer.backend import EspeakBackend
    from phonemizer.backend.espeak.wrapper import EspeakWrapper
    from phonemizer.separator import Separator

    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    lines = EspeakBackend("en-us").phonemize(list(ENGLISH), separator=Separator(phone=" ", word="|"))
    found = Counter(phoneme for line in lines for phoneme in line.replace("|", " ").split())
    rare = {phoneme: found[phoneme] for phoneme in f"{CONSONANTS} {VOWELS}".split() if found[phoneme] < 8}
    assert rare == {}


def test_the_root_has_what_its_metadata_names(cache_and_root: tuple[Path, Path]) -> None:
    root = cache_and_root[1]
    assert (root / "metadata_train.csv").read_bytes().startswith(b"id|text|normalized|speaker|language\n")
    table = {row["id"]: row for split in ("train", "eval") for row in rows(root, split)}
    assert len(table) == len(clips()) == len(list((root / "wavs").iterdir()))
    total = 0.0
    for clip in clips():
        assert table[clip.id] == {
            "id": clip.id, "text": clip.text, "normalized": clip.text,
            "speaker": clip.speaker.name, "language": clip.speaker.voice.language,
        }  # fmt: skip
        with wave.open(str(root / "wavs" / f"{clip.id}.wav")) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (22_050, 1, 2)
            seconds = file.getnframes() / file.getframerate()
        assert 1.4 <= seconds <= 6.0, clip
        total += seconds
    assert total > 20 * 60


def test_an_intact_corpus_is_not_made_again(cache_and_root: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    cache, root = cache_and_root
    monkeypatch.setattr(demo_corpus, "speak_to_files", None)
    assert ensure(cache) == root


@pytest.mark.usefixtures("few_speakers")
def test_two_builds_are_identical(tmp_path: Path) -> None:
    roots = [ensure(tmp_path / name) for name in ("a", "b")]
    contents = [
        {path.relative_to(root): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
        for root in roots
    ]
    assert roots[0].name == roots[1].name
    assert len(contents[0]) == 51 + 3
    assert contents[0] == contents[1]


@pytest.mark.usefixtures("few_speakers")
@pytest.mark.parametrize("damage", ["cut", "bit", "missing", "manifest", "no manifest", "a file", "dangling link"])
def test_damage_is_noticed_and_repaired(tmp_path: Path, damage: str) -> None:
    cache = tmp_path / "cache"
    root = ensure(cache)
    victim = root / "wavs" / "us_woman_007.wav"
    good = victim.read_bytes()
    if damage == "cut":
        victim.write_bytes(good[:-100])
    elif damage == "bit":
        victim.write_bytes(good[:5000] + bytes([good[5000] ^ 1]) + good[5001:])
    elif damage == "missing":
        victim.unlink()
    elif damage == "manifest":
        (root / demo_corpus.MANIFEST_NAME).write_text('{"files": [1', encoding="utf-8")
    elif damage == "no manifest":
        (root / demo_corpus.MANIFEST_NAME).unlink()
    else:
        root.rename(tmp_path / "elsewhere")
        if damage == "a file":
            root.write_text("not a folder", encoding="utf-8")
        else:
            root.symlink_to(tmp_path / "nowhere")
    assert not is_intact(root)
    assert ensure(cache) == root
    assert is_intact(root)
    assert victim.read_bytes() == good
    assert [path.name for path in cache.iterdir()] == [root.name]


@pytest.mark.usefixtures("few_speakers")
def test_an_interrupted_build_leaves_nothing_that_looks_intact(tmp_path: Path) -> None:
    def interrupt(task: str, done: int, total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure(tmp_path, interrupt)
    assert list(tmp_path.iterdir()) == []
    assert is_intact(ensure(tmp_path))


@pytest.mark.usefixtures("few_speakers")
def test_old_leftovers_go_and_young_ones_stay(tmp_path: Path) -> None:
    old, young = tmp_path / "demo-0.building-old", tmp_path / "demo-0.building-young"
    for folder in (old, young):
        folder.mkdir()
    yesterday = time.time() - 86_400
    os.utime(old, (yesterday, yesterday))
    ensure(tmp_path)
    assert not old.exists()
    assert young.exists()


@pytest.mark.usefixtures("few_speakers")
def test_another_sentence_or_voice_makes_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    before = demo_corpus.version()
    assert demo_corpus.version() == before
    monkeypatch.setattr(demo_corpus, "ENGLISH", ("A new sentence.", *ENGLISH[1:]))
    after_text = demo_corpus.version()
    monkeypatch.setattr(demo_corpus, "SPEAKERS", SPEAKERS[:2])
    assert len({before, after_text, demo_corpus.version()}) == 3


@pytest.mark.usefixtures("few_speakers")
def test_the_corpus_of_a_faster_process_is_kept(tmp_path: Path) -> None:
    other = ensure(tmp_path / "other")
    root = tmp_path / other.name

    def overtake(task: str, done: int, total: int) -> None:
        if done == 5:
            other.rename(root)
            (root / "mark").touch()

    assert ensure(tmp_path, overtake) == root
    assert (root / "mark").exists()


def test_a_cache_that_cannot_be_made_is_a_storage_error_of_one_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match=r"built-in corpus cannot be made under .*file.*data\.cache_path") as caught:
        ensure(blocked / "cache")
    assert "\n" not in str(caught.value)
