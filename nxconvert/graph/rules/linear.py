"""Products of tensors: MatMul, Gemm, Einsum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx_ir as ir

from nxconvert.graph.dims import Int
from nxconvert.graph.rules import infer_rule
from nxconvert.graph.rules.common import Dims, agree, broadcast_dims, broadcastable_to, tensor, want_rank
from nxconvert.graph.values import GraphTypeError, TensorType, Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder


def matmul_dims(op: Builder, a: Dims, b: Dims) -> Dims:
    """The dims of numpy's ``matmul``: vectors are a row on the left, a column on the right."""
    if not a or not b:
        raise GraphTypeError("a scalar has no matrix product")
    agree(a[-1], b[-2] if len(b) > 1 else b[0], "inner sizes differ")
    rows = a[-2:-1]
    columns = b[-1:] if len(b) > 1 else ()
    return (*broadcast_dims(op, a[:-2], b[:-2]), *rows, *columns)


@infer_rule("MatMul")
def _matmul(op: Builder, a: Value, b: Value, /) -> list[TensorType]:
    return [TensorType(a.etype, matmul_dims(op, a.dims, b.dims))]


@infer_rule("MatMulInteger")
def _matmul_integer(op: Builder, a: Value, b: Value, /, *_: Value | None) -> list[TensorType]:
    return [TensorType(ir.DataType.INT32, matmul_dims(op, a.dims, b.dims))]


@infer_rule("Gemm")
def _gemm(
    op: Builder,
    a: Value,
    b: Value,
    c: Value | None = None,
    /,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803
    transB: int = 0,  # noqa: N803
) -> list[TensorType]:
    want_rank(a, 2, "the left matrix")
    want_rank(b, 2, "the right matrix")
    m, k = reversed(a.dims) if transA else a.dims
    k_right, n = reversed(b.dims) if transB else b.dims
    agree(k, k_right, "inner sizes differ")
    if c is not None:
        broadcastable_to(c.dims, (m, n), "the third operand")
    return tensor(a.etype, [m, n])


@infer_rule("Einsum")
def _einsum(op: Builder, *operands: Value, equation: str) -> list[TensorType]:
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise GraphTypeError(f"the equation {equation!r} is about {len(terms)} operands")
    sizes: dict[str, Int] = {}
    batches: list[Dims] = []
    for term, value in zip(terms, operands, strict=True):
        batches.append(_bind_letters(op, term, value.dims, sizes))
    batch = broadcast_dims(op, *batches)
    if not arrow:
        letters = left.replace(",", "").replace(".", "")
        right = ("..." if "..." in left else "") + "".join(c for c in sorted(set(letters)) if letters.count(c) == 1)
    if set(right) - set(sizes) - {"."}:
        raise GraphTypeError(f"the result of {equation!r} names an index that no operand has")
    before, dots, after = right.partition("...")
    return tensor(
        operands[0].etype, [*(sizes[c] for c in before), *(batch if dots else ()), *(sizes[c] for c in after)]
    )


def _bind_letters(op: Builder, term: str, dims: Dims, sizes: dict[str, Int]) -> Dims:
    """Notes the size of each index of one operand; returns the dims that its ellipsis stands for."""
    before, dots, after = term.partition("...")
    named = len(before) + len(after)
    if named > len(dims) or (not dots and named != len(dims)):
        raise GraphTypeError(f"an operand of rank {len(dims)} has the indices {term!r}")
    tail = len(dims) - len(after)
    pairs = [*zip(before, dims[: len(before)], strict=True), *zip(after, dims[tail:], strict=True)]
    for letter, size in pairs:
        if letter in sizes and 1 in (size, sizes[letter]):
            size = broadcast_dims(op, (size,), (sizes[letter],))[0]
        elif letter in sizes:
            size = agree(sizes[letter], size, f"sizes of index {letter} differ")
        sizes[letter] = size
    return dims[len(before) : tail]
