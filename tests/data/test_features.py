import dataclasses
import errno
import os

import decoding_jobs
import numpy as np
import pytest
import soundfile
from made_recordings import buzz, make_root, write

from myxtts.config.schema import AudioConfig, Config, DataConfig, TextConfig
from myxtts.data import feature_store, features, records
from myxtts.data.cache import SumsFile, stamp_of
from myxtts.data.corpus import measure_corpus
from myxtts.data.feature_store import FeatureStore, load_entry, write_entry
from myxtts.data.features import gather
from myxtts.data.manifest import read_root
from myxtts.data.prepare import prepare
from myxtts.errors import StorageError
from myxtts.progress import silent
from myxtts.text.symbols import BLANK


class Recorder:
    """A progress that remembers the totals."""

    def __init__(self):
        self.totals = {}

    def __call__(self, task, done, total):
        self.totals[task] = total
        assert 0 <= done <= total


def settings(tmp_path, **data):
    return Config(
        text=TextConfig(symbols="characters"),
        data=DataConfig(cache_path=str(tmp_path / "cache"), num_workers=1, **data),
    )


def run(root, config):
    recorder = Recorder()
    manifest = read_root(root, "train", config.text.language)
    return gather(manifest.utterances, root, config, recorder), recorder.totals


def snapshot(gathered):
    return [(clip.utterance.id, clip.tokens.tolist(), clip.entry.read_bytes()) for clip in gathered.clips]


def test_formats_rates_and_channels_become_clips(tmp_path):
    root = make_root(tmp_path / "root", clips=4)
    gathered, totals = run(root, settings(tmp_path))
    assert totals == {"features": 4, "texts": 4} and gathered.rejections == []
    assert [clip.utterance.id for clip in gathered.clips] == ["c0", "c1", "c2", "c3"]
    assert [(c.facts.sample_rate_hz, c.facts.channels) for c in gathered.clips] == [
        (22_050, 1), (16_000, 2), (44_100, 1), (24_000, 1),
    ]  # fmt: skip
    for index, clip in enumerate(gathered.clips):
        assert clip.facts.frames == pytest.approx((1.0 + index / 8) * 22_050 / 256, abs=10)
        assert 5 < len(clip.tokens) <= clip.facts.frames and clip.tokens.dtype == np.int32


def test_a_second_start_computes_nothing_and_gives_the_same(tmp_path):
    root = make_root(tmp_path / "root", clips=3)
    first, _ = run(root, settings(tmp_path))
    second, totals = run(root, settings(tmp_path))
    assert totals == {} and snapshot(second) == snapshot(first)


def test_a_start_with_a_full_cache_reads_no_features(tmp_path, monkeypatch):
    root, config = make_root(tmp_path / "root", clips=3), settings(tmp_path)
    first = measured(run(root, config)[0])
    monkeypatch.setattr(features, "read_entry", lambda *_: pytest.fail("a feature file is read"))
    monkeypatch.setattr(feature_store, "load_entry", lambda *_, **__: pytest.fail("features are read"))
    gathered, totals = run(root, config)
    assert totals == {} and measured(gathered) == first


def measured(gathered):
    return measure_corpus(FeatureStore(gathered.clips), {}, "").to_json()


def test_sums_of_an_older_feature_file_do_not_count(tmp_path):
    """Its time says so, also where the size is the same; a file of sums that is lost is made again."""
    root, config = make_root(tmp_path / "root", clips=3), settings(tmp_path)
    gathered, _ = run(root, config)
    first, clip = measured(gathered), gathered.clips[1]
    mel, pitch, energy = load_entry(clip.entry, clip.facts, check=True)
    write_entry(clip.entry, clip.facts, mel + 1.0, pitch, energy)
    second = measured(run(root, config)[0])
    assert second != first == measured(gathered), "sums in use are not changed by a new file"
    (sums,) = (tmp_path / "cache" / "recordings").glob("*.sums")
    for content in (b"", b"nonsense" * 20, sums.read_bytes()[:-1], sums.read_bytes()[:-1] + b"x"):
        sums.write_bytes(content)
        assert measured(run(root, config)[0]) == second
    size = sums.stat().st_size
    sums.unlink()
    foreign = SumsFile(tmp_path / "cache", tmp_path / "another", "settings", config.audio.mel_channels)
    for one in gathered.clips:
        foreign.put(one.entry.stem, stamp_of(one.entry), np.ones(2 * config.audio.mel_channels + 6))
    foreign.save()
    (others,) = sums.parent.glob("*.sums")
    others.rename(sums)
    assert size == sums.stat().st_size and measured(run(root, config)[0]) == second


