"""Elements without repetition against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402

X = torch.randint(0, 6, (3, 4, 5), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.int64, torch.bool, torch.int16, torch.int32, torch.uint8], ids=str
)
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("counts", [False, True])
def test_unique(dtype: torch.dtype, inverse: bool, counts: bool) -> None:
    x = X.to(dtype)
    check("_unique2", x, True, inverse, counts)
    check("unique_consecutive", x.flatten().sort()[0], inverse, counts, free=(True,))
    check("unique_consecutive", x.reshape(3, 20), inverse, counts, free=(False,))
    check("unique_consecutive", torch.cat([x[:1], x[:1], x]), inverse, counts, 0, free=(True,))
    repeated = torch.cat([x, x[:2]])
    check("unique_dim", repeated, 0, True, inverse, counts)
    check("unique_dim", repeated, 1, True, inverse, counts, free=(False,))


def test_other_forms() -> None:
    check("_unique", X, True, True)
    check("_unique", X.float())
    check("unique_consecutive", torch.zeros(0))
    check("unique_consecutive", torch.tensor([1.0, float("nan"), float("nan"), 1.0, 1.0]), True, True)
