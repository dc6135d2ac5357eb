"""Axes of CNTK 1's nodes as CNTK 2 has them: static ones are counted from 1, dynamic ones go by name."""

from __future__ import annotations

from typing import Any

from nxconvert.formats.cntk.dictionary import ALL, ALL_STATIC, DYNAMIC, Axis

BATCH = Axis(DYNAMIC, "defaultBatchAxis", False)
SEQUENCE = Axis(DYNAMIC, "defaultDynamicAxis", True)
#: What the names of CNTK's own axes begin with: that of sequences, and the one that means there is none.
_DEFAULT, _NO_SEQUENCE = "*", "__noSequenceAxis"
#: What reductions call other axes than static ones, which they count from 1.
REDUCED = {0: Axis(ALL_STATIC, "AllStaticAxes", False), -1: Axis(ALL, "AllAxes", False), -2: SEQUENCE, -3: BATCH}


def dynamic_axes(name: str) -> tuple[Axis, ...]:
    """The dynamic axes that an axis of CNTK 1 stands for, in the order of files: the sequence before the batch."""
    if name.startswith(_NO_SEQUENCE):
        return (BATCH,)
    return (SEQUENCE if not name or name.startswith(_DEFAULT) else Axis(DYNAMIC, name, True), BATCH)


def static_axis(place: int) -> Axis:
    """The static axis that is counted from 1."""
    return Axis(place - 1, f"staticAxisIdx={place - 1}", True)


def reshaped(shape: tuple[int, ...], begin: int = 0, end: int | None = None) -> dict[str, Any]:
    """The attributes of a function that gives the axes from `begin` up to `end` other sizes; -1 is to be found."""
    attributes: dict[str, Any] = {"newShape": shape}
    if begin:
        attributes["beginAxis"] = static_axis(begin + 1)
    if end is not None:
        attributes["endAxis"] = static_axis(end + 1)
    return attributes
