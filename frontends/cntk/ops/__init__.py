"""The lowerings of CNTK's primitive functions, a module a family; importing this package fills the table."""

from __future__ import annotations

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
