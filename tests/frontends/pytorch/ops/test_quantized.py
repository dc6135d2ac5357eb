"""Quantization, quantized layers and what runs between them, against PyTorch.

A quantized result may differ by one step, where both lie on the border between two.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from nxconvert.errors import ReadError
from nxconvert.frontends.pytorch.compound import QuantizedValue
from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.packed_params import CLASSES, PackedConv, PackedEmbedding, unpack
from nxconvert.frontends.pytorch.table import aten
from nxconvert.graph.builder import Builder
from tests.frontends.pytorch.ops import harness
from tests.frontends.pytorch.ops.harness import Weight, check, check_program

torch = pytest.importorskip("torch")
warnings.filterwarnings("ignore", message=".*quantized tensor creation.*")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

QUINT8, QINT8, QINT32 = torch.quint8, torch.qint8, torch.qint32
SCALE, ZERO = 0.05, 60


def numbers(*shape: int) -> Any:
    torch.manual_seed(0)
    return torch.randn(shape)


# ---- quantizing and dequantizing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "zero"), [(QUINT8, 60), (QINT8, -3), (QINT32, 1000), (QUINT8, 0)])
@pytest.mark.parametrize("tensors", [False, True])
def test_per_tensor(dtype: Any, zero: int, tensors: bool) -> None:
    scale = torch.tensor([0.043]) if tensors else 0.043

    def program(call: Any, x: Any, dtype: Any, scale: Any, zero: Any) -> Any:
        q = call("quantize_per_tensor", x, scale, zero, dtype)
        return call("dequantize", q), call("int_repr", q)

    check_program(program, numbers(4, 5), dtype, scale, torch.tensor([zero]) if tensors else zero)


@pytest.mark.parametrize(("dtype", "axis"), [(QUINT8, 0), (QINT8, 1), (QINT8, -1)])
def test_per_channel(dtype: Any, axis: int) -> None:
    x = numbers(3, 4, 2)
    scales = torch.linspace(0.02, 0.05, x.shape[axis], dtype=torch.float64)

    def program(call: Any, x: Any, scales: Any, zeros: Any, axis: int, dtype: Any) -> Any:
        q = call("quantize_per_channel", x, scales, zeros, axis, dtype)
        return call("dequantize", q), call("int_repr", q)

    check_program(program, x, scales, torch.arange(x.shape[axis]), axis % 3 if axis < 0 else axis, dtype)


def test_parameters_are_read_back() -> None:
    op = Builder()
    x = op.input("x", DataType.FLOAT, [3])
    q = aten.find("quantize_per_tensor", (x, 0.25, 7, 13), {}).function(op, x, 0.25, 7, 13)
    assert aten.find("q_scale", (q,), {}).function(op, q) == 0.25
    assert aten.find("q_zero_point", (q,), {}).function(op, q) == 7
    assert (q.dims, q.dtype_code, q.is_quantized) == ((3,), 13, True)


@pytest.mark.parametrize("reduce_range", [False, True])
@pytest.mark.parametrize("x", [numbers(4, 5), numbers(4, 5).abs(), -numbers(4, 5).abs(), torch.zeros(2, 2)])
def test_dynamic(x: Any, reduce_range: bool) -> None:
    check("quantize_per_tensor_dynamic", x, QUINT8, reduce_range, atol=1e-4)


def test_make_quantized_tensor() -> None:
    integers = torch.arange(6, dtype=torch.uint8).reshape(2, 3)
    check("_make_per_tensor_quantized_tensor", integers, 0.1, 2)
    check(
        "_make_per_channel_quantized_tensor", integers, torch.tensor([0.1, 0.2]), torch.tensor([1, 2]), 0, free=(False,)
    )


# ---- fake quantization -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [(0, 255), (-128, 127), (0, 127), (-7, 7), (0, 1000)])
def test_fake_quantize(limits: tuple[int, int]) -> None:
    check("fake_quantize_per_tensor_affine", numbers(6, 7), 0.031, 4, *limits)
    check(
        "fake_quantize_per_tensor_affine",
        numbers(6, 7),
        torch.tensor([0.031]),
        torch.tensor([4], dtype=torch.int32),
        *limits,
    )
    check("fake_quantize_per_tensor_affine_cachemask", numbers(6, 7), 0.011, 4, *limits)
    check(
        "fake_quantize_per_channel_affine",
        numbers(2, 7),
        torch.tensor([0.03, 0.07]),
        torch.tensor([1, 2], dtype=torch.int32),
        0,
        *limits,
    )


OBSERVERS = [(False, False, (0, 127)), (True, True, (-128, 127)), (False, True, (0, 255))]


@pytest.mark.parametrize("observer", [0, 1])
@pytest.mark.parametrize(("per_row", "symmetric", "limits"), OBSERVERS)
@pytest.mark.parametrize("unset", [False, True])
def test_observed_fake_quantize(observer: int, per_row: bool, symmetric: bool, limits: Any, unset: bool) -> None:
    # PyTorch refuses extremes that were never set when it does not observe.
    running = (float("inf"), float("-inf")) if unset and observer else (-1.0, 2.0)
    low, high = (torch.full((3,) if per_row else (), value) for value in running)
    flags = [Weight(torch.tensor([flag])) for flag in (observer, 1)]
    state = (torch.ones(3 if per_row else 1), torch.zeros(3 if per_row else 1, dtype=torch.int32))
    arguments = (*flags, low, high, *state, 0.01, *limits, 0 if per_row else -1, per_row, symmetric)
    check("fused_moving_avg_obs_fake_quant", numbers(3, 40), *arguments, atol=1e-4, free=(False,))


# ---- layers ----------------------------------------------------------------------------------------------------------


class Quantized:
    """Quantizes what layers take, in PyTorch or in the graph."""

    def __init__(self, call: Any, quint8: Any = QUINT8, qint8: Any = QINT8) -> None:
        self.call, self.quint8, self.qint8 = call, quint8, qint8

    def activation(self, x: Any, scale: float = SCALE, zero: int = ZERO) -> Any:
        return self.call("quantize_per_tensor", x, scale, zero, self.quint8)

    def weight(self, w: Any, scales: Any = None, zeros: Any = None, axis: int = 0) -> Any:
        if scales is None:
            return self.call("quantize_per_tensor", w, 0.02, 0, self.qint8)
        return self.call("quantize_per_channel", w, scales, zeros, axis, self.qint8)


def check_steps(program: Any, *args: Any, step: float, **options: Any) -> None:
    """Quantized results may differ by one step."""
    check_program(program, *args, QUINT8, QINT8, rtol=0, atol=1.01 * step, free=(False,), **options)


def channels(count: int) -> tuple[Any, Any]:
    return Weight(torch.linspace(0.02, 0.04, count)), Weight(torch.zeros(count, dtype=torch.long))


@pytest.fixture
def onednn() -> Any:
    """The engine that has the fused layers."""
    before, torch.backends.quantized.engine = torch.backends.quantized.engine, "onednn"
    yield
    torch.backends.quantized.engine = before


@pytest.mark.parametrize("name", ["linear", "linear_relu"])
@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 6)])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_linear(name: str, shape: tuple[int, ...], per_channel: bool, bias: bool) -> None:
    def program(call: Any, x: Any, w: Any, b: Any, scales: Any, zeros: Any, *dtypes: Any) -> Any:
        q = Quantized(call, *dtypes)
        packed = call("quantized::linear_prepack", q.weight(w, *((scales, zeros) if per_channel else ())), b)
        return call(f"quantized::{name}", q.activation(x), packed, 0.09, 40)

    weights = [Weight(numbers(5, 6)), Weight(numbers(5)) if bias else None, *channels(5)]
    check_steps(program, numbers(*shape), *weights, step=0.09)


@pytest.mark.usefixtures("onednn")
@pytest.mark.parametrize("name", ["linear_tanh", "linear_leaky_relu"])
def test_linear_with_an_activation(name: str) -> None:
    def program(call: Any, x: Any, w: Any, b: Any, *dtypes: Any) -> Any:
        q = Quantized(call, *dtypes)
        packed = call("quantized::linear_prepack", q.weight(w), b)
        slope = (0.2,) if name == "linear_leaky_relu" else ()
        return call(f"quantized::{name}", q.activation(x), packed, 0.03, 40, *slope)

    check_steps(program, numbers(4, 6), Weight(numbers(5, 6)), Weight(numbers(5)), step=0.03)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("space", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolution(space: int, relu: bool, groups: int) -> None:
    geometry = ([2] * space, [1] * space, [1] * space, groups)

    def program(call: Any, x: Any, w: Any, b: Any, scales: Any, zeros: Any, *dtypes: Any) -> Any:
        q = Quantized(call, *dtypes)
        packed = call(f"quantized::conv{space}d_prepack", q.weight(w, scales, zeros), b, *geometry)
        return call(f"quantized::conv{space}d{'_relu' * relu}", q.activation(x), packed, 0.09, 40)

    weights = [Weight(numbers(6, 4 // groups, *[3] * space)), Weight(numbers(6)), *channels(6)]
    check_steps(program, numbers(2, 4, *[7] * space), *weights, step=0.09)


@pytest.mark.parametrize("space", [1, 2])
def test_transposed_convolution(space: int) -> None:
    geometry = ([2] * space, [1] * space, [1] * space, [1] * space, 1)

    def program(call: Any, x: Any, w: Any, b: Any, *dtypes: Any) -> Any:
        q = Quantized(call, *dtypes)
        packed = call(f"quantized::conv_transpose{space}d_prepack", q.weight(w), b, *geometry)
        return call(f"quantized::conv_transpose{space}d", q.activation(x), packed, 0.09, 40)

    check_steps(
        program, numbers(2, 4, *[5] * space), Weight(numbers(4, 3, *[3] * space)), Weight(numbers(3)), step=0.09
    )


@pytest.mark.usefixtures("onednn")
@pytest.mark.parametrize("relu", [False, True])
def test_convolution_with_a_sum(relu: bool) -> None:
    def program(call: Any, x: Any, y: Any, w: Any, b: Any, *dtypes: Any) -> Any:
        q = Quantized(call, *dtypes)
        packed = call("quantized::conv2d_prepack", q.weight(w), b, [1, 1], [1, 1], [1, 1], 1)
        return call(f"quantized::conv2d_add{'_relu' * relu}", q.activation(x), q.activation(y), packed, 0.09, 40)

    inputs = numbers(1, 3, 6, 6), numbers(1, 4, 6, 6)
    check_steps(program, *inputs, Weight(numbers(4, 3, 3, 3)), Weight(numbers(4)), step=0.09)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("reduce_range", [False, True])
@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 6)])
def test_dynamic_linear(relu: bool, per_channel: bool, reduce_range: bool, shape: tuple[int, ...]) -> None:
    """The same integers are multiplied as in PyTorch, so that floats come out the same."""

    def program(call: Any, x: Any, w: Any, b: Any, scales: Any, zeros: Any, *dtypes: Any) -> Any:
        q = Quantized(call, *dtypes)
        packed = call("quantized::linear_prepack", q.weight(w, *((scales, zeros) if per_channel else ())), b)
        return call("quantized::linear_relu_dynamic" if relu else "quantized::linear_dynamic", x, packed, reduce_range)

    check_steps(program, numbers(*shape), Weight(numbers(5, 6)), Weight(numbers(5)), *channels(5), step=1e-5)


def test_half_linear() -> None:
    def program(call: Any, x: Any, w: Any, b: Any) -> Any:
        return call("quantized::linear_dynamic_fp16", x, call("quantized::linear_prepack_fp16", w, b))

    check_program(program, numbers(4, 6), Weight(numbers(5, 6) * 70000), Weight(numbers(5)), rtol=1e-3, free=(False,))


def test_dynamic_convolution() -> None:
    def program(call: Any, x: Any, w: Any, b: Any, *dtypes: Any) -> Any:
        q = Quantized(call, *dtypes)
        packed = call("quantized::conv2d_prepack", q.weight(w), b, [1, 1], [1, 1], [1, 1], 1)
        return call("quantized::conv2d_dynamic", x, packed, True)

    check_steps(program, numbers(1, 3, 6, 6), Weight(numbers(4, 3, 3, 3)), Weight(numbers(4)), step=0.05)


def test_products_of_plain_integers() -> None:
    torch.manual_seed(0)
    a, b = (torch.randint(-128, 128, (32, 32), dtype=torch.int8) for _ in range(2))
    check("_int_mm", a, b)
    check("_weight_int8pack_mm", numbers(4, 32).bfloat16().float(), a, numbers(32).abs(), free=(False,), rtol=1e-3)


def test_unpack() -> None:
    def program(call: Any, w: Any, kernel: Any, b: Any, *dtypes: Any) -> Any:
        q = Quantized(call, *dtypes)
        linear = call("quantized::linear_unpack", call("quantized::linear_prepack", q.weight(w), b))
        packed = call("quantized::conv2d_prepack", q.weight(kernel), b, [1, 1], [0, 0], [1, 1], 1)
        return *linear, *call("quantized::conv2d_unpack", packed)

    check_steps(program, Weight(numbers(5, 6)), Weight(numbers(5, 2, 3, 3)), Weight(numbers(5)), step=1e-6)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("reduce_range", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_dynamic_recurrent_layer(kind: str, reduce_range: bool, packed: bool) -> None:
    """States are quantized at every step, as PyTorch does it."""
    gates = 4 if kind == "lstm" else 3

    def program(call: Any, x: Any, h: Any, weights: Any, *dtypes: Any) -> Any:
        q = Quantized(call, *dtypes)
        cells = []
        for w_ih, w_hh, b_ih, b_hh in weights:
            layers = [call("quantized::linear_prepack", q.weight(w), b) for w, b in ((w_ih, b_ih), (w_hh, b_hh))]
            cells.append(call("quantized::make_quantized_cell_params_dynamic", *layers, b_ih, b_hh, reduce_range))
        states = [h, h] if kind == "lstm" else h
        if packed:
            return call(f"quantized_{kind}", *x, states, cells, True, 1, 0.0, False, True)
        return call(f"quantized_{kind}", x, states, cells, True, 1, 0.0, False, True, False)

    x: Any = numbers(5, 3, 6)
    if packed:
        x = torch.ops.aten._pack_padded_sequence(x, torch.tensor([5, 3, 1]), False)
    sizes = ((gates * 4, 6), (gates * 4, 4), (gates * 4,), (gates * 4,))
    weights = [[Weight(numbers(*size) * 0.3) for size in sizes] for _ in range(2)]
    check_steps(program, x, numbers(2, 3, 4) * 0.5, weights, step=1e-4)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_tanh", "rnn_relu"])
def test_dynamic_cell(kind: str) -> None:
    gates = {"lstm": 4, "gru": 3}.get(kind, 1)

    def program(call: Any, x: Any, h: Any, w_ih: Any, w_hh: Any, b: Any, *dtypes: Any) -> Any:
        q = Quantized(call, *dtypes)
        layers = [call("quantized::linear_prepack", q.weight(w), b) for w in (w_ih, w_hh)]
        states = [h, h] if kind == "lstm" else h
        # PyTorch adds the biases that are packed, not these.
        others = [call("neg", b)] * 2
        return call(f"quantized::quantized_{kind}_cell_dynamic", x, states, *layers, *others)

    weights = [Weight(numbers(gates * 4, 6)), Weight(numbers(gates * 4, 4)), Weight(numbers(gates * 4))]
    check_steps(program, numbers(3, 6), numbers(3, 4) * 0.5, *weights, step=1e-4)


# ---- between layers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.01, 0.001, 1 / 255])
@pytest.mark.parametrize("channels", [1, 4])
def test_prelu(scale: float, channels: int) -> None:
    """On a fine scale of the weight there is no 1, which is what positive numbers are multiplied by."""

    def program(call: Any, x: Any, weight: Any, scale: float, *dtypes: Any) -> Any:
        q = Quantized(call, *dtypes)
        return call("quantized::prelu", q.activation(x), q.activation(weight, scale, 0), 0.03, 40)

    check_steps(program, numbers(2, 4, 8), Weight(torch.linspace(0.1, 0.25, channels)), scale, step=0.03)


@pytest.mark.parametrize("count_include_pad", [False, True])
def test_average_pool_with_a_ragged_edge(count_include_pad: bool) -> None:
    """In ONNX Runtime's pool of integers, too, nothing counts that PyTorch does not count."""

    def program(call: Any, x: Any, *dtypes: Any) -> Any:
        q = Quantized(call, *dtypes).activation(x)
        return call("avg_pool2d", q, [3, 3], [2, 2], [1, 1], True, count_include_pad)

    check_steps(program, numbers(2, 3, 8, 10) + 1, step=SCALE)


