"""What the models take. Imports nothing heavy: both sides' programs read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Input:
    """One input; its first dim, the batch, is free.

    Attributes:
        name: of the argument of ``forward``.
        dtype: ``float32`` or ``int64``.
        dims: the sizes after the batch.
    """

    name: str
    dtype: str
    dims: tuple[int, ...]

    @property
    def spec(self) -> str:
        """As nxconvert's command line declares it."""
        return f"{self.name}={self.dtype}[{','.join(map(str, ('batch', *self.dims)))}]"

    def example(self) -> torch.Tensor:
        """A tensor to trace with: a batch of 2, since exporters take a size of 1 for a constant."""
        import torch

        return torch.ones((2, *self.dims), dtype=getattr(torch, self.dtype))


INPUTS = {
    "resnet50": (Input("input", "float32", (3, 224, 224)),),
    "mobilenetv3-l": (Input("x", "float32", (3, 224, 224)),),
    "bert-base": (Input("ids", "int64", (128,)), Input("mask", "int64", (128,))),
    "swin-t": (Input("x", "float32", (3, 224, 224)),),
    "vit-b-16": (Input("x", "float32", (3, 224, 224)),),
    "decoder-2.4gb": (Input("ids", "int64", (64,)),),
    "caffe2-resnet50": (Input("data", "float32", (3, 224, 224)),),
    "caffe2-alexnet": (Input("data", "float32", (3, 224, 224)),),
    # CNTK's files say all of their inputs.
    "cntk-alexnet": (),
    "cntk-lstm": (),
    "cntk-2.2gb": (),
}
