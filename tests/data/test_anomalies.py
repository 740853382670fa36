"""Texts and speakers that cannot be right stop a run; damaged sound is reported with clip and value."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_data import settings
from made_recordings import buzz, make_root

from myxtts.data.anomalies import check_suspects, text_anomalies
from myxtts.data.prepare import prepare
from myxtts.data.records import RootManifest, Utterance
from myxtts.data.scripts import is_phonetic, script_of
from myxtts.errors import DataError
from myxtts.progress import silent

WORDS = (
    *("birch", "canoe", "slid", "smooth", "planks", "glue", "sheet", "dark", "blue"),
    *("background", "easy", "tell", "depth", "well", "chicken", "leg", "rare", "dish"),
)


def manifest(texts, speakers=None, languages=None, *, guessed=True):
    count = len(texts)
    speakers, languages = speakers or ["anna"] * count, languages or ["en-us"] * count
    rows = enumerate(zip(texts, speakers, languages, strict=True))
    utterances = [Utterance(f"c{i}", Path(f"c{i}.wav"), *row, f"m.csv:{i + 1}") for i, row in rows]
    return RootManifest(utterances, [], Path("m.csv"), columns=("id", "text", "speaker"), guessed=guessed)


def sentences(count, language="en"):
    made = [f"The {WORDS[i % 18]} and the {WORDS[(i * 7 + 3) % 18]} number {i}." for i in range(count)]
    return [f"این جملهٔ شمارهٔ {i} است." for i in range(count)] if language == "fa" else made


@pytest.mark.parametrize(
    ("data", "kind", "advice"),
    [
        (manifest(["EN"] * 8), "clips with the same text: 8 of 8", "--columns"),
        (manifest(["Hello there."] * 30, guessed=False), "clips with the same text: 30 of 30", "--columns"),
        (manifest(["anna", "bob"] * 8), "", "--columns"),
        (manifest(["ann", "bob", "eve", "al"], sentences(4)), "look like a text: 4 of 4", "--columns"),
        (manifest(sentences(8), [f"{i + 0.25:.2f}" for i in range(8)]), "numbers with decimals: 8 of 8", "--columns"),
        (manifest(sentences(8), [f"Speaker {i}" for i in range(8)]), "look like a text: 8 of 8", "--columns"),
        (manifest(["ðə bˈɜːtʃ kənˈuː", "ɡlˈuː ðə ʃˈiːt", "ɪts ˈiːzi"]), "texts in phonemes: 3 of 3", "spelling"),
        (manifest(sentences(4, "fa")), "texts in another script than their language: 4 of 4", "--language"),
        (manifest(sentences(4), languages=["fa"] * 4), "another script than their language: 4 of 4", "--language"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_stops_with_an_example_and_advice(data, kind, advice):
    with pytest.raises(DataError) as caught:
        check_suspects(data, 0.5)
    said = str(caught.value)
    assert kind in said and advice in said and "\n" not in said and "'c0' in line 1: " in said
    assert "--set data.max_suspect_share=1" in said
    assert check_suspects(data, 1.0), "the user may go on"


@pytest.mark.parametrize(
    "data",
    [
        manifest(sentences(12), ["anna", "bob"] * 6),
        manifest(sentences(20, "fa"), languages=["fa"] * 20),
        manifest(["yes", "no", "stop"]),
        manifest(["Hello there."] * 12, guessed=False),
        manifest(sentences(3), [str(i) for i in range(3)]),
        manifest(["x y z"] * 2 + sentences(10)),
    ],
)
def test_what_may_be_right_goes_on(data):
    check_suspects(data, 0.5)


def test_findings_without_a_stop():
    kinds = {a.kind: a for a in text_anomalies(manifest(sentences(10), [f"p{i}" for i in range(10)]))}
    assert set(kinds) == {"one_clip_each"}, "a reader with one clip each is a data set, too"
    assert kinds["one_clip_each"].line().startswith("as many speakers as clips: 10 of 10 ('c0' in line 1: 'p0'; ")
    kinds = {a.kind for a in text_anomalies(manifest(sentences(9), ["John Smith", "Ann Lee", "Bo Ek"] * 3))}
    assert kinds == {"blank_in_speaker"}
    few = manifest([*sentences(20), "سلام دنیا"])
    (one,) = text_anomalies(few)
    assert one.kind == "other_script" and one.count == 1 and "language en-us, arabic letters" in one.examples[0]


def test_scripts_and_phonemes():
    assert [script_of(t) for t in ("Hello", "سلام", "привет", "你好", "123 !", "")] == [
        "LATIN", "ARABIC", "CYRILLIC", "CJK", "", "",
    ]  # fmt: skip
    assert all(map(is_phonetic, ["həlˈoʊ wˈɜːld", "HH AH0 L OW1 W ER1 L D", "bˈisto nˈoh"]))
    spelled = ["Hello world.", "Ɛyɛ ɔkɔm", "Əl açıq", "A B C", "सलाम", "naïve café", "I AM OK NOW"]
    assert not any(map(is_phonetic, spelled))
    given = "[[bˈisto]] [[nˈoh]]."
    assert not is_phonetic(given) and script_of(given) == "" and script_of(f"{given} کتاب") == "ARABIC"
    assert is_phonetic(f"{given} bˈisto nˈoh"), "only in brackets"
    assert check_suspects(manifest([given] * 3, languages=["fa"] * 3), 0.5) == []


def test_damaged_sound_is_reported_with_clip_and_value(tmp_path):
    root = make_root(tmp_path / "root", clips=12)

    def rewrite(clip, change):
        (path,) = root.glob(f"wavs/c{clip}.*")
        path.unlink()
        soundfile.write(root / f"wavs/c{clip}.wav", change(buzz(2.0)), 22_050, subtype="FLOAT")

    rewrite(0, lambda clip: clip + np.float32(0.1))
    rewrite(1, lambda clip: np.clip(3 * clip, -0.3, 0.3))
    rewrite(2, lambda clip: np.stack([clip, -clip], axis=1))
    rewrite(3, lambda clip: np.concatenate([clip, np.zeros(40_000, np.float32), clip]))
    rewrite(4, lambda clip: clip / 10)
    rows = (root / "metadata.csv").read_text().replace("c5|Say number", "c5|" + "Say many more words of a number " * 4)
    (root / "metadata.csv").write_text(rows)
    audit = prepare(settings(tmp_path, train_path=str(root)), silent).audit
    lines = "\n".join(audit.table())
    for expected in (
        "recordings with a DC offset, which is removed: 1 of 12 ('c0': 0.1",
        "clipped recordings: 1 of 12 ('c1': ",
        "channels cancel each other; one channel is used: 1 of 12 ('c2'",
        "clips with a long pause inside: 1 of 12 ('c3': 1.8 s)",
        "clips far louder or quieter than the others: 1 of 12 ('c4': 21 dB from the median of",
        "texts too long or too short for their clip: 2 of 12 ('c5': ",
        "silence cut 0.0 min",
    ):
        assert expected in lines, lines
    again = prepare(settings(tmp_path, train_path=str(root)), silent).audit
    assert again.table() == audit.table(), "from the cache, too"
    assert len(again.to_json()["anomalies"]) == 6
