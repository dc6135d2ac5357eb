"""The cases of `caffe2_extra.py` that compute: elementwise, products, norms, reductions. Runs under Python 3.6."""

import numpy as np


def make(c):
    elementwise(c)
    comparisons(c)
    casts(c)
    fully_connected(c)
    norms(c)
    reductions(c)


def elementwise(c):
    for kind in ("Add", "Sub", "Mul", "Div"):
        c.op(kind, c.f(2, 3, 4, 5), c.f(3, 4), broadcast=1, axis=1)
        c.op(kind, c.f(2, 3, 4, 5), c.f(4, 5), broadcast=1)
        c.op(kind, c.f(2, 3, 4, 5), c.f(3), broadcast=1, axis_str="C")
        c.op(kind, c.f(2, 4, 5, 3), c.f(3), broadcast=1, axis_str="C", order="NHWC")
        c.op(kind, c.f(2, 3, 4), c.f(1), broadcast=1)
        c.op(kind, c.f(2, 1, 4), c.f(3, 1))
        c.op(kind, c.f(0, 3), c.f(3))
        c.op(kind, np.array(2.5, np.float32), c.f(2, 3))
        c.op(kind, c.i(50, 3, 4, low=1), c.i(9, 4, low=1))
        c.op(kind, c.i(50, 3, 4, low=-50, dtype=np.int64), c.i(9, 3, 4, low=1, dtype=np.int64))
        c.op(kind, c.f(3, 4).astype(np.float64), c.p(3, 4).astype(np.float64))
        c.op(kind, c.f(3, 4), c.p(3, 4), inplace=True)
    c.op("Div", np.array([-7, 7, -7, 7], np.int32), np.array([2, 2, -2, -2], np.int32))
    for dtype in (np.int32, np.int64):
        c.op("Mod", c.i(40, 12, low=-40, dtype=dtype), divisor=7)
        c.op("Mod", c.i(40, 12, low=-40, dtype=dtype), divisor=7, sign_follow_divisor=True)
        c.op("Mod", c.i(40, 12, low=-40, dtype=dtype), divisor=-7, sign_follow_divisor=True)
        c.op("Mod", c.i(40, 2, 6, low=-40, dtype=dtype), divisor=-7, inplace=True)
    c.op("Pow", c.p(3, 4), exponent=2.5)
    c.op("Pow", c.p(3, 4), c.f(3, 4))
    c.op("Pow", c.p(3, 4), c.f(4), broadcast=1)
    c.op("Pow", c.p(3, 4), c.f(3), broadcast=1, axis=0)
    c.op("Pow", c.i(5, 3, 4).astype(np.float64), exponent=2.0)
    for kind in ("Max", "Min"):
        c.op(kind, c.f(2, 3))
        c.op(kind, c.f(2, 3), c.f(2, 3), c.f(2, 3))
        c.op(kind, c.i(9, 2, 3), c.i(9, 2, 3))
        c.op(kind, c.i(9, 2, 3, dtype=np.int64), c.i(9, 2, 3, dtype=np.int64), inplace=True)
        c.op(kind, c.f(2, 3).astype(np.float64), c.f(2, 3).astype(np.float64))
        c.op(kind, np.array([np.nan, 1, 2], np.float32), np.array([1, np.nan, 3], np.float32))
    c.op("Sum", c.f(2, 3), c.f(2, 3), c.f(2, 3))
    c.op("Sum", c.i(9, 2, 3), c.i(9, 2, 3))
    c.op("Sum", c.f(2, 3), c.f(3))
    c.op("Mean", c.f(2, 3), c.f(2, 3), c.f(2, 3))
    for count in (1, 2, 3):
        c.op("SumInt", *[c.i(9, 2, 3) for _ in range(count)])
        c.op("SumRelu", *[c.f(2, 3) for _ in range(count)])
    c.op("SumInt", c.i(9, 0, 3), c.i(9, 0, 3))
    c.op("SumRelu", c.f(2, 3), c.f(2, 3), inplace=True)
    c.op("SumRelu", c.f(0, 3), c.f(0, 3))
    c.op("WeightedSum", c.f(2, 3), c.f(1), c.f(2, 3), c.f(1))
    c.op("WeightedSum", c.f(2, 3), c.f(1), c.f(2, 3), c.f(1), inplace=True)
    special = np.array([-np.inf, -2.5, -0.5, -0.0, 0.0, 0.5, 1.5, 2.5, np.inf, np.nan], np.float32)
    for kind in ("Abs", "Ceil", "Floor", "Sign", "Relu", "Sigmoid", "Tanh", "Exp", "Softplus", "Softsign", "Swish",
                 "Gelu", "Elu", "Selu", "LeakyRelu", "ThresholdedRelu", "ReluN", "HardSigmoid", "Clip", "Negative",
                 "Sqr", "Cube", "Cbrt", "Erf", "Reciprocal", "ReplaceNaN", "IsNaN", "Sqrt", "Rsqrt",
                 "Log"):  # fmt: skip
        c.op(kind, special)
        c.op(kind, c.f(2, 0))
        c.op(kind, np.array(0.75, np.float32))
    for kind in ("Abs", "Negative", "Sign", "Sqr"):
        c.op(kind, c.i(9, 2, 3, low=-9))
        c.op(kind, c.i(9, 2, 3, low=-9, dtype=np.int64))
    c.op("IsNaN", special.reshape(2, 5))
    c.op("IsNaN", special.astype(np.float64))
    c.op("ReplaceNaN", special, value=2.5)
    c.op("ReplaceNaN", special.astype(np.float64), value=-1.0, inplace=True)
    c.op("Gelu", c.f(3, 4), fast_gelu=True)
    c.op("Clip", c.f(3, 4), min=-0.5, max=0.25)
    c.op("Clip", c.f(3, 4), max=0.25, inplace=True)
    c.op("Scale", c.f(3, 4), scale=-2.5, inplace=True)
    c.op("Scale", c.f(3, 4).astype(np.float64), scale=3.0)
    c.op("Logit", np.array([0, 1e-8, 0.3, 0.5, 0.999999, 1, 1.5, -0.5], np.float32))
    c.op("Logit", np.array([0, 1e-8, 0.3, 0.5, 0.999999, 1], np.float32), eps=0.01)
    c.op("Elu", c.f(3, 4), alpha=0.3, inplace=True)
    c.op("Selu", c.f(3, 4), alpha=1.2, scale=0.9)
    c.op("HardSigmoid", c.f(3, 4) * 4, alpha=0.3, beta=0.4)
    c.op("ThresholdedRelu", c.f(3, 4), alpha=0.2)
    c.op("ReluN", c.f(3, 4) * 5, n=3.0)
    c.op("LeakyRelu", c.f(3, 4), alpha=0.3)
    c.op("PRelu", c.f(2, 3, 4, 5), c.f(1))
    c.op("PRelu", c.f(2, 3, 4, 5), c.f(3))
    c.op("PRelu", c.f(2, 4, 5, 3), c.f(3), order="NHWC")
    c.op("PRelu", c.f(2, 3), c.f(3), inplace=True)
    c.op("Swish", c.f(3, 4).astype(np.float64))
    c.op("Dropout", c.f(3, 4), is_test=1, ratio=0.7, outputs=2)
    c.op("Dropout", c.f(3, 4), is_test=1, inplace=True, outputs=2)
    c.op("Glu", c.f(2, 6, 3), dim=1)
    c.op("Glu", c.f(2, 6))
    c.op("Copy", c.i(9, 2, 3))
    c.op("CopyOnDeviceLike", c.f(2, 3), c.f(1))
    c.op("CopyOnDeviceLike", c.i(9, 2), c.f(1))
    c.op("CopyOnDeviceLike", c.b(2, 2), c.f(0))
    c.op("CopyOnDeviceLike", c.f(0, 2), c.f(2, 2))
    c.op("EnsureCPUOutput", c.i(9, 2))
    c.op("SumReduceLike", c.f(2, 3, 4), c.f(3, 4))
    c.op("SumReduceLike", c.f(2, 3, 4), c.f(3), axis=1)
    c.op("SumReduceLike", c.f(2, 3, 4), c.f(2), axis=0)
    c.op("SumReduceLike", c.f(2, 3, 4), np.array(0, np.float32))
    c.op("StumpFunc", c.f(3, 4), threshold=0.2, low_value=-1.5, high_value=4.0)


