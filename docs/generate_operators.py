"""Writes the pages of operators, ``docs/operators/*.md``: which are read, and why the others are not.

    python -m docs.generate_operators

Everything on them is taken from the operator tables and from lists in the repository; no framework is needed.
"""

from __future__ import annotations

from docs.operator_pages import caffe2, cntk, pytorch

PAGES = (pytorch, caffe2, cntk)

if __name__ == "__main__":
    for page in PAGES:
        page.PAGE.write_text(page.render())
