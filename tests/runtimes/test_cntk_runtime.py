"""CNTK as a runtime: a process of its own, found through the environment. The real one, where there is one."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import nxconvert
from nxconvert.errors import ReadError, RunError, RuntimeMissingError
from nxconvert.runtimes.cntk import PYTHON, Cntk
from tests.conformance.cntk_cases import LENGTHS, read

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "cntk_models"
TAGGER = FIXTURES / "lstm_tagger"

real = pytest.mark.skipif(PYTHON not in os.environ, reason=f"no CNTK: set {PYTHON}")


def tagged() -> tuple[np.ndarray, list[np.ndarray]]:
    """A batch of sequences, each followed by NaN, and their tags as CNTK gave them."""
    case = read(TAGGER)
    words = np.full((3, 7, 5), np.nan, np.float32)
    for row, sequence in zip(words, case.inputs[0].data, strict=True):
        row[: len(sequence)] = sequence
    return words, list(case.outputs[0].data)


def test_without_cntk_it_is_said_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PYTHON, raising=False)
    with pytest.raises(RuntimeMissingError, match=f"set {PYTHON} to a Python that can import it"):
        Cntk().load(TAGGER / "model.model")
    with pytest.raises(RuntimeMissingError, match=PYTHON):
        nxconvert.run(TAGGER / "model.model", {})
    monkeypatch.setenv(PYTHON, "/no/such/python")
    assert Cntk().available() == f"{PYTHON} is /no/such/python, no such program"


@pytest.mark.skipif(find_spec("cntk") is not None, reason="this Python has CNTK")
def test_a_python_without_cntk_is_missing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PYTHON, sys.executable)
    with pytest.raises(RuntimeMissingError, match=r"has not what runs it: No module named 'cntk'"):
        nxconvert.run(TAGGER / "model.model", {})


@real
def test_what_follows_a_sequence_does_not_matter_and_is_masked() -> None:
    words, tags = tagged()
    runner = Cntk().load(TAGGER / "model.model")
    assert runner.inputs == ("words", "words_lengths")
    assert runner.description == "CNTK (2.7)"
    got = runner({"words": words, "words_lengths": np.array([5, 2, 4])})["tags"]
    assert isinstance(got, np.ma.MaskedArray)
    assert got.shape == (3, 7, 3)
    for row, want in zip(got, tags, strict=True):
        np.testing.assert_allclose(row[: len(want)], want, rtol=1e-5, atol=1e-6)
        assert row[: len(want)].mask.sum() == 0
        assert np.all(row[len(want) :].mask)


@real
def test_without_lengths_all_sequences_are_as_long_as_the_axis() -> None:
    words, _ = tagged()
    full = np.nan_to_num(words)
    runner = Cntk().load(TAGGER / "model.model")
    got = runner({"words": full})["tags"]
    assert not np.ma.is_masked(got)
    np.testing.assert_array_equal(got, runner({"words": full, "words_lengths": np.array([7, 7, 7])})["tags"])


@real
@pytest.mark.parametrize(
    "inputs, said",
    [
        ({}, "the input 'words' was not given"),
        ({"words": np.ones((3, 5), np.float32), "words_lengths": np.array([5, 0, 6])}, "from 1 to 5"),
        ({"words": np.ones((3, 5, 4), np.float32)}, "cannot be run by CNTK on these inputs"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_and_the_next_ones_are_run(inputs: dict[str, np.ndarray], said: str) -> None:
    runner = Cntk().load(TAGGER / "model.model")
    with pytest.raises(RunError, match=said):
        runner(inputs)
    assert runner({"words": np.ones((1, 2, 5), np.float32)})["tags"].shape == (1, 2, 3)


@real
def test_what_is_no_model_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "x.model").write_bytes(b"nothing")
    with pytest.raises(ReadError, match="cannot be loaded by CNTK"):
        Cntk().load(tmp_path / "x.model")


@real
def test_the_criteria_of_a_checkpoint_are_outputs_and_labels_are_not_needed_without_them() -> None:
    runner = Cntk().load(FIXTURES / "classifier_checkpoint" / "checkpoint.dnn")
    case = read(FIXTURES / "classifier_checkpoint")
    x = np.zeros((3, 5, 4), np.float32)
    for row, sequence in zip(x, case.inputs[0].data, strict=True):
        row[: len(sequence)] = sequence
    got = runner({"x": x, f"x{LENGTHS}": np.array([5, 2, 4])}, ["y"])
    assert list(got) == ["y"]
    np.testing.assert_allclose(got["y"], case.outputs[0].data, rtol=1e-5, atol=1e-6)
    with pytest.raises(RunError, match="the input 'label' was not given"):
        runner({"x": x})


@real
@pytest.mark.parametrize("name", [folder.name for folder in sorted(FIXTURES.iterdir())])
def test_checks_of_converted_models_ask_cntk(name: str, tmp_path: Path) -> None:
    source = next(path for path in (FIXTURES / name).iterdir() if path.suffix in (".model", ".dnn"))
    nxconvert.convert(source, tmp_path / "out.nx")
    report = nxconvert.check(source, tmp_path / "out.nx")
    report.raise_for_mismatch()
    assert report.source_runtime == "CNTK (2.7)"
    assert sum(not run.skipped for run in report.runs) >= 3


@real
def test_lengths_are_called_like_the_first_input_that_is_kept(tmp_path: Path) -> None:
    source = FIXTURES.parent / "cntk_files" / "labelled.model"
    runner = Cntk().load(source)
    assert runner.inputs[0] == "label"
    assert list(nxconvert.convert(source, tmp_path / "out.nx").inputs) == ["words", "words_lengths"]
    assert nxconvert.check(source, tmp_path / "out.nx").ok
