"""Functions of one operand, activations and copies against the real Caffe2: infinities, NaN, all arguments."""

from __future__ import annotations

import numpy as np
import pytest

from nxconvert.frontends.caffe2.table import DataType
from nxconvert.graph.builder import Builder
from nxconvert.graph.dims import Dim
from tests.frontends.caffe2.ops.harness import Op, Weight, check, check_net, run_lowered

EDGES = np.array([-np.inf, -100, -2.5, -1, -0.0, 0, 0.5, 1, 3, 100, np.inf, np.nan], np.float32)
X = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)

FUNCTIONS = """
    Abs Acos Asin Atan Ceil Cos Cosh Cube Cbrt Erf Exp Floor Gelu Log Logit Negative Reciprocal Rsqrt Sigmoid Sign Sin
    Sinh Softplus Softsign Sqr Sqrt Swish Tan Tanh Elu Selu LeakyRelu Relu ReluN ThresholdedRelu HardSigmoid Clip Scale
    ReplaceNaN IsNaN StumpFunc
"""


@pytest.mark.parametrize("name", FUNCTIONS.split())
def test_function(name: str) -> None:
    check(name, EDGES)
    check(name, np.float32(0.3))
    check(name, np.zeros((0, 2), np.float32))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("Gelu", {"fast_gelu": 1}),
        ("Logit", {"eps": 0.1}),
        ("Clip", {"min": -1.0}),
        ("Clip", {"max": 1.0}),
        ("Scale", {"scale": 2.5}),
        ("StumpFunc", {"threshold": 0.5, "low_value": 1.0, "high_value": -1.0}),
        ("ReluN", {"n": 2.0}),
        ("Elu", {"alpha": 0.3}),
        ("Selu", {"alpha": 1.5, "scale": 2.0}),
        ("LeakyRelu", {"alpha": 0.3}),
        ("ThresholdedRelu", {"alpha": -0.5}),
        ("HardSigmoid", {"alpha": 0.5, "beta": 0.1}),
    ],
)
def test_arguments(name: str, args: dict[str, float]) -> None:
    check(name, EDGES, **args)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float64])
@pytest.mark.parametrize("name", ["Cube", "Negative", "Sign"])
def test_other_dtypes(name: str, dtype: type) -> None:
    check(name, np.array([-3, 0, 2, 1 << 20]).astype(dtype))


def test_nan_in_float64() -> None:
    check("ReplaceNaN", EDGES.astype(np.float64), value=3.0)
    check("IsNaN", EDGES.astype(np.float64))


@pytest.mark.parametrize("args", [{}, {"seed": 5}, {"seed": -3}, {"seed": 12345678901}])
def test_index_hash(args: dict[str, int]) -> None:
    ids = [[0, 1, -1, 255], [256, 123456789, -(2**31), 2**31 - 1]]
    check("IndexHash", np.array(ids, np.int32), modulo=1000, **args)
    check("IndexHash", np.array(ids), modulo=1000, **args)
    check("IndexHash", np.array([2**62 + 12345, -(2**63), 2**63 - 1]), modulo=2**40 + 7, **args)


def test_prelu() -> None:
    for count in (3, 1):
        check("PRelu", X, Weight(np.linspace(-1, 1, count, dtype=np.float32) + np.float32(0.3)))
    check("PRelu", X, np.linspace(-1, 1, 5, dtype=np.float32), order="NHWC")
    check("PRelu", X[0], np.linspace(-1, 1, 4, dtype=np.float32))
    for order in ("NCHW", "NHWC"):
        check("PRelu", X[0, 0], np.linspace(-1, 1, 5, dtype=np.float32), order=order)


def test_ensure_clipped() -> None:
    check("EnsureClipped", EDGES, min=-1.0, max=2.0)
    for dtype in (np.int32, np.int64):
        rows = {"p": X, "i": np.array([1, 1], dtype), "g": X}
        check_net([Op("EnsureClipped", ["p", "i", "g"], ["p"], {"min": 0.0})], rows, ["p"])


def test_glu() -> None:
    check("Glu", X[..., :4])
    check("Glu", X, dim=0)
    check("Glu", X, dim=2)


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -2])
def test_softmax(axis: int) -> None:
    check("Softmax", X, axis=axis)
    check("Softmax", X[:, :, :1, :1], axis=axis)


def test_softmax_of_little() -> None:
    check("Softmax", np.zeros((0, 3), np.float32))
    check("Softmax", np.zeros((3, 1), np.float32))


def test_softmax_of_pooled_images_is_one_node() -> None:
    op = Builder()
    x = op.input("x", DataType.FLOAT, [Dim.symbol("batch"), 10, 1, 1])
    from nxconvert.frontends.caffe2.ops.activation import softmax

    assert softmax(op, x).dims == x.dims
    assert [node.op_type for node in op.nodes] == ["Softmax"]


@pytest.mark.parametrize("name", ["Copy", "Alias", "EnsureCPUOutput", "EnsureDense", "StopGradient"])
def test_same(name: str) -> None:
    check(name, X)
    check(name, np.array(["a", "bc"], object))


def test_dropout() -> None:
    check("Dropout", X, is_test=1, outputs=2)
    check("Dropout", X, is_test=0, ratio=0.0, outputs=2)


def test_dropout_that_draws() -> None:
    net = [Op("Dropout", ["x"], ["y", "mask"], {"is_test": 0, "ratio": 0.25})]
    ones = np.ones((100, 100), np.float32)
    found, _ = run_lowered(net, {"x": ones}, ["y", "mask"])
    assert found["mask"].dtype == np.bool_
    assert abs(found["mask"].mean() - 0.75) < 0.02
    np.testing.assert_allclose(found["y"], found["mask"] / np.float32(0.75))


def test_halves() -> None:
    check("FloatToHalf", np.array([1e6, 1e-8, -7e4, 1.0009765, np.nan], np.float32))
    check("HalfToFloat", EDGES.astype(np.float16))
