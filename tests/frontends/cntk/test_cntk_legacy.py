"""Models of CNTK 1: files of all versions of its format, and what becomes of their nodes.

CNTK 2.7 reads the files too, and says what they compute. What it refuses, CNTK once computed: those nodes are held
against the same in terms of NumPy.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import nxconvert
from nxconvert.errors import UnsupportedError
from nxconvert.formats.cntk.model import Model, read_model
from nxconvert.frontends.cntk.legacy import read_legacy
from nxconvert.frontends.cntk.network import Expansion, Network, expand, root_outputs
from tests.conformance import cntk_cases
from tests.frontends.cntk.harness import models, recorded
from tests.frontends.cntk.models.legacy_files import Legacy, i32, text, u8, u32, u64

Run = Callable[..., dict[str, np.ndarray]]
FIXTURE = Path(__file__).parents[3] / "fixtures" / "cntk_files" / "legacy.zip"
with zipfile.ZipFile(FIXTURE) as fixture:
    RECORDED = sorted({name.partition("/")[0] for name in fixture.namelist()})
RANDOM = np.random.default_rng(0)


def random(*dims: int) -> np.ndarray:
    return RANDOM.standard_normal(dims).astype(np.float32)


FAMILIES = ("legacy", "legacy_networks")


@pytest.mark.parametrize(("family", "model"), [(family, model) for family in FAMILIES for model in models(family)])
def test_old_files_compute_what_they_do_in_cntk(family: str, model: str, recordings: Path) -> None:
    folder = recorded(family, recordings)
    case = folder / f"{model}.0"
    assert case.exists(), (folder / f"{model}.error").read_text()
    target = recordings / f"{family}-{model}.onnx"
    problem = cntk_cases.outcome(cntk_cases.read(case), target, model=folder / f"{model}.legacy")
    assert not problem


@pytest.mark.parametrize("model", RECORDED)
def test_recorded_files_compute_what_they_did_in_cntk(model: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(FIXTURE) as archive:
        archive.extractall(tmp_path, [name for name in archive.namelist() if name.startswith(f"{model}/")])
    problem = cntk_cases.outcome(cntk_cases.read(tmp_path / model), tmp_path / "a.onnx")
    assert not problem


class TestNodes:
    """What CNTK 2 does not read."""

    @pytest.fixture
    def run(self, tmp_path: Path) -> Run:
        def run(network: Legacy, **feeds: np.ndarray) -> dict[str, np.ndarray]:
            network.write(tmp_path / "old.model")
            nxconvert.convert(tmp_path / "old.model", tmp_path / "new.onnx")
            return dict(nxconvert.run(tmp_path / "new.onnx", feeds))

        return run

    @staticmethod
    def network(version: int = 12, **inputs: tuple[int, ...]) -> Legacy:
        n = Legacy(version)
        for name, dims in inputs.items():
            n.node("InputValue", name, [], n.input(dims, "__noSequenceAxis"))
        return n

    def test_lookups_of_words(self, run: Run) -> None:
        """A sample holds several words, one after the other."""
        n = self.network(x=(6,))
        table = random(3, 2)
        n.node("LearnableParameter", "table", [], n.parameter(table))
        n.node("LookupTable", "z", ["table", "x"])
        x = random(2, 6)
        expected = (x.reshape(2, 2, 3) @ table).reshape(2, 4)
        np.testing.assert_allclose(run(n, x=x)["z"], expected, rtol=1e-5)

    def test_rows_that_are_repeated(self, run: Run) -> None:
        n = self.network(x=(3,))
        n.node("RowRepeat", "z", ["x"], u64(3))
        x = random(2, 3)
        np.testing.assert_array_equal(run(n, x=x)["z"], np.tile(x, (1, 3)))

    def test_column_products(self, run: Run) -> None:
        n = self.network(x=(2,), y=(3,))
        n.node("KhatriRaoProduct", "z", ["x", "y"])
        x, y = random(2, 2), random(2, 3)
        expected = np.einsum("bi,bj->bji", x, y).reshape(2, 6)
        np.testing.assert_allclose(run(n, x=x, y=y)["z"], expected, rtol=1e-6)

    def test_the_way_back_from_a_normalization(self, run: Run) -> None:
        n = self.network(x=(3,))
        mean, factor = random(3), np.abs(random(3)) + 0.5
        n.node("Mean", "m", ["x"], n.precomputed(mean))
        n.node("InvStdDev", "f", ["x"], n.precomputed(factor))
        n.node("PerDimMeanVarDeNormalization", "z", ["x", "m", "f"])
        x = random(2, 3)
        np.testing.assert_allclose(run(n, x=x)["z"], x / factor + mean, rtol=1e-5)

    def test_cross_entropies_of_probabilities(self, run: Run) -> None:
        n = self.network(labels=(3,), p=(3,))
        n.node("CrossEntropy", "z", ["labels", "p"])
        p = np.float32([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
        labels = np.float32([[0, 1, 0], [0, 0, 1]])
        np.testing.assert_allclose(run(n, labels=labels, p=p)["z"], -np.log([0.5, 0.8]), rtol=1e-5)

    def test_old_reshapes(self, run: Run) -> None:
        n = self.network(x=(6,))
        n.node("LegacyReshape", "z", ["x"], u64(6) + u32(3) + u32(0) + u64(2) + u64(1))
        x = random(2, 6)
        np.testing.assert_array_equal(run(n, x=x)["z"], x.reshape(2, 2, 3, 1))

    def test_traces(self, run: Run) -> None:
        """What is logged passes through."""
        n = self.network(x=(3,))
        options = u8(0) + text("labels") + u8(0) + u8(0) + b"".join(bytes([65 + i, 0]) for i in range(8))
        n.node("Trace", "t", ["x"], text("here") + u64(10) + u64(100) + u8(0) + options + u64(1 << 63) + u64(3))
        n.node("Negate", "z", ["t"])
        x = random(2, 3)
        np.testing.assert_array_equal(run(n, x=x)["z"], -x)

    def test_orders_of_axes(self, run: Run) -> None:
        n = self.network(25, x=(4, 3, 2))
        n.node("TransposeDimensions", "z", ["x"], i32(0) + i32(0) + u64(3) + u64(2) + u64(0) + u64(1))
        x = random(2, 2, 3, 4)
        np.testing.assert_array_equal(run(n, x=x)["z"], x.transpose(0, 2, 3, 1))

    def test_slices_with_a_stride(self, run: Run) -> None:
        n = self.network(27, x=(7,))
        n.node("Slice", "z", ["x"], n.slice((1, 1, 6, 2)))
        x = random(2, 7)
        np.testing.assert_array_equal(run(n, x=x)["z"], x[:, 1:6:2])

    def test_reductions_that_drop_an_axis(self, run: Run) -> None:
        n = self.network(24, x=(4, 3))
        n.node("ReduceElements", "z", ["x"], n.reduction("Sum", [1], keep=False))
        x = random(2, 3, 4)
        np.testing.assert_allclose(run(n, x=x)["z"], x.sum(2), rtol=1e-5)

    def test_a_state_of_random_numbers_from_windows(self, run: Run) -> None:
        n = self.network(16, x=(3,))
        n.node("Dropout", "d", ["x"], n.random_state(short=True))
        n.node("Dropout", "z", ["d"], n.random_state(short=True))
        x = random(2, 3)
        np.testing.assert_array_equal(run(n, x=x)["z"], x)

    def test_halves(self, run: Run) -> None:
        n = Legacy(31, "half")
        n.node("InputValue", "x", [], n.input((3,), "__noSequenceAxis"))
        weights = random(3).astype(np.float16)
        n.node("LearnableParameter", "w", [], n.parameter(weights))
        n.node("ElementTimes", "z", ["x", "w"])
        x = random(2, 3).astype(np.float16)
        found = run(n, x=x)["z"]
        assert found.dtype == np.float16
        np.testing.assert_allclose(found, x * weights, rtol=2e-3)

    def test_statistics_that_are_no_variances_yet_stay_flat_in_memory(self, run: Run) -> None:
        """Weights are views of the file; only what is worked out of them is not."""
        n = self.network(12, x=(2, 2, 3))
        for name in ("a", "b", "m", "s"):
            n.node("LearnableParameter", name, [], n.parameter(np.abs(random(1, 3)) + 1, (3, 1)))
        n.node("BatchNormalization", "z", ["x", "a", "b", "m", "s"], n.normalization(True, 1e-5))
        assert run(n, x=random(1, 3, 2, 2))["z"].shape == (1, 3, 2, 2)


class TestOutputs:
    def roots(self, network: Legacy, folder: Path) -> list[str]:
        network.write(folder / "old.model")
        return root_outputs(read_legacy(folder / "old.model"))

    @staticmethod
    def network() -> Legacy:
        n = Legacy(15)
        n.node("InputValue", "x", [], n.input((4,)))
        n.node("InputValue", "labels", [], n.input((4,)))
        n.node("LearnableParameter", "unused", [], n.parameter(random(3)))
        n.node("Softmax", "p", ["x"])
        n.node("Tanh", "aside", ["x"])
        n.node("SquareError", "loss", ["labels", "p"])
        return n

    def test_what_nothing_uses(self, tmp_path: Path) -> None:
        assert self.roots(self.network(), tmp_path) == ["aside_Output_0", "loss_Output_0"]

    def test_what_the_file_lists(self, tmp_path: Path) -> None:
        n = self.network()
        n.groups["Output"], n.groups["Criterion"] = ["p", "p"], ["loss"]
        assert self.roots(n, tmp_path) == ["p_Output_0"]

    def test_criteria_are_left_out(self, tmp_path: Path) -> None:
        n = self.network()
        n.groups["Criterion"] = ["loss"]
        assert self.roots(n, tmp_path) == ["aside_Output_0"]

    def test_cntk_2_lists_only_what_is_used(self, tmp_path: Path) -> None:
        n = Legacy(31)
        a, b, c = (f"__v2libuid__{uid}__v2libname__" for uid in ("Input1", "Tanh2", "Exp3"))
        n.node("InputValue", a, [], n.input((4,)))
        n.node("Tanh", b, [a])
        n.node("Exp", c, [b])
        n.groups["Output"] = [b]
        assert self.roots(n, tmp_path) == ["Exp3_Output_0", "Tanh2_Output_0"]


def test_what_a_file_does_not_hold_is_listed(tmp_path: Path) -> None:
    """CNTK 2.7 writes these nodes without what they are to do."""
    n = Legacy(31)
    n.node("InputValue", "x", [], n.input((4,)))
    n.node("OneHot", "hot", ["x"])
    n.node("TopK", "top", ["hot"])
    n.node("Padding", "elsewhere", ["x"])
    n.groups["Output"] = ["top"]
    n.write(tmp_path / "old.model")
    with pytest.raises(UnsupportedError) as caught:
        nxconvert.convert(tmp_path / "old.model", tmp_path / "new.onnx")
    assert {item.what for item in caught.value.items} == {"OneHot", "TopK"}
    assert "save the model in the format of CNTK 2" in str(caught.value)


def test_a_class_that_nobody_knows_is_named(tmp_path: Path) -> None:
    n = Legacy(31)
    n.node("InputValue", "x", [], n.input((4,)))
    n.node("Frobnicate", "z", ["x"], u64(3))
    n.write(tmp_path / "old.model")
    with pytest.raises(UnsupportedError, match="Frobnicate at z"):
        nxconvert.convert(tmp_path / "old.model", tmp_path / "new.onnx")


@pytest.mark.parametrize("kind", ["MaxPooling", "AveragePooling"])
def test_images_in_another_layout_are_refused(kind: str, tmp_path: Path) -> None:
    n = Legacy(3)
    n.node("InputValue", "x", [], n.input((4, 4, 2)))
    n.node(kind, "z", ["x"], n.image_pooling((2, 2), (1, 1), layout=0))
    n.write(tmp_path / "old.model")
    with pytest.raises(UnsupportedError, match=f"{kind} at z: its images are of the layout HWC"):
        nxconvert.convert(tmp_path / "old.model", tmp_path / "new.onnx")


def test_recurrent_layers_had_their_weights_last(tmp_path: Path) -> None:
    """Before version 14; CNTK computes them on a GPU only."""
    found = []
    for version, inputs in ((13, ["x", "w"]), (14, ["w", "x"])):
        n = Legacy(version)
        n.node("InputValue", "x", [], n.input((3,)))
        n.node("LearnableParameter", "w", [], n.parameter(random(28, 2)))
        n.node("RNN", "z", inputs, n.recurrent(2, 1))
        n.write(tmp_path / "old.model")
        function = read_legacy(tmp_path / "old.model").functions["z"]
        found.append((function.inputs, function.attributes))
    assert found[0] == found[1]
    assert found[0][0] == ("x", "w")
    assert found[0][1]["recurrentOp"] == "lstm"


@pytest.mark.parametrize("model", ["mlp", "lenet", "gru_tagger", "lstm_classifier", "resnet20_cifar", "alexnet_lrn"])
def test_both_formats_of_a_model_are_the_same_functions(model: str, corpus: Path, tmp_path: Path) -> None:
    """CNTK has written both; blocks are in the newer one only."""
    with zipfile.ZipFile(corpus / "cntk" / "models.zip") as archive:
        for name in ("legacy.model", "model.model"):
            (tmp_path / name).write_bytes(archive.read(f"{model}/{name}"))
    old, new = network(read_legacy(tmp_path / "legacy.model")), network(read_model(tmp_path / "model.model"))
    assert described(old) == described(new)
    for uid, variable in new.variables.items():
        assert (variable.shape, variable.axes) == (old.variables[uid].shape, old.variables[uid].axes)
        if variable.value is not None:
            same = old.variables[uid].value
            assert same is not None
            np.testing.assert_array_equal(variable.value.numpy(), same.numpy())


def network(model: Model) -> Network:
    return expand(Expansion(model), [(name, name) for name in root_outputs(model)])


def described(of: Network) -> dict[str, tuple[str, object]]:
    return {uid: (node.op, node.inputs) for uid, node in of.nodes.items()}
