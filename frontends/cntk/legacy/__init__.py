"""Networks of CNTK 1 as the models that CNTK 2 makes of them."""

from nxconvert.frontends.cntk.legacy.model import read_legacy

__all__ = ["read_legacy"]
