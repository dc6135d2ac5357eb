"""Runs TorchScript and torch.export archives with PyTorch."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from nxconvert.errors import RuntimeMissingError

if TYPE_CHECKING:
    from nxconvert.plugins import LiveModel, Runner


class Torch:
    """The framework that TorchScript archives come from."""

    name = "torch"
    description = "PyTorch, on the CPU"
    formats = ("pytorch",)
    rank = 10

    def available(self) -> str | None:
        if importlib.util.find_spec("torch") is None:
            return "PyTorch is not installed: pip install 'nxconvert[torch]'"
        return None

    def load(self, path: Path) -> Runner:
        missing = self.available()
        if missing:
            raise RuntimeMissingError(f"{path} cannot be run: {missing}")
        from nxconvert.runtimes.torch_archives import load_archive

        return load_archive(path)

    def load_live(self, live: LiveModel) -> Runner:
        from nxconvert.runtimes.torch_live import ModuleRunner

        return ModuleRunner(live)


runtime = Torch()
