"""Every operator of PyTorch's own database, called with its sample arguments, saved, converted and run.

Up to five samples of each operator are tried in each dtype; ``NXCONVERT_OPINFO_SAMPLES=1`` tries fewer, for a quick
look. Whatever does not match is listed in ``known.json``; operators that are out of reach are those of
``unsupported.json``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

pytest.importorskip("torch")

import nxconvert
from nxconvert import NxConvertError, UnsupportedError
from tests.conformance import opinfo
from tests.conformance.corpus import ROOT
from tests.conformance.pytorch_cases import difference
from tests.conformance.ratchet import complaint
from tests.conformance.summary import record

pytestmark = pytest.mark.filterwarnings("ignore")  # those of PyTorch, while it makes samples and traces them

LIMIT = int(os.environ.get("NXCONVERT_OPINFO_SAMPLES", "5"))
UNSUPPORTED = json.loads((ROOT / "frontends" / "pytorch" / "unsupported.json").read_text())

Save = Callable[[opinfo.Program, Path], None]
#: How a sample is written: the suite, what it is saved with, and the file's suffix.
FORMATS: list[tuple[str, Save, str]] = [
    ("PyTorch OpInfo, TorchScript", opinfo.Program.save_script, ".pt"),
    ("PyTorch OpInfo, exported", opinfo.Program.save_exported, ".pt2"),
]


@pytest.mark.parametrize("name", opinfo.names())
@pytest.mark.parametrize("suite, save, suffix", FORMATS, ids=[suffix[1:] for *_, suffix in FORMATS])
def test_operators(
    suite: str, save: Save, suffix: str, name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    complaints = []
    for sample, outcome, problem in outcomes(list(opinfo.samples(name, LIMIT)), save, tmp_path / f"model{suffix}"):
        case = f"{name}/{sample.id}"
        counts = outcome in ("matched", "failed")
        record(request, f"{suite}, {sample.dtype}", outcome, case, counts=counts)
        complaints.append(complaint(suite, case, problem))
    assert not any(complaints), "\n".join(filter(None, complaints))


Outcome = tuple[str, str]
"""What became of a sample in a word or two, and what is wrong."""


def outcomes(samples: Sequence[opinfo.Sample], save: Save, source: Path) -> Iterator[tuple[opinfo.Sample, str, str]]:
    """All samples in one model, which is quick; if something is wrong with it, each in its own."""
    recorded = {}
    for sample in samples:
        try:
            recorded[sample] = sample.recorded()
        except opinfo.NoModel as reason:
            yield sample, str(reason), ""
    together = "matched", ""
    if len(recorded) > 1:
        together = outcome_of(opinfo.Program(list(recorded), list(recorded.values())), save, source)
    alone = len(recorded) == 1 or together != ("matched", "")
    for sample, answer in recorded.items():
        yield sample, *(outcome_of(opinfo.Program([sample], [answer]), save, source) if alone else together)


def outcome_of(program: opinfo.Program, save: Save, source: Path) -> Outcome:
    """Converts a model and runs it."""
    target = source.with_suffix(".onnx")
    try:
        save(program, source)
        nxconvert.convert(source, target, inputs=program.recorded.inputs)
        problem = difference(program.recorded, nxconvert.run(target, program.recorded.inputs))
    except opinfo.NoModel as reason:
        return str(reason), ""
    except NxConvertError as error:
        if isinstance(error, UnsupportedError) and all(is_out_of_reach(item.what) for item in error.items):
            return "out of reach", ""
        problem = f"{type(error).__name__}: {error}"
    return ("failed", problem) if problem else ("matched", "")


def is_out_of_reach(operator: str) -> bool:
    return operator.removeprefix("aten::") in UNSUPPORTED
