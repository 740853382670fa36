"""The processes of a training before TensorFlow: whether all are running, and whether they agree.

TensorFlow waits for a missing process without a message, and would train with different settings. Therefore the chief
first listens at its own address, every other process connects and sends what it would train, and gets an answer: all
train, or none, each with one line that says why. TensorFlow uses the same ports afterwards.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from myxtts import __version__
from myxtts.config.fields import LEAVES, value_of
from myxtts.config.schema import Config
from myxtts.data.feature_store import FeatureStore
from myxtts.data.prepare import PreparedData
from myxtts.errors import ClusterError, ConfigError
from myxtts.messages import quoted
from myxtts.storage.files import temporary_name
from myxtts.storage.run_directory import RunDirectory
from myxtts.training.members import Member

OWN_SETTINGS = frozenset(
    {
        "data.train_path",
        "data.val_path",
        "data.cache_path",
        "data.num_workers",
        "training.checkpoint_dir",
        "training.threads",
        "training.join_seconds",
    }
)
"""Settings that may differ between the processes of one training."""
_RETRY_SECONDS = 0.2
_GREETING_SECONDS = 5.0
"""How long a connecting process may take to identify itself."""
FOLDER_SECONDS = 40.0
"""How long a new file of another machine may stay unseen: NFS believes what it knows of a folder for up to 30 s."""
_LONGEST_LINE = 1 << 20
Facts = dict[str, str]


class Meeting:
    """The connections of one process with the chief; a context. A process that ends is noticed by all.

    Args:
        member: this process; with others.
        seconds: how long to wait for the others to arrive.

    Raises:
        ConfigError: the port of this process is in use.
        ClusterError: others did not arrive.
    """

    def __init__(self, member: Member, seconds: float) -> None:
        self.member, self._seconds = member, seconds
        self._lines: dict[int, _Lines] = {}
        """Connections by rank; only that to the chief in the other processes."""
        with self._listening() as own, ExitStack() as failed:
            failed.callback(self.close)
            if member.chief:
                self._accept_all(own)
            else:
                own.close()
                self._connect()
            failed.pop_all()

    def agree(self, facts: Facts, advice: str) -> None:
        """Return in all processes if their facts are equal, else raise in all; `advice` says what to do then.

        Raises:
            ConfigError: they differ.
            ClusterError: a process ended.
        """
        if self.member.chief:
            error = ""
            for rank in sorted(self._lines):
                error = error or self._difference(rank, facts, self._receive(rank), advice)
            for line in self._lines.values():
                line.send({"error": error})
        else:
            self._lines[0].send(facts)
            error = str(self._receive(0).get("error", ""))
        if error:
            raise ConfigError(error)

    def check_folder(self, folder: Path, advice: str) -> None:
        """Return in all processes if `folder` is the same one for all, else raise in all.

        The chief puts a file in it that the others look for; file and folder are removed again if they are new. A
        folder that the chief cannot write to is not checked: locking it reports that.

        Args:
            folder: the path that this process has for it.
            advice: what to do if it is not the same.

        Raises:
            ConfigError: a process does not see the file.
            ClusterError: a process ended.
        """
        if not self.member.chief:
            self._lines[0].send({"seen": _appears(folder, str(self._receive(0).get("file", "")))})
            error = str(self._receive(0).get("error", ""))
        else:
            with _marked(folder) as name:
                for line in self._lines.values():
                    line.send({"file": name})
                absent = [rank for rank in sorted(self._lines) if not self._receive(rank).get("seen")]
            names = ", ".join(f"process {rank} ({self.member.addresses[rank]})" for rank in absent)
            error = (
                f"{quoted(folder)} of process 0 is not the folder of {quoted(names, 200)}: {advice}" if names else ""
            )
            for line in self._lines.values():
                line.send({"error": error})
        if error:
            raise ConfigError(error)

    def __enter__(self) -> Meeting:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections; TensorFlow takes the ports over."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        for line in self._lines.values():
            line.close()

    def _difference(self, rank: int, facts: Facts, others: Mapping[str, Any], advice: str) -> str:
        """The first fact that differs in process `rank`, as a message; empty if none does."""
        for key in {**facts, **others}:  # in this order: the number of clips says more than a hash of them
            own, other = facts.get(key), others.get(key)
            if own != other:
                return (
                    f"{key} is {quoted(own)} in process 0 and {quoted(other)} in process {rank} "
                    f"({self.member.addresses[rank]}): {advice}"
                )
        return ""

    @contextmanager
    def _listening(self) -> Iterator[socket.socket]:
        """A socket that listens at the address of this process."""
        address = self.member.addresses[self.member.rank]
        host, _, port = address.rpartition(":")
        try:
            family = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0][0]
            own = socket.create_server(("", int(port)), family=family, backlog=128)
        except OSError as error:
            raise ConfigError(
                f"process {self.member.rank} of {self.member.size} cannot listen at {quoted(address)} of "
                f"{self.member.source} ({_reason(error)}): end what uses the port, or name another one in all processes"
            ) from error
        with own:
            yield own

    def _accept_all(self, own: socket.socket) -> None:
        """Wait until every other process is connected."""
        deadline = time.monotonic() + self._seconds
        while missing := [rank for rank in range(1, self.member.size) if rank not in self._lines]:
            own.settimeout(max(0.0, deadline - time.monotonic()) or 1e-3)
            line = None
            try:
                line = _Lines(own.accept()[0])
                line.connection.settimeout(_GREETING_SECONDS)
                greeting = line.receive()
            except (OSError, ValueError) as error:  # no connection in time, or a foreign one
                if line is not None:
                    line.close()
                if time.monotonic() < deadline:
                    continue
                absent = ", ".join(f"{rank} ({self.member.addresses[rank]})" for rank in missing)
                raise ClusterError(
                    f"{len(missing)} of {self.member.size} processes did not arrive within {self._seconds:g} s: "
                    f"{quoted(absent, 200)}; start them with the same command, or raise training.join_seconds"
                    f"{self._alone()}"
                ) from error
            rank = greeting.get("rank")
            if greeting.get("addresses") == list(self.member.addresses) and rank in missing:
                line.connection.settimeout(None)
                line.send({})
                self._lines[rank] = line
            else:
                with contextlib.suppress(OSError):
                    line.send({"error": self._wrong(rank)})
                line.close()

    def _wrong(self, rank: object) -> str:
        """What a process that does not belong here reports."""
        return (
            f"process 0 was started with other addresses ({self.member.source}), or two processes as number {rank}; "
            "start all with the same list and different numbers"
        )

    def _connect(self) -> None:
        """Connect to the chief, which may come later. Another program at its port accepts, but does not answer so."""
        host, _, port = self.member.addresses[0].rpartition(":")
        deadline = time.monotonic() + self._seconds
        while True:
            line = None
            try:
                line = _Lines(socket.create_connection((host.strip("[]"), int(port)), _GREETING_SECONDS))
                line.send({"rank": self.member.rank, "addresses": list(self.member.addresses)})
                line.connection.settimeout(max(1e-3, deadline - time.monotonic()))
                answer = line.receive()
                line.connection.settimeout(None)
                break
            except (OSError, ValueError) as error:
                if line is not None:
                    line.close()
                if time.monotonic() >= deadline:
                    why = "another program seems to use its port" if line is not None else _reason(error)
                    raise ClusterError(
                        f"process {self.member.rank} of {self.member.size}: process 0 ({self.member.addresses[0]}) did "
                        f"not answer within {self._seconds:g} s ({why}); start it with the same command, or raise "
                        f"training.join_seconds{self._alone()}"
                    ) from error
                time.sleep(_RETRY_SECONDS)
        self._lines[0] = line
        if problem := answer.get("error"):
            raise ConfigError(str(problem))

    def _alone(self) -> str:
        """How to train alone if only Slurm's variables name other processes."""
        return ", or unset SLURM_STEP_NUM_TASKS to train alone" if self.member.source == "Slurm" else ""

    def _receive(self, rank: int) -> Mapping[str, Any]:
        try:
            return self._lines[rank].receive()
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"process {rank} of {self.member.size} ({self.member.addresses[rank]}) ended before the training "
                "began; its own output says why"
            ) from error


