"""The scripts for several machines, run with stand-ins for Python, srun and scontrol."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from myxtts.cli.arguments import request_of, training_parser
from myxtts.config.resolve import resolve
from myxtts.training.members import member_of

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
ADDRESSES = "10.0.0.1:8888 10.0.0.2:8888"


def run(folder: Path, words: list[str], programs: Mapping[str, str], **more: str) -> tuple[int, list[Any]]:
    """Exit code of the script, and what its stand-ins were called with and TF_CONFIG; `programs` end so."""
    folder.mkdir()
    for name, end in programs.items():
        log = f'printf "%s\\n" "$TF_CONFIG" {name} "$@" "" >> {shlex.quote(str(folder / "calls"))}\n'
        (folder / name).write_text(f"#!/bin/sh\n{log}{end}\n")
        (folder / name).chmod(0o755)
    environment = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "TF_CONFIG": "", **more}
    done = subprocess.run(["sh", *words], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    calls = (folder / "calls").read_text().split("\n\n")
    return done.returncode, [call.lstrip("\n").split("\n") for call in calls if call.strip()]


def settings_of(words: list[str]) -> dict[str, str]:
    """The settings of `python3 -m myxtts train ...`, which must be valid."""
    start = words.index("train") + 1
    assert words[start - 3 : start] == ["-m", "myxtts", "train"]
    request = request_of(*training_parser("myxtts train", None).parse_known(words[start:]))
    resolve([request.layer])
    return {given.key: given.value for given in request.layer.settings}


def test_start_sh(tmp_path: Path) -> None:
    words = [str(EXAMPLES / "start.sh"), "1", ADDRESSES, "--train-data", "a folder", "--batch-size", "8"]
    code, (call,) = run(tmp_path / "bin", words, {"python3": "exit 75"})
    assert code == 75, "that of the training"
    member = member_of({"TF_CONFIG": call[0]})
    assert (member.rank, member.addresses) == (1, tuple(ADDRESSES.split()))
    assert settings_of(call) == {"data.train_path": "a folder", "training.batch_size": "8"}


SRUN = """
shift  # its option
most=0
for SLURM_PROCID in 1 0; do
    export SLURM_PROCID
    "$@" || { code=$?; [ "$code" -le "$most" ] || most=$code; }
done
exit "$most"
"""
"""Two processes one after the other; the highest code of all, as Slurm does it."""
PYTHON = """
[ "$3" != prepare ] || exit 0
set -- $CODES
[ "$SLURM_PROCID" -eq 0 ] || shift
exit "$1"
"""


def test_slurm_sh(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    folders = {"DATA": "/d", "CACHE": str(cache), "RUN": "/r", "SLURM_JOB_ID": "12"}
    ends = {"75 75": True, "75 137": True, "142 75": True, "0 0": False, "3 3": False, "2 75": False, "4 75": False}
    (cache / "ended-12").write_text("75")  # of a job whose machine was lost
    for codes, again in ends.items():
        programs = {"python3": PYTHON, "srun": SRUN, "scontrol": ""}
        code, calls = run(tmp_path / codes, [str(EXAMPLES / "slurm.sh")], programs, **folders, CODES=codes)
        assert code == int(codes.split()[0]), "that of process 0"
        names = [call[0] for call in calls if call[0] in programs]
        assert names == ["python3", "srun", "python3", "python3", *["scontrol"] * again]
    assert list(cache.iterdir()) == []
    assert calls[0] == ["python3", "-m", "myxtts", "prepare", "--data", "/d", "--cache", str(cache)]
    found = settings_of([call for call in calls if call[0] == "python3"][1])
    assert found["data.cache_path"] == str(cache) and found["training.checkpoint_dir"] == "/r"


def test_slurm_sh_waits_for_a_training_that_saves_after_sigterm(tmp_path: Path) -> None:
    """Slurm signals the shell of a process, too."""
    folders = {"DATA": "/d", "CACHE": str(tmp_path), "RUN": "/r", "SLURM_JOB_ID": "12"}
    programs = {
        "python3": '[ "$3" != train ] || { kill -TERM "$PPID"; exit 75; }',
        "srun": 'shift; SLURM_PROCID=0 "$@"',
        "scontrol": "",
    }
    code, calls = run(tmp_path / "bin", [str(EXAMPLES / "slurm.sh")], programs, **folders)
    assert code == 75 and calls[-1][0] == "scontrol"


def test_slurm_sh_ends_without_data(tmp_path: Path) -> None:
    folders = {"DATA": "/d", "CACHE": "/c", "RUN": "/r", "SLURM_JOB_ID": "12"}
    code, calls = run(tmp_path / "fails", [str(EXAMPLES / "slurm.sh")], {"python3": "exit 2", "srun": ""}, **folders)
    assert code == 2 and len(calls) == 1, "nothing trains on data that are not prepared"


def test_kubernetes_yaml(tmp_path: Path) -> None:
    service, job = yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text())
    spec = job["spec"]
    pod = spec["template"]["spec"]
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"].items() <= spec["template"]["metadata"]["labels"].items()
    (container,) = pod["containers"]
    assert container["command"] == ["sh", "-c"]
    (text,) = container["args"]
    (tmp_path / "start.sh").write_text((EXAMPLES / "start.sh").read_text())
    text = text.replace("/opt", str(tmp_path))
    for index in range(spec["completions"]):
        words = ["-c", text]
        code, (call,) = run(tmp_path / str(index), words, {"python3": ""}, JOB_COMPLETION_INDEX=str(index))
        member = member_of({"TF_CONFIG": call[0]})
        assert (code, member.rank, member.size) == (0, index, spec["completions"])
        expected = f"{job['metadata']['name']}-{index}.{service['metadata']['name']}:8888"
        assert member.addresses[index] == expected
        assert re.fullmatch(r"/shared/\w+", settings_of(call)["training.checkpoint_dir"])