def comparisons(c):
    for kind in ("EQ", "NE", "LT", "LE", "GT", "GE"):
        c.op(kind, c.i(3, 2, 3, 4), c.i(3, 2, 3, 4))
        c.op(kind, c.i(3, 2, 3, 4, dtype=np.int64), c.i(3, 4, dtype=np.int64), broadcast=1)
        c.op(kind, c.i(3, 2, 3, 4), c.i(3, 3), broadcast=1, axis=1)
        c.op(kind, c.i(3, 2, 1, 4), c.i(3, 3, 1))
        c.op(kind, c.i(3, 2, 3).astype(np.float32), c.i(3, 2, 3).astype(np.float32))
        c.op(kind, c.i(3, 0, 3), c.i(3, 3))
        c.op(kind, c.b(2, 3), c.b(2, 3))
        c.op(kind, np.array([1, np.nan, np.inf], np.float32), np.array([np.nan, np.nan, np.inf], np.float32))
    for kind in ("And", "Or", "Xor"):
        c.op(kind, c.b(2, 3, 4), c.b(2, 3, 4))
        c.op(kind, c.b(2, 3, 4), c.b(4), broadcast=1)
        c.op(kind, c.b(2, 3, 4), c.b(3), broadcast=1, axis=1)
        c.op(kind, c.b(2, 1, 4), c.b(3, 1))
        c.op(kind, c.b(0, 4), c.b(4))
    for kind in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
        c.op(kind, c.i(99, 2, 3, low=-99), c.i(99, 2, 3, low=-99))
        c.op(kind, c.i(99, 2, 3, dtype=np.int64), c.i(99, 3, dtype=np.int64), broadcast=1)
        c.op(kind, c.b(2, 3), c.b(3))
    for array in (c.b(2, 3), c.b(4), c.b(0, 2), c.b(1), np.array(True)):
        c.op("Not", array)
    c.op("Where", c.b(2, 3), c.f(2, 3), c.f(2, 3))
    c.op("Where", c.b(2, 3), c.i(9, 2, 3), c.i(9, 2, 3))
    c.op("Where", c.b(4), c.f(4, 3), c.f(4, 3), broadcast_on_rows=1)
    c.op("Where", c.b(4), c.f(4), c.f(4), broadcast_on_rows=1)
    c.op("Conditional", c.b(4), c.f(4, 3), c.f(4, 3))
    c.op("Conditional", c.b(4), c.i(9, 4), c.i(9, 4))
    c.op("Conditional", c.b(3), c.i(9, 3, 2, 2, dtype=np.int64), c.i(9, 3, 2, 2, dtype=np.int64))
    c.op("Conditional", c.b(0), c.f(0, 2), c.f(0, 2))
    for dtype in (np.int32, np.int64, np.bool_):
        c.op("IsMemberOf", c.i(2 if dtype == np.bool_ else 9, 3, 4).astype(dtype), value=[1, 5])
    c.op("IsMemberOf", np.array([b"a", b"bc", b"d"], "S2"), value=["bc", "x"], dtype=8)


