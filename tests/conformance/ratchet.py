"""What is known not to match: the list may only get shorter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

KNOWN = Path(__file__).with_name("known.json")


@cache
def known(suite: str) -> Mapping[str, str]:
    """The cases of a suite that do not match, and why."""
    return json.loads(KNOWN.read_text()).get(suite, {})  # type: ignore[no-any-return]


def complaint(suite: str, case: str, problem: str) -> str:
    """What is wrong with a case's outcome, given what is known about it; empty where nothing is.

    Args:
        suite: the suite, a key of `KNOWN`.
        case: the case, a key of that.
        problem: how the case failed; empty where it matched.
    """
    listed = case in known(suite)
    if problem and not listed:
        return f"{case} ({suite}): {problem}"
    if listed and not problem:
        return f"{case} ({suite}) matches: take it off {KNOWN.name}"
    return ""
