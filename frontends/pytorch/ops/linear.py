"""Products of vectors and matrices, alone and added to something."""

from __future__ import annotations

from nxconvert.frontends.pytorch.dtypes import DataType, is_float
from nxconvert.frontends.pytorch.ops.common import as_tensor, dtype_of
from nxconvert.frontends.pytorch.ops.math import add, mul
from nxconvert.frontends.pytorch.table import Builder, DType, Number, Value, Values, aten
from nxconvert.graph.builder import GraphTypeError
from nxconvert.graph.dims import product

# What ONNX Runtime multiplies as it is; the other integers go through int32, whose wrap-around includes theirs.
_MULTIPLIED = (DataType.INT32, DataType.INT64, DataType.UINT32, DataType.UINT64)


def matrix_product(op: Builder, a: Value, b: Value) -> Value:
    """``MatMul``, which follows the same rules for ranks and broadcasting as ``torch.matmul``, for every dtype."""
    if is_float(a.etype) or a.etype in _MULTIPLIED:
        return op.MatMul(a, b)
    return op.cast(op.MatMul(op.cast(a, DataType.INT32), op.cast(b, DataType.INT32)), a.etype)


def transposed(op: Builder, x: Value) -> Value:
    """``x`` with its last two axes exchanged."""
    rank = x.rank
    return op.Transpose(x, perm=[*range(rank - 2), rank - 1, rank - 2])


def weighted(op: Builder, x: Value, factor: Number) -> Value:
    """``x`` times a number, in the dtype of ``x``."""
    return x if isinstance(factor, (int, float)) and factor == 1 else mul(op, x, as_tensor(op, factor, x.etype))


def weighted_sum(op: Builder, self: Value, other: Value, beta: Number, alpha: Number) -> Value:
    """``beta * self + alpha * other``; with ``beta`` 0 not even NaNs of ``self`` count."""
    other = weighted(op, other, alpha)
    if isinstance(beta, (int, float)) and beta == 0:
        return other
    return add(op, weighted(op, self, beta), other)


def _want_ranks(*operands: tuple[Value, int]) -> None:
    for value, rank in operands:
        if value.rank != rank:
            raise GraphTypeError(f"an operand has rank {value.rank}, not {rank}")


@aten("linear", "mkldnn_linear")
def linear(op: Builder, input: Value, weight: Value, bias: Value | None = None) -> Value:
    """``input · weightᵀ + bias`` over the last axis."""
    if input.rank == 2 and weight.rank == 2 and is_float(input.etype):
        return op.Gemm(input, weight, bias, transB=1)
    y = matrix_product(op, input, transposed(op, weight) if weight.rank == 2 else weight)
    return y if bias is None else op.Add(y, bias)


@aten("matmul", "linalg_matmul")
def matmul(op: Builder, self: Value, other: Value) -> Value:
    return matrix_product(op, self, other)


@aten("mm")
def mm(op: Builder, self: Value, mat2: Value) -> Value:
    _want_ranks((self, 2), (mat2, 2))
    return matrix_product(op, self, mat2)


@aten("bmm")
def bmm(op: Builder, self: Value, mat2: Value) -> Value:
    _want_ranks((self, 3), (mat2, 3))
    return matrix_product(op, self, mat2)


@aten("mm.dtype")
def mm_dtype(op: Builder, self: Value, mat2: Value, out_dtype: DType) -> Value:
    """The product summed up and returned in a wider dtype."""
    dtype = dtype_of(out_dtype)
    return mm(op, op.cast(self, dtype), op.cast(mat2, dtype))


@aten("bmm.dtype")
def bmm_dtype(op: Builder, self: Value, mat2: Value, out_dtype: DType) -> Value:
    dtype = dtype_of(out_dtype)
    return bmm(op, op.cast(self, dtype), op.cast(mat2, dtype))


@aten("_int_mm")
def int_mm(op: Builder, self: Value, mat2: Value) -> Value:
    return mm(op, op.cast(self, DataType.INT32), op.cast(mat2, DataType.INT32))


@aten("mv")
def mv(op: Builder, self: Value, vec: Value) -> Value:
    _want_ranks((self, 2), (vec, 1))
    return matrix_product(op, self, vec)


@aten("dot")
def dot(op: Builder, self: Value, tensor: Value) -> Value:
    _want_ranks((self, 1), (tensor, 1))
    return matrix_product(op, self, tensor)


