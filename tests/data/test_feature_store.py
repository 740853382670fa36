import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_clips import CHANNELS, make_clip

from myxtts.audio.activity import SoundFigures
from myxtts.data.clip_sums import Place, total
from myxtts.data.feature_store import HEADER, FeatureStore, check_entry, load_entry, load_frames, write_to_cache
from myxtts.errors import StorageError


def test_arrays_are_bit_exact_and_read_only(tmp_path):
    clip = make_clip(tmp_path, "a", "bob", 50, 10)
    facts = check_entry(clip.entry, CHANNELS)
    assert facts == clip.facts
    mel, pitch, energy = load_entry(clip.entry, facts, check=True)
    assert (mel.shape, pitch.shape, energy.shape, mel.dtype) == ((50, 80), (50,), (50,), np.float32)
    random = np.random.default_rng([0, 50])
    assert np.array_equal(mel, random.normal(-5.0, 2.0, (50, 80)).astype(np.float32))
    with pytest.raises(ValueError, match="read-only"):
        mel[0, 0] = 1.0


@pytest.mark.parametrize("at", [0, 9, 20, 44, HEADER.size, HEADER.size + 1234, -1])
def test_a_flipped_bit_is_noticed(tmp_path, at):
    path = make_clip(tmp_path, "a", "bob", 50, 10).entry
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)
    assert check_entry(path, CHANNELS) is None


@pytest.mark.parametrize("keep", [0, 10, HEADER.size, HEADER.size + 400, -1])
def test_a_cut_file_is_noticed(tmp_path, keep):
    clip = make_clip(tmp_path, "a", "bob", 50, 10)
    clip.entry.write_bytes(clip.entry.read_bytes()[:keep])
    assert check_entry(clip.entry, CHANNELS) is None
    with pytest.raises(
        StorageError, match=r"a\.f32: the cached features are missing or truncated; start the same command again"
    ):
        load_entry(clip.entry, clip.facts, check=False)


def test_damage_is_noticed_at_the_first_use_and_the_file_removed(tmp_path):
    clips = [make_clip(tmp_path, name, "bob", 50, 10, seed) for seed, name in enumerate("ab")]
    store = FeatureStore(clips)
    store.features(0)
    for clip in clips:
        content = bytearray(clip.entry.read_bytes())
        content[HEADER.size + 1234] ^= 4
        clip.entry.write_bytes(content)
    store.features(0)  # later uses of a file that was good only look at its size
    with pytest.raises(StorageError, match=r"b\.f32: the cached features were damaged and were removed; start the"):
        store.features(1)
    assert clips[0].entry.exists() and not clips[1].entry.exists()


def test_the_columns_give_back_what_was_put_in(tmp_path):
    clips = [make_clip(tmp_path, f"n\udc80{i}", "böb", 50 + 300 * i, 10 + i, i) for i in range(3)]
    clips[1] = replace(
        clips[1],
        utterance=replace(clips[1].utterance, text="", source="no colon", speed=0.9),
        sound=SoundFigures(1, 70_000, 1, 0, 30, 255),
    )
    store = FeatureStore(clips)
    assert list(store.utterances) == [clip.utterance for clip in clips] == store.utterances[:]
    assert store.utterances[-1] == clips[2].utterance
    with pytest.raises(IndexError):
        store.utterances[3]
    for row, clip in enumerate(clips):
        assert (store.facts(row), store.sound(row)) == (clip.facts, clip.sound)
        assert store.text_tokens(row).tolist() == clip.tokens.tolist() and store.text_tokens(row).dtype == np.int32
        assert store.entry_path(row) == clip.entry
    assert store.lengths[0].tolist() == [10, 11, 12] and store.lengths[1].tolist() == [50, 350, 650]
    assert store.cut_ms == [0, 255, 0] and store.sample_rates_hz == [22_050] * 3


def test_sums_are_those_of_the_cache_where_it_has_them(tmp_path):
    clips = [make_clip(tmp_path, name, "bob", 50, 10, seed) for seed, name in enumerate("abc")]
    computed = FeatureStore(clips).sums(np.arange(3))
    kept = [replace(clip, sums=Place(computed[::-1], 2 - row)) for row, clip in enumerate(clips)]
    for clip in kept[:2]:
        clip.entry.unlink()
    store = FeatureStore([kept[0], clips[2], kept[1]])
    assert np.array_equal(store.sums(np.array([0, 2, 1])), computed)
    parts = list(store.sums_in_parts(np.arange(3)))
    assert np.array_equal(total(parts), total([computed[:1], computed[2:], computed[1:2]]))
    store.forget_sums()
    with pytest.raises(StorageError):
        store.sums(np.array([0]))


def test_absent_longer_or_of_other_channels_is_noticed(tmp_path):
    path = make_clip(tmp_path, "a", "bob", 50, 10).entry
    assert check_entry(tmp_path / "none", CHANNELS) is None
    assert check_entry(path, CHANNELS - 1) is None
    path.write_bytes(path.read_bytes() + b"\0")
    assert check_entry(path, CHANNELS) is None


def test_a_write_error_is_a_storage_error_and_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match=r"cannot be written .*data\.cache_path"):
        write_to_cache(tmp_path / "file" / "entry", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_entry_under_another_name_counts_as_absent(tmp_path):
    one, two = (make_clip(tmp_path, name, "bob", 50, 10, seed) for seed, name in enumerate(("a", "b")))
    kept = one.entry.read_bytes()
    one.entry.write_bytes(two.entry.read_bytes())
    two.entry.rename(tmp_path / "c.f32")
    assert check_entry(one.entry, CHANNELS) is check_entry(tmp_path / "c.f32", CHANNELS) is None
    one.entry.write_bytes(kept)
    assert check_entry(one.entry, CHANNELS) == one.facts


@pytest.mark.parametrize("kind", ["fifo", "folder", "link"])
def test_an_entry_that_is_not_a_file_counts_as_absent(tmp_path, kind):
    path = make_clip(tmp_path, "a", "bob", 50, 10).entry
    kept = path.rename(tmp_path / "kept")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(kept)
    assert check_entry(path, CHANNELS) is None


def test_processes_with_the_same_id_never_share_a_temporary_name(tmp_path, monkeypatch):
    """As in two containers that share a cache: the first is in the midst of writing while the second writes it all."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    really, sources = Path.replace, []

    def replace(source, target):
        sources.append(source)
        if len(sources) == 1:
            write_to_cache(target, b"second")
        return really(source, target)

    monkeypatch.setattr(Path, "replace", replace)
    write_to_cache(tmp_path / "entry", b"first")
    assert len(set(sources)) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]


def test_files_have_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o077)
    try:
        write_to_cache(tmp_path / "private", b"x")
        os.umask(0o022)
        write_to_cache(tmp_path / "shared", b"x")
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("private", "shared")] == [0o600, 0o644]


def test_a_read_may_return_less_than_was_asked_for(tmp_path, monkeypatch):
    clip = make_clip(tmp_path, "a", "bob", 50, 10)
    mel, pitch, energy = load_entry(clip.entry, clip.facts, check=True)
    whole = os.pread
    monkeypatch.setattr(os, "pread", lambda descriptor, size, at: whole(descriptor, min(size, 777), at))
    for found, expected in zip(load_entry(clip.entry, clip.facts, check=True), (mel, pitch, energy), strict=True):
        assert np.array_equal(found, expected)
    assert np.array_equal(load_frames(str(clip.entry), 7, 20, CHANNELS), mel[7:27])
    with pytest.raises(StorageError, match="missing or truncated"):
        load_frames(str(clip.entry), 40, 1000, CHANNELS)
