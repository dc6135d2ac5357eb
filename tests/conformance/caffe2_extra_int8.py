"""The cases of `caffe2_extra.py` whose operators are quantized. Runs under Python 3.6.

Nothing is fed that is quantized: a net quantizes its inputs, and has its weights from fill operators.
"""

import numpy as np


class Quantized:
    """A net around one quantized operator."""

    def __init__(self, cases):
        self._cases = cases
        self._ops, self._inputs, self._names = [], {}, 0

    def value(self, array, scale=0.05, zero_point=128):
        """A float input, quantized in the net: its name there."""
        name = "X%d" % len(self._inputs)
        self._inputs[name] = array
        self._add("Int8Quantize", [name], ["q" + name], Y_scale=scale, Y_zero_point=zero_point)
        return "q" + name

    def feed(self, array):
        """An input as it is."""
        name = "X%d" % len(self._inputs)
        self._inputs[name] = array
        return name

    def weight(self, *size, **options):
        """Random bytes from a fill operator."""
        values = self._cases.random.randint(0, 256, size).astype(np.uint8)
        return self._fill("Int8GivenTensorFill", values.tobytes(), size, options.get("scale", 0.02), 120)

    def bias(self, size, scale):
        values = self._cases.random.randint(-500, 500, size)
        return self._fill("Int8GivenIntTensorFill", values.tolist(), (size,), scale, 0)

    def _fill(self, kind, values, size, scale, zero_point):
        self._names += 1
        name = "w%d" % self._names
        self._add(kind, [], [name], values=values, shape=list(size), Y_scale=scale, Y_zero_point=zero_point)
        return name

    def _add(self, *arguments, **options):
        from caffe2.python import core

        self._ops.append(core.CreateOperator(*arguments, **options))

    def run(self, kind, inputs, outputs=1, dequantize=True, scale=0.06, zero_point=100, **options):
        """Adds the operator itself, keeps the case with the raw result, and another with the float result."""
        from caffe2.python import core

        names = ["Y"] + ["Y%d" % index for index in range(1, outputs)]
        if scale is not None:
            options.update(Y_scale=scale, Y_zero_point=zero_point)
        self._add(kind, inputs, names, **options)
        self._cases.net(kind, self._ops, self._inputs)
        if dequantize:
            self._cases.net(kind, self._ops + [core.CreateOperator("Int8Dequantize", ["Y"], ["R"])], self._inputs)


def make(c):
    for family in (conversions, pointwise, convolutions, pools, movers):
        family(c)


def conversions(c):
    edge = np.array([-100, -6.4, -0.025, -0.02, 0, 0.024, 0.025, 0.026, 0.075, 0.1, 6.35, 6.4, 100, 0.125], np.float32)
    for array in (c.f(2, 3), edge, c.f(2, 3, 4, 5) * 3):
        for scale, zero_point in ((0.05, 128), (0.1, 0), (0.03, 255), (1.0, 7)):
            q = Quantized(c)
            q.run("Int8Quantize", [q.feed(array)], scale=scale, zero_point=zero_point)
            q = Quantized(c)
            q.run("Int8Dequantize", [q.value(array, scale, zero_point)], dequantize=False, scale=None)
    for size in ((4,), (2, 3), (1, 2, 2, 3)):
        q = Quantized(c)
        values = c.random.randint(0, 256, size).astype(np.uint8).tobytes()
        q.run("Int8GivenTensorFill", [], values=values, shape=list(size), scale=0.02, zero_point=9)
        q = Quantized(c)
        values = c.random.randint(-5000, 5000, size).ravel().tolist()
        q.run("Int8GivenIntTensorFill", [], dequantize=False, values=values, shape=list(size), scale=0.02, zero_point=0)
        q = Quantized(c)
        q.run("Int8GivenIntTensorFill", [], dequantize=False, values=values, shape=list(size), scale=0.5, zero_point=3)


