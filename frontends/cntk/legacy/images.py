"""Convolutions, poolings and normalizations of CNTK 1's images.

Images are of the layout CHW, width first in CNTK's order of axes, or of the older HWC. There the channels come first,
then rows and columns, whatever order the file names the sizes in: its engine counts rows before columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nxconvert.formats.cntk.legacy import Network, Node
from nxconvert.formats.cntk.model import Variable
from nxconvert.frontends.cntk.legacy.axes import static_axis

if TYPE_CHECKING:
    from nxconvert.frontends.cntk.legacy.model import Conversion

_HWC, _CHW = 0, 1
_NEVER_HWC = "its images are of the layout HWC, for which CNTK has never computed it"
#: The classes that were once computed of images of the layout HWC.
_OF_OLD_IMAGES = frozenset({"AveragePooling", "Convolution", "MaxPooling"})
_POOLINGS = {1: 0, 2: 1}


def has_old_images(network: Network) -> bool:
    """Whether there are images of the layout HWC."""
    nodes = network.nodes.values()
    return any(node.kind in _OF_OLD_IMAGES and node.fields["layout"] == _HWC for node in nodes)


def old_image(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of an image of the layout HWC as they are in memory, of those in the file; of others what they are."""
    return (shape[0], shape[2], shape[1]) if len(shape) == 3 else shape


def _channels_last(c: Conversion, node: Node, image: str) -> str:
    """An image of the layout HWC: its rows, columns, channels."""
    return c.emit(node, "TransposeAxes", [image], {"axisVec": [static_axis(place) for place in (2, 3, 1)]}, "turned")


def _channels_first(c: Conversion, node: Node, image: str) -> None:
    c.emit(node, "TransposeAxes", [image], {"axisVec": [static_axis(place) for place in (3, 1, 2)]})


# ---- convolutions ----------------------------------------------------------------------------------------------------


def convolution(c: Conversion, node: Node, inputs: list[str]) -> None:
    """A convolution; the kernels of old ones are kept as a matrix, and have as many channels as fit."""
    f = node.fields
    if f["layout"] != _CHW:
        _old_convolution(c, node, inputs)
        return
    kernel, strides, padding = f["kernel"], f["strides"], f["padding"]
    leaf = c.leaf(node.inputs[0])
    if leaf is not None and leaf.value is not None and (f["flat"] or len(leaf.shape) == 2):
        kernel = _unfold(c, node, leaf, kernel)
    if f["flat"] and len(kernel) == 3:
        strides = (*strides[:2], kernel[2])
        padding = padding if len(padding) > 2 else [padding[0], padding[-1], False]
    window = {"kernelShape": kernel, "strides": strides, "autoPadding": padding}
    c.emit(node, node.kind, inputs, _filter(node) | window | {"lowerPad": f["lower"], "upperPad": f["upper"]})


def _filter(node: Node) -> dict[str, Any]:
    """What convolutions have besides kernels, strides and borders."""
    f = node.fields
    return {
        "sharing": f["sharing"], "dilation": f["dilation"], "groups": 1, "transpose": f["transpose"],
        "outputShape": f["output"], "sequential": node.kind == "ConvolutionSequenceShape", "maxTempMemSizeInSamples": 0,
    }  # fmt: skip


