"""PyTorch's own exporters as a program: ``python peer.py torchscript|dynamo MODEL SOURCE TARGET``."""

from __future__ import annotations

import sys

import torch
from inputs import INPUTS


def torchscript(model: str, source: str, target: str) -> None:
    """The exporter that walks TorchScript."""
    inputs = INPUTS[model]
    torch.onnx.export(
        torch.jit.load(source),
        tuple(each.example() for each in inputs),
        target,
        input_names=[each.name for each in inputs],
        dynamic_axes={each.name: {0: "batch"} for each in inputs},
        dynamo=False,
    )


def dynamo(model: str, source: str, target: str) -> None:
    """The exporter that takes a program of torch.export; its batch was left free when it was exported."""
    torch.onnx.export(torch.export.load(source), (), target, dynamo=True, verbose=False)


if __name__ == "__main__":
    {"torchscript": torchscript, "dynamo": dynamo}[sys.argv[1]](*sys.argv[2:])
