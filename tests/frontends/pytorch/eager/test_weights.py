"""Models that code makes, with weights from files; what is said of files that hold weights, or pickles, alone."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nxconvert
from nxconvert.frontends.pytorch.eager.factory import make_module
from nxconvert.frontends.pytorch.eager.state_dict import load_weights, read_weights
from nxconvert.frontends.pytorch.without_program import explain, is_pickled_module
from tests.frontends.pytorch.eager.harness import torch

nn = torch.nn


def network(width: int = 4) -> Any:
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(3, width, 3), norm=nn.BatchNorm2d(width)))


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def save(value: Any, *, legacy: bool = False) -> Path:
        path = tmp_path / "weights.pt"
        torch.save(value, path, _use_new_zipfile_serialization=not legacy)
        return path

    return save


def load(module: Any, path: Path, **options: Any) -> list[str]:
    return load_weights(module, read_weights(path, **options), "the model", path)


def same(module: Any, other: Any) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in module.state_dict().items())


class TestWeights:
    @pytest.mark.parametrize("legacy", [False, True])
    def test_a_state_dict(self, legacy: bool, save: Callable[..., Path]) -> None:
        truth, module = network(), network()
        assert load(module, save(truth.state_dict(), legacy=legacy)) == []
        assert same(module, truth)

    def test_safetensors(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        safetensors = pytest.importorskip("safetensors.torch")
        truth, module = network(), network()
        path = tmp_path / "weights.safetensors"
        safetensors.save_file(truth.state_dict(), path)
        assert load(module, path) == []
        assert same(module, truth)
        path.write_bytes(path.read_bytes()[:-4])
        with pytest.raises(nxconvert.ReadError, match="is damaged"):
            read_weights(path)
        monkeypatch.setitem(sys.modules, "safetensors", None)
        with pytest.raises(nxconvert.RuntimeMissingError, match=r"pip install 'nxconvert\[safetensors\]'"):
            read_weights(path)

    def test_a_checkpoint_of_data_parallel(self, save: Callable[..., Path]) -> None:
        truth, module = network(), network()
        state = {f"module.{name}": value for name, value in truth.state_dict().items()}
        remarks = load(module, save({"epoch": 3, "ema": {"decay": torch.ones(1)}, "model": state}))
        assert "under 'model'" in remarks[0]
        assert "'module.', which was left out" in remarks[1]
        assert same(module, truth)

    def test_into_the_meta_device(self, save: Callable[..., Path]) -> None:
        truth = network()
        with torch.device("meta"):
            module = network()
        load(module, save(truth.state_dict()))
        assert same(module, truth)

    def test_what_does_not_fit(self, save: Callable[..., Path]) -> None:
        state = network(5).state_dict()
        del state["conv.bias"]
        state["extra.weight"] = torch.ones(1)
        with pytest.raises(nxconvert.ReadError) as caught:
            load(network(), save(state))
        message = str(caught.value)
        assert "are not those of the model" in message
        assert "1 missing from the file: conv.bias;" in message
        assert "1 in the file, but not in the model: extra.weight;" in message
        assert "5 of another shape: conv.weight is [5, 3, 3, 3], not [4, 3, 3, 3]" in message

    def test_more_than_data(self, save: Callable[..., Path]) -> None:
        truth, module = network(), network()
        path = save({"args": argparse.Namespace(a=1), "state_dict": truth.state_dict()})
        with pytest.raises(nxconvert.ReadError, match=r"more than tensors \(argparse.Namespace\).*--trust-code"):
            read_weights(path)
        load(module, path, trust_code=True)
        assert same(module, truth)

    def test_no_weights(self, save: Callable[..., Path], tmp_path: Path) -> None:
        with pytest.raises(nxconvert.ReadError, match="holds no state dict: it is list"):
            load(network(), save([1, 2]))
        with pytest.raises(nxconvert.ReadError, match="does not exist"):
            read_weights(tmp_path / "none.pt")
        (tmp_path / "text.pt").write_text("hello")
        with pytest.raises(nxconvert.ReadError, match="cannot be read as weights"):
            read_weights(tmp_path / "text.pt")


CODE = """
    import torch

    class Net(torch.nn.Module):
        def __init__(self, width=4):
            super().__init__()
            self.linear = torch.nn.Linear(width, 2)
        def forward(self, x):
            return self.linear(x)
        @classmethod
        def wide(cls):
            return cls(64)

    def needs(width, *, bias): return Net(width)
    def fails(): raise ValueError("no luck")
    def nothing(): pass
    ready, number = Net(), 3
