"""Modules: lists and dicts of them, shared weights, hooks, methods, attributes, traced ones among scripted ones."""

import tempfile
from pathlib import Path

import onnx
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")

from torch import Tensor, nn  # noqa: E402

from tests.frontends.pytorch.script import harness  # noqa: E402
from tests.frontends.pytorch.script.harness import check, trace  # noqa: E402

torch.manual_seed(0)
X = torch.randn(2, 4)


class Scaled(nn.Module):
    def __init__(self, scale: int) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * self.scale


def graph_of(program: object, *call: object) -> onnx.GraphProto:
    with tempfile.TemporaryDirectory() as folder:
        source, target = harness.save(program, folder), Path(folder) / "model.onnx"
        specs = harness.declare(harness.arguments(source, call, None), free=True)
        return harness.convert(source, target, specs, None).graph


def test_module_lists_and_dicts() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([Scaled(1), Scaled(2), Scaled(3)])
            self.named = nn.ModuleDict({"relu": nn.ReLU(), "tanh": nn.Tanh()})
            self.chain = nn.Sequential(nn.Linear(4, 4), nn.Sigmoid())

        def forward(self, x: Tensor) -> Tensor:
            for i, block in enumerate(self.blocks):
                x = block(x) + i
            for name, layer in self.named.items():
                if name != "relu":
                    x = layer(x)
            x = self.named["relu"](x) + len(self.blocks)
            return self.blocks[-1](self.chain(x)) + self.blocks[1].scale

    check(Net(), (X,))


def test_tied_weights_are_written_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(5000, 64)
            self.head = nn.Linear(64, 5000, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, ids: Tensor) -> Tensor:
            return self.head(self.embed(ids))

    ids = torch.randint(5000, (2, 3))
    check(Tied(), (ids,), rtol=1e-4, atol=1e-5)
    sizes = [tensor.dims for tensor in graph_of(Tied(), ids).initializer if len(tensor.raw_data) == 4 * 5000 * 64]
    assert len(sizes) == 1


def test_a_module_called_three_times() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.again = self.layer

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(torch.relu(self.again(self.layer(x))))

    check(Shared(), (X,))
    check(trace(Shared(), X), (X,))
    assert len(graph_of(Shared(), X).initializer) == 2


def test_parameters_that_are_views_of_one_another() -> None:
    class Views(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            whole = torch.randn(8, 4)
            self.register_buffer("whole", whole)
            self.register_buffer("lower", whole[4:])
            self.register_buffer("turned", whole.t())
            self.register_buffer("strided", whole[::2, 1])

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.lower + (x @ self.turned).sum(-1, keepdim=True) + self.strided + self.whole[0]

    check(Views(), (X,))


def test_names_are_kept() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = Scaled(2)
            self.rest = nn.Sequential(nn.Linear(4, 3), nn.ReLU())

        def forward(self, x: Tensor) -> Tensor:
            return self.rest(self.first(x))

    for program in (Net(), trace(Net(), X)):
        graph = graph_of(program, X)
        names = {tensor.name for tensor in graph.initializer}
        assert {"first.linear.weight", "first.linear.bias", "rest.0.weight", "rest.0.bias"} & names
        assert all("rest.1" in node.name for node in graph.node if node.op_type == "Relu")


def test_hooks() -> None:
    def before(module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        return (args[0] * 2,)

    def after(module: nn.Module, args: tuple[Tensor], result: Tensor) -> Tensor:
        return result + 1

    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    net[0].register_forward_pre_hook(before)
    net[1].register_forward_hook(after)
    check(net, (X,))
    inner = nn.Linear(4, 4)
    inner.register_forward_pre_hook(before)
    inner.register_forward_hook(after)
    check(inner, (X,))


def test_methods_and_free_functions() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4))

        def helper(self, x: Tensor, times: int = 2, plus: float = 0.5) -> Tensor:
            for _ in range(times):
                x = x * self.weight + plus
            return x

        @torch.jit.export
        def other(self, x: Tensor) -> Tensor:
            return self.helper(x, plus=1.0)

        def forward(self, x: Tensor) -> Tensor:
            return clamp_all(self.helper(x, 3) + self.other(x), high=0.5)

    check(Net(), (X,))


def clamp_all(x: Tensor, low: float = -1.0, high: float = 1.0) -> Tensor:
    return x.clamp(low, high)


def test_recursion_between_functions_is_refused_by_torch_but_depth_is_not() -> None:
    class Deep(nn.Module):
        def __init__(self, depth: int) -> None:
            super().__init__()
            self.inner = Deep(depth - 1) if depth else nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x) + 1

    check(Deep(60), (X,))


def test_training_flags_and_dropout() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.BatchNorm1d(4))
    check(net.eval(), (X,))


def test_attributes_of_all_kinds() -> None:
    class Net(nn.Module):
        scales: list[float]
        sizes: tuple[int, int]
        table: dict[str, int]

        def __init__(self) -> None:
            super().__init__()
            self.scales = [0.5, 2.0]
            self.sizes = (2, 2)
            self.table = {"a": 3}
            self.name = "net"
            self.weights = nn.ParameterList([nn.Parameter(torch.randn(4)) for _ in range(2)])

        def forward(self, x: Tensor) -> Tensor:
            for scale in self.scales:
                x = x * scale
            if self.name == "net":
                x = x + self.table["a"]
            for weight in self.weights:
                x = x * weight
            return x.view(-1, self.sizes[0], self.sizes[1])

    check(Net(), (X,))


def test_traced_within_scripted_and_scripted_within_traced() -> None:
    class Choose(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if bool(x.sum() > 0):
                return x * 2
            return x - 1

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.traced = torch.jit.trace(Scaled(3), X)
            self.scripted = torch.jit.script(Choose())

        def forward(self, x: Tensor) -> Tensor:
            return self.scripted(self.traced(x))

    check(Outer(), (X,), (-X,))
    check(trace(Outer(), X), (X,), (-X,))


def test_no_grad_and_casts_change_nothing() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                y = x * 2
                if bool(y.sum() > 0):
                    y = y + 1
            z = y.detach() * 3
            return y + z.requires_grad_(False)

    check(Net(), (X,), (-X,))


def test_frozen_archives() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.norm = nn.BatchNorm2d(4)

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.norm(self.conv(x)))

    image = torch.randn(1, 3, 8, 8)
    frozen = torch.jit.freeze(torch.jit.script(Net().eval()))
    check(frozen, (image,), rtol=1e-4, atol=1e-5)


def test_a_module_without_forward_is_refused() -> None:
    class Net(nn.Module):
        @torch.jit.export
        def other(self, x: Tensor) -> Tensor:
            return x

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        torch.jit.script(Net()).save(path)
        import nxconvert

        with pytest.raises(nxconvert.ReadError, match="forward"):
            nxconvert.convert(path, Path(folder) / "out.nx")
