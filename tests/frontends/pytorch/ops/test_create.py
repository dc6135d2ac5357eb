"""Tensors out of nothing against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nxconvert.frontends.pytorch.dtypes import DataType  # noqa: E402
from nxconvert.frontends.pytorch.table import LoweringError, Scalar, aten  # noqa: E402
from nxconvert.graph.builder import Builder  # noqa: E402
from tests.frontends.pytorch.ops.harness import check, lower, run, to_model  # noqa: E402

X = torch.randn(2, 3)


@pytest.mark.parametrize("name", ["zeros", "ones"])
@pytest.mark.parametrize("dtype", [None, torch.bool, torch.int32, torch.float16, torch.float64], ids=str)
def test_filled(name: str, dtype: torch.dtype | None) -> None:
    check(name, [2, 3], dtype=dtype)
    check(name, [], dtype=dtype)
    check(f"new_{name}", X, [0, 4], dtype=dtype)
    check(f"{name}_like", X, dtype=dtype)


@pytest.mark.parametrize("value", [3, 3.5, True, float("-inf")])
def test_full(value: float) -> None:
    check("full", [2, 3], value)
    check("full", [2], value, dtype=torch.float32)
    check("full_like", X, value)
    check("new_full", X, [4], value)
    check("fill", X, value)


def test_large_and_empty() -> None:
    check("zeros", [300, 300])
    check("fill", X, torch.tensor(2))
    check("zero", X)
    for name, args in (
        ("empty", ([2, 3],)),
        ("empty_like", (X,)),
        ("new_empty", (X, [5])),
        ("empty_strided", ([2], [1])),
    ):
        _, _, (value,) = lower(name, args, {}, free=False)
        assert value.dims == getattr(torch.ops.aten, name)(*args).shape


@pytest.mark.parametrize("source", [torch.arange(3), torch.tensor(2.5), torch.randn(2, 1).half()], ids=str)
def test_copy(source: torch.Tensor) -> None:
    check("copy", X, source)
    check("copy", X.long(), source)


@pytest.mark.parametrize(
    "args",
    [(5,), (5.5,), (0,), (1, 5), (0, 10, 3), (10, 0, -3), (0.0, 1.0, 0.1), (5, 5), (0, 5, 0.5), (70000,),
    (0, 40000, 0.5)],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [None, torch.float32, torch.int64, torch.int32], ids=str)
def test_arange(args: tuple, dtype: torch.dtype | None) -> None:
    if dtype != torch.int64 or args[-1] not in (0.1, 0.5):  # a step of 0
        check("arange", *args, free=(False,), **({} if dtype is None else {"dtype": dtype}))


def test_arange_over_sizes_and_data() -> None:
    op = Builder()
    n = op.dim("n")
    x, stop = op.input("x", DataType.FLOAT, [n]), op.input("stop", DataType.DOUBLE, [])
    results = [
        aten.find("arange", args, kwargs).function(op, *args, **kwargs)
        for args, kwargs in [
            ([n], {}),
            ([1, 2 * n], {"dtype": 6}),
            ([n, 0, -1], {}),
            ([0, Scalar(stop), 0.5], {}),
            ([op.symbol_of(op.Cast(stop, to=DataType.INT64))], {}),
        ]
    ]
    assert [r.dims[0] for r in results[:3]] == [n, 2 * n - 1, n]
    feeds = {"x": np.zeros(4, np.float32), "stop": np.array(2.2)}
    got = run(to_model(op, [*results, op.Identity(x)]), feeds)
    want = [
        np.arange(4),
        np.arange(1, 8, dtype=np.float32),
        np.arange(4, 0, -1),
        np.arange(0, 2.2, 0.5, np.float32),
        [0, 1],
    ]
    for a, b in zip(got, want, strict=False):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 4, 7, 50])
def test_spaced(steps: int) -> None:
    check("linspace", 1.5, 8, steps)
    check("linspace", 8, -3, steps, dtype=torch.int64)
    check("linspace", torch.tensor(1.0), torch.tensor(4.0), steps)
    check("linspace", 1, torch.tensor(4.0), steps)
    check("logspace", 0.0, 2.0, steps)
    check("logspace", 0.0, 3.0, steps, 2.0, dtype=torch.float64)


@pytest.mark.parametrize("dtype", [None, torch.int64, torch.bool], ids=str)
def test_eye(dtype: torch.dtype | None) -> None:
    for size in ((3,), (3, 4), (4, 3), (0,)):
        check("eye", *size, dtype=dtype)


@pytest.mark.parametrize("offset", [-2, 0, 1])
def test_triangle_indices(offset: int) -> None:
    check("tril_indices", 4, 3, offset)
    check("triu_indices", 3, 4, offset, dtype=torch.int32)


@pytest.mark.parametrize("name", ["eye", "tril_indices", "triu_indices"])
def test_of_free_size(name: str) -> None:
    op = Builder()
    n = op.dim("n")
    x = op.input("x", DataType.FLOAT, [n])
    args = [n] if name == "eye" else [n, n, 1]
    result = aten.find(name, args, {}).function(op, *args)
    got = run(to_model(op, [result, op.Identity(x)]), {"x": np.zeros(4, np.float32)})
    np.testing.assert_array_equal(got[0], getattr(torch, name)(*(4 if a is n else a for a in args)).numpy())


def _tensor(*args: object, **kwargs: object) -> object:
    op = Builder()
    return aten.find("tensor", args, kwargs).function(op, *args, **kwargs)


@pytest.mark.parametrize(
    "data",
    [3, 2.5, True, [1, 2], [1, 2.5], [True, False], [[1, 2], [3, 4]], [[]], [], (1, 2), [0.0, -0.0], float("nan")],
)
def test_literals(data: object) -> None:
    want = torch.tensor(data)
    got = _tensor(data)
    np.testing.assert_array_equal(got.array, want.numpy())
    assert got.array.dtype == want.numpy().dtype
    assert np.array_equal(np.signbit(got.array), np.signbit(want.numpy())) if want.is_floating_point() else True
    assert _tensor(data, dtype=6).dims == tuple(want.shape)


def test_literals_of_sizes() -> None:
    op = Builder()
    n = op.dim("n")
    x = op.input("x", DataType.FLOAT, [n])
    total = Scalar(op.Cast(op.ReduceSum(x, keepdims=0), to=DataType.DOUBLE))
    results = [aten.find("tensor", [data], {}).function(op, data) for data in ([[n, 2 * n]], n, [n, total, 1], [n, 3])]
    got = run(to_model(op, results), {"x": np.array([1, 2.5], np.float32)})
    for a, b in zip(got, ([[2, 4]], 2, np.array([2, 3.5, 1], np.float32), [2, 3]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert results[-1].content == (n, 3)


def test_scalar_tensor() -> None:
    check("scalar_tensor", 3)
    check("scalar_tensor", 3, dtype=torch.int64)


def test_complex_zeros_are_pairs_of_zeros() -> None:
    zeros = aten.find("zeros", [[2]], {"dtype": 9}).function(Builder(), [2], dtype=9)
    assert zeros.dtype_code == 9
    assert zeros.real.array.tolist() == zeros.imag.array.tolist() == [0.0, 0.0]


def test_what_cannot_be() -> None:
    with pytest.raises(LoweringError, match="differ in length"):
        _tensor([[1, 2], [3]])
    with pytest.raises(LoweringError, match="made of"):
        _tensor("text")
