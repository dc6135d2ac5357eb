"""Products along chosen axes: einsum, tensordot, bilinear forms, Kronecker and cross products."""

from __future__ import annotations

import string
from collections.abc import Sequence

from nxconvert.frontends.pytorch.dtypes import DataType, is_float
from nxconvert.frontends.pytorch.ops.common import axis_of, promote, static_ints
from nxconvert.frontends.pytorch.ops.linear import matrix_product
from nxconvert.frontends.pytorch.ops.math import mul
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, LoweringError, Value, Values, aten
from nxconvert.graph.builder import GraphTypeError

_CONTRACTED = (DataType.INT32, DataType.INT64)


def contract(op: Builder, terms: Sequence[str], result: str, operands: Sequence[Value]) -> Value:
    """``Einsum`` with a letter an axis, or ``MatMul`` where it is one."""
    terms, operands = _without_ones(op, terms, operands)
    if len(terms) == 2 and _is_matrix_product(terms[0], terms[1], result):
        return matrix_product(op, *operands)
    dtype = operands[0].etype
    runs = is_float(dtype) or dtype in _CONTRACTED
    widened = [x if runs else op.cast(x, DataType.INT32) for x in operands]
    return op.cast(op.Einsum(*widened, equation=f"{','.join(terms)}->{result}"), dtype)


def _without_ones(op: Builder, terms: Sequence[str], operands: Sequence[Value]) -> tuple[list[str], list[Value]]:
    """Drops axes of size 1 that meet a larger one: PyTorch broadcasts them, ONNX need not."""
    axes = [pair for term, x in zip(terms, operands, strict=True) for pair in zip(term, x.dims, strict=True)]
    larger = {letter for letter, size in axes if size != 1}
    kept, narrowed = [], []
    for term, x in zip(terms, operands, strict=True):
        ones = [i for i, (letter, size) in enumerate(zip(term, x.dims, strict=True)) if size == 1 and letter in larger]
        kept.append("".join(letter for i, letter in enumerate(term) if i not in ones))
        narrowed.append(op.Squeeze(x, ones) if ones else x)
    return kept, narrowed


def _is_matrix_product(a: str, b: str, result: str) -> bool:
    """``...ij,...jk->...ik``."""
    batch, shared = a[:-2], a[-1:]
    shapes = len(a) == len(b) == len(result) >= 2 and b[:-2] == result[:-2] == batch
    distinct = len({*a, *b}) == len(a) + 1
    return shapes and distinct and b[-2] == shared and result[-2:] == a[-2] + b[-1]


# ---- einsum ---------------------------------------------------------------------------------------------------------


@aten("einsum")
def einsum(op: Builder, equation: str, tensors: Values, *, path: Ints | None = None) -> Value:
    """``torch.einsum``: ``...`` anywhere, results in alphabetical order (capitals first) unless they are given."""
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(tensors):
        raise GraphTypeError(f"the equation {equation!r} is about {len(terms)} operands, {len(tensors)} are given")
    operands = promote(op, *tensors)
    free = [letter for letter in string.ascii_letters if letter not in equation]
    spans = [_span(term, x, equation) for term, x in zip(terms, operands, strict=True)]
    if max(spans) > len(free):
        raise LoweringError(f"the equation {equation!r} has more axes than there are letters")
    ellipsis = "".join(free[: max(spans)])
    # Operands of fewer dims share the last ones, as in broadcasting.
    spelled = [term.replace("...", ellipsis[len(ellipsis) - span :]) for term, span in zip(terms, spans, strict=True)]
    if not arrow:
        letters = inputs.replace(",", "").replace(".", "")
        output = "..." + "".join(c for c in sorted(set(letters)) if letters.count(c) == 1)
    return contract(op, spelled, output.replace("...", ellipsis), operands)


def _span(term: str, x: Value, equation: str) -> int:
    """How many axes the ellipsis of a term stands for."""
    named = len(term.replace("...", ""))
    if named > x.rank or ("..." not in term and named != x.rank):
        raise GraphTypeError(f"an operand of {equation!r} has rank {x.rank}, not {named}")
    return x.rank - named


# ---- by axes --------------------------------------------------------------------------------------------------------


