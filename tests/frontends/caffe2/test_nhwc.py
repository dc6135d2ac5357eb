"""A net with the channels last, as a whole: what is left of the transposes around its layers."""

from __future__ import annotations

from collections import Counter

import numpy as np

from nxconvert.frontends.caffe2.machine import Machine
from nxconvert.graph.builder import Builder, Value
from nxconvert.graph.finish import finish
from nxconvert.passes import optimize
from tests.frontends.caffe2.ops.harness import Op, Weight, _decoded, _lowered_input, run_caffe2_net, run_onnx

RNG = np.random.default_rng(0)
NHWC = {"order": "NHWC"}


def weight(*shape: int) -> Weight:
    return Weight(RNG.random(shape, np.float32) - np.float32(0.5))


def conv(x: str, y: str, blobs: dict[str, object], channels: int, out: int, **window: int) -> list[Op]:
    """A convolution and a batch normalisation."""
    blobs |= {f"{y}_w": weight(out, 3, 3, channels), f"{y}_b": weight(out)}
    blobs |= {f"{y}_{name}": weight(out) for name in ("scale", "shift", "mean")}
    blobs[f"{y}_var"] = Weight(RNG.random(out, np.float32) + np.float32(0.5))
    statistics = [f"{y}_{name}" for name in ("scale", "shift", "mean", "var")]
    return [
        Op("Conv", [x, f"{y}_w", f"{y}_b"], [y], {"kernel": 3, "pad": 1, **window, **NHWC}),
        Op("SpatialBN", [y, *statistics], [y], {"is_test": 1, **NHWC}),
    ]


def test_transposes_are_left_at_the_ends_only() -> None:
    blobs: dict[str, object] = {"x": RNG.random((2, 9, 8, 3), np.float32)}
    net = [
        *conv("x", "a", blobs, 3, 8, stride=2),
        Op("Relu", ["a"], ["a"]),
        *conv("a", "b", blobs, 8, 8, group=1),
        Op("Sum", ["b", "a"], ["b"]),
        Op("LeakyRelu", ["b"], ["b"], {"alpha": 0.1}),
        Op("MaxPool", ["b"], ["c"], {"kernel": 3, "stride": 2, "pad": 1, **NHWC}),
        Op("AveragePool", ["b"], ["d"], {"kernel": 3, "stride": 2, "pad": 1, **NHWC}),
        Op("Concat", ["c", "d"], ["e", "split"], NHWC),
        Op("AffineChannel", ["e", "e_scale", "e_bias"], ["f"], NHWC),
        *conv("f", "g", blobs, 16, 4),
        Op("Sigmoid", ["g"], ["g"]),
        Op("AveragePool", ["g"], ["pooled"], {"global_pooling": 1, **NHWC}),
    ]
    blobs |= {"e_scale": weight(16), "e_bias": weight(16)}
    wanted = ["g", "pooled"]
    op = Builder()
    machine = Machine(op, lambda message: None)
    machine.blobs.update({name: _lowered_input(op, name, x, free=True) for name, x in blobs.items()})
    machine.run(_decoded(each) for each in net)
    values = {name: machine.blobs[name] for name in wanted}
    assert all(isinstance(value, Value) for value in values.values())
    model = optimize(finish(op, values))
    kinds = Counter(node.op_type for node in model.graph)
    assert kinds["Transpose"] == 3
    assert kinds["BatchNormalization"] == 0
    arrays = {name: x.array if isinstance(x, Weight) else x for name, x in blobs.items()}
    expected = run_caffe2_net(net, arrays, wanted)
    for got, want in zip(run_onnx(model, {"x": arrays["x"]}), expected, strict=True):
        np.testing.assert_allclose(got, want, 1e-4, 1e-5)
