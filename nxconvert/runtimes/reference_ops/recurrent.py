"""LSTM, GRU and RNN, on sequences of different lengths, in both directions, with any activations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from onnx.reference.op_run import OpRun

Array: TypeAlias = "np.ndarray"
Function: TypeAlias = "Callable[[Array], Array]"

# Each activation with its parameters alpha and beta, and what those are by default.
_ACTIVATIONS: dict[str, tuple[Callable[..., Array], tuple[float, ...]]] = {
    "relu": (lambda x: np.maximum(x, 0), ()),
    "tanh": (np.tanh, ()),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), ()),
    "softsign": (lambda x: x / (1 + np.abs(x)), ()),
    "softplus": (lambda x: np.logaddexp(x, 0), ()),
    "leakyrelu": (lambda x, alpha: np.where(x < 0, alpha * x, x), (0.01,)),
    "thresholdedrelu": (lambda x, alpha: np.where(x > alpha, x, 0), (1.0,)),
    "elu": (lambda x, alpha: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x), (1.0,)),
    "affine": (lambda x, alpha, beta: alpha * x + beta, (1.0, 0.0)),
    "scaledtanh": (lambda x, alpha, beta: alpha * np.tanh(beta * x), (1.0, 1.0)),
    "hardsigmoid": (lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1), (0.2, 0.5)),
}


class _Recurrence(OpRun):  # type: ignore[misc]
    """What the three have in common: directions, lengths, layouts."""

    gates = 1
    states = 1
    usual: tuple[str, ...] = ("Tanh",)

    def _run(
        self,
        x: Array,
        w: Array,
        r: Array,
        b: Array | None = None,
        lengths: Array | None = None,
        initial_h: Array | None = None,
        initial_c: Array | None = None,
        p: Array | None = None,
        **attributes: Any,
    ) -> tuple[Array, ...]:
        batch_first = bool(attributes.get("layout"))
        states = [initial_h, initial_c][: self.states]
        if batch_first:
            x, states = x.swapaxes(0, 1), [None if s is None else s.swapaxes(0, 1) for s in states]
        steps, batch = x.shape[:2]
        hidden, directions = r.shape[2], w.shape[0]
        lengths = np.full(batch, steps) if lengths is None else lengths
        functions = list(_functions(attributes, self.usual * directions))
        each = len(functions) // directions
        ys, lasts = [], []
        for d in range(directions):
            backwards = d == 1 or attributes.get("direction") == "reverse"
            order = _order(steps, lengths, backwards)
            bias = np.zeros(2 * self.gates * hidden, x.dtype) if b is None else b[d]
            look = np.zeros(3 * hidden, x.dtype) if p is None else p[d]
            begin = [np.zeros((batch, hidden), x.dtype) if s is None else s[d] for s in states]
            own = functions[d * each : (d + 1) * each]
            step = partial(self._step, w=w[d].T, r=r[d].T, b=bias, f=own, p=look, a=attributes)
            y, last = _scanned(np.take_along_axis(x, order, 0), begin, lengths, step)
            ys.append(np.take_along_axis(y, order, 0).astype(x.dtype))
            lasts.append([state.astype(x.dtype) for state in last])
        results = [np.stack(ys, 1), *(np.stack(each) for each in zip(*lasts, strict=True))]
        if batch_first:
            results = [results[0].transpose(2, 0, 1, 3), *(state.swapaxes(0, 1) for state in results[1:])]
        return tuple(results[: max(len(self.onnx_node.output), 1)])

    def _step(
        self, x: Array, states: list[Array], w: Array, r: Array, b: Array, f: Sequence[Function], p: Array, a: Any
    ) -> list[Array]:
        """The states after a step: the hidden one first.

        Args:
            x: [batch, input].
            states: before the step, [batch, hidden] each.
            w: [input, gates * hidden].
            r: [hidden, gates * hidden].
            b: both biases, [2 * gates * hidden].
            f: the activations.
            p: the peepholes, [3 * hidden].
            a: the attributes.
        """
        raise TypeError(f"{type(self).__name__} has no step")


class RNN(_Recurrence):
    """A plain recurrence."""

    def _step(
        self, x: Array, states: list[Array], w: Array, r: Array, b: Array, f: Sequence[Function], p: Array, a: Any
    ) -> list[Array]:
        wb, rb = np.split(b, 2)
        return [f[0](x @ w + states[0] @ r + wb + rb)]


class GRU(_Recurrence):
    """Gates in the order update, reset, hidden."""

    gates = 3
    usual = ("Sigmoid", "Tanh")

    def _step(
        self, x: Array, states: list[Array], w: Array, r: Array, b: Array, f: Sequence[Function], p: Array, a: Any
    ) -> list[Array]:
        (h,) = states
        wb, rb = np.split(b, 2)
        xz, xr, xh = np.split(x @ w + wb, 3, 1)
        rz, rr, rh = np.split(r, 3, 1)
        bz, br, bh = np.split(rb, 3)
        z, reset = f[0](xz + h @ rz + bz), f[0](xr + h @ rr + br)
        inner = reset * (h @ rh + bh) if a.get("linear_before_reset") else (reset * h) @ rh + bh
        return [(1 - z) * f[1](xh + inner) + z * h]


class LSTM(_Recurrence):
    """Gates in the order input, output, forget, cell; peepholes in that of the first three."""

    gates = 4
    states = 2
    usual = ("Sigmoid", "Tanh", "Tanh")

    def _step(
        self, x: Array, states: list[Array], w: Array, r: Array, b: Array, f: Sequence[Function], p: Array, a: Any
    ) -> list[Array]:
        h, c = states
        i, o, forget, new = np.split(x @ w + h @ r + sum(np.split(b, 2)), 4, 1)
        pi, po, pf = np.split(p, 3)
        i = f[0](i + pi * c)
        forget = 1 - i if a.get("input_forget") else f[0](forget + pf * c)
        c = forget * c + i * f[1](new)
        return [f[0](o + po * c) * f[2](c), c]


def _order(steps: int, lengths: Array, backwards: bool) -> Array:
    """[steps, batch, 1]: the step that is taken at each time; what is behind the end of a sequence stays there."""
    times = np.arange(steps)[:, None]
    turned = np.where(times < lengths, lengths - 1 - times, times)
    return (turned if backwards else np.broadcast_to(times, turned.shape))[:, :, None]


def _scanned(
    x: Array, states: list[Array], lengths: Array, step: Callable[[Array, list[Array]], list[Array]]
) -> tuple[Array, list[Array]]:
    """The hidden state after each step, 0 behind the ends of sequences, and the states after the last one."""
    hidden = []
    for time, xt in enumerate(x):
        alive = (time < lengths)[:, None]
        after = step(xt, states)
        states = [np.where(alive, new, old) for new, old in zip(after, states, strict=True)]
        hidden.append(np.where(alive, after[0], 0))
    return (np.stack(hidden) if hidden else np.zeros((0, *states[0].shape), x.dtype)), states


def _functions(attributes: Any, usual: Sequence[str]) -> Iterator[Function]:
    """The activations; alphas and betas are for those that have such, in order."""
    limit = attributes.get("clip")
    given = [iter(attributes.get(name) or ()) for name in ("activation_alpha", "activation_beta")]
    for name in attributes.get("activations") or usual:
        function, defaults = _ACTIVATIONS[name.lower()]
        numbers = [next(values, default) for values, default in zip(given, defaults, strict=False)]
        yield _activation(function, numbers, limit)


def _activation(function: Callable[..., Array], numbers: Sequence[float], limit: float | None) -> Function:
    return lambda x: function(x if limit is None else np.clip(x, -limit, limit), *numbers)
