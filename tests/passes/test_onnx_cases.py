"""ONNX's own test models, one operator each: passes and other opsets leave what they compute as it is."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx.shape_inference
import onnx_ir as ir
import pytest

from nxconvert.errors import UnsupportedError
from nxconvert.graph import IR_OPSET
from nxconvert.passes import convert_opset, optimize

pytestmark = pytest.mark.slow

#: How many of the models an opset cannot express; a new number is a reason to look.
MOST_UNSUPPORTED = {17: 180, 18: 40, 19: 25}


def run(model: onnx.ModelProto, feed: dict[str, Any]) -> list[Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers).run(None, feed)


@pytest.fixture(scope="module")
def cases() -> list[tuple[str, onnx.ModelProto, dict[str, Any], list[Any]]]:
    """Name, model at the shared graph's opset, inputs and outputs of every case that ONNX Runtime runs so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    usable = []
    for case in found:
        model = onnx.ModelProto.FromString(case.model.SerializeToString())
        random = any(word in case.name for word in ("bernoulli", "dropout", "random"))
        if random or not case.data_sets or any(opset.domain for opset in model.opset_import):
            continue
        model.opset_import[0].version, model.ir_version = IR_OPSET, 10
        feed = dict(zip((value.name for value in model.graph.input), case.data_sets[0][0], strict=False))
        feed = {name: np.asarray(x) if isinstance(x, np.generic) else x for name, x in feed.items()}
        try:
            outputs = run(model, feed)
            model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        except Exception:
            continue  # an operator or a dtype that is newer, or that ONNX Runtime does not have
        usable.append((case.name, model, feed, outputs))
    assert len(usable) > 1000
    return usable


def same(left: Sequence[Any], right: Sequence[Any]) -> bool:
    return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))


def _same(left: Any, right: Any) -> bool:
    if not isinstance(left, np.ndarray):
        return same(left, right) if isinstance(left, list) else left == right
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    if left.dtype.kind not in "fc":
        return bool((left == right).all())
    tolerance = 2e-2 if left.dtype.itemsize == 2 else 1e-3
    return np.allclose(left.astype(complex), right.astype(complex), tolerance, tolerance / 10, equal_nan=True)


@pytest.mark.parametrize("opset", [IR_OPSET, 17, 18, 19, 21, 24, 27])
def test_cases(cases, opset: int):
    wrong, unsupported = [], 0
    for name, proto, feed, expected in cases:
        model = ir.from_proto(proto)
        try:
            if opset == IR_OPSET:
                optimize(model)
            convert_opset(model, opset)
            if not same(run(ir.to_proto(model), feed), expected):
                wrong.append(name)
        except UnsupportedError:
            unsupported += 1
        except Exception as error:
            # From opset 22 on ONNX Runtime lacks a few kernels (RoiAlign).
            if opset < 22 or "NOT_IMPLEMENTED" not in str(error):
                wrong.append(f"{name}: {error}")
    assert not wrong
    assert unsupported <= MOST_UNSUPPORTED.get(opset, 0)