def casts(c):
    arrays = [
        np.array([-2.7, -0.3, 0, 0.3, 1.5, 2.5, 300.2], np.float32),
        np.array([-2.7, 0, 1.5, 7.9], np.float64),
        np.array([-3, 0, 1, 255, 256, 70000], np.int32),
        np.array([-3, 0, 1, 255, 1 << 33], np.int64),
        np.array([0, 1, 200, 255], np.uint8),
        np.array([-128, -1, 0, 127], np.int8),
        np.array([-32768, -1, 0, 300], np.int16),
        np.array([0, 300, 65535], np.uint16),
        np.array([True, False]),
    ]
    for array in arrays:
        for to in (1, 2, 5, 6, 7, 8, 9, 10, 13):  # caffe2.TensorProto.DataType
            c.op("Cast", array, to=to)
        for name in ("FLOAT", "int32", "bool", "uint8"):
            c.op("Cast", array, to=name)
    c.op("Cast", c.f(2, 0), to=2)
    c.op("Cast", c.f(2, 3), to="int64", from_type="float")
    for array in (c.f(2, 3), c.f(0, 2), np.array([1e6, -1e6, 1e-7, np.nan, np.inf, 65504, 65520], np.float32), c.f(5)):
        c.op("FloatToHalf", array)
    for array in (c.f(2, 3), c.f(0, 2), c.f(5), np.array([np.nan, np.inf, 6e-8, 65504])):
        c.op("HalfToFloat", array.astype(np.float16))
    c.op("Float16ConstantFill", value=2.5, shape=[2, 3])
    c.op("Float16ConstantFill", value=1e-7, shape=[4])
    c.op("Float16ConstantFill", shape=[1, 2, 1])
    c.op("Float16ConstantFill", value=-7.0, shape=[0, 3])


