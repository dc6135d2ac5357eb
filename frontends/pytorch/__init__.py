"""The PyTorch frontend: TorchScript archives and exported programs, read without PyTorch."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from nxconvert.errors import RuntimeMissingError

if TYPE_CHECKING:
    import onnx_ir as ir

    from nxconvert.plugins import LiveModel, ReadOptions


class PyTorchFrontend:
    """Reads what ``torch.jit.save`` and ``torch.export.save`` wrote; and, with PyTorch, modules in this process."""

    name = "pytorch"
    description = "PyTorch: TorchScript archives and exported programs"
    suffixes = (".pt", ".pt2", ".pth", ".ptl", ".torchscript")

    def detect(self, path: Path) -> bool:
        from nxconvert.formats.safetensors import is_safetensors
        from nxconvert.formats.torch_archive import detect

        return path.is_file() and (detect(path) is not None or is_safetensors(path))

    def read(self, path: Path, options: ReadOptions) -> ir.Model:
        live = self.open_live(path, trust_code=options.trust_code)
        if live is not None:
            return self.read_live(live, options)
        from nxconvert.frontends.pytorch.reader import read

        return read(path, options)

    def read_live(self, live: LiveModel, options: ReadOptions) -> ir.Model:
        require_torch("a live module")
        from nxconvert.frontends.pytorch.eager.source import read_live
        from nxconvert.frontends.pytorch.remarks import remarked

        return remarked(read_live(live, options), options)

    def make_live(self, code: str, weights: Path | None, *, trust_code: bool = False) -> LiveModel:
        require_torch("a model that is made by Python code")
        from nxconvert.frontends.pytorch.eager.factory import make_live

        return make_live(code, weights, trust_code=trust_code)

    def open_live(self, path: Path, *, trust_code: bool = False) -> LiveModel | None:
        if not trust_code:
            return None
        from nxconvert.frontends.pytorch.without_program import is_pickled_module

        if not is_pickled_module(path):
            return None
        require_torch(f"{path}, a pickled module,")
        from nxconvert.frontends.pytorch.eager.factory import open_module

        return open_module(path)


def require_torch(what: str) -> None:
    """Refuses, where PyTorch is not installed, what cannot be done without.

    Raises:
        RuntimeMissingError: it is not.
    """
    if find_spec("torch") is None:
        raise RuntimeMissingError(f"{what} cannot be read without PyTorch: pip install 'nxconvert[torch]'.")


frontend = PyTorchFrontend()
