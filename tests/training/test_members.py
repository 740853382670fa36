"""Which process this one is, and whether the others are there and agree; no TensorFlow."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_group import free_ports, tf_config

from myxtts.cli import train
from myxtts.cli.arguments import request_of, training_parser
from myxtts.config.resolve import program_layer
from myxtts.errors import ClusterError, ConfigError, MyXTTSError
from myxtts.storage.run_directory import RunDirectory
from myxtts.training.meeting import Meeting, _marked
from myxtts.training.members import ALONE, Member, host_list, member_of, task_counts

TWO = ["10.0.0.1:1200", "10.0.0.2:1200"]


def test_a_process_without_variables_is_alone() -> None:
    assert member_of({}) == member_of({"TF_CONFIG": " "}) == member_of({"TF_CONFIG": "{}"}) == ALONE
    assert member_of({"TF_CONFIG": tf_config(TWO[:1], 0)}) == ALONE, "one of one"
    assert member_of({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}) == ALONE, "in a batch script, before srun"
    assert (ALONE.size, ALONE.chief) == (1, True)


def test_tf_config() -> None:
    member = member_of({"TF_CONFIG": tf_config(TWO, 1), "SLURM_STEP_NUM_TASKS": "9"})
    assert (member.rank, member.size, member.chief, member.addresses) == (1, 2, False, tuple(TWO))
    cluster = {"chief": ["a:1"], "worker": ["b:1", "a:2"]}
    of = [{"type": "chief", "index": 0}, {"type": "worker", "index": 0}, {"type": "worker", "index": 1}]
    found = [member_of({"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}) for task in of]
    assert [(m.rank, m.on_host) for m in found] == [(0, 0), (1, 0), (2, 1)]
    assert found[0].addresses == ("a:1", "b:1", "a:2")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{worker", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "is missing"),
        (json.dumps({"cluster": {"worker": TWO}}), "is missing"),
        (json.dumps({"cluster": {"ps": TWO}, "task": {"type": "ps", "index": 0}}), "'ps'"),
        (json.dumps({"cluster": {"worker": ["a", "b:1"]}, "task": {"type": "worker", "index": 0}}), "no list of"),
        (json.dumps({"cluster": {"worker": ["a:1", "a:70000"]}, "task": {"type": "worker", "index": 0}}), "no list of"),
        (json.dumps({"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}), "twice"),
        (json.dumps({"cluster": {"worker": TWO}, "task": {"type": "worker", "index": 2}}), "no process"),
        (json.dumps({"cluster": {"worker": TWO}, "task": {"type": "worker", "index": "0"}}), "no process"),
    ],
)
def test_an_unusable_tf_config_is_one_line(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        member_of({"TF_CONFIG": text})
    (line,) = caught.value.problems
    assert why in line and line.startswith("TF_CONFIG") and "unset it" in line and "\n" not in line


def test_slurm() -> None:
    step = {
        "SLURM_STEP_NUM_TASKS": "5",
        "SLURM_STEP_NODELIST": "gpu[08-09],big1",
        "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
    }
    members = [member_of({**step, "SLURM_PROCID": str(rank)}) for rank in range(5)]
    assert members[0].addresses == ("gpu08:8888", "gpu08:8889", "gpu09:8888", "gpu09:8889", "big1:8888")
    assert [(m.rank, m.on_host, m.source) for m in members] == [
        (rank, at, "Slurm") for rank, at in enumerate((0, 1, 0, 1, 0))
    ]
    for change in (
        {"SLURM_PROCID": "5"},
        {"SLURM_STEP_NUM_TASKS": "4"},
        {"SLURM_STEP_NUM_TASKS": "abc"},
        {"SLURM_STEP_NODELIST": "gpu[08-09]"},
        {},
    ):
        with pytest.raises(ConfigError, match="SLURM_PROCID"):
            member_of({**step, **change})


def test_processes_that_slurm_deals_out_in_turn() -> None:
    step = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NODELIST": "n[1-2]", "SLURM_STEP_TASKS_PER_NODE": "2(x2)"}
    for rank, (node, local) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        own = {**step, "SLURM_PROCID": str(rank), "SLURM_NODEID": str(node), "SLURM_LOCALID": str(local)}
        assert member_of(own).on_host == local
    for place in ({"SLURM_NODEID": "1"}, {"SLURM_LOCALID": "0"}):
        (name,) = place
        with pytest.raises(ConfigError, match=rf"{name}=.* process 1 .*use --distribution=block"):
            member_of({**step, "SLURM_PROCID": "1", **place})


def test_slurms_lists() -> None:
    assert host_list("a") == ["a"] and host_list("a,b-2") == ["a", "b-2"]
    assert host_list("n[1-3,07],m[10-11]x,k") == ["n1", "n2", "n3", "n07", "m10x", "m11x", "k"]
    twelve = [f"rack-{n}-gpu" for n in range(12)]
    assert host_list(",".join(twelve)) == twelve
    with pytest.raises(ValueError, match="list"):  # an expression for the whole list would take years
        host_list(",".join([*twelve * 3, "bad["]))
    assert task_counts("4") == [4] and task_counts("2(x3),1") == [2, 2, 2, 1]
    for read, odd in ((host_list, "n[1-"), (host_list, ""), (task_counts, "two"), (task_counts, "2(y3)")):
        with pytest.raises(ValueError, match="list"):
            read(odd)


def met(size: int, work: Callable[[Meeting], None], *, absent: int = -1, seconds: float = 20.0) -> list[str]:
    """What each process of a meeting came to: nothing, or its error."""
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(size))
    said = [""] * size

    def attend(rank: int) -> None:
        try:
            with Meeting(Member(rank, addresses, "TF_CONFIG"), seconds) as meeting:
                work(meeting)
        except MyXTTSError as error:
            said[rank] = f"{type(error).__name__}: {error}"

    threads = [threading.Thread(target=attend, args=(rank,)) for rank in range(size) if rank != absent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
        assert not thread.is_alive()
    return said


def test_processes_that_agree_go_on() -> None:
    def work(meeting: Meeting) -> None:
        meeting.agree({"seed": "1"}, "x")
        meeting.agree({"the training data": "5 clips"}, "x")

    assert met(3, work) == ["", "", ""]


def test_all_are_told_the_first_difference() -> None:
    def work(meeting: Meeting) -> None:
        odd = meeting.member.rank == 2
        facts = {"more": "x", "training.seed": "2" if odd else "1", **({"last": "x"} if odd else {})}
        meeting.agree(facts, "give all the same")

    said = met(3, work)
    assert len(set(said)) == 1
    assert said[0].startswith("ConfigError: training.seed is '1' in process 0 and '2' in process 2 (127.0.0.1:")
    assert said[0].endswith("give all the same")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_another_program_at_the_port_of_the_first_process(answer: bytes) -> None:
    """It accepts the connection; without a limit the others would wait for its answer forever."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        addresses = (f"127.0.0.1:{other.getsockname()[1]}", f"127.0.0.1:{free_ports(1)[0]}")

        def serve() -> None:
            while True:
                try:
                    connection, _ = other.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        if answer:
            thread.start()
        with pytest.raises(ClusterError, match=r"did not answer within 1 s \(another program seems to use its port\)"):
            Meeting(Member(1, addresses, "TF_CONFIG"), 1.0)
        with pytest.raises(ConfigError, match=r"cannot listen at .* of TF_CONFIG \(Address already in use\): end what"):
            Meeting(Member(0, addresses, "TF_CONFIG"), 1.0)