def test_one_dimensional_geometry_of_two_numbers() -> None:
    """Layers that pad by themselves are packed with a padding of two zeros."""

    def program(call: Any, x: Any, w: Any, *dtypes: Any) -> Any:
        q = Quantized(call, *dtypes)
        packed = call("quantized::conv1d_prepack", q.weight(w), None, [2], [0, 0], [1], 1)
        return call("quantized::conv1d", q.activation(x), packed, 0.09, 40)

    check_steps(program, numbers(2, 4, 9), Weight(numbers(6, 4, 3)), step=0.09)


UNARY: dict[str, tuple[Any, ...]] = {
    "hardswish": (0.04, 30),
    "sigmoid": (0.004, 0),
    "leaky_relu": (0.1, False, 0.04, 30),
    "elu": (0.04, 30, 0.7, 1.1, 0.9),
    "celu": (0.04, 30, 0.7),
    "softmax": (1, 0.004, 0),
    "dropout": (0.04, 30, 0.5, False),
    "relu6": (),
    "threshold": (0.22, -0.4),
    "clamp": (-0.7, 0.9),
    "max_pool2d": ([2, 2], [2, 2], [0, 0], [1, 1], False),
}


@pytest.mark.parametrize("name", UNARY)
def test_activations(name: str) -> None:
    def program(call: Any, x: Any, *dtypes: Any) -> Any:
        return call(f"quantized::{name}", Quantized(call, *dtypes).activation(x), *UNARY[name])

    check_steps(program, numbers(2, 4, 6, 6), step=0.06)


