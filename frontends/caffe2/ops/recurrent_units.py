"""What the cells of recurrent networks end with: the gates' activations and the new states, by sequence lengths.

Semantics: ``caffe2/operators/{lstm,gru}_unit_op.h``.
"""

from __future__ import annotations

from nxconvert.frontends.caffe2.table import Builder, Lengths, Number, Steps, Value, caffe2


def _old_states(
    op: Builder, new: list[Value], old: list[Value], lengths: Value | None, timestep: Value, drop_states: bool
) -> list[Value]:
    """The new states, where the sequence has a step of that number; else the old ones, or zeros.

    Args:
        op: the builder.
        new: [1, batch, features].
        old: the same, of the step before.
        lengths: int32[batch], or None where all sequences are of full length.
        timestep: int32, one number.
        drop_states: whether the states of a sequence that has ended are zeros.
    """
    if lengths is None:
        return new
    goes_on = op.Less(op.reshape(timestep, (1,)), op.cast(lengths, timestep.etype))
    mask = op.Unsqueeze(goes_on, [1])
    zero = op.const(0.0, new[0].etype)
    return [op.Where(mask, n, zero if drop_states else o) for n, o in zip(new, old, strict=True)]


@caffe2("LSTMUnit")
def lstm_unit(
    op: Builder, hidden: Steps, cell: Steps, gates: Steps, lengths: Lengths, timestep: Number | None = None,
    *, forget_bias: float = 0.0, drop_states: bool = False, sequence_lengths: bool = True,
) -> tuple[Value, Value]:  # fmt: skip
    """The next hidden and cell state; the gates are in the order input, forget, output, candidate."""
    if not sequence_lengths or timestep is None:
        lengths, timestep = (None, lengths) if timestep is None else (None, timestep)  # type: ignore[assignment]
    i, f, o, g = op.Split(gates, axis=gates.rank - 1, num_outputs=4)
    if forget_bias:
        f = op.Add(f, forget_bias)
    new_cell = op.Add(op.Mul(op.Sigmoid(f), cell), op.Mul(op.Sigmoid(i), op.Tanh(g)))
    new_hidden = op.Mul(op.Sigmoid(o), op.Tanh(new_cell))
    new_hidden, new_cell = _old_states(op, [new_hidden, new_cell], [hidden, cell], lengths, timestep, drop_states)
    return new_hidden, new_cell


@caffe2("GRUUnit")
def gru_unit(
    op: Builder, hidden: Steps, gates: Steps, lengths: Lengths, timestep: Number | None = None,
    *, drop_states: bool = False, sequence_lengths: bool = True,
) -> Value:  # fmt: skip
    """The next hidden state; of the gates reset, update, output the first has done its work before."""
    if not sequence_lengths or timestep is None:
        lengths, timestep = (None, lengths) if timestep is None else (None, timestep)  # type: ignore[assignment]
    _, update, output = op.Split(gates, axis=gates.rank - 1, num_outputs=3)
    z = op.Sigmoid(update)
    new = op.Add(op.Mul(hidden, z), op.Mul(op.Tanh(output), op.Sub(1.0, z)))
    return _old_states(op, [new], [hidden], lengths, timestep, drop_states)[0]
