from __future__ import annotations

import math
import pickle
import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from nxconvert.errors import ReadError
from nxconvert.formats.tensors import MappedTensor
from nxconvert.formats.torch_archive import Kind, detect, open_archive
from nxconvert.formats.torch_values import Device, EnumValue, ScriptDict, ScriptList, ScriptObject, TensorData
from tests.formats.archives import (
    FALSE,
    NONE,
    TRUE,
    call,
    dict_of,
    list_of,
    members,
    named,
    number,
    pickled,
    real,
    script_object,
    sizes,
    storage,
    tensor,
    text,
    tuple_of,
    write,
)

WEIGHTS = np.arange(12, dtype="<f4").tobytes()


def read(tmp_path: Path, data: bytes, more: Mapping[str, bytes] | None = None) -> Any:
    return open_archive(write(tmp_path / "a.pt", members(data, more=more))).data


def read_tensor(tmp_path: Path, value: bytes, storage: bytes = WEIGHTS, byteorder: bytes = b"little") -> TensorData:
    found = read(tmp_path, value, {"data/0": storage, "byteorder": byteorder})
    assert isinstance(found, TensorData)
    return found


def typed(value: bytes, type_tag: str) -> bytes:
    return call("torch.jit._pickle", "restore_type_tag", value, text(type_tag))


# What is in an archive


def test_the_parts_of_an_archive(tmp_path: Path) -> None:
    contents = members(script_object("__torch__.Net", training=FALSE), "class Net(Module):\n  pass\n")
    contents |= {"constants.pkl": pickled(tuple_of(number(7), text("é"))), "extra/notes/a.txt": b"hello"}
    with open_archive(write(tmp_path / "a.pt", contents, top="any name/")) as archive:
        root = archive.data
        assert isinstance(root, ScriptObject)
        assert (root.qualname, root.attributes) == ("__torch__.Net", {"training": False})
        assert archive.data is root
        assert (archive.constants, archive.version, archive.byteorder) == ((7, "é"), 3, "little")
        assert dict(archive.code) == {"code/__torch__.py": "class Net(Module):\n  pass\n"}
        assert archive.traced_inputs == {}
        assert archive.kind() is Kind.TORCHSCRIPT
    with pytest.raises(ReadError, match="closed"):
        archive.read("version")


def test_values(tmp_path: Path) -> None:
    root = read(
        tmp_path,
        script_object(
            "__torch__.Net",
            ints=call("torch.jit._pickle", "build_intlist", list_of(number(1), number(2**40), number(-3))),
            empty=typed(b"]", "List[str]"),
            lookup=typed(b"}(" + number(1) + text("a") + b"u", "Dict[int, str]"),
            device=call("torch", "device", text("cuda:1")),
            color=named("__torch__.pkg", "Color") + number(2) + b"R",
            number=call("builtins", "complex", real(1.0), real(math.inf)),
            nothing=NONE,
            pair=tuple_of(TRUE, real(0.5)),
        ),
    )
    assert isinstance(root, ScriptObject)
    found = root.attributes
    assert found["ints"] == [1, 2**40, -3]
    assert (type(found["empty"]), found["empty"], found["empty"].type_tag) == (ScriptList, [], "List[str]")
    lookup = found["lookup"]
    assert (type(lookup), lookup, lookup.type_tag) == (ScriptDict, {1: "a"}, "Dict[int, str]")
    assert found["device"] == Device("cuda:1")
    assert found["color"] == EnumValue("__torch__.pkg.Color", 2)
    assert found["number"] == complex(1, math.inf)
    assert found["nothing"] is None
    assert found["pair"] == (True, 0.5)


def test_one_object_stays_one(tmp_path: Path) -> None:
    child = script_object("__torch__.Child") + b"q\5"
    root = read(tmp_path, script_object("__torch__.Net", a=child, b=b"h\5", c=script_object("__torch__.Child")))
    assert isinstance(root, ScriptObject)
    assert root.attributes["a"] is root.attributes["b"]
    assert root.attributes["a"] is not root.attributes["c"]


