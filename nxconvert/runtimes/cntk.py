"""Runs CNTK's models with CNTK itself, in an interpreter that has it.

CNTK 2.7, the last one, came for Pythons up to 3.6. ``NXCONVERT_CNTK_PYTHON`` names an interpreter that can import it;
without that, this one is taken if it can.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nxconvert.errors import ReadError, RunError
from nxconvert.runtimes.interpreters import Interpreter

if TYPE_CHECKING:
    import numpy as np

    from nxconvert.plugins import Runner


#: Names the interpreter.
PYTHON = "NXCONVERT_CNTK_PYTHON"


def _has_cntk() -> bool:
    return importlib.util.find_spec("_cntk_py") is not None


_INTERPRETER = Interpreter(PYTHON, "CNTK", "CNTK 2.7 is there for Python 3.6", "cntk_worker.py", _has_cntk)


class Cntk:
    """The framework that the models come from."""

    name = "cntk"
    description = "CNTK, on the CPU, in an interpreter of its own"
    formats = ("cntk",)
    rank = 10

    def available(self) -> str | None:
        return _INTERPRETER.missing()

    def load(self, path: Path) -> Runner:
        _INTERPRETER.require(path)
        return CntkRunner(path)


class CntkRunner:
    """One model, loaded by a process that lives as long as this object and is started anew if it dies.

    Inputs and outputs are [batch, sequence, *shape] as those of converted models, with the lengths of sequences in
    ``NAME_lengths``. What follows a sequence in an output is masked. An axis that the model makes is as large as its
    longest sequence, which it need not be in converted models.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._worker = _INTERPRETER.worker()
        loaded = self._load()
        self.inputs = (*loaded["inputs"], *loaded["lengths"])
        self.description = f"CNTK ({loaded['version']})"

    def _load(self) -> dict[str, Any]:
        request = {"command": "load", "path": os.fspath(self._path.resolve())}
        answer, _ = self._worker.ask(request, {}, f"{self._path} cannot be loaded by CNTK", ReadError)
        return answer

    def __call__(self, inputs: Mapping[str, Any], outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        if not self._worker.is_running:
            self._load()
        request = {"command": "run", "outputs": None if outputs is None else list(outputs)}
        where = f"{self._path} cannot be run by CNTK on these inputs"
        answer, arrays = self._worker.ask(request, inputs, where, RunError)
        lengths = answer["lengths"]
        return {name: _masked(array, lengths[name]) if name in lengths else array for name, array in arrays.items()}

    def close(self) -> None:
        """Ends the process."""
        self._worker.close()


def _masked(array: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
    """A batch of sequences, with what follows each of them masked."""
    import numpy as np

    behind = np.arange(array.shape[1]) >= np.array(lengths)[:, None]
    mask = np.broadcast_to(behind.reshape(*behind.shape, *(1,) * (array.ndim - 2)), array.shape)
    return np.ma.MaskedArray(array, mask)


runtime = Cntk()
