"""Recurrent networks, held against the real Caffe2: as ONNX's own operators where they are one, else as Scan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nxconvert.formats.caffe2 import OperatorDef
from nxconvert.frontends.caffe2.machine import Machine
from nxconvert.graph.builder import Builder
from tests.frontends.caffe2.ops.harness import Net, Op, Weight, _decoded, _lowered_input, check_net

STEPS, BATCH, WIDTH, H = 5, 3, 4, 2
LENGTHS = np.array([5, 2, 3], np.int32)
rng = np.random.default_rng(7)


def weight(*shape: int) -> Weight:
    return Weight(rng.normal(size=shape).astype(np.float32))


def fc(x: str, name: str, target: str) -> Op:
    return Op("FC", [x, f"{name}_w", f"{name}_b"], [target], {"axis": 2})


def parameters(**rows: tuple[int, int]) -> dict[str, Any]:
    """Weights [out, in] and biases [out] of fully connected layers, by name."""
    found: dict[str, Any] = {}
    for name, (outside, inside) in rows.items():
        found[f"{name}_w"], found[f"{name}_b"] = weight(outside, inside), weight(outside)
    return found


def network(
    step: list[Op], states: list[str], params: list[str], *, all_of: tuple[str, ...], last_of: tuple[str, ...]
) -> list[Op]:
    """The projection of the inputs, and a recurrence whose states are called `<state>_prev` in the step net."""
    links = [(f"{s}_prev", f"{s}_states", 0) for s in states] + [(s, f"{s}_states", 1) for s in states]
    links.append(("input_t", "i2h", 0))
    aliases = [(f"{s}_states", f"{s}_all", 1) for s in all_of] + [(f"{s}_states", f"{s}_last", -1) for s in last_of]
    known = ["input_t", "timestep", *(f"{s}_prev" for s in states), *params]
    internal, external, offset = zip(*links, strict=True)
    source, target, start = zip(*aliases, strict=True)
    args = {
        "link_internal": internal, "link_external": external, "link_offset": offset,
        "alias_src": source, "alias_dst": target, "alias_offset": start,
        "recurrent_states": [f"{s}_states" for s in states],
        "initial_recurrent_state_ids": list(range(1, 1 + len(states))),
        "step_net": Net(step, known, states), "timestep": "timestep",
    }  # fmt: skip
    inputs = ["i2h", *(f"{s}_init" for s in states), *params]
    return [fc("x", "i2h", "i2h"), Op("RecurrentNetwork", inputs, [*target, "workspaces"], args)]


def feeds(gates: int, states: list[str], params: dict[str, Any]) -> dict[str, Any]:
    x = rng.normal(size=(STEPS, BATCH, WIDTH)).astype(np.float32)
    initial = {f"{s}_init": rng.normal(size=(1, BATCH, H)).astype(np.float32) for s in states}
    return {"x": x, **initial, **params, **parameters(i2h=(gates * H, WIDTH)), "lengths": LENGTHS}


def lstm_step(drop: int = 0, bias: float = 0.0) -> list[Op]:
    args = {"drop_states": drop, "forget_bias": bias, "sequence_lengths": 1}
    return [
        fc("h_prev", "gates", "gates"),
        Op("Sum", ["gates", "input_t"], ["gates"]),
        Op("LSTMUnit", ["h_prev", "c_prev", "gates", "lengths", "timestep"], ["h", "c"], args),
    ]


def gru_step(drop: int = 0, *, linear: bool = False) -> list[Op]:
    if linear:
        output = [fc("h_prev", "output", "o"), Op("Mul", ["sigmoid", "o"], ["o"])]
    else:
        output = [Op("Mul", ["sigmoid", "h_prev"], ["opened"]), fc("opened", "output", "o")]
    return [
        Op("Split", ["input_t"], ["in_r", "in_u", "in_o"], {"axis": 2}),
        fc("h_prev", "reset", "r"),
        fc("h_prev", "update", "u"),
        Op("Sum", ["r", "in_r"], ["r"]),
        Op("Sigmoid", ["r"], ["sigmoid"]),
        *output,
        Op("Sum", ["u", "in_u"], ["u"]),
        Op("Sum", ["o", "in_o"], ["sum"]),
        Op("Concat", ["r", "u", "sum"], ["gates", "_dims"], {"axis": 2}),
        Op("GRUUnit", ["h_prev", "gates", "lengths", "timestep"], ["h"], {"drop_states": drop, "sequence_lengths": 1}),
    ]


def kinds(net: list[Op], inputs: dict[str, Any], outputs: list[str]) -> set[str]:
    """The operators that a net becomes."""
    op = Builder()
    machine = Machine(op, lambda message: None, outputs)
    for name, x in inputs.items():
        machine.blobs[name] = _lowered_input(op, name, x, False)
    operators: list[OperatorDef] = [_decoded(each) for each in net]
    machine.run(operators)
    return {node.op_type for node in op.nodes}


def check(net: list[Op], inputs: dict[str, Any], outputs: list[str], kind: str) -> None:
    check_net(net, inputs, outputs)
    assert kind in kinds(net, inputs, outputs)


@pytest.mark.parametrize("drop", [0, 1])
@pytest.mark.parametrize("bias", [0.0, 1.5])
class TestLstm:
    def test_hidden_states(self, drop: int, bias: float) -> None:
        params = parameters(gates=(4 * H, H))
        net = network(lstm_step(drop, bias), ["h", "c"], [*params, "lengths"], all_of=("h",), last_of=("h", "c"))
        check(net, feeds(4, ["h", "c"], params), ["h_all", "h_last", "c_last"], "LSTM")

    def test_cell_states_of_all_steps(self, drop: int, bias: float) -> None:
        params = parameters(gates=(4 * H, H))
        net = network(lstm_step(drop, bias), ["h", "c"], [*params, "lengths"], all_of=("h", "c"), last_of=("c",))
        check(net, feeds(4, ["h", "c"], params), ["h_all", "c_all", "c_last"], "Scan")


@pytest.mark.parametrize("drop", [0, 1])
@pytest.mark.parametrize("linear", [False, True])
def test_gru(drop: int, linear: bool) -> None:
    params = parameters(reset=(H, H), update=(H, H), output=(H, H))
    net = network(gru_step(drop, linear=linear), ["h"], [*params, "lengths"], all_of=("h",), last_of=("h",))
    check(net, feeds(3, ["h"], params), ["h_all", "h_last"], "GRU")


@pytest.mark.parametrize("function", ["Tanh", "Relu"])
def test_plain_rnn(function: str) -> None:
    params = parameters(gates=(H, H))
    step = [fc("h_prev", "gates", "g"), Op("Sum", ["g", "input_t"], ["g"]), Op(function, ["g"], ["h"])]
    net = network(step, ["h"], [*params], all_of=("h",), last_of=("h",))
    check(net, feeds(1, ["h"], params), ["h_all", "h_last"], "RNN")


def test_a_cell_of_its_own() -> None:
    params = parameters(gates=(H, H))
    step = [
        fc("h_prev", "gates", "g"),
        Op("Mul", ["g", "input_t"], ["g"]),
        Op("Sigmoid", ["g"], ["h"]),
    ]
    net = network(step, ["h"], [*params], all_of=("h",), last_of=("h",))
    check(net, feeds(1, ["h"], params), ["h_all", "h_last"], "Scan")


def test_an_initial_state_for_all_sequences() -> None:
    params = parameters(gates=(H, H))
    step = [fc("h_prev", "gates", "g"), Op("Sum", ["g", "input_t"], ["g"]), Op("Softsign", ["g"], ["h"])]
    net = network(step, ["h"], [*params], all_of=("h",), last_of=("h",))
    inputs = {**feeds(1, ["h"], params), "h_init": np.array([0.5, -0.25], np.float32)}
    check(net, inputs, ["h_all", "h_last"], "Scan")


def test_the_number_of_the_step() -> None:
    params = parameters(gates=(H, H))
    step = [
        Op("Cast", ["timestep"], ["t"], {"to": 1}),
        fc("h_prev", "gates", "g"),
        Op("Sum", ["g", "input_t"], ["g"]),
        Op("Mul", ["g", "t"], ["h"], {"broadcast": 1}),
    ]
    net = network(step, ["h"], [*params], all_of=("h",), last_of=("h",))
    check(net, feeds(1, ["h"], params), ["h_all", "h_last"], "Scan")
