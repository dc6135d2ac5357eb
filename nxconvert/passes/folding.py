"""Computing while converting what depends on weights alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from nxconvert.formats.tensors import ComputedTensor, MappedTensor
from nxconvert.passes.rewriting import SMALL_RESULT, NodePass, add_initializer, constant, int_attribute, remove, used
from nxconvert.passes.weights import release

#: Above so many multiplications a product of constants is left to the runtime.
_MANY = 1 << 26

_MOVING = frozenset(
    {"Concat", "Expand", "Flatten", "Gather", "Reshape", "Slice", "Split", "Squeeze", "Tile", "Unsqueeze", "Where"}
)
#: What leaves the elements in their order.
_RESHAPING = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
#: What the hardware rounds correctly, so that every machine (and the runtime) computes the same bits.
_EXACT = frozenset({"Abs", "Add", "Clip", "Div", "Max", "Min", "Mul", "Neg", "Reciprocal", "Relu", "Sqrt", "Sub"})
#: What is computed in float64 and then rounded, for the same reason.
_ROUNDED = frozenset(
    {"Cos", "Exp", "Log", "MatMul", "Pow", "ReduceL2", "ReduceMean", "ReduceSum", "Sigmoid", "Sin", "Tanh"}
)
#: What gives the same number for every dtype, integers wrapping around.
_WHOLE = frozenset({"Abs", "Add", "Max", "Min", "Mul", "Neg", "Sub"})
_DECIDING = frozenset(
    {"And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "ReduceMax", "ReduceMin", "Xor"}
)
_INTEGERS = frozenset({ir.DataType.BOOL, ir.DataType.INT32, ir.DataType.INT64, ir.DataType.INT8, ir.DataType.UINT8})
_FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16})


class FoldConstants(NodePass):
    """Replaces nodes that read constants only by the constants they compute, worked out when the file is written.

    - Operators that move elements, and comparisons, on every dtype; arithmetic on floats, which gives the same bytes on
      every machine, and on integers. What can fail, or depends on the machine, is left to the runtime. (A `Transpose`
      is `TransposeWeights`' affair.)
    - The results have known dims. They have at most 1 MB, or they do not make the file larger: all that is computed of
      a weight is no larger than the weight, and nothing reads the weight itself.
    - The graph's outputs stay what nodes compute.
    """

    op_types = _MOVING | _EXACT | _ROUNDED | _DECIDING | {"Cast"}

    def rewrite(self, node: ir.Node) -> bool:
        inputs = [value for value in node.inputs if value is not None]
        tensors = [constant(value) for value in inputs]
        if not inputs or any(tensor is None or tensor.dtype == ir.DataType.STRING for tensor in tensors):
            return False
        if not all(_is_known(value) for value in node.outputs) or not _can_be_folded(node):
            return False
        large = any(_nbytes(value) > SMALL_RESULT for value in node.outputs)
        room = sum(tensor.nbytes for tensor in tensors if tensor is not None) + SMALL_RESULT
        if large and (sum(map(_nbytes, node.outputs)) > room or not all(map(_gives_way, inputs))):
            return False
        for index, value in enumerate(node.outputs):
            if used(value):
                assert value.name is not None
                name = self.names.taken_over(value.name)
                value.replace_all_uses_with(add_initializer(self.home, _result(node, index), name))
        remove(node)
        return True


def _is_known(value: ir.Value) -> bool:
    """Whether dtype and dims of a result are known, and it may become an initializer."""
    known = value.dtype is not None and value.shape is not None and value.shape.is_static()
    return known and not value.is_graph_output() and isinstance(value.type, ir.TensorType)


def _nbytes(value: ir.Value) -> float:
    """The size of a value of known dtype and dims."""
    assert value.dtype is not None
    assert value.shape is not None
    return math.prod(value.shape.numpy()) * value.dtype.itemsize


def _gives_way(value: ir.Value) -> bool:
    """Whether folding all that reads a constant makes the file no larger than it was with the constant."""
    tensor = constant(value)
    assert tensor is not None
    if tensor.nbytes <= SMALL_RESULT:
        return True
    results = [result for user in value.consumers() for result in user.outputs]
    foldable = FoldConstants.op_types | {"Transpose"}
    return (
        all(user.op_type in foldable and user.domain == "" for user in value.consumers())
        and all(_is_known(result) for result in results)
        and sum(map(_nbytes, results)) <= tensor.nbytes + SMALL_RESULT
    )


def _can_be_folded(node: ir.Node) -> bool:
    """Whether the operator's value is certain, whatever its inputs hold."""
    source, second = (constant(value) for value in (*node.inputs[:2], None)[:2])
    assert source is not None
    dims = source.shape.numpy()
    match node.op_type:
        case "Cast":
            target = node.outputs[0].dtype
            if target is not None and target in _INTEGERS and source.dtype in _FLOATS:
                return _fits(source, target)
            return target in _FLOATS | _INTEGERS and source.dtype in _FLOATS | _INTEGERS
        case "Gather":
            if second is None or second.nbytes > SMALL_RESULT or not second.size:
                return False
            indices, size = second.numpy(), dims[int_attribute(node, "axis", 0)]
            return bool(-size <= indices.min() and indices.max() < size)
        case "MatMul":
            if source.dtype not in _FLOATS:
                return False
            many = _nbytes(node.outputs[0]) / source.dtype.itemsize * dims[-1] if dims else 0
            return second is not None and min(len(dims), len(second.shape)) > 1 and 0 < many <= _MANY
        case op_type if op_type in _MOVING:
            return True
        case op_type if op_type in _WHOLE | _DECIDING and source.dtype in _INTEGERS:
            return 0 not in dims
        case _:
            return source.dtype in _FLOATS and 0 not in dims


def _fits(source: ir.TensorProtocol, target: ir.DataType) -> bool:
    """Whether it is certain what floats in `source` are as integers `target`.

    What is below the range of a signed type of 32 or 64 bits is the least number on every machine. For what is above,
    and NaN, machines differ.
    """
    if source.nbytes > SMALL_RESULT or not source.size:
        return False
    if target == ir.DataType.BOOL:
        return True
    limits, array = np.iinfo(target.numpy()), source.numpy().astype(np.float64)
    low = -math.inf if target in (ir.DataType.INT32, ir.DataType.INT64) else float(limits.min)
    return bool(((array >= low) & (array < float(limits.max) + 1)).all())


def _result(node: ir.Node, index: int) -> ir.TensorProtocol:
    """An output of a node on constants."""
    op_type, output = node.op_type, node.outputs[index]
    assert output.dtype is not None
    assert output.shape is not None
    tensors = [None if value is None else constant(value) for value in node.inputs]
    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    dtype, shape = output.dtype, output.shape.numpy()
    source = tensors[0]
    if op_type in _RESHAPING and isinstance(source, MappedTensor):
        return source.file.tensor(source.offset, dtype, shape, None)  # the same bytes
    wide = op_type in _ROUNDED and dtype != ir.DataType.DOUBLE

    def compute() -> np.ndarray:
        arrays: list[np.ndarray | None] = []
        for tensor in tensors:
            array = None if tensor is None else tensor.numpy()
            if wide and array is not None and array.dtype.kind == "f":
                array = array.astype(np.float64)
            arrays.append(array)
        with np.errstate(all="ignore"):
            results = _function(op_type)(*arrays, **attributes)
        # A copy, even of a part that lies in one stretch: what was mapped for it is given back.
        result = np.array(results[index] if isinstance(results, Sequence) else results, dtype.numpy(), order="C")
        for tensor in tensors:
            if tensor is not None:
                release(tensor)
        return result.reshape(shape)

    return ComputedTensor(compute, dtype, shape)


def _function(op_type: str) -> Callable[..., Any]:
    own: dict[str, Callable[..., Any]] = {"Cast": _cast, "MatMul": _matmul, "Sigmoid": _sigmoid}
    if op_type in own:
        return own[op_type]
    from nxconvert.graph.rules import FOLD  # which knows all operators, and is loaded only if something is folded

    function: Callable[..., Any] = FOLD[op_type]
    return function


def _cast(x: np.ndarray, *, to: int, saturate: int = 1) -> np.ndarray:
    """The elements as another dtype; see `_fits`."""
    dtype = ir.DataType(to).numpy()
    if dtype.kind != "i" or x.dtype.kind != "f":
        return x.astype(dtype)
    least = np.iinfo(dtype).min
    below = x < least
    result: np.ndarray = np.where(below, least, np.where(below, 0, x).astype(dtype))
    return result


def _sigmoid(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = 1 / (1 + np.exp(-x))
    return result


def _matmul(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """A product that is summed up in order. What BLAS makes of it depends on the processor."""
    total: np.ndarray = left[..., :, :1] * right[..., :1, :]
    for k in range(1, left.shape[-1]):
        total += left[..., :, k : k + 1] * right[..., k : k + 1, :]
    return total
