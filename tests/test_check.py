"""Checking: which inputs are tried, what counts as equal, what is reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest

import nxconvert
from nxconvert import MismatchError, RunError, RuntimeMissingError, UsageError
from nxconvert.checking import compare
from nxconvert.inputs import InputSpec
from nxconvert.sampling import Sampler, limits_of
from tests.conftest import classifier

HEADER = '<ir_version: 9, opset_import: ["" : 20]>\n'


def diff(expected: object, actual: object, dtype: object = np.float32) -> nxconvert.CheckReport:
    return compare("y", np.asarray(expected, dtype), np.asarray(actual, dtype), 1e-3, 1e-5)  # type: ignore[return-value]


class TestCompare:
    @pytest.mark.parametrize(
        ("expected", "actual", "ok"),
        [
            ([1.0, 2.0], [1.0, 2.0], True),
            ([1.0, 2.0], [1.0, 2.001], True),
            ([1.0, 2.0], [1.0, 2.01], False),
            ([np.nan, np.inf, -np.inf], [np.nan, np.inf, -np.inf], True),
            ([np.nan], [1.0], False),
            ([1.0], [np.nan], False),
            ([np.inf], [-np.inf], False),
            ([np.inf], [3e38], False),
            ([0.0], [-0.0], True),
            ([0.0], [9e-6], True),
            ([0.0], [2e-5], False),
            ([], [], True),
        ],
    )
    def test_floats(self, expected: list[float], actual: list[float], ok: bool) -> None:
        assert diff(expected, actual).ok is ok

    def test_small_elements_of_large_outputs_may_differ_more(self) -> None:
        assert diff([100.0, 0.0], [100.0, 9e-4]).ok
        assert not diff([1.0, 0.0], [1.0, 9e-4]).ok

    @pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
    def test_coarse_floats_differ_by_roundings(self, dtype: type) -> None:
        eps = float(ml_dtypes.finfo(dtype).eps)
        assert diff([1.0], [1.0 + 4 * eps], dtype).ok
        assert not diff([1.0], [1.0 + 16 * eps], dtype).ok

    @pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int32])
    def test_integers_are_exact(self, dtype: type) -> None:
        assert diff([100, 7], [100, 7], dtype).ok
        assert not diff([100, 7], [100, 8], dtype).ok

    def test_large_integers_are_not_compared_as_floats(self) -> None:
        result = diff([2**60], [2**60 + 1], np.int64)
        assert not result.ok
        assert result.max_abs == 1

    def test_booleans_and_text(self) -> None:
        assert diff([True, False], [True, False], bool).ok
        assert not diff([True, False], [True, True], bool).ok
        assert diff(["a"], ["a"], object).ok
        assert diff(["a", "b"], ["a", "c"], object).problem == "1 of 2 texts differ"

    def test_complex_numbers(self) -> None:
        assert diff([1 + 2j], [1 + 2j], np.complex64).ok
        assert not diff([1 + 2j], [1 - 2j], np.complex64).ok

    def test_what_cannot_be_compared_is_described(self) -> None:
        one = np.zeros((2, 3), np.float32)
        assert compare("y", one, one.astype(np.float64), 1, 1).problem == "its dtype is float64 and should be float32"
        assert compare("y", one, one[:1], 1, 1).problem == "its shape is [1, 3] and should be [2, 3]"
        assert compare("y", one, None, 1, 1).problem == "only the source has it"
        assert compare("y", None, one, 1, 1).problem == "only the target has it"

    def test_the_largest_differences_are_reported(self) -> None:
        result = diff([4.0, -2.0], [4.0, -1.0])
        assert (result.max_abs, result.max_rel) == (1.0, 0.25)
        assert result.problem == "1 of 2 elements differ, by 1 at most"


def graph_inputs(text: str, tmp_path: Path) -> list:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(HEADER + text), path)
    return list(nxconvert.load(path).graph.inputs)


class TestSampling:
    def test_two_sizes_of_every_free_dim(self, classifier_file: Path) -> None:
        sizes = Sampler(nxconvert.load(classifier_file).graph.inputs, {}).sizes()
        one, other = next(sizes), next(sizes)
        assert set(one) == {"batch", "seq"}
        assert all(one[dim] != other[dim] for dim in one)

    def test_height_and_width_differ(self, tmp_path: Path) -> None:
        inputs = graph_inputs("g (float[batch,3,height,width] x) => (float[a,b,c,d] y) { y = Relu(x) }", tmp_path)
        sizes = next(Sampler(inputs, {}).sizes())
        assert sizes["height"] != sizes["width"]

    def test_indices_are_below_what_they_index(self, classifier_file: Path) -> None:
        sampler = Sampler(nxconvert.load(classifier_file).graph.inputs, {})
        values = sampler.values({"batch": 30, "seq": 40}, seed=1)
        assert values["x"].shape == (30, 40, 16)
        assert values["x"].dtype == np.float32
        assert values["ids"].dtype == np.int64
        assert (values["ids"].min(), values["ids"].max()) == (0, 49)

    @pytest.mark.parametrize(
        ("text", "low", "high"),
        [
            ("g (int32[n] i, float[7,2] t) => (float[n,2] y) { c = Cast<to=7>(i)\n y = Gather(t, c) }", 0, 7),
            ("g (float[n] i, float[7,2] t) => (float[n,2] y) { c = Cast<to=7>(i)\n y = Gather(t, c) }", 0, 7),
            ("g (int64[n] i, float[7,2] t) => (float[n,7] y) { y = Gather<axis=1>(t, i) }", 0, 2),
            (
                "g (int64[n] i, float[7,2] t) => (float[n,2] y) { two = Constant<value_int=2>()\n "
                "j = Add(i, two)\n y = Gather(t, j) }",
                0,
                5,
            ),
            ("g (int64[n] i, float[7,n] t) => (float[n,n] y) { y = GatherElements<axis=1>(t, i) }", 0, 9),
            ("g (int64[n] i, int64[n] j) => (int64[n] y) { y = Div(j, i) }", 1, None),
            ("g (int64[n] i, int64[n] j) => (int64[n] y) { y = Add(j, i) }", 0, None),
        ],
    )
    def test_what_the_graph_demands_of_integers(self, text: str, low: int, high: int | None, tmp_path: Path) -> None:
        limits = limits_of(graph_inputs(text, tmp_path)[0])
        assert (limits.low, limits.upper({"n": 9})) == (low, high)

    def test_what_happens_inside_a_loop_counts(self, tmp_path: Path) -> None:
        text = """
            g (int64[n] i, float[7,2] t) => (int64[n] j, float[m,n,2] y) {
              trips = Constant<value_int=2>()
              yes = Cast<to=9>(trips)
              j, y = Loop(trips, yes, i) <body = body (int64 k, bool c, int64[n] a)
                                               => (bool c2, int64[n] b, float[n,2] s) {
                c2 = Identity(c)
                b = Identity(a)
                s = Gather(t, a)
              }>
            }"""
        assert limits_of(graph_inputs(text, tmp_path)[0]).upper({}) == 7

    def test_declared_sizes_bind_every_input(self, classifier_file: Path) -> None:
        inputs = nxconvert.load(classifier_file).graph.inputs
        sampler = Sampler(inputs, {"ids": InputSpec.parse("int64[5,any]")})
        assert all(sizes["batch"] == 5 for sizes in sampler.sizes())
        assert sampler.values(next(sampler.sizes()), 0)["x"].shape[0] == 5

    def test_given_arrays_are_taken(self, classifier_file: Path) -> None:
        ids = np.array([[1, 2, 3]])
        sampler = Sampler(nxconvert.load(classifier_file).graph.inputs, {"ids": ids})
        values = sampler.values(next(sampler.sizes()), 0)
        assert values["ids"] is ids
        assert values["x"].shape == (1, 3, 16)

    def test_declarations_that_do_not_fit(self, classifier_file: Path) -> None:
        inputs = nxconvert.load(classifier_file).graph.inputs
        for name, spec, complaint in (
            ("what", "int64[n]", "no input what; its inputs are ids, x"),
            ("ids", "int64[n]", "1 dims are given"),
            ("x", "float32[n,m,17]", "does not go with the size 17 given for 16"),
        ):
            with pytest.raises(UsageError, match=complaint):
                Sampler(inputs, {name: InputSpec.parse(spec)})

    def test_every_dtype_can_be_drawn(self, tmp_path: Path) -> None:
        for name in ("bool", "string", "complex64", "bfloat16", "float16", "uint8", "int8", "double"):
            inputs = graph_inputs(f"g ({name}[n] x) => ({name}[n] y) {{ y = Identity(x) }}", tmp_path)
            assert Sampler(inputs, {}).values({"n": 3}, 0)["x"].shape == (3,)

    def test_a_seed_gives_the_same_values(self, classifier_file: Path) -> None:
        sampler = Sampler(nxconvert.load(classifier_file).graph.inputs, {})
        one, again, other = (sampler.values({"batch": 2, "seq": 3}, seed)["x"] for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, again)
        assert not np.array_equal(one, other)


@pytest.fixture
def pair(classifier_file: Path, tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """A model, and another whose weight is off by a factor."""

    def make(factor: float) -> tuple[Path, Path]:
        model = classifier()
        weight = model.graph.initializer[1]
        weight.raw_data = (onnx.numpy_helper.to_array(weight) * np.float32(factor)).tobytes()
        other = tmp_path / "other.onnx"
        onnx.save(model, other)
        return classifier_file, other

    return make


class TestCheck:
    def test_equal_models(self, pair: Callable[..., tuple[Path, Path]]) -> None:
        report = nxconvert.check(*pair(1))
        assert report.ok
        assert [output.name for output in report.outputs] == ["y", "p"]
        assert len(report.runs) == 4
        assert len({tuple(run.sizes.values()) for run in report.runs}) == 2
        report.raise_for_mismatch()
        assert json.loads(report.to_json())["ok"] is True

    def test_different_models(self, pair: Callable[..., tuple[Path, Path]]) -> None:
        report = nxconvert.check(*pair(1.1))
        assert not report.ok
        with pytest.raises(MismatchError, match=r"does not compute what .* y: \d+ of \d+ elements differ"):
            report.raise_for_mismatch()
        assert nxconvert.check(*pair(1.1), rtol=1, atol=10).ok

    def test_a_dim_that_is_fixed_is_not_varied(self, pair: Callable[..., tuple[Path, Path]]) -> None:
        report = nxconvert.check(*pair(1), inputs={"ids": "int64[4,6]"})
        assert {tuple(run.sizes.items()) for run in report.runs} == {(("batch", 4), ("seq", 6))}

    def test_sizes_that_the_source_refuses_are_left_out(self, toy: None, tmp_path: Path) -> None:
        (tmp_path / "a.toy").write_bytes(b'TOY{"only": 1, "scale": 3}')
        nxconvert.convert(tmp_path / "a.toy", tmp_path / "a.nx")
        report = nxconvert.check(tmp_path / "a.toy", tmp_path / "a.nx")
        assert report.ok
        assert {run.sizes["batch"] for run in report.runs if not run.skipped} == {1}
        assert "takes a batch of 1" in next(run.skipped for run in report.runs if run.skipped)

    def test_something_has_to_run(self, toy: None, tmp_path: Path) -> None:
        (tmp_path / "a.toy").write_bytes(b'TOY{"only": 999}')
        nxconvert.convert(tmp_path / "a.toy", tmp_path / "a.nx")
        with pytest.raises(RunError, match="nothing could be checked.*takes a batch of 999"):
            nxconvert.check(tmp_path / "a.toy", tmp_path / "a.nx")
        assert nxconvert.check(tmp_path / "a.toy", tmp_path / "a.nx", inputs=["float32[999,w]"]).ok

    def test_a_target_that_fails_is_a_mismatch(self, toy: None, save_onnx: Callable[..., Path], tmp_path: Path) -> None:
        (tmp_path / "a.toy").write_bytes(b"TOY{}")
        target = save_onnx(
            HEADER + "g (float[batch,width] x) => (float[batch,width] output) "
            "{ s = Constant<value_ints=[5,5]>()\n output = Reshape(x, s) }"
        )
        report = nxconvert.check(tmp_path / "a.toy", target)
        assert not report.ok
        assert "cannot be run by" in report.problems[0]

    def test_a_pinned_argument_is_known_from_the_target(self, toy: None, tmp_path: Path) -> None:
        (tmp_path / "a.toy").write_bytes(b'TOY{"scale": 3}')
        nxconvert.convert(tmp_path / "a.toy", tmp_path / "a.nx", constants={"scale": 5.0})
        assert nxconvert.check(tmp_path / "a.toy", tmp_path / "a.nx").ok

    def test_what_is_missing_to_check_is_said(
        self, pair: Callable[..., tuple[Path, Path]], toy: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "a.toy").write_bytes(b"TOY{}")
        import toy_plugin  # type: ignore[import-not-found]

        monkeypatch.setattr(toy_plugin.ToyRuntime, "available", lambda self: "toy is not installed: buy one")
        with pytest.raises(RuntimeMissingError, match="toy is not installed: buy one"):
            nxconvert.check(tmp_path / "a.toy", pair(1)[1])


class TestAgainstTorch:
    def test_torchscript_against_onnx(self, save_onnx: Callable[..., Path], tmp_path: Path) -> None:
        torch = pytest.importorskip("torch")
        source = tmp_path / "model.pt"
        torch.jit.trace(torch.nn.Softmax(dim=-1), torch.zeros(2, 3)).save(str(source))
        target = save_onnx(
            HEADER + "g (float[batch,width] input) => (float[batch,width] output) { output = Softmax(input) }"
        )
        report = nxconvert.check(source, target)
        assert report.ok
        assert report.source_runtime.startswith("PyTorch")
        wrong = save_onnx(
            HEADER + "g (float[batch,width] input) => (float[batch,width] output) { output = Softmax<axis=0>(input) }"
        )
        assert not nxconvert.check(source, wrong).ok

    def test_state_is_fed_and_compared(self, save_onnx: Callable[..., Path], tmp_path: Path) -> None:
        torch = pytest.importorskip("torch")
        from tests.runtimes.torch_models import Sums

        source = tmp_path / "model.pt"
        torch.jit.script(Sums()).save(str(source))
        graph = "g (float[2] x, float[2] total) => (float[2] output, float[2] total_out) <float[2] total = {1, 2}> "
        right = save_onnx(HEADER + graph + "{ total_out = Add(total, x)\n output = Neg(total_out) }")
        report = nxconvert.check(source, right)
        assert report.ok, report.problems
        assert {output.name for output in report.outputs} == {"output", "total_out"}
        wrong = save_onnx(HEADER + graph + "{ total_out = Identity(total)\n s = Add(total, x)\n output = Neg(s) }")
        assert not nxconvert.check(source, wrong).ok


def test_what_is_masked_may_be_anything_and_may_be_padded_further() -> None:
    expected = np.ma.MaskedArray(np.array([[1.0, 0.0], [2.0, 3.0]], np.float32), [[False, True], [False, False]])
    fitting = np.array([[1, np.nan, 7], [2, 3, 8]], np.float32)
    assert compare("y", expected, fitting, 1e-3, 1e-5).ok
    assert not compare("y", expected, np.array([[1, 0], [2, 4]], np.float32), 1e-3, 1e-5).ok
    assert compare("y", fitting, expected, 1e-3, 1e-5).ok  # the same the other way round
    assert not compare("y", np.array([[1, 0], [2, 4]], np.float32), expected, 1e-3, 1e-5).ok
    assert not compare("y", expected, fitting[:, :1], 1e-3, 1e-5).ok
    assert not compare("y", expected, fitting.astype(np.float64), 1e-3, 1e-5).ok
