"""What to say about files that hold weights, or pickled Python objects, and no program."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nxconvert.errors import ReadError
from nxconvert.formats.safetensors import is_safetensors, read_shapes
from nxconvert.formats.torch_archive import Kind, detect
from nxconvert.formats.torch_saved import Saved, read_saved
from nxconvert.report import count, human_count

_SHOWN = 4
_KINDS = (Kind.SAVED, Kind.SAVED_LEGACY)

# Names that the weights of well-known architectures have, the more telling ones first.
_ARCHITECTURES: tuple[tuple[str, str], ...] = (
    (r"lora_[AB]\b", "a LoRA adapter, which is only what is added to the weights of a model"),
    (r"(^|\.)encoder\.block\.\d+\.layer\.0\.SelfAttention\.", "a T5"),
    (r"(^|\.)encoder\.layer\.\d+\.attention\.self\.query\.", "a BERT"),
    (r"(^|\.)layers\.\d+\.self_attn\.q_proj\.", "a transformer of Hugging Face (Llama, OPT, BART and the like)"),
    (r"(^|\.)h\.\d+\.attn\.c_attn\.", "a GPT-2"),
    (r"relative_position_bias_table$", "a Swin transformer"),
    (r"(^|\.)encoder\.layers\.encoder_layer_\d+\.", "a vision transformer of torchvision"),
    (r"(^|\.)blocks\.\d+\.attn\.qkv\.", "a vision transformer of timm"),
    (r"(^|\.)backbone\.body\.", "a detection model of torchvision"),
    (r"(^|\.)features\.denseblock\d", "a DenseNet"),
    (r"(^|\.)layer1\.0\.conv1\.", "a ResNet"),
    (r"(^|\.)features\.\d+\.\d+\.block\.", "an EfficientNet, MobileNet or ConvNeXt of torchvision"),
    (r"(^|\.)features\.\d+\.conv\.\d", "a MobileNet of torchvision"),
    (r"(^|\.)Mixed_5b\.", "an Inception"),
    (r"(^|\.)model\.\d+\.(cv1\.)?conv\.", "a YOLO"),
    (r"(^|\.)features\.0\.", "a VGG or AlexNet"),
    (r"(^|\.)weight_ih_l0$", "a network with LSTM, GRU or RNN layers"),
)


def is_pickled_module(path: Path) -> bool:
    """Whether a file holds an ``nn.Module`` of Python, which only code can bring to life. Never raises."""
    try:
        return detect(path) in _KINDS and read_saved(path).module is not None
    except ReadError:
        return False


def explain(path: Path) -> ReadError:
    """The error that says what is in a file without a program, what is missing, and how to go on."""
    if is_safetensors(path):
        return _weights(path, read_shapes(path))
    try:
        saved = read_saved(path)
    except ReadError:
        return ReadError(
            f"{path} is {Kind.SAVED.value}; what the model computes is not in the file. {_how_to_go_on(path)}"
        )
    if saved.module is not None:
        return _pickled(path, saved.module)
    shapes = {name: tensor.shape for name, tensor in saved.tensors().items()}
    return _weights(path, shapes) if shapes else _something_else(path, saved)


def _weights(path: Path, shapes: Mapping[str, Sequence[int]]) -> ReadError:
    names = ", ".join(list(shapes)[:_SHOWN]) + (", ..." if len(shapes) > _SHOWN else "")
    numbers = human_count(sum(math.prod(shape) for shape in shapes.values()))
    looks = next((what for pattern, what in _ARCHITECTURES if any(re.search(pattern, name) for name in shapes)), None)
    guess = f" By their names they are those of {looks}." if looks else ""
    return ReadError(
        f"{path} holds weights only: a state dict of {count(len(shapes), 'tensor')} with {numbers} numbers ({names})."
        f"{guess} What the model computes is not in the file but in the Python code that made it. {_how_to_go_on(path)}"
    )


def _how_to_go_on(path: Path) -> str:
    return (
        "If you have that code, name the function or class that makes the model: nxconvert --model "
        f"package.module:factory --weights {path} OUT --input 'x=float32[batch,3,224,224]'. Or save the whole model, "
        "where its code is, with torch.export.save or torch.jit.save, and convert that file."
    )


def _pickled(path: Path, name: str) -> ReadError:
    module, _, factory = name.rpartition(".")
    return ReadError(
        f"{path} holds a pickled module of the class {name}, whose Python code is not in the file. Unpickling it runs "
        "whatever code the file names, so it is done only if you say that you trust the file: --trust-code "
        "(trust_code=True in Python), where PyTorch and that code are installed, with the inputs declared by --input. "
        f"Without trust: nxconvert --model {module}:{factory} --weights STATE_DICT OUT."
    )


def _something_else(path: Path, saved: Saved) -> ReadError:
    foreign = f" with objects of {', '.join(saved.foreign[:_SHOWN])}" if saved.foreign else ""
    kind = getattr(saved.root, "name", type(saved.root).__name__)
    return ReadError(f"{path} is a file of torch.save that holds neither a model nor weights: {kind}{foreign}.")