def test_a_process_with_other_addresses_ends_at_once() -> None:
    first, second, third = free_ports(3)
    said: list[str] = []

    def attend(member: Member) -> None:
        try:
            Meeting(member, 2.0).close()
        except MyXTTSError as error:
            said.append(f"{type(error).__name__}: {error}")

    chief = Member(0, (f"127.0.0.1:{first}", f"127.0.0.1:{second}"), "TF_CONFIG")
    thread = threading.Thread(target=attend, args=(chief,))
    thread.start()
    attend(Member(1, (f"127.0.0.1:{first}", f"127.0.0.1:{third}"), "TF_CONFIG"))
    assert len(said) == 1 and said[0].startswith("ConfigError: process 0 ")
    assert all(fact in said[0] for fact in ("other addresses", "TF_CONFIG", "number 1", "same list"))
    thread.join(30.0)
    assert "1 of 2 processes did not arrive" in said[1]


def test_a_process_that_never_arrives_is_named() -> None:
    first, last, _ = met(3, lambda meeting: None, absent=2, seconds=3.0)
    assert first.startswith("ClusterError: 1 of 3 processes did not arrive within 3 s: '2 (127.0.0.1:")
    assert first.endswith("training.join_seconds") and (last == "" or "ended before the training" in last)
    _, follower = met(2, lambda meeting: None, absent=0, seconds=1.0)
    assert follower.startswith("ClusterError: process 1 of 2: process 0 (127.0.0.1:") and "did not answer" in follower


