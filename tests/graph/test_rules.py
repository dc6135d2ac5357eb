"""What the rules refuse and what they must not, the identities, and integers followed through a graph."""

import numpy as np
import onnx_ir as ir
import pytest

from nxconvert.graph import rules
from nxconvert.graph.builder import Builder, GraphTypeError
from nxconvert.graph.dims import Dim
from nxconvert.graph.finish import finish

FLOAT, INT64, BOOL, INT32 = ir.DataType.FLOAT, ir.DataType.INT64, ir.DataType.BOOL, ir.DataType.INT32
B, C, H, W = (Dim.symbol(name) for name in ("batch", "channels", "height", "width"))
N = Dim.symbol("n", low=0)


def zeros(*dims):
    return np.zeros(dims, np.float32)


class Operands:
    """Inputs of all kinds, by a short name: their dtypes and dims."""

    def __init__(self, op):
        self.image = op.input("image", FLOAT, (B, 3, H, W))
        self.free = op.input("free", FLOAT, (B, C, H, W))
        self.text = op.input("text", INT64, (B, H))
        self.rows = op.input("rows", FLOAT, (B, 3))
        self.vector = op.input("vector", FLOAT, (B,))
        self.scalar = op.input("scalar", FLOAT, ())
        self.mask = op.input("mask", BOOL, (B, H))
        self.half = op.input("half", ir.DataType.FLOAT16, (B, 3))


# ---- what certainly cannot be -------------------------------------------------------------------------------------

