"""Changes of dtype, and what changes nothing, against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from nxconvert.frontends.pytorch.ops.cast import same  # noqa: E402
from nxconvert.graph.builder import Builder  # noqa: E402
from tests.frontends.pytorch.ops.harness import check, compare, lower, run  # noqa: E402

X = torch.tensor([[1.7, -2.3, 0.0], [3.5, -0.1, 100.0]])
DTYPES = [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.bool]


@pytest.mark.parametrize("dtype", DTYPES)
def test_to(dtype: torch.dtype) -> None:
    check("to", X, dtype)
    check("to", X, dtype, False, True)
    check("to", X, other=torch.zeros(1, dtype=dtype))
    check("type_as", X, torch.zeros(1, dtype=dtype))
    check("_to_copy", X, dtype=dtype)
    check("to", X.long(), dtype)


def _agrees(name: str, args: tuple, kwargs: dict, expected: torch.Tensor) -> None:
    model, feeds, values = lower(name, args, kwargs, free=True)
    compare(run(model, feeds), values, [expected.numpy()], 0, 0)


def test_every_spelling_of_to() -> None:
    """A device is whatever the reader makes of it; layout and memory format say nothing about values."""
    _agrees("to", (X, "cpu", torch.int64), {}, X.long())
    _agrees("to", (X, "cpu", torch.int64, False, True, 0), {}, X.long())
    _agrees("to", (X, None, None), {}, X)
    _agrees("to", (X, False, False), {}, X)
    _agrees(
        "to", (X,), {"dtype": torch.int32, "layout": 0, "device": "cpu", "pin_memory": None, "copy": False}, X.int()
    )
    _agrees("to", (X,), {"dtype": None, "memory_format": 2}, X)


@pytest.mark.parametrize("name", ["clone", "contiguous", "detach", "alias", "lift_fresh_copy", "resolve_conj", "real"])
def test_same(name: str) -> None:
    check(name, X)


def test_same_value_is_the_argument() -> None:
    op = Builder()
    x = op.const([1.0])
    assert same(op, x, memory_format=0) is x
