"""Activations, softmax and dropout against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check, lower, run  # noqa: E402

X = torch.linspace(-8, 8, 24).reshape(2, 4, 3)
INTEGERS = torch.tensor([[-3, 0, 5], [2, 7, -9]])

PLAIN = """relu relu6 hardtanh hardswish hardsigmoid leaky_relu elu selu celu gelu silu mish softplus log_sigmoid
    hardshrink softshrink"""


@pytest.mark.parametrize("name", PLAIN.split())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_defaults(name: str, dtype: torch.dtype) -> None:
    half = dtype == torch.float16
    check(name, X.to(dtype), rtol=5e-3 if half else 1e-5, atol=5e-3 if half else 1e-6)
    check(name, torch.tensor(-0.5, dtype=dtype), rtol=5e-3)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("hardtanh", (-0.5, 2.0)),
        ("leaky_relu", (0.2,)),
        ("leaky_relu", (1.5,)),
        ("elu", (0.5,)),
        ("elu", (1.5, 2.0, 0.5)),
        ("celu", (0.7,)),
        ("softplus", (2.0,)),
        ("softplus", (1, 3)),
        ("softplus", (0.5, 1.0)),
        ("threshold", (1.0, -7.0)),
        ("threshold", (0, 0)),
        ("hardshrink", (2.0,)),
        ("softshrink", (2.0,)),
        ("rrelu", (0.1, 0.5, False)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_parameters(name: str, arguments: tuple[float, ...], dtype: torch.dtype) -> None:
    check(name, X.to(dtype), *arguments)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gelu(approximate: str, dtype: torch.dtype) -> None:
    check("gelu", X.to(dtype), approximate=approximate)


def test_integers() -> None:
    check("relu", INTEGERS)
    check("relu", INTEGERS.short())
    check("relu6", INTEGERS)
    check("hardtanh", INTEGERS, -2, 2)
    check("threshold", INTEGERS, 1, 20)


@pytest.mark.parametrize("shape", [(), (3,), (2, 4), (2, 4, 3), (2, 4, 3, 2)])
def test_prelu(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    check("prelu", x, torch.tensor([0.3]))
    if len(shape) > 1:
        check("prelu", x, torch.tensor([0.1, 0.2, 0.3, 0.4]))
        check("prelu", x.double(), torch.tensor([0.1, 0.2, 0.3, 0.4]).double())


@pytest.mark.parametrize("dim", [-2, 1])
def test_glu(dim: int) -> None:
    check("glu", X, dim)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("dim", [0, -1])
def test_softmax(name: str, dim: int) -> None:
    check(name, X, dim)
    check(name, X, dim, torch.float64)
    check(name, INTEGERS, dim, torch.float32)
    check(f"_{name}", X, dim, False)
    check(name, torch.tensor(2.0), dim)


def test_safe_softmax() -> None:
    scores = torch.tensor([[1.0, 2.0, -torch.inf], [-torch.inf] * 3])
    check("_safe_softmax", scores, -1)
    check("_safe_softmax", X, 1)


def test_softmax_backward() -> None:
    check("_softmax_backward_data", X, X.softmax(1), 1, torch.float32)


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout"])
def test_dropout_at_inference(name: str) -> None:
    check(name, X, 0.5, False)
    model, _, _ = lower(name, (X, 0.5, False), {}, free=True)
    assert [node.op_type for node in model.graph] == ["Identity"]


def test_dropout_while_training() -> None:
    """Random, as the model is; about half of it is dropped, the rest doubled."""
    ones = torch.ones(64, 64)
    model, feeds, _ = lower("dropout", (ones, 0.5, True), {}, free=True)
    (result,) = run(model, feeds)
    assert set(np.unique(result)) == {0.0, 2.0}
    assert 0.4 < result.mean() / 2 < 0.6
    model, feeds, _ = lower("feature_dropout", (torch.ones(32, 32, 3), 0.5, True), {}, free=True)
    (result,) = run(model, feeds)
    assert (result == result[:, :, :1]).all()
    model, feeds, _ = lower("alpha_dropout", (torch.randn(100, 100), 0.3, True), {}, free=True)
    (result,) = run(model, feeds)
    assert abs(result.mean()) < 0.1
    assert abs(result.std() - 1) < 0.1
