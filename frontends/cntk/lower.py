"""Runs a network function by function into the graph, and stamps the dynamic axes on every result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import onnx_ir as ir

from nxconvert.errors import Unsupported, UnsupportedError
from nxconvert.formats.cntk.model import CONSTANT, Variable
from nxconvert.frontends.cntk.blocks import recognised
from nxconvert.frontends.cntk.dynamic import STATIC, Axes, Seq, Tensor, joined
from nxconvert.frontends.cntk.inputs import Plan
from nxconvert.frontends.cntk.network import Leaf, Network, Node, Result, Source
from nxconvert.frontends.cntk.table import LoweringError, cntk
from nxconvert.graph.builder import Builder, GraphTypeError, Value
from nxconvert.graph.dims import Int

# What a lowering runs into when attributes and shapes do not fit, short of saying so itself.
_MISFITS = (
    LookupError, ValueError, TypeError, ZeroDivisionError, OverflowError, AttributeError, AssertionError, StopIteration,
    MemoryError,
)  # fmt: skip
#: Constants up to this many elements are known while the graph is built.
_SMALL = 256


class Lowerer:
    """Lowers a network.

    Attributes:
        network: it.
        op: the builder of the graph, or of the body of a loop.
        root: the builder of the graph.
        batch: the size of the batch.
        node: the function that is being lowered.
        values: what has been computed.
        placeholders: all variables of the file; those that stand for the results of loops record their shapes.
        lengths: the inputs that are the lengths of sequences.
    """

    def __init__(
        self,
        network: Network,
        names: Mapping[str, str],
        placeholders: Mapping[str, Variable],
        warn: Callable[[str], None],
        inputs: Plan,
    ) -> None:
        """`names` are the names of the inputs and weights by uid, `inputs` what there is to be known of inputs."""
        self.network = network
        self.placeholders = placeholders
        self.root = self.op = Builder()
        self.batch: Int = self._size(inputs.batch)
        self.values: dict[Source, Tensor] = {}
        self.node = Node("", "", (), {}, "")
        self._names = names
        self._warn = warn
        self._made: dict[tuple[str, Source], Seq] = {}
        self.lengths = self._add_inputs(inputs)

    def warn(self, message: str) -> None:
        self._warn(message)

    # ---- variables ---------------------------------------------------------------------------------------------------

    def _add_inputs(self, inputs: Plan) -> list[Value]:
        """The graph's inputs, and behind them the lengths of sequences, which are returned."""
        lengths: dict[str, Value] = {}
        sequences = {
            axis: Seq(axis, self._size(size), partial(lengths.__getitem__, axis), self.root, made=False)
            for axis, size in inputs.sizes.items()
        }
        for uid, planned in inputs.inputs.items():
            variable, name = self.network.variables[uid], self._names[uid]
            axes = Axes(bool(variable.axes), sequences[planned.axis] if planned.axis is not None else None)
            self.values[Leaf(uid)] = Tensor(self.root.input(name, planned.dtype, map(self._size, planned.dims)), axes)
        self._warn_of_sparse([self._names[uid] for uid in inputs.inputs if self.network.variables[uid].sparse])
        for (axis, _), (name, planned) in zip(inputs.sizes.items(), inputs.lengths.items(), strict=True):
            lengths[axis] = self.root.input(name, planned.dtype, map(self._size, planned.dims))
        return list(lengths.values())

    def _warn_of_sparse(self, names: Sequence[str]) -> None:
        if len(names) == 1:
            self._warn(f"the input '{names[0]}' is fed sparsely in CNTK; here it takes the same numbers densely")
        elif names:
            *most, last = [f"'{name}'" for name in names]
            listed = f"{', '.join(most)} and {last}"
            self._warn(f"the inputs {listed} are fed sparsely in CNTK; here they take the same numbers densely")

    def _size(self, size: int | str) -> Int:
        return size if isinstance(size, int) else self.root.dim(size)

    def new_axis(self, name: str, size: Int, lengths: Callable[[], Value]) -> Seq:
        key = name, self.node.inputs[0]
        if key not in self._made:
            self._made[key] = Seq(name, size, lengths, self.root, made=True)
        return self._made[key]

    def weight(self, variable: Variable) -> Tensor:
        """A parameter or constant."""
        array, name = variable.value, self._names[variable.uid]
        if array is None:
            raise LoweringError(f"the parameter {name} has no value")
        if variable.kind == CONSTANT and array.nbytes <= 8 * _SMALL and array.dtype != ir.DataType.FLOAT16:
            return Tensor(self.op.const(array.numpy()))
        return Tensor(self.op.weight(array.tensor(name), name, key=variable.uid))

    # ---- functions ---------------------------------------------------------------------------------------------------

    def tensor(self, source: Source) -> Tensor:
        """What an input of a function stands for."""
        if source not in self.values:
            if isinstance(source, Result):
                raise LoweringError(f"{source.node} is used before it is computed")
            self.values[source] = self.weight(self.network.variables[source.uid])
        return self.values[source]

    def lower(self, uid: str) -> None:
        """Lowers one function that is in no loop, unless its result came out with one."""
        if Result(uid) in self.values:
            return
        node = self.network.nodes[uid]
        with self.at(node):
            operands = [self.tensor(source) for source in node.inputs]
            result = recognised(self) or cntk.bind(node.op, operands, node.attributes, self)(self.op)
            self.bind(node, result, operands)

    def bind(self, node: Node, result: Any, operands: Sequence[Tensor]) -> None:
        """Gives the results of a function to who uses them."""
        results = result if isinstance(result, tuple) else (result,)
        for index, item in enumerate(results):
            self.values[Result(node.uid, index)] = item if isinstance(item, Tensor) else self.stamped(item, operands)

    def stamped(self, value: Value, operands: Sequence[Tensor]) -> Tensor:
        """A value with the dynamic axes that operands have in common."""
        return Tensor(value, joined(operands) if operands else STATIC)

    @contextmanager
    def at(self, node: Node) -> Iterator[None]:
        """Says of every node that is emitted, and of every error, which function it is of."""
        outer = self.node, self.op.scope, self.op.source
        self.node, self.op.scope, self.op.source = node, "/".join(filter(None, (*node.path, node.name))), node.op
        try:
            yield
        except UnsupportedError:
            raise
        except (LoweringError, GraphTypeError, *_MISFITS) as error:
            text = str(error) if isinstance(error, (LoweringError, GraphTypeError, LookupError)) else _misfit(error)
            raise UnsupportedError([Unsupported(node.op, text, where(node))]) from error
        finally:
            self.node, self.op.scope, self.op.source = outer

    @contextmanager
    def inside(self, op: Builder) -> Iterator[None]:
        """Lowers what follows into the body of a loop; what it computes is forgotten at the end."""
        outer = self.op, self.values
        self.op, self.values = op, dict(self.values)
        try:
            yield
        finally:
            self.op, self.values = outer


def where(node: Node) -> str:
    """What tells a function from others of its kind."""
    return "/".join(filter(None, (*node.path, node.name or node.uid)))


def _misfit(error: Exception) -> str:
    return f"its inputs and attributes do not fit together ({type(error).__name__}: {error})"
