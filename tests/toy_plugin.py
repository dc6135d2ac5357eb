"""A third party's format, for tests: ``TOY`` and a JSON object, which says what y is for an x of [batch,width].

{"scale": 2.0}              y = scale * x
{"scale": 2.0, "runs": 3.0} what its own runtime computes with, if it is to differ from what the frontend reads
{"only": 4}                 its own runtime takes this batch size alone
{"open": true}              nothing is known about x: it has to be declared
{"odd": ["a", "b"]}         operators that cannot be lowered

A second file of the same kind may hold some of this, as other formats' weights do.
"""

from __future__ import annotations

import json

import numpy as np
import onnx_ir as ir

from nxconvert.errors import InputError, ReadError, RunError, Unsupported, UnsupportedError

MAGIC = b"TOY"


def facts(path):
    try:
        return json.loads(path.read_bytes().removeprefix(MAGIC))
    except ValueError as error:
        raise ReadError(f"{path} is a damaged toy: {error}.") from error


class ToyFrontend:
    name = "toy"
    description = "toy models"
    suffixes = (".toy",)
    takes_init = True

    def detect(self, path):
        return path.is_file() and path.read_bytes().startswith(MAGIC)

    def read(self, path, options):
        options.progress("reading", 0.5)
        said = facts(path) | (facts(options.init) if options.init else {})
        if "odd" in said:
            raise UnsupportedError(Unsupported(f"toy::{name}", where="toy.py:7", count=2) for name in said["odd"])
        dims = ("batch", "width")
        if options.inputs is not None:
            dims = options.inputs["x"].dims
        elif said.get("open"):
            raise InputError("the dims of the argument x cannot be told.", ["x=float32[batch,width]"])
        if said.get("strange"):
            options.warn("this toy is strange.")
        scale = options.constants.get("scale", said.get("scale", 1.0))
        options.progress("lowering", 1.0)
        return model(dims, scale)


def model(dims, scale):
    type_ = ir.TensorType(ir.DataType.FLOAT)
    x = ir.Value(name="x", type=type_, shape=ir.Shape(dims))
    constant = ir.Value(name="scale", type=type_, shape=ir.Shape(()), const_value=ir.tensor(np.float32(scale)))
    node = ir.Node("", "Mul", [x, constant], outputs=[ir.Value(name="output", type=type_, shape=ir.Shape(dims))])
    graph = ir.Graph([x], node.outputs, nodes=[node], initializers=[constant], opset_imports={"": 20}, name="toy")
    return ir.Model(graph, ir_version=9)


class ToyRuntime:
    name = "toy"
    description = "a toy"
    formats = ("toy",)
    rank = 10

    def available(self):
        return None

    def load(self, path):
        return ToyRunner(facts(path))

    def load_pair(self, path, init):
        return ToyRunner(facts(path) | facts(init))


class ToyRunner:
    inputs = ("x",)
    description = "toy 1.0"

    def __init__(self, said):
        self.said = said

    def __call__(self, inputs, outputs=None):
        x = inputs["x"]
        if x.shape[0] != self.said.get("only", x.shape[0]):
            raise RunError(f"this toy takes a batch of {self.said['only']}.")
        scale = inputs.get("scale", self.said.get("runs", self.said.get("scale", 1.0)))
        return {"output": x * np.float32(scale)}


frontend = ToyFrontend()
runtime = ToyRuntime()