@contextmanager
def _marked(folder: Path) -> Iterator[str]:
    """A context in which a new file is in the folder, by its name; empty if the folder cannot be written to."""
    name = temporary_name(".meeting")  # if this process is killed, the next writer removes it
    with ExitStack() as removed:
        try:
            for parent in (*reversed(folder.parents), folder):
                if not parent.is_dir():
                    parent.mkdir()
                    removed.callback(_removed, parent.rmdir)
            (folder / name).touch(exist_ok=False)
            removed.callback(_removed, (folder / name).unlink)
        except OSError:
            name = ""
        yield name


def _removed(remove: Callable[[], None]) -> None:
    with contextlib.suppress(OSError):  # another program put something into a new folder
        remove()


def _appears(folder: Path, name: str) -> bool:
    """Whether a file is in the folder, or comes to be in time; True without a name."""
    deadline = time.monotonic() + FOLDER_SECONDS
    while name:
        with contextlib.suppress(OSError):
            if folder / name in folder.iterdir():  # more recent than what a path lookup may remember
                return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_RETRY_SECONDS)
    return True


def _reason(error: Exception) -> str:
    """What the system says, without the details that Python adds."""
    return (getattr(error, "strerror", None) or str(error)).partition(" (while")[0]


class _Lines:
    """A connection that carries JSON objects, one per line."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):  # a machine that vanished
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        self._file = connection.makefile("rb")

    def send(self, value: Mapping[str, Any]) -> None:
        with contextlib.suppress(ConnectionError):  # the next `receive` reports it
            self.connection.sendall(json.dumps(value).encode() + b"\n")

    def receive(self) -> Mapping[str, Any]:
        """The next object. Raises OSError or ValueError."""
        text = self._file.readline(_LONGEST_LINE)
        value = json.loads(text)
        if not text.endswith(b"\n") or not isinstance(value, dict):
            raise ValueError("no object")
        return value

    def close(self) -> None:
        self._file.close()
        self.connection.close()


def settings_facts(config: Config, *, fresh: bool, init_from: str | None) -> Facts:
    """The facts that must be equal in all processes before the data is read."""
    settings = {key: str(value_of(config, key)) for key in LEAVES if key not in OWN_SETTINGS}
    run = RunDirectory(Path(config.training.checkpoint_dir).expanduser())
    there = "an existing run" if run.clips_path.exists() and not fresh else "a new run"
    return {
        **settings,
        "the version of MyXTTS": __version__,
        "--fresh": str(fresh),
        "--init-from": str(init_from),
        "the run directory": there,
    }


SETTINGS_ADVICE = "give all processes the same command, and a run directory that all can read"
FOLDER_ADVICE = "put the run directory into a folder that all machines share, and name it in all processes"
DATA_ADVICE = "all processes must see the same data and the same run directory"


def data_facts(prepared: PreparedData) -> Facts:
    """The facts about the data that must be equal in all processes."""
    return {
        "the training data": _describe(prepared.train),
        "the validation data": _describe(prepared.validation),
        "the statistics of the data": _hash(prepared.corpus.to_json()),
    }


def _describe(store: FeatureStore) -> str:
    text_A, mel_A = store.lengths
    return f"{len(store)} clips ({_hash([[u.id for u in store.utterances], text_A.tolist(), mel_A.tolist()])})"


def _hash(facts: object) -> str:
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=6).hexdigest()