def test_a_full_cache_on_a_disk_that_takes_no_writes(tmp_path, monkeypatch):
    """The sums of features from before there were sums cannot be kept, which costs time and no clip."""
    config = settings(tmp_path, train_path=str(make_root(tmp_path / "root", clips=4)))
    before = prepare(config, silent)
    (sums,) = (tmp_path / "cache" / "recordings").glob("*.sums")
    sums.unlink()
    monkeypatch.setattr(feature_store, "write_atomic", refuse)
    after = prepare(config, silent)
    assert not sums.exists() and after.corpus.to_json() == before.corpus.to_json()
    (note,) = set(after.notes) - set(before.notes)
    assert note.startswith("the next start reads all features again") and "Read-only file system" in note
    write(tmp_path / "root" / "wavs" / "c0.wav", 1.5, hz=220)
    with pytest.raises(StorageError, match=r"data\.cache_path"):
        prepare(config, silent)


def refuse(*_, **__):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_only_changes_are_computed_again(tmp_path):
    root, config = make_root(tmp_path / "root", clips=4), settings(tmp_path)
    first, _ = run(root, config)
    write(root / "wavs" / "c0.wav", 1.5, hz=220)
    assert run(root, config)[1] == {"features": 1}
    metadata = root / "metadata.csv"
    metadata.write_text(metadata.read_text().replace("number b", "letter b"))
    second, totals = run(root, config)
    assert totals == {"texts": 1}
    assert [a != b for a, b in zip(snapshot(first), snapshot(second), strict=True)] == [True, True, False, False]
    assert run(root, dataclasses.replace(config, audio=AudioConfig(trim_db=30.0)))[1] == {"features": 4}
    characters = TextConfig(symbols="characters", blank_between=False)
    assert run(root, dataclasses.replace(config, text=characters))[1] == {"texts": 4}
    limits = dataclasses.replace(config, data=dataclasses.replace(config.data, max_clip_seconds=1.2))
    assert run(root, limits)[1] == {}
    assert run(root, config)[1] == {}


def test_a_touched_file_keeps_its_features(tmp_path):
    root, config = make_root(tmp_path / "root", clips=2), settings(tmp_path)
    first, _ = run(root, config)
    inode = first.clips[0].entry.stat().st_ino
    os.utime(root / "wavs" / "c0.wav", ns=(1, 1))
    second, _ = run(root, config)
    assert second.clips[0].entry.stat().st_ino == inode and snapshot(first) == snapshot(second)


def test_damage_in_the_cache_is_found_and_repaired(tmp_path):
    root, config = make_root(tmp_path / "root", clips=3), settings(tmp_path)
    first, _ = run(root, config)
    before = snapshot(first)
    entry = first.clips[1].entry
    content = bytearray(entry.read_bytes())
    content[-5] ^= 1
    entry.write_bytes(content)
    first.clips[2].entry.unlink()
    second, totals = run(root, config)
    assert totals == {"features": 2} and snapshot(second) == before
    for listing in [*(tmp_path / "cache" / "tokens").iterdir(), *(tmp_path / "cache" / "recordings").iterdir()]:
        listing.write_bytes(listing.read_bytes()[:-9])
    third, totals = run(root, config)
    assert totals == {"features": 3, "texts": 3} and snapshot(third) == before


def test_swapped_entries_are_computed_again(tmp_path):
    root, config = make_root(tmp_path / "root", clips=3), settings(tmp_path)
    first, _ = run(root, config)
    before = snapshot(first)
    one, two = first.clips[0].entry, first.clips[1].entry
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    second, totals = run(root, config)
    assert totals == {"features": 2} and snapshot(second) == before


def bad_root(root):
    rows = ["id|text|speaker", "good|A good one.|s", "text|Not a sound.|s", "empty|Empty.|s", "silent|Nothing.|s"]
    rows += [
        "short|Hi.|s",
        "long|Long.|s",
        f"dense|{'Too much said here. ' * 6}|s",
        f"fast|{'Said fast, ' * 6}|s",
        f"many|{'word ' * 80}|s",
    ]
    rows += ["signs|ab ⚗ cd|s", "dots|... !|s", f"letters|{'x' * 5000}|s", "folder|Folder.|s", "nan|Not finite.|s"]
    write(root / "wavs" / "good.wav", 1.0)
    (root / "wavs" / "text.wav").write_text("this is no recording")
    (root / "wavs" / "empty.wav").write_bytes(b"")
    soundfile.write(root / "wavs" / "silent.wav", np.zeros(22_050), 22_050)
    write(root / "wavs" / "short.wav", 0.1)
    write(root / "wavs" / "long.wav", 3.5)
    write(root / "wavs" / "dense.wav", 1.0)
    write(root / "wavs" / "fast.wav", 1.0)
    for name in ("many", "letters"):
        write(root / "wavs" / f"{name}.wav", 3.0)
    for name in ("signs", "dots"):
        write(root / "wavs" / f"{name}.wav", 1.0)
    (root / "wavs" / "folder.wav").mkdir()
    samples = buzz(1.0)
    samples[100] = np.nan
    soundfile.write(root / "wavs" / "nan.wav", samples, 22_050, subtype="FLOAT")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    return root


