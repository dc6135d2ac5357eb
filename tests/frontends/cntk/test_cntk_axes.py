"""Sequence axes against CNTK itself, on ragged batches."""

from __future__ import annotations

from pathlib import Path

import pytest

import nxconvert
from tests.frontends.cntk.harness import check, models, recorded


@pytest.mark.parametrize("model", models("axes"))
def test_sequence_axes_are_what_they_are_in_cntk(model: str, recordings: Path) -> None:
    converted = check("axes", model, recordings)
    if model in ("steps_by_counts", "steps_by_totals_that_fall"):
        # Totals are gone through one by one only where they may fall.
        scanned = any(node.op_type == "Scan" for node in converted.graph.node)
        assert scanned == (model == "steps_by_totals_that_fall")


def test_steps_but_some_at_the_ends_are_slices(recordings: Path) -> None:
    nodes = check("axes", "steps_but_the_first_or_the_last", recordings).graph.node
    assert not {node.op_type for node in nodes} & {"CumSum", "Range", "ScatterElements"}


def test_sparse_inputs_are_named_in_one_warning(recordings: Path, tmp_path: Path) -> None:
    report = nxconvert.convert(recorded("axes", recordings) / "sparse_inputs.0" / "model.model", tmp_path / "out.nx")
    (warning,) = report.warnings
    parts = warning.split("'")
    assert sorted(parts[1::2]) == ["tags", "topic", "words"]
    assert parts[-1] == " are fed sparsely in CNTK; here they take the same numbers densely"
