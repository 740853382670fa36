"""Clips over data.max_clip_seconds or data.max_text_tokens: which settings take them, in table and advice."""

from __future__ import annotations

import dataclasses

import pytest
from made_recordings import write

from myxtts.config.schema import Config, DataConfig, TextConfig, TrainingConfig
from myxtts.data import prepare
from myxtts.data.audit import check_share, rejection_lines
from myxtts.data.caps import raised_caps
from myxtts.data.records import MISSING_FILE, TOO_LONG, TOO_MANY_TOKENS, CapNeeds, Rejection
from myxtts.errors import DataError
from myxtts.progress import silent


def long(seconds: float, tokens: int = 0) -> Rejection:
    return Rejection("m.csv:1", "c", TOO_LONG, f"{seconds} s", CapNeeds(seconds, tokens))


def wordy(tokens: int) -> Rejection:
    return Rejection("m.csv:2", "d", TOO_MANY_TOKENS, f"{tokens} tokens", CapNeeds(0.0, tokens))


GONE = Rejection("m.csv:3", "e", MISSING_FILE, "e")


@pytest.mark.parametrize(
    ("rejections", "taken", "settings"),
    [
        ([], 0, ""),
        ([GONE], 0, ""),
        ([long(14.01), long(17.2), GONE], 2, "--set data.max_clip_seconds=18"),
        ([long(18.0)], 1, "--set data.max_clip_seconds=18"),
        ([wordy(601), wordy(612)], 2, "--set data.max_text_tokens=700"),
        ([long(14.5, tokens=820), wordy(601)], 2, "--set data.max_clip_seconds=15 --set data.max_text_tokens=900"),
        # over what the settings take: raising the cap does not help
        ([long(61.0)], 0, ""),
        ([long(59.5), long(61.0)], 1, "--set data.max_clip_seconds=60"),
        ([long(14.0, tokens=12_000), wordy(10_001)], 0, ""),
        ([wordy(9_999)], 1, "--set data.max_text_tokens=10000"),
    ],
)
def test_the_caps_that_take_what_is_over_them(rejections: list[Rejection], taken: int, settings: str) -> None:
    assert raised_caps(rejections) == (taken, settings)


def test_the_table_says_beneath_the_reason_what_takes_them() -> None:
    lines = rejection_lines([long(14.01), long(17.2), GONE, wordy(620)])
    at = lines.index("  longer than the cap: 2")
    grows = "(the memory of a batch grows with it)"
    assert lines[at + 3] == f"    these are taken with --set data.max_clip_seconds=18 {grows}"
    assert f"    these are taken with --set data.max_text_tokens=700 {grows}" in lines
    some = f"    2 of these are taken with --set data.max_clip_seconds=15 {grows}"
    assert some in rejection_lines([long(14.0), long(15.0), long(90.0)])
    assert not any("taken with" in line for line in rejection_lines([GONE, long(90.0)]))


def test_where_length_is_the_main_cause_the_advice_names_the_cap_first() -> None:
    with pytest.raises(DataError) as caught:
        check_share("training", 67, [long(14.0 + number / 50) for number in range(180)], 0.05)
    first = str(caught.value).splitlines()[0]
    assert first == (
        "training data: 180 of 247 rows rejected (72.9%), allowed are 5.0%; 180 are over a cap: take these with --set "
        "data.max_clip_seconds=18, or go on without them with --set data.max_rejected_share=0.73"
    )


def test_what_is_left_to_mend_is_not_forgotten() -> None:
    with pytest.raises(DataError, match="1 is over a cap") as caught:
        check_share("training", 8, [long(14.0), GONE], 0.05)
    said = str(caught.value)
    assert "take it with --set data.max_clip_seconds=14, and mend what else the table names, or go on" in said
    with pytest.raises(DataError) as caught:
        check_share("training", 8, [long(14.0), GONE, GONE], 0.05)
    assert "mend what the table names, or go on without them" in str(caught.value).splitlines()[0]


def test_where_nothing_is_left_the_cap_is_named_too() -> None:
    with pytest.raises(DataError) as caught:
        check_share("validation", 0, [long(14.0), long(15.0)], 1.0)
    assert str(caught.value).splitlines()[0] == (
        "validation data: none of its 2 rows can be used; 2 are over a cap: take these with --set "
        "data.max_clip_seconds=15"
    )


def test_the_settings_that_are_advised_take_the_clips(tmp_path) -> None:
    """Both caps at once: a long clip's text is counted before the second refusal."""
    root = tmp_path / "root"
    rows = ["id|text"]
    for number, seconds in enumerate((1.0, 1.0, 2.2, 2.7)):
        write(root / "wavs" / f"c{number}.wav", seconds)
        rows.append(f"c{number}|{'say it ' * (3 if number == 3 else 1)}")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    data = DataConfig(
        train_path=str(root), cache_path=str(tmp_path / "cache"), num_workers=1, max_clip_seconds=1.5,
        max_text_tokens=30, length_buckets=1,
    )  # fmt: skip
    config = Config(text=TextConfig(symbols="characters"), data=data, training=TrainingConfig(batch_size=2))
    with pytest.raises(DataError, match=r"2 are over a cap: take these with --set data.max_clip_seconds=3 --set "
                                        r"data.max_text_tokens=100, or go on") as caught:  # fmt: skip
        prepare.prepare(config, silent)
    assert "2.20 s, at most 1.5 s (data.max_clip_seconds)" in str(caught.value)
    raised = dataclasses.replace(data, max_clip_seconds=3.0, max_text_tokens=100)
    assert prepare.prepare(dataclasses.replace(config, data=raised), silent).audit.rejections == []
