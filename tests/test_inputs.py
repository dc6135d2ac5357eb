"""Specs of inputs: parsed, rendered, refused."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest

from nxconvert.errors import UsageError
from nxconvert.inputs import DTYPES, InputSpec, as_array, dtype_name, parse_input, parse_inputs, spec_of


@pytest.mark.parametrize(
    ("text", "dtype", "dims"),
    [
        ("float32[batch,3,224,224]", "float32", ("batch", 3, 224, 224)),
        ("  float32 [ batch , 3 ] ", "float32", ("batch", 3)),
        ("int64", "int64", ()),
        ("int64[]", "int64", ()),
        ("[1,3,h,h]", None, (1, 3, "h", "h")),
        ("half[n]", "float16", ("n",)),
        ("torch.long[n]", "int64", ("n",)),
        ("FLOAT8E4M3FN[2]", "float8_e4m3fn", (2,)),
        ("bool[0]", "bool", (0,)),
    ],
)
def test_a_spec_is_parsed(text: str, dtype: str | None, dims: tuple[int | str, ...]) -> None:
    assert InputSpec.parse(text) == InputSpec(dtype, dims)


@pytest.mark.parametrize("text", ["float32[batch,3,224,224]", "int64[]", "[1,n]", "bfloat16[n,n]"])
def test_what_is_rendered_is_what_was_parsed(text: str) -> None:
    assert str(InputSpec.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not of the form"),
        ("float32[1,2", "not of the form"),
        ("float32]1[", "not of the form"),
        ("float99[1]", "'float99' is no dtype"),
        ("float32[1,,2]", "a dim is missing"),
        ("float32[-1,3]", "give a free dim a name"),
        ("float32[?]", "give a free dim a name"),
        ("float32[2x]", "'2x' is neither a size nor a name"),
        ("float32[1.5]", "'1.5' is neither a size nor a name"),
    ],
)
def test_a_malformed_spec_is_explained(text: str, why: str) -> None:
    with pytest.raises(UsageError, match="cannot understand the input spec") as caught:
        InputSpec.parse(text)
    assert why in str(caught.value)
    assert "float32[batch,3,224,224]" in str(caught.value)


def test_every_onnx_dtype_has_a_name() -> None:
    known = set(onnx.TensorProto.DataType.keys()) - {"UNDEFINED"}
    assert set(DTYPES.values()) == known
    for name, onnx_name in DTYPES.items():
        assert dtype_name(onnx_name) == dtype_name(name) == name
        assert InputSpec(name, ()).onnx_dtype() == ir.DataType[onnx_name]
        assert str(spec_of(ir.DataType[onnx_name], ("n", 2))) == f"{name}[n,2]"


@pytest.mark.parametrize(
    ("example", "spec"),
    [
        (np.zeros((2, 3), np.float64), "float64[2,3]"),
        (np.zeros((), np.int64), "int64[]"),
        (np.zeros(2, ml_dtypes.bfloat16), "bfloat16[2]"),
        (np.array(["a", "b"]), "string[2]"),
        (np.zeros((2, 0), bool), "bool[2,0]"),
        (1.5, "float32[]"),
        (3, "int64[]"),
        (True, "bool[]"),
        ([[1.0, 2.0]], "float32[1,2]"),
    ],
)
def test_an_example_fixes_dtype_and_sizes(example: object, spec: str) -> None:
    assert str(InputSpec.of(example)) == spec  # type: ignore[arg-type]


def test_a_torch_tensor_is_an_example() -> None:
    torch = pytest.importorskip("torch")
    assert str(InputSpec.of(torch.zeros(2, 3, dtype=torch.bfloat16))) == "bfloat16[2,3]"


def test_what_is_typed_keeps_its_type() -> None:
    assert as_array(np.float64(1)).dtype == np.float64
    assert as_array([1.0]).dtype == np.float32
    assert as_array([1]).dtype == np.int64


@pytest.mark.parametrize(
    "ragged", [[[1.0, 2.0], [3.0]], np.array([np.zeros(2), np.zeros(3)], dtype=object)], ids=["lists", "objects"]
)
def test_sequences_of_different_lengths_are_no_array(ragged: object) -> None:
    with pytest.raises(UsageError, match="padded to the longest one, and their lengths"):
        as_array(ragged)


def test_inputs_come_by_name_or_in_order() -> None:
    spec = InputSpec("float32", ("n",))
    assert parse_inputs(None) is None
    assert dict(parse_inputs({"x": "float32[n]"}) or {}) == {"x": spec}
    assert parse_inputs(["float32[n]", spec]) == (spec, spec)
    with pytest.raises(UsageError, match="input x: cannot understand"):
        parse_inputs({"x": "what"})
    with pytest.raises(UsageError, match="declared by name"):
        parse_inputs("float32[n]")


def test_the_command_line_has_names() -> None:
    assert parse_input("a.b = int64[n]") == ("a.b", InputSpec("int64", ("n",)))
    for text in ("float32[n]", "=int64", ""):
        with pytest.raises(UsageError, match="NAME=DTYPE"):
            parse_input(text)


def test_free_dims_are_named_once() -> None:
    assert InputSpec.parse("float32[n,3,h,n]").free == ("n", "h")
