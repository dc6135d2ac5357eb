"""What PyTorch does with these programs and nxconvert does not do yet: the list is to become empty."""

from __future__ import annotations

import pytest

KNOWN: dict[str, str] = {}
"""Test, without its file, -> what is missing."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        why = KNOWN.get(item.name)
        if why is not None and item.path.parent.name == "script":
            item.add_marker(pytest.mark.xfail(reason=why, strict=True))
