"""Which files a Caffe2 model is made of."""

from __future__ import annotations

import hashlib
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

import nxconvert
from nxconvert.errors import ReadError
from nxconvert.formats.caffe2.files import Files, find_model
from nxconvert.formats.protobuf import varint
from nxconvert.frontends.caffe2 import frontend

FIXTURES = Path(__file__).parent.parent.parent.parent / "fixtures" / "caffe2_files"
PREDICT = 'name: "small" op { type: "FC" input: "x" input: "w" input: "b" output: "y" } external_output: "y"'
INIT = 'name: "weights" op { type: "ConstantFill" output: "w" } op { type: "XavierFill" output: "b" }'
NOT_INIT = 'op { type: "Scale" input: "z" output: "w" }'


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def find(path: Path, init: Path | None = None) -> tuple[Files, list[str]]:
    warnings: list[str] = []
    return find_model(path, init, warnings.append), warnings


def field(number: int, content: bytes | str) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def fill(type: str, output: str) -> bytes:
    return field(2, field(2, output) + field(4, type))


def database(*entries: tuple[str, bytes]) -> bytes:
    return b"".join(struct.pack("<ii", len(key), len(value)) + key.encode() + value for key, value in entries)


def tensor(name: str, *values: float) -> tuple[str, bytes]:
    content = b"\x08" + varint(len(values)) + field(3, struct.pack(f"<{len(values)}f", *values)) + field(7, name)
    return f"{name}#%0", field(1, name) + field(2, "Tensor") + field(3, content)


def predictor(name: str = "", load: bytes = b"", predict: str = "PREDICT_NET_TYPE") -> bytes:
    suffix = f"_{name}" if name else ""
    fc = field(2, field(1, "x") + field(1, "w") + field(2, "y") + field(4, "FC"))
    loading = field(2, field(1, "!!PREDICTOR_DBREADER") + field(2, "w") + field(4, "Load") + load)
    nets = {predict: fc, "PREDICT_INIT_NET_TYPE": fill("ConstantFill", "x"), "GLOBAL_INIT_NET_TYPE": loading}
    lists = {"INPUTS_BLOB_TYPE": "x", "OUTPUTS_BLOB_TYPE": "y", "PARAMETERS_BLOB_TYPE": "w"}
    meta = b"".join(field(1, field(1, key + suffix) + field(2, blob)) for key, blob in lists.items())
    meta += b"".join(field(2, field(1, key + suffix) + field(2, net)) for key, net in nets.items())
    blob = field(1, "!!META_NET_DEF") + field(2, "std::string") + field(4, meta)
    return database(("!!META_NET_DEF", blob), tensor("w", 1, 2))