def test_classes_with_their_own_state(tmp_path: Path) -> None:
    packed = script_object("__torch__.torch.classes.quantized.LinearPackedParamsBase", tuple_of(number(1), NONE))
    custom = script_object("__torch__.Custom", typed(dict_of(a=number(1)), "Dict[str, int]"))
    root = read(tmp_path, tuple_of(packed, custom))
    assert isinstance(root, tuple)
    assert [(item.qualname.rpartition(".")[2], item.state, item.attributes) for item in root] == [
        ("LinearPackedParamsBase", (1, None), {}),
        ("Custom", {"a": 1}, {}),
    ]


# Tensors


def test_contiguous_tensors_are_views_of_the_file(tmp_path: Path) -> None:
    found = read_tensor(tmp_path, tensor("Float", "0", (2, 3), (3, 1), 2))
    assert (found.dtype, found.shape, found.requires_grad) == (ir.DataType.FLOAT, (2, 3), False)
    view = found.to_ir("w")
    assert isinstance(view, MappedTensor)
    assert view.name == "w"
    np.testing.assert_array_equal(view.numpy(), np.arange(2, 8).reshape(2, 3))


@pytest.mark.parametrize(
    "shape, strides, offset, expected",
    [
        ((4, 3), (1, 4), 0, np.arange(12).reshape(3, 4).T),
        ((2, 2), (4, 2), 1, [[1, 3], [5, 7]]),
        ((3, 2), (0, 1), 4, [[4, 5]] * 3),
        ((1, 3), (99, 1), 0, [[0, 1, 2]]),
        ((0, 3), (1, 1), 0, np.empty((0, 3))),
        ((), (), 11, 11),
    ],
)
def test_strided_tensors(
    tmp_path: Path, shape: tuple[int, ...], strides: tuple[int, ...], offset: int, expected: object
) -> None:
    found = read_tensor(tmp_path, tensor("Float", "0", shape, strides, offset)).to_ir("w")
    assert found.shape == ir.Shape(shape)
    np.testing.assert_array_equal(found.numpy(), np.asarray(expected, np.float32), strict=True)


def test_tied_weights_have_one_key(tmp_path: Path) -> None:
    one = tensor("Float", "0", (2, 3), (3, 1))
    first, same, other = read(tmp_path, tuple_of(one, one, tensor("Float", "0", (3, 2), (1, 3))), {"data/0": WEIGHTS})
    assert first.key == same.key != other.key
    assert first.storage is same.storage


def test_big_endian(tmp_path: Path) -> None:
    swapped = np.arange(12, dtype=">f4").tobytes()
    found = read_tensor(tmp_path, tensor("Float", "0", (2, 3), (3, 1), 2), swapped, byteorder=b"big")
    np.testing.assert_array_equal(found.numpy(), np.arange(2, 8, dtype=np.float32).reshape(2, 3), strict=True)
    swapped = np.array([1 + 2j, 3 - 4j], ">c8").tobytes()
    found = read_tensor(tmp_path, tensor("ComplexFloat", "0", (2,), (1,)), swapped, byteorder=b"big")
    np.testing.assert_array_equal(found.numpy(), np.array([1 + 2j, 3 - 4j], np.complex64), strict=True)


@pytest.mark.parametrize(
    "kind, dtype",
    [
        ("Half", np.float16),
        ("Double", np.float64),
        ("Long", np.int64),
        ("Bool", np.bool_),
        ("ComplexDouble", np.complex128),
        ("BFloat16", ml_dtypes.bfloat16),
        ("Float8_e4m3fn", ml_dtypes.float8_e4m3fn),
        ("UInt16", np.uint16),
        ("QInt8", np.int8),
        ("QUInt8", np.uint8),
    ],
)
def test_element_types(tmp_path: Path, kind: str, dtype: type) -> None:
    values: np.ndarray = np.array([0, 1, 1], dtype)
    found = read_tensor(tmp_path, tensor(kind, "0", (3,), (1,)), values.tobytes())
    np.testing.assert_array_equal(found.to_ir("w").numpy(), values, strict=True)
    assert found.is_complex == (dtype is np.complex128)


def test_lazily_conjugated(tmp_path: Path) -> None:
    values = np.array([1 + 2j, 3 - 4j], np.complex64)
    value = tensor("ComplexFloat", "0", (2,), (1,), 0, dict_of(conj=TRUE))
    assert read_tensor(tmp_path, value, values.tobytes()).numpy().tolist() == [1 - 2j, 3 + 4j]


