"""The Python API, on ONNX and on a toy format: `load`, `save`, `convert`, `run`, and what they cost to import."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import typing
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

import nxconvert
from nxconvert import InputError, ReadError, RunError, RuntimeMissingError, UnsupportedError, UsageError, WriteError
from nxconvert.fingerprint import Fingerprint
from nxconvert.report import human_bytes


def metadata(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


class TestImport:
    def test_nothing_is_imported_before_it_is_used(self) -> None:
        code = (
            "import sys, nxconvert\n"
            "print(*sorted({'numpy', 'onnx', 'onnx_ir', 'sympy', 'click', 'rich', 'torch'} & set(sys.modules)))"
        )
        assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == []

    def test_a_conversion_needs_no_framework(self, classifier_file: Path, tmp_path: Path) -> None:
        code = (
            "import sys, nxconvert\n"
            f"nxconvert.convert({str(classifier_file)!r}, {str(tmp_path / 'out.nx')!r})\n"
            "print(*sorted({'torch', 'onnxruntime', 'onnxscript', 'sympy', 'click', 'rich'} & set(sys.modules)))"
        )
        assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == []

    def test_what_is_public_is_there_and_typed(self) -> None:
        for name in nxconvert.__all__:
            assert getattr(nxconvert, name) is not None
        assert set(nxconvert.__all__) <= set(dir(nxconvert))
        for function in (nxconvert.load, nxconvert.save, nxconvert.convert, nxconvert.run, nxconvert.check):
            annotations = function.__annotations__
            assert "return" in annotations
            assert function.__doc__
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            nxconvert.nothing  # noqa: B018

    def test_a_function_is_not_hidden_by_a_module(self) -> None:
        import nxconvert.checking
        import nxconvert.conversion

        assert callable(nxconvert.convert)
        assert callable(nxconvert.check)
        assert not isinstance(typing.cast(object, nxconvert.run), type(nxconvert))


class TestConvert:
    def test_the_report(self, classifier_file: Path, tmp_path: Path) -> None:
        report = nxconvert.convert(classifier_file, tmp_path / "out.nx")
        assert (report.source_format, report.target_format, report.opset) == ("onnx", "onnx", 20)
        assert report.nodes == 4
        assert report.parameters == 50 * 16 + 16 * 300
        assert report.free_dims == ("batch", "seq")
        assert report.inputs == {"ids": "int64[batch,seq]", "x": "float32[batch,seq,16]"}
        assert report.target_bytes == (tmp_path / "out.nx").stat().st_size
        assert set(report.seconds) == {"reading", "optimizing", "writing", "total"}
        assert report.peak_memory is None or report.peak_memory > 10_000_000
        assert json.loads(report.to_json())["free_dims"] == ["batch", "seq"]
        for fact in ("4 nodes", "5.6 k parameters", "free dims: batch, seq", "opset 20"):
            assert fact in report.summary()

    def test_external_data_of_an_earlier_conversion_are_not_counted(
        self, classifier_file: Path, tmp_path: Path
    ) -> None:
        target = tmp_path / "out.nx"
        both = nxconvert.convert(classifier_file, target, external_data=True).target_bytes
        assert both == target.stat().st_size + target.with_name("out.nx.data").stat().st_size
        assert nxconvert.convert(classifier_file, target).target_bytes == target.stat().st_size

    def test_the_target_says_where_it_comes_from(self, classifier_file: Path, tmp_path: Path) -> None:
        target = tmp_path / "out.nx"
        nxconvert.convert(classifier_file, target, inputs={"ids": "int64[batch,7]"}, opset=18)
        known = metadata(target)
        assert known["nxconvert.source_sha256"] == hashlib.sha256(classifier_file.read_bytes()).hexdigest()
        assert known["nxconvert.version"] == nxconvert.__version__
        assert known["nxconvert.source_format"] == "onnx"
        assert json.loads(known["nxconvert.options"]) == {"inputs": {"ids": "int64[batch,7]"}}

    def test_the_same_input_gives_the_same_bytes(self, classifier_file: Path, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        other = shutil.copy(classifier_file, elsewhere / "renamed.bin")
        nxconvert.convert(classifier_file, tmp_path / "one.nx")
        nxconvert.convert(other, elsewhere / "two.onnx")
        assert (tmp_path / "one.nx").read_bytes() == (elsewhere / "two.onnx").read_bytes()

    def test_a_third_party_is_read(self, toy: None, tmp_path: Path) -> None:
        source = tmp_path / "a.toy"
        source.write_bytes(b'TOY{"scale": 3, "strange": true}')
        stages: list[str] = []
        report = nxconvert.convert(
            source, tmp_path / "a.nx", constants={"scale": 4.0}, progress=lambda stage, _: stages.append(stage)
        )
        assert report.warnings == ("this toy is strange.",)
        assert list(dict.fromkeys(stages)) == ["reading", "lowering", "writing"]
        assert nxconvert.run(tmp_path / "a.nx", {"x": [[1.0, 2.0]]})["output"].tolist() == [[4, 8]]

    @pytest.mark.parametrize(
        ("options", "error", "complaint"),
        [
            ({"opset": 3}, UsageError, "opset 3"),
            ({"source_format": "keras"}, UsageError, "no format 'keras' to read"),
            ({"target_format": "keras"}, UsageError, "no format 'keras' to write"),
            ({"inputs": {"ids": "int64[a"}}, UsageError, "input ids: cannot understand"),
            ({"inputs": {"no": "int64[a]"}}, UsageError, "no input no"),
            ({"state": "second"}, UsageError, "'steady' or 'first'"),
        ],
    )
    def test_nonsense_leaves_the_old_target(
        self, options: dict, error: type, complaint: str, classifier_file: Path, tmp_path: Path
    ) -> None:
        target = tmp_path / "out.nx"
        target.write_bytes(b"old")
        with pytest.raises(error, match=complaint):
            nxconvert.convert(classifier_file, target, **options)
        assert target.read_bytes() == b"old"
        assert {path.name for path in tmp_path.iterdir()} == {"out.nx", classifier_file.name}

    def test_what_cannot_be_read_or_lowered(self, toy: None, tmp_path: Path) -> None:
        source, target = tmp_path / "a.toy", tmp_path / "out.nx"
        source.write_bytes(b'TOY{"odd": ["a", "b"]}')
        with pytest.raises(UnsupportedError) as unsupported:
            nxconvert.convert(source, target)
        assert [item.what for item in unsupported.value.items] == ["toy::a", "toy::b"]
        source.write_bytes(b'TOY{"open": true}')
        with pytest.raises(InputError) as unknown:
            nxconvert.convert(source, target)
        assert unknown.value.hints == ("x=float32[batch,width]",)
        source.write_bytes(b"TOY{")
        with pytest.raises(ReadError, match="damaged toy"):
            nxconvert.convert(source, target)
        assert not target.exists()

    def test_a_model_is_not_converted_onto_itself(self, classifier_file: Path) -> None:
        with pytest.raises(UsageError, match="is the source itself"):
            nxconvert.convert(classifier_file, classifier_file)

    def test_a_source_that_vanishes_leaves_no_target(
        self, classifier_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(self: Fingerprint) -> str:
            raise OSError(5, "Input/output error", str(classifier_file))

        monkeypatch.setattr(Fingerprint, "hexdigest", fail)
        with pytest.raises((WriteError, ReadError, OSError)):
            nxconvert.convert(classifier_file, tmp_path / "out.nx")
        assert not (tmp_path / "out.nx").exists()


class TestLoadAndSave:
    def test_one_after_the_other_is_a_conversion(self, classifier_file: Path, tmp_path: Path) -> None:
        model = nxconvert.load(classifier_file)
        model.graph.doc_string = "changed"
        nxconvert.save(model, tmp_path / "out.nx", opset=18)
        saved = onnx.load(tmp_path / "out.nx")
        assert saved.graph.doc_string == "changed"
        assert saved.opset_import[0].version == 18
        onnx.checker.check_model(saved, full_check=True)
        assert nxconvert.check(classifier_file, tmp_path / "out.nx").ok

    def test_an_unknown_suffix(self, classifier_file: Path, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="--to"):
            nxconvert.save(nxconvert.load(classifier_file), tmp_path / "out.what")


class TestRun:
    INPUTS: typing.ClassVar = {"ids": [[1, 2, 3]], "x": np.ones((1, 3, 16), np.float32)}

    def test_by_name_and_in_order(self, classifier_file: Path) -> None:
        by_name = nxconvert.run(classifier_file, self.INPUTS)
        assert list(by_name) == ["y", "p"]
        in_order = nxconvert.run(classifier_file, list(self.INPUTS.values()))
        np.testing.assert_array_equal(by_name["y"], in_order["y"])
        with pytest.raises(UsageError, match="3 inputs are given, and the model has 2"):
            nxconvert.run(classifier_file, [1, 2, 3])

    def test_on_another_runtime(self, classifier_file: Path) -> None:
        ours = nxconvert.run(classifier_file, self.INPUTS)["p"]
        np.testing.assert_allclose(nxconvert.run(classifier_file, self.INPUTS, runtime="reference")["p"], ours, 1e-5)
        with pytest.raises(UsageError, match="no runtime 'tpu'; these are known: caffe2, cntk, onnxruntime"):
            nxconvert.run(classifier_file, self.INPUTS, runtime="tpu")

    def test_in_another_format(self, toy: None, tmp_path: Path, classifier_file: Path) -> None:
        source = tmp_path / "a.toy"
        source.write_bytes(b'TOY{"scale": 3, "runs": 5}')
        assert nxconvert.run(source, [[[1.0]]])["output"].tolist() == [[5]]
        assert nxconvert.run(source, {"x": [[1.0]]}, runtime="reference")["output"].tolist() == [[3]]
        with pytest.raises(UsageError, match="nothing writes what it runs"):
            nxconvert.run(classifier_file, self.INPUTS, runtime="toy")

    def test_weights_in_a_second_file(self, toy: None, tmp_path: Path, classifier_file: Path) -> None:
        source, weights, target = tmp_path / "a.toy", tmp_path / "b.toy", tmp_path / "out.nx"
        source.write_bytes(b'TOY{"scale": 3}')
        weights.write_bytes(b'TOY{"scale": 7}')
        x = {"x": [[1.0]]}
        assert nxconvert.run(source, x, init=weights)["output"].tolist() == [[7]]
        assert nxconvert.run(source, x, init=weights, runtime="reference")["output"].tolist() == [[7]]
        model = nxconvert.load(source, init=weights)
        assert model.graph.initializers["scale"].const_value.numpy() == 7
        nxconvert.convert(source, target, init=weights)
        known = metadata(target)
        assert json.loads(known["nxconvert.options"]) == {"init": "b.toy"}
        assert known["nxconvert.source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
        assert known["nxconvert.init_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
        assert nxconvert.check(source, target, init=weights).ok
        assert not nxconvert.check(source, target).ok

    def test_a_second_file_that_makes_no_sense(self, toy: None, tmp_path: Path, classifier_file: Path) -> None:
        source = tmp_path / "a.toy"
        source.write_bytes(b"TOY{}")
        with pytest.raises(UsageError, match=r"onnx has its weights with it: leave --init .* \(.*toy.*\)"):
            nxconvert.convert(classifier_file, tmp_path / "out.nx", init=source)
        with pytest.raises(UsageError, match="has its weights with it"):
            nxconvert.run(classifier_file, {}, init=source)
        with pytest.raises(ReadError, match="is a folder: --init"):
            nxconvert.load(source, init=tmp_path)
        with pytest.raises(ReadError, match=r"none\.toy does not exist"):
            nxconvert.load(source, init=tmp_path / "none.toy")
        with pytest.raises(UsageError, match="is the source itself"):
            nxconvert.convert(source, source, init=source, target_format="onnx")
        with pytest.raises(UsageError, match="is the source itself"):
            nxconvert.convert(source, classifier_file, init=classifier_file)

    def test_other_outputs(self, toy: None, tmp_path: Path, save_onnx: Callable[..., Path]) -> None:
        model = save_onnx(
            '<ir_version: 8, opset_import: ["" : 20]> g (float[n] x) => (float[n] y) {h=Relu(x) y=Neg(h)}'
        )
        report = nxconvert.convert(model, tmp_path / "out.nx", outputs=["h"])
        assert report.outputs == {"h": "float32[n]"}
        assert json.loads(metadata(tmp_path / "out.nx")["nxconvert.options"]) == {"outputs": ["h"]}
        source = tmp_path / "a.toy"
        source.write_bytes(b"TOY{}")
        with pytest.raises(UsageError, match=r"toy has its own outputs: leave --output h .* \(caffe2, cntk, onnx\)"):
            nxconvert.convert(source, tmp_path / "out.nx", outputs="h")

    def test_a_runtime_that_takes_one_file(
        self, toy: None, tmp_path: Path, classifier_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import toy_plugin

        monkeypatch.delattr(toy_plugin.ToyRuntime, "load_pair")
        source = tmp_path / "a.toy"
        source.write_bytes(b"TOY{}")
        with pytest.raises(RunError, match="toy takes one file"):
            nxconvert.run(source, {"x": [[1.0]]}, init=source)

    def test_a_runtime_that_is_missing(self, toy: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import toy_plugin

        monkeypatch.setattr(toy_plugin.ToyRuntime, "available", lambda self: "toy is not installed")
        source = tmp_path / "a.toy"
        source.write_bytes(b"TOY{}")
        with pytest.raises(RuntimeMissingError, match="cannot be run as it is: toy is not installed"):
            nxconvert.run(source, {"x": [[1.0]]})


def test_the_fingerprint_of_a_folder_is_that_of_its_listing(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b").write_bytes(b"two")
    (tmp_path / "sub" / "a").write_bytes(b"one")
    with Fingerprint(tmp_path) as fingerprint:
        found = fingerprint.hexdigest()
    lines = f"{hashlib.sha256(b'two').hexdigest()}  b\n{hashlib.sha256(b'one').hexdigest()}  sub/a\n"
    assert found == hashlib.sha256(lines.encode()).hexdigest()


def test_the_fingerprint_of_a_large_archive_is_that_of_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", b"one")
    monkeypatch.setattr("nxconvert.fingerprint._LARGE", 1)
    with Fingerprint(path) as fingerprint:
        found = fingerprint.hexdigest()
    line = f"{zlib.crc32(b'one'):08x} 3 model/data.pkl\n"
    assert fingerprint.of_directory
    assert found == hashlib.sha256(line.encode()).hexdigest()


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_999, "1.0 MB"), (25_600_000, "25.6 MB"), (2.4e9, "2.4 GB")],
)
def test_sizes_read_well(number: int, text: str) -> None:
    assert human_bytes(number) == text


def test_every_use_of_the_api_in_the_readme_is_valid_python() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    for block in readme.split("```python\n")[1:]:
        compile(block.split("```")[0], "README.md", "exec")
