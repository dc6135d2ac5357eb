"""Recurrent layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nxconvert.graph.rules import infer_rule
from nxconvert.graph.rules.common import agree, agree_all, want_rank
from nxconvert.graph.values import TensorType, Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder


def _recurrent(gates: int, states: int) -> Any:
    """The rule of a layer with this many gates a cell and this many states."""

    def rule(
        op: Builder, x: Value, w: Value, r: Value, b: Value | None = None, lengths: Value | None = None, /,
        *initial: Value | None, hidden_size: int | None = None, direction: str = "forward", layout: int = 0, **_: Any,
    ) -> list[TensorType]:  # fmt: skip
        want_rank(x, 3, "the input")
        want_rank(w, 3, "the weight")
        want_rank(r, 3, "the recurrent weight")
        directions = 2 if direction == "bidirectional" else 1
        hidden = r.dims[2]
        if hidden_size is not None:
            hidden = agree(hidden_size, hidden, "the recurrent weight does not fit the hidden size")
        sequence, batch = (x.dims[1], x.dims[0]) if layout else (x.dims[0], x.dims[1])
        agree(w.dims[2], x.dims[2], "the weight does not fit the input's features")
        for weight in (w, r):
            agree(weight.dims[0], directions, "a weight does not fit the number of directions")
            agree(weight.dims[1], hidden * gates, f"a weight does not have {gates} gates")
        if b is not None:
            agree(b.dims[1], hidden * (2 * gates), "the bias does not fit the gates")
        state = (batch, directions, hidden) if layout else (directions, batch, hidden)
        for value in initial[:states]:
            if value is not None:
                agree_all(value.dims, state, "an initial state does not fit")
        every = (batch, sequence, directions, hidden) if layout else (sequence, directions, batch, hidden)
        return [TensorType(x.etype, every), *[TensorType(x.etype, state)] * states]

    return rule


infer_rule("LSTM")(_recurrent(4, 2))
infer_rule("GRU")(_recurrent(3, 1))
infer_rule("RNN")(_recurrent(1, 1))