def pointwise(c):
    for kind in ("Int8Add", "Int8AddRelu", "Int8Sum", "Int8SumRelu"):
        for size in ((2, 3, 4, 5), (1, 7), (2, 2, 3)):
            q = Quantized(c)
            q.run(kind, [q.value(c.f(*size)), q.value(c.f(*size), 0.03, 110)])
        q = Quantized(c)
        q.run(kind, [q.value(c.f(4, 4), 0.02, 0), q.value(c.f(4, 4) * 2, 0.07, 255)], scale=0.1, zero_point=5)
    for size in ((2, 3, 4, 5), (9,), (2, 6)):
        q = Quantized(c)
        q.run("Int8Relu", [q.value(c.f(*size) * 3)], scale=0.05, zero_point=128)
        q = Quantized(c)
        q.run("Int8LeakyRelu", [q.value(c.f(*size) * 3)], alpha=0.2)
        q = Quantized(c)
        q.run("Int8LeakyRelu", [q.value(c.f(*size) * 3)], scale=0.05, zero_point=128)
        q = Quantized(c)
        q.run("Int8Sigmoid", [q.value(c.f(*size) * 3)], scale=1 / 256.0, zero_point=0)
        q = Quantized(c)
        q.run("Int8Softmax", [q.value(c.f(*size) * 3)], scale=1 / 256.0, zero_point=0)
    q = Quantized(c)
    q.run("Int8Softmax", [q.value(c.f(2, 3, 4) * 3)], scale=1 / 256.0, zero_point=0, axis=2)
    q = Quantized(c)
    q.run("Int8Softmax", [q.value(c.f(2, 3, 4) * 3)], scale=1 / 256.0, zero_point=0, axis=-1)


def convolutions(c):
    for kind in ("Int8Conv", "Int8ConvRelu"):
        for arguments, channels, filters in (
            ({"kernel": 3}, 4, (6, 3, 3, 4)),
            ({"kernel": 3, "stride": 2, "pad": 1}, 4, (6, 3, 3, 4)),
            ({"kernels": [1, 3], "strides": [2, 1], "pads": [0, 1, 0, 2]}, 3, (5, 1, 3, 3)),
            ({"kernel": 3, "group": 4, "pad": 1}, 4, (4, 3, 3, 1)),
            ({"kernel": 3, "group": 2}, 4, (6, 3, 3, 2)),
            ({"kernel": 2, "dilation": 2}, 2, (3, 2, 2, 2)),
            ({"kernel": 1}, 2, (3, 1, 1, 2)),
            ({"kernel": 3, "stride": 2, "pad_t": 1, "pad_l": 0, "pad_b": 0, "pad_r": 1}, 2, (3, 3, 3, 2)),
        ):
            q = Quantized(c)
            inputs = [q.value(c.f(2, 7, 8, channels)), q.weight(*filters), q.bias(filters[0], 0.05 * 0.02)]
            q.run(kind, inputs, order="NHWC", scale=0.3, zero_point=90, **arguments)
    for arguments, filters in (
        ({"kernel": 3}, (4, 3, 3, 5)),
        ({"kernel": 3, "stride": 2, "pad": 1, "adj": 1}, (4, 3, 3, 5)),
        ({"kernel": 2, "stride": 2}, (4, 2, 2, 3)),
    ):
        q = Quantized(c)
        inputs = [q.value(c.f(1, 4, 5, 4)), q.weight(*filters), q.bias(filters[3], 0.05 * 0.02)]
        q.run("Int8ConvTranspose", inputs, order="NHWC", scale=0.3, zero_point=90, **arguments)
    for size, weights in (((3, 4), (5, 4)), ((2, 3, 2), (5, 6)), ((1, 2, 2, 3), (4, 12)), ((2, 4), (3, 4))):
        q = Quantized(c)
        inputs = [q.value(c.f(*size)), q.weight(*weights), q.bias(weights[0], 0.05 * 0.02)]
        q.run("Int8FC", inputs, scale=0.3, zero_point=90)