"""


class TestFactories:
    @pytest.fixture(autouse=True)
    def some_models(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "some_models.py").write_text(textwrap.dedent(CODE))
        (tmp_path / "broken_models.py").write_text("import a_package_that_is_not_here")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        for name in ("some_models", "broken_models"):
            monkeypatch.delitem(sys.modules, name, raising=False)

    @pytest.mark.parametrize(
        ("code", "width"),
        [
            ("some_models:Net", 4),
            ("some_models:Net()", 4),
            ("some_models:Net(7)", 7),
            ("some_models:Net(width=8)", 8),
            ("some_models:Net.wide", 64),
            ("some_models:needs(9, bias=None)", 9),
            ("some_models:ready", 4),
            ("some_models.py:Net(width=5)", 5),
        ],
    )
    def test_what_makes_a_module(self, code: str, width: int) -> None:
        assert make_module(code).linear.in_features == width

    @pytest.mark.parametrize(
        ("code", "error", "complaint"),
        [
            ("some_models", nxconvert.UsageError, "--model takes package.module:factory"),
            ("some_models:", nxconvert.UsageError, "cannot understand"),
            ("some_models:Net(width=x)", nxconvert.UsageError, "x is no literal"),
            ("some_models:Net(**{})", nxconvert.UsageError, "has no place here"),
            ("some_models:[1][0]", nxconvert.UsageError, "is to be a name"),
            ("no_such_models:Net", nxconvert.UsageError, "no Python module 'no_such_models'"),
            ("some_models:nett", nxconvert.UsageError, "has no nett; did you mean Net"),
            (
                "some_models:needs",
                nxconvert.UsageError,
                r"missing a required argument: 'width'.*needs\(width, \*, bias\)",
            ),
            ("some_models:number", nxconvert.UsageError, "class int, neither a factory nor a module"),
            ("some_models:nothing", nxconvert.UsageError, "returns None, not a torch.nn.Module"),
            ("some_models:fails", nxconvert.ReadError, "fails: ValueError: no luck"),
            ("broken_models:Net", nxconvert.ReadError, "cannot be imported: .*a_package_that_is_not_here"),
            ("none.py:Net", nxconvert.UsageError, "there is no file none.py"),
        ],
    )
    def test_what_does_not(self, code: str, error: type, complaint: str) -> None:
        with pytest.raises(error, match=complaint):
            make_module(code)


class TestFilesWithoutAProgram:
    @pytest.mark.parametrize("legacy", [False, True])
    def test_a_state_dict_is_described(self, legacy: bool, save: Callable[..., Path]) -> None:
        message = str(explain(save({"state_dict": network().state_dict()}, legacy=legacy)))
        assert (
            "state dict of 7 tensors with 129 numbers (conv.weight, conv.bias, norm.weight, norm.bias, ...)" in message
        )
        assert "--model package.module:factory --weights" in message

    def test_safetensors(self, tmp_path: Path) -> None:
        safetensors = pytest.importorskip("safetensors.numpy")
        path = tmp_path / "model.safetensors"
        safetensors.save_file({"model.layers.0.self_attn.q_proj.weight": np.zeros((2, 3), np.float32)}, path)
        with pytest.raises(nxconvert.ReadError, match=r"1 tensor with 6 numbers .*a transformer of Hugging Face"):
            nxconvert.load(path)
        path.write_bytes(b"\x10\0\0\0\0\0\0\0" + b'{"weight": {}}  ')
        with pytest.raises(nxconvert.ReadError, match="is damaged: its header"):
            nxconvert.load(path)

    @pytest.mark.parametrize(
        ("name", "look"),
        [
            ("layer1.0.conv1.weight", "a ResNet"),
            ("bert.encoder.layer.3.attention.self.query.weight", "a BERT"),
            ("blocks.0.attn.qkv.weight", "a vision transformer of timm"),
            ("h.0.attn.c_attn.weight", "a GPT-2"),
        ],
    )
    def test_known_architectures(self, name: str, look: str, save: Callable[..., Path]) -> None:
        assert f"those of {look}." in str(explain(save({name: torch.zeros(2)})))

    @pytest.mark.parametrize("legacy", [False, True])
    def test_a_pickled_module(self, legacy: bool, save: Callable[..., Path]) -> None:
        path = save(network(), legacy=legacy)
        assert is_pickled_module(path)
        with pytest.raises(
            nxconvert.ReadError, match=r"class torch.nn.modules.container.Sequential.*runs.*--trust-code"
        ):
            nxconvert.load(path)
        model = nxconvert.load(path, trust_code=True, inputs={"input": "float32[batch,3,8,8]"})
        assert str(model.graph.inputs[0].shape) == "[batch,3,8,8]"

    def test_its_inputs_have_to_be_declared(self, save: Callable[..., Path]) -> None:
        with pytest.raises(nxconvert.InputError, match="declare input") as caught:
            nxconvert.load(save(network()), trust_code=True)
        assert caught.value.hints == ("input=float32[batch,3,height,width]",)

    def test_trust_changes_nothing_for_a_state_dict(self, save: Callable[..., Path]) -> None:
        path = save(network().state_dict())
        assert not is_pickled_module(path)
        with pytest.raises(nxconvert.ReadError, match="holds weights only"):
            nxconvert.load(path, trust_code=True)

    def test_something_else(self, save: Callable[..., Path]) -> None:
        assert "neither a model nor weights: list" in str(explain(save([1, 2])))
        assert "with objects of argparse.Namespace" in str(explain(save({"a": argparse.Namespace()})))
        damaged = save([1])
        damaged.write_bytes(damaged.read_bytes().replace(b"data.pkl", b"data.pkx"))
        assert not is_pickled_module(damaged)
