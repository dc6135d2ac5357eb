"""What the inputs are where nobody says: what the file tells, what the weights tell, and what is asked for."""

import pytest

from nxconvert.errors import InputError, UnsupportedError, UsageError
from nxconvert.frontends.pytorch import frontend, ops  # noqa: F401  (fills the table)
from nxconvert.frontends.pytorch.table import aten
from nxconvert.inputs import parse_inputs
from nxconvert.plugins import ReadOptions

torch = pytest.importorskip("torch", reason="torch makes the archives of these tests")
nn = torch.nn


@pytest.fixture
def save(tmp_path):
    def save(module, example=None):
        module = module.eval() if isinstance(module, nn.Module) else module
        script = torch.jit.script(module) if example is None else torch.jit.trace(module, example)
        path = tmp_path / "model.pt"
        script.save(str(path))
        return path

    return save


def read(path, inputs=None, constants=None, **options):
    return frontend.read(path, ReadOptions(inputs=parse_inputs(inputs), constants=constants or {}, **options))


def inputs_of(model):
    return {v.name: f"{v.dtype.name}[{','.join(str(d) for d in v.shape)}]" for v in model.graph.inputs}


class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 4)
        self.lstm = nn.LSTM(4, 3, batch_first=True)

    def forward(self, ids):
        return self.lstm(self.table(ids))[0]


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.left = nn.Conv2d(3, 4, 3)
        self.right = nn.Conv2d(1, 4, 3)

    def forward(self, a, b):
        return self.left(a) + self.right(b)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Conv2d(3, 8, 3), "FLOAT[batch,3,height,width]"),
        (nn.Conv1d(5, 8, 3), "FLOAT[batch,5,features]"),
        (nn.Conv3d(2, 4, 1), "FLOAT[batch,2,depth,height,width]"),
        (nn.Conv2d(3, 8, 3).half(), "FLOAT16[batch,3,height,width]"),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 5)),
            "FLOAT[batch,1,height,width]",
        ),
        (nn.Sequential(nn.Linear(7, 4), nn.ReLU(), nn.Linear(4, 2)), "FLOAT[batch,7]"),
        (nn.Embedding(10, 4), "INT64[batch,sequence]"),
        (nn.LSTM(6, 3, batch_first=True), "FLOAT[batch,length,6]"),
        (nn.TransformerEncoderLayer(8, 2, 16), "FLOAT[batch,length,8]"),
    ],
    ids=["conv2d", "conv1d", "conv3d", "half", "cnn", "mlp", "embedding", "lstm", "transformer"],
)
def test_the_weights_tell(save, module, expected):
    if isinstance(module, nn.LSTM):
        module = nn.Sequential(module)
    assert list(inputs_of(read(save(module))).values()) == [expected]


def test_integer_inputs_and_their_names(save):
    assert inputs_of(read(save(Embedder()))) == {"ids": "INT64[batch,sequence]"}


def test_several_inputs_have_sizes_of_their_own(save):
    found = inputs_of(read(save(Pair())))
    assert found["a"] == "FLOAT[batch,3,height,width]"
    assert found["b"].startswith("FLOAT[b_batch,1,")


def test_a_trace_tells_dtype_and_rank_of_anything(save):
    model = read(save(nn.ReLU(), torch.zeros(2, 3, dtype=torch.float64)))
    assert list(inputs_of(model).values()) == ["DOUBLE[batch,length]"]


class Burned(nn.Module):
    def forward(self, x):
        return x.view(2, 12)


def test_sizes_that_a_trace_needs_are_fixed(save):
    model = read(save(Burned(), torch.zeros(2, 3, 4)))
    assert inputs_of(model) == {"x": "FLOAT[2,3,4]"}


