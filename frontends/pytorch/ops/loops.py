"""Loops whose state keeps its shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.table import Builder, Int, Value
from nxconvert.graph.builder import TensorType

# Takes a builder, the number of the turn, and the state; returns the new state.
Step = Callable[..., Sequence[Value]]


def repeat(op: Builder, count: Int, state: Sequence[Value], step: Step) -> list[Value]:
    """``count`` turns of ``step``, each on the state that the last one left."""
    body = op.child()
    turn = body.input("turn", DataType.INT64, ())
    going_on = body.input("going_on", DataType.BOOL, ())
    held = [body.input("state", x.etype, x.dims) for x in state]
    graph = body.graph([going_on, *step(body, turn, *held)], "turn")
    types = [TensorType(x.etype, x.dims) for x in state]
    return list(op.node("Loop", [op.dim_value(count), op.const(True), *state], {"body": graph}, types))