def pools(c):
    for kind in ("Int8AveragePool", "Int8AveragePoolRelu", "Int8MaxPool", "Int8MaxPoolRelu"):
        for arguments in (
            {"kernel": 3}, {"kernel": 3, "stride": 2, "pad": 1}, {"kernels": [2, 3], "strides": [1, 2]},
            {"global_pooling": 1}, {"kernel": 2, "stride": 2, "pad_t": 0, "pad_l": 1, "pad_b": 1, "pad_r": 0},
            {"kernel": 3, "stride": 2, "legacy_pad": 3},
        ):  # fmt: skip
            q = Quantized(c)
            q.run(kind, [q.value(c.f(2, 6, 7, 3))], order="NHWC", scale=0.05, zero_point=128, **arguments)
            if "Average" in kind:
                q = Quantized(c)
                q.run(kind, [q.value(c.f(2, 6, 7, 3))], order="NHWC", **arguments)


def movers(c):
    same = {"scale": 0.05, "zero_point": 128}
    for size in ((1, 4, 5, 6), (2, 2, 2, 12)):
        for group in (2, 3):
            q = Quantized(c)
            q.run("Int8ChannelShuffle", [q.value(c.f(*size))], group=group, kernel=1, order="NHWC", **same)
    for axis, sizes in ((3, ((1, 2, 2, 3), (1, 2, 2, 1))), (0, ((1, 2), (3, 2))), (1, ((2, 2, 3), (2, 1, 3)))):
        q = Quantized(c)
        q.run("Int8Concat", [q.value(c.f(*size)) for size in sizes], outputs=2, axis=axis, **same)
    q = Quantized(c)
    q.run("Int8Concat", [q.value(c.f(1, 2, 2, 3)), q.value(c.f(1, 2, 2, 2))], outputs=2, order="NHWC", **same)
    q = Quantized(c)
    q.run("Int8Concat", [q.value(c.f(2, 3)), q.value(c.f(2, 3))], outputs=2, axis=1, add_axis=1, **same)
    for size in ((2, 3, 4), (1, 2, 2, 3)):
        for axis in (1, 2):
            q = Quantized(c)
            q.run("Int8Flatten", [q.value(c.f(*size))], axis=axis, **same)
    for shape in ([6, 4], [-1], [0, -1], [2, 2, 6]):
        q = Quantized(c)
        q.run("Int8Reshape", [q.value(c.f(2, 3, 4))], outputs=2, shape=shape, **same)
    q = Quantized(c)
    q.run("Int8Reshape", [q.value(c.f(2, 3, 4)), q.feed(np.array([3, 8], np.int64))], outputs=2, **same)
    for axes in ([0, 3, 1, 2], [1, 0, 2, 3], None):
        q = Quantized(c)
        options = dict(same, axes=axes) if axes else same
        q.run("Int8Transpose", [q.value(c.f(2, 3, 4, 2))], **options)
    for width, height in ((2.0, 2.0), (1.7, 0.6), (1.0, 3.0)):
        q = Quantized(c)
        scales = dict(same, width_scale=width, height_scale=height)
        q.run("Int8ResizeNearest", [q.value(c.f(1, 4, 5, 3))], order="NHWC", **scales)
    for starts, ends in (([0, 1], [-1, 3]), ([1, 0], [3, -1]), ([0, 2], [-1, -2])):
        q = Quantized(c)
        q.run("Int8Slice", [q.value(c.f(4, 5))], starts=starts, ends=ends, **same)
    q = Quantized(c)
    bounds = [q.feed(np.array([0, 1], np.int32)), q.feed(np.array([-1, 4], np.int32))]
    q.run("Int8Slice", [q.value(c.f(4, 5))] + bounds, **same)
    rois = np.array([[0, 1.5, 1, 7.2, 6], [1, 0, 0, 3, 8.9], [0, 4, 4, 4.5, 4.2]], np.float32)
    for arguments in (
        {"sampling_ratio": 0}, {"sampling_ratio": 2, "spatial_scale": 0.5}, {"aligned": 1, "sampling_ratio": 1},
    ):  # fmt: skip
        for quantization in ({}, same):
            q = Quantized(c)
            inputs = [q.value(c.f(2, 9, 10, 3)), q.feed(rois)]
            q.run("Int8RoIAlign", inputs, pooled_h=3, pooled_w=2, order="NHWC", **dict(arguments, **quantization))