class Flattened(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(12, 2)

    def forward(self, x):
        return self.head(x.flatten(1))


def test_sizes_that_have_to_multiply_to_something_leave_batches_free(save):
    model = read(save(Flattened(), torch.zeros(2, 3, 4)))
    assert inputs_of(model) == {"x": "FLOAT[batch,3,4]"}


@pytest.mark.parametrize("module", [nn.ReLU(), nn.Softmax(-1), nn.PReLU()])
def test_what_stays_open_is_asked_for(save, module):
    with pytest.raises(InputError) as caught:
        read(save(module))
    assert "input" in str(caught.value)
    assert [hint.partition("=")[0] for hint in caught.value.hints] == ["input"]
    # The line that the error prints is one that the command line takes.
    name, _, spec = caught.value.hints[0].partition("=")
    assert parse_inputs({name: spec}) is not None


def test_usual_forms_are_remarked_on(save):
    said = []
    read(save(nn.Conv2d(3, 8, 3)), warn=said.append)
    assert len(said) == 1
    assert "float32[batch,3,height,width]" in said[0]


class Numbers(nn.Module):
    def forward(self, x, n: int, scale: float = 2.0, flag: bool = False):
        for i in range(n):
            x = x * scale + i
        return -x if flag else x


def test_python_numbers_are_scalars_with_their_defaults(save):
    model = read(save(Numbers()), {"x": "float32[k]"})
    assert inputs_of(model) == {"x": "FLOAT[k]", "n": "INT64[]", "scale": "FLOAT[]"}
    assert model.graph.inputs[2].const_value.numpy() == 2.0
    assert inputs_of(read(save(Numbers()), {"x": "[k]", "flag": "bool"})) is not None


def test_pinned_arguments_are_no_inputs(save):
    model = read(save(Numbers()), {"x": "float32[k]"}, {"n": 2, "scale": 3.0, "flag": True})
    assert list(inputs_of(model)) == ["x"]
    assert not any(node.op_type == "Loop" for node in model.graph)


class Structured(nn.Module):
    def forward(
        self, pair: tuple[torch.Tensor, torch.Tensor], items: list[torch.Tensor], more: dict[str, torch.Tensor]
    ):
        return {"sum": pair[0] + pair[1] + items[0], "last": items[1] * more["k"]}


def test_structures_are_flattened(save):
    declared = dict.fromkeys(("pair.0", "pair.1", "items.0", "items.1", "more.k"), "float32[n]")
    model = read(save(Structured()), declared)
    assert list(inputs_of(model)) == list(declared)
    assert [value.name for value in model.graph.outputs] == ["output.sum", "output.last"]


def test_lengths_of_lists_are_asked_for(save):
    with pytest.raises(InputError, match="'items' is a list"):
        read(save(Structured()), {"pair.0": "[n]", "pair.1": "[n]", "more.k": "[n]"})


def test_unknown_names_are_refused(save):
    with pytest.raises(UsageError, match="no input called 'y'"):
        read(save(nn.ReLU()), {"y": "float32[2]"})
    with pytest.raises(UsageError, match="2 inputs are declared, the model takes 1"):
        read(save(nn.ReLU()), ["float32[2]", "float32[2]"])


def test_inputs_declared_in_order(save):
    model = read(save(Pair()), ["float32[n,3,8,8]", "float32[n,1,8,8]"])
    assert inputs_of(model) == {"a": "FLOAT[n,3,8,8]", "b": "FLOAT[n,1,8,8]"}


class Unknown(nn.Module):
    def forward(self, x):
        y = torch.erfinv(x) + torch.erfinv(-x)
        return torch.celu(y), torch.logit(x)


def test_every_unsupported_operator_is_listed(save, monkeypatch):
    for operator in ("erfinv", "celu", "logit"):
        monkeypatch.setattr(aten, "_entries", {k: v for k, v in aten._entries.items() if k != operator})
    with pytest.raises(UnsupportedError) as caught:
        read(save(Unknown()), {"x": "float32[3,3]"})
    found = {item.what: item.count for item in caught.value.items}
    assert found == {"aten::erfinv": 2, "aten::celu": 1, "aten::logit": 1}
    assert all(item.where for item in caught.value.items)
