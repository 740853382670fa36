"""The processes of a training: one for each device, which compute the same updates on different rows of each batch.

tf.distribute.MultiWorkerMirroredStrategy gives the cluster and the all-reduce, and nothing else: weights and moments
are plain variables of each process, which stay equal because every process adds up the same numbers. Only the sum
itself is inside `strategy.run`: optimizers that reduce gradients themselves (Keras's Muon) see one replica, and no
collective is inside a `tf.cond`, where TensorFlow forbids it. All processes must call the same methods in the same
order.
"""

from __future__ import annotations

import json
import math
import re
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from myxtts.errors import ClusterError, ConfigError
from myxtts.messages import quoted
from myxtts.training.members import Member

LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)
"""What TensorFlow raises in the other processes when one ends; other errors are of this process itself."""
JOIN_SECONDS = 120
"""The least time that TensorFlow gets to connect processes that have met already (training.meeting), before SIGALRM
ends this one; by itself it waits for an hour if another one has ended meanwhile."""
PART_WORDS = 1 << 23
"""Words of 8 bytes that are broadcast at once."""


class Cluster(Protocol):
    """What the training uses of its processes."""

    rank: int
    size: int

    @property
    def chief(self) -> bool:
        """Whether this process locks, writes and shows."""

    def sum(self, values: tf.Tensor) -> tf.Tensor:
        """In a graph: the sum over all processes of a vector (N,) float32; never inside a `tf.cond`."""

    def sum_now(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The sum over all processes of a vector (N,), bit-exact in all."""

    def gather(self, value: Any) -> list[Any]:
        """The JSON value of every process, by rank."""

    def share(self, value: Any) -> Any:
        """The JSON value of the chief."""

    def broadcast(self, content: bytes) -> bytes:
        """The bytes of the chief."""

    def part(self) -> None:
        """Wait, at the end, until no process needs another one any more; then each may exit."""

    def watching(self) -> AbstractContextManager[object]:
        """A context for calling graphs with `sum`: what TensorFlow raises when a process ends becomes ClusterError."""

    def describe(self) -> str:
        """The devices, for messages: "CPU:0", "3 processes, each on CPU:0"."""


def _device() -> str:
    """The device that TensorFlow computes on by default."""
    return "GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0"


class Alone:
    """A training in one process: no collective, no further operation in a graph."""

    rank, size, chief = 0, 1, True

    def sum(self, values: tf.Tensor) -> tf.Tensor:
        """See Cluster."""
        return values

    def sum_now(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See Cluster."""
        return values

    def gather(self, value: Any) -> list[Any]:
        """See Cluster."""
        return [value]

    def share(self, value: Any) -> Any:
        """See Cluster."""
        return value

    def broadcast(self, content: bytes) -> bytes:
        """See Cluster."""
        return content

    def part(self) -> None:
        """See Cluster."""

    def watching(self) -> AbstractContextManager[object]:
        """See Cluster."""
        return nullcontext()

    def describe(self) -> str:
        """See Cluster."""
        return _device()


class Workers:
    """One of several processes.

    Args:
        member: its rank and the addresses of all; the constructor waits until all of them are there.
        command: the command line that continues the run, for messages.
        seconds: training.join_seconds; TensorFlow may take as long, and at least JOIN_SECONDS.

    Raises:
        ClusterError: the connection failed.
        ConfigError: TensorFlow has computed something already.
    """

    def __init__(self, member: Member, command: str, seconds: float = 0.0) -> None:
        self.rank, self.size, self.command = member.rank, member.size, command
        self.chief = member.chief
        gpus = tf.config.list_physical_devices("GPU")
        if len(gpus) > 1:  # the strategy would make a replica of each
            tf.config.set_visible_devices(gpus[member.on_host % len(gpus)], "GPU")
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(member.addresses)}),
            task_type="worker",
            task_id=member.rank,
            num_accelerators={"GPU": min(1, len(gpus))},
            rpc_layer="grpc",
        )
        # no thread runs meanwhile: TensorFlow keeps the lock of the interpreter
        signal.alarm(max(JOIN_SECONDS, math.ceil(seconds)))
        try:
            self._strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
        except RuntimeError as error:
            raise ConfigError("several processes: TensorFlow has already started; start a new process") from error
        except tf.errors.OpError as error:
            raise ClusterError(
                f"process {self.rank} of {self.size} at {member.addresses[self.rank]} could not join the others "
                f"({_reason(error)})"
            ) from error
        finally:
            signal.alarm(0)
        self._sums = {
            dtype: tf.function(self._reduce, input_signature=[tf.TensorSpec([None], dtype)], autograph=False)
            for dtype in (tf.float32, tf.int64)
        }

    def _reduce(self, values: tf.Tensor) -> tf.Tensor:
        def added(mine: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            # without the identity, an argument of the graph has no device, which all_reduce rejects
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(mine))

        return self._strategy.run(added, args=(values,))

    def sum(self, values: tf.Tensor) -> tf.Tensor:
        """See Cluster."""
        return self._reduce(values)

    def sum_now(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See Cluster."""
        with self.watching():
            total: npt.NDArray[np.float32] = self._sums[tf.float32](tf.constant(values, tf.float32)).numpy()
        return total

    def _sum_words(self, words: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The sum of whole numbers: with zeros from all processes but one it is a bit-exact broadcast."""
        with self.watching():
            total: npt.NDArray[np.int64] = self._sums[tf.int64](tf.constant(words, tf.int64)).numpy()
        return total

    def gather(self, value: Any) -> list[Any]:
        """See Cluster."""
        text = json.dumps(value).encode()
        lengths = np.zeros(self.size, np.int64)
        lengths[self.rank] = len(text)
        lengths = self._sum_words(lengths)
        longest = -(-int(lengths.max()) // 8)
        words = np.zeros([self.size, longest], np.int64)
        words[self.rank] = _words_of(text, longest)
        texts = self._sum_words(words.ravel()).reshape(self.size, longest)
        return [json.loads(row.tobytes()[:length]) for row, length in zip(texts, lengths.tolist(), strict=True)]

    def share(self, value: Any) -> Any:
        """See Cluster."""
        return json.loads(self.broadcast(json.dumps(value).encode() if self.chief else b""))

    def broadcast(self, content: bytes) -> bytes:
        """See Cluster."""
        (length,) = self._sum_words(np.array([len(content) if self.chief else 0], np.int64)).tolist()
        parts: list[bytes] = []
        for start in range(0, length, 8 * PART_WORDS):
            size = min(length - start, 8 * PART_WORDS)
            words = np.zeros(-(-size // 8), np.int64)
            if self.chief:
                words = _words_of(content[start : start + size], len(words))
            parts.append(self._sum_words(words).tobytes()[:size])
        return b"".join(parts)

    def part(self) -> None:
        """See Cluster."""
        # A sum ends first in one process, and others still fetch parts of it from there: one that exits after the last
        # sum would break it for them. Who is here has finished that one; if this sum breaks, nothing is lost.
        with suppress(ClusterError):
            self.sum_now(np.zeros(1, np.float32))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See Cluster."""
        try:
            yield
        except LOST as error:
            raise ClusterError(
                f"another process ended or does not answer ({_reason(error)}), so process {self.rank} of {self.size} "
                f"ends, too; to continue: {self.command}"
            ) from error

    def describe(self) -> str:
        """See Cluster."""
        return f"{self.size} processes, each on {_device()}"


def _words_of(content: bytes, count: int) -> npt.NDArray[np.int64]:
    """Bytes as `count` words, filled with zeros."""
    return np.frombuffer(content.ljust(8 * count, b"\0"), np.int64)


def cluster_of(member: Member, command: str, seconds: float = 0.0) -> Cluster:
    """The cluster of this process; for several, see Workers. Before TensorFlow computes anything."""
    return Alone() if member.size == 1 else Workers(member, command, seconds)


def empty_rows(batch_size: int, processes: int) -> str:
    """A warning if the batch size is not a multiple of the processes; empty if it is."""
    empty = -batch_size % processes
    if not empty:
        return ""
    rows = f"{empty} of {batch_size + empty} rows of every micro-batch {'stays' if empty == 1 else 'stay'} empty"
    return f"training.batch_size {batch_size} is not a multiple of {processes} processes: {rows}"


def _reason(error: tf.errors.OpError) -> str:
    """The reason that TensorFlow gives, on one line."""
    found = re.search(r"(Collective ops is aborted by: )?(?P<why>[^\n]+)", str(error).rpartition("\n\n")[2].strip())
    return quoted(found["why"] if found else type(error).__name__, 120)
