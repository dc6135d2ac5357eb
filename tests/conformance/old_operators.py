"""Makes archives of single expressions with an old PyTorch. Runs under Python 3.6.

    /path/to/python3.6 tests/conformance/old_operators.py FOLDER (traced | scripted)

`old_operators.txt` has an expression a line: its name, its arguments, and itself. Expressions that this PyTorch does
not take are left out, and listed in FOLDER/left_out.txt.
"""

import importlib.util
import sys
from collections import OrderedDict
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "fixtures"))

import old_pytorch  # noqa: E402

HEADER = """import torch
import torch.nn as nn
import torch.nn.functional as F
from math import inf
"""
CLASS = {
    "traced": """
def make_{name}():
    class {name}_module(nn.Module):
        def forward(self, {parameters}):
            return {expression}
    return {name}_module()
""",
    "scripted": """
def make_{name}():
    class {name}_module(torch.jit.ScriptModule):
        @torch.jit.script_method
        def forward(self, {parameters}):
            return {expression}
    return {name}_module()
""",
}
#: What makes an argument of some size, by the letter for its kind.
ARGUMENTS = {
    "f": torch.randn,  # floats
    "p": lambda *size: torch.rand(*size) * 2 + 0.1,  # positive floats
    "u": lambda *size: torch.rand(*size) * 1.9 - 0.95,  # floats between -1 and 1
    "d": lambda *size: torch.randn(*size).double(),
    "i": lambda *size: torch.randint(-9, 10, size).long(),
    "n": lambda *size: torch.randint(1, 6, size).long(),  # positive integers
    "s": lambda *size: torch.randint(-9, 10, size).int(),
    "b": lambda *size: torch.randint(0, 2, size).to(getattr(torch, "bool", torch.uint8)),
    "y": lambda *size: torch.randint(0, 20, size).to(torch.uint8),
}


def main(folder, kind):
    rows = [line.split(" | ", 2) for line in (HERE / "old_operators.txt").read_text().splitlines()]
    source, left_out = HEADER, []
    for name, arguments, expression in rows:
        parameters = ", ".join(part.split("=")[0] for part in split(arguments))
        source += CLASS[kind].format(name=name, parameters=parameters, expression=expression)
    # A file, since the compiler asks for the source of what it compiles.
    path = folder / "expressions.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location("expressions", str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, arguments, _ in rows:
        torch.manual_seed(sum(map(ord, name)))
        call = OrderedDict((part.split("=")[0], eval(part.split("=")[1], dict(ARGUMENTS))) for part in split(arguments))
        try:
            model = getattr(module, "make_" + name)()
            old_pytorch.record(folder / ("%s-%s" % (name, kind)), model, call, kind == "traced")
        except Exception as error:
            left_out.append("%s: %s" % (name, str(error).strip().split("\n")[0]))
    (folder / "left_out.txt").write_text("\n".join(left_out))


def split(arguments):
    """`x=f(2, 3), y=f(3)` at the commas between arguments."""
    return arguments.replace("), ", ")\n").split("\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
