"""Random tensors: their sizes and dtypes are PyTorch's, their distributions are the named ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import lower, run  # noqa: E402

X = torch.zeros(100, 200)


def _draw(name: str, *args: Any, **kwargs: Any) -> np.ndarray:
    """The numbers that the graph draws, after a look at their size and dtype."""
    want = getattr(torch.ops.aten, name)(*args, **kwargs)
    for free in (False, True):
        model, feeds, (value,) = lower(name, args, kwargs, free=free)
        (got,) = run(model, feeds)
        assert got.shape == want.shape
        assert got.dtype == want.numpy().dtype
        assert value.rank == want.dim()
    return got


@pytest.mark.parametrize(
    ("name", "args", "mean", "deviation"),
    [
        ("rand", ([100, 200],), 0.5, 0.289),
        ("rand_like", (X.double(),), 0.5, 0.289),
        ("randn", ([100, 200],), 0, 1),
        ("randn_like", (X.half(),), 0, 1),
        ("normal", (X, 2.0), 0, 2),
        ("normal", (2.0, X + 1), 2, 1),
        ("normal", (X + 3, X + 2), 3, 2),
        ("normal", (1.0, 2.0, [10000]), 1, 2),
        ("normal_functional", (X, 5.0, 0.5), 5, 0.5),
        ("uniform", (X, 2.0, 5.0), 3.5, 0.866),
        ("exponential", (X, 2.0), 0.5, 0.5),
        ("randint", (10, [20000]), 4.5, 2.87),
        ("randint", (-5, 5, [20000]), -0.5, 2.87),
        ("randint_like", (X, 7), 3, 2),
        ("randint_like", (X.long(), 3, 7), 4.5, 1.118),
        ("bernoulli", (X + 0.3,), 0.3, 0.458),
        ("bernoulli", (X.long(), 0.3), 0.3, 0.458),
        ("bernoulli", (X, torch.tensor(0.8)), 0.8, 0.4),
        ("randperm", (1000,), 499.5, 288.7),
        ("geometric", (X, 0.25), 4, 3.46),
        ("log_normal", (X, 0.0, 0.5), 1.133, 0.604),
    ],
)
def test_moments(name: str, args: tuple, mean: float, deviation: float) -> None:
    numbers = _draw(name, *args).astype(np.float64)
    assert abs(numbers.mean() - mean) < 0.05 * max(deviation, 0.5)
    assert abs(numbers.std() - deviation) < 0.05 * max(deviation, 0.5)


def test_ranges() -> None:
    assert set(np.unique(_draw("randint", 2, 5, [1000]))) == {2, 3, 4}
    assert set(np.unique(_draw("bernoulli", X + 0.5))) == {0, 1}
    assert sorted(_draw("randperm", 50)) == list(range(50))
    assert 0 <= _draw("rand", []) < 1
    assert _draw("rand", [3], dtype=torch.float64).shape == (3,)


def test_cauchy() -> None:
    numbers = _draw("cauchy", X, 3.0, 2.0)
    assert abs(np.median(numbers) - 3) < 0.1
    assert abs(np.quantile(numbers, 0.75) - 5) < 0.2


def test_multinomial() -> None:
    weights = torch.tensor([0.0, 1.0, 3.0, 0.0])
    assert set(_draw("multinomial", weights, 500, True)) == {1, 2}
    assert sorted(_draw("multinomial", weights, 2)) == [1, 2]
    drawn = _draw("multinomial", weights.expand(4000, 4), 1)
    assert abs((drawn == 2).mean() - 0.75) < 0.05
    assert _draw("multinomial", torch.ones(3, 5), 7, True).shape == (3, 7)