@pytest.mark.parametrize("rank", [0, 1])
def test_under_slurm_the_way_to_train_alone_is_named(rank: int) -> None:
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(2))
    with pytest.raises(ClusterError, match="or unset SLURM_STEP_NUM_TASKS to train alone"):
        Meeting(Member(rank, addresses, "Slurm"), 0.1)


def test_a_process_that_ends_ends_all() -> None:
    def work(meeting: Meeting) -> None:
        if meeting.member.rank == 1:
            raise ConfigError("its own")
        meeting.agree({}, "x")

    first, own, other = met(3, work)
    assert own == "ConfigError: its own"
    assert first.startswith("ClusterError: process 1 of 3 (127.0.0.1:") and "ended before the training began" in first
    assert other.startswith("ClusterError: process 0 of 3")


def test_a_folder_that_all_share_is_left_as_it_was(tmp_path: Path) -> None:
    new, existing = tmp_path / "not" / "there yet", tmp_path / "existing"
    existing.mkdir()
    (existing / "kept").touch()

    def work(meeting: Meeting) -> None:
        meeting.check_folder(new, "x")
        meeting.check_folder(existing, "x")

    assert met(3, work) == ["", "", ""]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["existing", "kept"]


def test_a_folder_that_is_not_shared_is_one_line_in_all_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a folder of the same path on the disk of each machine."""
    monkeypatch.setattr("myxtts.training.meeting.FOLDER_SECONDS", 0.5)
    (tmp_path / "b").mkdir()

    def work(meeting: Meeting) -> None:
        meeting.check_folder(tmp_path / ("b" if meeting.member.rank == 2 else "a"), "share it")

    said = met(3, work)
    assert len(set(said)) == 1
    assert said[0].startswith("ConfigError: ") and said[0].endswith("share it")
    assert str(tmp_path / "a") in said[0] and "process 2 (127.0.0.1:" in said[0] and "process 1" not in said[0]
    assert [path.name for path in tmp_path.rglob("*")] == ["b"], "nothing is written"


def test_a_new_run_in_folders_of_their_own_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("myxtts.training.meeting.FOLDER_SECONDS", 0.5)
    addresses, said = tuple(f"127.0.0.1:{port}" for port in free_ports(2)), [""] * 2

    def attend(rank: int) -> None:
        words = ["--checkpoint-dir", str(tmp_path / f"run-{rank}"), "--train-data", str(tmp_path)]
        request = request_of(*training_parser("train_main.py", None).parse_known(words))
        resolved, _ = train.resolve_request(request, program_layer("train_main.py", {}), None)
        try:
            with train._meeting(Member(rank, addresses, "TF_CONFIG"), resolved, request):
                said[rank] = "begins"
        except MyXTTSError as error:
            said[rank] = str(error)

    threads = [threading.Thread(target=attend, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    assert len(set(said)) == 1 and "run-0" in said[0] and "folder that all machines share" in said[0]
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_leaves_in_the_folder_is_removed_by_the_next_writer(tmp_path: Path) -> None:
    with _marked(tmp_path) as name, RunDirectory(tmp_path).lock():
        assert name and not (tmp_path / name).exists()


def test_a_folder_that_cannot_be_made_is_left_to_the_lock(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert met(2, lambda meeting: meeting.check_folder(tmp_path / "file" / "run", "x")) == ["", ""]


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for rank in (0, 1):
            addresses = (address, "127.0.0.1:1") if rank == 0 else ("127.0.0.1:1", address)
            with pytest.raises(ConfigError, match=rf"process {rank} of 2 cannot listen at '{address}'"):
                Meeting(Member(rank, addresses, "TF_CONFIG"), 1.0)


def test_a_visitor_that_does_not_belong_there_changes_nothing() -> None:
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(2))
    found: list[Any] = []

    def chief() -> None:
        with Meeting(Member(0, addresses, "TF_CONFIG"), 20.0) as meeting:
            meeting.agree({"a": "1"}, "x")
            found.append("agreed")

    thread = threading.Thread(target=chief)
    thread.start()
    for text in (b"GET / HTTP/1.1\r\n\r\n", b'{"rank": 1, "addresses": []}\n', b""):
        with _connected(addresses[0]) as stranger:
            stranger.sendall(text)
    with Meeting(Member(1, addresses, "TF_CONFIG"), 20.0) as meeting:
        meeting.agree({"a": "1"}, "x")
    thread.join(20.0)
    assert found == ["agreed"]


def _connected(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    for _ in range(200):
        try:
            return socket.create_connection((host, int(port)), 5.0)
        except ConnectionRefusedError:
            threading.Event().wait(0.05)
    raise AssertionError("nobody listens")
