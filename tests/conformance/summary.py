"""How many cases matched, suite by suite, at the end of a session, and which did not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import pytest

PROPERTY = "conformance"


def record(request: pytest.FixtureRequest, suite: str, outcome: str, case: str = "", *, counts: bool = True) -> None:
    """Notes one case's outcome with the test, whose report carries it to the process that prints the summary.

    Args:
        request: the test's.
        suite: the suite.
        outcome: ``matched``, ``failed``, or another in a word or two.
        case: the case, to be listed if it failed.
        counts: whether it is one of the cases that could have matched.
    """
    request.node.user_properties.append((PROPERTY, (suite, outcome, case, counts)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints for every suite ``matched N of M``, and what failed."""
    suites: dict[str, list[tuple[str, str, bool]]] = defaultdict(list)
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    for report in reports:
        if report.when == "call":
            for name, value in report.user_properties:
                if name == PROPERTY:
                    suite, *outcome = value
                    suites[suite].append(tuple(outcome))
    if suites:
        terminalreporter.section("conformance")
    for suite, outcomes in sorted(suites.items()):
        counted = Counter(outcome for outcome, _, counts in outcomes if counts)
        others = Counter(outcome for outcome, _, counts in outcomes if not counts)
        matched = counted.pop("matched", 0)
        line = f"{suite}: matched {matched} of {matched + counted.total()}{_listed(counted.items())}"
        terminalreporter.write_line(line + (f"; not counted{_listed(others.items())}" if others else ""))
        for case in sorted({case for outcome, case, _ in outcomes if outcome == "failed" and case}):
            terminalreporter.write_line(f"    {case}")


def _listed(counts: Iterable[tuple[str, int]]) -> str:
    return "".join(f", {outcome} {count}" for outcome, count in sorted(counts))
