from __future__ import annotations

import ast
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from nxconvert.errors import ReadError
from nxconvert.formats.torch_archive import open_archive
from nxconvert.formats.torch_values import ScriptObject
from nxconvert.formats.torchscript import (
    ClassInfo,
    EnumInfo,
    Frame,
    FunctionInfo,
    InterfaceInfo,
    NamedTupleInfo,
    ScriptCode,
)
from tests.formats.archives import call, list_of, members, number, pickled, sizes, text, tuple_of, write

CODE = """\
class Net(Module):
  __parameters__ = ["w", ]
  __buffers__ = ["b", "c", ]
  __annotations__ = []
  __forward_pre_hooks__ = ["before", ]
  w : Tensor
  b : Tensor
  training : bool
  __annotations__["0"] = __torch__.pkg.Block
  size : Final[Tuple[int, int]] = (2, 3)
  def forward(self: __torch__.Net,
    x: Tensor,
    n: int=3,
    f: float=inf) -> Tensor:
    _0 = __torch__.pkg.double
    y = _0(x, )
    return (y).mul(nan, )
  def before(self: __torch__.Net,
    x: Tuple[Tensor]) -> NoneType:
    return None
class Plain:
  a : int
  def __init__(self: __torch__.Plain,
    a: int) -> NoneType:
    self.a = a
    return None
class Color(Enum):
  RED = 1
  GREEN = -2
class Label(Enum):
  A = "a"
class Pair(NamedTuple):
  first : Tensor
  second : int
class Layer(ModuleInterface):
  def forward(self, x: Tensor) -> Tensor:
    pass
"""

PACKAGE = """\
op_version_set = 1
class Block(Module):
  training : bool
def double(x: Tensor) -> Tensor:
  return torch.mul(x, 2)
"""


def script(tmp_path: Path, code: str = CODE, more: Mapping[str, bytes] | None = None) -> ScriptCode:
    contents = members(code=code, more=more) | {"code/__torch__/pkg.py": PACKAGE.encode()}
    return ScriptCode(open_archive(write(tmp_path / "a.pt", contents)))


def test_a_module(tmp_path: Path) -> None:
    net = script(tmp_path).lookup("__torch__.Net")
    assert isinstance(net, ClassInfo)
    assert {name: ast.unparse(kind) for name, kind in net.attributes.items()} == {
        "w": "Tensor",
        "b": "Tensor",
        "training": "bool",
        "0": "__torch__.pkg.Block",
        "size": "Final[Tuple[int, int]]",
    }
    assert {name: ast.unparse(value) for name, value in net.constants.items()} == {"size": "(2, 3)"}
    assert (net.base, net.parameters, net.buffers, net.pre_hooks, net.hooks) == (
        "Module", ("w",), ("b", "c"), ("before",), (),
    )  # fmt: skip
    assert list(net.methods) == ["forward", "before"]


def test_a_method(tmp_path: Path) -> None:
    net = script(tmp_path).lookup("__torch__.Net")
    assert isinstance(net, ClassInfo)
    forward = net.methods["forward"]
    assert (forward.qualname, forward.name, forward.path) == ("__torch__.Net.forward", "forward", "code/__torch__.py")
    assert [(name, ast.unparse(kind)) for name, kind in forward.args if kind] == [
        ("self", "__torch__.Net"),
        ("x", "Tensor"),
        ("n", "int"),
        ("f", "float"),
    ]
    assert {name: ast.unparse(value) for name, value in forward.defaults.items()} == {"n": "3", "f": "inf"}
    assert forward.returns
    assert ast.unparse(forward.returns) == "Tensor"
    assert [type(statement) for statement in forward.body] == [ast.Assign, ast.Assign, ast.Return]


def test_everything_else_that_has_a_name(tmp_path: Path) -> None:
    code = script(tmp_path)
    double = code.lookup("__torch__.pkg.double")
    assert isinstance(double, FunctionInfo)
    assert (double.args[0][0], double.path) == ("x", "code/__torch__/pkg.py")
    color, label, pair, layer, plain = (
        code.lookup(f"__torch__.{name}") for name in ("Color", "Label", "Pair", "Layer", "Plain")
    )
    assert isinstance(color, EnumInfo)
    assert color.members == {"RED": 1, "GREEN": -2}
    assert isinstance(label, EnumInfo)
    assert label.members == {"A": "a"}
    assert isinstance(pair, NamedTupleInfo)
    assert {name: ast.unparse(kind) for name, kind in pair.fields.items()} == {"first": "Tensor", "second": "int"}
    assert isinstance(layer, InterfaceInfo)
    assert list(layer.methods) == ["forward"]
    assert isinstance(plain, ClassInfo)
    assert (plain.base, list(plain.methods)) == ("", ["__init__"])
    assert code.lookup("__torch__.Plain") is plain


