"""The models in `fixtures/`: each converts, says what PyTorch recorded, and is the same file every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import nxconvert
from nxconvert.conversion import SHA256_KEY
from tests.conformance import cntk_cases

FIXTURES = Path(__file__).parent.parent / "fixtures"


class Fixture:
    """One folder of `fixtures/`."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self.folder = folder
        self.model = next(path for path in (folder / "model.pt", folder / "model.pt2") if path.exists())

    @cached_property
    def meta(self) -> dict[str, Any]:
        return json.loads((self.folder / "meta.json").read_text())

    def call(self, index: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The inputs of a call, and what PyTorch returned for them."""
        with np.load(self.folder / f"inputs{index}.npz") as inputs, np.load(self.folder / f"outputs{index}.npz") as out:
            return dict(inputs), dict(out)

    def declared(self) -> dict[str, Any]:
        """How a user declares its arguments."""
        return {"inputs": self.meta["inputs"], "constants": self.meta["constants"]}

    def compare(self, actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
        assert set(actual) == set(expected)
        for name, want in expected.items():
            got = actual[name]
            assert (got.dtype, got.shape) == (want.dtype, want.shape), name
            if want.dtype.kind == "f":
                tolerance = {"rtol": self.meta["rtol"], "atol": self.meta["atol"]}
                np.testing.assert_allclose(got, want, **tolerance, err_msg=name)
            else:
                np.testing.assert_array_equal(got, want, err_msg=name)


ALL = [Fixture(folder) for folder in sorted(FIXTURES.iterdir()) if (folder / "meta.json").exists()]
each = pytest.mark.parametrize("fixture", ALL, ids=lambda fixture: fixture.name)
inferable = pytest.mark.parametrize(
    "fixture", [fixture for fixture in ALL if fixture.meta["inferable"]], ids=lambda fixture: fixture.name
)


@pytest.fixture
def onnxruntime() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'nxconvert[runtime]'")


def test_there_are_fixtures() -> None:
    assert len(ALL) >= 12


@each
def test_no_path_of_the_machine_that_made_it(fixture: Fixture) -> None:
    with zipfile.ZipFile(fixture.model) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, content in members.items():
        for trace in (b"/root", b"/tmp", b"/home", b"/work", b"/usr", b"/opt", b"pyenv", b"-packages", b"Users\\"):
            assert trace not in content or "/data/" in name, f"{trace!r} in {name}"


@each
def test_declared_it_equals_what_pytorch_recorded(onnxruntime: None, fixture: Fixture, tmp_path: Path) -> None:
    target = tmp_path / "out.nx"
    nxconvert.convert(fixture.model, target, **fixture.declared())
    for index in range(fixture.meta["calls"]):
        inputs, expected = fixture.call(index)
        fixture.compare(run(target, inputs), expected)


@inferable
def test_undeclared_it_equals_what_pytorch_recorded(onnxruntime: None, fixture: Fixture, tmp_path: Path) -> None:
    target = tmp_path / "out.nx"
    nxconvert.convert(fixture.model, target)
    for index in range(fixture.meta["calls"]):
        inputs, expected = fixture.call(index)
        fixture.compare(run(target, inputs), expected)


@pytest.mark.parametrize(
    "fixture", [fixture for fixture in ALL if not fixture.meta["inferable"]], ids=lambda fixture: fixture.name
)
def test_what_cannot_be_inferred_is_asked_for(fixture: Fixture, tmp_path: Path) -> None:
    with pytest.raises(nxconvert.InputError) as caught:
        nxconvert.convert(fixture.model, tmp_path / "out.nx")
    names = {name.partition(".")[0] for name in fixture.meta["inputs"]}
    assert caught.value.hints
    assert {hint.partition("=")[0].partition(".")[0] for hint in caught.value.hints} <= names
    assert not list(tmp_path.iterdir())


@each
def test_the_dims_that_are_declared_free_are_free(fixture: Fixture, tmp_path: Path) -> None:
    target = tmp_path / "out.nx"
    report = nxconvert.convert(fixture.model, target, **fixture.declared())
    graph = onnx.load(target).graph
    names = {dim.dim_param for value in graph.input for dim in value.type.tensor_type.shape.dim if dim.dim_param}
    declared = {
        dim for spec in fixture.meta["inputs"].values() for dim in spec.partition("[")[2].rstrip("]").split(",")
    }
    free = {dim for dim in declared if dim.isidentifier()}
    assert free <= names
    assert free <= set(report.free_dims)


@each
def test_the_checker_has_no_complaint(fixture: Fixture, tmp_path: Path) -> None:
    target = tmp_path / "out.nx"
    nxconvert.convert(fixture.model, target, **fixture.declared())
    onnx.checker.check_model(onnx.load(target), full_check=True)


@pytest.mark.parametrize("opset", [17, 18, 19, 21, 22, 23])
def test_every_operator_set_computes_the_same(onnxruntime: None, opset: int, tmp_path: Path) -> None:
    for fixture in ALL:
        target = tmp_path / f"{fixture.name}.nx"
        nxconvert.convert(fixture.model, target, opset=opset, **fixture.declared())
        model = onnx.load(target)
        onnx.checker.check_model(model, full_check=True)
        assert {entry.domain: entry.version for entry in model.opset_import}[""] == opset
        inputs, expected = fixture.call(1)
        fixture.compare(run(target, inputs), expected)


def test_the_same_bytes_every_time_under_every_name(tmp_path: Path) -> None:
    """From two processes that hash text differently, too."""
    code = (
        "import sys, json, nxconvert\n"
        "from pathlib import Path\n"
        "for folder in sys.argv[2:]:\n"
        "    meta = json.loads((Path(folder) / 'meta.json').read_text())\n"
        "    target = Path(sys.argv[1]) / (Path(folder).name + '.onnx')\n"
        "    source = next(Path(folder).glob('model.pt*'))\n"
        "    nxconvert.convert(source, target, inputs=meta['inputs'], constants=meta['constants'])\n"
    )
    for seed in ("1", "2"):
        (tmp_path / seed).mkdir()
        command = [sys.executable, "-c", code, tmp_path / seed, *(fixture.folder for fixture in ALL)]
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
    for fixture in ALL:
        target = tmp_path / f"{fixture.name}.nx"
        nxconvert.convert(fixture.model, target, **fixture.declared())
        files = {path.read_bytes() for path in (target, *tmp_path.glob(f"?/{fixture.name}.onnx"))}
        assert len(files) == 1, fixture.name


@each
def test_parameters_keep_their_names(fixture: Fixture, tmp_path: Path) -> None:
    """Those that are left as they were: folding and fusing makes new ones."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")
    target = tmp_path / "out.nx"
    nxconvert.convert(fixture.model, target, **fixture.declared())
    kept = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(target).graph.initializer}
    exported = fixture.model.suffix == ".pt2"
    module = torch.export.load(fixture.model).module() if exported else torch.jit.load(fixture.model)
    for name, tensor in module.named_parameters():
        if name in kept and kept[name].shape == tensor.shape:
            np.testing.assert_allclose(kept[name], tensor.detach().numpy(), atol=2.0)
    assert any("." in name or "_" in name for name in kept)


