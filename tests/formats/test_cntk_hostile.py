"""Damaged and hostile files of CNTK: one clear paragraph, soon, with nothing left behind; or a sound result."""

from __future__ import annotations

import random
import struct
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nxconvert.errors import ReadError, UnsupportedError
from nxconvert.formats.cntk.dictionary import LARGE_MAGIC, Axis
from nxconvert.formats.cntk.legacy import Network, read_network
from nxconvert.formats.cntk.model import Model, read_model
from nxconvert.formats.cntk.sniff import is_legacy, looks_like_cntk
from tests.formats.cntk_dictionary import BATCH, Raw, array, block, dictionary, field, function, model, number, variable
from tests.frontends.cntk.models.legacy_files import Legacy, f32, i32, matrix, shape, text, u32, u64

FIXTURES = Path(__file__).parent.parent.parent / "fixtures" / "cntk_files"
#: How long anything may take, in seconds; nearly all takes a hundredth of it.
SOON = 5
NEGATE, COMBINE = 0, 44


def sound(name: str) -> bytes:
    if name.endswith(".model"):
        return (FIXTURES / name).read_bytes()
    with zipfile.ZipFile(FIXTURES / "legacy.zip") as archive:
        return archive.read(f"{name}/model.model")


FILES = ["names.model", "tagger.model", "dense_1", "delays_3", "image_4", "normalized_12_by_element", "axes_22"]


@pytest.fixture
def attempt(tmp_path: Path) -> Callable[[bytes], bool]:
    """Reads bytes as a file; tells whether a model was read."""

    def attempt(content: bytes) -> bool:
        path = tmp_path / "a.model"
        path.write_bytes(content)
        looks_like_cntk(path)
        try:
            found = read_network(path) if is_legacy(path) else read_model(path)
        except ReadError as error:
            message = str(error)
        except UnsupportedError:
            return False
        else:
            touch(found)
            return True
        assert message.endswith(".")
        assert str(path) in message
        return False

    return attempt


def touch(found: Model | Network) -> None:
    """Looks at every number, so that what lies beyond the file would show."""
    if isinstance(found, Model):
        values = [each.value for each in found.variables.values()]
    else:
        values = [node.fields.get("value") for node in found.nodes.values()]
    for value in values:
        if value is not None:
            value.numpy().tobytes()


@pytest.mark.parametrize("name", FILES)
def test_cut_off_anywhere(name: str, attempt: Callable[[bytes], bool]) -> None:
    content = sound(name)
    lengths = sorted(random.Random(0).sample(range(1, len(content)), min(300, len(content) - 1)))
    assert attempt(content)
    assert not any(attempt(content[:length]) for length in lengths)


@pytest.mark.parametrize("name", FILES)
def test_flipped_bytes(name: str, attempt: Callable[[bytes], bool]) -> None:
    content, generator = sound(name), random.Random(1)
    for _ in range(200):
        damaged = bytearray(content)
        for _ in range(generator.choice((1, 1, 2, 5))):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        attempt(bytes(damaged))


def test_noise(attempt: Callable[[bytes], bool]) -> None:
    generator = random.Random(2)
    for start in (b"", b"\x08\x02\x12", LARGE_MAGIC, text("BCN"), text("BCN") + text("BVersion")):
        for size in range(1, 200):
            assert not attempt(start + generator.randbytes(size))


# ---- what is wrong, in words -----------------------------------------------------------------------------------------


@pytest.fixture
def refused(command_line: Callable[..., tuple[int, str, str]], tmp_path: Path) -> Callable[[bytes], str]:
    """Converts bytes over an old target, which has to fail: what is said."""

    def refused(content: bytes) -> str:
        source, target = tmp_path / "a.model", tmp_path / "target" / "out.nx"
        source.write_bytes(content)
        target.parent.mkdir()
        target.write_bytes(b"old")
        start = time.monotonic()
        code, out, err = command_line(source, target, "--from", "cntk")
        assert time.monotonic() - start < SOON
        assert (code, out) == (1, ""), err
        assert "internal error" not in err, err
        assert err.count("\n") == 1, err
        assert len(err) < 700
        assert target.read_bytes() == b"old"
        assert [path.name for path in target.parent.iterdir()] == ["out.nx"]
        return err

    return refused


Refused = Callable[[bytes], str]
X = variable("x", 0, (3,))
Z = function("z", NEGATE, ["x"])


def parameter(content: bytes, dims: tuple[int, ...] = (3,)) -> dict[str, object]:
    """A model of ``x + w`` with an NDArrayView of these bytes as w."""
    w = variable("w", 2, dims, value=Raw(11, field(13, content)))
    return model("z", [X, w], [function("z", 19, ["x", "w"])])