def test_names_that_are_not_defined(tmp_path: Path) -> None:
    code = script(tmp_path)
    assert code.find("__torch__.torch.classes.quantized.LinearPackedParamsBase") is None
    assert code.find("__torch__.Missing") is None
    with pytest.raises(ReadError, match=r"its code does not define __torch__\.Missing"):
        code.lookup("__torch__.Missing")


def test_mangled_names_have_a_file_of_their_own(tmp_path: Path) -> None:
    twin = b"class Net(Module):\n  training : bool\n"
    code = script(tmp_path, more={"code/__torch__/___torch_mangle_4.py": twin})
    found = code.lookup("__torch__.___torch_mangle_4.Net")
    assert (found.qualname, found.path) == ("__torch__.___torch_mangle_4.Net", "code/__torch__/___torch_mangle_4.py")


def test_python_keywords_are_names_in_torchscript(tmp_path: Path) -> None:
    """A traced module may have children named ``from`` or ``lambda``; TorchScript does not reserve these words."""
    source = (
        "class Net(Module):\n  from : __torch__.A\n  lambda : __torch__.B\n"
        "  def forward(self: __torch__.Net, x: Tensor) -> Tensor:\n"
        '    lambda0 = self.lambda; _0 = (self.from).forward("not from \\" here", x, )\n'
        "    return torch.relu(_0)\n"
    )
    start = source.index("(self.from)")
    ranges = old_ranges((0, "", "", 0, 0), (start - 1, "a\n", "before.py", 1, 0), (start, "a\n", "user.py", 7, 0))
    code = script(tmp_path, source, {"code/__torch__.py.debug_pkl": ranges})
    net = code.lookup("__torch__.Net")
    assert isinstance(net, ClassInfo)
    assert list(net.attributes) == ["from", "lambda"]
    statement = net.methods["forward"].body[1]
    assert ast.unparse(statement) == "_0 = self.from.forward('not from \" here', x)"
    assert code.location(net.path, statement) == "user.py:7"


@pytest.mark.parametrize(
    "source",
    ["class Net(Module:\n", "x = " + "(" * 1000, "x = " + "-" * 100_000 + "1", "x = \0", "class A:\n      b\n  c\n"],
)
def test_code_that_cannot_be_parsed(tmp_path: Path, source: str) -> None:
    with pytest.raises(ReadError, match=r"its code code/__torch__\.py cannot be parsed"):
        script(tmp_path, source).lookup("__torch__.Net")


def test_lists_of_names_must_be_literal(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"code/__torch__\.py:2 should be a literal"):
        script(tmp_path, "class Net(Module):\n  __parameters__ = f()\n").lookup("__torch__.Net")


# Where the code comes from


def old_ranges(*entries: tuple[int, str, str, int, int]) -> bytes:
    """Ranges as PyTorch up to 1.8 writes them: (offset, text, file, first line, start of the range in the text)."""

    def one(offset: int, lines: str, file: str, first: int, at: int) -> bytes:
        source = tuple_of(text(lines), text(file), number(first))
        return tuple_of(number(offset), tuple_of(source, number(at), number(at)))

    return pickled(tuple_of(*(one(*entry) for entry in entries)))


def new_ranges(strings: list[str], *entries: tuple[int, list[int], int, int, int]) -> bytes:
    """Ranges with a string table: (offset, lines, file, first line, start of the range in the text)."""

    def one(offset: int, lines: list[int], file: int, first: int, at: int) -> bytes:
        indices = call("torch.jit._pickle", "build_intlist", list_of(*map(number, lines)))
        source = tuple_of(indices, number(file), number(first))
        return tuple_of(number(offset), tuple_of(source, number(at), number(at)), number(0))

    table = tuple_of(*map(text, strings))
    return pickled(tuple_of(text("FORMAT_WITH_STRING_TABLE"), table, tuple_of(*(one(*entry) for entry in entries))))


USER = "def f(x):\n    é = 1\n    return x * 2\n"


def locate(tmp_path: Path, ranges: bytes) -> tuple[str, tuple[Frame, ...]]:
    code = script(tmp_path, more={"code/__torch__/pkg.py.debug_pkl": ranges})
    double = code.lookup("__torch__.pkg.double")
    assert isinstance(double, FunctionInfo)
    return code.location(double.path, double.body[0]), code.frames(double.path, double.body[0])


AT = PACKAGE.index("torch.mul")
RETURN = len(USER[: USER.index("x * 2")].encode())


