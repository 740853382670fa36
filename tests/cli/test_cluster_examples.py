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


def test_slurm_sh(tmp_path: Path) -> None:
    folders = {"DATA": "/d", "CACHE": "/c", "RUN": "/r", "SLURM_JOB_ID": "12"}
    for number, (end, again) in enumerate({75: True, 0: False, 3: False}.items()):
        programs = {"python3": "", "srun": f"exit {end}", "scontrol": ""}
        code, calls = run(tmp_path / str(number), [str(EXAMPLES / "slurm.sh")], programs, **folders)
        assert code == end
        assert [call[0] for call in calls] == ["python3", "srun", *["scontrol"] * again]
    assert calls[0] == ["python3", "-m", "myxtts", "prepare", "--data", "/d", "--cache", "/c"]
    found = settings_of(calls[1])
    assert found["data.cache_path"] == "/c" and found["training.checkpoint_dir"] == "/r"
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
