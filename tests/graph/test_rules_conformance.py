"""The rules against ONNX's own node tests: 1,500 models of one operator, or of the nodes that define it.

Every model is built with the builder four times: with known dims, with a symbol for every dim, with nothing known but
dims and dtypes, and with constants only. Dtypes and ranks must be those recorded, dims must evaluate to the recorded
sizes (a symbol that depends on data is any size), and what is folded must have the recorded value.
"""

from __future__ import annotations

import functools
import warnings
from collections import defaultdict
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from nxconvert.graph import IR_OPSET, rules
from nxconvert.graph.builder import Builder, GraphTypeError, Value
from nxconvert.graph.dims import Dim, evaluate

# Inputs that say how an operator works rather than what on: constants in nearly all models.
SETTINGS = {
    "K", "axes", "axis", "block_shape", "delta", "depth", "dft_length", "ends", "frame_length", "frame_step",
    "image_shape", "k", "limit", "num_mel_bins", "output_shape", "pads", "position", "repeats", "scales", "shape",
    "size", "sizes", "split", "start", "starts", "steps",
}  # fmt: skip
# Operators whose results are as large as the data say, whatever is constant.
DATA_SIZED = {
    "BlackmanWindow", "Compress", "ConcatFromSequence", "HammingWindow", "HannWindow", "NonMaxSuppression", "NonZero",
    "SequenceAt", "Unique",
}  # fmt: skip


# Operators that later versions give another meaning.
CHANGED = {"DFT", "GroupNormalization", "Split"}
# Since then versions differ in dtypes and in attributes that have become inputs, but not in meaning.
OLDEST = 13


class Case:
    """One model with its recorded inputs and outputs."""

    def __init__(self, test: Any) -> None:
        self.name = test.name
        self.model = test.model
        self.graph = test.model.graph
        inputs, outputs = test.data_sets[0]
        self.inputs = dict(zip([i.name for i in self.graph.input], map(_array, inputs), strict=True))
        self.outputs = dict(zip([o.name for o in self.graph.output], map(_array, outputs), strict=False))

    @functools.cached_property
    def about(self) -> str:
        """The operator that the case is for, which is not among the nodes of one that is written out."""
        if len(self.graph.node) == 1:
            return self.graph.node[0].op_type
        name = self.name.replace("_", "")
        return max(
            (op_type for op_type in rules.INFER if op_type.lower() in name), key=len, default=self.graph.node[0].op_type
        )

    @functools.cached_property
    def settings(self) -> set[str]:
        """The inputs of the model that say how operators work."""
        names = SETTINGS & set(self.inputs)
        for node in self.graph.node:
            formals = onnx.defs.get_schema(node.op_type, IR_OPSET).inputs
            shaped = node.op_type == "ConstantOfShape"
            names |= {
                name for name, formal in zip(node.input, formals, strict=False) if shaped or formal.name in SETTINGS
            }
        return names

    def is_of_our_opset(self) -> bool:
        """Whether every operator is one that the rules know, of the version they are for."""
        versions = {o.domain: o.version for o in self.model.opset_import}
        for node in self.graph.node:
            if node.domain or node.op_type not in rules.INFER or any(a.HasField("g") for a in node.attribute):
                return False
            try:
                ours = onnx.defs.get_schema(node.op_type, IR_OPSET)
                theirs = onnx.defs.get_schema(node.op_type, versions[""])
            except onnx.defs.SchemaError:
                return False
            changed = ours.since_version != theirs.since_version and node.op_type in CHANGED
            if theirs.since_version < min(ours.since_version, OLDEST) or changed or not _can_say(ours, node):
                return False
        return not any(_has_strings(v) for v in (*self.inputs.values(), *self.outputs.values()))


