"""What the graphs of a training step consist of: operations that a GPU cannot compute, and kernel launches.

Both are counted from the graph, so they are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tensorflow.python.framework import kernels

CALLS = ("PartitionedCall", "StatefulPartitionedCall")
BRANCHES = ("If", "StatelessIf", "Case", "StatelessCase")
LOOPS = ("While", "StatelessWhile")
NO_LAUNCH = frozenset(
    {
        *("Const", "Placeholder", "NoOp", "Identity", "IdentityN", "StopGradient", "PreventGradient", "EnsureShape"),
        *("Reshape", "ExpandDims", "Squeeze", "Shape", "ShapeN", "Size", "Rank", "BroadcastGradientArgs"),
        *("BroadcastArgs", "ConcatOffset", "InvertPermutation", "VarHandleOp", "ReadVariableOp", "AssignVariableOp"),
        *("TensorListReserve", "EmptyTensorList", "TensorListElementShape", "TensorListLength", "Assert"),
    }
)
"""Operations that compute nothing on a device: constants, shapes, views, and a variable that takes over a tensor."""
HOST_TYPES = frozenset({3, 9})
"""int32 and int64: numbers of shapes and indices, which TensorFlow computes on the processor."""


@dataclass(frozen=True)
class Count:
    """Nodes of a graph with those of its functions, and how many of them are likely to launch a kernel."""

    nodes: int
    launches: int

    def __add__(self, other: Count) -> Count:
        return Count(self.nodes + other.nodes, self.launches + other.launches)


class TracedGraph:
    """The graph of a traced tf.function.

    Args:
        traced: the concrete function.
    """

    def __init__(self, traced: Any) -> None:
        graph = traced.graph.as_graph_def()
        ends = [tensor.op.name for tensor in traced.graph.outputs] + [op.name for op in traced.graph.control_outputs]
        self._nodes = _needed(graph.node, ends)
        self._functions = {
            f.signature.name: _needed(f.node_def, [*f.ret.values(), *f.control_ret.values()])
            for f in graph.library.function
        }

    def nodes(self) -> Iterator[Any]:
        """Every node of the graph and of its functions that runs, each once."""
        yield from self._nodes
        for body in self._functions.values():
            yield from body

    def count(self) -> Count:
        """Nodes and likely launches when it runs: of a condition the longer branch, a loop as one pass."""
        return self._count(self._nodes)

    def _count(self, nodes: Any) -> Count:
        return sum((self._count_of(node) for node in nodes), Count(0, 0))

    def _count_of(self, node: Any) -> Count:
        bodies = [self._count(self._functions[name]) for name in _called(node)]
        if node.op in BRANCHES:
            return max(bodies, key=lambda count: count.nodes)
        if bodies and node.op in (*CALLS, *LOOPS):
            return sum(bodies, Count(0, 0))
        return Count(1, int(_launches(node)))

    def without_gpu_kernel(self) -> list[str]:
        """Names of the operations that have no kernel for GPUs with the types that they have here, sorted."""
        found = {node.op for node in self.nodes() if not _called(node) and not has_gpu_kernel(node)}
        return sorted(found)


def _needed(nodes: Iterable[Any], ends: Iterable[str]) -> list[Any]:
    """The nodes that results or effects depend on: TensorFlow removes the others before it runs a graph.

    They come from gradients of arguments that have none, and of results that nothing uses.
    """
    by_name = {node.name: node for node in nodes}
    found: dict[str, Any] = {}
    open_names = [_node_of(end) for end in ends]
    while open_names:
        name = open_names.pop()
        if name in by_name and name not in found:
            found[name] = by_name[name]
            open_names += [_node_of(source) for source in by_name[name].input]
    return [node for name, node in by_name.items() if name in found]


def _node_of(tensor: str) -> str:
    """The node of a tensor's name: "sum" of "sum:0", "sum:z:0" and "^sum"."""
    return tensor.removeprefix("^").partition(":")[0]


def _called(node: Any) -> list[str]:
    """The functions that a node runs."""
    names = [value.func.name for value in node.attr.values() if value.HasField("func")]
    listed = [f.name for value in node.attr.values() if value.HasField("list") for f in value.list.func]
    return [*names, *listed]


def _launches(node: Any) -> bool:
    if node.op in NO_LAUNCH:
        return False
    types: Mapping[str, Any] = node.attr
    kind = next((types[name].type for name in ("T", "dtype", "DstT", "output_type", "Tidx") if name in types), 1)
    return kind not in HOST_TYPES


def has_gpu_kernel(node: Any) -> bool:
    """Whether this TensorFlow has a kernel for GPUs for the operation and types of a node."""
    return any(_allows(kernel, node) for kernel in _gpu_kernels(node.op))


@lru_cache(maxsize=1_024)
def _gpu_kernels(operation: str) -> list[Any]:
    registered = kernels.get_registered_kernels_for_op(operation).kernel
    return [kernel for kernel in registered if kernel.device_type in ("GPU", "DEFAULT")]


def _allows(kernel: Any, node: Any) -> bool:
    for constraint in kernel.constraint:
        if constraint.name in node.attr:
            value, allowed = node.attr[constraint.name], set(constraint.allowed_values.list.type)
            types = list(value.list.type) if value.HasField("list") else [value.type]
            if not set(types) <= allowed:
                return False
    return True
