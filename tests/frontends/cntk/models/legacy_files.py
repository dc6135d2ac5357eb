"""Writes files of CNTK 1, of any version, as its releases wrote them. For CNTK's own Python as well (3.6).

    network = Legacy(12)
    network.node("InputValue", "x", [], network.input((3,)))
    network.node("LearnableParameter", "w", [], network.parameter(matrix))
    network.node("Times", "z", ["w", "x"], network.product())
    network.write(path)

Shapes and axes are CNTK's, column-major: the reverse of NumPy's.
"""

import struct
from pathlib import Path

import numpy as np

DTYPES = {"float": np.float32, "double": np.float64, "half": np.float16}


def text(word):
    return (word + "\0").encode("utf-16-le")


def u8(number):
    return struct.pack("<B", number)


def i32(number):
    return struct.pack("<i", number)


def u32(number):
    return struct.pack("<I", number)


def i64(number):
    return struct.pack("<q", number)


def u64(number):
    return struct.pack("<Q", number)


def f32(number):
    return struct.pack("<f", number)


def f64(number):
    return struct.pack("<d", number)


def shape(dims):
    return u32(len(dims)) + b"".join(u32(size) for size in dims)


def flags(values):
    return u64(len(values)) + b"".join(u8(value) for value in values)


def names(words):
    return u64(len(words)) + b"".join(text(word) for word in words)


def matrix(array, rows, columns):
    """A dense matrix of the elements of an array of NumPy's, whose memory is column-major as CNTK sees it."""
    array = np.ascontiguousarray(array)
    head = b"d" + text("BMAT") + u64(array.itemsize) + text("unnamed") + i32(0) + u64(rows) + u64(columns)
    if array.dtype == np.float16:
        array = array.view(np.int16).astype(np.int32)
    return head + array.tobytes() + text("EMAT")


