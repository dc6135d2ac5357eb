"""Arithmetic of two and more operands: sums, quotients, powers, extremes; Caffe2's own broadcasting.

Semantics: ``caffe2/operators/elementwise_ops.h``, ``elementwise_ops_utils.cc``, ``pow_op.h``, ``utility_ops.h``,
``minmax_ops.h``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence

from nxconvert.frontends.caffe2.table import Builder, Indices, LoweringError, Matrix, Value, Weight, caffe2
from nxconvert.graph.dims import compare, product, require

# ---- two operands ----------------------------------------------------------------------------------------------------


def second_operand(op: Builder, a: Value, b: Value, broadcast: int, axis: int, axis_str: str, order: str) -> Value:
    """``b`` in the form in which numpy's rule aligns it with ``a``.

    Without ``broadcast`` that is its own. With it, the axes of ``b`` are those of ``a`` from ``axis`` on, which may be
    named by a letter of ``order``, or its last ones; the result has the shape of ``a``. A ``b`` of one element goes
    with everything.

    Raises:
        LoweringError: ``a`` has not the axes that ``b`` has.
    """
    if not broadcast:
        return b
    if product(b.dims) == 1:
        return op.reshape(b, [1] * a.rank) if b.rank > a.rank else b
    start = first_axis(a, b, axis, axis_str, order)
    # Axes of size 1 at the ends of b go with everything.
    long = [i for i, dim in enumerate(b.dims) if dim != 1]
    for i in range(long[0], long[-1] + 1):
        require(a.dims[start + i], b.dims[i])
        if compare(a.dims[start + i], "==", b.dims[i]) is False:
            raise LoweringError(f"its sizes differ: {a.dims[start + i]} along axis {start + i}, and {b.dims[i]}")
    behind = a.rank - start - b.rank
    return op.reshape(b, [*b.dims, *[1] * behind]) if behind else b


def first_axis(a: Value, b: Value, axis: int, axis_str: str, order: str) -> int:
    """The axis of ``a`` that is the first one of ``b``."""
    if axis_str:
        axis = order.find(axis_str)
    elif axis == -1:
        axis = a.rank - b.rank
    if not 0 <= axis <= a.rank - b.rank:
        raise LoweringError(f"the axes of a tensor of rank {b.rank} cannot be those from {axis} on of rank {a.rank}")
    return axis


def register_binary(
    names: Iterable[str], compute: Callable[[Builder, Value, Value], Value], kind: str = "Value"
) -> None:
    """Registers operators of two operands.

    Args:
        names: the operators.
        compute: takes operands that numpy's rule aligns.
        kind: what the operands usually are.
    """

    def binary(
        op: Builder, a: Value, b: Value, *, broadcast: int = 0, axis: int = -1, axis_str: str = "", order: str = "NCHW"
    ) -> Value:
        return compute(op, a, second_operand(op, a, b, broadcast, axis, axis_str, order))

    binary.__annotations__.update(a=kind, b=kind)
    caffe2(*names)(binary)


def emitting(op_type: str) -> Callable[[Builder, Value, Value], Value]:
    """What an operator of ONNX computes of two operands."""

    def emit(op: Builder, a: Value, b: Value) -> Value:
        return getattr(op, op_type)(a, b)

    return emit


for _name in ("Add", "Sub", "Mul", "Div"):  # ONNX divides integers towards zero, too.
    register_binary([_name], emitting(_name))


@caffe2("Pow")
def pow_(
    op: Builder,
    x: Value,
    y: Value | None = None,
    *,
    exponent: float = 0.0,
    broadcast: int = 0,
    axis: int = -1,
    axis_str: str = "",
    order: str = "NCHW",
) -> Value:
    """To the power of a number, or of a tensor."""
    if y is None:
        return op.Pow(x, float(exponent))
    return op.Pow(x, second_operand(op, x, y, broadcast, axis, axis_str, order))


@caffe2("Mod")
def mod(op: Builder, x: Indices, *, divisor: int, sign_follow_divisor: int = 0) -> Value:
    """The remainder, with the sign of the dividend unless that of the divisor is asked for."""
    return op.Mod(x, divisor, fmod=0 if sign_follow_divisor else 1)


@caffe2("SquareRootDivide")
def square_root_divide(op: Builder, x: Matrix, scale: Value) -> Value:
    """Each row over the root of its number; a row of the number 0 stays."""
    numbers = op.cast(op.reshape(scale, [x.dims[0], *[1] * (x.rank - 1)]), x.etype)
    return op.Div(x, op.Sqrt(op.Where(op.Equal(numbers, 0.0), op.const(1.0, x.etype), numbers)))


@caffe2("RowMul")
def row_mul(op: Builder, x: Matrix, w: Value) -> Value:
    """Each row times its number."""
    return op.Mul(x, op.reshape(w, [x.dims[0], *[1] * (x.rank - 1)]))


@caffe2("ElementwiseLinear")
def elementwise_linear(op: Builder, x: Matrix, w: Weight, b: Weight, *, axis: int = 1) -> Value:
    """``x * w + b``; w and b are vectors over all axes from ``axis`` on."""
    inner = x.dims[axis:]
    return op.Add(op.Mul(x, op.reshape(w, inner)), op.reshape(b, inner))


@caffe2("BatchBoxCox")
def batch_box_cox(op: Builder, x: Matrix, lambda1: Weight, lambda2: Weight) -> Value:
    """``((x + lambda2)^lambda1 - 1) / lambda1``, and its limit, the logarithm, where lambda1 is 0; a column each."""
    inner = x.dims[1:] or (1,)
    power, shift = op.reshape(lambda1, inner), op.reshape(lambda2, inner)
    base = op.Max(op.Add(x, shift), 1e-6)
    flat = op.Equal(power, 0.0)
    divisor = op.Where(flat, op.const(1.0, x.etype), power)
    return op.Where(flat, op.Log(base), op.Div(op.Sub(op.Pow(base, power), 1.0), divisor))


# ---- any number of operands ------------------------------------------------------------------------------------------


def same_dims(xs: Sequence[Value]) -> None:
    """Says that operands have one shape."""
    for x in xs[1:]:
        if x.rank != xs[0].rank:
            raise LoweringError(f"its inputs are of the ranks {xs[0].rank} and {x.rank}")
        for a, b in zip(xs[0].dims, x.dims, strict=True):
            require(a, b)


def _sum(op: Builder, *xs: Value) -> Value:
    same_dims(xs)
    if len(xs) > 2 and xs[0].etype.is_floating_point():
        return op.Sum(*xs)
    return functools.reduce(op.Add, xs)


@caffe2("Sum", "SumInt")
def sum_(op: Builder, *xs: Value) -> Value:
    return _sum(op, *xs)


@caffe2("SumRelu")
def sum_relu(op: Builder, *xs: Value) -> Value:
    return op.Relu(_sum(op, *xs))


@caffe2("Mean")
def mean(op: Builder, *xs: Value) -> Value:
    same_dims(xs)
    return op.Mean(*xs)


@caffe2("Max")
def max_(op: Builder, *xs: Value) -> Value:
    """The largest; NaN counts in the first operand alone, where nothing is larger."""
    same_dims(xs)
    return functools.reduce(lambda best, x: op.Where(op.Less(best, x), x, best), xs)


@caffe2("Min")
def min_(op: Builder, *xs: Value) -> Value:
    """The smallest; NaN counts in the first operand alone, where nothing is smaller."""
    same_dims(xs)
    return functools.reduce(lambda best, x: op.Where(op.Less(x, best), x, best), xs)


@caffe2("WeightedSum")
def weighted_sum(op: Builder, *operands: Value) -> Value:
    """``x0 * w0 + x1 * w1 + ...``: tensors and numbers by turns; the shape is the first tensor's."""
    if len(operands) < 2 or len(operands) % 2:
        raise LoweringError(f"it has {len(operands)} inputs, where tensors and weights alternate")
    dims = operands[0].dims
    terms = [
        op.Mul(op.reshape(x, dims), op.reshape(weight, [1] * min(weight.rank, len(dims))))
        for x, weight in zip(operands[::2], operands[1::2], strict=True)
    ]
    return functools.reduce(op.Add, terms)


@caffe2("ScaleBlobs")
def scale_blobs(op: Builder, *xs: Value, scale: float = 1.0) -> tuple[Value, ...]:
    """Each tensor times one number."""
    return tuple(op.Mul(x, scale) for x in xs)
