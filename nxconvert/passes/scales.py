"""Letting weights do what a number does to their product: the scale of attention, the scale of a layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import onnx_ir as ir

from nxconvert.formats.tensors import ComputedTensor
from nxconvert.passes.rewriting import (
    SMALL_BYTES,
    NodePass,
    absorb,
    add_initializer,
    bypass,
    constant,
    int_attribute,
    integers,
    only_use,
    rank,
    small_constant,
    transpose_perm,
)
from nxconvert.passes.weights import release

_FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE})
#: What moves elements, all of them.
_MOVES = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
#: What takes some of the elements.
_SELECTS = frozenset({"Gather", "Slice", "Split"})


class _Part(NamedTuple):
    """A constant that a result is proportional to, or, with others, a sum of.

    Attributes:
        node: whose input it is.
        slot: the number of the input.
        axis: along which it holds a number for each column of the result; None if one number is for all.
    """

    node: ir.Node
    slot: int
    axis: int | None


class _Scaled(NamedTuple):
    """What a result is proportional to.

    Attributes:
        parts: all of these have to be scaled.
        columns: the length of the last axis of the result.
        chosen: the numbers of the columns that are multiplied, of the rank of what the factor multiplies, with 1 along
            axes that have nothing to do with columns; None if all are multiplied by one number.
    """

    parts: list[_Part]
    columns: int
    chosen: np.ndarray | None = None


class FoldScalesIntoWeights(NodePass):
    """`Mul` or `Div` by constants goes into the weights that its operand is made with.

    - The operand is a `Gemm`, a `MatMul` with a weight, with or without `Add` of a bias, a `LayerNormalization` or a
      `Mul` by constants, and the factor a number or one for each column. Between the two there may be what moves or
      takes elements (`Reshape`, `Transpose`, `Split`, `Gather` ...), and, if the factor is one number, a product of
      which this is one operand: so the scale of the scores of attention becomes the query's.
    - Where only some columns are taken (one matrix computes queries, keys and values), only their weights are scaled;
      everybody else takes other columns.
    - Nothing else reads what is scaled. The weights are float32 or float64.
    """

    op_types = frozenset({"Div", "Mul"})

    def rewrite(self, node: ir.Node) -> bool:
        for index in (0, 1) if node.op_type == "Mul" else (0,):
            source, factor = node.inputs[index], constant(node.inputs[1 - index])
            if source is None or factor is None or source.dtype not in _FLOATS or factor.size == 0:
                continue
            if len(factor.shape) > (rank(source) or 0) or factor.nbytes > _LARGEST_FACTOR:
                continue
            inverse = node.op_type == "Div"
            if (factor.size == 1 or inverse) and not _is_harmless(node.inputs[1 - index], inverse):
                continue
            found = next(_origins(node, source, tuple(factor.shape.numpy())), None)
            if found is None:
                continue
            for part in found.parts:
                self._scale(part, factor, found, inverse)
            maker = source.producer()
            assert maker is not None
            absorb(maker, node)
            return bypass(node, source)
        return False

    def _scale(self, part: _Part, factor: ir.TensorProtocol, scaled: _Scaled, inverse: bool) -> None:
        """Multiplies a constant by `factor`."""
        value = part.node.inputs[part.slot]
        tensor = constant(value)
        assert value is not None
        assert tensor is not None
        spread = [-1 if i == part.axis else 1 for i in range(len(tensor.shape))]

        def compute() -> np.ndarray:
            array = tensor.numpy()
            numbers: np.ndarray = factor.numpy().astype(np.float64)
            numbers = 1 / numbers if inverse else numbers
            if scaled.chosen is None:
                numbers = numbers.reshape(())
            else:
                scale = np.ones(scaled.columns)
                scale[scaled.chosen] = numbers  # broadcast along the axes on which the chosen columns differ
                numbers = scale.reshape(spread)
            product: np.ndarray = array * numbers.astype(array.dtype)
            release(tensor)
            return product

        new = ComputedTensor(compute, tensor.dtype, tensor.shape.numpy(), tensor.name)
        if only_use(value):
            value.const_value = new
        else:
            name = self.names.unique(f"{value.name}.scaled")
            part.node.replace_input_with(part.slot, add_initializer(self.home, new, name))


def _is_harmless(value: ir.Value | None, inverse: bool) -> bool:
    """Whether a factor is known to be finite, the one that it is the inverse of included."""
    numbers = small_constant(value)
    return numbers is not None and bool(np.isfinite(numbers).all() and (not inverse or numbers.all()))


#: No weight has more columns than that, in bytes of them.
_LARGEST_FACTOR = 1 << 20


# ---- what a value is proportional to ---------------------------------------------------------------------------------


def _origins(user: ir.Node, value: ir.Value, shape: tuple[int, ...]) -> Iterator[_Scaled]:
    """What can be scaled so that `value`, read by `user`, is multiplied by a factor of `shape`."""
    is_number = all(size == 1 for size in shape)
    # Values with those behind them, up to the product or the one that is multiplied.
    waiting: list[tuple[ir.Value, list[ir.Value]]] = [(value, [])]
    while waiting:
        value, path = waiting.pop()
        maker = value.producer()
        taken = bool(path) and _maker(path[0]).op_type in _SELECTS
        if maker is None or maker.graph is not user.graph or maker.domain != "":
            continue
        if value.is_graph_output() or not (taken or only_use(value)):
            continue
        partly = any(_maker(each).op_type in _SELECTS for each in path)
        scaled = _scaled(maker, value)
        if scaled is not None and is_number and not partly:
            yield scaled
        elif scaled is not None:
            chosen = _chosen(path, value, scaled)
            if chosen is not None and _broadcasts(shape, chosen.shape):
                yield scaled._replace(chosen=chosen)
        elif maker.op_type in _MOVES | _SELECTS and maker.inputs[0] is not None:
            waiting.append((maker.inputs[0], [value, *path]))
        elif maker.op_type == "MatMul" and is_number and not partly:
            waiting += [(operand, []) for operand in reversed(maker.inputs) if operand is not None]


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether `shape` is broadcast to `target`, which stays as it is."""
    padded = (1,) * (len(target) - len(shape)) + shape
    return len(padded) == len(target) and all(a in (1, b) for a, b in zip(padded, target, strict=True))