def test_quantized(tmp_path: Path) -> None:
    def quantized(*parameters: bytes) -> bytes:
        view = storage("QInt8", "0", 4), number(0), sizes(2, 2), sizes(2, 1)
        return call("torch._utils", "_rebuild_qtensor", *view, tuple_of(*parameters), FALSE, NONE)

    whole = quantized(named("torch", "per_tensor_affine"), real(0.5), number(3))
    scales, zero_points = tensor("Double", "1", (2,), (1,)), tensor("Long", "2", (2,), (1,))
    channels = quantized(named("torch", "per_channel_affine"), scales, zero_points, number(0))
    one, many = read(
        tmp_path,
        tuple_of(whole, channels),
        {
            "data/0": b"\1\2\3\xff",
            "data/1": np.array([0.5, 2], "<f8").tobytes(),
            "data/2": np.array([0, 1], "<i8").tobytes(),
        },
    )
    assert one.numpy().tolist() == [[1, 2], [3, -1]]
    assert one.dtype is ir.DataType.INT8
    assert (one.quantizer.scheme, one.quantizer.scale, one.quantizer.zero_point) == ("per_tensor_affine", 0.5, 3)
    assert one.quantizer.axis is None
    assert (many.quantizer.scheme, many.quantizer.axis) == ("per_channel_affine", 0)
    assert many.quantizer.scale.numpy().tolist() == [0.5, 2]
    assert many.quantizer.zero_point.numpy().tolist() == [0, 1]


def test_two_elements_a_byte(tmp_path: Path) -> None:
    """4-bit embeddings: the low half of a byte comes first; a storage may end with half a byte."""
    whole, part = read(
        tmp_path,
        tuple_of(tensor("QUInt4x2", "0", (3, 2), (2, 1)), tensor("QUInt4x2", "0", (2, 2), (2, 1), 1)),
        {"data/0": b"\x21\x43\xf5"},
    )
    assert whole.to_ir("w").numpy().tolist() == [[1, 2], [3, 4], [5, 15]]
    assert part.numpy().tolist() == [[2, 3], [4, 5]]
    with pytest.raises(ReadError, match="needs 4 bytes"):
        read_tensor(tmp_path, tensor("QUInt4x2", "0", (7,), (1,)), b"\x21\x43\xf5")


def test_traced_inputs_may_lack_their_elements(tmp_path: Path) -> None:
    both = list_of(tensor("Long", "0", (2, 9), (9, 1)), tensor("Float", "1", (3,), (1,)))
    inputs = typed(dict_of(forward=both), "Dict[str, List[Any]]")
    contents = members() | {"traced_inputs.pkl": pickled(inputs), "traced_inputs/0": b""}
    found = open_archive(write(tmp_path / "a.pt", contents)).traced_inputs["forward"]
    assert [(item.dtype, item.shape, item.is_available) for item in found] == [
        (ir.DataType.INT64, (2, 9), False),
        (ir.DataType.FLOAT, (3,), False),
    ]
    with pytest.raises(ReadError, match="needs 144 bytes"):
        found[0].numpy()


def test_a_state_dict_is_plain_data(tmp_path: Path) -> None:
    state = call("collections", "OrderedDict") + b"(" + text("w") + tensor("Float", "0", (12,), (1,)) + b"u}b"
    contents = {"data.pkl": pickled(state), "data/0": WEIGHTS, "version": b"3\n"}
    archive = open_archive(write(tmp_path / "a.pt", contents))
    assert archive.kind() is Kind.SAVED
    assert archive.data["w"].numpy().tolist() == list(range(12))


# Damaged and hostile archives


@pytest.mark.parametrize(
    "value, message",
    [
        (tensor("Float", "0", (4, 4), (4, 1)), r"shape \[4, 4\] needs 64 bytes, and its storage .* has 48"),
        (tensor("Float", "0", (2, 2), (2, 1), 9), r"needs 52 bytes"),
        (tensor("Float", "0", (1 << 60,), (1,)), r"needs 4611686018427387904 bytes"),
        (tensor("Float", "0", (1 << 40,), (0,)), r"repeats the 48 bytes"),
        (tensor("Float", "0", (-1,), (1,)), r"sizes \(-1,\)"),
        (tensor("Float", "0", (2,), (-1,)), r"strides \(-1,\)"),
        (tensor("Float", "0", (2,), (1, 1)), r"strides \(1, 1\)"),
        (tensor("Float", "0", (2,), (1,), -4), r"offset -4"),
        (tensor("Float", "0", (1,) * 65, (1,) * 65), r"sizes"),
        (tensor("Float", "1", (2,), (1,)), r"no member 'model/data/1'"),
        (tensor("Float", "../version", (2,), (1,)), r"no member"),
        (tensor("Weird", "0", (2,), (1,)), r"not read \(torch.WeirdStorage\)"),
        (call("torch._utils", "_rebuild_sparse_tensor", number(0)), r"not read .*_rebuild_sparse_tensor"),
        (number(1) + b"Q", r"1 names no storage"),
    ],
)  # fmt: skip
def test_tensors_that_cannot_be(tmp_path: Path, value: bytes, message: str) -> None:
    with pytest.raises(ReadError, match=message):
        read(tmp_path, value, {"data/0": WEIGHTS})


