"""The table of rejections, and the advice for clips over data.max_clip_seconds or data.max_text_tokens."""

from __future__ import annotations

import dataclasses

import pytest
from made_recordings import write

from myxtts.config.schema import Config, DataConfig, TextConfig, TrainingConfig
from myxtts.data import prepare
from myxtts.data.audit import check_share, raised_limits, rejection_lines
from myxtts.data.records import MISSING_FILE, TOO_LONG, TOO_MANY_TOKENS, NeededLimits, Rejection
from myxtts.errors import DataError
from myxtts.progress import silent


def long(seconds: float, tokens: int = 0) -> Rejection:
    return Rejection("m.csv:1", "c", TOO_LONG, f"{seconds} s", NeededLimits(seconds, tokens))


def wordy(tokens: int) -> Rejection:
    return Rejection("m.csv:2", "d", TOO_MANY_TOKENS, f"{tokens} tokens", NeededLimits(0.0, tokens))


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
        # over the largest value of a setting: raising the limit does not help
        ([long(61.0)], 0, ""),
        ([long(59.5), long(61.0)], 1, "--set data.max_clip_seconds=60"),
        ([long(14.0, tokens=12_000), wordy(10_001)], 0, ""),
        ([wordy(9_999)], 1, "--set data.max_text_tokens=10000"),
    ],
)
def test_limits_that_accept_the_rows(rejections: list[Rejection], taken: int, settings: str) -> None:
    assert raised_limits(rejections) == (taken, settings)


def test_the_table_names_the_limits_below_the_reason() -> None:
    lines = rejection_lines([long(14.01), long(17.2), GONE, wordy(620)])
    at = lines.index("  longer than the cap: 2")
    grows = "(a batch takes more memory)"
    assert lines[at + 3] == f"    these are accepted with --set data.max_clip_seconds=18 {grows}"
    assert f"    these are accepted with --set data.max_text_tokens=700 {grows}" in lines
    some = f"    2 of these are accepted with --set data.max_clip_seconds=15 {grows}"
    assert some in rejection_lines([long(14.0), long(15.0), long(90.0)])
    assert not any("accepted with" in line for line in rejection_lines([GONE, long(90.0)]))


def test_the_advice_starts_with_the_limit_if_length_is_the_main_cause() -> None:
    with pytest.raises(DataError) as caught:
        check_share("training", 67, [long(14.0 + number / 50) for number in range(180)], 0.05)
    first = str(caught.value).splitlines()[0]
    assert first.startswith("training data: 180 of 247 rows rejected (72.9%), the limit is 5.0%; 180 rows exceed")
    assert "--set data.max_clip_seconds=18, or " in first and "--set data.max_rejected_share=0.73" in first


def test_the_advice_names_the_other_rows_too() -> None:
    with pytest.raises(DataError, match="1 row exceeds a limit") as caught:
        check_share("training", 8, [long(14.0), GONE], 0.05)
    first = str(caught.value).splitlines()[0]
    assert "with --set data.max_clip_seconds=14, and fix the other rows listed below, or " in first
    with pytest.raises(DataError) as caught:
        check_share("training", 8, [long(14.0), GONE, GONE], 0.05)
    assert "fix the rows listed below, or " in str(caught.value).splitlines()[0]


def test_the_limit_is_named_if_no_row_can_be_used() -> None:
    with pytest.raises(DataError) as caught:
        check_share("validation", 0, [long(14.0), long(15.0)], 1.0)
    first = str(caught.value).splitlines()[0]
    assert first.startswith("validation data: none of its 2 rows can be used; 2 rows exceed a limit")
    assert first.endswith("with --set data.max_clip_seconds=15")


def test_the_advised_settings_accept_the_clips(tmp_path) -> None:
    """Both limits at once: the text of a long clip is counted too."""
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
    with pytest.raises(DataError, match=r"2 rows exceed a limit.* --set data.max_clip_seconds=3 --set "
                                        r"data.max_text_tokens=100, or ") as caught:  # fmt: skip
        prepare.prepare(config, silent)
    assert "2.20 s, at most 1.5 s (data.max_clip_seconds)" in str(caught.value)
    raised = dataclasses.replace(data, max_clip_seconds=3.0, max_text_tokens=100)
    assert prepare.prepare(dataclasses.replace(config, data=raised), silent).audit.rejections == []
