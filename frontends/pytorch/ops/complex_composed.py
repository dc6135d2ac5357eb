"""Operators on complex tensors that are other operators one after the other, as PyTorch documents them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from nxconvert.frontends.pytorch.compound import ComplexValue, Lower
from nxconvert.frontends.pytorch.ops import complex as cx
from nxconvert.frontends.pytorch.ops.common import axis_of, call
from nxconvert.frontends.pytorch.table import Builder, Complex, Int
from nxconvert.graph.dims import product


class Operators:
    """ATen's operators as methods: ``Operators(op).add(x, y)``."""

    def __init__(self, op: Builder) -> None:
        self.op = op

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: call(self.op, name, *args, **kwargs)


Composition = Callable[..., Any]


def composed(*names: str) -> Callable[[Composition], Composition]:
    """Registers what an operator does with complex tensors, a function of :class:`Operators` and its arguments."""

    def register(function: Composition) -> Composition:
        def rule(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
            return function(Operators(op), *args, **kwargs)

        ComplexValue.rules.update(dict.fromkeys(names, rule))
        return function

    return register


# ---- sums of products ------------------------------------------------------------------------------------------------


def _combination(do: Operators, term: Any, beta: Any, other: Any, alpha: Any) -> Any:
    """``beta * term + alpha * other``."""
    other = other if alpha == 1 else do.mul(other, alpha)
    return other if beta == 0 else do.add(other, term if beta == 1 else do.mul(term, beta))


def _register_combination(name: str, multiply: str) -> None:
    @composed(name)
    def combination(do: Operators, self: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
        return _combination(do, self, beta, getattr(do, multiply)(a, b), alpha)


for _name, _multiply in (("addmm", "mm"), ("addmv", "mv"), ("baddbmm", "bmm"), ("addr", "outer")):
    _register_combination(_name, _multiply)


@composed("addbmm")
def addbmm(do: Operators, self: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    return _combination(do, self, beta, do.sum(do.bmm(batch1, batch2), [0]), alpha)


@composed("addcmul")
def addcmul(do: Operators, self: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    return _combination(do, self, 1, do.mul(tensor1, tensor2), value)


@composed("addcdiv")
def addcdiv(do: Operators, self: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    return _combination(do, self, 1, do.div(tensor1, tensor2), value)


@composed("lerp")
def lerp(do: Operators, self: Any, end: Any, weight: Any) -> Any:
    return do.add(self, do.mul(do.sub(end, self), weight))


@composed("vdot")
def vdot(do: Operators, self: Any, other: Any) -> Any:
    return do.dot(do.conj(self), other)


@composed("linalg_vecdot")
def linalg_vecdot(do: Operators, x: Any, y: Any, *, dim: Int = -1) -> Any:
    return do.sum(do.mul(do.conj(x), y), [dim])


@composed("linalg_multi_dot", "chain_matmul")
def linalg_multi_dot(do: Operators, tensors: Sequence[Any]) -> Any:
    return reduce(do.matmul, tensors)


@composed("bilinear")
def bilinear(do: Operators, input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    y = do.einsum("...i,oij->...oj", [input1, weight])
    y = do.sum(do.mul(y, do.unsqueeze(input2, -2)), [-1])
    return y if bias is None else do.add(y, bias)


@composed("ldexp")
def ldexp(do: Operators, self: Any, other: Any) -> Any:
    return do.mul(self, do.pow(2.0, other))


# ---- differences and distances ---------------------------------------------------------------------------------------


@composed("dist")
def dist(do: Operators, self: Any, other: Any, p: Any = 2) -> Any:
    return do.norm(do.abs(do.sub(self, other)), p)


@composed("pairwise_distance")
def pairwise_distance(do: Operators, x1: Any, x2: Any, p: Any = 2, eps: Any = 1e-6, keepdim: bool = False) -> Any:
    return do.linalg_vector_norm(do.add(do.sub(x1, x2), eps), p, [-1], keepdim)


@composed("equal")
def equal(do: Operators, self: Any, other: Any) -> Any:
    pairs = [x if isinstance(x, ComplexValue) else do.complex(x, do.zeros_like(x)) for x in (self, other)]
    return do.equal(*(do.view_as_real(x) for x in pairs))


# ---- products along an axis ------------------------------------------------------------------------------------------


@composed("prod")
def prod(do: Operators, self: Complex, dim: Int | None = None, keepdim: bool = False) -> Complex:
    """Halves are multiplied with each other until one is left; where the size is not known, angles are added up."""
    op = do.op
    if not self.rank:
        return self
    if dim is None:
        self, dim = ComplexValue(*(op.reshape(part, [product(self.dims)]) for part in self.parts())), 0
    axis = axis_of(dim, self.rank)
    size = self.dims[axis]
    if isinstance(size, int) and size:
        one = _halved(op, self, axis, size)
        return one if keepdim else ComplexValue(*(op.Squeeze(part, [axis]) for part in one.parts()))
    sizes = op.ReduceProd(cx.magnitude(op, self), [axis], keepdims=int(keepdim))
    return cx.polar(op, sizes, op.ReduceSum(cx.angle(op, self), [axis], keepdims=int(keepdim)))


def _halved(op: Builder, x: Complex, axis: int, size: int) -> Complex:
    def part(x: Complex, start: int, end: int) -> Complex:
        return ComplexValue(*(op.Slice(p, [start], [end], [axis]) for p in x.parts()))

    while size > 1:
        half = size // 2
        multiplied = cx.product(op, part(x, 0, half), part(x, half, 2 * half))
        if size % 2:
            last = part(x, size - 1, size)
            multiplied = ComplexValue(
                *(op.Concat(a, b, axis=axis) for a, b in zip(multiplied.parts(), last.parts(), strict=True))
            )
        x, size = multiplied, half + size % 2
    return x


@composed("cumprod")
def cumprod(do: Operators, self: Complex, dim: Int) -> Any:
    """Angles are added up, in double precision."""
    wide = do.to(self, 10)
    return do.to(do.polar(do.cumprod(do.abs(wide), dim), do.cumsum(do.angle(wide), dim)), self.dtype_code)


@composed("renorm")
def renorm(do: Operators, self: Complex, p: Any, dim: Int, maxnorm: Any) -> Any:
    """Slices with a larger norm are scaled down to it."""
    others = [axis for axis in range(self.rank) if axis != axis_of(dim, self.rank)]
    norm = do.linalg_vector_norm(self, p, others, True)
    return do.mul(self, do.where(do.gt(norm, maxnorm), do.div(maxnorm, do.add(norm, 1e-7)), do.ones_like(norm)))