def test_ranges_without_a_string_table(tmp_path: Path) -> None:
    ranges = old_ranges((0, "", "", 0, 0), (AT, USER, "/home/me/net.py", 40, RETURN), (AT + 9, USER, "late.py", 1, 0))
    assert locate(tmp_path, ranges) == ("/home/me/net.py:42", (Frame("/home/me/net.py", 42),))


def test_ranges_with_a_string_table(tmp_path: Path) -> None:
    strings = ["", *USER.splitlines(keepends=True), "net.py"]
    assert locate(tmp_path, new_ranges(strings, (0, [], 0, 0, 0), (AT, [1, 2, 3], 4, 40, RETURN)))[0] == "net.py:42"


def test_traced_code_records_a_stack(tmp_path: Path) -> None:
    stack = [
        "/x/site-packages/torch/nn/modules/linear.py(134): forward\n",
        "/x/site-packages/torch/nn/modules/module.py(1778): _call_impl\n",
        "/home/me/net (old).py(12): forward\n",
        "/home/me/main.py(3): <module>\n",
    ]
    file = "/x/site-packages/torch/nn/modules/linear.py"
    location, frames = locate(tmp_path, new_ranges(["", *stack, file], (0, [1, 2, 3, 4, 0], 5, 134, 0)))
    assert location == "/home/me/net (old).py:12"
    assert frames[0] == Frame(file, 134, "forward")
    assert frames[3] == Frame("/home/me/main.py", 3, "<module>")
    assert [frame.is_torch for frame in frames] == [True, True, False, False]


@pytest.mark.parametrize(
    "ranges",
    [
        old_ranges((0, "", "", 0, 0)),
        old_ranges((5000, USER, "net.py", 1, 0)),
        pickled(number(5)),
        pickled(tuple_of(number(1), number(2))),
        pickled(tuple_of(tuple_of(number(0), number(1)))),
        pickled(tuple_of(tuple_of(number(0), sizes(1, 2, 3)))),
        new_ranges(["x" * 1000], (0, [0] * 20_000, 0, 1, 0)),
        new_ranges([""], (0, [7], 9, 1, 0)),
    ],
)
def test_where_nothing_is_recorded_the_archive_is_named(tmp_path: Path, ranges: bytes) -> None:
    assert locate(tmp_path, ranges) == ("code/__torch__/pkg.py:5", ())


def test_without_ranges(tmp_path: Path) -> None:
    code = script(tmp_path)
    net = code.lookup("__torch__.Net")
    assert isinstance(net, ClassInfo)
    assert code.location(net.path, net.methods["forward"].body[1]) == "code/__torch__.py:16"


def test_ranges_may_not_hold_code(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"os\.system"):
        locate(tmp_path, pickled(call("os", "system", text("true"))))


# Real archives


def classes_of(code: ScriptCode, value: ScriptObject) -> list[ClassInfo]:
    info = code.find(value.qualname)
    found = [info] if isinstance(info, ClassInfo) else []
    for item in value.attributes.values():
        if isinstance(item, ScriptObject):
            found += classes_of(code, item)
    return found


@pytest.mark.parametrize(
    "name, where",
    [
        ("hf_bert_sdpa/model_traced.pt", "models/bert/modeling_bert.py"),
        ("tv_swin_v2_t/model_traced.pt", "models/swin_transformer.py"),
        ("rnn_packed_gru/model_scripted.pt", "modules/rnn.py"),
        ("cf_nms_loop/model_scripted.pt", "cases_"),
        ("q_static_cnn_fused_x86/model_scripted.pt", "modules/conv_relu.py"),
    ],
)
def test_real_code(corpus_model: Callable[[str], Path], name: str, where: str) -> None:
    archive = open_archive(corpus_model(name))
    code = ScriptCode(archive)
    classes = classes_of(code, archive.data)
    assert classes
    for info in classes:
        assert not info.attributes.keys() & info.methods.keys()
    places = {
        code.location(method.path, node)
        for info in classes
        for method in info.methods.values()
        for node in ast.walk(method.node)
        if isinstance(node, ast.Call)
    }
    assert any(where in place for place in places)


def test_locations_are_fast(corpus_model: Callable[[str], Path]) -> None:
    archive = open_archive(corpus_model("hf_bert_sdpa/model_traced.pt"))
    code = ScriptCode(archive)
    calls = [
        (method.path, node)
        for info in classes_of(code, archive.data)
        for method in info.methods.values()
        for node in ast.walk(method.node)
        if isinstance(node, ast.Call)
    ]
    start = time.perf_counter()
    for path, node in calls:
        code.location(path, node)
    assert len(calls) > 100
    assert time.perf_counter() - start < 0.2