REFUSED = [
    (lambda op, o: op.MatMul(o.rows, zeros(4, 5)), r"MatMul\(FLOAT\[batch, 3\], FLOAT\[4, 5\]\): .*3 against 4"),
    (lambda op, o: op.MatMul(o.scalar, o.rows), "scalar"),
    (lambda op, o: op.Gemm(o.rows, zeros(4, 3)), "3 against 4"),
    (lambda op, o: op.Gemm(o.image, zeros(3, 4)), r"Gemm\(FLOAT\[batch, 3, height, width\].*rank 4"),
    (lambda op, o: op.Gemm(o.rows, zeros(5, 3), zeros(4), transB=1), "does not broadcast"),
    (lambda op, o: op.Conv(o.image, zeros(8, 4, 3, 3)), r"Conv\(.*3 against 4"),
    (lambda op, o: op.Conv(o.rows, zeros(8, 3, 3)), "rank 2"),
    (lambda op, o: op.Conv(o.text, zeros(8, 3, 3)), "INT64"),
    (lambda op, o: op.Conv(o.image, zeros(8, 3, 3, 3), zeros(7)), "bias"),
    (lambda op, o: op.Conv(o.image, zeros(8, 1, 3, 3), group=2), "2 groups"),
    (lambda op, o: op.Conv(zeros(1, 3, 2, 2), zeros(8, 3, 3, 3)), "does not fit into 2"),
    (lambda op, o: op.ConvTranspose(o.image, zeros(4, 8, 3, 3)), "3 against 4"),
    (lambda op, o: op.MaxPool(o.rows, kernel_shape=[2, 2]), "rank 2, not 4"),
    (lambda op, o: op.Add(o.rows, zeros(4)), "3 against 4"),
    (lambda op, o: op.Add(o.rows, o.half), "FLOAT16 where an input before it is FLOAT"),
    (lambda op, o: op.Add(o.mask, o.mask), "may not be BOOL"),
    (lambda op, o: op.And(o.rows, o.rows), "may not be FLOAT"),
    (lambda op, o: op.Where(o.rows, o.rows, o.rows), "may not be FLOAT"),
    (lambda op, o: op.Sin(o.text), "may not be INT64"),
    (lambda op, o: op.Gather(o.rows, o.vector), "may not be FLOAT"),
    (lambda op, o: op.Gather(o.rows, [3], axis=1), "index 3 is out of range"),
    (lambda op, o: op.Gather(o.rows, [0], axis=2), "no axis 2"),
    (lambda op, o: op.Concat(o.rows, o.vector, axis=0), "different ranks"),
    (lambda op, o: op.Concat(o.rows, zeros(2, 4), axis=0), "3 against 4"),
    (lambda op, o: op.Transpose(o.rows, perm=[0, 2, 1]), "no permutation"),
    (lambda op, o: op.Squeeze(o.rows, [1]), "3 against 1"),
    (lambda op, o: op.Unsqueeze(o.rows, [5]), "no axis 5"),
    (lambda op, o: op.Unsqueeze(o.rows, [0, 0]), "twice"),
    (lambda op, o: op.Reshape(o.rows, [0, 4]), "cannot be reshaped"),
    (lambda op, o: op.Reshape(zeros(6), [4, -1]), "cannot be reshaped"),
    (lambda op, o: op.Reshape(o.rows, [-1, -1]), "two sizes open"),
    (lambda op, o: op.Split(o.rows, [1, 1], axis=1), "do not add up"),
    (lambda op, o: op.Softmax(o.rows, axis=2), "no axis 2"),
    (lambda op, o: op.ReduceSum(o.rows, [2]), "no axis 2"),
    (lambda op, o: op.ArgMax(o.rows, axis=-3), "no axis -3"),
    (lambda op, o: op.LayerNormalization(o.rows, zeros(4)), "does not broadcast"),
    (lambda op, o: op.BatchNormalization(o.image, zeros(4), zeros(4), zeros(4), zeros(4)), "channels"),
    (lambda op, o: op.LSTM(o.rows, zeros(1, 8, 3), zeros(1, 8, 2)), "rank 2, not 3"),
    (lambda op, o: op.LSTM(zeros(5, 2, 4), zeros(1, 8, 3), zeros(1, 8, 2)), "features"),
    (lambda op, o: op.GRU(zeros(5, 2, 3), zeros(1, 8, 3), zeros(1, 8, 2)), "3 gates"),
    (lambda op, o: op.Einsum(o.rows, zeros(4, 5), equation="ij,jk->ik"), "index j"),
    (lambda op, o: op.Einsum(o.rows, equation="ijk->i"), "rank 2"),
    (lambda op, o: op.TopK(o.rows, [4]), "4 elements are wanted of 3"),
    (lambda op, o: op.Expand(o.rows, [2, 4]), "3 against 4"),
    (lambda op, o: op.Range(o.vector, 1.0, 1.0), "rank 1"),
    (lambda op, o: op.GridSample(o.image, zeros(1, 2, 2, 3)), "coordinates"),
    (lambda op, o: op.DepthToSpace(o.image, blocksize=2), "multiple"),
    (lambda op, o: op.Cast(o.rows, to=ir.DataType.INT4), "INT4"),
    (lambda op, o: op.Relu(o.rows, o.rows), "takes 1"),
    (lambda op, o: op.MatMul(o.rows), "needs 2"),
    (lambda op, o: op.MatMul(o.rows, None), "missing"),
    (lambda op, o: op.SequenceInsert(op.SequenceEmpty(dtype=INT64), o.rows), "inserted"),
    (lambda op, o: op.Relu(op.SequenceConstruct(o.rows)), "sequence"),
    (lambda op, o: op.SequenceAt(op.SequenceEmpty(), 0), "rank of the sequence"),
]


@pytest.mark.parametrize("build, message", REFUSED)
def test_what_cannot_be_is_refused(build, message):
    op = Builder()
    operands = Operands(op)
    with pytest.raises(GraphTypeError, match=message):
        build(op, operands)


# ---- what a symbol could fit --------------------------------------------------------------------------------------

