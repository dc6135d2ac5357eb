"""Runs the graphs of an exported program on the machine, call by call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from nxconvert.errors import ReadError, Unsupported, UnsupportedError
from nxconvert.formats.torch_export import Argument, Graph, Node, TensorMeta
from nxconvert.frontends.pytorch.dtypes import BY_CODE, DataType
from nxconvert.frontends.pytorch.export.autocast import Region
from nxconvert.frontends.pytorch.export.calls import CALLS, rank_of
from nxconvert.frontends.pytorch.export.higher_order import HIGHER_ORDER
from nxconvert.frontends.pytorch.script import dispatch, reach
from nxconvert.frontends.pytorch.script.machine import Machine
from nxconvert.frontends.pytorch.script.values import Box, ListCell, Number
from nxconvert.frontends.pytorch.table import LoweringError
from nxconvert.graph.builder import Builder, GraphTypeError, Value

_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_OPERATOR = re.compile(r"torch\.ops\.(?P<namespace>\w+)\.(?P<name>\w+)(\.(?P<overload>\w+))?")
_HIGHER_ORDER = "torch.ops.higher_order."

Values = dict[str, Any]


class Runner(Machine):
    """Runs graphs of calls.

    Attributes:
        autocast: the region that is being run.
    """

    def __init__(self, op: Builder, warn: Callable[[str], None]) -> None:
        super().__init__(op, warn)
        self.autocast: Region | None = None
        self._where = ""

    @property
    def where(self) -> str:
        return self._where

    @contextmanager
    def under(self, region: Region | None) -> Iterator[None]:
        """Runs what follows in a region of autocast, or outside of any."""
        before, self.autocast = self.autocast, region
        try:
            yield
        finally:
            self.autocast = before

    def run_graph(self, graph: Graph, arguments: Sequence[Any]) -> list[Any]:
        """The outputs of a graph, in order.

        Args:
            graph: the program's own, or one inside it.
            arguments: what its inputs are, in order.
        """
        names = [str(item.value) for item in graph.inputs]
        if len(names) != len(arguments):
            raise ReadError(f"the program is damaged, a graph of {len(names)} inputs gets {len(arguments)}.")
        values: Values = dict(zip(names, arguments, strict=True))
        for node in graph.nodes:
            self._run_node(node, graph, values)
        return [self.argument(item, values) for item in graph.outputs]

    def _run_node(self, node: Node, graph: Graph, values: Values) -> None:
        where = self._where = location(node) or self._where
        self.steps += 1
        self.op.scope = module_path(node)
        try:
            result = self._call(node, values)
            self._where = where
            self._bind(node, result, graph.tensors, values)
        except (LoweringError, GraphTypeError, LookupError) as error:
            raise UnsupportedError([Unsupported(operator_name(node.target), str(error), where)]) from error

    def _call(self, node: Node, values: Values) -> Any:
        args = tuple(self.argument(item, values) for item in node.args)
        kwargs = {name: self.argument(item, values) for name, item in node.kwargs.items()}
        if node.target.startswith(_HIGHER_ORDER):
            handler = HIGHER_ORDER.get(node.target.removeprefix(_HIGHER_ORDER))
            if handler is None:
                raise LoweringError("")
            return handler(self, *args, **kwargs)
        call = CALLS.get(_without_overload(node.target))
        if call is not None:
            return call(self, *args, **kwargs)
        name = operator_name(node.target).removeprefix("aten::")
        if self.autocast is not None:
            args, kwargs = self.autocast.arguments(self, name, args, kwargs)
        return dispatch.call_operator(self, name, args, kwargs)

    def argument(self, item: Argument, values: Mapping[str, Any]) -> Any:
        """One argument as a value of the machine."""
        kind, value = item
        if kind in ("tensor", "optional_tensor", "custom_obj"):
            return None if value is None else _named(values, value)
        if kind in ("tensors", "optional_tensors"):
            return ListCell(tuple(None if name is None else _named(values, name) for name in value), "Tensor")
        if kind == "nested_tensors":
            return ListCell(tuple(ListCell(tuple(_named(values, name) for name in row)) for row in value))
        if kind in ("sym_int", "sym_bool", "sym_float"):
            return _named(values, value) if isinstance(value, str) else value
        if kind in ("sym_ints", "sym_bools", "sym_floats"):
            return ListCell(tuple(_named(values, x) if isinstance(x, str) else x for x in value), kind[4:-1])
        if kind in ("ints", "floats", "bools", "strings"):
            return ListCell(tuple(value), kind[:-1])
        if kind in ("int_lists", "float_lists"):
            return ListCell(tuple(ListCell(tuple(row)) for row in value))
        if kind == "string_to_argument":
            raise LoweringError("a dict of arguments")
        return value

    def _bind(self, node: Node, result: Any, tensors: Mapping[str, TensorMeta], values: Values) -> None:
        """Gives the results of a call their names."""
        outputs = node.outputs
        if len(outputs) == 1 and outputs[0].kind in ("tensors", "optional_tensors", "sym_ints"):
            names = outputs[0].value
            self._bind_all(names, dispatch.unpack(self, result, len(names)), tensors, values)
        elif len(outputs) == 1 and not isinstance(result, (list, tuple)):
            self._bind_all([outputs[0].value], (result,), tensors, values)
        elif outputs:
            # Results that nothing uses are not always listed at the end.
            items = list(dispatch.unpack(self, result, len(result))) if isinstance(result, (list, tuple)) else [result]
            names = [item.value for item in outputs]
            self._bind_all(names, tuple(items[: len(names)]), tensors, values)

    def _bind_all(
        self, names: Sequence[Any], items: tuple[Any, ...], tensors: Mapping[str, TensorMeta], values: Values
    ) -> None:
        if len(names) > len(items):
            raise LoweringError(f"{len(names)} results are used of {len(items)}")
        for name, item in zip(names, items, strict=False):
            if isinstance(name, (list, tuple)):
                self._bind_all(name, dispatch.unpack(self, item, len(name)), tensors, values)
            if not isinstance(name, str):
                continue
            try:
                values[name] = self._checked(item, tensors[name]) if name in tensors else item
            except LoweringError as error:
                # What PyTorch says about results that nothing uses is not always true.
                values[name] = error

    def _checked(self, item: Any, meta: TensorMeta) -> Any:
        """A result as the program says it is: a number becomes a tensor, and a wrong dtype or rank is an error."""
        if not isinstance(item, Box):
            return item if not isinstance(item, (int, float)) else self.invoke("prim::NumToTensor", item)
        content = self.content(item)
        if isinstance(content, (Value, Number)):
            dtype = content.dtype if isinstance(content, Number) else content.etype
            if meta.code in BY_CODE and dtype != meta.dtype:
                raise LoweringError(f"the result is {_dtype(dtype)}, the program says {_dtype(meta.dtype)}")
            if rank_of(self, item) != len(meta.sizes):
                raise LoweringError(f"the result has {rank_of(self, item)} dims, the program says {len(meta.sizes)}")
        return item


def _dtype(dtype: DataType) -> str:
    return dtype.name.lower()


def _named(values: Mapping[str, Any], name: str) -> Any:
    if name not in values:
        raise ReadError(f"the program is damaged, it uses {name!r} before that is computed.")
    value = values[name]
    if isinstance(value, LoweringError):
        raise value
    return value


def _without_overload(target: str) -> str:
    match = _OPERATOR.fullmatch(target)
    return f"torch.ops.{match['namespace']}.{match['name']}" if match else target


def operator_name(target: str) -> str:
    """``aten::add`` of ``torch.ops.aten.add.Tensor``; what is no operator stays as it is spelled."""
    match = _OPERATOR.fullmatch(target)
    return f"{match['namespace']}::{match['name']}" if match else target


def location(node: Node) -> str:
    """The user's file and line of a call, as far as the program records them: the innermost that is not PyTorch's."""
    frames = _FRAME.findall(node.metadata.get("stack_trace", ""))
    written = [frame for frame in frames if not frame[0].startswith("<")]  # not what PyTorch has generated
    own = [frame for frame in written if "/torch/" not in frame[0].replace("\\", "/")] or written
    return ":".join(own[-1]) if own else ""


def module_path(node: Node) -> str:
    """The path of the module that a call is made in: ``layer1.0.conv1``."""
    stack = node.metadata.get("nn_module_stack", "")
    fields = stack.rpartition(";")[2].split(",")
    path = fields[1] if len(fields) > 1 else ""
    return path if re.fullmatch(r"[\w.]+", path) else ""


def unsupported(graph: Graph, where: str = "") -> Iterator[Unsupported]:
    """Every call that has no lowering, graphs inside the graph included; `where` is that of the graph."""
    for node in graph.nodes:
        place = location(node) or where
        if not _supported(node.target):
            yield Unsupported(operator_name(node.target), "", place)
        for item in (*node.args, *node.kwargs.values()):
            if isinstance(item.value, Graph):
                yield from unsupported(item.value, place)


def _supported(target: str) -> bool:
    if target.startswith(_HIGHER_ORDER):
        return target.removeprefix(_HIGHER_ORDER) in HIGHER_ORDER
    return _without_overload(target) in CALLS or reach.supported(operator_name(target))