def fully_connected(c):
    c.op("FC", c.f(4, 3), c.f(5, 3), c.f(5))
    c.op("FC", c.f(4, 3, 2), c.f(5, 6), c.f(5))
    c.op("FC", c.f(4, 3, 2), c.f(5, 2), c.f(5), axis=2)
    c.op("FC", c.f(4, 3, 2), c.f(5, 2), c.f(5), axis=-1)
    c.op("FC", c.f(4, 6), c.f(1, 1, 5, 6), c.f(5), axis_w=3)
    c.op("FC", c.f(4, 3, 2), c.f(5, 2, 3), c.f(5), axis_w=1)
    c.op("FC", c.f(0, 3), c.f(5, 3), c.f(5))
    c.op("FC", c.f(4, 3, 1, 1), c.f(5, 3, 1, 1), c.f(5))
    c.op("FCTransposed", c.f(4, 3), c.f(3, 5), c.f(5))
    c.op("FCTransposed", c.f(4, 3, 2), c.f(6, 5), c.f(5))
    c.op("FCTransposed", c.f(4, 3, 2), c.f(2, 5), c.f(5), axis=2)
    for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
        c.op("MatMul", c.f(*((3, 4) if a else (4, 3))), c.f(*((5, 3) if b else (3, 5))), trans_a=a, trans_b=b)
        c.op("BatchMatMul", c.f(2, *((3, 4) if a else (4, 3))), c.f(2, *((5, 3) if b else (3, 5))), trans_a=a,
             trans_b=b)  # fmt: skip
    c.op("MatMul", c.f(2, 2, 3), c.f(3, 5), axis_a=2)
    c.op("MatMul", c.f(2, 6), c.f(2, 3, 5), axis_b=2)
    c.op("BatchMatMul", c.f(2, 3, 4, 5), c.f(5, 6), broadcast=1)
    c.op("BatchMatMul", c.f(2, 1, 4, 5), c.f(3, 5, 6), broadcast=1)
    c.op("BatchMatMul", c.f(5), c.f(5, 6), broadcast=1)
    c.op("BatchMatMul", c.f(4, 5), c.f(5), broadcast=1)
    c.op("BatchMatMul", c.f(5), c.f(5), broadcast=1)
    c.op("BatchMatMul", c.f(4, 5), c.f(5, 3))
    for count, size in ((2, (2, 3)), (3, (2, 3)), (3, (4, 5)), (2, (1, 2))):
        tensors = [c.f(*size) for _ in range(count)]
        c.op("ConcatBatchMatMulBatchGatherOp", c.i(count * count, 4), *tensors)
    c.op("TT", c.f(3, 12), c.f(8), c.f(32 + 12), inp_sizes=[3, 4], out_sizes=[4, 2], tt_ranks=[1, 2, 1])
    c.op("TT", c.f(2, 8), c.f(8), c.f(8 + 16 + 8), inp_sizes=[2, 2, 2], out_sizes=[2, 2, 2], tt_ranks=[1, 2, 2, 1])
    c.op("TT", c.f(1, 6), c.f(4), c.f(12), inp_sizes=[2, 3], out_sizes=[2, 2], tt_ranks=[1, 1, 1])
    c.op("ElementwiseLinear", c.f(4, 3), c.f(3), c.f(3))
    c.op("ElementwiseLinear", c.f(4, 3, 2), c.f(2), c.f(2), axis=2)
    c.op("RowMul", c.f(4, 3), c.f(4))
    c.op("RowMul", c.f(4, 3, 2), c.f(4))
    for size in ((4, 3), (4, 3, 2), (1, 5), (3,)):
        c.op("ReduceTailSum", c.f(*size))
    for kind in ("DotProduct", "CosineSimilarity", "L1Distance", "SquaredL2Distance"):
        c.op(kind, c.f(4, 3), c.f(4, 3))
        c.op(kind, c.f(4, 3, 2), c.f(4, 3, 2))
        c.op(kind, c.f(4), c.f(4))
    c.op("DotProductWithPadding", c.f(4, 3), c.f(4, 5), pad_value=0.5)
    c.op("DotProductWithPadding", c.f(4, 6), c.f(4, 3), replicate=True)


