"""Writes the tables of levels and sizes into README.md and README.fa.md, between their marks; `make docs` runs it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from myxtts.config.fields import LEAVES
from myxtts.config.presets import LEVELS, SIZES, WEIGHTS
from myxtts.config.resolve import Given, Layer, Rank, Resolved, resolve
from myxtts.messages import plain

ROOT = Path(__file__).resolve().parents[1]
HEADS: Mapping[str, tuple[str, str, str]] = {
    "README.md": ("setting", "size", "weights, millions"),
    "README.fa.md": ("تنظیم", "اندازه", "وزن‌ها، میلیون"),
}
"""Page -> its words for the heads."""
ALWAYS = ("training.batch_size", "training.grad_accum")
"""Settings that stand in the table of levels even where all levels agree."""
SIZE_COLUMNS = (
    "model.width",
    "model.text_blocks",
    "model.decoder_blocks",
    "model.voice_width",
    "data.max_clip_seconds",
    "data.max_text_tokens",
)


def level_table(setting: str) -> str:
    """What differs between the levels, at size tiny."""
    resolved = {level: _resolved("optimization_level", level) for level in LEVELS}
    overridden = {override.key for overrides in LEVELS.values() for override in overrides}
    rows = [[setting, *(f"`{level}`" for level in LEVELS)]]
    for key in LEAVES:
        values = [plain(each.source(key).value) for each in resolved.values()]
        if key in ALWAYS or (key in overridden and len(set(values)) > 1):
            rows.append([f"`{key}`", *values])
    return _markdown(rows)


def size_table(size: str, weights: str) -> str:
    """The sizes with their weights."""
    rows = [[size, weights, *(f"`{key}`" for key in SIZE_COLUMNS)]]
    for name in SIZES:
        millions = WEIGHTS["regression"][name] / 1e6
        values = [plain(_resolved("model_size", name).source(key).value) for key in SIZE_COLUMNS]
        rows.append([f"`{name}`", f"{millions:.1f}", *values])
    return _markdown(rows)


def with_tables(page: str, heads: tuple[str, str, str]) -> str:
    """`page` with new tables between its marks."""
    setting, size, weights = heads
    return _put(_put(page, "levels", level_table(setting)), "sizes", size_table(size, weights))


def _resolved(key: str, value: str) -> Resolved:
    return resolve([Layer(Rank.COMMAND_LINE, "table", (Given(key, value, "table"),))])


def _markdown(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join("---" for _ in rows[0]) + " |", *lines[1:]])


def _put(page: str, mark: str, table: str) -> str:
    before, begin, rest = page.partition(f"<!-- {mark} -->")
    _, end, after = rest.partition(f"<!-- /{mark} -->")
    if not (begin and end):
        raise SystemExit(f"error: the marks <!-- {mark} --> and <!-- /{mark} --> are not in the page; put them back")
    return f"{before}{begin}\n\n{table}\n\n{end}{after}"


def main() -> int:
    """Rewrites both pages; returns the exit code."""
    for name, heads in HEADS.items():
        path = ROOT / name
        page = path.read_text(encoding="utf-8")
        path.write_text(with_tables(page, heads), encoding="utf-8")
        print(f"{name}: tables written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
