# The programs are written as TorchScript takes them.
"""Texts: written as TorchScript writes them, and never looked into where they show what depends on data."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")

from torch import Tensor  # noqa: E402

from tests.frontends.pytorch.script.harness import check, refused  # noqa: E402

torch.manual_seed(0)
MATRIX = torch.randn(4, 6)


def digest(text: str, seed: int) -> int:
    for letter in list(text):
        seed = seed * 7 % 10007 + ord(letter)
    return seed


def test_numbers_and_containers_in_texts() -> None:
    def program(x: Tensor) -> Tensor:
        n = 0
        half, big, third = 0.5, 1e17, 1.0 / 3.0
        for text in [
            f"{half}|{big}|{third}|{x.dim()}",
            f"{half * 2}|{float(x.dim()) * 1e10}|{-half * 0}|{half * 1e-9}",
            str([1.5, 2.0]) + str(["a", "b"]) + str((1, "z", 2.0)) + str((half,)),
            str({"a": [True], "b": [False]}) + str(x.dtype) + str(x.device),
            "{} {} {}".format(None, half, True),  # noqa: UP032
        ]:
            n = digest(text, n)
        return x + n

    check(program, (MATRIX,))


def test_percent() -> None:
    def program(x: Tensor) -> Tensor:
        n = digest("%d_%s" % (x.dim(), "q"), 0)  # noqa: UP031
        n = digest("%s" % 3 + "%d%%" % 5 + "%i" % 3.7, n)  # noqa: UP031
        n = digest("%s %s %s" % (True, 1.0, [1, 2]), n)  # noqa: UP031
        n = digest("%f|%e" % (1.5, 12345.678), n)  # noqa: UP031
        return x + n

    check(program, (MATRIX,))


def test_methods_of_texts() -> None:
    def program(x: Tensor) -> Tensor:
        n = digest(";".join(["a", "b", "c"]) + "hello".replace("l", "L", 1) + " s ".strip(), 0)
        n = digest("-".join("a-b-c".rpartition("-")) + "abc"[::-1] + "abc"[-2:] + hex(255) + bin(5), n)
        n += "abcabc".find("c", 3) + "abcabc".rfind("a") + "abcabc".count("bc") + int("12")
        if "b" in "abc" and "abc" < "abd" and "12".isdecimal() and "abc".startswith("b", 1):
            n += 1
        return x + n

    check(program, (MATRIX,))


def test_texts_that_show_data_are_only_shown() -> None:
    def shown(x: Tensor) -> Tensor:
        count = int((x > 0).sum())
        text = f"{count} of " + str(x.size(0)) + ", ".join([str(float(x.sum()))])
        if x.size(0) == 1:
            raise ValueError(text)
        return x * 2

    def compared(x: Tensor) -> Tensor:
        if str(int((x > 0).sum())) == "12":
            return x * 2
        return x

    def measured(x: Tensor) -> Tensor:
        return x + len(f"{x.size(0)}x{x.size(1)}")

    def looked_up(x: Tensor) -> Tensor:
        sizes = {"4": 1, "5": 2}
        return x + sizes[str(x.size(0))]

    check(shown, (MATRIX,))
    for program in (compared, measured, looked_up):
        refused(program, MATRIX, match="depends on")
    check(measured, (MATRIX,), free=(False,))
    check(looked_up, (MATRIX,), free=(False,))