class TestPairs:
    @pytest.mark.parametrize(
        "net, init",
        [
            ("predict_net.pb", "init_net.pb"),
            ("predict_net.pbtxt", "init_net.pb"),
            ("predict_net.pb", "init_net.pbtxt"),
            ("predict_net.pb.txt", "init_net.prototxt"),
            ("predict.pb", "init.pb"),
            ("exec_net.pb", "init_net.pb"),
            ("model.pb", "model_init.pb"),
            ("model.pb", "model_init_net.pb"),
            ("squeeze_predict_net.pb", "squeeze_init_net.pb"),
            ("PredictNet.pb", "InitNet.pb"),
            ("resnet50-predict-int8.pb", "resnet50-init-int8.pb"),
            ("x_pred_net.pb", "x_init_net.pb"),
            ("a.pb", "a_weights.pb"),
        ],
    )
    def test_by_name(self, net: str, init: str, write: Callable[..., Path]) -> None:
        path, weights = write(net, PREDICT), write(init, INIT)
        write("other_init_net.pb", INIT)
        files, warnings = find(path)
        assert (files.path, files.init_path, warnings) == (path, weights, [])
        assert (files.predict.name, [net.name for net in files.inits]) == ("small", ["weights"])
        assert (files.tensors, files.inputs, files.outputs, files.value_info, files.looked) == ({}, [], [], {}, [])

    def test_the_form_of_the_net_comes_first(self, write: Callable[..., Path]) -> None:
        text, binary = write("init_net.pbtxt", INIT), write("init_net.pb", INIT)
        assert find(write("predict_net.pb", PREDICT))[0].init_path == binary
        assert find(write("predict_net.pbtxt", PREDICT))[0].init_path == text

    def test_a_net_without_weights(self, write: Callable[..., Path]) -> None:
        path, other = write("a_predict_net.pb", PREDICT), write("b_init_net.pb", INIT)
        files, warnings = find(path)
        assert (files.inits, files.init_path, warnings) == ([], None, [])
        assert [each.name for each in files.looked] == ["a_init_net.pb", "a_predict_net_init.pb"]
        assert files.candidates == [other]

    def test_what_is_called_an_init_net_and_is_none(self, write: Callable[..., Path]) -> None:
        write("init_net.pb", NOT_INIT)
        with pytest.raises(ReadError, match=r"called like the init net .* needs blobs that it does not make, z"):
            find(write("predict_net.pb", PREDICT))

    def test_the_init_net_is_given_by_mistake(self, write: Callable[..., Path]) -> None:
        weights = write("init_net.pb", INIT)
        with pytest.raises(ReadError, match="is an init net: it only makes weights"):
            find(weights)
        path = write("predict_net.pb", PREDICT)
        files, warnings = find(weights)
        assert (files.path, files.init_path) == (path, weights)
        assert warnings == [f"{weights} is an init net; {path} is taken, the net that belongs to it."]

    def test_a_net_that_only_fills_is_a_net_where_its_name_says_so(self, write: Callable[..., Path]) -> None:
        files, _ = find(write("predict_net.pb", INIT))
        assert (files.predict.name, files.inits) == ("weights", [])

    def test_a_damaged_init_net(self, write: Callable[..., Path]) -> None:
        path = write("predict_net.pb", PREDICT)
        weights = write("init_net.pb", fill("ConstantFill", "w") + fill("ConstantFill", "b")[:-1])
        with pytest.raises(ReadError, match="init_net.pb is truncated"):
            find(path)
        with pytest.raises(ReadError, match="init_net.pb is truncated"):
            find(path, weights)


class TestGivenInit:
    def test_any_name(self, write: Callable[..., Path]) -> None:
        path, weights = write("a.pb", PREDICT), write("sub/b.pbtxt", INIT)
        write("a_init.pb", INIT)
        files, warnings = find(path, weights)
        assert (files.path, files.init_path, files.inits[0].name, warnings) == (path, weights, "weights", [])

    def test_the_other_way_round(self, write: Callable[..., Path]) -> None:
        path, weights = write("a.pb", PREDICT), write("b.pb", INIT)
        files, warnings = find(weights, path)
        assert (files.path, files.init_path, files.predict.name) == (path, weights, "small")
        assert warnings == [
            f"{weights} is the init net and {path} the net that computes: they are taken the other way round."
        ]

    def test_two_of_a_kind(self, write: Callable[..., Path]) -> None:
        with pytest.raises(ReadError, match=r"b.pb is no init net: it needs blobs that it does not make, x, w, b\."):
            find(write("a.pb", PREDICT), write("b.pb", PREDICT))
        with pytest.raises(ReadError, match="only makes weights"):
            find(write("a.pb", INIT), write("b.pb", INIT))

    def test_a_database_of_weights(self, write: Callable[..., Path]) -> None:
        path, weights = write("a.pb", PREDICT), write("w.minidb", database(tensor("w", 1, 2), tensor("b", 3)))
        for files, _ in (find(path, weights), find(weights, path)):
            assert (files.path, files.init_path, files.inits) == (path, weights, [])
            assert {name: each.values.tolist() for name, each in files.tensors.items()} == {"w": [1, 2], "b": [3]}
        assert len(find(weights, path)[1]) == 1
        with pytest.raises(ReadError, match="database of 2 tensors, without a net"):
            find(weights)