@aten("vdot")
def vdot(op: Builder, self: Value, other: Value) -> Value:
    return dot(op, self, other)


@aten("addmm")
def addmm(op: Builder, self: Value, mat1: Value, mat2: Value, *, beta: Number = 1, alpha: Number = 1) -> Value:
    """One ``Gemm`` where the factors are known."""
    if is_float(mat1.etype) and isinstance(beta, (int, float)) and isinstance(alpha, (int, float)):
        addend = None if beta == 0 else self
        return op.Gemm(mat1, mat2, addend, alpha=float(alpha), beta=float(beta) if addend is not None else None)
    return weighted_sum(op, self, mm(op, mat1, mat2), beta, alpha)


@aten("addmm.dtype")
def addmm_dtype(
    op: Builder, self: Value, mat1: Value, mat2: Value, out_dtype: DType, *, beta: Number = 1, alpha: Number = 1
) -> Value:
    operands = [op.cast(x, dtype_of(out_dtype)) for x in (self, mat1, mat2)]
    return addmm(op, *operands, beta=beta, alpha=alpha)


@aten("_addmm_activation")
def addmm_activation(
    op: Builder, self: Value, mat1: Value, mat2: Value, *, beta: Number = 1, alpha: Number = 1, use_gelu: bool = False
) -> Value:
    """``addmm`` followed by GELU or ReLU."""
    y = addmm(op, self, mat1, mat2, beta=beta, alpha=alpha)
    return op.Gelu(y) if use_gelu else op.Relu(y)


@aten("addmv")
def addmv(op: Builder, self: Value, mat: Value, vec: Value, *, beta: Number = 1, alpha: Number = 1) -> Value:
    return weighted_sum(op, self, mv(op, mat, vec), beta, alpha)


@aten("baddbmm")
def baddbmm(op: Builder, self: Value, batch1: Value, batch2: Value, *, beta: Number = 1, alpha: Number = 1) -> Value:
    return weighted_sum(op, self, bmm(op, batch1, batch2), beta, alpha)


@aten("baddbmm.dtype")
def baddbmm_dtype(
    op: Builder, self: Value, batch1: Value, batch2: Value, out_dtype: DType, *, beta: Number = 1, alpha: Number = 1
) -> Value:
    operands = [op.cast(x, dtype_of(out_dtype)) for x in (self, batch1, batch2)]
    return baddbmm(op, *operands, beta=beta, alpha=alpha)


@aten("addbmm")
def addbmm(op: Builder, self: Value, batch1: Value, batch2: Value, *, beta: Number = 1, alpha: Number = 1) -> Value:
    """The products of the whole batch are summed up."""
    products = bmm(op, batch1, batch2)
    wide = products if is_float(products.etype) else op.cast(products, DataType.INT64)
    total = op.ReduceSum(wide, [0], keepdims=0)
    return weighted_sum(op, self, op.cast(total, self.etype), beta, alpha)


@aten("outer", "ger")
def outer(op: Builder, self: Value, vec2: Value) -> Value:
    _want_ranks((self, 1), (vec2, 1))
    column, row = op.Unsqueeze(self, [1]), op.Unsqueeze(vec2, [0])
    return mul(op, column, row)


@aten("addr")
def addr(op: Builder, self: Value, vec1: Value, vec2: Value, *, beta: Number = 1, alpha: Number = 1) -> Value:
    return weighted_sum(op, self, outer(op, vec1, vec2), beta, alpha)


@aten("inner")
def inner(op: Builder, self: Value, other: Value) -> Value:
    """The sum of products over the last axes of both; every row with every row."""
    if not self.rank or not other.rank:
        return op.Mul(self, other)
    if other.rank <= 2:
        return matrix_product(op, self, transposed(op, other) if other.rank == 2 else other)
    rows = op.reshape(other, [product(other.dims[:-1]), other.dims[-1]])
    flat = matrix_product(op, self, transposed(op, rows))
    return op.reshape(flat, [*self.dims[:-1], *other.dims[:-1]])


@aten("linalg_multi_dot", "chain_matmul")
def multi_dot(op: Builder, tensors: Values) -> Value:
    """The product of all, from left to right; PyTorch picks the cheapest order, which rounds differently at most."""
    y = tensors[0]
    for other in tensors[1:]:
        y = matrix_product(op, y, other)
    return y
