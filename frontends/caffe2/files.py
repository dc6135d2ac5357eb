"""How the files of a Caffe2 model belong together: the net that predicts, and the net that holds its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nxconvert.formats.caffe2 import NetDef, Tensor, read_net


@dataclass(frozen=True)
class Files:
    """What was read.

    Attributes:
        path: what messages call the model.
        predict: the net that is run.
        inits: the nets that fill its weights, in order.
        tensors: weights that a database holds, by name.
        inputs: what the files say the inputs are, if they do.
        outputs: what the files say the outputs are, if they do.
        value_info: dtype and sizes of inputs, by name, as a file beside the net says them.
        looked: the places where a net of weights was looked for.
    """

    path: Path
    predict: NetDef
    inits: list[NetDef] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    value_info: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    looked: list[Path] = field(default_factory=list)


def find_model(path: Path, init: Path | None, warn: Callable[[str], None]) -> Files:
    """The files of a model.

    Args:
        path: the net that predicts, or a folder with it.
        init: the net that fills the weights, if it does not lie beside.
        warn: takes a sentence for the user.
    """
    net = path / "predict_net.pb" if path.is_dir() else path
    beside = init or net.with_name(net.name.replace("predict", "init"))
    inits = [read_net(beside)] if beside != net and beside.exists() else []
    return Files(net, read_net(net), inits, looked=[beside])