@aten("tensordot")
def tensordot(op: Builder, self: Value, other: Value, dims_self: Ints, dims_other: Ints) -> Value:
    """The sum of products over pairs of axes; what is left of ``self`` comes before what is left of ``other``."""
    pairs = [
        [axis_of(dim, x.rank) for dim in static_ints(dims, "an axis")]
        for x, dims in ((self, dims_self), (other, dims_other))
    ]
    if len(pairs[0]) != len(pairs[1]):
        raise GraphTypeError(f"{len(pairs[0])} axes are to be summed with {len(pairs[1])}")
    if self.rank + other.rank > len(string.ascii_letters):
        raise LoweringError("there are more axes than letters")
    a = list(string.ascii_letters[: self.rank])
    b = list(string.ascii_letters[self.rank : self.rank + other.rank])
    for i, j in zip(*pairs, strict=True):
        b[j] = a[i]
    summed = {a[i] for i in pairs[0]}
    result = [letter for letter in [*a, *b] if letter not in summed]
    return contract(op, ["".join(a), "".join(b)], "".join(result), promote(op, self, other))


@aten("bilinear")
def bilinear(op: Builder, input1: Value, input2: Value, weight: Value, bias: Value | None = None) -> Value:
    """``input1ᵀ · weight[k] · input2 + bias[k]`` for each ``k``, over the last axes."""
    if weight.rank != 3 or input1.rank != input2.rank or not input1.rank:
        raise GraphTypeError(f"inputs of rank {input1.rank} and {input2.rank}, a weight of rank {weight.rank}")
    batch = string.ascii_lowercase[: input1.rank - 1]
    y = contract(op, [batch + "x", "zxy", batch + "y"], batch + "z", [input1, weight, input2])
    return y if bias is None else op.Add(y, bias)


@aten("_trilinear")
def trilinear(
    op: Builder, i1: Value, i2: Value, i3: Value, expand1: Ints, expand2: Ints, expand3: Ints, sumdim: Ints,
    unroll_dim: Int = 1,
) -> Value:  # fmt: skip
    """The product of three tensors, each with axes inserted, summed over ``sumdim``."""
    inserted = [static_ints(axes, "an axis") for axes in (expand1, expand2, expand3)]
    a, b, c = (op.Unsqueeze(x, axes) if axes else x for x, axes in zip((i1, i2, i3), inserted, strict=True))
    y = op.Mul(op.Mul(a, b), c)
    axes = static_ints(sumdim, "an axis")
    return op.ReduceSum(y, axes, keepdims=0) if axes else y


@aten("linalg_vecdot")
def linalg_vecdot(op: Builder, x: Value, y: Value, *, dim: Int = -1) -> Value:
    product = op.Mul(*promote(op, x, y))
    return op.ReduceSum(product, [axis_of(dim, product.rank)], keepdims=0)


@aten("kron")
def kron(op: Builder, self: Value, other: Value) -> Value:
    """Each element of ``self`` times all of ``other``."""
    rank = max(self.rank, other.rank)
    left, right = ((1,) * (rank - x.rank) + x.dims for x in (self, other))
    a = op.reshape(self, [size for dim in left for size in (dim, 1)])
    b = op.reshape(other, [size for dim in right for size in (1, dim)])
    return op.reshape(mul(op, a, b), [m * n for m, n in zip(left, right, strict=True)])


@aten("linalg_cross")
def linalg_cross(op: Builder, self: Value, other: Value, *, dim: Int = -1) -> Value:
    """The vector product along an axis of size 3."""
    rank = max(self.rank, other.rank)
    axis = axis_of(dim, rank) - rank
    a, b = promote(op, self, other)
    turned = [[op.Gather(x, turn, axis=axis + x.rank) for x in (a, b)] for turn in ([1, 2, 0], [2, 0, 1])]
    (a1, b1), (a2, b2) = turned
    return op.Sub(op.Mul(a1, b2), op.Mul(a2, b1))


@aten("cross")
def cross(op: Builder, self: Value, other: Value, dim: Int | None = None) -> Value:
    """Without ``dim``, along the first axis of size 3."""
    if dim is None:
        rank = max(self.rank, other.rank)
        sizes = zip(*((1,) * (rank - x.rank) + x.dims for x in (self, other)), strict=True)
        threes = [axis for axis, pair in enumerate(sizes) if 3 in pair]
        if not threes:
            raise LoweringError("which axis has size 3 is not known")
        dim = threes[0]
    return linalg_cross(op, self, other, dim=dim)
