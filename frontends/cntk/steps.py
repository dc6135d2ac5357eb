"""Steps of sequences as samples, between functions that work on each of them alone.

A convolution takes the steps of all sequences as one batch, and gives them back as [batch, sequence, *static]. What
follows works on that batch as well, so that the sequences need to be put together at its end only.
"""

from __future__ import annotations

from collections.abc import Callable

from nxconvert.frontends.cntk.dynamic import STATIC, Tensor
from nxconvert.graph.builder import Builder, Value
from nxconvert.graph.dims import product


def steps_of(x: Tensor) -> Value | None:
    """[steps, *static], the steps of all sequences, if that is what the tensor has been made of."""
    node = x.value.producer() if x.axes.seq is not None else None
    steps = node.inputs[0] if node is not None and node.op_type == "Reshape" else None
    samples = product(x.value.dims[: x.nd])
    return steps if isinstance(steps, Value) and steps.dims == (samples, *x.dims) else None


def sequences_of(op: Builder, steps: Value, like: Tensor) -> Tensor:
    """[batch, sequence, *static] of [steps, *static], on the axes of another tensor."""
    return like.of(op.reshape(steps, (*like.value.dims[: like.nd], *steps.dims[1:])))


def on_steps(op: Builder, x: Tensor, function: Callable[[Value], Value]) -> Tensor:
    """What a function makes of each element of a tensor."""
    steps = steps_of(x)
    return x.of(function(x.value)) if steps is None else sequences_of(op, function(steps), x)


def on_steps_of_both(op: Builder, a: Tensor, b: Tensor, function: Callable[[Value, Value], Value]) -> Tensor | None:
    """What a function makes of the elements of two tensors that broadcast; None if they are not made of steps."""
    first, second = steps_of(a), steps_of(b)
    if first is not None and second is not None and a.rank == b.rank and a.axes == b.axes:
        return sequences_of(op, function(first, second), a)
    if first is not None and b.axes == STATIC and b.rank <= a.rank:
        return sequences_of(op, function(first, b.value), a)
    if second is not None and a.axes == STATIC and a.rank <= b.rank:
        return sequences_of(op, function(a.value, second), b)
    return None
