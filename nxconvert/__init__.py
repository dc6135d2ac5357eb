"""nxconvert: turns trained model files into ONNX, without the framework that made them.

    >>> import nxconvert
    >>> report = nxconvert.convert("model.pt", "model.nx")
    >>> nxconvert.check("model.pt", "model.nx").ok
    True

What can be asked for:

- `convert`: from one file to another; `load` and `save` are its two halves, with an `onnx_ir.Model` between them.
- `from_torch`: the graph of a PyTorch module in this process.
- `run`: a model on arrays, in its own framework or another.
- `check`: whether two files compute the same, each run by its own framework.

Every error raised on purpose is a `NxConvertError`. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nxconvert import _lazy_sympy

if TYPE_CHECKING:
    from nxconvert.checking import check
    from nxconvert.conversion import convert, load, save
    from nxconvert.errors import (
        InputError,
        MismatchError,
        NxConvertError,
        ReadError,
        RunError,
        RuntimeMissingError,
        UnsupportedError,
        UsageError,
        WriteError,
    )
    from nxconvert.execution import run
    from nxconvert.inputs import InputSpec
    from nxconvert.live import from_torch
    from nxconvert.report import CheckReport, ConversionReport

__version__ = "0.1.0"

__all__ = [
    "CheckReport",
    "ConversionReport",
    "InputError",
    "InputSpec",
    "MismatchError",
    "NxConvertError",
    "ReadError",
    "RunError",
    "RuntimeMissingError",
    "UnsupportedError",
    "UsageError",
    "WriteError",
    "__version__",
    "check",
    "convert",
    "from_torch",
    "load",
    "run",
    "save",
]

# No module is called like what it offers: importing a submodule would put the module in the place of the function.
_HOMES = {
    "check": "checking",
    "convert": "conversion",
    "load": "conversion",
    "save": "conversion",
    "from_torch": "live",
    "run": "execution",
    "InputSpec": "inputs",
    "CheckReport": "report",
    "ConversionReport": "report",
}

# In a checkout, which Python looks into before it looks for what is installed, these are beside this package.
if not (Path(__file__).parent / "frontends").is_dir():
    __path__.append(str(Path(__file__).parent.parent))

# Whichever module comes to import onnx_ir first, this package has been imported before.
_lazy_sympy.install()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'nxconvert' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"nxconvert.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
