"""Products in groups against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check, compare, lower, run  # noqa: E402

ENDS = torch.tensor([4, 4, 12, 16], dtype=torch.int32)


def _rand(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.skipif(not hasattr(torch.ops.aten, "_grouped_mm"), reason="this PyTorch has no grouped product")
@pytest.mark.parametrize(
    "shapes", [((16, 8), (4, 8, 24)), ((4, 8, 16), (4, 16, 8)), ((4, 24, 8), (8, 16)), ((8, 16), (16, 8))]
)
def test_grouped_mm(shapes: tuple[tuple[int, ...], ...]) -> None:
    a, b = (_rand(*shape) for shape in shapes)
    check("_grouped_mm", a, b, None if a.ndim == b.ndim == 3 else ENDS)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_linear_cross_entropy(reduction: str) -> None:
    x, w, b, target = _rand(5, 4), _rand(3, 4), _rand(3), torch.tensor([0, 2, 1, 1, 0])
    scores = torch.nn.functional.linear(x, w, b)
    rest = 2, "auto", torch.float32, False, False, False, False
    wanted = torch.nn.functional.cross_entropy(scores, target, reduction=reduction, label_smoothing=0.1)
    name = "torch_nn::_linear_cross_entropy_batch_chunked"
    model, feeds, values = lower(name, (x, w, target, b, None, reduction, -100, 0.1, *rest), {}, free=True)
    compare(run(model, feeds), values[:1], [wanted.numpy()], 1e-4, 1e-5)
    wanted = torch.nn.functional.cross_entropy(scores, target, reduction="none", ignore_index=1)
    name += "_no_reduction"
    model, feeds, values = lower(name, (x, w, target, b, None, 1, 2, "auto", torch.float32), {}, free=True)
    compare(run(model, feeds), values, [wanted.numpy()], 1e-4, 1e-5)
