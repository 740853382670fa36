"""The user's pronunciation dictionary in a run: tokens, the copy in the corpus, and what is reported."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_data import settings
from made_recordings import make_root

from myxtts.config.schema import Config, TextConfig
from myxtts.data.corpus import Corpus
from myxtts.data.feature_store import FeatureStore
from myxtts.data.identity import clip_lines, read_known
from myxtts.data.prepare import PreparedData, prepare
from myxtts.errors import DataError
from myxtts.progress import silent
from myxtts.text.dictionary import unused_words


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_root(tmp_path / "root", clips=6)
    rows = [f"c{at}|{text}." for at, text in enumerate(["Say it", "Do not", "Come in 21", "Go out", "Sit", "Get up"])]
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    return root


def config_of(tmp_path: Path, root: Path, dictionary: str = "none") -> Config:
    config = settings(tmp_path, train_path=str(root))
    return replace(config, text=TextConfig(dictionary=dictionary))


def written(tmp_path: Path, *lines: str) -> str:
    path = tmp_path / "words.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def tokens_of(data: PreparedData) -> dict[str, list[int]]:
    found = {}
    for store in (data.train, data.validation):
        assert isinstance(store, FeatureStore)
        found |= {one.id: store.text_tokens(row).tolist() for row, one in enumerate(store.utterances)}
    return found


def test_tokens_follow_the_dictionary_and_the_cache_knows_it(tmp_path: Path, root: Path) -> None:
    plain = prepare(config_of(tmp_path, root), silent)
    assert "dictionary" not in plain.corpus.to_json()
    dictionary = written(tmp_path, "SAY\t/sˈuː/", "Zebra\tzebbra", "twenty-one\t/t/")
    data = prepare(config_of(tmp_path, root, dictionary), silent)
    before, now = tokens_of(plain), tokens_of(data)
    assert {name for name in before if before[name] != now[name]} == {"c0", "c2"}
    assert data.corpus.dictionary == {"say": "/sˈuː/", "zebra": "zebbra", "twenty-one": "/t/"}
    notes = [note for note in data.notes if "dictionary" in note]
    assert "3 words" in notes[0] and "words.tsv" in notes[0]
    assert "'zebra'" in notes[1] and "say" not in notes[1] and "twenty-one" not in notes[1]
    written(tmp_path, "say\t/sˈɑː/")
    assert tokens_of(prepare(config_of(tmp_path, root, dictionary), silent))["c0"] not in (before["c0"], now["c0"])
    assert tokens_of(prepare(config_of(tmp_path, root), silent)) == before


def test_a_resumed_run_uses_its_copy_and_reports_changes(tmp_path: Path, root: Path) -> None:
    dictionary = written(tmp_path, "say\t/sˈuː/")
    config = config_of(tmp_path, root, dictionary)
    data = prepare(config, silent)
    (tmp_path / "clips.jsonl").write_text(clip_lines(data.train, data.validation))
    (tmp_path / "corpus.json").write_text(json.dumps(data.corpus.to_json()))
    known = read_known(tmp_path / "clips.jsonl", tmp_path / "corpus.json")
    written(tmp_path, "say\t/sˈɑː/", "do\t/d/")
    changed = prepare(config, silent, known=known)
    assert any("2 words changed since this run began" in note and "do, say" in note for note in changed.notes)
    assert changed.corpus.trained_on() == data.corpus.trained_on() and changed.corpus.dictionary["do"] == "/d/"
    Path(dictionary).unlink()
    moved = prepare(config, silent, known=known)
    assert tokens_of(moved) == tokens_of(data) and moved.corpus.to_json() == data.corpus.to_json()
    assert any("no longer there" in note and "copy in the run" in note for note in moved.notes)
    with pytest.raises(DataError, match=r"words\.tsv.*No such file.*one word, tab and phonemes"):
        prepare(config, silent)


def test_fine_tuning_keeps_the_pronunciations_of_its_weights(tmp_path: Path, root: Path) -> None:
    base = prepare(config_of(tmp_path, root, written(tmp_path, "say\t/sˈuː/", "do\t/d/")), silent).corpus
    tuned = prepare(config_of(tmp_path, root, written(tmp_path, "do\t/t/")), silent, base=base)
    assert tuned.corpus.dictionary == {"say": "/sˈuː/", "do": "/t/"}


def test_characters_have_no_pronunciations(tmp_path: Path, root: Path) -> None:
    config = config_of(tmp_path, root, written(tmp_path, "say\t/sˈuː/"))
    data = prepare(replace(config, text=replace(config.text, symbols="characters")), silent)
    assert any("text.dictionary" in note and "no effect" in note and "characters" in note for note in data.notes)


@pytest.mark.parametrize("entries", [[], {"a": 1}, {"": "x"}, {"a": "\x1b[1m"}, "a"])
def test_a_corpus_with_a_bad_dictionary(tmp_path: Path, root: Path, entries: object) -> None:
    stored = prepare(config_of(tmp_path, root), silent).corpus.to_json()
    with pytest.raises(DataError, match="corpus: dictionary has"):
        Corpus.from_json({**stored, "dictionary": entries})


def test_unused_words_know_punctuation_and_script() -> None:
    dictionary = {word: "" for word in ("siobhan", "کتاب", "o'neil", "co-op", "u.s", "absent")}
    texts = ["\u201cSIOBHAN,\u201d said O'Neil;", "كتابِ او (co-op) in the U.S."]
    assert unused_words(dictionary, texts) == ["absent"]