def norms(c):
    for axis in (0, 1, 2, -1):
        c.op("Softmax", c.f(2, 3, 4), axis=axis)
    c.op("Softmax", c.f(2, 3, 4, 5))
    c.op("Softmax", c.f(4))
    c.op("Softmax", c.f(0, 3))
    for axis in (1, 2):
        c.op("LayerNorm", c.f(2, 3, 4), axis=axis, outputs=3, epsilon=1e-3)
        c.op("LayerNorm", c.f(2, 3, 4), c.f(*(3, 4)[axis - 1 :]), c.f(*(3, 4)[axis - 1 :]), axis=axis, outputs=3,
             elementwise_affine=True)  # fmt: skip
    c.op("LayerNorm", c.f(2, 3), outputs=3)
    for order, size in (("NCHW", (2, 4, 3, 5)), ("NHWC", (2, 3, 5, 4))):
        c.op("SpatialBN", c.f(*size), c.p(4), c.f(4), c.f(4), c.p(4), is_test=1, order=order, epsilon=1e-3)
        c.op("InstanceNorm", c.f(*size), c.f(4), c.f(4), order=order, epsilon=1e-3)
        c.op("InstanceNorm", c.f(*size), c.f(4), c.f(4), order=order, outputs=3)
        c.op("GroupNorm", c.f(*size), c.f(4), c.f(4), group=2, order=order, outputs=3)
        c.op("GroupNorm", c.f(*size), c.f(4), c.f(4), group=4, order=order, epsilon=0.1)
        c.op("AffineChannel", c.f(*size), c.f(4), c.f(4), order=order)
        for window in (3, 5):
            c.op("LRN", c.f(*size), size=window, alpha=0.4, beta=0.75, bias=1.5, order=order, outputs=2)
        c.op("ChannelStats", c.f(*size), order=order, outputs=2)
    c.op("LRN", c.f(1, 6, 2, 2), size=3, alpha=1e-2, beta=0.5)
    c.op("SpatialBN", c.f(3, 4), c.p(4), c.f(4), c.f(4), c.p(4), is_test=1)
    c.op("SpatialBN", c.f(2, 4, 3), c.p(4), c.f(4), c.f(4), c.p(4), is_test=1, inplace=True)
    c.op("SpatialBN", c.f(2, 4, 2, 3, 2), c.p(4), c.f(4), c.f(4), c.p(4), is_test=1)
    for axis in (0, 1, -1):
        c.op("Normalize", c.f(2, 3, 4), axis=axis)
        c.op("NormalizeL1", c.f(2, 3, 4), axis=axis)
    c.op("Normalize", np.zeros((2, 3), np.float32))
    c.op("Moments", c.f(2, 3, 4), axes=[0, 2], outputs=2)
    c.op("Moments", c.f(2, 3, 4), axes=[1], keepdims=0, outputs=2)
    c.op("Moments", c.f(2, 3, 4), outputs=2)
    for p in (1, 2):
        c.op("LpNorm", c.f(2, 3), p=p)
        c.op("LpNorm", c.f(2, 3), p=p, average=True)
    for size in ((1, 3, 4, 5), (2, 3, 2, 2), (3, 1, 2, 2)):
        c.op("NormalizePlanarYUV", c.f(*size), c.f(1, size[1]), c.p(1, size[1]))
    c.op("NormalizePlanarYUV", c.f(2, 3, 2, 2), c.f(1, 3), c.p(1, 3), inplace=True)
    for kind in ("SumElements", "SumSqrElements"):
        c.op(kind, c.f(2, 3))
        c.op(kind, c.f(2, 3), average=True)
        c.op(kind, c.f(0, 3))
    c.op("SumElementsInt", c.i(9, 2, 3))
    c.op("SumElementsInt", c.i(9, 5))
    c.op("BatchMoments", c.f(2, 4, 3), order="NCHW", outputs=2)
    c.op("BatchMoments", c.f(2, 3, 4), order="NHWC", outputs=2)