def _array(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def _can_say(schema: Any, node: onnx.NodeProto) -> bool:
    return all(a.name in schema.attributes for a in node.attribute) and len(node.input) <= schema.max_input


def _has_strings(value: Any) -> bool:
    if isinstance(value, list):
        return any(_has_strings(v) for v in value)
    return value is None or np.asarray(value).dtype.kind in "OUS"


@functools.cache
def cases() -> dict[str, list[Case]]:
    """All cases that the rules are for, by the operator that they are about."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tests = collect_testcases()
    found: dict[str, list[Case]] = defaultdict(list)
    for test in tests:
        case = Case(test)
        if case.is_of_our_opset():
            found[case.about].append(case)
    return found


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    result = {}
    for a in node.attribute:
        value = onnx.helper.get_attribute_value(a)
        result[a.name] = (
            ir.tensor(value)
            if isinstance(value, onnx.TensorProto)
            else value.decode()
            if isinstance(value, bytes)
            else value
        )
    return result


class Run:
    """A case built with some of its inputs constant and dims known or symbolic."""

    def __init__(self, case: Case, symbolic: bool, constants: set[str]) -> None:
        self.op = Builder()
        self.sizes: dict[str, int] = {}
        self.values: dict[str, Value | None] = {"": None}
        for name, data in case.inputs.items():
            self.values[name] = self.op.const(data) if name in constants else self._input(name, data, symbolic)
        for tensor in case.graph.initializer:
            self.values[tensor.name] = self.op.const(numpy_helper.to_array(tensor))
        for node in case.graph.node:
            inputs = [self.values[name] for name in node.input]
            count = len(node.output) if node.op_type in rules.USUAL_OUTPUTS else None
            results = getattr(self.op, node.op_type)(*inputs, _outputs=count, **attributes_of(node))
            results = results if isinstance(results, tuple) else (results,)
            self.values.update(zip(node.output, results, strict=False))

    def _input(self, name: str, data: Any, symbolic: bool) -> Value:
        if isinstance(data, list):
            shapes = {np.shape(item) for item in data}
            dims = shapes.pop() if len(shapes) == 1 else None
            return self.op.sequence_input(name, ir.DataType.from_numpy(np.asarray(data[0]).dtype), dims)
        data = np.asarray(data)
        dims: list[Any] = list(data.shape)
        if symbolic:
            for axis, size in enumerate(data.shape):
                self.sizes[f"{name}.{axis}"] = size
                dims[axis] = Dim.symbol(f"{name}.{axis}", low=0)
        return self.op.input(name, ir.DataType.from_numpy(data.dtype), dims)

    def faults(self, case: Case, wild: bool) -> list[str]:
        """What differs from the recorded results; ``wild`` allows for sizes that are not known."""
        found = []
        for name, expected in case.outputs.items():
            value = self.values[name]
            if value is None or isinstance(expected, list):
                found += [] if value is not None and value.is_sequence else [f"{name} is no sequence"]
                continue
            expected = np.asarray(expected)
            if value.etype != ir.DataType.from_numpy(expected.dtype):
                found.append(f"{name} is {value.etype}, recorded {expected.dtype}")
            elif len(value.dims) != expected.ndim:
                found.append(f"{name} has dims {value.dims}, recorded {expected.shape}")
            else:
                found += [
                    f"{name} has dims {value.dims}: {fault}" for fault in self._size_faults(value, expected.shape, wild)
                ]
            if value.array is not None and not found:
                found += value_faults(name, value.array, expected)
        return found

    def _size_faults(self, value: Value, shape: tuple[int, ...], wild: bool) -> list[str]:
        found = []
        for dim, size in zip(value.dims, shape, strict=True):
            try:
                got = evaluate(dim, self.sizes)
            except KeyError as unknown:
                if not wild:
                    found.append(f"{unknown} is not known")
                continue
            if got != size:
                found.append(f"{dim} is {got}, recorded {size}")
        return found


def value_faults(name: str, array: np.ndarray, expected: np.ndarray) -> list[str]:
    if expected.dtype.kind in "iub":
        same = np.array_equal(array, expected)
    else:
        wide = np.float64 if expected.dtype.kind != "c" else np.complex128
        tolerance = 1e-6 if expected.dtype.itemsize > 2 else 1e-3
        same = np.allclose(array.astype(wide), expected.astype(wide), rtol=tolerance, atol=tolerance, equal_nan=True)
    return [] if same else [f"{name} is folded to another value"]


def check(op_type: str, symbolic: bool, constants: Any, wild: bool) -> int:
    """Builds all cases of an operator and compares; returns how many there are."""
    faults = []
    for case in cases()[op_type]:
        chosen = {
            "none": set(),
            "settings": case.settings,
            "all": {n for n, v in case.inputs.items() if not isinstance(v, list)},
        }[constants]
        try:
            found = Run(case, symbolic, chosen).faults(case, wild)
        except GraphTypeError as error:
            # Dtypes that only later versions take, ranks that nothing fixes.
            excused = (
                "may not be" in str(error)
                or "is no dtype" in str(error)
                or ("must " in str(error) and (symbolic or constants == "none"))
            )
            found = [] if excused else [f"GraphTypeError: {error}"]
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        faults += [f"{case.name}: {fault}" for fault in found]
    assert not faults, "\n".join(faults)
    return len(cases()[op_type])


OPERATORS = sorted(set(rules.INFER) & {s.name for s in onnx.defs.get_all_schemas() if s.domain == ""})


@pytest.mark.parametrize("op_type", OPERATORS)
def test_known_dims(op_type):
    check(op_type, symbolic=False, constants="settings", wild=op_type in DATA_SIZED)


@pytest.mark.parametrize("op_type", OPERATORS)
def test_symbolic_dims(op_type):
    check(op_type, symbolic=True, constants="settings", wild=True)


@pytest.mark.parametrize("op_type", OPERATORS)
def test_nothing_constant(op_type):
    check(op_type, symbolic=False, constants="none", wild=True)


@pytest.mark.parametrize("op_type", OPERATORS)
def test_folding(op_type):
    check(op_type, symbolic=False, constants="all", wild=op_type in DATA_SIZED)


def test_the_cases_are_there():
    assert sum(map(len, cases().values())) > 1400
