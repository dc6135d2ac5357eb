"""What `forward` takes: tensors, numbers, containers, optionals, defaults, pinned values."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest

import nxconvert

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")

from torch import Tensor, nn  # noqa: E402

from tests.frontends.pytorch.script import harness  # noqa: E402
from tests.frontends.pytorch.script.harness import check  # noqa: E402

torch.manual_seed(0)
X = torch.randn(2, 3)


def converted(program: object, **options: object) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        source, target = harness.save(program, folder), Path(folder) / "model.onnx"
        nxconvert.convert(source, target, **options)  # type: ignore[arg-type]
        model = onnx.load(target)
        onnx.checker.check_model(model, full_check=True)
        return model


def inputs_of(model: onnx.ModelProto) -> dict[str, tuple[int, list[object]]]:
    """Name -> element type, dims."""
    return {
        value.name: (
            value.type.tensor_type.elem_type,
            [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
        )
        for value in model.graph.input
    }


def test_numbers_are_scalars() -> None:
    def program(x: Tensor, n: int, f: float, b: bool) -> tuple[Tensor, int, float, bool]:
        return x * n + f, n, f, b

    check(program, (X, 3, 0.5, True), (X, -1, 2.5, False))
    kinds = onnx.TensorProto
    model = converted(program, inputs={"x": "float32[n,3]", "b": "bool"})
    assert inputs_of(model) == {
        "x": (kinds.FLOAT, ["n", 3]),
        "n": (kinds.INT64, []),
        "f": (kinds.FLOAT, []),
        "b": (kinds.BOOL, []),
    }


def test_containers_are_flattened() -> None:
    def program(
        x: Tensor, pair: tuple[Tensor, int], items: list[Tensor], table: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        total = x + pair[0] * pair[1]
        for item in items:
            total = total + item
        return total, {"a": total * table["k"], "b": table["m.n"]}

    call = (X, (X * 2, 3), [X, X * 4, X * 5], {"k": X, "m.n": X - 1})
    check(program, call)


def test_nested_containers() -> None:
    def program(x: list[tuple[Tensor, Tensor]], d: dict[str, list[Tensor]]) -> Tensor:
        total = torch.zeros(3)
        for a, b in x:
            total = total + a * b
        for item in d["k"]:
            total = total - item
        return total + len(x)

    check(program, ([(X[0], X[1]), (X[1], X[1])], {"k": [X[0], X[0]]}))


def test_an_optional_is_none_unless_it_is_declared() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor, y: Tensor | None, n: int | None = None) -> Tensor:
            if y is not None:
                x = x * y
            if n is not None:
                x = x + n
            return x

    check(Net(), (X, None))
    check(Net(), (X, X * 2))
    check(Net(), (X, None, 3))
    model = converted(Net(), inputs={"x": "float32[a,b]"})
    assert list(inputs_of(model)) == ["x"]


def test_defaults() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor, n: int = 2, f: float = 0.5, flag: bool = False, mode: str = "add") -> Tensor:
            if mode == "add":
                x = x + n
            if flag:
                x = x * f
            return x * f

    check(Net(), (X,))
    check(Net(), (X, 4))
    check(Net(), (X, 4, 2.0, True))
    check(Net(), (X, 2, 0.5, False, "mul"), constants={"mode": "mul"})


def test_numbers_with_defaults_may_be_left_out_of_the_feed() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor, n: int = 2, f: float = 0.5) -> Tensor:
            return x * n + f

    with tempfile.TemporaryDirectory() as folder:
        source, target = harness.save(Net(), folder), Path(folder) / "model.onnx"
        nxconvert.convert(source, target, inputs={"x": "float32[a,b]"})
        x = X.numpy()
        np.testing.assert_allclose(harness.run(target, {"x": x})["output"], x * 2 + 0.5, rtol=1e-6)
        fed = {"x": x, "n": np.array(5), "f": np.array(1.5, np.float32)}
        np.testing.assert_allclose(harness.run(target, fed)["output"], x * 5 + 1.5, rtol=1e-6)


@pytest.mark.parametrize(("n", "flag"), [(3, True), (0, False)])
def test_pinned(n: int, flag: bool) -> None:
    def program(x: Tensor, n: int, flag: bool, sizes: list[int]) -> Tensor:
        for i in range(n):
            x = x + i
        if flag:
            x = x.view(sizes)
        return x

    call = (X, n, flag, [3, 2])
    check(program, call, constants={"n": n, "flag": flag, "sizes": [3, 2]})
    model = converted(program, inputs={"x": "float32[2,3]"}, constants={"n": n, "flag": flag, "sizes": [3, 2]})
    assert list(inputs_of(model)) == ["x"]
    assert not any(node.op_type in ("If", "Loop") for node in model.graph.node)


def test_pinned_to_none_and_to_containers() -> None:
    def program(x: Tensor, y: Tensor | None, pair: tuple[int, float], d: dict[str, int]) -> Tensor:
        if y is None:
            x = x + 1
        return x * pair[0] + pair[1] * d["a"]

    check(program, (X, None, (2, 0.5), {"a": 3}), constants={"y": None, "pair": (2, 0.5), "d": {"a": 3}})


def test_declared_in_order_or_by_example() -> None:
    def program(x: Tensor, n: int, y: Tensor) -> Tensor:
        return x * n + y

    for inputs in (
        ["float32[a,3]", "int64", "float32[a,3]"],
        {"x": np.zeros((2, 3), np.float32), "y": X},
        [X.numpy(), 3, X.numpy()],
    ):
        assert list(inputs_of(converted(program, inputs=inputs))) == ["x", "n", "y"]


def test_equal_names_are_equal_sizes() -> None:
    def program(x: Tensor, y: Tensor) -> Tensor:
        if x.size(0) == y.size(0):
            return x + y
        return x + y.sum()

    same = converted(program, inputs={"x": "float32[n]", "y": "float32[n]"})
    assert not any(node.op_type == "If" for node in same.graph.node)
    check(program, (X[0], X[1]), (X[0, :2], X[1]))


@pytest.mark.parametrize("dtype", ["float64", "float16", "int32", "uint8", "int8", "int16", "bool"])
def test_every_dtype(dtype: str) -> None:
    def program(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return torch.cat([x, y]), x == y, torch.where(x.to(torch.bool), x, y)

    x = (torch.randn(2, 3) * 3).abs().to(getattr(torch, dtype))
    check(program, (x, x.flip(0)))


def test_an_argument_that_is_not_used() -> None:
    def program(x: Tensor, unused: Tensor, n: int) -> Tensor:
        return x + 1

    check(program, (X, X, 3))


def test_unknown_names_are_an_error() -> None:
    def program(x: Tensor) -> Tensor:
        return x

    with pytest.raises(nxconvert.UsageError, match="'z'"):
        converted(program, inputs={"x": "float32[a]", "z": "float32[a]"})
    with pytest.raises(nxconvert.UsageError, match="'k'"):
        converted(program, inputs={"x": "float32[a]"}, constants={"k": 3})


def test_an_input_is_returned_as_it_is() -> None:
    def program(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return x, y, x, torch.ones(2)

    check(program, (X, X * 2))


def test_names_of_arguments_that_the_graph_uses_too() -> None:
    """An argument may be called as the graph calls its own values."""

    def program(round: Tensor, val: Tensor, cond: Tensor) -> Tensor:
        if bool(cond.sum() > 0):
            round = round + val
        return round * 2

    check(program, (X, X * 2, X.abs()), (X, X * 2, -X.abs()))