def _maker(value: ir.Value) -> ir.Node:
    maker = value.producer()
    assert maker is not None
    return maker


def _scaled(maker: ir.Node, result: ir.Value) -> _Scaled | None:
    """The constants that a node's result is proportional to."""
    dims = rank(result)
    last = result.shape[-1] if dims and result.shape is not None else None
    if not isinstance(last, int):
        return None
    parts = _parts(maker, last)
    if not parts or not all(_can_change(part) for part in parts):
        return None
    return _Scaled(parts, last)


def _parts(maker: ir.Node, columns: int) -> list[_Part]:
    """The constants that a node's result is proportional to; none if it is not."""
    match maker.op_type:
        case "Gemm":
            if any(name in maker.attributes and maker.attributes[name].as_float() != 1 for name in ("alpha", "beta")):
                return []
            weight = _Part(maker, 1, 0 if int_attribute(maker, "transB", 0) else 1)
            return [weight, *([_row(maker, 2, columns)] if len(maker.inputs) > 2 else [])]
        case "LayerNormalization":
            return [_row(maker, index, columns) for index in range(1, len(maker.inputs))]
        case "MatMul":
            flipped = maker.inputs[1].producer() if maker.inputs[1] is not None else None
            if flipped is not None and flipped.op_type == "Transpose" and flipped.domain == "":
                alone = only_use(flipped.outputs[0]) and transpose_perm(flipped, rank(flipped.inputs[0]) or 0) == [1, 0]
                return [_Part(flipped, 0, 0)] if alone else []
            return [_Part(maker, 1, 1)] if rank(maker.inputs[1]) == 2 else []
        case "Mul":
            index = next((i for i in (0, 1) if constant(maker.inputs[i]) is not None), None)
            return [] if index is None else [_row(maker, index, columns)]
        case "Add":
            for index in (0, 1):
                summand = maker.inputs[1 - index]
                inner = None if summand is None else summand.producer()
                if inner is None or summand is None or not only_use(summand) or inner.graph is not maker.graph:
                    continue
                if constant(maker.inputs[index]) is not None and inner.op_type == "MatMul" and inner.domain == "":
                    parts = _parts(inner, columns)
                    return [*parts, _row(maker, index, columns)] if parts else []
    return []


def _row(node: ir.Node, index: int, columns: int) -> _Part:
    """An operand that is broadcast to the result."""
    value = node.inputs[index]
    shape = () if value is None or value.shape is None else tuple(value.shape)
    return _Part(node, index, len(shape) - 1 if shape[-1:] == (columns,) else None)


