"""What lands on the disk: complete files, or none."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnx.checker
import onnx_ir as ir
import pytest

from nxconvert.backends.onnx import backend, streaming
from nxconvert.errors import UnsupportedError, UsageError, WriteError
from nxconvert.formats.tensors import ComputedTensor, MappedFile, MappedTensor, transposed
from nxconvert.plugins import WriteOptions

FLOAT = ir.DataType.FLOAT
ROWS, COLUMNS = 300, 70


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of random float32 numbers."""
    path = tmp_path / "source"
    path.write_bytes(np.random.default_rng(0).standard_normal(2 * ROWS * COLUMNS).astype(np.float32).tobytes())
    return path


def network(source: Path) -> ir.Model:
    """x @ w + v @ u', with `w` and `v` mapped from a file, `u` computed and small things in memory."""
    file = MappedFile(source)
    w = MappedTensor(file, 0, FLOAT, [COLUMNS, ROWS], "w")
    u = MappedTensor(file, w.nbytes, FLOAT, [ROWS, COLUMNS], "u")
    tensors = {
        "layer.weight": w,
        "layer.u": transposed(u, [1, 0]),
        "layer.scale": ComputedTensor(lambda: np.full(ROWS, 2, np.float32), FLOAT, [ROWS]),
        "layer.bias": ir.tensor(np.arange(ROWS, dtype=np.float32)),
        "one": ir.tensor(1.0),
    }
    x = ir.Value(name="x", type=ir.TensorType(FLOAT), shape=ir.Shape(["batch", COLUMNS]))
    graph = ir.Graph([x], [], nodes=[], name="main", opset_imports={"": 20})
    for name, tensor in tensors.items():
        tensor.name = name
        shape = ir.Shape(tensor.shape.numpy())
        value = ir.Value(name=name, type=ir.TensorType(FLOAT), shape=shape, const_value=tensor)
        graph.register_initializer(value)

    def node(op_type: str, *inputs: ir.Value) -> ir.Value:
        out = ir.Value(name=f"{op_type}.{len(graph)}", type=ir.TensorType(FLOAT), shape=ir.Shape(["batch", ROWS]))
        source = {"nxconvert.source": "aten::linear m.py:1"}
        graph.append(ir.Node("", op_type, inputs, outputs=[out], name=f"/{out.name}", metadata_props=source))
        return out

    weights = graph.initializers
    left, right = node("MatMul", x, weights["layer.weight"]), node("MatMul", x, weights["layer.u"])
    scaled = node("Mul", right, weights["layer.scale"])
    total = node("Add", node("Add", left, scaled), weights["layer.bias"])
    y = node("Sub", total, weights["one"])
    y.name = "y"
    graph.outputs.append(y)
    return ir.Model(graph, ir_version=10)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def result(path: Path) -> np.ndarray:
    import onnxruntime

    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.ones((2, COLUMNS), np.float32)})[0]


def truth(source: Path) -> np.ndarray:
    w, u = np.frombuffer(source.read_bytes(), np.float32).reshape(2, -1)
    x = np.ones((2, COLUMNS), np.float32)
    return x @ w.reshape(COLUMNS, ROWS) + x @ u.reshape(ROWS, COLUMNS).T * 2 + np.arange(ROWS, dtype=np.float32) - 1


@pytest.mark.parametrize("external", [None, False, True])
def test_the_model_runs(source: Path, external: bool | None):
    target = source.with_name("m.nx")
    backend.write(network(source), target, WriteOptions(external_data=external))
    np.testing.assert_allclose(result(target), truth(source), rtol=1e-4, atol=1e-4)
    assert names_in(source.parent) == ["m.nx", "m.nx.data", "source"] if external else ["m.nx", "source"]


def test_it_is_what_onnx_itself_would_write(source: Path):
    target = source.with_name("m.onnx")
    model = network(source)
    backend.write(model, target, WriteOptions(metadata={"nxconvert.a": "b"}))
    expected = ir.to_proto(model)
    expected.metadata_props.add(key="nxconvert.a", value="b")
    for value in list(expected.graph.value_info):
        if value.name in model.graph.initializers:
            expected.graph.value_info.remove(value)
    assert onnx.load(target) == expected
    assert target.read_bytes() == expected.SerializeToString(deterministic=True)


def test_the_header(source: Path):
    target = source.with_name("m.nx")
    model = network(source)
    model.metadata_props["of the source"] = "kept"
    backend.write(model, target, WriteOptions(metadata={"nxconvert.source_sha256": "ab"}))
    proto = onnx.load(target)
    assert (proto.producer_name, proto.ir_version, proto.opset_import[0].version) == ("nxconvert", 9, 20)
    assert {p.key: p.value for p in proto.metadata_props} == {"nxconvert.source_sha256": "ab", "of the source": "kept"}
    assert {i.name for i in proto.graph.initializer} == set(model.graph.initializers)
    assert {v.name for v in proto.graph.value_info} == {"MatMul.0", "MatMul.1", "Mul.2", "Add.3", "Add.4"}


