"""PyTorch as a runtime: flat names to arguments, results to flat names, state."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nxconvert.errors import ReadError, RunError  # noqa: E402
from nxconvert.plugins import Runner  # noqa: E402
from nxconvert.runtimes import torch as torch_module  # noqa: E402
from nxconvert.runtimes.torch import Torch  # noqa: E402
from tests.runtimes import torch_models as models  # noqa: E402


def scripted(module: object, folder: Path) -> Runner:
    path = folder / "model.pt"
    torch.jit.script(module).save(str(path))
    return Torch().load(path)


ONES = np.ones(2, np.float32)
CONTAINERS = {
    "x": ONES,
    "t.0": ONES,
    "t.1": np.int64(10),
    "d.a": 2 * ONES,
    "d.c.d": 3 * ONES,
    "l.0": 100 * ONES,
    "l.1": 200 * ONES,
    "sizes.0": np.int64(1000),
    "nested.p.0": 4 * ONES,
    "nested.p.1": 2 * ONES,
}


def test_flat_names_become_arguments_and_results_become_flat_names(tmp_path: Path) -> None:
    runner = scripted(models.Containers(), tmp_path)
    assert runner.inputs == ("x", "t", "d", "l", "sizes", "nested", "o", "k", "f", "b")
    results = runner(CONTAINERS)
    assert list(results) == [
        *("output.0", "output.1.a", "output.1.c.d", "output.2.0", "output.2.1", "output.3", "output.4", "output.5"),
        *("output.7.first", "output.7.second"),
    ]
    assert results["output.0"].tolist() == [1313, 1313]
    assert results["output.1.c.d"].tolist() == [3, 3]
    assert [results[f"output.{i}"].dtype for i in (3, 4, 5)] == [np.int64, np.float32, np.bool_]


def test_what_is_optional_may_be_given(tmp_path: Path) -> None:
    results = scripted(models.Containers(), tmp_path)({**CONTAINERS, "o": ONES, "k": np.int64(7), "b": np.bool_(True)})
    assert results["output.0"].tolist() == [-1314, -1314]
    assert results["output.3"] == 7
    assert results["output.6"].tolist() == [1, 1]


def test_pinned_arguments_take_python_values(tmp_path: Path) -> None:
    inputs = {name: value for name, value in CONTAINERS.items() if name != "sizes.0"}
    results = scripted(models.Containers(), tmp_path)({**inputs, "sizes": [1, 2], "o": None, "f": 2.5})
    assert results["output.0"].tolist() == [316, 316]
    assert results["output.4"] == 2.5


def test_an_input_that_is_missing_or_unknown_is_named(tmp_path: Path) -> None:
    runner = scripted(models.Containers(), tmp_path)
    with pytest.raises(RunError, match="the input 'x'"):
        runner({})
    with pytest.raises(RunError, match="no input 'what'; its inputs are x, t, d"):
        runner({**CONTAINERS, "what": ONES})
    with pytest.raises(RunError, match="no tensors of dtype object"):
        runner({**CONTAINERS, "x": np.array(["a"], object)})


def test_calls_do_not_see_each_other(tmp_path: Path) -> None:
    runner = scripted(models.Counter(), tmp_path)
    for _ in range(3):
        assert runner({"x": ONES})["output"].tolist() == [1, 1]


def test_state_is_reported_and_set(tmp_path: Path) -> None:
    runner = scripted(models.Counter(), tmp_path)
    first = runner({"x": ONES}, ["output", "total_out", "calls_out"])
    assert {name: array.tolist() for name, array in first.items()} == {
        "output": [1, 1],
        "total_out": [1, 1],
        "calls_out": 1,
    }
    later = runner({"x": ONES, "total": 5 * ONES, "calls": np.float32(2)}, ["output", "total_out", "calls_out"])
    assert later["total_out"].tolist() == [6, 6]
    assert later["calls_out"] == 3
    assert later["output"].tolist() == [18, 18]


def test_the_callers_arrays_are_left_alone(tmp_path: Path) -> None:
    x = np.ones(2, np.float32)
    runner = scripted(models.Doubler(), tmp_path)
    assert runner({"x": x})["output"].tolist() == [2, 2]
    assert x.tolist() == [1, 1]


def test_an_argument_that_is_written_into_is_reported(tmp_path: Path) -> None:
    results = scripted(models.Doubler(), tmp_path)({"x": ONES}, ["output", "x_out"])
    assert results["x_out"].tolist() == [2, 2]
    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(models.Doubler(), (torch.ones(2),)), path)
    assert Torch().load(path)({"x": ONES}, ["x_out"])["x_out"].tolist() == [2, 2]


@pytest.mark.parametrize(
    "dtype", [np.float16, ml_dtypes.bfloat16, np.float64, np.int8, np.uint8, np.int32, np.bool_, np.complex64]
)
def test_dtypes_survive(dtype: type, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.jit.trace(torch.nn.Identity(), torch.zeros(1)).save(str(path))
    x = np.array([[0, 1]]).astype(dtype)
    y = Torch().load(path)({"input": x})["output"]
    assert y.dtype == x.dtype
    assert y.tolist() == x.tolist()


def test_an_export_archive_runs_by_the_same_names(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    x = torch.ones(2)
    torch.export.save(torch.export.export(models.Dicts(), (x, {"a": x, "b": 2 * x})), path)
    runner = Torch().load(path)
    assert runner.inputs == ("x", "extra")
    results = runner({"x": ONES, "extra.a": ONES, "extra.b": ONES})
    assert {name: array.tolist() for name, array in results.items()} == {
        "output.sum": [2, 2],
        "output.difference": [0, 0],
    }
    with pytest.raises(RunError, match=r"an input 'extra.a' that was not given; its inputs are x, extra.a, extra.b"):
        runner({"x": ONES})


def test_what_torch_cannot_load_is_said(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(ReadError, match="cannot be loaded by PyTorch"):
        Torch().load(path)


def test_errors_of_the_model_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be run by PyTorch on these inputs: RuntimeError") as caught:
        scripted(models.Square(), tmp_path)({"x": np.zeros((2, 3), np.float32)})
    assert "\n" not in str(caught.value)


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_module.importlib.util, "find_spec", lambda _: None)
    assert "pip install 'nxconvert[torch]'" in (Torch().available() or "")