def _can_change(part: _Part) -> bool:
    """Whether a constant may have another content: if nothing else reads it, or it is so small that it may be two."""
    value = part.node.inputs[part.slot]
    tensor = constant(value)
    if value is None or tensor is None or tensor.dtype not in _FLOATS or value.is_graph_output():
        return False
    return tensor.size > 0 and (only_use(value) or tensor.nbytes <= SMALL_BYTES)


# ---- which columns are taken -----------------------------------------------------------------------------------------


def _chosen(path: list[ir.Value], origin: ir.Value, scaled: _Scaled) -> np.ndarray | None:
    """The columns of `origin` that are left at the end of `path`; None if it is not clear that others take none.

    Follows the numbers of the columns on their way; along an axis that has nothing to do with them there is one entry.
    """
    if any(part.axis is None for part in scaled.parts):
        return None
    numbers: np.ndarray | None = np.arange(scaled.columns).reshape([1] * ((rank(origin) or 1) - 1) + [-1])
    for value in path:
        if numbers is None:
            return None
        step = _taken_alone if _maker(value).op_type in _SELECTS else _moved
        numbers = step(value, numbers)
    return numbers


def _moved(value: ir.Value, numbers: np.ndarray) -> np.ndarray | None:
    """The columns in a value that has all elements of another one, which has these."""
    node, shape = _maker(value), value.shape
    if shape is None:
        return None
    if node.op_type == "Transpose":
        return numbers.transpose(transpose_perm(node, numbers.ndim))
    # Rows are in front and columns behind, before and after: then both are split or joined among themselves.
    sizes = [dim if isinstance(dim, int) else 0 for dim in shape]
    count = _length_behind(sizes, numbers.size)
    if count is None or _length_behind(numbers.shape, numbers.size) is None:
        return None
    return numbers.reshape([1] * (len(sizes) - count) + sizes[len(sizes) - count :])


def _length_behind(sizes: Sequence[int], total: int) -> int | None:
    """How many of the last sizes have the product `total`."""
    product = 1
    for count, size in enumerate(reversed(sizes), 1):
        product *= size
        if product == total:
            return count
        if product > total or not product:
            return None
    return None


def _taken_alone(value: ir.Value, numbers: np.ndarray) -> np.ndarray | None:
    """The columns that `value` takes of another one, which has these; None unless all others take others."""
    source = _maker(value).inputs[0]
    mine = _taken(value, numbers)
    if source is None or mine is None:
        return None
    for reader in dict.fromkeys(use.node for use in source.uses()):
        for output in reader.outputs:
            theirs = mine if output is value else _taken(output, numbers)
            if theirs is None or (output is not value and np.intersect1d(mine, theirs).size):
                return None
    return mine


def _taken(value: ir.Value, numbers: np.ndarray) -> np.ndarray | None:
    """The columns that `value` takes of the first input of its node, which has these; None if it is not known."""
    node = _maker(value)
    along, wanted = _selection(node, value)
    source = node.inputs[0]
    if wanted is None or source is None or source.shape is None or along >= numbers.ndim:
        return None
    return np.take(numbers, wanted, along) if source.shape[along] == numbers.shape[along] else None


def _selection(node: ir.Node, output: ir.Value) -> tuple[int, np.ndarray | None]:
    """The axis along which a node takes elements, and their indices; None if they are not known."""
    source = node.inputs[0]
    dims = rank(source) or 1
    axis = int_attribute(node, "axis", 0)
    if node.op_type == "Slice":
        axes = integers(node.inputs[3]) if len(node.inputs) > 3 else None
        if axes is None or len(axes) != 1:
            return 0, None
        axis = axes[0]
    axis %= dims
    size = source.shape[axis] if source is not None and source.shape is not None else None
    if not isinstance(size, int) or node.op_type not in _SELECTS or node.domain != "":
        return 0, None
    whole = np.arange(size)
    if node.op_type == "Gather":
        indices = small_constant(node.inputs[1])
        fits = indices is not None and indices.size > 0 and -size <= indices.min() and indices.max() < size
        return axis, whole[indices] if fits else None
    if node.op_type == "Slice":
        bounds = [integers(value) for value in (*node.inputs[1:3], *node.inputs[4:])]
        if None in bounds:
            return 0, None
        start, end, *step = (bound[0] for bound in bounds if bound is not None)
        return (0, None) if step not in ([], [1]) else (axis, whole[start:end])
    lengths = integers(node.inputs[1]) if len(node.inputs) > 1 else None
    index = [*node.outputs].index(output)
    if lengths is None:
        part = -(-size // len(node.outputs))
        return axis, whole[index * part : (index + 1) * part]
    return axis, whole[sum(lengths[:index]) :][: lengths[index]]
