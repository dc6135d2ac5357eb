"""The command line on models that are Python code: `--model`, `--weights`, `--via`, `--trust-code`."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'nxconvert[runtime]'")

CommandLine = Callable[..., tuple[int, str, str]]

CODE = """
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self, classes=2):
            super().__init__()
            self.conv, self.norm, self.drop = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout()
            self.head = nn.Linear(4, classes)
            self.register_buffer("seen", torch.zeros(1))

        def forward(self, x):
            self.seen += 1
            y = self.drop(torch.relu(self.norm(self.conv(x)))).mean((2, 3))
            return {"logits": self.head(y), "seen": self.seen + 0}

    class Pair(nn.Module):
        def forward(self, pair, *, mask=None, scale: float = 1.0):
            a, b = pair
            return (a @ b) * scale if mask is None else torch.where(mask, a @ b, 0.0)

    class Decides(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if x.sum() > 0 else -x
"""
IMAGE = ("--input", "x=float32[batch,3,height,width]")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with code in it that can be imported."""
    (tmp_path / "own_models.py").write_text(textwrap.dedent(CODE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "own_models", raising=False)
    return tmp_path


@pytest.fixture
def weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(folder)
    import own_models

    torch.save(own_models.Net(3).state_dict(), folder / "weights.pt")
    torch.save(own_models.Net(3), folder / "module.pt")
    return folder / "weights.pt"


def test_a_model_with_weights_is_converted_and_checked(weights: Path, command_line: CommandLine) -> None:
    words = ("--model", "own_models:Net(classes=3)", "--weights", weights, "out.nx", *IMAGE, "--check", "--json")
    code, out, err = command_line(*words)
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert report["source"] == "own_models:Net(classes=3)"
    assert report["inputs"] == {"x": "float32[batch,3,height,width]", "seen": "float32[1]"}
    assert [output["name"] for output in report["check"]["outputs"]] == ["output.logits", "output.seen", "seen_out"]
    assert len(report["check"]["runs"]) == 4
    known = {entry.key: entry.value for entry in onnx.load("out.nx").metadata_props}
    assert known["nxconvert.source_code"] == "own_models:Net(classes=3)"
    assert len(known["nxconvert.source_sha256"]) == 64


def test_weights_of_another_model(weights: Path, command_line: CommandLine) -> None:
    code, out, err = command_line("--model", "own_models:Net", "--weights", weights, "out.nx", *IMAGE)
    assert (code, out) == (1, "")
    assert "head.weight is [3, 4], not [2, 4]" in err
    assert not Path("out.nx").exists()


def test_without_weights_it_is_said_what_is_converted(command_line: CommandLine) -> None:
    code, out, err = command_line("--model", "own_models:Net", "out.nx", *IMAGE, "--check")
    assert code == 0
    assert "no --weights are given" in err
    assert "own_models:Net (pytorch) -> out.nx" in out
    assert "4 runs of PyTorch" in out


def test_nested_inputs_and_constants(command_line: CommandLine) -> None:
    pair = ("--input", "pair.0=float32[n,4]", "--input", "pair.1=float32[4,m]")
    assert command_line("--model", "own_models:Pair", "out.nx", *pair, "--const", "scale=2.5", "--check")[0] == 0
    code, out, _ = command_line(
        "--model", "own_models:Pair", "out.nx", *pair, "--input", "mask=bool[n,m]", "--check", "--json"
    )
    assert code == 0
    assert json.loads(out)["free_dims"] == ["n", "m"]


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("--model", "own_models:Net", "out.nx"), 1, "--input 'x=float32[batch,3,height,width]'"),
        (("--model", "own_models:Net", "out.nx", "--input", "y=float32[1]"), 1, "declare x"),
        (("--model", "own_models:Pair", "out.nx", "--input", "pair=float32[1]", "--const", "n=2"), 2, "called 'n'"),
        (("--model", "own_models:Net", "out.nx", "--input", "x=[1,3,8,8]"), 2, "say it, as in x=float32[1,3,8,8]"),
        (("--model", "own_models:Net", "in.pt", "out.nx"), 2, "there is no IN"),
        (("--model", "own_models:Net"), 2, "there is no IN"),
        (("--weights", "weights.pt", "in.pt", "out.nx"), 2, "--model, which is not given"),
        (("--model", "own_models:Nett", "out.nx"), 2, "did you mean Net"),
        (("in.pt",), 2, "Missing argument 'OUT'"),
    ],
)
def test_what_makes_no_sense(words: tuple[str, ...], code: int, complaint: str, command_line: CommandLine) -> None:
    found, out, err = command_line(*words)
    assert (found, out) == (code, "")
    assert complaint in err


def test_the_way_can_be_chosen(command_line: CommandLine) -> None:
    words = ("--model", "own_models:Decides", "out.nx", "--input", "x=float32[n,3]", "--check")
    code, _, err = command_line(*words)
    assert code == 1
    assert "decides by the values of tensors" in err
    assert "--via" in err
    assert command_line(*words, "--via", "script")[0] == 0
    assert "If" in {node.op_type for node in onnx.load("out.nx").graph.node}
    code, _, err = command_line(*words[:-1], "--via", "trace")
    assert code == 0
    assert "was traced: every decision" in err


def test_a_pickled_module(weights: Path, command_line: CommandLine) -> None:
    code, _, err = command_line("module.pt", "out.nx")
    assert code == 1
    assert "a pickled module of the class own_models.Net" in err
    code, out, err = command_line("module.pt", "out.nx", "--trust-code", *IMAGE, "--check")
    assert (code, err) == (0, "")
    assert "4 runs of PyTorch" in out


def test_without_pytorch(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nxconvert.frontends.pytorch.find_spec", lambda _: None)
    code, _, err = command_line("--model", "own_models:Net", "out.nx")
    assert code == 4
    assert "pip install 'nxconvert[torch]'" in err