class TestPredictors:
    @pytest.mark.parametrize("name", ["", "mlp"])
    @pytest.mark.parametrize("file", ["model.minidb", "model.mdl", "model"])
    def test_it_holds_everything(self, name: str, file: str, write: Callable[..., Path]) -> None:
        path = write(file, predictor(name))
        files, warnings = find(path)
        assert (files.path, files.inputs, files.outputs, warnings) == (path, ["x"], ["y"], [])
        assert [op.type for op in files.predict.ops] == ["FC"]
        assert [[op.type for op in net.ops] for net in files.inits] == [[], ["ConstantFill"]]
        assert files.tensors["w"].values.tolist() == [1, 2]

    def test_names_are_mapped_as_load_does(self, write: Callable[..., Path]) -> None:
        sources = field(5, field(1, "source_blob_names") + field(7, "pre/w"))
        content = predictor(load=sources + field(5, field(1, "add_prefix") + field(4, "pre/")))
        assert find(write("a.minidb", content))[0].tensors["w"].values.tolist() == [1, 2]
        with pytest.raises(ReadError, match="lacks the tensors v"):
            find(write("b.minidb", predictor(load=field(2, "v"))))

    def test_what_makes_no_sense(self, write: Callable[..., Path]) -> None:
        path = write("a.minidb", predictor())
        with pytest.raises(ReadError, match="holds its weights: leave --init"):
            find(path, write("init.pb", INIT))
        with pytest.raises(ReadError, match="a predictor without a net"):
            find(write("b.minidb", predictor(predict="OTHER")))


class TestFolders:
    def test_one_model(self, write: Callable[..., Path], tmp_path: Path) -> None:
        binary = write("predict_net.pb", PREDICT)
        write("predict_net.pbtxt", PREDICT)
        weights = write("init_net.pb", INIT)
        write("notes.pb", "nothing of this")
        write("export.minidb", predictor())
        assert frontend.detect(tmp_path)
        files, warnings = find(tmp_path)
        assert (files.path, files.init_path, warnings) == (binary, weights, [])

    def test_a_predictor(self, write: Callable[..., Path], tmp_path: Path) -> None:
        path = write("model.mdl", predictor())
        write("notes.txt", "nothing")
        assert frontend.detect(tmp_path)
        assert find(tmp_path)[0].path == path

    def test_several_models(self, write: Callable[..., Path], tmp_path: Path) -> None:
        for name in ("a.pb", "a_init.pb", "b.pbtxt"):
            write(name, INIT if "init" in name else PREDICT)
        with pytest.raises(ReadError, match=r"holds several models: a\.pb, b\.pbtxt\. Give the file"):
            find(tmp_path)

    def test_no_net_that_computes(self, write: Callable[..., Path], tmp_path: Path) -> None:
        write("init_net.pb", INIT)
        with pytest.raises(ReadError, match=r"no net that computes, only what makes weights: init_net\.pb"):
            find(tmp_path)

    def test_none(self, write: Callable[..., Path], tmp_path: Path) -> None:
        write("notes.pb", "nothing")
        assert not frontend.detect(tmp_path)
        with pytest.raises(ReadError, match="holds no Caffe2 model"):
            find(tmp_path)


def test_operators_have_the_seed_of_their_net(write: Callable[..., Path]) -> None:
    ops = "".join(
        f'op {{ type: "UniformFill" output: "{name}" {device} }}'
        for name, device in (
            ("a", ""),
            ("b", "device_option { random_seed: 6 }"),
            ("c", "device_option { device_id: 1 }"),
        )
    )
    write("init_net.pb", ops + "device_option { random_seed: 5 }")
    path = write("predict_net.pb", PREDICT)
    seeds = [op.device and op.device.random_seed for op in find(path)[0].inits[0].ops]
    assert seeds == [5, 6, 5]
    assert find(path)[0].predict.ops[0].device is None


class TestValueInfo:
    def test_dtypes_and_dims(self, write: Callable[..., Path]) -> None:
        write("value_info.json", '{"x": [1, [1, 3, 224, 224]], "n": [7, []]}')
        files, warnings = find(write("net.pb", PREDICT))
        assert files.value_info == {"x": ("float32", (1, 3, 224, 224)), "n": ("int64", ())}
        assert warnings == []

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "[]",
            "{",
            '{"x": 5}',
            '{"x": [1, [-1]]}',
            '{"x": [99, [1]]}',
            '{"x": [0, []]}',
            '{"x": [1, ["a"]]}',
            "[" * 9999,
        ],
    )
    def test_one_that_is_damaged_is_left_aside(self, content: str, write: Callable[..., Path]) -> None:
        write("value_info.json", content)
        files, warnings = find(write("net.pb", PREDICT))
        assert files.value_info == {}
        assert len(warnings) == 1
        assert "is left aside" in warnings[0]