ACCEPTED = [
    (lambda op, o: op.MatMul(o.free, zeros(7, 5)), (B, C, H, 5)),
    (lambda op, o: op.Conv(o.free, zeros(8, 4, 3, 3), pads=[1] * 4), (B, 8, H, W)),
    (lambda op, o: op.Conv(o.free, zeros(8, 4, 7, 7), strides=[2, 2], pads=[3] * 4),
     (B, 8, (H + 1) // 2, (W + 1) // 2)),
    (lambda op, o: op.Add(o.rows, zeros(4, 1)), (4, 3)),
    (lambda op, o: op.Add(o.free, zeros(5, 1, 1)), (B, 5, H, W)),
    (lambda op, o: op.Add(o.vector, o.rows), (B, 3)),
    (lambda op, o: op.Add(o.rows, op.Add(o.vector, 1.0)), (B, 3)),
    (lambda op, o: op.Reshape(o.free, [0, 7, -1]), (B, 7, C * H * W // 7)),
    (lambda op, o: op.Reshape(o.image, [-1, 3]), (B * H * W, 3)),
    (lambda op, o: op.Squeeze(o.vector, [0]), ()),
    (lambda op, o: op.Slice(o.free, [1], [-1], [2]), (B, C, "max(0, height - 2)", W)),
    (lambda op, o: op.Slice(o.free, [0], [2**63 - 1], [2], [2]), (B, C, (H + 1) // 2, W)),
    (lambda op, o: op.Slice(o.free, [-1], [-(2**63)], [3], [-1]), (B, C, H, W)),
    (lambda op, o: op.Slice(o.free, [0], [5], [2]), (B, C, "min(5, height)", W)),
    (lambda op, o: op.Concat(o.vector, zeros(4), axis=0), (B + 4,)),
    (lambda op, o: op.Gather(o.free, [[5]], axis=1), (B, 1, 1, H, W)),
    (lambda op, o: op.Tile(o.rows, [2, B]), (2 * B, 3 * B)),
    (lambda op, o: op.TopK(o.vector, [4])[0], (4,)),
    (lambda op, o: op.LayerNormalization(o.text_embedding(op), zeros(8)), (B, H, 8)),
    (lambda op, o: op.Flatten(o.image), (B, 3 * H * W)),
    (lambda op, o: op.Resize(o.image, None, [1.0, 1.0, 2.0, 0.5]), (B, 3, 2 * H, W // 2)),
    (lambda op, o: op.MaxPool(o.image, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), (B, 3, H // 2, W // 2)),
    (lambda op, o: op.Einsum(o.rows, zeros(3, 5), equation="...i,ij->...j"), (B, 5)),
    (lambda op, o: op.Range(op.dim_value(0), op.dim_value(H), op.dim_value(2)), ((H + 1) // 2,)),
]  # fmt: skip


def _embedding(self, op):
    return op.Gather(zeros(100, 8), self.text)


Operands.text_embedding = _embedding


@pytest.mark.parametrize("build, dims", ACCEPTED)
def test_what_a_symbol_could_fit_is_accepted(build, dims):
    op = Builder()
    found = build(op, Operands(op)).dims
    assert len(found) == len(dims)
    for got, want in zip(found, dims, strict=True):
        assert got == want or str(got) == want


def test_a_broadcast_of_two_free_sizes_is_one_symbol_a_pair():
    op = Builder()
    x, y = op.input("x", FLOAT, (H,)), op.input("y", FLOAT, (W,))
    first, second = op.Add(x, y), op.Mul(y, x)
    assert first.dims == second.dims
    assert first.dims[0] not in (H, W)
    assert op.child().Add(x, y).dims == first.dims
    assert op.Add(first, second).dims == first.dims


def test_a_size_that_is_never_one_wins_a_broadcast():
    op = Builder()
    x, y = op.input("x", FLOAT, (H,)), op.input("y", FLOAT, (W + 1,))
    assert op.Add(x, y).dims == (W + 1,)


# ---- outputs ------------------------------------------------------------------------------------------------------


def test_optional_outputs_are_there_when_asked_for():
    op = Builder()
    x = op.input("x", FLOAT, (B, 3, H, W))
    y = op.MaxPool(x, kernel_shape=[2, 2])
    assert len(y.producer().outputs) == 1
    values, indices = op.MaxPool(x, kernel_shape=[2, 2], _outputs=2)
    assert values.dims == indices.dims
    assert indices.etype == INT64
    _, mask = op.Dropout(x, _outputs=2)
    assert mask.etype == BOOL
    assert len(op.Unique(op.Flatten(x, axis=0), _outputs=4)) == 4
    assert len(op.LSTM(zeros(5, 2, 3), zeros(1, 8, 3), zeros(1, 8, 2))) == 3
    assert len(op.Split(x, num_outputs=3, axis=1)) == 3


def test_elements_of_a_sequence_have_symbols_of_their_own():
    op = Builder()
    parts = op.SplitToSequence(op.input("x", FLOAT, (N, 4)), [1, 2], axis=1)
    assert parts.dims == (N, None)
    first, second = op.SequenceAt(parts, 0), op.SequenceAt(parts, 1)
    assert first.dims[0] == N
    assert first.dims[1] != second.dims[1]
    assert op.dim_value(first.dims[1]).etype == INT64
    model = finish(op, {"y": second, "parts": parts})
    assert list(model.graph.outputs[1].shape)[1].value is None


# ---- identities ---------------------------------------------------------------------------------------------------

SPECIAL = np.array([[-0.0, 0.0, np.nan], [np.inf, -1.5, 3e38]], np.float32)

IDENTITIES = [
    ("Identity", lambda op, x: op.Identity(x), []),
    ("Cast to own dtype", lambda op, x: op.Cast(x, to=FLOAT), []),
    ("Cast and back", lambda op, x: op.Cast(op.Cast(x, to=ir.DataType.DOUBLE), to=FLOAT), ["Cast"]),
    ("Cast through less", lambda op, x: op.Cast(op.Cast(x, to=ir.DataType.FLOAT16), to=FLOAT), ["Cast", "Cast"]),
    ("CastLike", lambda op, x: op.CastLike(op.IsNaN(x), x), ["IsNaN", "Cast"]),
    ("Cast of a bool through int", lambda op, x: op.Cast(op.Cast(op.IsNaN(x), to=INT64), to=FLOAT),
     ["IsNaN", "Cast", "Cast"]),
    ("Transpose by nothing", lambda op, x: op.Transpose(x, perm=[0, 1]), []),
    ("Transpose twice", lambda op, x: op.Transpose(op.Transpose(x)), ["Transpose"]),
    ("Transpose of Transpose", lambda op, x: op.Transpose(op.Transpose(op.Unsqueeze(x, [0]), perm=[1, 2, 0]),
                                                          perm=[1, 2, 0]), ["Unsqueeze", "Transpose", "Transpose"]),
    ("Reshape to own dims", lambda op, x: op.Reshape(x, [2, 3]), []),
    ("Reshape to copies", lambda op, x: op.Reshape(x, [0, -1]), []),
    ("Reshape of Reshape", lambda op, x: op.Reshape(op.Reshape(x, [6]), [3, 2]), ["Reshape", "Reshape"]),
    ("Reshape that copies of Reshape", lambda op, x: op.Reshape(op.Reshape(x, [3, 2]), [0, 2, 1]),
     ["Reshape", "Reshape"]),
    ("Flatten", lambda op, x: op.Flatten(x), []),
    ("Squeeze of nothing", lambda op, x: op.Squeeze(x, np.zeros(0, np.int64)), []),
    ("Squeeze of Unsqueeze", lambda op, x: op.Squeeze(op.Unsqueeze(x, [-1]), [2]), ["Unsqueeze"]),
    ("Squeeze of another axis", lambda op, x: op.Squeeze(op.Unsqueeze(x, [0, 1]), [1]), ["Unsqueeze", "Squeeze"]),
    ("Unsqueeze of Squeeze", lambda op, x: op.Unsqueeze(op.Squeeze(op.Slice(x, [0], [1], [0]), [0]), [0]),
     ["Slice", "Squeeze"]),
    ("Concat of one", lambda op, x: op.Concat(x, axis=0), []),
    ("Max of one", lambda op, x: op.Max(x), []),
    ("Slice of everything", lambda op, x: op.Slice(x, [0, -3], [2, 99], [0, 1]), []),
    ("Slice of a part", lambda op, x: op.Slice(x, [0], [1], [0]), ["Slice"]),
    ("Slice backwards", lambda op, x: op.Slice(x, [-1], [-9], [0], [-1]), ["Slice"]),
    ("Expand to own dims", lambda op, x: op.Expand(x, [2, 1]), []),
    ("Expand to more axes", lambda op, x: op.Expand(x, [1, 2, 3]), ["Expand"]),
    ("Tile once", lambda op, x: op.Tile(x, [1, 1]), []),
    ("Pad by nothing", lambda op, x: op.Pad(x, [0, 0, 0, 0]), []),
    ("Split in one", lambda op, x: op.Split(x, num_outputs=1), []),
    ("Dropout", lambda op, x: op.Dropout(x, 0.5), []),
    ("Not of Not", lambda op, x: op.Not(op.Not(op.IsNaN(x))), ["IsNaN", "Not"]),
    ("Neg of Neg", lambda op, x: op.Neg(op.Neg(x)), ["Neg"]),
    ("Where true", lambda op, x: op.Where(True, x, op.Neg(x)), ["Neg"]),
    ("Where false, broadcast", lambda op, x: op.Where(np.zeros((2, 3), bool), x, 7.0), []),
    ("Where of one", lambda op, x: op.Where(op.IsNaN(x), x, x), ["IsNaN"]),
    ("And true", lambda op, x: op.And(op.IsNaN(x), True), ["IsNaN"]),
    ("Or false", lambda op, x: op.Or(False, op.IsNaN(x)), ["IsNaN"]),
    ("Plus a float zero", lambda op, x: op.Add(x, 0.0), ["Add"]),
    ("Times a float one", lambda op, x: op.Mul(x, 1.0), ["Mul"]),
    ("Plus an integer zero", lambda op, x: op.Add(op.Shape(op.NonZero(x)), 0), ["NonZero", "Shape"]),
    ("Times an integer one", lambda op, x: op.Mul([1], op.Shape(op.NonZero(x))), ["NonZero", "Shape"]),
    ("Resize to own size", lambda op, x: op.Resize(x, None, [1.0, 1.0]), []),
]  # fmt: skip


def _result(build, feeds):
    import onnxruntime

    op = Builder()
    x = op.input("x", FLOAT, (2, 3))
    y = build(op, x)
    emitted = [node.op_type for node in op.nodes]
    session = onnxruntime.InferenceSession(ir.to_proto(finish(op, {"y": y})).SerializeToString())
    return y, emitted, session.run(None, feeds)[0]


@pytest.mark.parametrize("build, nodes", [(b, n) for _, b, n in IDENTITIES], ids=[name for name, *_ in IDENTITIES])
def test_identities_save_nodes_and_change_nothing(build, nodes, monkeypatch):
    value, emitted, result = _result(build, {"x": SPECIAL})
    assert emitted == nodes
    monkeypatch.setattr(rules, "SIMPLIFY", {})
    monkeypatch.setattr(rules, "FOLD", {})
    plain, _, expected = _result(build, {"x": SPECIAL})
    assert (value.etype, value.dims) == (plain.etype, plain.dims)
    assert result.dtype == expected.dtype
    if plain.producer().op_type == "Where":
        # ONNX Runtime's Where loses the sign of zero.
        result, expected = result + 0, expected + 0
    assert result.tobytes() == expected.tobytes()


# ---- integers followed through the graph --------------------------------------------------------------------------

FOLLOWED = [
    (lambda op, x: op.Shape(x), (B, 3, H, W)),
    (lambda op, x: op.Size(x), (3 * B * H * W,)),
    (lambda op, x: op.Gather(op.Shape(x), 2), (H,)),
    (lambda op, x: op.Gather(op.Shape(x), [-1, 0]), (W, B)),
    (lambda op, x: op.Slice(op.Shape(x), [2], [4]), (H, W)),
    (lambda op, x: op.Concat(op.Shape(x, start=0, end=1), [-1], axis=0), (B, -1)),
    (lambda op, x: op.Mul(op.Gather(op.Shape(x), 2), 2), (2 * H,)),
    (lambda op, x: op.Div(op.Add(op.Shape(x), [0, 1, 1, 1]), 2), (B // 2, 2, (H + 1) // 2, (W + 1) // 2)),
    (lambda op, x: op.Sub(op.Shape(x), op.Shape(x)), (0, 0, 0, 0)),
    (lambda op, x: op.Cast(op.Gather(op.Shape(x), 3), to=INT32), (W,)),
    (lambda op, x: op.Unsqueeze(op.Squeeze(op.Shape(x, start=2, end=3)), [0]), (H,)),
    (lambda op, x: op.ReduceProd(op.Shape(x, start=2)), (H * W,)),
    (lambda op, x: op.Max(op.Gather(op.Shape(x), 2), 1), (H,)),
    (lambda op, x: op.Mod(op.Gather(op.Shape(x), 1), 2), (1,)),
    (lambda op, x: op.Greater(op.Gather(op.Shape(x), 2), 0), (1,)),
    (lambda op, x: op.Where(op.Equal([1, -1], -1), op.Shape(x, start=2), [7, 8]), (7, W)),
]  # fmt: skip


@pytest.mark.parametrize("build, content", FOLLOWED)
def test_integers_are_followed(build, content):
    op = Builder()
    value = build(op, op.input("x", FLOAT, (B, 3, H, W)))
    found = value.content if value.array is None else tuple(int(i) for i in value.array.reshape(-1))
    assert found == content


def test_a_reshape_to_a_computed_shape_has_its_dims():
    op = Builder()
    x = op.input("x", FLOAT, (B, 3, H, W))
    shape = op.Concat(op.Shape(x, start=0, end=2), op.Mul(op.Shape(x, start=2, end=3), op.Shape(x, start=3)), axis=0)
    assert op.Reshape(x, shape).dims == (B, 3, H * W)


def test_the_shape_of_known_dims_is_a_constant():
    op = Builder()
    x = op.input("x", FLOAT, (2, 3, H))
    assert op.Shape(x, end=2).array.tolist() == [2, 3]
    assert op.Size(op.input("y", FLOAT, (4, 5))).array == 20
    assert op.nodes == []


# ---- folding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build, expected",
    [
        (lambda op: op.Div([7, -7, 7, -7], [2, 2, -2, -2]), [3, -3, -3, 3]),
        (lambda op: op.Mod([7, -7, 7, -7], [2, 3, -3, -2]), [1, 2, -2, -1]),
        (lambda op: op.Mod([7, -7, 7, -7], [2, 3, -3, -2], fmod=1), [1, -1, 1, -1]),
        (lambda op: op.Pow([2, 3], [3, 2]), [8, 9]),
        (lambda op: op.Round([0.5, 1.5, -0.5, 2.5]), [0.0, 2.0, -0.0, 2.0]),
        (lambda op: op.Cast([1.9, -1.9], to=INT64), [1, -1]),
        (lambda op: op.Range(5, 0, -2), [5, 3, 1]),
        (lambda op: op.Range(0.0, 1.0, 0.25), [0.0, 0.25, 0.5, 0.75]),
        (lambda op: op.CumSum([1, 2, 3], 0, exclusive=1, reverse=1), [5, 3, 0]),
        (lambda op: op.TopK([3, 1, 3, 2], [3])[1], [0, 2, 3]),
        (lambda op: op.ArgMax([1, 5, 5], axis=0, select_last_index=1), [2]),
        (lambda op: op.OneHot([1, -1, 7], 3, [0, 1]), [[0, 1, 0], [0, 0, 1], [0, 0, 0]]),
        (lambda op: op.Slice([1, 2, 3, 4], [-1], [-9], [0], [-2]), [4, 2]),
        (lambda op: op.GatherND([[1, 2], [3, 4]], [[1, 0]]), [3]),
        (lambda op: op.ScatterND([1, 2, 3], [[2]], [9]), [1, 2, 9]),
        (lambda op: op.NonZero([0, 3, 0, 4]), [[1, 3]]),
    ],
)
def test_constants_fold(build, expected):
    op = Builder()
    value = build(op)
    assert op.nodes == []
    assert value.array.tolist() == expected
    assert value.array.dtype == value.etype.numpy()
    assert value.dims == value.array.shape


@pytest.mark.parametrize(
    "build",
    [
        lambda op: op.Div([1, 2], [0, 1]),
        lambda op: op.Mod([1, 2], [0, 1]),
        lambda op: op.Cast([np.nan, 1e30], to=INT64),
        lambda op: op.Pow([2], [-1]),
        lambda op: op.Cast([1e30], to=ir.DataType.FLOAT8E4M3FN),
    ],
)
def test_what_is_not_defined_is_left_to_the_runtime(build):
    op = Builder()
    assert build(op).array is None
    assert len(op.nodes) == 1


# ---- what a runtime does wrong -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("axis", "picks"), [(0, [0, 0]), (1, [2, 0]), (1, 1), (2, [1]), (1, [[0, 1], [2, -1]])])
def test_rows_of_strings_are_gathered_whole(axis, picks):
    """ONNX Runtime's Gather copies the first string of each row and leaves the others empty."""
    import onnxruntime

    op = Builder()
    x = op.input("x", ir.DataType.STRING, (B, H, 2))
    result = op.Gather(x, op.input("picks", INT64, [Dim.symbol(f"n{i}") for i in range(np.ndim(picks))]), axis=axis)
    session = onnxruntime.InferenceSession(ir.to_proto(finish(op, {"y": result})).SerializeToString())
    texts = np.array([[["a", "b"], ["c", "d"], ["e", "f"]]], object)
    (got,) = session.run(None, {"x": texts, "picks": np.array(picks)})
    assert got.tolist() == np.take(texts, picks, axis).tolist()


@pytest.mark.parametrize(("depth", "dims"), [(1, (3,)), (1, (3, 4)), (2, (3, 4)), (2, (3, 4, 2, 5)), (3, (3, 4, 5))])
def test_what_is_written_to_one_place_adds_up(depth, dims):
    """ONNX Runtime's ScatterND writes from several threads, and loses what two of them write to one place."""
    import onnxruntime

    rng = np.random.default_rng(0)
    places = np.stack([rng.integers(-n, n, (4000, 2)) for n in dims[:depth]], -1)
    updates = rng.integers(-3, 4, (4000, 2, *dims[depth:])).astype(np.float32)
    want = np.ones(dims, np.float32)
    np.add.at(want, tuple(np.moveaxis(places, -1, 0)), updates)

    op = Builder()
    x = op.input("x", FLOAT, [Dim.symbol(f"d{i}") for i in range(len(dims))])
    where = op.input("places", INT64, (B, 2, depth))
    result = op.ScatterND(x, where, op.input("updates", FLOAT, (B, 2, *x.dims[depth:])), reduction="add")
    session = onnxruntime.InferenceSession(ir.to_proto(finish(op, {"y": result})).SerializeToString())
    (got,) = session.run(None, {"x": np.ones(dims, np.float32), "places": places, "updates": updates})
    assert np.array_equal(got, want)
