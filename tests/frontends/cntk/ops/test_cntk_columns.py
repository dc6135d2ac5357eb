"""What is said of results that CNTK makes of columns without steps."""

from __future__ import annotations

import pytest

from nxconvert.frontends.cntk.columns import warn_of_empty_columns
from nxconvert.frontends.cntk.dynamic import Axes, Seq
from nxconvert.frontends.cntk.network import Leaf, Node, Result
from nxconvert.graph.builder import Builder


class _Told:
    """A context that keeps warnings."""

    def __init__(self, *inputs: Leaf | Result) -> None:
        self.node = Node("z", "NDCG", inputs, {}, "")
        self.messages: list[str] = []

    def warn(self, message: str) -> None:
        self.messages.append(message)


@pytest.mark.parametrize(("computed", "sequences"), [(True, True), (True, False), (False, True)])
def test_computed_sequences_are_warned_of(computed: bool, sequences: bool) -> None:
    op = Builder()
    seq = Seq("axis", op.dim("sequence"), lambda: op.const([1]), op, made=False)
    context = _Told(Leaf("x"), Result("y") if computed else Leaf("y"))
    warn_of_empty_columns(context, Axes(True, seq if sequences else None))
    assert [("NDCG" in message) for message in context.messages] == [True] * (computed and sequences)
