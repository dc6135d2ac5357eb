"""`from_torch`: modules of every kind become graphs that compute the same, and stay as they were."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import numpy as np
import pytest

import nxconvert
from nxconvert.interface import interface
from nxconvert.live import LiveModelWarning
from tests.frontends.pytorch.eager.harness import agree, torch

nn = torch.nn
rand = torch.randn


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Any, pair: Any, *, scale: float = 1.0, more: Any = None) -> Any:
        first, second = pair
        y = self.linear(x) * scale + first
        return {"y": y, "both": (second.sum(0), y if more is None else y * more["m"])}


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))
        self.calls = 0
        self.names = ["a"]

    def forward(self, x: Any) -> Any:
        self.calls += 1
        self.names.append("b")
        self.seen.add_(1)
        return x + self.seen


class Decides(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.sum() > 0 else -x


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 8)
        self.head = nn.Linear(8, 50, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: Any) -> Any:
        return self.head(self.embed(ids))


class Views(nn.Module):
    """Weights that are not contiguous, share a storage, or are conjugated."""

    def __init__(self) -> None:
        super().__init__()
        base = rand(4, 6)
        self.register_buffer("turned", base.t())
        self.register_buffer("part", base[1:3, ::2])
        self.register_buffer("wide", rand(1, 1).expand(3, 2))
        self.register_buffer("turn", torch.randn(3, dtype=torch.complex64).conj())

    def forward(self, x: Any) -> Any:
        y = x @ self.turned + self.part.sum() + torch.view_as_real(self.turn * self.turn).sum()
        return y, self.wide * 2


class Point(NamedTuple):
    a: Any
    b: Any


class Points(nn.Module):
    def forward(self, point: Any) -> Any:
        return Point(point.a + 1, {"twice": point.b * 2})


class Many(nn.Module):
    def forward(self, *xs: Any) -> Any:
        return sum(xs)


class Whole(nn.Module):
    """Works with one size only."""

    def forward(self, x: Any) -> Any:
        if x.shape[0] != 4:
            raise ValueError("four rows are wanted")
        return x * 2


def decided(a: Any, b: Any) -> Any:
    return a @ b


class TestInputs:
    def test_nested_inputs_and_outputs(self) -> None:
        agree(
            Nested().eval(),
            (rand(2, 4), (rand(3), rand(5, 2))),
            (rand(7, 4), [rand(3), rand(5, 2)]),
            kwargs={"scale": 2.5, "more": {"m": rand(3)}},
            dynamic={"x": {0: "n"}},
            inputs={
                "x": "float32[n,4]",
                "pair.0": "float32[3]",
                "pair.1": "float32[5,2]",
                "more.m": "float32[3]",
            },
        )

    def test_named_tuples_and_any_number_of_inputs(self) -> None:
        names = {"point.a": "float32[batch,2]", "point.b": "float32[3]"}
        agree(Points().eval(), (Point(rand(1, 2), rand(3)),), dynamic={"point": [True, None]}, inputs=names)
        model = agree(Many().eval(), (rand(1, 2), rand(1, 2)), (rand(4, 2), rand(4, 2)), dynamic=[[True, True]])
        assert [str(value.shape) for value in model.graph.inputs] == ["[batch,2]", "[batch,2]"]

    def test_what_is_wrapped_around_a_module_is_left_out(self) -> None:
        names = {"input": "float32[batch,4]"}
        for wrap in (nn.DataParallel, torch.compile):
            module = wrap(nn.Linear(4, 3)).eval()
            model = nxconvert.from_torch(module, rand(2, 4), dynamic=True)
            assert interface(model.graph.inputs) == names
            assert set(model.graph.initializers) == {"weight", "bias"}

    def test_one_tensor_needs_no_tuple(self) -> None:
        model = nxconvert.from_torch(nn.Linear(4, 3).eval(), rand(2, 4))
        assert [str(value.shape) for value in model.graph.inputs] == ["[2,4]"]

    def test_functions_and_methods(self) -> None:
        names = {"a": "float32[i,j]", "b": "float32[j,k]"}
        agree(
            decided, (rand(2, 3), rand(3, 4)), (rand(5, 6), rand(6, 7)), dynamic=[["i", "j"], ["j", "k"]], inputs=names
        )
        agree(nn.Linear(4, 3).eval().forward, (rand(2, 4),))

    def test_an_exported_program(self) -> None:
        free = torch.export.Dim("free")
        program = torch.export.export(nn.Linear(4, 3).eval(), (rand(2, 4),), dynamic_shapes=({0: free},))
        model = nxconvert.from_torch(program)
        assert str(model.graph.inputs[0].shape) == "[batch,4]"
        with pytest.raises(nxconvert.UsageError, match="says itself what is free"):
            nxconvert.from_torch(program, dynamic=True)

    def test_scripted_and_traced_modules(self) -> None:
        scripted = torch.jit.script(Decides())
        agree(scripted, (rand(2, 3),), (torch.ones(5, 3),), (-torch.ones(5, 3),), dynamic=True)
        traced = torch.jit.trace(nn.Linear(4, 3).eval(), rand(2, 4))
        agree(traced, (rand(2, 4),), (rand(5, 4),), dynamic={"input": {0: "n"}}, inputs={"input": "float32[n,4]"})

    @pytest.mark.parametrize(
        ("module", "example", "complaint"),
        [
            (nn.Linear(4, 3), (), r"do not fit forward.*missing a required argument: 'input'"),
            (nn.Linear(4, 3), (rand(1, 4), rand(1)), "too many positional arguments"),
            (3, (), "int is no model"),
        ],
    )
    def test_inputs_that_do_not_fit(self, module: Any, example: Any, complaint: str) -> None:
        with pytest.raises(nxconvert.UsageError, match=complaint):
            nxconvert.from_torch(module, example)

    def test_inputs_that_the_module_does_not_take(self) -> None:
        with pytest.raises(nxconvert.ReadError, match=r"does not run on the example.*RuntimeError.*\[2, 5\]"):
            nxconvert.from_torch(nn.Linear(4, 3).eval(), rand(2, 5))
        with pytest.raises(nxconvert.UsageError, match="give those with names as kwargs"):
            nxconvert.from_torch(nn.Linear(4, 3), {"input": rand(2, 4)})


class TestDynamic:
    @pytest.mark.parametrize(
        ("dynamic", "dims"),
        [
            (None, "[1,4]"),
            (True, "[batch,4]"),
            ({"input": {0: "n"}}, "[n,4]"),
            ({"input": ["n", None]}, "[n,4]"),
            ({"input": {-2: "n"}}, "[n,4]"),
            ({"input": {0: True}}, "[batch,4]"),
            ([{0: "n"}], "[n,4]"),
            ((["n", 4],), "[n,4]"),
            ({"input": {0: torch.export.Dim("rows", min=2, max=9)}}, "[rows,4]"),
            (({0: torch.export.Dim.DYNAMIC},), "[batch,4]"),
            ({"input": (torch.export.Dim.AUTO, torch.export.Dim.STATIC)}, "[batch,4]"),
        ],
    )
    def test_the_forms_it_takes(self, dynamic: Any, dims: str) -> None:
        """The example has a batch of 1, which torch.export alone would take for a constant."""
        model = agree(nn.Linear(4, 3).eval(), (rand(1, 4),), *([(rand(3, 4),)] if dynamic else []), dynamic=dynamic)
        assert str(model.graph.inputs[0].shape) == dims

    @pytest.mark.parametrize(
        ("dynamic", "complaint"),
        [
            ({"x": {0: "n"}}, "'x', but in the arguments there is only input"),
            ({"input": {2: "n"}}, "which has 2 axes"),
            ({"input": ["n"]}, "which has 2 axes"),
            ({"input": {0: "my dim"}}, "which is no name"),
            ({"input": {1: 5}}, "to 5, and the example has 4"),
            ({"input": {0: 2.5}}, "says 2.5 about"),
            ("batch", "dynamic=True frees the first axis"),
        ],
    )
    def test_what_makes_no_sense(self, dynamic: Any, complaint: str) -> None:
        with pytest.raises(nxconvert.UsageError, match=complaint):
            nxconvert.from_torch(nn.Linear(4, 3).eval(), rand(2, 4), dynamic=dynamic)

    def test_flat_names_reach_into_containers(self) -> None:
        model = nxconvert.from_torch(
            Nested().eval(), (rand(1, 4), (rand(3), rand(5, 2))), dynamic={"x": True, "pair.1": {0: "rows"}}
        )
        assert [str(value.shape) for value in model.graph.inputs] == ["[batch,4]", "[3]", "[rows,2]"]

    def test_a_size_that_the_module_fixes(self) -> None:
        with pytest.raises(
            nxconvert.UsageError, match=r"'batch', axis 0 of the input 'x'.*works with 4 only.*_torch.py:"
        ):
            nxconvert.from_torch(Whole().eval(), rand(4, 2), dynamic=True)
        with pytest.raises(nxconvert.UsageError, match="torch.export cannot keep the sizes"):
            nxconvert.from_torch(Whole().eval(), rand(4, 2), dynamic=({0: torch.export.Dim("n")},))

    def test_names_of_equal_sizes(self) -> None:
        with pytest.warns(LiveModelWarning, match="'j' and 'k' to be equal; both are called 'j'"):
            model = nxconvert.from_torch(decided, (rand(2, 3), rand(3, 4)), dynamic=[[None, "j"], ["k", None]])
        assert [str(value.shape) for value in model.graph.inputs] == ["[2,j]", "[j,4]"]


class TestWeights:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.float32])
    def test_dtypes(self, dtype: Any) -> None:
        rtol = 1e-2 if dtype is torch.float16 else 1e-5
        agree(nn.Linear(4, 3).to(dtype).eval(), (rand(2, 4).to(dtype),), rtol=rtol)

    def test_bfloat16(self) -> None:
        module = nn.Linear(4, 3).bfloat16().eval()
        model = nxconvert.from_torch(module, rand(2, 4).bfloat16())
        weight = next(v.const_value for n, v in model.graph.initializers.items() if n.startswith("weight"))
        got = weight.numpy().astype(np.float32)
        want = module.weight.detach().float().numpy()
        np.testing.assert_array_equal(got if got.shape == want.shape else got.T, want)

    def test_they_are_not_copied(self) -> None:
        module = nn.Conv2d(3, 4, 3).eval()
        model = nxconvert.from_torch(module, rand(1, 3, 8, 8))
        weight = model.graph.initializers["weight"].const_value.numpy()
        assert weight.ctypes.data == module.weight.data_ptr()

    def test_tied_weights_are_written_once(self) -> None:
        model = agree(Tied().eval(), (torch.tensor([[1, 2, 3]]),))
        assert sum(value.const_value.size == 400 for value in model.graph.initializers.values()) <= 2
        stored = {value.const_value.numpy().ctypes.data for value in model.graph.initializers.values()}
        assert len(stored) == len(model.graph.initializers)

    def test_views_of_shared_storages(self) -> None:
        agree(Views().eval(), (rand(2, 6),), rtol=1e-4)

    def test_those_that_are_nowhere(self) -> None:
        with torch.device("meta"):
            module = nn.Linear(4, 3)
        with pytest.raises(nxconvert.ReadError, match="'weight' is on the meta device"):
            nxconvert.from_torch(module, rand(1, 4))
        with pytest.raises(nxconvert.ReadError, match="'weight' has no shape yet: run the module once"):
            nxconvert.from_torch(nn.LazyLinear(3), rand(1, 4))


class TestUntouched:
    @pytest.mark.parametrize("via", ["export", "trace"])
    def test_the_module(self, via: Any) -> None:
        module = nn.Sequential(Counter(), nn.Dropout(0.5), nn.BatchNorm1d(4), nn.Linear(4, 3))
        module[3].bias.requires_grad_(False)
        module[2].eval()
        before = {name: value.clone() for name, value in module.state_dict().items()}
        with pytest.warns(LiveModelWarning, match="training mode" if via == "export" else "was traced"):
            nxconvert.from_torch(module, rand(2, 4), via=via)
        for name, value in module.state_dict().items():
            assert torch.equal(value, before[name])
        assert [part.training for part in module.modules()] == [True, True, True, False, True]
        assert [parameter.requires_grad for parameter in module.parameters()] == [True, True, True, False]
        assert (module[0].calls, module[0].names) == (0, ["a"])

    def test_pytorch(self) -> None:
        module = nn.Sequential(nn.Linear(4, 3), nn.Dropout()).eval()
        torch.manual_seed(3)
        random.seed(3)
        want = (torch.get_rng_state().tolist(), random.getstate())
        dtype = torch.get_default_dtype()
        nxconvert.from_torch(module, torch.ones(2, 4))
        assert (torch.get_rng_state().tolist(), random.getstate()) == want
        assert torch.is_grad_enabled()
        assert torch.get_default_dtype() is dtype

    def test_a_failure_leaves_it_alone_too(self, capfd: pytest.CaptureFixture[str]) -> None:
        module = nn.Sequential(Counter(), Decides())
        with pytest.raises(nxconvert.ReadError):
            nxconvert.from_torch(module, rand(2, 4))
        assert module.training
        assert module[0].calls == 0
        assert torch.is_grad_enabled()
        assert capfd.readouterr() == ("", "")


class TestState:
    def test_a_buffer_that_changes(self) -> None:
        module = Counter().eval()
        agree(module, (rand(3),))
        model = nxconvert.from_torch(module, rand(3))
        assert [value.name for value in model.graph.inputs] == ["x", "seen"]
        assert [value.name for value in model.graph.outputs] == ["output", "seen_out"]
        first = nxconvert.from_torch(module, rand(3), state="first")
        assert [value.name for value in first.graph.outputs] == ["output"]


class TestVia:
    def test_decisions_are_refused_unless_asked_for(self) -> None:
        with pytest.raises(
            nxconvert.ReadError, match=r"decides by the values of tensors at .*from_torch.py:\d+.*via='script'"
        ):
            nxconvert.from_torch(Decides().eval(), rand(2, 3))
        agree(Decides().eval(), (rand(2, 3),), (torch.ones(5, 3),), (-torch.ones(5, 3),), via="script", dynamic=True)

    def test_a_trace_says_what_it_is(self) -> None:
        with pytest.warns(LiveModelWarning) as caught:
            model = nxconvert.from_torch(Decides().eval(), torch.ones(2, 3), via="trace", dynamic=True)
        messages = " ".join(str(warning.message) for warning in caught)
        assert "Converting a tensor to a Python boolean" in messages
        assert "Decides was traced: every decision" in messages
        assert str(model.graph.inputs[0].shape) == "[batch,3]"

    def test_steps_that_torch_export_fixes(self) -> None:
        module, dynamic = nn.LSTM(4, 3, batch_first=True).eval(), {"input": {0: "batch", 1: "steps"}}
        with pytest.raises(nxconvert.UsageError, match=r"'steps', axis 1 .*works with 5 only.*via='trace'"):
            nxconvert.from_torch(module, rand(2, 5, 4), dynamic=dynamic)
        with pytest.warns(LiveModelWarning, match="was traced"):
            agree(module, (rand(2, 5, 4),), (rand(3, 9, 4),), dynamic=dynamic, via="trace")
        with pytest.raises(nxconvert.ReadError, match="keeps no forward of LSTM"):
            nxconvert.from_torch(module, rand(2, 5, 4), via="script")

    def test_modules_that_only_torchscript_knows(self) -> None:
        quantized = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 3)).eval(), {nn.Linear})
        with pytest.raises(nxconvert.ReadError, match=r"torch.export makes no program of Sequential.*via='script'"):
            nxconvert.from_torch(quantized, rand(2, 4))
        agree(quantized, (rand(2, 4),), via="script", rtol=0.02)

    def test_arguments_by_name(self) -> None:
        with pytest.warns(LiveModelWarning, match="was traced"):
            agree(nn.Bilinear(2, 3, 4).eval(), (rand(5, 2),), kwargs={"input2": rand(5, 3)}, via="trace")

    def test_another_way(self) -> None:
        with pytest.raises(nxconvert.UsageError, match="via is to be one of export, script, trace"):
            nxconvert.from_torch(Decides().eval(), rand(2, 3), via="magic")  # type: ignore[arg-type]

    def test_code_that_torchscript_does_not_know(self) -> None:
        class Odd(nn.Module):
            def forward(self, x: Any) -> Any:
                return x + next(iter({1, 2}))

        with pytest.raises(nxconvert.ReadError, match="torch.jit.script does not understand Odd"):
            nxconvert.from_torch(Odd().eval(), rand(2), via="script")
