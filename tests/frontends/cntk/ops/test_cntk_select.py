"""Functions that choose between values; the numbers were measured in CNTK 2.7."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from nxconvert.frontends.cntk.dynamic import Axes, Tensor
from nxconvert.frontends.cntk.ops import select
from nxconvert.graph.builder import Builder
from nxconvert.graph.finish import finish


def test_clip_between_bounds_in_the_wrong_order() -> None:
    op = Builder()
    x = Tensor(op.input("x", ir.DataType.FLOAT, [op.dim("batch"), 3]), Axes(True))
    low, high = (Tensor(op.const(number, ir.DataType.FLOAT)) for number in (1.0, 0.0))
    proto = ir.to_proto(finish(op, {"y": select.clip(op, x, low, high).value}))
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": np.array([[-1, 0.5, 2]], np.float32)})
    np.testing.assert_array_equal(y, [[1, 1, 0]])
