"""The page of PyTorch's operators: up to date, and about all operators that it claims."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import generate_operators as page


def test_page_is_up_to_date() -> None:
    assert page.PAGE.read_text() == page.render(), "run python -m docs.generate_operators"


def test_no_reason_for_what_is_read() -> None:
    assert not [name for name in page.REASONS if page.is_supported(name)]


def test_core_operators_are_listed() -> None:
    torch = pytest.importorskip("torch")
    core = set()
    for schema in torch._C._jit_get_all_schemas():
        namespace, _, name = schema.name.partition("::")
        overload = getattr(getattr(torch.ops.aten, name, None), schema.overload_name or "default", None)
        if namespace == "aten" and overload is not None and torch.Tag.core in overload.tags:
            core.add(name)
    assert core == set(page.NAMES["core"])


def test_used_operators_are_listed(corpus: Path) -> None:
    words = (corpus / "pytorch" / "operators.txt").read_text().splitlines()
    used = {line.split()[0] for line in words if line and not line.startswith("#")}
    names = {re.sub(r"^torch\.ops\.(\w+)\.(\w+)(\.\w+)?$", r"\1::\2", name).removeprefix("aten::") for name in used}
    assert names == set(page.NAMES["used"])
