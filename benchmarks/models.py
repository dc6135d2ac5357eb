"""The models that are converted, in plain PyTorch with random weights: building one and saving it is a program.

    python models.py resnet50 resnet50.pt     # TorchScript
    python models.py resnet50 resnet50.pt2    # torch.export

The architectures of ResNet-50 and BERT-base are those of the papers, and their numbers of parameters those of the
published models: that is checked. MobileNetV3-L, Swin-T and ViT-B/16 are torchvision's, which need it installed.
"""

# mypy: disable-error-code=misc
# (PyTorch is not followed, so `nn.Module` is Any.)
from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from inputs import INPUTS
from torch import Tensor, nn
from torch.nn import functional


class Bottleneck(nn.Module):
    """Three convolutions and a shortcut (He et al. 2015, with the stride in the 3x3 convolution)."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = 4 * width
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip
        self.shortcut: nn.Module = nn.Identity()
        if channels != out:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


def resnet50() -> nn.Module:
    """ResNet-50: float32[batch, 3, 224, 224] -> float32[batch, 1000]."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
    ]  # fmt: skip
    channels = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 * 2**stage
        for block in range(blocks):
            layers.append(Bottleneck(channels, width, 2 if stage and not block else 1))
            channels = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000))


class Attention(nn.Module):
    """Self-attention of several heads."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.heads, self.causal = heads, causal

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        batch, time, width = x.shape

        def split(y: Tensor) -> Tensor:
            # Not `unflatten`: the TorchScript exporter loses the rank of its result, and stops.
            return y.view(batch, time, self.heads, width // self.heads).transpose(1, 2)

        query, key, value = split(self.query(x)), split(self.key(x)), split(self.value(x))
        y = functional.scaled_dot_product_attention(query, key, value, mask, is_causal=self.causal)
        return self.out(y.transpose(1, 2).reshape(batch, time, width))


class BertLayer(nn.Module):
    """Attention and a feed-forward net, each followed by the sum and the norm (Devlin et al. 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = Attention(width, width // 64, causal=False)
        self.attention_norm = nn.LayerNorm(width, 1e-12)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.feed_norm = nn.LayerNorm(width, 1e-12)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.attention_norm(x + self.attention(x, mask))
        return self.feed_norm(x + self.feed(x))


class Bert(nn.Module):
    """BERT-base: ids and mask int64[batch, 128] -> the last layer float32[batch, 128, 768], the pooled [batch, 768]."""

    def __init__(self, width: int = 768, layers: int = 12) -> None:
        super().__init__()
        self.words = nn.Embedding(30522, width)
        self.positions = nn.Embedding(512, width)
        self.types = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, 1e-12)
        self.layers = nn.ModuleList([BertLayer(width) for _ in range(layers)])
        self.pooler = nn.Linear(width, width)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.norm(self.words(ids) + self.positions(positions) + self.types(torch.zeros_like(ids)))
        seen = mask[:, None, None, :].to(torch.bool)
        for layer in self.layers:
            x = layer(x, seen)
        return x, torch.tanh(self.pooler(x[:, 0]))


class DecoderLayer(nn.Module):
    """Causal attention and a feed-forward net, each behind a norm (Radford et al. 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, width // 128, causal=True)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.feed(self.feed_norm(x))


class Decoder(nn.Module):
    """A language model whose weights do not fit into one protobuf: int64[batch, 64] -> float32[batch, 64, 24000]."""

    def __init__(self, width: int = 2048, layers: int = 10, words: int = 24000) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.positions = nn.Embedding(512, width)
        self.layers = nn.ModuleList([DecoderLayer(width) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, words, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.words(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


#: What torchvision's compiled part declares. None of these models uses it, but torchvision is not imported without.
_DETECTION = ("deform_conv2d", "nms", "ps_roi_align", "ps_roi_pool", "qnms", "roi_align", "roi_pool")


def torchvision_model(name: str) -> nn.Module:
    """A classifier of torchvision: float32[batch, 3, 224, 224] -> float32[batch, 1000]."""
    if importlib.util.find_spec("torchvision") is None:
        raise SystemExit(f"{name} is a model of torchvision, which is not installed (pip install torchvision).")
    try:
        import torchvision
    except RuntimeError:  # built for another PyTorch: the compiled part was not loaded
        library = torch.library.Library("torchvision", "FRAGMENT")
        for each in _DETECTION:
            library.define(f"{each}() -> ()")
            library.define(f"_{each}_backward() -> ()")
        for module in [module for module in sys.modules if module.startswith("torchvision")]:
            del sys.modules[module]
        import torchvision
    model = getattr(torchvision.models, name)(weights=None)
    for parameter in model.parameters():
        if not parameter.any():  # biases; ViT's head, too, so that all outputs were 0
            nn.init.normal_(parameter, 0, 0.02)
    return model


@dataclass(frozen=True)
class Recipe:
    """How a model is built, and how many parameters it has then."""

    build: Callable[[], nn.Module]
    parameters: int


RECIPES = {
    "resnet50": Recipe(resnet50, 25_557_032),
    "mobilenetv3-l": Recipe(partial(torchvision_model, "mobilenet_v3_large"), 5_483_032),
    "bert-base": Recipe(Bert, 109_482_240),
    "swin-t": Recipe(partial(torchvision_model, "swin_t"), 28_288_354),
    "vit-b-16": Recipe(partial(torchvision_model, "vit_b_16"), 86_567_656),
    "decoder-2.4gb": Recipe(Decoder, 602_939_392),
}


def save(name: str, path: Path) -> None:
    """Builds a model and saves it, as TorchScript or, if the path ends with ``.pt2``, as an exported program."""
    torch.manual_seed(0)
    model = RECIPES[name].build().eval()
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == RECIPES[name].parameters, f"{name} has {count} parameters instead of {RECIPES[name].parameters}"
    examples = tuple(each.example() for each in INPUTS[name])
    # A name of its own until it is complete, so that a build that was cut short is not taken for a model.
    unfinished = path.with_name(f"partial-{path.name}")
    with torch.no_grad():
        if path.suffix == ".pt2":
            shapes = tuple({0: torch.export.Dim("batch", min=1)} for _ in examples)
            torch.export.save(torch.export.export(model, examples, dynamic_shapes=shapes), unfinished)
        else:
            torch.jit.trace(model, examples, check_trace=False).save(str(unfinished))
    unfinished.replace(path)


if __name__ == "__main__":
    save(sys.argv[1], Path(sys.argv[2]))
