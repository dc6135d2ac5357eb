"""Runs a net operator by operator into the graph: blobs are names that are bound anew, again and again.

A net's operators read and write named blobs, in place or not; the machine keeps what each name holds at the moment, and
so the graph is in SSA form without renaming anything. Operators that hold nets (``If``, ``While``, ``Do``, recurrent
ones) are handlers of :mod:`~nxconvert.frontends.caffe2.control`; all others are lowerings of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from nxconvert.errors import Unsupported, UnsupportedError
from nxconvert.formats.caffe2 import OperatorDef
from nxconvert.frontends.caffe2.blobs import Blob, Unset
from nxconvert.frontends.caffe2.table import LoweringError, caffe2
from nxconvert.graph.builder import Builder, GraphTypeError, Value

# What a lowering runs into when arguments and shapes do not fit, short of saying so itself.
_MISFITS = (LookupError, ValueError, TypeError, ZeroDivisionError, OverflowError, AttributeError, AssertionError)

Handler = Callable[["Machine", OperatorDef], None]


class NeedInput(Exception):
    """An operator uses an input of the model of which neither dtype nor rank is known.

    Attributes:
        name: the blob.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Open:
    """An input of the model of which nothing is known yet."""

    __slots__ = ()


class Machine:
    """Runs nets.

    Attributes:
        op: what they are run into.
        blobs: what each name holds.
        warn: takes a sentence for the user.
        wanted: the blobs that something reads, or that are outputs.
        made: what computed a tensor: the operator, and the operands it had.
    """

    def __init__(self, op: Builder, warn: Callable[[str], None], wanted: Iterable[str] = ()) -> None:
        self.op = op
        self.warn = warn
        self.wanted = frozenset(wanted)
        self.made: dict[Value, tuple[OperatorDef, Sequence[Any]]] = {}
        self.blobs: dict[str, Blob | Open] = {}

    def run(self, operators: Iterable[OperatorDef]) -> None:
        """Runs operators in order.

        Raises:
            UnsupportedError: one of them cannot be lowered.
            NeedInput: one of them uses an input of which nothing is known.
        """
        for operator in operators:
            self.step(operator)

    def step(self, operator: OperatorDef) -> None:
        """Runs one operator."""
        op = self.op
        outer = op.scope, op.source
        op.scope = operator.outputs[0] if operator.outputs else operator.name or operator.type
        op.source = described(operator)
        try:
            handler = HANDLERS.get(operator.type)
            if handler is not None:
                handler(self, operator)
            else:
                self.bind(operator.outputs, self._lower(operator))
        except (UnsupportedError, NeedInput):
            raise
        except (LoweringError, GraphTypeError, *_MISFITS) as error:
            text = str(error) if isinstance(error, (LoweringError, GraphTypeError, LookupError)) else _misfit(error)
            raise UnsupportedError([Unsupported(operator.type, text, where(operator))]) from error
        finally:
            op.scope, op.source = outer

    def _lower(self, operator: OperatorDef) -> Any:
        operands = [self.operand(name) for name in operator.inputs]
        given = {
            "n_outputs": len(operator.outputs),
            "blob": operator.outputs[0] if operator.outputs else "",
            "random_seed": operator.device.random_seed if operator.device is not None else None,
        }
        call = caffe2.bind(operator.type, operands, plain(operator.args), given)
        result = call(self.op)
        if isinstance(result, Value):
            self.made.setdefault(result, (operator, operands))
        return result

    def operand(self, name: str) -> Blob | None:
        """What a blob holds; None for an input that is left out.

        Raises:
            LoweringError: it holds nothing that could be used.
        """
        if not name:
            return None
        blob = self.blobs.get(name)
        if isinstance(blob, Open):
            raise NeedInput(name)
        if blob is None:
            raise LoweringError(f"nothing has been written to the blob '{name}' that it reads")
        if isinstance(blob, Unset):
            raise LoweringError(f"the blob '{name}' {blob.why}")
        return blob

    def tensor(self, name: str) -> Value:
        """What a blob holds, which has to be a tensor.

        Raises:
            LoweringError: it holds something else, or nothing.
        """
        value = self.operand(name)
        if not isinstance(value, Value):
            raise LoweringError(f"the blob '{name}' is no tensor")
        return value

    def bind(self, names: Sequence[str], results: Any) -> None:
        """Writes results to the blobs that an operator's outputs name."""
        results = tuple(results) if isinstance(results, (tuple, list)) else (results,)
        if len(names) > len(results):
            raise LoweringError(f"it has {len(names)} outputs, the operator computes {len(results)}")
        for name, result in zip(names, results, strict=False):
            self.blobs[name] = Unset("is left unset by the operator before") if result is None else result

    @contextmanager
    def inside(self, op: Builder, blobs: Mapping[str, Blob | Open] | None = None) -> Iterator[dict[str, Blob | Open]]:
        """Runs what follows in the builder of a subgraph, with blobs of its own; gives these blobs."""
        outer = self.op, self.blobs
        self.op, self.blobs = op, dict(self.blobs if blobs is None else blobs)
        try:
            yield self.blobs
        finally:
            self.op, self.blobs = outer


#: The operators that hold nets or do something to the blobs themselves.
HANDLERS: dict[str, Handler] = {}


def handles(*types: str) -> Callable[[Handler], Handler]:
    """Registers the decorated function as the handler of operators."""

    def register(handler: Handler) -> Handler:
        for type_ in types:
            HANDLERS[type_] = handler
        return handler

    return register


def plain(args: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as lowerings take them; see :mod:`~nxconvert.frontends.caffe2.table`."""
    return {name: value if name == "values" else _plain(value) for name, value in args.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, list):
        return [text(item) if isinstance(item, bytes) else item for item in value]
    return value


def text(value: bytes) -> str | bytes:
    """Bytes as text, if they are UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def described(operator: OperatorDef) -> str:
    """The source of nodes, as their metadata records it: the operator's type, and the name it was given."""
    return f"{operator.type} {operator.name}" if operator.name else operator.type


def where(operator: OperatorDef) -> str:
    """What tells an operator from others of its type: its outputs."""
    outputs = ", ".join(operator.outputs[:3]) + (", ..." if len(operator.outputs) > 3 else "")
    return f"the operator that writes {outputs}" if outputs else operator.name


def supported(type_: str) -> bool:
    """Whether operators of a type can be run."""
    return type_ in HANDLERS or type_ in caffe2


def _misfit(error: Exception) -> str:
    return f"its inputs and arguments do not fit together ({type(error).__name__}: {error})"