def _unfold(c: Conversion, node: Node, leaf: Variable, kernel: tuple[int, ...]) -> tuple[int, ...]:
    """Gives a matrix of kernels, a row each, the shape of the kernels; gives that of one kernel."""
    maps = leaf.shape[-1] if len(leaf.shape) == 2 else leaf.shape[0]
    total = math.prod(leaf.shape)
    if node.fields["flat"]:
        area = math.prod(kernel[:2])
        kernel = (*kernel[:2], total // (maps * area)) if maps and area else kernel
    if math.prod(kernel) * maps != total:
        c.refuse(node, f"its kernels of {list(kernel)} do not fit into a parameter of {list(leaf.shape[::-1])}")
        return kernel
    if len(leaf.shape) == 2:
        assert leaf.value is not None
        c.reshape(leaf, (maps, *kernel[::-1]))
    return kernel


def _old_convolution(c: Conversion, node: Node, inputs: list[str]) -> None:
    """A convolution of images of the layout HWC, for which kernels are rows of a true matrix, their own rows first.

    A border is half a kernel wide on either side; it is known of kernels of odd sizes only since version 5.
    """
    f = node.fields
    leaf = c.leaf(node.inputs[0])
    width, height = f["kernel"][:2]
    across, down = f["strides"][:2]
    padded = f["padding"][0]
    area = width * height
    if not f["flat"] or leaf is None or leaf.value is None or len(leaf.shape) != 2:
        c.refuse(node, "its images are of the layout HWC, and its kernels are no matrix in the file")
    elif not area or leaf.shape[0] % area:
        c.refuse(node, f"its kernels of {[width, height]} do not fit into a parameter of {list(leaf.shape[::-1])}")
    elif padded and area % 2 == 0 and c.network.version >= 5:
        c.refuse(
            node, f"its images are of the layout HWC, of which the border for kernels of {[width, height]} is unknown"
        )
    else:
        rows, maps = leaf.shape
        kernel = (height, width, rows // area)
        kernels = c.computed(node, leaf, "kernels", lambda matrix: matrix.T.reshape(maps, *kernel[::-1]))
        border = (height // 2, width // 2, 0) if padded else (0, 0, 0)
        images = _channels_last(c, node, inputs[1])
        window = {"kernelShape": kernel, "strides": (down, across, kernel[2]), "autoPadding": [False]}
        attributes = _filter(node) | window | {"lowerPad": border, "upperPad": border}
        _channels_first(c, node, c.emit(node, node.kind, [kernels, images], attributes, "maps"))


# ---- poolings --------------------------------------------------------------------------------------------------------


def pooling(c: Conversion, node: Node, inputs: list[str]) -> None:
    """A pooling of any number of axes."""
    f = node.fields
    kind = _POOLINGS.get(f["pooling"])
    if kind is None or f["layout"] != _CHW:
        c.refuse(node, f"it pools in the way number {f['pooling']}, with the layout number {f['layout']}")
        return
    attributes = {"poolingType": kind, "poolingWindowShape": f["kernel"], **_window(f)}
    c.emit(node, "Pooling", inputs, attributes | {"ceilOutDim": f["ceil"], "includePad": f["include"]})


def _window(f: Any) -> dict[str, Any]:
    return {
        "strides": f["strides"], "autoPadding": f["padding"], "lowerPad": f["lower"], "upperPad": f["upper"],
    }  # fmt: skip


def image_pooling(c: Conversion, node: Node, inputs: list[str]) -> None:
    """A pooling that has no border, and drops what a last window would not fill."""
    (width, height, _), (across, down, _) = node.fields["kernel"], node.fields["strides"]
    attributes = {
        "poolingType": 0 if node.kind == "MaxPooling" else 1, "autoPadding": [False], "lowerPad": (0,),
        "upperPad": (0,), "ceilOutDim": False, "includePad": False,
    }  # fmt: skip
    if node.fields["layout"] == _CHW:
        window = {"poolingWindowShape": (width, height, 1), "strides": (across, down, 1)}
        c.emit(node, "Pooling", inputs, attributes | window)
        return
    (image,) = inputs
    window = {"poolingWindowShape": (height, width, 1), "strides": (down, across, 1)}
    pooled = c.emit(node, "Pooling", [_channels_last(c, node, image)], attributes | window, "pooled")
    _channels_first(c, node, pooled)


def unpooling(c: Conversion, node: Node, inputs: list[str]) -> None:
    """What a pooling took, each where it was."""
    attributes = {"poolingType": 0, "unpoolingWindowShape": node.fields["kernel"], **_window(node.fields)}
    c.emit(node, "Unpooling", inputs, attributes)


def roi_pooling(c: Conversion, node: Node, inputs: list[str]) -> None:
    """Before version 26 regions were given relative to the image."""
    f = node.fields
    if f["scale"] is None:
        c.refuse(node, "before version 26 of the format its regions were in other units, which cannot be told")
    kind = _POOLINGS.get(f["pooling"], 0)
    c.emit(node, "ROIPooling", inputs, {"poolingType": kind, "roiOutputShape": f["output"], "spatialScale": f["scale"]})


def crop(c: Conversion, node: Node, inputs: list[str]) -> None:
    """A part of an image, at a place that is in the file or is to be found."""
    x, y = node.fields["offsets"]
    offset = {"offset": [int(x), int(y)]} if math.isfinite(x) and math.isfinite(y) else {}
    c.emit(node, "Crop", inputs, offset)


# ---- normalizations --------------------------------------------------------------------------------------------------


def batch_normalization(c: Conversion, node: Node, inputs: list[str]) -> None:
    """Before version 19 there is no count; before version 13 there are inverses of deviations, not variances."""
    f = node.fields
    if f["spatial"] and f["layout"] != _CHW:
        c.refuse(node, _NEVER_HWC)
    if len(inputs) == 5:
        inputs = [*inputs, c.constant(node, np.zeros((1,)), f"{c.uid(node.name)}/count")]
    if f["inverse"] and len(node.inputs) >= 5:
        leaf = c.leaf(node.inputs[4])
        if leaf is None or leaf.value is None:
            c.refuse(node, "its statistics are not parameters")
        else:
            inputs[4] = c.computed(node, leaf, "variance", _variance(f["epsilon"]))
    c.emit(node, "BatchNormalization", inputs, {
        "spatial": f["spatial"], "epsilon": f["epsilon"], "normalizationTimeConstant": f["time"],
        "blendTimeConstant": f["blend"], "useCuDNNEngine": False, "disableRegularization": False,
    })  # fmt: skip


def _variance(epsilon: float) -> Callable[[np.ndarray], np.ndarray]:
    def variance(inverse: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            found: np.ndarray = (1 / (inverse * inverse) + epsilon).astype(inverse.dtype)
        return found

    return variance
