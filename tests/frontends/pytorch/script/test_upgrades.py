"""Archives of every version of the operator set, against PyTorch's own upgrades of them.

What PyTorch does not upgrade is in the conformance suite of old archives, which asks old PyTorch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nxconvert
from nxconvert import UnsupportedError
from tests.formats.archives import FALSE, members, script_object, write

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")

INTEGERS = np.array([[-7, -6, -1], [0, 5, 8]])
NONZERO = np.array([2, -3, 4])
FLOATS = np.array([[-7.5, -6.0, -1.0], [0.0, 5.0, 8.25]], np.float32)

OPTIONS = "dtype={}, layout=None, device=None, pin_memory=None"
EXPRESSIONS = {
    "integers": ("torch.div(x, y)", [INTEGERS, NONZERO]),
    "narrow integers": ("torch.div(x, y)", [INTEGERS.astype(np.int8), NONZERO.astype(np.int32)]),
    "bytes": ("torch.div(x, y)", [abs(INTEGERS).astype(np.uint8), NONZERO]),
    "a float and integers": ("torch.div(x, y)", [FLOATS, NONZERO]),
    "integers and a float": ("torch.div(x, y)", [INTEGERS, NONZERO.astype(np.float32)]),
    "doubles": ("torch.div(x, y)", [FLOATS.astype(np.float64), NONZERO]),
    "an integer": ("torch.div(x, -2)", [INTEGERS]),
    "a number of floats": ("torch.div(x, 2.5)", [INTEGERS]),
    "floats and an integer": ("torch.div(x, 3)", [FLOATS]),
    "in place": ("torch.div_(torch.mul(x, 3), 4)", [INTEGERS]),
    "in place, tensors": ("torch.div_(torch.mul(x, 3), y)", [INTEGERS, NONZERO]),
    "in place, floats": ("torch.div_(torch.mul(x, 3), y)", [FLOATS, NONZERO]),
    "into integers": ("torch.div(x, y, out=torch.mul(x, 0))", [INTEGERS, NONZERO]),
    "into floats": ("torch.div(x, y, out=torch.mul(x, 0.5))", [INTEGERS, NONZERO]),
    "of sizes": ("torch.mul(x, int(torch.div(ops.prim.NumToTensor(torch.size(x, 1)), 2)))", [FLOATS]),
    "full of an integer": (f"torch.mul(x, torch.full([2, 3], 7, {OPTIONS.format(None)}))", [INTEGERS]),
    "full of a bool": (f"torch.mul(x, torch.full([2, 3], True, {OPTIONS.format(None)}))", [INTEGERS]),
    "full of a float": (f"torch.mul(x, torch.full([2, 3], 1.5, {OPTIONS.format(None)}))", [INTEGERS]),
    "full of a dtype": (f"torch.mul(x, torch.full([2, 3], 7, {OPTIONS.format(4)}))", [INTEGERS]),
    "linspace": (f"torch.linspace(torch.size(x, 0), 9, 5, {OPTIONS.format(None)})", [FLOATS]),
    "logspace": (f"torch.logspace(torch.size(x, 0), 3, 5, 2.0, {OPTIONS.format(None)})", [FLOATS]),
    "gelu": ("torch.gelu(x)", [FLOATS]),
}
WITHOUT_STEPS = {
    "linspace": (7, f"torch.linspace(torch.size(x, 0), 9, None, {OPTIONS.format(None)})"),
    "logspace": (8, f"torch.logspace(torch.size(x, 0), 3, None, 2.0, {OPTIONS.format(None)})"),
}


def archive(path: Path, version: int, expression: str, count: int) -> Path:
    """An archive of a module that computes one expression of `x` and `y`."""
    arguments = ", ".join(f"{name}: Tensor" for name in ("x", "y")[:count])
    code = (
        "class M(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n"
        f"  def forward(self: __torch__.M, {arguments}) -> Tensor:\n    return {expression}\n"
    )
    root = script_object("__torch__.M", training=FALSE)
    return write(path, members(root, code, {"version": f"{version}\n".encode()}))


def check(path: Path, inputs: list[np.ndarray]) -> None:
    with torch.no_grad():
        want = torch.jit.load(path)(*map(torch.from_numpy, inputs)).numpy()
    target = path.with_suffix(".onnx")
    nxconvert.convert(path, target, inputs=inputs)
    (got,) = nxconvert.run(target, inputs).values()
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    np.testing.assert_allclose(got, want, rtol=1e-5)


VERSIONS = (2, 3, 4, 5, 6, 7, 8, 9, 10)
# Since then, quotients of integers do not fit integers.
ONLY_UNTIL_3 = ("in place", "in place, tensors", "into integers")


@pytest.mark.parametrize(
    ("name", "version"), [(n, v) for n in EXPRESSIONS for v in VERSIONS if v <= 3 or n not in ONLY_UNTIL_3]
)
def test_every_version_as_pytorch_upgrades_it(name: str, version: int, tmp_path: Path) -> None:
    expression, inputs = EXPRESSIONS[name]
    check(archive(tmp_path / "m.pt", version, expression, len(inputs)), inputs)


@pytest.mark.parametrize("name", WITHOUT_STEPS)
def test_the_number_of_steps_had_a_default(name: str, tmp_path: Path) -> None:
    last, expression = WITHOUT_STEPS[name]
    for version in (2, last):
        check(archive(tmp_path / f"{version}.pt", version, expression, 1), [FLOATS])
    newer = archive(tmp_path / "newer.pt", last + 1, expression, 1)
    with pytest.raises(UnsupportedError, match="steps"):
        nxconvert.convert(newer, tmp_path / "out.nx", inputs=[FLOATS])


def test_what_pytorch_lists_is_tested() -> None:
    """A new upgrade of PyTorch's shows here."""
    listed: dict[str, Any] = torch._C._get_operator_version_map()
    names = {name.removeprefix("aten::").partition(".")[0] for name in listed}
    assert names == {"div", "div_", "full", "linspace", "logspace", "gelu"}
