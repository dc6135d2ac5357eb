"""What is said of a model as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

import nxconvert

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")


class Drawing(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.dropout(x, 0.5, True) + torch.rand_like(x)


class Calm(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.dropout(x, 0.5, False) + 1


@pytest.mark.parametrize("kind", ["pt", "pt2"])
@pytest.mark.parametrize("module", [Drawing, Calm])
def test_random_numbers_are_reported(kind: str, module: type, tmp_path: Path) -> None:
    source, example = tmp_path / f"model.{kind}", (torch.ones(2, 3),)
    if kind == "pt":
        torch.jit.trace(module(), example, check_trace=False).save(source)
    else:
        torch.export.save(torch.export.export(module(), example), source)
    warnings = nxconvert.convert(source, tmp_path / "model.onnx").warnings
    if module is Calm:
        assert not warnings
        return
    (message,) = warnings
    assert "random numbers" in message
    assert "dropout" in message
    assert "rand_like" in message
    assert "test_remarks.py:" in message
