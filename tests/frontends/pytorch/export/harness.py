"""Holds exported programs against PyTorch: the same calls through both, as exported and as decomposed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nxconvert
from nxconvert.plugins import STATE_OUT

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'nxconvert[runtime]'")

Call = tuple[Any, ...]


def export(
    module: Any, example: Call, kwargs: Mapping[str, Any] | None = None, dynamic: Any = None, **options: Any
) -> Any:
    """The exported program of a module, or of a function."""
    return torch.export.export(as_module(module), example, dict(kwargs or {}), dynamic_shapes=dynamic, **options)


def as_module(program: Any) -> Any:
    if isinstance(program, torch.nn.Module):
        return program.eval()

    class Function(torch.nn.Module):
        def forward(self, *args: Any) -> Any:
            return program(*args)

    return Function()


def check(
    module: Any,
    *calls: Call,
    kwargs: Mapping[str, Any] | None = None,
    dynamic: Any = None,
    decomposed: tuple[bool, ...] = (False, True),
    inputs: Mapping[str, str] | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-6,
) -> None:
    """Exports with the first call as the example, converts, and compares every call with what PyTorch returns.

    Args:
        module: a module, or a function.
        calls: positional arguments.
        kwargs: keyword arguments, the same in all calls.
        dynamic: ``dynamic_shapes`` of ``torch.export.export``.
        decomposed: whether to try the program as exported, after ``run_decompositions``, or both.
        inputs: what to declare about the inputs.
        rtol: relative tolerance of floats.
        atol: absolute tolerance of floats.
    """
    program = export(module, _copied(calls[0]), kwargs, dynamic)
    for decompose in decomposed:
        check_program(
            program.run_decompositions() if decompose else program,
            *calls, kwargs=kwargs, inputs=inputs, rtol=rtol, atol=atol,
        )  # fmt: skip


def check_program(
    program: Any,
    *calls: Call,
    kwargs: Mapping[str, Any] | None = None,
    inputs: Mapping[str, str] | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-6,
) -> None:
    """The same for a program that is exported already."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "model.pt2"), Path(folder, "model.onnx")
        torch.export.save(program, source)
        nxconvert.convert(source, target, inputs=inputs)
        for call in calls:
            expected = _flat(program.module()(*_copied(call), **_copied(dict(kwargs or {}))))
            leaves = [_array(x) for x in _flat((call, dict(kwargs or {})))]
            actual = nxconvert.run(target, leaves)
            compare([v for name, v in actual.items() if not name.endswith(STATE_OUT)], expected, rtol, atol)


def compare(actual: list[np.ndarray], expected: list[Any], rtol: float, atol: float) -> None:
    assert len(actual) == len(expected), f"{len(actual)} outputs, PyTorch returns {len(expected)}"
    for got, item in zip(actual, expected, strict=True):
        want = _array(item)
        assert got.dtype == want.dtype, f"dtype {got.dtype}, PyTorch returns {want.dtype}"
        assert got.shape == want.shape, f"shape {got.shape}, PyTorch returns {want.shape}"
        if want.dtype.kind in "fV":
            np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=rtol, atol=atol)
        else:
            np.testing.assert_array_equal(got, want)


def _flat(value: Any) -> list[Any]:
    return [leaf for leaf in torch.utils._pytree.tree_leaves(value) if leaf is not None]


def _copied(value: Any) -> Any:
    return torch.utils._pytree.tree_map(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, value)


def _array(value: Any) -> np.ndarray:
    import ml_dtypes

    if not isinstance(value, torch.Tensor):
        return np.asarray(value, np.float32 if isinstance(value, float) else None)
    if value.dtype == torch.bfloat16:
        return value.detach().float().numpy().astype(ml_dtypes.bfloat16)
    return value.detach().numpy()
