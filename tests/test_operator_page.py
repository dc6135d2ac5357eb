"""The pages of operators: up to date, and about all operators that they claim."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from docs.generate_operators import PAGES
from docs.operator_pages import caffe2, cntk
from docs.operator_pages import pytorch as page


@pytest.mark.parametrize("module", PAGES, ids=lambda module: module.PAGE.stem)
def test_page_is_up_to_date(module: ModuleType) -> None:
    assert module.PAGE.read_text() == module.render(), "run python -m docs.generate_operators"


def test_no_reason_for_what_is_read() -> None:
    assert not [name for name in page.REASONS if page.is_supported(name)]
    assert not [name for name in caffe2.REASONS if caffe2.supported(name)]


def test_all_functions_and_blocks_of_cntk_are_known() -> None:
    assert len(cntk.NAMES) == 98
    assert not {name for inside in (*cntk.BLOCKS.values(), cntk.REASONS) for name in inside} - set(cntk.NAMES)


def test_registered_operators_are_listed(corpus: Path) -> None:
    lines = (corpus / "caffe2" / "operators.tsv").read_text().splitlines()
    fields = [line.split("\t") for line in lines if line and not line.startswith("#")]
    assert [(line[0], line[1], line[4] == "yes") for line in fields] == [tuple(each) for each in caffe2.registered()]


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
