"""What the inputs are, where nobody says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nxconvert.errors import InputError
from nxconvert.frontends.pytorch.script.signature import Signature

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.model import Program


def infer_inputs(program: Program, signature: Signature) -> Signature:
    """The signature with nothing left open."""
    if not signature.open():
        return signature
    raise InputError("open")