@pytest.mark.parametrize("name", ["add", "add_relu", "mul", "mul_relu", "matmul"])
def test_arithmetic(name: str) -> None:
    def program(call: Any, x: Any, y: Any, *dtypes: Any) -> Any:
        q = Quantized(call, *dtypes)
        return call(f"quantized::{name}", q.activation(x), q.activation(y, 0.02, 128), 0.07, 90)

    check_steps(program, numbers(4, 4), numbers(4, 4).flip(0), step=0.07)


@pytest.mark.parametrize("name", ["add_scalar", "add_scalar_relu", "mul_scalar", "mul_scalar_relu"])
@pytest.mark.parametrize("number", [0.57, -2.0, 0.0, 50.0, -50.0])
def test_arithmetic_with_a_number(name: str, number: float) -> None:
    def program(call: Any, x: Any, *dtypes: Any) -> Any:
        y = call(f"quantized::{name}", Quantized(call, *dtypes).activation(x), number)
        return y, call("int_repr", y)

    check_steps(program, numbers(4, 5), step=1e-4)


@pytest.mark.parametrize(
    "name", ["batch_norm2d", "batch_norm2d_relu", "batch_norm", "layer_norm", "group_norm", "instance_norm"]
)
def test_normalisation(name: str) -> None:
    def program(call: Any, x: Any, w: Any, b: Any, mean: Any, var: Any, *dtypes: Any) -> Any:
        qx = Quantized(call, *dtypes).activation(x)
        if name.startswith("batch"):
            return call(f"quantized::{name}", qx, w, b, mean, var, 1e-5, 0.06, 100)
        extra = {"layer_norm": ([4],), "group_norm": (2,)}.get(name, ())
        return call(f"quantized::{name}", qx, *extra, w, b, 1e-5, 0.06, 100)

    parameters = [Weight(numbers(4) + 1), Weight(numbers(4)), Weight(numbers(4)), Weight(numbers(4).abs() + 0.5)]
    check_steps(program, numbers(2, 4, 4, 4), *parameters, step=0.06)