@pytest.mark.parametrize("name", ["os.system", "posix.system", "builtins.eval", "torch.load", "torch._C.x"])
def test_code_is_refused(tmp_path: Path, name: str) -> None:
    module, _, function = name.rpartition(".")
    with pytest.raises(ReadError, match=f"Python object {name}, which is not data"):
        read(tmp_path, call(module, function, text("true")))


@pytest.mark.parametrize("protocol", range(2, 6))
def test_code_is_refused_in_every_protocol(tmp_path: Path, protocol: int) -> None:
    contents = members() | {"data.pkl": pickle.dumps(print, protocol)}
    with pytest.raises(ReadError, match="print, which is not data"):
        _ = open_archive(write(tmp_path / "a.pt", contents)).data


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"h\7",
        b"t",
        b"R",
        b"K",
        b"X\xff\xff\xff\xffabc",
        number(1) + number(2) + b"R",
        number(1) + b")R",
        number(1) + b")\x81",
        number(1) + dict_of(a=NONE) + b"b",
        named("collections", "OrderedDict") + b"N" + b"R",
        named("__torch__", "A") + tuple_of(number(1)) + b"\x81",
        number(1) + number(1) + b"a",
        b"}(" + number(1) + b"u",
        b"}(]" + number(1) + b"u",
        b"\x8b\xff\xff\xff\x7f",
        b"i__main__\nX\n",
        b"\x82\1",
        named("__torch__", "Color") + b")R",
    ],
)
def test_pickles_that_make_no_sense(tmp_path: Path, value: bytes) -> None:
    with pytest.raises(ReadError):
        read(tmp_path, value)


def test_pickles_that_grow(tmp_path: Path) -> None:
    """Tuples that share their parts are no danger until something walks them: a hash or a message must not."""
    doubling = b")q\0" + b"h\0h\0\x86q\0" * 60
    for value in (b"}(" + doubling + number(1) + b"u", doubling + b"Q", named("__torch__", "E") + doubling + b"R"):
        with pytest.raises(ReadError):
            read(tmp_path, value)


def test_deep_nesting_is_no_recursion(tmp_path: Path) -> None:
    found = read(tmp_path, b")" + b"\x85" * 200_000)
    assert isinstance(found, tuple)


def test_what_is_missing(tmp_path: Path) -> None:
    contents = members()
    for name in ("data.pkl", "version"):
        archive = open_archive(write(tmp_path / "a.pt", {key: data for key, data in contents.items() if key != name}))
        with pytest.raises(ReadError, match=f"no (member 'model/)?{name}"):
            _ = archive.data, archive.version


def test_code_that_is_a_bomb(tmp_path: Path) -> None:
    archive = open_archive(write(tmp_path / "a.pt", members(code=" " * (65 << 20))))
    with pytest.raises(ReadError, match="has 68157440 bytes"):
        archive.code["code/__torch__.py"]


# What kind of file it is


@pytest.mark.parametrize(
    "names, top, kind",
    [
        (["data.pkl", "constants.pkl"], "m/", Kind.TORCHSCRIPT),
        (["model.json", "tensors/0"], "m/", Kind.TORCHSCRIPT_LEGACY),
        (["models/model.json", "data/weights/weight_0"], "m/", Kind.EXPORTED),
        (["serialized_exported_program.json", "version"], "", Kind.EXPORTED),
        (["models/model.json", "data/aotinductor/model/a.so"], "m/", Kind.COMPILED),
        ([".data/extern_modules", "a.pkl"], "m/", Kind.PACKAGE),
        (["data.pkl", "data/0"], "m/", Kind.SAVED),
        (["word/document.xml"], "", None),
        (["x/constants.pkl"], "m/", None),
    ],
)
def test_kinds_of_archives(tmp_path: Path, names: list[str], top: str, kind: Kind | None) -> None:
    path = write(tmp_path / "a.zip", dict.fromkeys(names, b""), top)
    assert detect(path) is kind
    if kind is None:
        with pytest.raises(ReadError, match="no PyTorch model"):
            open_archive(path)
    else:
        assert open_archive(path).kind() is kind