def test_the_suffix_and_the_run_make_no_difference(source: Path):
    paths = [source.with_name(name) for name in ("a.nx", "b.onnx", "c.nx")]
    for path in paths:
        backend.write(network(source), path, WriteOptions())
    assert paths[0].read_bytes() == paths[1].read_bytes() == paths[2].read_bytes()


def test_external_data_is_aligned_and_small_tensors_stay(source: Path):
    target = source.with_name("m.nx")
    backend.write(network(source), target, WriteOptions(external_data=True))
    places = {}
    for tensor in onnx.load(target, load_external_data=False).graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            places[tensor.name] = {entry.key: entry.value for entry in tensor.external_data}
    assert set(places) == {"layer.weight", "layer.u", "layer.scale", "layer.bias"}
    assert {place["location"] for place in places.values()} == {"m.nx.data"}
    assert all(int(places[name]["offset"]) % 4096 == 0 for name in ("layer.weight", "layer.u"))
    assert all(int(place["offset"]) % 64 == 0 for place in places.values())
    assert int(places["layer.u"]["length"]) == ROWS * COLUMNS * 4


def test_external_data_of_subgraphs(tmp_path: Path):
    import onnxruntime

    c = ir.Value(name="c", type=ir.TensorType(ir.DataType.BOOL), shape=ir.Shape([]))

    def branch(number: float) -> ir.Graph:
        tensor = ir.tensor(np.full(2000, number, np.float32), name=f"w{number}")
        w = ir.Value(name=tensor.name, type=ir.TensorType(FLOAT), shape=ir.Shape([2000]), const_value=tensor)
        node = ir.Node("", "Neg", [w], outputs=[ir.Value(name=f"n{number}", type=w.type, shape=w.shape)])
        return ir.Graph([], node.outputs, nodes=[node], initializers=[w], name=f"g{number}")

    branches = [ir.AttrGraph("then_branch", branch(1)), ir.AttrGraph("else_branch", branch(2))]
    y = ir.Value(name="y", type=ir.TensorType(FLOAT), shape=ir.Shape([2000]))
    graph = ir.Graph([c], [y], nodes=[ir.Node("", "If", [c], branches, outputs=[y])], name="m", opset_imports={"": 20})
    target = tmp_path / "m.nx"
    backend.write(ir.Model(graph, ir_version=10), target, WriteOptions(external_data=True))
    assert (tmp_path / "m.nx.data").stat().st_size == 8192 + 8000
    onnx.checker.check_model(target, full_check=True)
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    assert [session.run(None, {"c": np.array(flag)})[0][0] for flag in (True, False)] == [-1, -2]


def test_weights_beyond_two_gigabytes_go_to_a_file_beside(source: Path, monkeypatch: pytest.MonkeyPatch):
    from nxconvert.backends.onnx import writer

    monkeypatch.setattr(writer, "_LIMIT", 100_000)
    target = source.with_name("m.nx")
    backend.write(network(source), target, WriteOptions())
    assert target.stat().st_size < 10_000
    np.testing.assert_allclose(result(target), truth(source), rtol=1e-4, atol=1e-4)
    with pytest.raises(WriteError, match="external data"):
        backend.write(network(source), target, WriteOptions(external_data=False))


def test_other_opsets(source: Path):
    target = source.with_name("m.nx")
    for opset, ir_version in ((17, 8), (21, 10), (27, 13)):
        backend.write(network(source), target, WriteOptions(opset=opset))
        proto = onnx.load(target)
        assert (proto.opset_import[0].version, proto.ir_version) == (opset, ir_version)
        np.testing.assert_allclose(result(target), truth(source), rtol=1e-4, atol=1e-4)
    for opset in (16, 28):
        with pytest.raises(UsageError, match="17 to 27"):
            backend.write(network(source), target, WriteOptions(opset=opset))


def test_an_opset_that_cannot_express_the_model_writes_nothing(source: Path):
    model = network(source)
    model.graph[0].op_type = "StringConcat"
    with pytest.raises(UnsupportedError, match="opset 20 is the smallest"):
        backend.write(model, source.with_name("m.nx"), WriteOptions(opset=19))
    assert names_in(source.parent) == ["source"]


def test_progress_goes_from_none_to_all(source: Path):
    told: list[tuple[str, float | None]] = []
    options = WriteOptions(progress=lambda stage, fraction: told.append((stage, fraction)))
    backend.write(network(source), source.with_name("m.nx"), options)
    fractions = [fraction for _, fraction in told]
    assert {stage for stage, _ in told} == {"writing"}
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