@pytest.mark.parametrize("scale", [None, 0.08])
@pytest.mark.parametrize("name", ["cat", "cat_relu"])
def test_cat(name: str, scale: float | None) -> None:
    def program(call: Any, x: Any, *dtypes: Any) -> Any:
        q = Quantized(call, *dtypes)
        return call(
            f"quantized::{name}", [q.activation(x), q.activation(x, 0.03, 9)], 1, scale, None if scale is None else 5
        )

    check_steps(program, numbers(2, 3), step=0.08)


ORDINARY: dict[str, tuple[Any, ...]] = {
    "relu": (),
    "sigmoid": (),
    "tanh": (),
    "hardsigmoid": (),
    "hardtanh": (-0.53, 0.72),
    "leaky_relu": (0.1,),
    "mean": ([2, 3], True),
    "avg_pool2d": ([2, 2],),
    "adaptive_avg_pool2d": ([1, 1],),
    "max_pool2d": ([2, 2],),
    "upsample_nearest2d": ([8, 8],),
    "flatten": (1,),
    "permute": ([0, 2, 3, 1],),
    "reshape": ([2, -1],),
    "select": (1, 0),
    "repeat": ([1, 2, 1, 1],),
    "eq": (0.0,),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_operators(name: str) -> None:
    """They keep the scale of their operand, or have a known one; what they compute anew is rounded."""

    def program(call: Any, x: Any, *dtypes: Any) -> Any:
        return call(name, Quantized(call, *dtypes).activation(x), *ORDINARY[name])

    check_steps(program, numbers(2, 4, 4, 4), step=SCALE)


def test_joining_different_scales_rounds() -> None:
    def program(call: Any, x: Any, *dtypes: Any) -> Any:
        q = Quantized(call, *dtypes)
        return call("int_repr", call("cat", [q.activation(x), q.activation(x, 0.03, 9)], 0))

    check_steps(program, numbers(2, 3), step=0)


def test_nothing_is_quantized_twice() -> None:
    """Moving elements costs the operator and nothing else."""

    def program(call: Any, x: Any, *dtypes: Any) -> Any:
        return call("permute", call("relu", Quantized(call, *dtypes).activation(x)), [1, 0])

    model, _, _ = harness.lower_program(program, (numbers(2, 3), QUINT8, QINT8), {}, free=False)
    assert [n.op_type for n in model.graph] == ["QuantizeLinear", "DequantizeLinear", "Relu", "Transpose"]


# ---- archives --------------------------------------------------------------------------------------------------------


class Raw:
    """A tensor as an archive describes it."""

    def __init__(self, *values: int) -> None:
        self.values = values

    def numpy(self) -> Any:
        return torch.tensor(self.values, dtype=torch.int16).numpy()


CONFIG = (2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1)
STATES = [
    ("2", [Raw(*CONFIG), "weight"], ["bias"]),
    (3, list(CONFIG), [None, "weight", "bias"]),
    ("weight", "bias", [Raw(1), Raw(2)], [Raw(3), Raw(4)], [Raw(5), Raw(6)], Raw(9)),
]


@pytest.mark.parametrize("version", range(3))
def test_states_of_convolutions(version: int) -> None:
    """All versions of the state; the first has no output padding and no transposition."""
    packed = unpack(f"{CLASSES}quantized.Conv2dPackedParamsBase", STATES[version], lambda x: x)
    assert isinstance(packed, PackedConv)
    assert (packed.weight, packed.bias) == ("weight", "bias")
    assert (packed.stride, packed.padding, packed.dilation, packed.groups) == ([1, 2], [3, 4], [5, 6], 9)
    assert (packed.output_padding, packed.transposed) == (([0, 0], False) if version == 2 else ([7, 8], True))


def test_unknown_states_are_refused() -> None:
    with pytest.raises(ReadError, match="unknown form"):
        unpack(f"{CLASSES}quantized.LinearPackedParamsBase", ("weight",), lambda x: x)
    with pytest.raises(ReadError, match="not known"):
        unpack(f"{CLASSES}quantized.Something", (), lambda x: x)


# ---- embeddings ------------------------------------------------------------------------------------------------------


def table(bits: int) -> tuple[Any, Any]:
    """Packed for PyTorch, and as the graph has it."""
    w = numbers(10, 8)
    scales, zeros = torch.linspace(0.02, 0.05, 10), torch.linspace(40.0, 60.0, 10)
    dtype = QUINT8 if bits == 8 else torch.quint4x2
    if bits == 4:
        scales, zeros = scales * 8, zeros / 8
    q = torch.quantize_per_channel(w, scales, zeros, 0, dtype)
    integers = (q.dequantize() / scales[:, None] + zeros[:, None]).round().to(torch.uint8)
    return torch.ops.quantized.embedding_bag_prepack(q), (integers.numpy(), scales.numpy(), zeros.numpy())


def check_embedding(name: str, bits: int, *args: Any, **kwargs: Any) -> None:
    packed, (integers, scales, zeros) = table(bits)
    expected = getattr(torch.ops.quantized, name)(packed, *args, **kwargs)

    def program(call: Any, *args: Any, **kwargs: Any) -> Any:
        op = call.op
        q = QuantizedValue(op.const(scales), op.const(zeros), 0, integers=(op, op.const(integers)))
        return call(f"quantized::{name}", PackedEmbedding(q), *args, **kwargs)

    model, feeds, values = harness.lower_program(program, args, kwargs, free=True)
    harness.compare(harness.run(model, feeds), values, [expected.numpy()], 1e-4, 1e-4)


@pytest.mark.parametrize(("name", "bits"), [("embedding_byte", 8), ("embedding_4bit", 4)])
def test_embedding(name: str, bits: int) -> None:
    check_embedding(name, bits, torch.tensor([1, 9, 0, 1]))


@pytest.mark.parametrize(("name", "bits"), [("embedding_bag_byte", 8), ("embedding_bag_4bit", 4)])
@pytest.mark.parametrize("weighted", [False, True])
def test_embedding_bag(name: str, bits: int, weighted: bool) -> None:
    weights = torch.tensor([0.5, 1.5, 2.0, -1.0]) if weighted else None
    indices = torch.tensor([1, 9, 0, 1])
    check_embedding(name, bits, indices, torch.tensor([0, 3]), per_sample_weights=weights)
    check_embedding(name, bits, indices, torch.tensor([0, 3, 4]), False, 0, False, weights, None, True)
    if bits == 8:
        check_embedding(name, bits, indices.reshape(2, 2))
