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
from tests.frontends.cntk.models.legacy_files import Legacy, f32, i32, text, u8, u32, u64

Run = Callable[..., dict[str, np.ndarray]]
FIXTURE = Path(__file__).parents[3] / "fixtures" / "cntk_files" / "legacy.zip"
with zipfile.ZipFile(FIXTURE) as fixture:
    RECORDED = sorted({name.partition("/")[0] for name in fixture.namelist()})
RANDOM = np.random.default_rng(0)


def random(*dims: int) -> np.ndarray:
    return RANDOM.standard_normal(dims).astype(np.float32)


FAMILIES = ("legacy", "legacy_images", "legacy_networks")


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


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(network: Legacy, **feeds: np.ndarray) -> dict[str, np.ndarray]:
        network.write(tmp_path / "old.model")
        nxconvert.convert(tmp_path / "old.model", tmp_path / "new.onnx")
        return dict(nxconvert.run(tmp_path / "new.onnx", feeds))

    return run


class TestNodes:
    """What CNTK 2 does not read."""

    @staticmethod
    def network(version: int = 12, precision: str = "float", **inputs: tuple[int, ...]) -> Legacy:
        n = Legacy(version, precision)
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

    @pytest.mark.parametrize("sizes", [(6, 1, 1), (1, 2, 3), (0, 0, 0)])
    def test_the_first_reshapes(self, sizes: tuple[int, int, int], run: Run) -> None:
        """Width, height, channels, which say how many rows there are, or nothing: zeros."""
        width, height, channels = sizes
        n = Legacy(2)
        n.node("InputValue", "x", [], n.input((2, 3)))
        n.node("Reshape", "z", ["x"], u64(6) + u64(width) + u64(height) + u64(channels))
        x = random(2, 2, 3, 2)
        target = (height, width, channels) if width else (6,)
        found = run(n, x=x)["z"]
        np.testing.assert_array_equal(found, x.reshape(2, 2, *target))

    def test_old_reshapes_whose_sizes_say_nothing(self, run: Run) -> None:
        n = self.network(x=(2, 3))
        n.node("LegacyReshape", "z", ["x"], u64(6) + u32(3) + u32(0) * 3)
        x = random(2, 3, 2)
        np.testing.assert_array_equal(run(n, x=x)["z"], x.reshape(2, 6))

    def test_norms_of_parameters(self, run: Run) -> None:
        n = self.network(x=(3,))
        weights = random(3, 2)
        n.node("LearnableParameter", "w", [], n.parameter(weights))
        for kind in ("MatrixL1Reg", "MatrixL2Reg"):
            n.node(kind, kind, ["w"])
        n.node("Plus", "norms", ["MatrixL1Reg", "MatrixL2Reg"])
        n.node("ElementTimes", "z", ["norms", "x"])
        x = random(2, 3)
        expected = x * (np.abs(weights).sum() + np.sqrt((weights**2).sum()))
        np.testing.assert_allclose(run(n, x=x)["z"], expected, rtol=1e-5)

    def test_streams_that_are_joined(self, run: Run) -> None:
        n = self.network(2, x=(3,), y=(2,))
        n.node("Parallel", "z", ["x", "y"])
        x, y = random(2, 4, 3), random(2, 4, 2)
        np.testing.assert_array_equal(run(n, x=x, y=y)["z"], np.concatenate([x, y], 2))

    def test_normalizations_in_doubles(self, run: Run) -> None:
        """Before version 19 CNTK 2.7 adds a count, which is of another precision, and refuses it."""
        n = self.network(13, "double", x=(2, 2, 3))
        scale, bias, mean, variance = (np.abs(RANDOM.standard_normal(3)) + 0.5 for _ in range(4))
        for name, values in (("a", scale), ("b", bias), ("m", mean), ("v", variance)):
            n.node("LearnableParameter", name, [], n.parameter(values, (3, 1)))
        n.node("BatchNormalization", "z", ["x", "a", "b", "m", "v"], n.normalization(True, 1e-5))
        x = RANDOM.standard_normal((2, 3, 2, 2))
        a, b, m, v = (each.reshape(3, 1, 1) for each in (scale, bias, mean, variance))
        np.testing.assert_allclose(run(n, x=x)["z"], a * (x - m) / np.sqrt(v + 1e-5) + b, rtol=1e-7)

    @pytest.mark.parametrize(
        ("kind", "payload"),
        [
            ("CRF", b""),
            ("GMMLogLikelihood", b""),
            ("LSTM", u64(3) + u64(2) + f32(0.1)),
            ("NCEBasedCrossEntropyWithSoftmax", b""),
            ("NCEBasedCrossEntropyWithSoftmax", i32(1)),
            ("StrideTimes", b""),
        ],
    )
    def test_what_is_not_computed_is_no_obstacle(self, kind: str, payload: bytes, run: Run) -> None:
        """Where its data end is known, and nothing that is asked for depends on it."""
        n = self.network(2, x=(3,))
        n.node(kind, "aside", ["x"], payload)
        n.node("Negate", "z", ["x"])
        n.groups["Output"] = ["z"]
        x = random(2, 4, 3)
        np.testing.assert_array_equal(run(n, x=x)["z"], -x)

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