@pytest.mark.parametrize(
    "content, kind",
    [
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", Kind.SAVED_LEGACY),
        (struct.pack("<I", 28) + b"PTMF" + bytes(100), Kind.TORCHSCRIPT_FLATBUFFER),
        (b"hello", None),
        (b"PK\3\4 and no more", None),
        (b"", None),
    ],
)
def test_kinds_of_other_files(tmp_path: Path, content: bytes, kind: Kind | None) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    assert detect(path) is kind
    with pytest.raises(ReadError, match=described(kind)):
        open_archive(path)


def described(kind: Kind | None) -> str:
    return kind.value.split("(")[0].split(":")[0] if kind else "no PyTorch model|truncated|empty"


def test_what_is_no_file(tmp_path: Path) -> None:
    assert detect(tmp_path) is None
    assert detect(tmp_path / "missing") is None
    with pytest.raises(ReadError, match="is a directory"):
        open_archive(tmp_path)
    with pytest.raises(ReadError, match="No such file"):
        open_archive(tmp_path / "missing")


# Real archives

REAL = [
    "tv_efficientnet_b0/model_traced.pt",
    "tv_swin_v2_t/model_traced.pt",
    "tv_resnext/model_traced.pt",
    "tv_r2plus1d_block/model_scripted.pt",
    "timm_pvt_v2_b0/model_traced.pt",
    "timm_test_vit3/model_traced.pt",
    "hf_bert_sdpa/model_traced.pt",
    "hf_deberta_v2/model_traced.pt",
    "dtype_mlp_bfloat16/model_traced.pt",
    "dtype_cnn_half/model_traced.pt",
    "dtype_mlp_float64/model_scripted.pt",
    "shared_weights_tied/model_traced.pt",
    "shared_module_thrice/model_scripted.pt",
    "rnn_gru_2l_bi_bf/model_traced.pt",
    "rnn_packed_gru/model_scripted.pt",
    "cf_custom_lstm_unbind/model_scripted.pt",
    "q_static_cnn_fused_x86/model_scripted.pt",
    "q_dynamic_lstm/model_scripted.pt",
    "q_qat_fakequant_mlp/model_traced.pt",
    "embeddingbag_sum/model_scripted.pt",
    "io_constant_outputs/model_scripted.pt",
]


def tensors_of(value: ScriptObject, prefix: str = "") -> dict[str, TensorData]:
    found: dict[str, TensorData] = {}
    for name, item in value.attributes.items():
        if isinstance(item, TensorData):
            found[prefix + name] = item
        elif isinstance(item, ScriptObject):
            found |= tensors_of(item, f"{prefix}{name}.")
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", REAL)
def test_every_tensor_is_the_one_that_torch_reads(corpus_model: Callable[[str], Path], name: str) -> None:
    path = corpus_model(name)
    torch = pytest.importorskip("torch")
    found = tensors_of(open_archive(path).data)
    for key, expected in torch.jit.load(path).state_dict().items():
        mine = found[key]
        if expected.is_quantized:
            expected = expected.int_repr()
        assert mine.shape == tuple(expected.shape)
        if expected.dtype is not torch.bfloat16:
            assert mine.dtype is ir.DataType.from_numpy(expected.numpy().dtype)
        raw = expected.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        assert mine.to_ir(key).tobytes() == raw


def test_real_archives_open_in_milliseconds(corpus_model: Callable[[str], Path]) -> None:
    path = corpus_model("tv_efficientnet_b0/model_traced.pt")

    def seconds(work: Callable[[], object]) -> float:
        best = math.inf
        for _ in range(5):
            start = time.perf_counter()
            work()
            best = min(best, time.perf_counter() - start)
        return best

    assert seconds(lambda: detect(path)) < 0.002
    assert seconds(lambda: tensors_of(open_archive(path).data)) < 0.05