def several(attributes: dict[str, Any], inputs: Sequence[str] = ("z_Output_0",)) -> dict[str, object]:
    """A model of two outputs, one of which is a reduction of the other."""
    reduced = function("y", 39, inputs, {"reductionOpName": "Sum", **attributes})
    return model("c", [X], [function("c", COMBINE, ["y_Output_0", "z_Output_0"]), reduced, Z])


def without(what: dict[str, object], key: str) -> dict[str, object]:
    return {name: value for name, value in what.items() if name != key}


NESTED = number(1, 2)
for _ in range(70):
    NESTED = number(1, 2) + field(2, field(1, b"a") + field(2, number(1, 2) + number(2, 10) + field(12, NESTED)))
CASES: dict[str, tuple[dict[str, object] | bytes, str]] = {
    "a trainer's state": ({"version": 1, "Learners": [], "DistributedState": {}}, "holds the state of a trainer"),
    "no model": ({"version": 1, "type": "Something"}, "is a Dictionary of CNTK, but no model"),
    "no root": (without(model("z", [X], [Z]), "root"), "has no 'root'"),
    "no functions": (without(model("z", [X], [Z]), "primitive_functions"), "has no 'primitive_functions'"),
    "a root of another type": (model(5, [X], [Z]), "has as its 'root' what is no text"),  # type: ignore[arg-type]
    "a root that is missing": (model("y", [X], [Z]), "its root y is missing"),
    "a variable without a shape": (model("z", [without(X, "shape")], [Z]), "a variable (x) has no 'shape'"),
    "a variable that is text": (model("z", ["x"], [Z]), "has in its 'inputs' what is no Dictionary"),
    "a variable of no kind": (model("z", [variable("x", 9, (3,))], [Z]), "is of the kind 9"),
    "an input on two axes": (model("z", [{**X, "dynamic_axis": [BATCH, BATCH]}], [Z]), "an input on the axes default"),
    "a function without inputs": (model("z", [X], [without(Z, "inputs")]), "a function (z) has no 'inputs'"),
    "inputs that are numbers": (model("z", [X], [{**Z, "inputs": [3]}]), "has in its 'inputs' what is no text"),
    "an op that is text": (model("z", [X], [{**Z, "op": "Negate"}]), "has as its 'op' what is no number"),
    "an op that is too great": (model("z", [X], [{**Z, "op": 999}]), "not supported: primitive 999 at z"),
    "an input that is nowhere": (model("z", [X], [function("z", NEGATE, ["y"])]), "nothing in it is called y"),
    "a second output": (model("z", [X], [function("z", NEGATE, ["y_Output_1"]), function("y", NEGATE, ["x"])]),
                        "y has no output number 1"),
    "too many inputs": (model("z", [X], [function("z", NEGATE, ["x", "x"])]), "not supported: Negate at z"),
    "a combination of itself": (model("z", [X], [function("z", COMBINE, ["z_Output_0"])]), "stands for itself"),
    "combinations in a circle": (
        model("z", [X], [function("z", COMBINE, ["y_Output_0"]), function("y", COMBINE, ["z_Output_0"])]),
        "stands for itself",
    ),
    "a block inside itself": (model("z", [X], [block("z", "z", ["x"], {})]), "the block z is inside of itself"),
    "blocks in a circle": (
        model("z", [X], [block("z", "y", ["x"], {}), block("y", "z", ["x"], {})]), "is inside of itself"
    ),
    "a placeholder for itself": (
        model("z", [X, variable("p", 4, (3,))], [block("z", "y", ["p"], {"p": "p"}), function("y", NEGATE, ["p"])]),
        "p stands for itself",
    ),
    "a placeholder for nothing": (
        model("z", [variable("p", 4, (3,))], [function("z", NEGATE, ["p"])]), "p stands for nothing"
    ),
    "a block without an inside": (model("z", [X], [block("z", "y", ["x"], {})]), "the inside of z, is missing"),
    "a loop without a delay": (
        model("z", [X], [function("z", 19, ["x", "y_Output_0"]), function("y", NEGATE, ["z_Output_0"])]),
        "depend on themselves, with no delay between them",
    ),
    "sums over no axis": (several({}), "not supported: ReduceElements at y"),
    "sums over what is no axis": (several({"axis": (3,)}), "not supported: ReduceElements at y"),
    "sums over what are no axes": (several({"axisVec": 1.0}), "not supported: ReduceElements at y"),
    "sums of nothing": (several({"axis": BATCH}, inputs=[]), "not supported: ReduceElements at y"),
    "parts that do not go together": (
        model("z", [variable("x", 0, (3, 2)), variable("v", 0, (2, 4))],
              [function("z", 43, ["x", "v"], {"axis": Axis(0, "", False)})]), "cannot be broadcast to"
    ),
    "a function of the user's": ((FIXTURES / "user_defined.model").read_bytes(), "not supported: "),
    "too few numbers": (parameter(array((3,), np.zeros(2))), "an array of the shape [3] has 2 numbers, not 3"),
    "no numbers": (parameter(array((3,), None)), "is truncated: an array of the shape [3] is said to have 12 bytes"),
    "another shape": (parameter(array((4,), np.zeros(4))), "of the shape [3] has an array of the shape [4] as its"),
    "absurd sizes": (parameter(array((1 << 40, 1 << 40), np.zeros(3))), "has 3 numbers, not 1,208,925,819,614,629,174"),
    "absurd sizes and no numbers": (parameter(array((1 << 40, 1 << 40), None)), "is truncated"),
    "a free size": (parameter(array((-3,), np.zeros(3))), "which is not of known size"),
    "an unknown dtype": (parameter(array((3,), np.zeros(3), dtype=3)), "an array of the unknown dtype 3"),
    "a parameter without a value": (model("z", [variable("x", 2, (3,))], [Z]), "has nothing as its value"),
    "a value of an unknown type": (dictionary({"a": Raw(15, b"")}), "a value of the unknown type 15"),
    "Dictionaries in Dictionaries": (NESTED, "nested more than 64 deep"),
    "the beginning of a large file": (LARGE_MAGIC + b"\x01\x00", "is truncated"),
    "a large file without a model": (LARGE_MAGIC + struct.pack("<I", 0) + b"x" * 99, "is truncated"),
    "a large file that is cut off": (LARGE_MAGIC + struct.pack("<I", 1 << 30) + b"x" * 99, "has 1,073,741,824 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_is_said_what_is_wrong(case: str, refused: Refused) -> None:
    content, message = CASES[case]
    assert message in refused(content if isinstance(content, bytes) else dictionary(content))


def test_a_large_file_without_its_numbers(refused: Refused) -> None:
    content = dictionary(parameter(array((3,), None)))
    assert "is truncated" in refused(LARGE_MAGIC + struct.pack("<I", len(content)) + content + bytes(11))


def old(change: Callable[[Legacy], object]) -> bytes:
    """A file of CNTK 1 of ``w x``, after a change of it."""
    n = Legacy(12)
    n.node("InputValue", "x", [], n.input((3,)))
    n.node("LearnableParameter", "w", [], n.parameter(np.ones((3, 2))))
    n.node("Times", "z", ["w", "x"], n.product())
    made = change(n)
    return made if isinstance(made, bytes) else n.tobytes()


def replaced(name: str, payload: bytes, kind: str = "LearnableParameter") -> Callable[[Legacy], object]:
    def change(n: Legacy) -> None:
        n.nodes = [
            (kind, name, inputs, payload) if node == name else (k, node, inputs, p) for k, node, inputs, p in n.nodes
        ]

    return change


def fed(name: str, inputs: list[str]) -> Callable[[Legacy], object]:
    def change(n: Legacy) -> None:
        n.nodes = [(k, node, inputs if node == name else i, p) for k, node, i, p in n.nodes]

    return change


ABSURD = b"d" + text("BMAT") + u64(4) + text("") + i32(0) + u64(1 << 40) + u64(1 << 40)
OLD: dict[str, tuple[Callable[[Legacy], object], str]] = {
    "a newer version": (lambda n: setattr(n, "version", 99), "has the version 99 of CNTK 1's format"),
    "no version": (lambda n: text("BCN") + text("BVersion") + u64(0) + text("EVersion"), "has the version 0"),
    "absurdly many nodes": (lambda n: text("BCN") + u64(1 << 60), "1,152,921,504,606,846,976 nodes"),
    "no list of nodes": (lambda n: text("BCN") + u64(1) + b"x" * 40, "'BNodeList' is expected"),
    "no end of text": (lambda n: text("BCN") + u64(1) + text("BNodeList") + b"ab" * 30, "text has no end"),
    "absurd sizes": (replaced("w", f32(1) + shape((3, 2)) + ABSURD), "is truncated: in the node 'w'"),
    "another size": (replaced("w", f32(1) + shape((3, 3)) + matrix(np.float32([1] * 6), 3, 2)), "[3, 3] has 6 numbers"),
    "very many axes": (replaced("w", f32(1) + u32(1 << 30)), "a shape is said to have 1,073,741,824 axes"),
    "a sparse matrix": (replaced("w", f32(1) + shape((3, 2)) + b"s"), "a matrix is stored in the way 115"),
    "elements of three bytes": (replaced("w", f32(1) + shape((1,)) + b"d" + text("BMAT") + u64(3)), "of 3 bytes"),
    "an unknown class": (replaced("z", b"", "Frobnicate"), "not supported: Frobnicate at z"),
    "a class that is no word": (replaced("z", b"", "\x02\x03"), "a node is of the class"),
    "an input that is nowhere": (fed("z", ["w", "y"]), "there is no node 'y'"),
    "too few inputs": (fed("z", ["x"]), "Times"),
    "no inputs": (fed("z", []), "has no outputs"),
    "a circle": (fed("z", ["w", "z"]), "has no outputs"),
    "a second node of that name": (lambda n: n.node("Negate", "z", ["x"]), "there is a second node 'z'"),
    "too few inputs of a class": (lambda n: n.node("LookupTable", "q", ["w"]) and n.groups["Output"].append("q"),
                                  "LookupTable at q: it has 1 inputs"),
    "a reduction over no axis": (lambda n: n.node("ReduceElements", "q", ["z"], i32(-9) + text("Sum")), "the axis -9"),
    "very many repetitions": (lambda n: n.node("RowRepeat", "q", ["z"], u64(1 << 40)), "1,099,511,627,776 times"),
}  # fmt: skip


@pytest.mark.parametrize("case", OLD)
def test_it_is_said_what_is_wrong_with_an_old_file(case: str, refused: Refused) -> None:
    change, message = OLD[case]
    assert message in refused(old(change))


# ---- what is much, and sound -----------------------------------------------------------------------------------------


def test_blocks_in_blocks(command_line: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """As deep as anybody likes."""
    depth = 2000
    blocks = [block(f"b{i}", f"b{i + 1}" if i < depth - 1 else "z", ["x"], {}) for i in range(depth)]
    (tmp_path / "a.model").write_bytes(dictionary(model("b0", [X], [*blocks, Z])))
    code, _, err = command_line(tmp_path / "a.model", tmp_path / "a.nx")
    assert (code, err) == (0, "")


def test_a_long_chain(command_line: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    chain = [function(f"f{i}", NEGATE, [f"f{i - 1}_Output_0" if i else "x"]) for i in range(3000)]
    (tmp_path / "a.model").write_bytes(dictionary(model("f2999", [X], chain)))
    code, _, err = command_line(tmp_path / "a.model", tmp_path / "a.nx")
    assert (code, err) == (0, "")


def test_everything_in_very_many_blocks(command_line: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    chain = [function(f"f{i}", NEGATE, [f"f{i - 1}_Output_0" if i else "x"]) for i in range(2000)]
    blocks = [block(f"b{i}", "f1999", ["x"], {}) for i in range(2000)]
    (tmp_path / "a.model").write_bytes(dictionary(model("b0", [X], [*chain, *blocks])))
    code, _, err = command_line(tmp_path / "a.model", tmp_path / "a.nx")
    assert (code, err) == (0, "")


def test_a_large_file(tmp_path: Path) -> None:
    """Of 2 GB and more, the numbers are behind the model; that is told by how a file begins, whatever its size."""
    first, second = np.arange(3, dtype=np.float32), np.arange(3, 9, dtype=np.float32)
    variables = [
        X,
        variable("v", 2, (3,), value=Raw(11, field(13, array((3,), None)))),
        variable("w", 3, (2, 3), value=Raw(11, field(13, array((2, 3), None, dtype=2)))),
        variable("h", 3, (3,), value=Raw(11, field(13, array((3,), None, dtype=4)))),
    ]
    content = dictionary(model("z", variables, [Z]))
    tail = first.tobytes() + second.astype("<f8").tobytes() + first.tobytes()
    path = tmp_path / "a.model"
    path.write_bytes(LARGE_MAGIC + struct.pack("<I", len(content)) + content + tail)
    assert looks_like_cntk(path)
    values = {uid: each.value for uid, each in read_model(path).variables.items() if each.value is not None}
    np.testing.assert_array_equal(values["v"].numpy(), first)
    np.testing.assert_array_equal(values["w"].numpy(), second.reshape(3, 2).astype(np.float64))
    assert values["h"].numpy().dtype == np.float16
    np.testing.assert_array_equal(values["h"].numpy(), first.astype(np.float16))