class TestOldImages:
    """Images of the layout HWC, which CNTK 2 refuses, against the loops over memory that CNTK 1 had for them."""

    WIDTH, HEIGHT, CHANNELS, MAPS = 7, 5, 2, 3

    def network(self, version: int) -> Legacy:
        n = Legacy(version)
        n.node("InputValue", "x", [], n.input((self.CHANNELS, self.WIDTH, self.HEIGHT)))
        return n

    def images(self) -> tuple[np.ndarray, np.ndarray]:
        """What is fed, and the same by column, row and channel: in memory channels come first, then rows."""
        memory = random(1, 2, self.WIDTH, self.HEIGHT, self.CHANNELS)
        return memory, memory[0]

    @staticmethod
    def windows(images: np.ndarray, size: tuple[int, int], stride: tuple[int, int], padded: bool) -> np.ndarray:
        """By sample, place across, place down: the part of the image, [width, height, channels]."""
        borders = [side // 2 if padded else 0 for side in size]
        padding = [(0, 0), *((border, border) for border in borders), (0, 0)]
        images = np.pad(images, padding)
        counts = [(images.shape[i + 1] - size[i]) // stride[i] + 1 for i in range(2)]
        rows = [
            [images[:, i * stride[0] :][:, : size[0], j * stride[1] :][:, :, : size[1]] for j in range(counts[1])]
            for i in range(counts[0])
        ]
        return np.moveaxis(np.array(rows), 2, 0)

    @pytest.mark.parametrize("padded", [True, False])
    @pytest.mark.parametrize(
        ("version", "size", "stride"),
        [(1, (3, 3), (1, 1)), (2, (3, 2), (2, 1)), (4, (4, 3), (2, 3)), (5, (3, 5), (2, 2)), (12, (3, 1), (1, 1))],
    )
    def test_convolutions(
        self, version: int, size: tuple[int, int], stride: tuple[int, int], padded: bool, run: Run
    ) -> None:
        n = self.network(version)
        kernels = random(self.MAPS, self.CHANNELS, *size)  # a row each, of which the rows of a kernel run fastest
        n.node("LearnableParameter", "w", [], n.parameter(kernels.reshape(self.MAPS, -1).T))
        n.node("LearnableParameter", "b", [], n.parameter(bias := random(1, self.MAPS)))
        window = (*size, 1 if version < 5 else self.CHANNELS), self.MAPS, (*stride, 1), [padded]
        n.node("Convolution", "c", ["w", "x"], n.convolution(*window, flat=True, layout=0))
        n.node("Plus", "z", ["c", "b"])
        x, images = self.images()
        found = run(n, x=x)["z"]
        parts = self.windows(images, size, stride, padded)
        np.testing.assert_allclose(
            found[0], np.einsum("nijwhc,mcwh->nijm", parts, kernels) + bias[0], rtol=1e-4, atol=1e-5
        )

    @pytest.mark.parametrize("kind", ["MaxPooling", "AveragePooling"])
    def test_poolings(self, kind: str, run: Run) -> None:
        n = self.network(2)
        n.node(kind, "p", ["x"], n.image_pooling((3, 2), (2, 1), layout=0))
        weights = random(2 * 4 * 3, 2)
        n.node("LearnableParameter", "w", [], n.parameter(weights[: 3 * 4 * self.CHANNELS]))
        n.node("Times", "z", ["w", "p"], n.product())
        x, images = self.images()
        parts = self.windows(images, (3, 2), (2, 1), False)
        pooled = (parts.max if kind == "MaxPooling" else parts.mean)(axis=(3, 4))
        np.testing.assert_allclose(run(n, x=x)["z"][0], pooled.reshape(2, -1) @ weights, rtol=1e-4, atol=1e-5)

    def test_what_cntk_never_computed_is_refused(self, tmp_path: Path) -> None:
        n = self.network(12)
        n.node("LearnableParameter", "w", [], n.parameter(random(self.CHANNELS * 16, self.MAPS)))
        window = (4, 4, self.CHANNELS), self.MAPS, (1, 1, 1), [True]
        n.node("Convolution", "c", ["w", "x"], n.convolution(*window, flat=True, layout=0))
        n.node("Pooling", "p", ["x"], n.filter((2, 2), (1,), (1, 1), [False], pooling=1, layout=0))
        n.write(tmp_path / "old.model")
        with pytest.raises(UnsupportedError) as caught:
            nxconvert.convert(tmp_path / "old.model", tmp_path / "new.onnx")
        assert {item.where for item in caught.value.items} == {"c", "p"}
        assert "the border for kernels of [4, 4] is unknown" in str(caught.value)


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