class TestConversion:
    """The files of the real runtime, from the command's point of view."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A net of one layer, with its weights."""
        net = 'op { type: "FC" input: "x" input: "w" input: "b" output: "y" } external_input: "x" external_output: "y"'
        (tmp_path / "a_predict_net.pbtxt").write_text(net)
        weights = "".join(
            f'op {{ type: "GivenTensorFill" output: "{name}" '
            f'arg {{ name: "shape" ints: {shape} }} arg {{ name: "values" floats: {values} }} }}\n'
            for name, shape, values in (("w", "[1, 2]", "[3, 4]"), ("b", "1", "5"))
        )
        (tmp_path / "a_init_net.pbtxt").write_text(weights)
        return tmp_path

    def test_both_files_are_known_by_their_hashes(self, folder: Path) -> None:
        net, weights = folder / "a_predict_net.pbtxt", folder / "a_init_net.pbtxt"
        hashes = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in (net, weights)}
        for source in (net, weights):
            nxconvert.convert(source, folder / "out.nx", inputs={"x": "float32[batch,2]"})
            known = {entry.key: entry.value for entry in onnx.load(folder / "out.nx").metadata_props}
            assert known["nxconvert.source_sha256"] == hashes.pop(source)
            assert (
                known["nxconvert.init_sha256"]
                == hashlib.sha256((weights if source is net else net).read_bytes()).hexdigest()
            )
        assert not hashes
        nxconvert.convert(folder, folder / "out.onnx", inputs={"x": "float32[batch,2]"})
        known = {entry.key: entry.value for entry in onnx.load(folder / "out.onnx").metadata_props}
        assert "nxconvert.init_sha256" not in known  # the hash of the folder is that of all files in it

    def test_another_init_net(self, folder: Path, tmp_path: Path) -> None:
        pytest.importorskip("onnxruntime")
        other = folder / "other.pbtxt"
        other.write_text((folder / "a_init_net.pbtxt").read_text().replace("floats: 5", "floats: 7"))
        net, x = folder / "a_predict_net.pbtxt", {"x": np.ones((1, 2), np.float32)}
        assert nxconvert.run(net, x, runtime="onnxruntime")["y"].tolist() == [[12]]
        assert nxconvert.run(net, x, runtime="onnxruntime", init=other)["y"].tolist() == [[14]]
        (folder / "a_init_net.pbtxt").unlink()
        with pytest.raises(ReadError, match=r"no init net fills the weights.*a_init_net\.pbtxt"):
            nxconvert.run(net, x, runtime="onnxruntime")

    @pytest.mark.parametrize("name", ["mlp_predict_net.pb", "mlp_predict_net.pbtxt", "mlp.minidb", "mlp_named.mdl"])
    def test_every_form_computes_what_the_runtime_did(self, name: str) -> None:
        pytest.importorskip("onnxruntime")
        with np.load(FIXTURES / "mlp.npz") as truth:
            outputs = nxconvert.run(FIXTURES / name, {"x": truth["x"]}, runtime="onnxruntime")
            assert list(outputs) == ["y"]
            assert (outputs["y"].dtype, outputs["y"].shape) == (truth["y"].dtype, truth["y"].shape)
            np.testing.assert_allclose(outputs["y"], truth["y"], rtol=1e-5, atol=1e-7)

    def test_an_init_net_of_a_real_exporter_gives_its_net(self, tmp_path: Path) -> None:
        for name in ("mlp_predict_net.pb", "mlp_init_net.pb"):
            shutil.copy(FIXTURES / name, tmp_path / name)
        report = nxconvert.convert(tmp_path / "mlp_init_net.pb", tmp_path / "out.nx")
        assert any("is an init net" in warning for warning in report.warnings)
        assert list(report.outputs) == ["y"]


def test_other_outputs_than_the_nets_own(write: Callable[..., Path]) -> None:
    net = (
        'op { type: "Relu" input: "x" output: "a" } op { type: "Tanh" input: "z" output: "b" }'
        'op { type: "Add" input: "a" input: "b" output: "y" } external_output: "y"'
    )
    path = write("net.pbtxt", net)
    given = {"x": "float32[n,2]"}
    model = nxconvert.load(path, outputs=["a"], inputs=given)
    assert [value.name for value in model.graph.inputs] == ["x"]
    assert [value.name for value in model.graph.outputs] == ["a"]
    with pytest.raises(nxconvert.UsageError, match=r"is called 'c'\. The model's outputs are y\."):
        nxconvert.load(path, outputs=["c"], inputs=given)
