"""Exported programs: shapes, symbols, nested arguments, constants, mutation."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from pathlib import Path

import pytest

import nxconvert
from tests.frontends.pytorch.export.harness import check, export, torch

nn = torch.nn
Dim = torch.export.Dim
Pair = namedtuple("Pair", "left right")
torch.utils._pytree._register_namedtuple(Pair, serialized_type_name="tests.Pair")


def rand(*shape):
    return torch.randn(*shape)


def test_network_with_a_free_batch():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5), nn.Softmax(-1),
    )  # fmt: skip
    check(net, (rand(2, 3, 16, 16),), (rand(5, 3, 16, 16),), dynamic=({0: Dim("batch")},))


def test_network_with_free_image_sizes():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2.0))
    free = ({0: Dim("n"), 2: Dim("h", min=8), 3: Dim("w", min=8)},)
    check(net, (rand(2, 3, 16, 18),), (rand(1, 3, 24, 20),), (rand(3, 3, 8, 32),), dynamic=free)


def test_derived_dims():
    half = Dim("half", min=2, max=64)

    def program(x, y):
        return x.reshape(-1, 2).sum(1) + y[1:], x.shape[0] // 2, y * 2

    check(program, (rand(8), rand(5)), (rand(20), rand(11)), dynamic=(({0: 2 * half}, {0: half + 1}),))


def test_multiple_of_a_symbol_alone():
    def program(x):
        return x.reshape(4, -1).cumsum(0), torch.arange(x.shape[0])

    check(program, (rand(16),), (rand(40),), dynamic=(({0: 4 * Dim("n")},),))


def test_data_dependent_sizes():
    def program(x, n):
        found = x.nonzero()
        k = n.item()
        torch._check(k >= 0)
        torch._check(k <= x.shape[0])
        return found * 2, x[:k].sum(), torch.ones(k, 2), x[x > 0]

    x = torch.tensor([0.0, 1.0, -2.0, 0.0, 3.0])
    check(program, (x, torch.tensor(3)), (rand(5), torch.tensor(0)))


def test_arithmetic_on_sizes():
    def program(x, y):
        n, m = x.shape[0], y.shape[0]
        sizes = (n + m, n * m - 1, n // 2, n % 3, -n, max(n, 4), torch.sym_min(n, m), n**2, torch.sym_max(m, 3))
        return (torch.cat([x, y]), x.new_zeros(n * 2 + 1), *sizes)

    check(program, (rand(7, 2), rand(3, 2)), (rand(2, 2), rand(9, 2)), dynamic=(({0: Dim("n")}, {0: Dim("m")}),))


def test_float_arithmetic_on_sizes():
    def program(x):
        scale = 1 / torch.sym_float(x.shape[1]) ** 0.5
        return x * scale, x / (x.shape[0] / 2)

    check(program, (rand(3, 4),), (rand(5, 8),), dynamic=(({0: Dim("n"), 1: Dim("m")},),))


def test_nested_arguments_and_results():
    class Nested(nn.Module):
        def forward(self, x, many, *, extra, flag=True):
            first, second = many["pair"]
            y = x + first * second.left if flag else x
            return {"sum": y, "rest": [many["list"][1] - 1, (extra, None)], "pair": Pair(y * 2, extra + 1)}

    many = {"list": [rand(2), rand(2)], "pair": (rand(2), Pair(rand(2), rand(2)))}
    check(Nested(), (rand(2), many), kwargs={"extra": rand(2)})


def test_constants_in_the_program():
    table = torch.arange(6).reshape(2, 3)

    class Constants(nn.Module):
        def __init__(self):
            super().__init__()
            self.plain = torch.tensor([1.0, 2.0, 3.0])
            self.register_buffer("hidden", torch.ones(3), persistent=False)

        def forward(self, x):
            return x * self.plain + self.hidden + table, torch.tensor([5, 6]), torch.full((2,), 7.5)

    check(Constants(), (rand(2, 3),))


def test_tied_weights_are_one():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(11, 4)
            self.head = nn.Linear(4, 11, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, ids):
            return self.head(self.embedding(ids))

    check(Tied(), (torch.tensor([[1, 2, 10]]),))


def test_weights_that_are_views():
    base = torch.randn(4, 6)

    class Views(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("transposed", base.t())
            self.register_buffer("part", base[1:3, 2:5])

        def forward(self, x):
            return x @ self.transposed, self.part * 2

    check(Views(), (rand(2, 6) @ rand(6, 6),))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.uint8, torch.bool])
def test_dtypes(dtype):
    def program(x, y):
        return torch.cat([x, y]), torch.where(x == y, x, y), x.to(torch.float32) + 1

    make = lambda: torch.randint(0, 2, (3, 4)).to(dtype)  # noqa: E731
    check(program, (make(), make()))


def test_in_place_on_views():
    def program(x):
        y = x.clone()
        y[:, 1:3].t().add_(1)
        y[0] = 5
        y.view(-1)[::2].mul_(2)
        return y

    check(program, (rand(4, 6),))


def test_masks_and_index_put():
    def program(x, index, values):
        y = x.clone()
        y[index] = values
        y[y < 0] = 0.5
        return y, x.index_put((index,), values, accumulate=True)

    check(program, (rand(6, 2), torch.tensor([0, 3, 0]), rand(3, 2)))


def test_autocast_regions():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                y = self.first(x)
                z = torch.cat([y, x])
                with torch.autocast("cpu", enabled=False):
                    w = self.second(x)
            with torch.no_grad():
                return y, z, w * 2

    check(Mixed(), (rand(3, 4),), decomposed=(False,), rtol=2e-2, atol=2e-3)


def test_scaled_dot_product_attention_with_free_lengths():
    def program(q, k, v):
        return nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)

    b, n = Dim("b"), Dim("n")
    make = lambda b, n: tuple(rand(b, 2, n, 8) for _ in range(3))  # noqa: E731
    check(program, make(2, 5), make(1, 9), dynamic=(({0: b, 2: n},) * 3,))


def test_recurrent_layers():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(4, 6, 2, batch_first=True, bidirectional=True)
            self.gru = nn.GRU(12, 5, batch_first=True)

        def forward(self, x):
            y, (h, c) = self.lstm(x)
            return self.gru(y)[0], h, c

    check(Recurrent(), (rand(2, 7, 4),), decomposed=(False,))


def test_transformer_layer():
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    check(layer, (rand(2, 5, 16),), (rand(3, 5, 16),), dynamic=({0: Dim("batch")},), atol=1e-5)


def test_split_unbind_and_chunk_give_lists():
    def program(x):
        a, b = x.split([2, 3], 1)
        c, d, e = x.unbind(0)
        return (*x.chunk(2, 1), a, b, c + d + e, torch.stack(list(x.unbind(1))), *x.topk(2), *x.max(1))

    check(program, (rand(3, 5),))


def test_a_list_among_several_results():
    def program(x):
        counts, edges = torch.histogramdd(x, bins=[2, 3])
        return counts, edges[0], edges[1]

    check(program, (rand(6, 2),))


def test_what_is_wrong_about_an_unused_result():
    """PyTorch says that the last one, which it computes for the gradient alone, has two dims."""

    def program(table, indices, offsets):
        return torch.nn.functional.embedding_bag(indices, table, offsets, mode="max")

    check(program, (rand(5, 3), torch.tensor([0, 2, 4, 1]), torch.tensor([0, 1])))


def test_resized_copies():
    check(lambda x: x.clone().resize_(2, 3) + 1, (rand(3, 4),))
    check(lambda x, y: x.clone().resize_as_(y) * y, (rand(3, 4), rand(6)))


def test_complex_halves():
    check(lambda x: torch.view_as_real(x.chalf()).float() + 1, (rand(3),))


def test_results_are_named_by_the_keys_of_any_dict(tmp_path):
    class Dicts(nn.Module):
        def forward(self, x):
            found = defaultdict(list)
            found["a"] = x + 1
            return found, OrderedDict(p=x * 2), {1: x - 1}

    torch.export.save(torch.export.export(Dicts(), (rand(2),)), tmp_path / "model.pt2")
    report = nxconvert.convert(tmp_path / "model.pt2", tmp_path / "model.onnx")
    assert list(report.outputs) == ["output.0.a", "output.1.p", "output.2.1"]


def test_complex_arguments_and_results_are_pairs(tmp_path):
    class Spectrum(nn.Module):
        def forward(self, x, w):
            y = torch.fft.rfft(x) * w
            return y, torch.fft.irfft(y, n=x.shape[-1]), y.abs()

    w = torch.randn(5, dtype=torch.complex64)
    source, target = tmp_path / "model.pt2", tmp_path / "model.onnx"
    torch.export.save(torch.export.export(Spectrum(), (rand(3, 8), w), dynamic_shapes=({0: Dim("n")}, None)), source)
    report = nxconvert.convert(source, target)
    assert report.inputs["w"] == "float32[5,2]"
    nxconvert.check(source, target).raise_for_mismatch()
    x = rand(4, 8)
    outputs = nxconvert.run(target, {"x": x.numpy(), "w": w.numpy()})
    expected = torch.view_as_real(torch.fft.rfft(x) * w)
    torch.testing.assert_close(torch.from_numpy(outputs["output.0"]), expected, rtol=1e-4, atol=1e-5)


class TestDeclaredSizes:
    """What is declared of a program's free sizes is said of its own symbols, whatever they are usually called."""

    @staticmethod
    def free(tmp_path: Path) -> Path:
        a, b, c = (torch.export.Dim(name, min=2) for name in "abc")
        program = export(
            lambda x, y: (x * 2, y + 1), (torch.ones(3, 4), torch.ones(5)), dynamic=(({0: a, 1: b}, {0: c}),)
        )
        torch.export.save(program, tmp_path / "model.pt2")
        return tmp_path / "model.pt2"

    def test_names_may_change_places(self, tmp_path: Path) -> None:
        source = self.free(tmp_path)
        usual = nxconvert.load(source).graph.inputs[0].shape
        swapped = [str(dim) for dim in reversed(list(usual))]
        model = nxconvert.load(source, inputs=[f"[{','.join(swapped)}]"])
        assert [str(dim) for dim in model.graph.inputs[0].shape] == swapped

    def test_a_usual_name_that_is_taken_is_not_given_twice(self, tmp_path: Path) -> None:
        source = self.free(tmp_path)
        first = str(nxconvert.load(source).graph.inputs[0].shape[0])
        name = nxconvert.load(source).graph.inputs[1].name
        model = nxconvert.load(source, inputs={name: f"[{first}]"})
        assert str(model.graph.inputs[1].shape[0]) == first
        assert first not in [str(dim) for dim in model.graph.inputs[0].shape]

    def test_two_sizes_for_one_symbol_are_refused(self, tmp_path: Path) -> None:
        n = torch.export.Dim("n", min=2)
        program = export(lambda x: x @ x, (torch.ones(3, 3),), dynamic=(({0: n, 1: n},),))
        torch.export.save(program, tmp_path / "model.pt2")
        with pytest.raises(nxconvert.UsageError, match="fixes a size"):
            nxconvert.load(tmp_path / "model.pt2", inputs=["[4,5]"])