def test_every_bad_clip_is_rejected_with_location_reason_and_value(tmp_path):
    root = bad_root(tmp_path / "root")
    config = settings(tmp_path, max_clip_seconds=3.2, max_text_tokens=300)
    gathered, _ = run(root, config)
    assert [clip.utterance.id for clip in gathered.clips] == ["good", "fast"]
    fast = gathered.clips[1]
    assert len(fast.tokens) > fast.facts.frames > np.count_nonzero(fast.tokens != BLANK), "its blanks are skipped"
    found = {r.utterance_id: (r.reason, r.value) for r in gathered.rejections}
    assert {name: reason for name, (reason, _) in found.items()} == {
        "text": records.UNREADABLE,
        "empty": records.UNREADABLE,
        "silent": records.SILENT,
        "short": records.TOO_SHORT,
        "long": records.TOO_LONG,
        "dense": records.TEXT_OVER_FRAMES,
        "many": records.TOO_MANY_TOKENS,
        "signs": records.UNKNOWN_SYMBOLS,
        "dots": records.EMPTY_TEXT,
        "letters": records.TOO_MANY_TOKENS,
        "folder": records.UNREADABLE,
        "nan": records.UNREADABLE,
    }
    assert next(r.source for r in gathered.rejections) == f"{root}/metadata.csv:3"
    assert "3.50 s, at most 3.2 s" in found["long"][1] and "0.10 s, at least 0.3 s" in found["short"][1]
    assert found["many"][1].endswith("at most 300 (data.max_text_tokens)")
    assert found["dense"][1].startswith("119 tokens without blanks, ")
    assert "⚗" in found["signs"][1] and "U+2697" in found["signs"][1]
    again, totals = run(root, config)
    assert again.rejections == gathered.rejections and totals == {}
    longer = dataclasses.replace(config, data=dataclasses.replace(config.data, max_clip_seconds=5.0))
    assert [clip.utterance.id for clip in run(root, longer)[0].clips] == ["good", "long", "fast"]


def test_a_decoder_that_hangs_leaks_or_crashes_costs_one_clip(tmp_path, monkeypatch):
    root = make_root(tmp_path / "root", clips=2)
    rows = (root / "metadata.csv").read_text()
    for name in ("hangs", "eats", "crashes"):
        write(root / "wavs" / f"{name}.wav", 1.0)
        rows += f"{name}|Say it.|s0\n"
    (root / "metadata.csv").write_text(rows)
    monkeypatch.setattr("myxtts.data.features._work_on", decoding_jobs.work_on)
    gathered, _ = run(root, settings(tmp_path))
    assert [clip.utterance.id for clip in gathered.clips] == ["c0", "c1"]
    assert [(r.source.rpartition("/")[2], r.utterance_id, r.reason) for r in gathered.rejections] == [
        ("metadata.csv:4", "hangs", records.DECODER_DIED),
        ("metadata.csv:5", "eats", records.UNREADABLE),
        ("metadata.csv:6", "crashes", records.DECODER_DIED),
    ]
    assert "MemoryError" in gathered.rejections[1].value and "hangs.wav" in gathered.rejections[0].value


def test_a_transient_failure_is_not_cached(tmp_path, monkeypatch):
    root, names = tmp_path / "root", ["sector", "network", "eats"]
    for name in names:
        write(root / "wavs" / f"{name}.wav", 1.0)
    (root / "metadata.csv").write_text("".join(f"{name}|Say it.\n" for name in names))
    with monkeypatch.context() as patched:
        patched.setattr("myxtts.data.features._work_on", decoding_jobs.work_on)
        failed, _ = run(root, settings(tmp_path))
    assert failed.clips == [] and [r.reason for r in failed.rejections] == [records.UNREADABLE] * 3
    assert "OSError [Errno 5]" in failed.rejections[0].value and "System error" in failed.rejections[1].value
    again, totals = run(root, settings(tmp_path))
    assert again.rejections == [] and [clip.utterance.id for clip in again.clips] == names
    assert totals == {"features": 3}


def test_phonemes_and_an_unknown_language(tmp_path):
    root = make_root(tmp_path / "root", clips=2)
    (root / "metadata.csv").write_text("id|text|language\nc0|Say it.|en-us\nc1|Say it.|xx-yy\n")
    config = dataclasses.replace(settings(tmp_path), text=TextConfig())
    gathered, _ = run(root, config)
    assert [clip.utterance.id for clip in gathered.clips] == ["c0"]
    assert [(r.reason, "'xx-yy'" in r.value) for r in gathered.rejections] == [(records.UNKNOWN_LANGUAGE, True)]