class _LateMetadata(Mapping[str, str]):
    """Metadata that notes how large the file is when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.sizes = folder, list[int]()

    def __getitem__(self, key: str) -> str:
        self.sizes.append(max(path.stat().st_size for path in self.folder.iterdir() if path.name.endswith(".tmp")))
        return "b"

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


def test_metadata_is_asked_for_when_the_weights_are_written(source: Path):
    metadata = _LateMetadata(source.parent)
    backend.write(network(source), source.with_name("m.nx"), WriteOptions(metadata=metadata))
    assert min(metadata.sizes) > 2 * ROWS * COLUMNS * 4


# ---- what can go wrong ----------------------------------------------------------------------------------------------


def assert_untouched(target: Path) -> None:
    """The old file is as it was, and nothing is left beside it."""
    assert target.read_text() == "the old file"
    assert names_in(target.parent) == ["m.nx", "source"]


@pytest.fixture
def target(source: Path) -> Path:
    path = source.with_name("m.nx")
    path.write_text("the old file")
    return path


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize(
    "error, message",
    [(OSError(errno.ENOSPC, "No space"), "disk.*full"), (KeyboardInterrupt(), None), (MemoryError(), None)],
)
def test_a_failure_while_writing(target: Path, source: Path, monkeypatch, error, message: str | None, external: bool):
    calls = []

    def pwrite(descriptor: int, data: object, offset: int) -> int:
        calls.append(offset)
        if len(calls) > 2:
            raise error
        return real(descriptor, data, offset)

    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(WriteError if message else type(error), match=message):
        backend.write(network(source), target, WriteOptions(external_data=external))
    assert_untouched(target)


def test_a_failure_while_copying_in_the_kernel(target: Path, source: Path, monkeypatch):
    def copy(*_: object) -> int:
        raise OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr(os, "copy_file_range", copy)
    with pytest.raises(WriteError, match="too large for the file system"):
        backend.write(network(source), target, WriteOptions())
    assert_untouched(target)


@pytest.mark.parametrize("answer", [OSError(errno.EXDEV, "other device"), 0])
def test_a_file_system_that_cannot_copy_in_the_kernel(source: Path, monkeypatch, answer: object):
    def copy(*_: object) -> int:
        if isinstance(answer, OSError):
            raise answer
        return 0

    expected = source.with_name("expected.nx")
    backend.write(network(source), expected, WriteOptions())
    monkeypatch.setattr(os, "copy_file_range", copy)
    backend.write(network(source), source.with_name("m.nx"), WriteOptions())
    monkeypatch.delattr(os, "copy_file_range")
    monkeypatch.delattr(os, "pread")
    monkeypatch.delattr(os, "pwrite")
    backend.write(network(source), source.with_name("n.nx"), WriteOptions())
    assert source.with_name("m.nx").read_bytes() == expected.read_bytes() == source.with_name("n.nx").read_bytes()


def test_a_source_that_became_shorter(target: Path, source: Path):
    model = network(source)
    os.truncate(source, 10_000)
    model.graph.initializers["layer.u"].const_value = ir.tensor(np.zeros((COLUMNS, ROWS), np.float32))
    with pytest.raises(WriteError, match="became shorter"):
        backend.write(model, target, WriteOptions())
    assert_untouched(target)


def test_a_weight_that_cannot_be_read(target: Path, source: Path):
    model = network(source)
    missing = ir.ExternalTensor("gone", 0, None, FLOAT, shape=ir.Shape([COLUMNS, ROWS]), name="w", base_dir=".")
    model.graph.initializers["layer.u"].const_value = missing
    with pytest.raises(WriteError, match="cannot be read"):
        backend.write(model, target, WriteOptions())
    assert_untouched(target)


def test_a_weight_of_another_size_than_announced(target: Path, source: Path):
    model = network(source)
    wrong = ComputedTensor(lambda: np.zeros(5000, np.float32), FLOAT, [COLUMNS, ROWS], "layer.u")
    model.graph.initializers["layer.u"].const_value = wrong
    with pytest.raises(WriteError, match=r"layer.u has 20000 bytes.*FLOAT\[70, 300\].*84000"):
        backend.write(model, target, WriteOptions())
    assert_untouched(target)


@pytest.mark.parametrize(
    "name, message",
    [
        ("folder", "it is a folder"),
        ("missing/m.nx", "missing does not exist"),
        ("source/m.nx", "is no folder"),
        ("n" * 300, "too long"),
    ],
)
def test_targets_that_cannot_be_written(source: Path, name: str, message: str):
    (source.parent / "folder").mkdir()
    with pytest.raises(WriteError, match=message):
        backend.write(network(source), source.parent / name, WriteOptions())
    assert names_in(source.parent) == ["folder", "source"]


def test_something_else_than_a_file_is_not_replaced(source: Path):
    pipe = source.with_name("pipe")
    os.mkfifo(pipe)
    with pytest.raises(WriteError, match="no regular file"):
        backend.write(network(source), pipe, WriteOptions())


@pytest.mark.parametrize("code, message", [(errno.EACCES, "no permission"), (errno.EROFS, "only be read")])
def test_a_folder_without_permission(target: Path, source: Path, monkeypatch, code: int, message: str):
    model = network(source)

    def refuse(*_: object) -> int:
        raise OSError(code, "no")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(WriteError, match=message):
        backend.write(model, target, WriteOptions())
    monkeypatch.undo()
    assert_untouched(target)


def test_a_write_protected_file_is_not_replaced(target: Path, source: Path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(WriteError, match="write-protected"):
        backend.write(network(source), target, WriteOptions())
    assert_untouched(target)


def test_a_link_stays_a_link(source: Path):
    (source.parent / "real").mkdir()
    link = source.with_name("m.nx")
    link.symlink_to("real/model.nx")
    backend.write(network(source), link, WriteOptions())
    assert link.is_symlink()
    assert names_in(source.parent / "real") == ["model.nx"]


def test_permissions_are_those_of_any_new_file(source: Path):
    old = os.umask(0o027)
    try:
        backend.write(network(source), source.with_name("m.nx"), WriteOptions())
    finally:
        os.umask(old)
    assert source.with_name("m.nx").stat().st_mode & 0o777 == 0o640


def test_a_model_never_meets_the_data_of_another_one(source: Path, monkeypatch):
    """Between the two renamings there is no model rather than one with the wrong data."""
    target = source.with_name("m.nx")
    backend.write(network(source), target, WriteOptions(external_data=True))
    seen = []

    def replace(self: Path, to: Path) -> Path:
        seen.append((to.name, target.exists()))
        return real(self, to)

    real = Path.replace
    monkeypatch.setattr(Path, "replace", replace)
    backend.write(network(source), target, WriteOptions(external_data=True))
    assert seen == [("m.nx.data", False), ("m.nx", False)]


def test_computed_weights_are_bounded_in_memory(source: Path, monkeypatch):
    """However many threads, only so many bytes of computed weights are there at a time."""
    monkeypatch.setattr(streaming, "_IN_MEMORY", 100_000)
    monkeypatch.setattr(streaming, "_THREADS", 8)
    alive, most = [0], [0]

    def compute() -> np.ndarray:
        alive[0] += 1
        most[0] = max(most[0], alive[0])
        array = np.zeros((COLUMNS, ROWS), np.float32)
        alive[0] -= 1
        return array

    model = network(source)
    for index in range(20):
        tensor = ComputedTensor(compute, FLOAT, [COLUMNS, ROWS], f"w{index}")
        value = ir.Value(name=f"w{index}", type=ir.TensorType(FLOAT), shape=tensor.shape, const_value=tensor)
        model.graph.register_initializer(value)
    backend.write(model, source.with_name("m.nx"), WriteOptions())
    assert most == [1]


PEAK = """
import sys
from pathlib import Path
import nxconvert
import onnx_ir as ir
import nxconvert.backends.onnx.writer
from nxconvert.backends.onnx import backend
from nxconvert.formats.tensors import MappedFile, MappedTensor
from nxconvert.passes.weights import TransposedTensor
from nxconvert.plugins import WriteOptions

