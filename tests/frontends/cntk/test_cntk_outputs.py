"""Which outputs a model has, and how its inputs, outputs and weights are called. CNTK 2.7 made the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

import nxconvert
from nxconvert.errors import UnsupportedError, UsageError
from nxconvert.formats.cntk import dictionary
from nxconvert.formats.cntk.model import INPUT, read_model
from nxconvert.frontends.cntk.network import Expansion
from nxconvert.frontends.cntk.outputs import wanted_outputs
from nxconvert.interface import sequence_lengths
from nxconvert.sampling import Sampler

FILES = Path(__file__).parents[3] / "fixtures" / "cntk_files"


def chosen(name: str, *asked: str) -> tuple[list[str], list[str]]:
    """What the outputs of a file are called, and what is said about them."""
    notes: list[str] = []
    outputs = wanted_outputs(Expansion(read_model(FILES / name)), asked, notes.append)
    return [called for called, _ in outputs], notes


def names(values: list[ir.Value]) -> list[str]:
    return [value.name or "" for value in values]


@pytest.mark.parametrize(
    "file",
    [
        "trainer_entropy.dnn",
        "trainer_loss_alone.dnn",
        "trainer_mean.dnn",
        "trainer_counts_again.dnn",
        "trainer_counts_parts.dnn",
        "trainer_aligns.dnn",
        "criteria.model",
    ],
)
def test_criteria_are_left_out_and_labels_with_them(file: str) -> None:
    outputs, (note,) = chosen(file)
    assert outputs == ["z"]
    assert "--output keeps" in note
    model = nxconvert.load(FILES / file)
    assert names(model.graph.inputs) == ["x"]
    assert names(model.graph.outputs) == ["z"]


def test_what_is_left_out_is_named() -> None:
    outputs, (note,) = chosen("trainer_squares.dnn")
    assert outputs == ["z", "second"]
    assert note.count("(ReduceElements)") == note.count("(ClassificationError)") == 1
    assert "aggregateLoss, " in note
    assert note.endswith("aggregateEvalMetric")


def test_what_is_left_out_twice_is_named_once() -> None:
    outputs, (note,) = chosen("trainer_same_twice.dnn")
    assert outputs == ["z"]
    assert note.count("(ReduceElements)") == 1


@pytest.mark.parametrize("file, count", [("no_criteria.model", 5), ("trainer_no_model.dnn", 4)])
def test_nothing_but_criteria_is_left_out_and_not_all_there_is(file: str, count: int) -> None:
    outputs, notes = chosen(file)
    assert len(outputs) == count
    assert not notes


def test_a_criterion_that_is_asked_for() -> None:
    assert chosen("trainer_entropy.dnn", "aggregateLoss") == (["aggregateLoss"], [])


class TestNames:
    FILE = FILES / "names.model"

    def test_of_inputs_and_weights(self) -> None:
        model = nxconvert.load(self.FILE, outputs=["dense"])
        inputs = names(model.graph.inputs)
        assert sorted(inputs)[1:] == ["x", "x_1", "x_2"]
        assert inputs.index("x") < inputs.index("x_2")
        assert inputs[[name[:5] for name in inputs].index("Input")] in read_model(self.FILE).variables
        assert {"x_3", 'a b/ä"', "W", "b"} <= set(model.graph.initializers)

    def test_of_outputs(self) -> None:
        outputs, _ = chosen("names.model")
        assert outputs[:2] == ["z", "z"]
        assert outputs[2].startswith("ReLU")
        assert outputs[3:] == ["x", "top", "top.1"]

    def uid(self, kind: str, name: str, which: int) -> str:
        model = read_model(self.FILE)
        return [uid for uid, each in model.functions.items() if each.name == name and uid.startswith(kind)][which]

    def test_by_uid_or_by_the_uid_of_an_output(self) -> None:
        uid = self.uid("Plus", "z", 0)
        for asked in (uid, f"{uid}_Output_0"):
            model = nxconvert.load(self.FILE, outputs=[asked])
            assert names(model.graph.outputs) == [asked]

    def test_inside_of_a_block(self) -> None:
        dense = next(each for each in read_model(self.FILE).functions.values() if each.name == "dense")
        inner = next(each for each in read_model(self.FILE).functions if each.startswith("Times"))
        model = nxconvert.load(self.FILE, outputs=[inner, "dense"])
        assert names(model.graph.outputs) == [inner, "dense"]
        assert dense.block is not None

    def test_ambiguous(self) -> None:
        with pytest.raises(UsageError, match=r"2 things in the model are called 'z'; say which by its uid: Plus\d+ \("):
            chosen("names.model", "z")
        with pytest.raises(
            UsageError, match=r"4 things .* 'x'.* Minus\d+ \(Minus, an output of the model\), Input\d+ "
        ):
            chosen("names.model", "x")

    def test_unknown(self) -> None:
        with pytest.raises(UsageError, match=r"nothing in the model is called 'dens'\. Similar names are dense"):
            chosen("names.model", "dens")
        with pytest.raises(UsageError, match=r"'@@'\. The model's outputs are z, z, ReLU\d+, x, top, top\.1\."):
            chosen("names.model", "@@")
        uid = self.uid("Plus", "z", 0)
        with pytest.raises(UsageError, match=f"{uid} has no output number 1: it has 1 in all"):
            chosen("names.model", f"{uid}_Output_1")


class TestAxes:
    def test_an_input_that_is_used_for_its_axis_alone(self) -> None:
        model = nxconvert.load(FILES / "axes_spread.model")
        found = {value.name: str(value.shape) for value in model.graph.inputs}
        assert found == {"fixed": "[2]", "sample": "[batch,2]", "third": "[batch,sequence,2]"}

    def test_nothing_else_is_called_like_lengths(self) -> None:
        model = nxconvert.load(FILES / "axes_taken.model")
        found = {value.name: (value.dtype, str(value.shape)) for value in model.graph.inputs}
        assert found["third_lengths"] == (ir.DataType.INT64, "[batch]")
        assert found["third_lengths_1"] == (ir.DataType.FLOAT, "[batch,2]")

    def test_each_axis_has_its_size_and_its_lengths(self) -> None:
        model = nxconvert.load(FILES / "axes.model", outputs=["last", "back"])
        found = {value.name: str(value.shape) for value in model.graph.inputs}
        variables = read_model(FILES / "axes.model").variables.values()
        stored = [variable.name for variable in variables if variable.kind == INPUT]
        assert list(found) == [name for name in stored if name in found] + ["first_lengths", "second_lengths"]
        assert stored.index("second") < stored.index("third")
        assert found["first"] == "[batch,first_sequence,2]"
        assert found["second"] == found["third"] == "[batch,sequence,2]"
        assert {str(value.shape) for value in model.graph.outputs} == {"[batch,2]", "[batch,sequence,2]"}

    def test_an_input_that_is_left_out_no_longer_names_the_lengths(self) -> None:
        model = nxconvert.load(FILES / "axes.model", outputs=["some"])
        assert names(model.graph.inputs) == ["second", "second_lengths"]
        assert names(model.graph.outputs) == ["some", "some_lengths"]

    def test_no_sequences(self) -> None:
        model = nxconvert.load(FILES / "axes.model", outputs=["doubled"])
        assert {value.name: str(value.shape) for value in model.graph.inputs} == {"fixed": "[2]"}
        assert [str(value.shape) for value in model.graph.outputs] == ["[2]"]


class TestDeclared:
    def test_sizes_are_fixed_and_named(self) -> None:
        given = {"first": "float32[rows,7,2]", "second": "[rows,steps,2]"}
        model = nxconvert.load(FILES / "axes.model", outputs=["last", "back"], inputs=given)
        found = {value.name: str(value.shape) for value in model.graph.inputs}
        assert found["first"] == "[rows,7,2]"
        assert found["second"] == found["third"] == "[rows,steps,2]"
        assert found["first_lengths"] == found["second_lengths"] == "[rows]"
        assert {str(value.shape) for value in model.graph.outputs} == {"[rows,2]", "[rows,steps,2]"}

    @pytest.mark.parametrize(
        "given, complaint",
        [
            ({"one": "[n,2]"}, "no input 'one'; its inputs are fixed, sample, third, third_lengths"),
            ({"sample": "[n,3]"}, r"'sample' is float32\[batch,2\] in the model, and \[n,3\] is declared"),
            ({"sample": "int64[n,2]"}, r"and int64\[n,2\] is declared"),
            ({"sample": "[4,2]", "third": "[5,s,2]"}, "batch is declared as 4 and as 5; it is one size"),
            (["[2]"] * 5, "5 inputs are declared, the model has 4: fixed, sample, third, third_lengths"),
        ],
    )
    def test_what_contradicts_the_file(self, given: Any, complaint: str) -> None:
        with pytest.raises(UsageError, match=complaint):
            nxconvert.load(FILES / "axes_spread.model", inputs=given)


def test_a_sparse_input_is_dense_and_that_is_said(tmp_path: Path) -> None:
    report = nxconvert.convert(FILES / "sparse.model", tmp_path / "out.nx")
    assert report.inputs == {"words": "float32[batch,sequence,5]"}
    assert report.warnings == ("the input 'words' is fed sparsely in CNTK; here it takes the same numbers densely",)


def test_functions_of_the_users_own_are_named() -> None:
    with pytest.raises(UnsupportedError) as error:
        nxconvert.load(FILES / "user_defined.model")
    (item,) = error.value.items
    assert (item.what, item.where, item.count) == ("UserDefinedFunction __main__.Doubled", "twice", 2)
    assert "outputs before it" in item.why


def test_inspect_says_what_is_left_out(command_line: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = command_line("inspect", str(FILES / "trainer_squares.dnn"))
    assert code == 0
    assert "second" in out
    assert "aggregateLoss" not in out
    assert "aggregateLoss" in err


def test_the_example_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fixtures").symlink_to(FILES.parent)
    blocks = (FILES.parents[1] / "README.md").read_text().split("```python\n")
    example = next(block for block in blocks if "tagger.model" in block).partition("```")[0]
    with np.load(FILES / "tagger.npz") as arrays:
        sentences, expected = ([arrays[f"{name}{i}"] for i in range(3)] for name in ("words", "tags"))
    random = "[np.random.rand(n, 4).astype(np.float32) for n in (5, 2, 3)]"
    assert [len(sentence) for sentence in sentences] == [5, 2, 3]
    assert random in example
    found: dict[str, Any] = {"recorded": sentences}
    exec(example.replace(random, "recorded"), found)
    assert str(found["report"].inputs) in example
    for scores, wanted in zip(found["by_sentence"], expected, strict=True):
        np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-6)


def test_lengths_are_tried_that_sequences_can_have(tmp_path: Path) -> None:
    target = tmp_path / "tagger.nx"
    nxconvert.convert(FILES / "tagger.model", target, inputs={"words": "[batch,steps,4]"})
    model = nxconvert.load(target)
    assert model.metadata_props["nxconvert.lengths"] == '{"words_lengths":"steps"}'
    sampler = Sampler(model.graph.inputs, {}, lengths=sequence_lengths(model))
    drawn = [sampler.values({"batch": 50, "steps": 3}, seed)["words_lengths"] for seed in range(3)]
    assert set(np.concatenate(drawn).tolist()) == {1, 2, 3}
    assert nxconvert.check(target, target, inputs={"words": "[2,1,4]"}).ok


@pytest.mark.parametrize("file", ["names.model", "axes.model", "tagger.model"])
def test_the_order_of_maps_in_a_file_changes_nothing(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nxconvert.convert(FILES / file, tmp_path / "one.nx")
    in_order = dictionary._Decoder.dictionary

    def backwards(self: Any, message: dict[str, Any]) -> dict[str, Any]:
        return in_order(self, {**message, "entries": message.get("entries", [])[::-1]})

    monkeypatch.setattr(dictionary._Decoder, "dictionary", backwards)
    nxconvert.convert(FILES / file, tmp_path / "other.nx")
    assert (tmp_path / "one.nx").read_bytes() == (tmp_path / "other.nx").read_bytes()
