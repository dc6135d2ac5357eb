"""Recurrent layers and cells against PyTorch, with weights in the file and with computed ones."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from nxconvert.graph.builder import Builder, Value
from tests.frontends.pytorch.ops import harness
from tests.frontends.pytorch.ops.harness import Weight

torch = pytest.importorskip("torch")

VARIANTS = [(False, True, True), (True, True, True), (True, False, True), (True, True, False)]
PADS = [(True, -1, (2,)), (False, 4, (2, 3)), (True, 6, ()), (False, 9, (2,))]
LAYERS = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "RNN", "rnn_relu": "RNN"}


def layer(name: str, features: int, hidden: int, in_file: bool, **options: Any) -> tuple[list[Any], Any]:
    """The parameters of a PyTorch layer, and the layer."""
    torch.manual_seed(0)
    if name.startswith("rnn"):
        options["nonlinearity"] = name[4:]
    module = getattr(torch.nn, LAYERS[name])(features, hidden, **options).eval()
    params = [p.detach() for p in module._flat_weights]
    return [Weight(p) for p in params] if in_file else params, module


def states(name: str, count: int, batch: int, hidden: int, projected: int = 0, **options: Any) -> Any:
    h = torch.randn(count, batch, projected or hidden, **options)
    return [h, torch.randn(count, batch, hidden, **options)] if name == "lstm" else h


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("layers", "bidirectional"), list(product((1, 2), (False, True))))
@pytest.mark.parametrize(("batch_first", "bias", "in_file"), VARIANTS)
def test_layer(name: str, layers: int, bidirectional: bool, batch_first: bool, bias: bool, in_file: bool) -> None:
    params, _ = layer(name, 3, 4, in_file, num_layers=layers, bidirectional=bidirectional, bias=bias)
    x = torch.randn((2, 5, 3) if batch_first else (5, 2, 3))
    hx = states(name, layers * (1 + bidirectional), 2, 4)
    free = (False, True) if in_file else (False,)  # computed weights have known sizes all the same
    harness.check(name, x, hx, params, bias, layers, 0.0, False, bidirectional, batch_first, free=free)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_float64(name: str, bidirectional: bool) -> None:
    """ONNX Runtime has no fused kernels for float64."""
    params, _ = layer(name, 3, 4, True, bidirectional=bidirectional, dtype=torch.float64, num_layers=2)
    hx = states(name, 2 * (1 + bidirectional), 2, 4, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    harness.check(name, x, hx, params, True, 2, 0.0, False, bidirectional, False)


@pytest.mark.parametrize(("layers", "bidirectional", "bias"), list(product((1, 2), (False, True), (False, True))))
def test_projection(layers: int, bidirectional: bool, bias: bool) -> None:
    params, _ = layer("lstm", 3, 4, True, num_layers=layers, bidirectional=bidirectional, bias=bias, proj_size=2)
    hx = states("lstm", layers * (1 + bidirectional), 2, 4, projected=2)
    harness.check("lstm", torch.randn(5, 2, 3), hx, params, bias, layers, 0.0, False, bidirectional, False)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_layer_of_the_decompositions(reverse: bool, bias: bool) -> None:
    params, _ = layer("lstm", 3, 4, False, bias=bias)
    params = params if bias else [*params, torch.zeros(16), torch.zeros(16)]
    h, c = states("lstm", 1, 2, 4)
    args = (torch.randn(5, 2, 3), *params, h, c, reverse, [], 2, 4, 1, bias, False, False, False)
    expected = torch.ops.aten.mkldnn_rnn_layer(*args)[:3]
    program = lambda call, *a: call("mkldnn_rnn_layer", *a)[:3]  # noqa: E731
    model, feeds, values = harness.lower_program(program, args, {}, free=False)
    harness.compare(harness.run(model, feeds), values, [x.numpy() for x in expected], 1e-4, 1e-5)


def packed(lengths: list[int], features: int, **options: Any) -> Any:
    x = torch.randn(lengths[0], len(lengths), features, **options)
    return torch.ops.aten._pack_padded_sequence(x, torch.tensor(lengths), False)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("layers", "bidirectional"), list(product((1, 2), (False, True))))
def test_packed_layer(name: str, layers: int, bidirectional: bool) -> None:
    params, _ = layer(name, 3, 4, True, num_layers=layers, bidirectional=bidirectional)
    data, batch_sizes = packed([5, 3, 3, 1], 3)
    hx = states(name, layers * (1 + bidirectional), 4, 4)
    harness.check(name, data, batch_sizes, hx, params, True, layers, 0.0, False, bidirectional)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_projection(bidirectional: bool) -> None:
    params, _ = layer("lstm", 3, 4, True, bidirectional=bidirectional, proj_size=2)
    data, batch_sizes = packed([4, 2], 3)
    hx = states("lstm", 1 + bidirectional, 2, 4, projected=2)
    harness.check("lstm", data, batch_sizes, hx, params, True, 1, 0.0, False, bidirectional)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cell(name: str, bias: bool, dtype: str) -> None:
    params, _ = layer(name, 3, 4, True, bias=bias, dtype=getattr(torch, dtype))
    x = torch.randn(2, 3, dtype=getattr(torch, dtype))
    h = torch.randn(2, 4, dtype=x.dtype)
    harness.check(f"{name}_cell", x, [h, torch.randn_like(h)] if name == "lstm" else h, *params)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [[4, 2, 1], [5, 5, 5], [1, 1, 1]])
def test_pack(batch_first: bool, lengths: list[int]) -> None:
    """A batch may be longer than its longest sequence."""
    x = torch.randn((3, 5, 2) if batch_first else (5, 3, 2))
    harness.check("_pack_padded_sequence", x, torch.tensor(lengths), batch_first)


@pytest.mark.parametrize(("batch_first", "total_length", "features"), PADS)
def test_pad(batch_first: bool, total_length: int, features: tuple[int, ...]) -> None:
    x = torch.randn(4, 3, *features)
    data, batch_sizes = torch.ops.aten._pack_padded_sequence(x, torch.tensor([4, 2, 1]), False)
    harness.check("_pad_packed_sequence", data, batch_sizes, batch_first, -1.5, total_length)


def test_weights_keep_readable_names_and_are_read_late() -> None:
    """Reordered weights are named after the first one and computed only when they are asked for."""
    op = Builder()
    reads: list[str] = []

    def weight(name: str, *shape: int) -> Value:
        def read() -> ir.Tensor:
            reads.append(name)
            return ir.Tensor(np.arange(np.prod(shape), dtype=np.float32).reshape(shape))

        return op.weight(ir.LazyTensor(read, ir.DataType.FLOAT, ir.Shape(shape)), f"rnn.{name}_l0")

    params = [weight("weight_ih", 8, 3), weight("weight_hh", 8, 2), weight("bias_ih", 8), weight("bias_hh", 8)]
    x, h = op.input("x", ir.DataType.FLOAT, [5, 1, 3]), op.const(np.zeros((1, 1, 2), np.float32))
    harness.aten.find("lstm", (x, [h, h], params, True, 1, 0.0, False, False, False), {}).function(
        op, x, [h, h], params, True, 1, 0.0, False, False, False
    )
    (node,) = [n for n in op.nodes if n.op_type == "LSTM"]
    names = ["rnn.weight_ih_l0.iofc", "rnn.weight_hh_l0.iofc", "rnn.bias_ih_l0.iofc"]
    assert [v.name for v in node.inputs[1:4] if v] == names
    assert len(node.inputs) == 4, "initial states of zeros are left out"
    assert not reads
    rows = node.inputs[1].const_value.numpy()[0, :, 0] / 3
    assert rows.tolist() == [0, 1, 6, 7, 2, 3, 4, 5]
