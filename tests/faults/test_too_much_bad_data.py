"""D3: more bad data than is allowed stops the command before it starts, with a table and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from myxtts.cli.train import main
from tests.data.made_recordings import make_root


def test_over_five_percent_is_exit_2_with_a_table_unless_the_user_allows_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    root = make_root(tmp_path / "root", clips=8)
    (root / "wavs" / "bad.wav").write_bytes(b"no recording")
    with (root / "metadata.csv").open("a") as file:
        file.write("bad|Say it.|s0\n")
    words = ["--train-data", str(root), "--set", f"data.cache_path={tmp_path / 'cache'}", "--num-workers", "1"]
    assert main([*words, "--dry-run"], default_checkpoint_dir="run") == 2
    said = capsys.readouterr().err
    assert "1 of 9 rows rejected (11.1%), the limit is 5.0%" in said and "Traceback" not in said
    assert "unreadable: 1" in said and f"{root}/metadata.csv:10: " in said
    assert "--set data.max_rejected_share=0.12" in said
    assert not (tmp_path / "run").exists()
    assert main([*words, "--dry-run", "--set", "data.max_rejected_share=0.12"], default_checkpoint_dir="run") == 0
