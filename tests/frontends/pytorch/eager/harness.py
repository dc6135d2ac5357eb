"""Holds the graph of a live module against the module: the same inputs through both."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

import nxconvert
from nxconvert.interface import interface

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'nxconvert[runtime]'")

from nxconvert.runtimes.torch_archives import array_of, flatten  # noqa: E402


def agree(
    module: Any,
    example: tuple[Any, ...],
    *others: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    inputs: Mapping[str, str] | None = None,
    rtol: float = 1e-5,
    **options: Any,
) -> ir.Model:
    """Converts `module` by `example` and compares what both return for it, and for other inputs of the same kind.

    Args:
        module: what is converted; called as it computes in eval mode.
        example: positional inputs.
        others: more of them, of other sizes where some are free.
        kwargs: inputs by name, the same in every call.
        inputs: what the inputs of the graph are to be.
        rtol: relative tolerance of floats; the absolute one is a tenth of it.
        options: those of `from_torch`.
    """
    truth = copy.deepcopy(module)
    if isinstance(truth, torch.nn.Module):
        truth.eval()
    model = nxconvert.from_torch(module, example, kwargs=kwargs, **options)
    assert inputs is None or interface(model.graph.inputs) == inputs
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.nx"
        nxconvert.save(model, path)
        for call in (example, *others):
            names = [value.name or "" for value in model.graph.inputs]
            leaves = torch.utils._pytree.tree_leaves((call, dict(kwargs or {})))
            tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
            got = nxconvert.run(path, dict(zip(names, map(array_of, tensors), strict=False)))
            with torch.no_grad():
                expected = dict(flatten("output", copy.deepcopy(truth)(*call, **(kwargs or {}))))
            for name, value in expected.items():
                assert got[name].dtype == value.dtype
                assert got[name].shape == value.shape
                one, other = got[name].astype(np.float64), value.astype(np.float64)
                np.testing.assert_allclose(one, other, rtol, rtol / 10, err_msg=name)
            assert set(expected) == {name for name in got if not name.endswith("_out")}
    return model
