"""The training of the Persian models: clusters of words, the network, compounds in the sentences to learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench import persian_network, persian_tables
from bench.persian_clusters import SIZES, _grouped, clusters
from bench.persian_sentences import ReferenceWord
from bench.persian_tables import Marked
from bench.persian_training import _ezafe_of, _from_pair
from myxtts.text.persian.network import Network
from myxtts.text.persian.tagger import Tagger, packed, unpacked

NAMES = ("علی", "رضا", "مریم", "سارا")
FRUITS = ("سیب", "هلو", "انار", "موز")


def model(found: dict[str, list[int]] | None = None) -> Tagger:
    words = {"homographs": {}, "lexicon": {}, "topics": {}, "clusters": found or {}}
    kinds = {"تیم": "noun", "ملی": "adjective", "رفت": "verb"}
    made, _ = unpacked(packed({"ezafe": np.zeros(16), "homographs": np.zeros(16)}, words, kinds))
    return made


def test_words_have_a_cluster_of_each_size_if_they_are_frequent() -> None:
    texts = [["امروز", name, "رفت", "خانه"] for name in NAMES for _ in range(5)]
    texts += [["یک", fruit, "را", "خورد"] for fruit in FRUITS for _ in range(5)]
    found = clusters([*texts, ["گلابی", "رفت"]], model().parts_of_speech)
    assert all(len(each) == len(SIZES) for each in found.values())
    assert "گلابی" not in found and {*NAMES, *FRUITS} <= set(found)


def test_vectors_of_one_direction_are_in_one_cluster() -> None:
    chance = np.random.default_rng(1)
    vectors = np.concatenate([np.tile([1.0, 0.0], (20, 1)), np.tile([0.0, 1.0], (20, 1))])
    vectors += chance.normal(0, 0.1, vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = _grouped(vectors[chance.permutation(40)], 2)
    assert sorted(np.bincount(groups)) == [20, 20]


def test_compounds_to_learn_from_are_apart() -> None:
    spoken = [ReferenceWord("time", True, False), ReferenceWord("melli", False, False)]
    found = _from_pair([("تیم‌ملی", spoken), ("رفت", [ReferenceWord("raft", False, False)]), (".", [])], model())
    assert found == Marked(["تیم", "ملی", "رفت", "."], [True, False, False, None], [True, False, False, False])
    assert _ezafe_of(["تیم", "ملی"], [ReferenceWord("timmelliye", True, False)]) == [False, True]
    marked = persian_tables.taken_apart(Marked(["تیم‌ملی", "رفت"], [True, False], [False, False]), model())
    assert marked == Marked(["تیم", "ملی", "رفت"], [None, True, False], [True, False, False])


def test_present_forms(tmp_path: Path) -> None:
    table = tmp_path / "stems.tsv"
    table.write_text("رس\tres\nآور\tAvar\nدو\tdav\nخور\txor\nرنج\tranJ\n", encoding="utf-8")
    found = persian_tables.read_present_forms(table, {"بدون": "adposition", "برنج": "noun", "برسد": "verb"})
    assert found["می‌رسم"] == "miresam" and found["نمی‌آورند"] == "nemi'Avarand" and found["می‌رسه"] == "mirese"
    assert found["برسد"] == "beresad" and found["نرسن"] == "naresan" and found["بخورم"] == "boxoram"
    assert "بدون" not in found and "برنجم" not in found and "بآورم" not in found and found["نرنجم"] == "naranJam"


def test_the_network_learns() -> None:
    """A name after a fruit is bound to it; after anything else there is no ezafe."""
    chance = np.random.default_rng(0)
    marked = []
    for _ in range(300):
        words = [str(word) for word in chance.choice([*NAMES, *FRUITS, "رفت", "را"], size=8)]
        bound = [a in FRUITS and b in NAMES for a, b in zip(words, [*words[1:], ""], strict=True)]
        marked.append(Marked(words, [*bound], [False] * len(words)))
    reports: list[str] = []
    weights = persian_network.trained(marked, model(), 1, 8, reports.append)
    assert len(reports) == 8
    right = [
        (score > 0) == ezafe
        for sentence in marked
        for score, ezafe in zip(
            Network(weights).scores(model().network_indices(sentence.words, sentence.joined)),
            sentence.ezafe,
            strict=True,
        )
    ]
    assert np.mean(right) > 0.97
