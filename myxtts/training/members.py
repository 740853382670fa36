"""Which process of a training this one is, from TF_CONFIG or Slurm. Does not import TensorFlow.

The order of the addresses is the rank. Rank 0 is the chief: it alone locks, writes and shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from myxtts.errors import ConfigError
from myxtts.messages import quoted

TF_CONFIG = "TF_CONFIG"
SLURM_PORT = 8_888
"""Port of the first process on a machine under Slurm; each further one takes the next."""
_TASK_TYPES = ("chief", "worker")


@dataclass(frozen=True)
class Member:
    """One process of a training: its rank, the addresses of all ("host:port"; none if it is alone), and their source.

    `on_host` is its number among the processes of its machine.
    """

    rank: int = 0
    addresses: tuple[str, ...] = ()
    source: str = ""
    on_host: int = 0

    @property
    def size(self) -> int:
        """Number of processes."""
        return max(1, len(self.addresses))

    @property
    def chief(self) -> bool:
        """Whether this process locks, writes and shows."""
        return self.rank == 0


ALONE = Member()


def member_of(environment: Mapping[str, str]) -> Member:
    """This process according to TF_CONFIG, else to Slurm's variables of a job step, else alone.

    Raises:
        ConfigError: one of them cannot be understood.
    """
    if text := environment.get(TF_CONFIG, "").strip():
        return _of_tf_config(text)
    if environment.get("SLURM_STEP_NUM_TASKS", "").strip() not in ("", "0", "1"):
        return _of_slurm(environment)
    return ALONE


def _of_tf_config(text: str) -> Member:
    """The member that TF_CONFIG describes: {"cluster": {"worker": [address, ...]}, "task": {"type", "index"}}."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unusable(f"not JSON ({error})", text) from error
    cluster, task = (value.get(key) if isinstance(value, dict) else None for key in ("cluster", "task"))
    if not cluster and not task and isinstance(value, dict):
        return ALONE
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        raise _unusable("`cluster` or `task` is missing", text)
    if odd := sorted(set(map(str, cluster)) - {*_TASK_TYPES, "evaluator"}):
        raise _unusable(f"`cluster` has {quoted(odd[0])}; a training has processes of type `worker` alone", text)
    addresses: list[str] = []
    first_of: dict[str, int] = {}
    for name in _TASK_TYPES:
        first_of[name], listed = len(addresses), cluster.get(name, [])
        if not isinstance(listed, list) or not all(_is_address(address) for address in listed):
            raise _unusable(f"`cluster.{name}` is no list of addresses such as 10.0.0.1:12345", text)
        addresses += listed
    if len(set(addresses)) < len(addresses):
        raise _unusable("an address occurs twice", text)
    kind, index = task.get("type"), task.get("index")
    if kind not in _TASK_TYPES or type(index) is not int or not 0 <= index < len(cluster.get(kind, [])):
        raise _unusable(f"`task` is {quoted(task)}, which is no process of `cluster`", text)
    if len(addresses) == 1:
        return ALONE
    return _member(first_of[str(kind)] + index, addresses, TF_CONFIG)


def _is_address(address: Any) -> bool:
    if not isinstance(address, str):
        return False
    host, _, port = address.rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 1 << 16


def _member(rank: int, addresses: list[str], source: str) -> Member:
    hosts = [address.rpartition(":")[0] for address in addresses]
    return Member(rank, tuple(addresses), source, hosts[:rank].count(hosts[rank]))


def _unusable(why: str, text: str) -> ConfigError:
    return ConfigError(
        f"{TF_CONFIG} {quoted(text, 100)}: {why}; correct it, or unset it to train in this process alone"
    )


def _of_slurm(environment: Mapping[str, str]) -> Member:
    """The member of a Slurm job step (srun), whose variables count the processes of each host in turn."""
    names = ("SLURM_PROCID", "SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE", "SLURM_STEP_NUM_TASKS")
    try:
        rank = int(environment[names[0]])
        hosts, counts = host_list(environment[names[1]]), task_counts(environment[names[2]])
        addresses = [
            f"{host}:{SLURM_PORT + number}"
            for host, count in zip(hosts, counts, strict=True)
            for number in range(count)
        ]
        if not 0 <= rank < len(addresses) or len(addresses) != int(environment[names[3]]):
            raise ValueError
        places = [(node, local) for node, count in enumerate(counts) for local in range(count)]
        expected = dict(zip(("SLURM_NODEID", "SLURM_LOCALID"), places[rank], strict=True))
        odd = [name for name, number in expected.items() if int(environment.get(name) or number) != number]
    except (KeyError, ValueError) as error:
        given = ", ".join(f"{name}={quoted(environment.get(name, ''))}" for name in names)
        raise ConfigError(
            f"Slurm's variables do not describe this process ({given}): start it with srun, or set {TF_CONFIG}"
        ) from error
    if odd:
        raise ConfigError(
            f"{odd[0]}={environment[odd[0]]} is not the position of process {rank} if Slurm fills one machine "
            "after the other, so the addresses would be wrong: use --distribution=block"
        )
    return _member(rank, addresses, "Slurm")


def host_list(text: str) -> list[str]:
    """Hosts of a Slurm list: "n[1-2,05],gpu7" gives n1, n2, n05, gpu7. Raises ValueError."""
    hosts: list[str] = []
    for element in re.split(r",(?![^\[\]]*\])", text):  # at the commas outside brackets
        match = re.fullmatch(r"([^\[\],]+)(?:\[([\d,-]+)\]([^\[\],]*))?", element)
        if match is None:
            raise ValueError(f"{text!r} is no list of hosts")
        name, inner, rest = match.groups(default="")
        for part in inner.split(","):
            first, dash, last = part.partition("-")
            numbers = range(int(first), int(last) + 1) if dash else ()
            hosts += [f"{name}{n:0{len(first)}d}{rest}" for n in numbers] if dash else [f"{name}{first}{rest}"]
    return hosts


def task_counts(text: str) -> list[int]:
    """Processes of each host in Slurm's form: "2(x3),1" gives 2, 2, 2, 1. Raises ValueError."""
    counts: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if match is None:
            raise ValueError(f"{text!r} is no list of counts")
        counts += [int(match[1])] * int(match[2] or 1)
    return counts
