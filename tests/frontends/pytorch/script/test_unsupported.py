# The programs are written as TorchScript takes them.
"""Operators without a lowering are named all at once, wherever in the program they stand."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")

from torch import Tensor, nn  # noqa: E402

import nxconvert  # noqa: E402
from tests.frontends.pytorch.script import harness  # noqa: E402


def only_for_some_data(x: Tensor) -> Tensor:
    return torch.linalg.eigvals(x).abs()


@torch.jit.script
class Sampler:
    def __init__(self, x: Tensor) -> None:
        self.x = x

    def draw(self) -> Tensor:
        return torch.poisson(self.x)


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x.to_sparse().to_dense()
        return torch.linalg.eig(x)[0].abs()

    @torch.jit.export
    def again(self, x: Tensor) -> Tensor:
        return torch._sobol_engine_draw(x, 3, x, 1, 2, None)[0]


class NeverCalled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.lobpcg(x)[0]


class Whole(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Branching(), Branching()])
        self.layer = Branching()

    def forward(self, x: Tensor, n: int) -> Tensor:
        for i in range(n):
            if i > 3:
                x = only_for_some_data(x)
        for layer in self.layers:
            x = layer(x)
        x = self.layer.again(x)
        return Sampler(x).draw()


EXPECTED = {
    "aten::linalg_eigvals": "torch.linalg.eigvals(x)",
    "aten::to_sparse": "x.to_sparse()",
    "aten::linalg_eig": "torch.linalg.eig(x)",
    "aten::_sobol_engine_draw": "torch._sobol_engine_draw(",
    "aten::poisson": "torch.poisson(self.x)",
}


def unsupported(program: harness.Program, folder: Path) -> dict[str, str]:
    """The operators that a program is refused for, with where they stand."""
    source = harness.save(program, str(folder))
    with pytest.raises(nxconvert.UnsupportedError) as caught:
        nxconvert.convert(source, folder / "model.onnx", inputs={"x": "float32[a,b]", "n": "int64[]"})
    return {item.what: item.where for item in caught.value.items}


@pytest.mark.parametrize("freeze", [False, True])
def test_all_that_can_be_reached(freeze: bool, tmp_path: Path) -> None:
    program = torch.jit.script(Whole().eval())
    found = unsupported(torch.jit.freeze(program) if freeze else program, tmp_path)
    lines = inspect.getsource(inspect.getmodule(Whole)).splitlines()  # type: ignore[arg-type]
    for operator, text in EXPECTED.items():
        file, _, line = found[operator].rpartition(":")
        assert file == __file__
        assert text in lines[int(line) - 1]
    assert "aten::lobpcg" not in found


def test_every_module_of_a_sequence(tmp_path: Path) -> None:
    class First(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.poisson(x)

    class Second(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.clone()
            y.geometric_(0.5)
            return torch.linalg.eig(y)[0].real

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.steps = nn.Sequential(First(), Second(), First())

        def forward(self, x: Tensor, n: int) -> Tensor:
            return self.steps(x) * n

    found = unsupported(Both(), tmp_path)
    assert {"aten::poisson", "aten::linalg_eig"} <= found.keys()
