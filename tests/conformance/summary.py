"""How many cases matched, suite by suite, at the end of a session."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

PROPERTY = "conformance"


def record(request: pytest.FixtureRequest, suite: str, outcome: str) -> None:
    """Notes one case's outcome with the test, whose report carries it to the process that prints the summary."""
    request.node.user_properties.append((PROPERTY, (suite, outcome)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints a line a suite: ``matched N of M``."""
    suites: dict[str, Counter[str]] = defaultdict(Counter)
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    for report in reports:
        if report.when == "call":
            for name, value in report.user_properties:
                if name == PROPERTY:
                    suite, outcome = value
                    suites[suite][outcome] += 1
    if suites:
        terminalreporter.section("conformance")
    for suite, outcomes in sorted(suites.items()):
        others = "".join(f", {outcome} {count}" for outcome, count in sorted(outcomes.items()) if outcome != "matched")
        terminalreporter.write_line(f"{suite}: matched {outcomes['matched']} of {outcomes.total()}{others}")