def test_where_it_comes_from_is_in_the_file(tmp_path: Path) -> None:
    import hashlib

    fixture = next(fixture for fixture in ALL if fixture.name == "resnet_tiny")
    nxconvert.convert(fixture.model, tmp_path / "out.nx")
    properties = {entry.key: entry.value for entry in onnx.load(tmp_path / "out.nx").metadata_props}
    assert properties[SHA256_KEY] == hashlib.sha256(fixture.model.read_bytes()).hexdigest()


@each
def test_it_agrees_with_pytorch_at_sizes_of_our_own(onnxruntime: None, fixture: Fixture, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")
    target = tmp_path / "out.nx"
    nxconvert.convert(fixture.model, target, **fixture.declared())
    report = nxconvert.check(fixture.model, target, rtol=fixture.meta["rtol"], atol=fixture.meta["atol"])
    report.raise_for_mismatch()
    assert any(not run.skipped for run in report.runs)


def test_state_begins_as_it_was_saved(onnxruntime: None, tmp_path: Path) -> None:
    fixture = next(fixture for fixture in ALL if fixture.meta["state"])
    inputs, expected = fixture.call(0)
    arguments = {name: array for name, array in inputs.items() if name not in fixture.meta["state"]}
    nxconvert.convert(fixture.model, tmp_path / "steady.nx", **fixture.declared())
    fixture.compare(run(tmp_path / "steady.nx", arguments), expected)
    nxconvert.convert(fixture.model, tmp_path / "first.nx", state="first", **fixture.declared())
    first = run(tmp_path / "first.nx", arguments)
    fixture.compare(first, {name: array for name, array in expected.items() if not name.endswith("_out")})


def test_state_goes_round(onnxruntime: None, tmp_path: Path) -> None:
    """What one call leaves is what the next one begins with."""
    fixture = next(fixture for fixture in ALL if fixture.meta["state"])
    nxconvert.convert(fixture.model, tmp_path / "out.nx", **fixture.declared())
    state: dict[str, np.ndarray] = {}
    for index in range(fixture.meta["calls"]):
        inputs, expected = fixture.call(index)
        arguments = {name: array for name, array in inputs.items() if name not in fixture.meta["state"]}
        outputs = run(tmp_path / "out.nx", {**arguments, **state})
        fixture.compare(outputs, expected)
        state = {name.removesuffix("_out"): array for name, array in outputs.items() if name.endswith("_out")}


def run(target: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return nxconvert.run(target, inputs, runtime="onnxruntime")


CNTK = [cntk_cases.read(folder) for folder in sorted((FIXTURES / "cntk_models").iterdir())]
each_of_cntk = pytest.mark.parametrize("case", CNTK, ids=lambda case: case.id)


def cntk_file(case: cntk_cases.Case) -> Path:
    return next(path for path in case.folder.iterdir() if path.suffix in (".model", ".dnn"))


@each_of_cntk
def test_no_path_of_the_machine_that_made_it_is_in_a_model_of_cntk(case: cntk_cases.Case) -> None:
    content = cntk_file(case).read_bytes()
    for text in ("/root", "/tmp", "/home", "/work", "/usr", "/opt", "pyenv", "-packages"):
        assert text.encode() not in content
        assert text.encode("utf-16-le") not in content


@each_of_cntk
@pytest.mark.parametrize("opset", [17, 20, 23])
def test_it_equals_what_cntk_recorded(onnxruntime: None, case: cntk_cases.Case, opset: int, tmp_path: Path) -> None:
    """Whole ragged batches, with NaN behind the end of sequences."""
    nxconvert.convert(cntk_file(case), tmp_path / "out.nx", opset=opset)
    onnx.checker.check_model(onnx.load(tmp_path / "out.nx"), full_check=True)
    problem = cntk_cases.difference(case, tmp_path / "out.nx")
    assert not problem, problem
