"""The graph under construction: emits ONNX nodes, knows the dtype and the dims of every value, folds what is constant.

``op.Conv(x, w, strides=[2, 2])`` emits a node and returns its output (a tuple where there are several). Python numbers
and lists become constants of the dtype that the operator's schema asks for; a :class:`~nxconvert.graph.dims.Dim`
becomes the nodes that compute it, only then and once a scope. Each operator's rules (result types, folding, identities)
live in :mod:`nxconvert.graph.rules`.

Subgraphs are child builders: they see the parent's values, names are unique across all of them, and what a trial
emitted can be thrown away without leaving a trace in the uses of the parent's values.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from nxconvert.graph import IR_OPSET, rules
from nxconvert.graph.constants import as_array, as_attribute, as_texts
from nxconvert.graph.dims import Dim, Int, Operation, Symbol, bounds, compare, require, static
from nxconvert.graph.rules.common import count_ratio, reshape_operand
from nxconvert.graph.schema import HALVES, Formal, schema
from nxconvert.graph.values import FOLD_LIMIT, GraphTypeError, TensorType, Value

__all__ = ["FOLD_LIMIT", "SOURCE_KEY", "Builder", "GraphTypeError", "TensorType", "Value", "detach"]

SOURCE_KEY = "nxconvert.source"


_NEVER_FOLDED = frozenset({ir.DataType.COMPLEX64, ir.DataType.COMPLEX128, ir.DataType.STRING})


class _Shared:
    """What all builders of one model have in common."""

    def __init__(self) -> None:
        self.constants: dict[tuple[ir.DataType, tuple[int, ...], bytes], Value] = {}
        self.weights: dict[object, Value] = {}
        self.names: dict[str, int] = {}
        self.kept: dict[str, int] = {}
        self.symbols: dict[str, int] = {}
        self.scope = ""
        self.source = ""

    def unique_symbol(self, name: str) -> str:
        """A name that no other size has."""
        count = self.symbols.get(name, 0)
        self.symbols[name] = count + 1
        return self.unique_symbol(f"{name}_{count}") if count else name

    def unique(self, name: str, *, kept: bool = False) -> str:
        """A name that nothing else has; one that is ``kept`` survives when trials are discarded."""
        count = max(self.names.get(name, 0), self.kept.get(name, 0))
        (self.kept if kept else self.names)[name] = count + 1
        # The counted name may itself be taken by a name that the source gave.
        return self.unique(f"{name}_{count}", kept=kept) if count else name


class Builder:
    """Emits the nodes of one graph; see the module's text.

    Attributes:
        nodes: what has been emitted so far, in order.
        inputs: the graph's inputs, in order.
    """

    def __init__(self, parent: Builder | None = None) -> None:
        self.parent = parent
        self.nodes: list[ir.Node] = []
        self.inputs: list[Value] = []
        self._shared: _Shared = parent._shared if parent else _Shared()
        # Where a dim can be read from in this scope: (value, axis), or (scalar, None). The first one found stays.
        self._dim_sources: dict[Dim, tuple[Value, int | None]] = {}
        self._dim_scalars: dict[Dim, Value] = {}
        self._dim_vectors: dict[tuple[Int, ...], Value] = {}
        self._broadcasts: dict[frozenset[Int], Int] = {}

    # ---- where nodes come from ---------------------------------------------------------------------------------------

    @property
    def scope(self) -> str:
        """The module path that names of new nodes carry, e.g. ``layer1.0.conv1``."""
        return self._shared.scope

    @scope.setter
    def scope(self, path: str) -> None:
        self._shared.scope = path

    @property
    def source(self) -> str:
        """The source operator and location recorded with every new node."""
        return self._shared.source

    @source.setter
    def source(self, text: str) -> None:
        self._shared.source = text

    # ---- inputs, constants, weights ----------------------------------------------------------------------------------

    def input(self, name: str, dtype: ir.DataType, dims: Iterable[Int]) -> Value:
        """Adds a graph input and makes its symbolic dims available as numbers."""
        value = Value(self._shared.unique(name), TensorType(dtype, tuple(dims)))
        self.inputs.append(value)
        self._learn_dims(value)
        return value

    def sequence_input(self, name: str, dtype: ir.DataType, dims: tuple[Int, ...] | None = None) -> Value:
        """Adds a graph input that is a sequence of tensors."""
        value = Value(self._shared.unique(name), TensorType(dtype, dims, sequence=True))
        self.inputs.append(value)
        return value

    def const(self, data: Any, dtype: ir.DataType | None = None) -> Value:
        """A constant of the model; equal constants are one.

        Args:
            data: a number, a (nested) list of numbers, or an array; for strings, of `str` or `bytes`.
            dtype: its dtype; by default bool for bools, int64 for ints, float32 for floats, and an array's own.
        """
        if dtype == ir.DataType.STRING:
            texts = as_texts(data)
            return self.weight(texts, "const", (texts.shape.numpy(), tuple(texts.string_data())))
        array = as_array(data, dtype)
        dtype = dtype or ir.DataType.from_numpy(array.dtype)
        key = (dtype, array.shape, array.tobytes())
        value = self._shared.constants.get(key)
        if value is None:
            value = Value(
                self._shared.unique("const", kept=True),
                TensorType(dtype, array.shape),
                array if array.size <= FOLD_LIMIT else None,
            )
            value.const_value = ir.Tensor(array, dtype=dtype, name=value.name)
            self._shared.constants[key] = value
        return value

    def weight(self, tensor: ir.TensorProtocol, name: str, key: object = None, kind: type[Value] = Value) -> Value:
        """A parameter that stays where it is: a view on the source file, never copied and never folded.

        Args:
            tensor: the lazily loaded content.
            name: the source's name for it.
            key: identity of the storage; parameters with an equal key are one value (tied weights).
            kind: the class of the value, where the source format has something to say about it.
        """
        known = self._shared.weights.get(key) if key is not None else None
        if known is not None:
            return known
        shape = tuple(int(d) for d in tensor.shape)  # type: ignore[arg-type]
        # Indices, masks and single numbers are worth knowing while the graph is built; weights are not looked at.
        size = math.prod(shape)
        small = size <= 1 or (size <= FOLD_LIMIT and not tensor.dtype.is_floating_point())
        array = tensor.numpy() if small and tensor.dtype not in _NEVER_FOLDED else None
        value = kind(self._shared.unique(name, kept=True), TensorType(tensor.dtype, shape), array)
        value.const_value = tensor
        tensor.name = value.name
        self._shared.weights[key if key is not None else object()] = value
        return value

    def forget(self, value: Value) -> None:
        """Makes the name of a weight that turns out to be no constant free again."""
        for key, known in list(self._shared.weights.items()):
            if known is value:
                del self._shared.weights[key]
                self._shared.kept.pop(value.name or "", None)

    def initializers(self) -> list[Value]:
        """Every constant and weight of the model, used or not."""
        return [*self._shared.weights.values(), *self._shared.constants.values()]

    # ---- emission ----------------------------------------------------------------------------------------------------

    def __getattr__(self, op_type: str) -> Callable[..., Any]:
        if not op_type[:1].isupper():
            raise AttributeError(op_type)
        emit = functools.partial(self._emit, op_type)
        self.__dict__[op_type] = emit
        return emit

    def _emit(self, op_type: str, *operands: Any, _outputs: int | None = None, **attributes: Any) -> Any:
        """Emits one node of the standard domain, unless its result is known without it.

        Args:
            op_type: the operator.
            operands: values, numbers and lists of numbers, dims; None for an input that is left out.
            _outputs: how many outputs are wanted, where the operator has optional ones (``MaxPool``, ``Unique``, ...):
                one by default.
            attributes: those that are not None are given to the node.
        """
        inputs = self._promote(op_type, operands)
        if any(x is not None and x.etype in HALVES for x in inputs):
            narrow = schema(op_type).too_narrow(inputs)
            if narrow:
                return self._emit_wider(op_type, inputs, narrow, _outputs, attributes)
        attributes = {name: value for name, value in attributes.items() if value is not None}
        simplify = rules.SIMPLIFY.get(op_type)
        if simplify is not None and _outputs is None:
            known = simplify(self, *inputs, **attributes)
            if known is not None:
                return known
        types = rules.infer(self, op_type, inputs, attributes, _outputs)
        folded = rules.fold(op_type, inputs, attributes, types)
        if folded is not None:
            values = tuple(self.const(array, t.dtype) for array, t in zip(folded, types, strict=True))
        else:
            values = self.node(op_type, inputs, attributes, types)
        return values[0] if len(values) == 1 else values

    def _emit_wider(
        self,
        op_type: str,
        inputs: Sequence[Value | None],
        narrow: Mapping[str, ir.DataType],
        outputs: int | None,
        attributes: Mapping[str, Any],
    ) -> Any:
        """Emits an operator that is not defined for the halves given to it: in float32, and rounded once.

        Frameworks compute in halves like that on CPUs, too.
        """
        known = schema(op_type)
        wider = [
            self.cast(x, ir.DataType.FLOAT) if x is not None and known.formal(i).variable in narrow else x
            for i, x in enumerate(inputs)
        ]
        results = self._emit(op_type, *wider, _outputs=outputs, **attributes)
        values = results if isinstance(results, tuple) else (results,)
        variables = [known.outputs[min(i, len(known.outputs) - 1)] for i in range(len(values))]
        rounded = tuple(
            self.cast(value, narrow.get(variable, value.etype))
            for value, variable in zip(values, variables, strict=True)
        )
        return rounded if isinstance(results, tuple) else rounded[0]

    def node(
        self,
        op_type: str,
        inputs: Sequence[Value | None],
        attributes: Mapping[str, Any],
        types: Sequence[TensorType],
        names: Sequence[str] | None = None,
    ) -> tuple[Value, ...]:
        """Emits a node as it is, its outputs stamped with ``types``: for ``If``, ``Loop`` and ``Scan``, whose types
        their maker knows.
        """
        shared = self._shared
        name = shared.unique(f"{shared.scope}/{op_type}" if shared.scope else op_type)
        outputs = tuple(
            Value(shared.unique(names[i]) if names else name if i == 0 else shared.unique(f"{name}:{i}"), t)
            for i, t in enumerate(types)
        )
        kept = list(inputs)
        while kept and kept[-1] is None:
            kept.pop()
        known = schema(op_type).attributes
        node = ir.Node(
            "",
            op_type,
            kept,
            [as_attribute(key, value, known[key]) for key, value in attributes.items()],
            outputs=outputs,
            name=name,
            metadata_props={SOURCE_KEY: shared.source} if shared.source else None,
        )
        self.nodes.append(node)
        for value in outputs:
            if not value.is_sequence:
                self._learn_dims(value)
        return outputs

    def _promote(self, op_type: str, operands: Sequence[Any]) -> list[Value | None]:
        if all(isinstance(operand, ir.Value) or operand is None for operand in operands):
            return list(operands)
        formal = schema(op_type).formal
        dtypes: dict[str, ir.DataType] = {}
        for i, operand in enumerate(operands):
            if isinstance(operand, Value):
                dtypes.setdefault(formal(i).variable, operand.etype)
        return [
            operand
            if isinstance(operand, Value) or operand is None
            else self._constant_operand(operand, formal(i), dtypes)
            for i, operand in enumerate(operands)
        ]

    def _constant_operand(self, operand: Any, formal: Formal, dtypes: Mapping[str, ir.DataType]) -> Value:
        dtype = formal.constant or dtypes.get(formal.variable)
        if isinstance(operand, Dim):
            return self.cast(self.dim_value(operand), dtype or ir.DataType.INT64)
        if isinstance(operand, (list, tuple)) and any(isinstance(x, Dim) for x in operand):
            return self.cast(self.dims_tensor(operand), dtype or ir.DataType.INT64)
        if isinstance(operand, np.ndarray):
            return self.const(operand)
        return self.const(operand, dtype)

    def cast(self, x: Value, dtype: ir.DataType) -> Value:
        """``x`` as ``dtype``: itself where it is that already."""
        return x if x.etype == dtype else self.Cast(x, to=dtype)

    # ---- dims as numbers ---------------------------------------------------------------------------------------------

    def fresh(self, hint: str, low: int | None = 0, high: int | None = None) -> Dim:
        """A new symbol, for a size that depends on data; its first value stamped with it becomes its source."""
        return Dim.symbol(self._shared.unique_symbol(hint), low, high)

    def broadcast_symbol(self, a: Int, b: Int) -> Int:
        """The size that broadcasting ``a`` and ``b`` gives, when either may be 1: one symbol for a pair and a scope."""
        key = frozenset((a, b))
        builder: Builder | None = self
        while builder is not None:
            if key in builder._broadcasts:
                return builder._broadcasts[key]
            builder = builder.parent
        return self._broadcasts.setdefault(key, self.fresh("broadcast"))

    def dim(self, name: str) -> Dim:
        """The size that the caller calls ``name``; no fresh symbol will have that name."""
        self._shared.symbols.setdefault(name, 1)
        return Dim.symbol(name)

    def bind(self, dim: Dim, scalar: Value) -> None:
        """Says that ``dim`` is the content of ``scalar`` (int64, rank 0)."""
        self._dim_sources.setdefault(dim, (scalar, None))
        if scalar.content is None:
            scalar.content = (dim,)

    def symbol_of(self, scalar: Value, hint: str = "n", low: int | None = None) -> Int:
        """The integer that ``scalar`` (any integer dtype, rank 0) holds, as a dim with ``low`` as its lower bound."""
        if scalar.array is not None:
            return int(scalar.array)
        if scalar.content is not None:
            return scalar.content[0]
        dim = self.fresh(hint, low=low)
        self.bind(dim, self.cast(scalar, ir.DataType.INT64))
        return dim

    def _learn_dims(self, value: Value) -> None:
        for axis, dim in enumerate(value.dims):
            if isinstance(dim, Dim) and self._dim_source(dim) is None:
                self._dim_sources[dim] = (value, axis)

    def _dim_source(self, dim: Dim) -> tuple[Value, int | None] | None:
        builder: Builder | None = self
        while builder is not None:
            found = builder._dim_sources.get(dim)
            if found is not None:
                return found
            builder = builder.parent
        return None

    def knows(self, dim: Int) -> bool:
        """Whether ``dim`` can be computed here: every symbol of it is the size or the content of a value in scope."""
        if isinstance(dim, int) or self._dim_source(dim) is not None:
            return True
        return all(
            self.knows(atom.a) and self.knows(atom.b)
            if isinstance(atom, Operation)
            else self._dim_source(Dim((((atom,), 1),))) is not None
            for atom in dim.atoms()
        )

    def dim_value(self, dim: Int) -> Value:
        """``dim`` as an int64 scalar of the graph."""
        if isinstance(dim, int):
            return self.const(dim, ir.DataType.INT64)
        builder: Builder | None = self
        while builder is not None:
            if dim in builder._dim_scalars:
                return builder._dim_scalars[dim]
            builder = builder.parent
        source = self._dim_source(dim)
        if source is None:
            value = self._compute_dim(dim)
        elif source[1] is None:
            value = source[0]
        else:
            value = self.Squeeze(self.dims_tensor([dim]), [0])
        if value.content is None:
            value.content = (dim,)
        self._dim_scalars[dim] = value
        return value

    def _compute_dim(self, dim: Dim) -> Value:
        if dim.atom is not None:
            return self._compute_atom(dim.atom)
        total: Value | None = None
        for monomial, coefficient in dim.terms:
            term: Value | None = None
            for atom in monomial:
                factor = self.dim_value(Dim((((atom,), 1),)))
                term = factor if term is None else self.Mul(term, factor)
            if term is None:
                term = self.const(abs(coefficient))
            elif abs(coefficient) != 1:
                term = self.Mul(term, abs(coefficient))
            if total is None:
                total = term if coefficient > 0 else self.Neg(term)
            else:
                total = self.Add(total, term) if coefficient > 0 else self.Sub(total, term)
        assert total is not None
        return total

    def _compute_atom(self, atom: Symbol | Operation | Any) -> Value:
        if not isinstance(atom, Operation):
            raise GraphTypeError(f"the size {atom} is not available here")
        a, b = self.dim_value(atom.a), self.dim_value(atom.b)
        if atom.kind == "mod":
            return self.Mod(a, b)
        if atom.kind in ("max", "min"):
            return self.Max(a, b) if atom.kind == "max" else self.Min(a, b)
        low_a, low_b = bounds(atom.a)[0], bounds(atom.b)[0]
        if low_a is not None and low_a >= 0 and low_b is not None and low_b > 0:
            return self.Div(a, b)
        # ONNX divides integers towards zero and takes the remainder with the divisor's sign.
        return self.Div(self.Sub(a, self.Mod(a, b)), b)

    def dims_tensor(self, dims: Sequence[Int]) -> Value:
        """``dims`` as an int64 vector of the graph; runs of one value's shape are read with one node."""
        if all(isinstance(d, int) for d in dims):
            return self.const(np.array(dims, np.int64))
        key = tuple(dims)
        builder: Builder | None = self
        while builder is not None:
            if key in builder._dim_vectors:
                return builder._dim_vectors[key]
            builder = builder.parent
        pieces = self._pieces(key)
        vector = pieces[0] if len(pieces) == 1 else self.Concat(*pieces, axis=0)
        if vector.content is None:
            vector.content = key
        self._dim_vectors[key] = vector
        return vector

    def _pieces(self, dims: tuple[Int, ...]) -> list[Value]:
        """Vectors that make up ``dims``: constants, runs of one value's axes, single numbers that are computed."""
        pieces: list[Value] = []
        constants: list[int] = []
        i = 0
        while i < len(dims):
            dim = dims[i]
            i += 1
            if isinstance(dim, int):
                constants.append(dim)
                continue
            value, axis = self._dim_source(dim) or (None, None)
            if value is not None and axis is not None:
                first, last = axis, axis + 1
                while constants and first and value.dims[first - 1] == constants[-1]:
                    constants.pop()
                    first -= 1
                while i < len(dims) and last < value.rank and value.dims[last] == dims[i]:
                    i += 1
                    last += 1
            if constants:
                pieces.append(self.const(np.array(constants, np.int64)))
                constants = []
            if value is not None and axis is not None:
                pieces.append(self._sizes(value, first, last))
            else:
                pieces.append(self.Unsqueeze(self.dim_value(dim), [0]))
        return [*pieces, self.const(np.array(constants, np.int64))] if constants else pieces

    def _sizes(self, value: Value, first: int, last: int) -> Value:
        window = {"start": first} if first else {}
        if last < value.rank:
            window["end"] = last
        sizes = value.dims[first:last]
        return self.node("Shape", [value], window, [TensorType(ir.DataType.INT64, (len(sizes),), content=sizes)])[0]

    # ---- shapes with the least nodes ---------------------------------------------------------------------------------

    def reshape(self, x: Value, dims: Sequence[Int]) -> Value:
        """``x`` with ``dims``, which hold the same number of elements; no node computes a size that ``Reshape`` can
        infer.
        """
        target = tuple(dims)
        if target == x.dims:
            return x
        have, want = count_ratio(x.dims, target)
        if have != want:
            if compare(have, "==", want) is False:
                raise GraphTypeError(f"a tensor of dims {list(x.dims)} cannot be reshaped to {list(target)}")
            require(have, want)
        return self._reshape_to(x, target)

    def _reshape_to(self, x: Value, target: tuple[Int, ...]) -> Value:
        sizes = static(target)
        if x.array is not None and sizes is not None:
            return self.const(x.array.reshape(sizes), x.etype)
        shape, allowzero = reshape_operand(x, target)
        origin = x.producer().inputs[0] if _is_reshape(x) else None  # type: ignore[union-attr]
        if isinstance(origin, Value):
            if origin.dims == target:
                return origin
            direct, zero = reshape_operand(origin, target)
            # One reshape for two, unless that one would need sizes computed.
            if all(isinstance(d, int) for d in direct):
                x, shape, allowzero = origin, direct, zero
        attributes = {"allowzero": 1} if allowzero else {}
        return self.node("Reshape", [x, self.dims_tensor(shape)], attributes, [TensorType(x.etype, target)])[0]

    def expand(self, x: Value, dims: Sequence[Int]) -> Value:
        """``x`` broadcast to ``dims`` (as many axes as ``x`` or more)."""
        target = tuple(dims)
        if target == x.dims:
            return x
        sizes = static(target)
        if x.array is not None and sizes is not None and math.prod(sizes) <= FOLD_LIMIT:
            return self.const(np.broadcast_to(x.array, sizes), x.etype)
        lead = len(target) - x.rank
        for have, want in zip(x.dims, target[lead:], strict=True):
            if have not in (1, want):
                if isinstance(have, int) and isinstance(want, int):
                    raise GraphTypeError(f"a tensor of {list(x.dims)} cannot be broadcast to {list(target)}")
                require(have, want, broadcast=True)
        # Expand leaves an axis alone where it is asked for 1.
        shape = [1 if i >= lead and x.dims[i - lead] == d else d for i, d in enumerate(target)]
        return self.node("Expand", [x, self.dims_tensor(shape)], {}, [TensorType(x.etype, target)])[0]

    # ---- subgraphs ---------------------------------------------------------------------------------------------------

    def child(self) -> Builder:
        """A builder for a subgraph of a node that this builder will emit."""
        return Builder(self)

    def sees(self, other: Builder) -> bool:
        """Whether the values of ``other`` can be used here: it is this builder or one around it."""
        builder: Builder | None = self
        while builder is not None and builder is not other:
            builder = builder.parent
        return builder is not None

    def absorb(self, child: Builder) -> None:
        """Takes over what a child without inputs has emitted, as if this builder had emitted it."""
        self.nodes.extend(child.nodes)
        self._dim_sources = {**child._dim_sources, **self._dim_sources}
        self._dim_scalars.update(child._dim_scalars)
        self._dim_vectors.update(child._dim_vectors)

    def snapshot(self) -> dict[str, int]:
        """The state of the names, to give to :meth:`discard_names`."""
        return dict(self._shared.names)

    def discard(self) -> None:
        """Throws away what this builder emitted, so that no value keeps a use by a node that will never exist."""
        for node in reversed(self.nodes):
            detach(node)
        self.nodes.clear()
        # Sizes may no longer be read from what is gone.
        for known in (self._dim_sources, self._dim_scalars, self._dim_vectors, self._broadcasts):
            known.clear()
        for value in self.inputs:
            if not value.is_sequence:
                self._learn_dims(value)

    def discard_names(self, names: dict[str, int]) -> None:
        """Makes the names of nodes and values that were given since :meth:`snapshot` free again."""
        self._shared.names = dict(names)

    def graph(self, outputs: Sequence[Value], name: str) -> ir.Graph:
        """The graph of what was emitted; an output that is an input, a constant, an outer value or given twice gets an
        ``Identity``.
        """
        own = {id(value) for node in self.nodes for value in node.outputs}
        taken: set[int] = set()
        results = []
        for value in outputs:
            if id(value) not in own or id(value) in taken:
                type_ = TensorType(value.etype, value.dims, value.is_sequence)
                (value,) = self.node("Identity", [value], {}, [type_])
            taken.add(id(value))
            results.append(value)
        return ir.Graph(
            self.inputs, results, nodes=self.nodes, opset_imports={"": IR_OPSET}, name=self._shared.unique(name)
        )


def detach(node: ir.Node) -> None:
    """Removes a node's uses of its inputs, and those of all nodes in its subgraphs."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            graph = attribute.as_graph()
            graph.outputs.clear()
            for inner in reversed(list(graph)):
                detach(inner)
    for i in range(len(node.inputs)):
        node.replace_input_with(i, None)


def _is_reshape(x: Value) -> bool:
    node = x.producer()
    return node is not None and node.op_type == "Reshape"