path, kind, external = sys.argv[1:]
file = MappedFile(path)
graph = ir.Graph([], [], nodes=[], name="main", opset_imports={"": 20})
rows = file.size // 8 // 1024
for name, offset in (("a", 0), ("b", file.size // 2)):
    tensor = MappedTensor(file, offset, ir.DataType.FLOAT, [rows, 1024], name)
    if kind == "transposed":
        tensor = TransposedTensor(tensor, (1, 0), name)
    shape = ir.Shape(tensor.shape.numpy())
    value = ir.Value(name=name, type=ir.TensorType(tensor.dtype), shape=shape, const_value=tensor)
    graph.register_initializer(value)

def peak():  # of this process alone: what getrusage says includes the process that started it
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])

before = peak()
options = WriteOptions(external_data=external == "external")
backend.write(ir.Model(graph, ir_version=9), Path(path).with_name("m.nx"), options)
print((peak() - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("external", ["external", "inlined"])
@pytest.mark.parametrize("kind, most", [("mapped", 16), ("transposed", 180)])
def test_weights_are_never_in_memory(tmp_path: Path, kind: str, most: int, external: str):
    """Two weights of 192 MB each (holes in a file: quickly made, and quickly copied)."""
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.truncate(384 << 20)
    command = [sys.executable, "-c", PEAK, str(source), kind, external]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < most
    assert sum(path.stat().st_size for path in tmp_path.glob("m.nx*")) > 384 << 20
