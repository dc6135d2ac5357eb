"""A network of CNTK 1 as the model of primitive functions that CNTK 2 makes of it.

Inputs, parameters and nodes become variables and functions that have the names of the nodes; files that CNTK 2 has
written in the old format have its uids and names in those. Classes that CNTK 2 knows no more are written with the
functions that it has. Inputs of some functions are in another order. Sources: CNTK's public sources, and CNTK 2.7.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nxconvert.errors import ReadError, Unsupported, UnsupportedError, counted
from nxconvert.formats.cntk.dictionary import Array
from nxconvert.formats.cntk.legacy import Network, Node, read_network
from nxconvert.formats.cntk.model import CONSTANT, INPUT, PARAMETER, PLACEHOLDER, Function, Model, Variable
from nxconvert.frontends.cntk.legacy.axes import BATCH, SEQUENCE, dynamic_axes
from nxconvert.frontends.cntk.legacy.images import has_old_images, old_image
from nxconvert.frontends.cntk.legacy.nodes import BUILDERS, FUNCTIONS, ORDERS
from nxconvert.frontends.cntk.network import reached
from nxconvert.frontends.cntk.primitives import COMBINE, NAMES

_UID = re.compile(r".*?__v2libuid__(?P<uid>.*?)__v2libname__(?P<name>.*)", re.DOTALL)
_NAMED_OUTPUT = re.compile(r".*_Output_(?P<index>\d+)", re.DOTALL)
_INPUTS = frozenset({"InputValue", "SparseInputValue"})
_PRECOMPUTED = frozenset({"Mean", "InvStdDev"})
#: The classes whose nodes compute nothing.
_LEAVES = _INPUTS | _PRECOMPUTED | {"LearnableParameter", "EnvironmentInput"}
_ROOT = "the outputs"


def read_legacy(path: str | os.PathLike[str]) -> Model:
    """The model in a file of CNTK 1.

    Raises:
        ReadError: the file is damaged.
        UnsupportedError: nodes cannot be expressed; all of them are listed.
    """
    return Conversion(read_network(path)).model()


class Conversion:
    """Makes variables and functions of the nodes of a network.

    Attributes:
        network: it.
        variables: by uid.
        functions: by uid.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.variables: dict[str, Variable] = {}
        self.functions: dict[str, Function] = {}
        self._uids = _uids(network)
        self._old_images = has_old_images(network)
        self._wrong: list[Unsupported] = []

    def model(self) -> Model:
        nodes = self.network.nodes.values()
        for node in nodes:
            self._leaf(node)
        for node in nodes:
            if node.kind not in (*_LEAVES, "DynamicAxis", "OutputMultiplexer"):
                self._function(node)
        roots = self._roots()
        needed = reached(roots, lambda name: self.network.nodes[name].inputs)
        wrong = counted(item for item in self._wrong if item.where in needed)
        if wrong:
            raise UnsupportedError(wrong)
        self.functions[_ROOT] = Function(_ROOT, "", COMBINE, tuple(self.output(name) for name in roots), {})
        return Model("", _ROOT, self.variables, self.functions)

    # ---- names -------------------------------------------------------------------------------------------------------

    def uid(self, name: str) -> str:
        """The uid that a node's variable or function has."""
        return self._uids[name][0]

    def output(self, name: str) -> str:
        """What uses of a node call what it gives."""
        node = self.network.nodes[name]
        if node.kind in _LEAVES:
            return self.uid(name)
        if node.kind == "OutputMultiplexer" and node.inputs:
            match = _NAMED_OUTPUT.fullmatch(self.uid(name))
            return f"{self.uid(node.inputs[0])}_Output_{match['index'] if match else 1}"
        return f"{self.uid(name)}_Output_0"

    def leaf(self, name: str) -> Variable | None:
        """The input, parameter or constant that a node is; None for one that computes."""
        return self.variables.get(self.uid(name)) if self.uid(name) not in self.functions else None

    # ---- variables ---------------------------------------------------------------------------------------------------

    def _leaf(self, node: Node) -> None:
        if node.kind in _INPUTS:
            self._input(node)
        elif node.kind == "LearnableParameter":
            self._parameter(node)
        elif node.kind in _PRECOMPUTED:
            self._precomputed(node)
        elif node.kind == "EnvironmentInput":
            self.constant(node, np.zeros((1,)), self.uid(node.name))

    def _input(self, node: Node) -> None:
        uid, name = self._uids[node.name]
        axes = dynamic_axes(node.fields["axis"] or "") if node.fields["axis"] is not None else ()
        if self.network.version < 8:
            axes = (SEQUENCE, BATCH)
        sparse, shape = node.kind == "SparseInputValue", self._input_shape(node)
        self.variables[uid] = Variable(uid, INPUT, node.dtype, shape, axes, sparse, name, None)

    def _input_shape(self, node: Node) -> tuple[int, ...]:
        shape: tuple[int, ...] = node.fields["shape"]
        return (old_image(shape) if self._old_images else shape)[::-1]

    def _parameter(self, node: Node) -> None:
        """A parameter; one that is never trained is a constant."""
        uid, name = self._uids[node.name]
        shape = node.fields["shape"][::-1]
        value: Array = node.fields["value"].reshaped(shape)
        kind = PARAMETER if node.fields["rate"] else CONSTANT
        self.variables[uid] = Variable(uid, kind, value.dtype, shape, (), False, name, value)

    def _precomputed(self, node: Node) -> None:
        """A mean or the inverse of a deviation, which was found before the training.

        It has one column in the file, and the shape of what it is the mean of.
        """
        if not node.fields["computed"]:
            self.refuse(node, "it has not been computed yet: train or precompute the model first")
        rows, columns = node.fields["shape"]
        shape: tuple[int, ...] = (rows,) if columns == 1 else (columns, rows)
        of = self.network.nodes[node.inputs[0]] if node.inputs else node
        if of.kind in _INPUTS and math.prod(of.fields["shape"]) == rows * columns:
            shape = self._input_shape(of)
        uid, name = self._uids[node.name]
        value = node.fields["value"].reshaped(shape)
        self.variables[uid] = Variable(uid, CONSTANT, value.dtype, shape, (), False, name, value)

    def constant(self, node: Node, value: Any, uid: str) -> str:
        """A constant with the dtype of a node: its uid."""
        array = Array.of(np.asarray(value, node.dtype.numpy()))
        self.variables[uid] = Variable(uid, CONSTANT, array.dtype, array.shape, (), False, "", array)
        return uid

    def reshape(self, leaf: Variable, shape: tuple[int, ...]) -> None:
        """Gives a parameter another shape, whoever uses it."""
        assert leaf.value is not None
        self.variables[leaf.uid] = replace(leaf, shape=shape, value=leaf.value.reshaped(shape))

    def computed(self, node: Node, leaf: Variable, part: str, compute: Callable[[np.ndarray], np.ndarray]) -> str:
        """A constant that is worked out of a parameter: its uid."""
        assert leaf.value is not None
        uid = f"{self.uid(node.name)}/{part}"
        value = Array.of(compute(leaf.value.numpy()))
        self.variables[uid] = Variable(uid, CONSTANT, value.dtype, value.shape, (), False, "", value)
        return uid

    # ---- functions ---------------------------------------------------------------------------------------------------

    def refuse(self, node: Node, why: str) -> None:
        """Notes that a node cannot be expressed; it matters only if an output depends on it."""
        self._wrong.append(Unsupported(node.kind, why, node.name))

    def emit(self, node: Node, op: str, inputs: Sequence[str], attributes: Mapping[str, Any], part: str = "") -> str:
        """A function: the whole of a node, or a `part` of it that comes before that. What its output is called."""
        uid, name = self._uids[node.name]
        uid = f"{uid}/{part}" if part else uid
        number = NAMES.index(op) if op in NAMES else None
        function = Function(
            uid, "" if part else name, number, tuple(inputs), attributes, None, "" if number is not None else op
        )
        self.functions[uid] = function
        return f"{uid}_Output_0"

    def _function(self, node: Node) -> None:
        inputs = [self.output(name) for name in node.inputs]
        if node.kind in BUILDERS:
            try:
                BUILDERS[node.kind](self, node, inputs)
            except (IndexError, ValueError):  # of inputs, which are all that it may have too few or too many of
                self.refuse(node, f"it has {len(inputs)} inputs, which is not how many it takes")
            return
        op = FUNCTIONS.get(node.kind, node.kind)
        order = ORDERS.get(op)
        if order is not None and len(inputs) > max(order):
            inputs = [inputs[i] for i in order] + inputs[len(order) :]
        self.emit(node, op, inputs, {})

    def note_shape(self, node: Node) -> None:
        """Notes the shape that a delay has in the file, which recurrences need before it is computed."""
        shape = node.fields["shape"]
        if shape and all(shape):
            uid = self.output(node.name)
            self.variables[uid] = Variable(uid, PLACEHOLDER, node.dtype, shape[::-1], (), False, "", None)

    # ---- outputs -----------------------------------------------------------------------------------------------------

    def _roots(self) -> list[str]:
        """The nodes that are outputs: those that the file lists, or else those that nothing uses.

        CNTK 2 lists only the outputs that something uses besides.
        """
        groups, nodes = self.network.groups, self.network.nodes
        listed = [name for name in dict.fromkeys(groups.get("Output", ())) if nodes[name].kind != "DynamicAxis"]
        if listed and not any(_UID.fullmatch(name) for name in listed):
            return listed
        used = {name for node in nodes.values() for name in node.inputs}
        ends = [name for name, node in nodes.items() if name in listed or (node.inputs and name not in used)]
        judging = {*groups.get("Criterion", ()), *groups.get("Eval", ())}
        predicting = [name for name in ends if name not in judging]
        if not ends:
            raise ReadError(f"{self.network.path} has no outputs: it lists none, and all its nodes are used by others.")
        return predicting or ends


def _uids(network: Network) -> dict[str, tuple[str, str]]:
    """The uid and the name of each node: those of CNTK 2 that a name holds, else the name itself for both."""
    found: dict[str, tuple[str, str]] = {}
    taken: set[str] = set()
    for name in network.nodes:
        match = _UID.fullmatch(name)
        uid, called = (match["uid"], match["name"]) if match else (name, name)
        if uid in taken or not uid:
            uid = name
        taken.add(uid)
        found[name] = uid, called
    return found