class Legacy:
    """A network that is to be written."""

    def __init__(self, version, precision="float"):
        self.version = version
        self.precision = precision
        self.dtype = DTYPES[precision]
        self.nodes = []
        self.groups = {"Feature": [], "Label": [], "Criterion": [], "Eval": [], "Output": []}

    def node(self, kind, name, inputs, payload=b""):
        self.nodes.append((kind, name, list(inputs), payload))
        return name

    def tobytes(self):
        if self.version < 7 and not any(text("BMAT") in payload for *_, payload in self.nodes):
            self.node("LearnableParameter", "unused", [], self.parameter([[1.0]]))  # tells CNTK what numbers there are
        self.nodes.sort(key=lambda node: node[1].lower())  # the order in which CNTK keeps them
        parts = [text("BCN")]
        if self.version > 1:
            parts += [text("BVersion"), u64(self.version), text("EVersion")]
        parts += [u64(len(self.nodes)), text("BNodeList")]
        for kind, name, _, payload in self.nodes:
            parts += [text(self.precision)] if self.version >= 7 else []
            parts += [text(kind), text(name), payload]
        parts += [text("ENodeList"), text("BRelation")]
        for _, name, inputs, _ in self.nodes:
            parts += [text(name), names(inputs)]
        parts += [text("ERelation"), text("BRootNodes")]
        for group in ("Feature", "Label", "Criterion", "Eval", "Output"):
            word = "Criteria" if group == "Criterion" and self.version < 3 else group
            parts += [text("B%sNodes" % word), names(self.groups[group]), text("E%sNodes" % word)]
        parts += [text("ERootNodes"), text("ECN")]
        return b"".join(parts)

    def write(self, path):
        Path(str(path)).write_bytes(self.tobytes())

    # ---- what nodes write --------------------------------------------------------------------------------------------

    def input(self, dims, axis=""):
        """`axis` is empty for the default one; another one has a node of its own."""
        if axis and not any(name == axis for _, name, _, _ in self.nodes):
            self.node("DynamicAxis", axis, [])
        rows = 0 if self.version >= 3 else int(np.prod(dims))
        payload = u64(rows) + u64(1) + shape(dims)
        if self.version >= 8:
            payload += u32(0 if axis is None else 1) + (b"" if axis is None else text(axis))
        return payload + (f32(0) if self.version >= 10 else b"")

    def parameter(self, array, dims=None, rate=1.0):
        """`array` is NumPy's; `dims` is its reverse shape unless it is given."""
        array = np.asarray(array, self.dtype)
        dims = tuple(array.shape[::-1]) if dims is None else dims
        rows = dims[0] if dims else 1
        data = matrix(array, rows, array.size // rows)
        if self.version >= 3:
            return f32(rate) + shape(dims) + data
        head = u8(rate != 0)
        return head + (u64(dims[0]) + u64(dims[1]) if len(dims) == 2 else u64(0) + u64(1) + shape(dims)) + data

    def product(self, kept=1, mapped=-1):
        return (u64(kept) if self.version >= 3 else b"") + (i32(mapped) if self.version >= 12 else b"")

    def element(self, number):
        return f64(number) if self.precision == "double" else f32(number)

    def delay(self, steps, dims, initial=0.1):
        place = shape(dims) if self.version > 3 else u64(int(np.prod(dims))) + u64(0)
        return i32(steps) + place + (self.element(initial) if self.version >= 2 else b"")

    def filter(self, kernel, maps, strides, padding, **options):
        """What a convolution and a pooling of version 5 and later have in common."""
        v = self.version
        payload = shape(kernel) + shape(maps) + shape(strides) + flags(options.get("sharing", [True])) + flags(padding)
        payload += shape(options.get("lower", (0,))) + shape(options.get("upper", (0,)))
        payload += i32(options.get("pooling", 0)) + i32(options.get("layout", 1)) + u64(0)
        payload += u8(options.get("transpose", False)) if v >= 9 else b""
        payload += shape(options.get("output", (0,))) if v >= 20 else b""
        payload += u8(options.get("ceil", False)) if v >= 21 else b""
        return payload + (u8(options.get("include", False)) if v >= 23 else b"")

    def convolution(self, kernel, maps, strides, padding, flat=False, **options):
        """Before version 5 of images, of the layout 1, which is CHW, or 0, HWC."""
        if self.version < 5:
            payload = u64(kernel[0]) + u64(kernel[1]) + u64(strides[0]) + u64(strides[1]) + u32(maps)
            return payload + u32(options.get("layout", 1)) + u8(padding[0]) + u64(0)
        payload = self.filter(kernel, (maps,), strides, padding, **options) + u8(flat)
        return payload + (shape(options.get("dilation", (1,))) if self.version >= 18 else b"")

    def image_pooling(self, window, strides, layout=1):
        return u32(window[0]) + u32(layout) + u64(window[1]) + u64(strides[0]) + u64(strides[1])

    def normalization(self, spatial, epsilon, own=0x10004):
        v = self.version
        if v >= 6:
            count = u8(0) if v == 19 else u64(32)
            return u8(spatial) + f64(0.5) + f64(0.0) + i32(1) + count + f64(epsilon) + u8(1)
        payload = i32(own) + i32(min(own, 0x10004)) + u8(0) + u8(spatial) + f64(0.5)
        payload += i32(1) + u64(2) if own >= 0x10002 else b""
        return payload + (f64(epsilon) + u8(1) if own >= 0x10003 else b"")

    def slice(self, *slices):
        """Each is the axis from 1, start, stop, stride."""
        payload = i32(len(slices)) if self.version >= 22 else b""
        for axis, start, stop, stride in slices:
            payload += i64(start) + i64(stop - start)
            payload += i32(axis) if self.version >= 3 else b""
            payload += i32(stride) if self.version >= 27 else b""
        return payload

    def reduction(self, name, axes, keep=True):
        payload = i32(len(axes)) if self.version >= 27 else b""
        payload += b"".join(i32(axis) for axis in axes) + text(name)
        return payload + (u8(keep) if self.version >= 24 else b"")

    def transposition(self, first, second):
        return i32(first) + i32(second) if self.version >= 3 else b""

    def stacked(self, axis):
        return i32(axis) if self.version >= 3 else b""

    def random_state(self, short=False):
        """`short` is how Windows wrote version 16."""
        if self.version < 16:
            return b""
        return (u32(7) if short else u64(7)) + u64(3)

    def precomputed(self, array):
        array = np.asarray(array, self.dtype)
        return u8(1) + matrix(array, array.size, 1)

    def recurrent(self, hidden, layers=1, bidirectional=False):
        payload = u64(bidirectional) + u64(layers) + u64(hidden)
        return payload + (text("lstm") + i32(-1) if self.version >= 14 else text("LSTM"))

    def where(self, axis):
        return text(axis) if self.version >= 11 else b""