def reductions(c):
    for kind in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2"):
        c.op(kind, c.f(2, 3, 4))
        c.op(kind, c.f(2, 3, 4), axes=[1], keepdims=0)
        c.op(kind, c.f(2, 3, 4), axes=[0, 2], keepdims=1)
        c.op(kind, c.f(2, 3, 4), axes=[-1], keepdims=False)
        c.op(kind, c.f(2, 3, 4), axes=[2, 1, 0], keepdims=0)
        c.op(kind, c.i(9, 2, 3, low=-9), axes=[1])
        c.op(kind, c.i(9, 2, 3, low=-9, dtype=np.int64), axes=[0], keepdims=0)
        c.op(kind, c.f(2, 3).astype(np.float64), axes=[0])
    for kind in ("ReduceBackSum", "ReduceBackMean", "ReduceBackMax", "ReduceFrontSum", "ReduceFrontMean",
                 "ReduceFrontMax"):  # fmt: skip
        count = "num_reduce_dims"
        c.op(kind, c.f(2, 3, 4))
        c.op(kind, c.f(2, 3, 4), **{count: 2})
        c.op(kind, c.f(2, 3, 4), **{count: 3})
        lengths = np.array([1, 3], np.int32) if "Back" in kind else np.array([1, 2, 2], np.int32)
        c.op(kind, c.f(2, 3), lengths, **{count: 1})
    for kind in ("RowwiseMax", "ColwiseMax"):
        c.op(kind, c.f(2, 3, 4))
    for dtype in (np.float32, np.float64):
        c.op("ReduceFrontWeightedSum", c.f(4, 3).astype(dtype), c.f(4).astype(dtype))
    c.op("ReduceFrontWeightedSum", c.f(4), c.f(4))
    c.op("ReduceFrontWeightedSum", c.f(4, 3, 2), c.f(4))
    c.op("ReduceFrontWeightedSum", c.f(0, 3), c.f(0))
    c.op("ReduceFrontSum", c.i(9, 3, 4))
    c.op("ReduceFrontMean", c.f(0, 4))
