"""PyTorch's own database of operators, with sample arguments for each: samples as models in files.

A model takes the sample's tensors, also those in lists, and calls the operator on them; all other arguments are fixed.
What has no answer to compare with makes no model (:class:`NoModel`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import ml_dtypes
import numpy as np

from tests.conformance.pytorch_cases import InputSet

DTYPES = ("float32", "int64", "bool")
#: Operators whose result is memory as it was found.
_UNINITIALIZED = frozenset(["empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"])


class NoModel(Exception):
    """A sample without a model, or without an answer; the text is the reason, in a word or two."""


class Sample:
    """One call of one operator.

    Attributes:
        dtype: the dtype of most of its tensors.
        id: that, and the sample's number in the database.
        inputs: the tensors of the call.
    """

    def __init__(self, number: int, dtype: str, function: Callable[..., Any], sample: Any) -> None:
        import torch

        self.dtype = dtype
        self.id = f"{dtype}/{number}"
        self._function = function
        self._leaves, self._structure = torch.utils._pytree.tree_flatten((sample.input, sample.args, sample.kwargs))
        self._positions = [i for i, leaf in enumerate(self._leaves) if isinstance(leaf, torch.Tensor)]
        self.inputs = [self._leaves[i] for i in self._positions]

    def signature(self) -> tuple[Any, ...]:
        """What tells apart samples that go different ways: the structure of the arguments, ranks, empty tensors."""
        kinds = []
        for leaf in self._leaves:
            shape = getattr(leaf, "shape", None)
            tensor = () if shape is None else (len(shape), 0 in shape, leaf.dtype)
            kinds.append((type(leaf).__name__, tensor, leaf if isinstance(leaf, (bool, str)) else None))
        return str(self._structure), *kinds

    def call(self, tensors: Sequence[Any]) -> Any:
        """The result of the operator on `tensors` in the place of `inputs`, complex ones as pairs of real numbers."""
        import torch

        leaves = list(self._leaves)
        for position, tensor, known in zip(self._positions, tensors, self.inputs, strict=True):
            leaves[position] = torch.view_as_complex(tensor) if known.is_complex() else tensor
        given, args, kwargs = torch.utils._pytree.tree_unflatten(leaves, self._structure)
        return self._function(given, *args, **kwargs)

    def arguments(self) -> tuple[Any, ...]:
        """New tensors for `call`, so that no call sees what another one wrote."""
        import torch

        return tuple(torch.view_as_real(x).clone() if x.is_complex() else x.clone() for x in self.inputs)

    def recorded(self) -> InputSet:
        """The call with PyTorch's answer.

        Raises:
            NoModel: the arguments or the answer are no tensors that arrays can stand for, or the answer is random.
        """
        import torch

        if any(x.layout != torch.strided for x in self.inputs):
            raise NoModel("sparse")
        answers = [self._answer(), self._answer(other_seed=True)]
        if not answers[0]:
            raise NoModel("no tensors")
        if not all(np.array_equal(*pair, equal_nan=pair[0].dtype.kind in "fc") for pair in zip(*answers, strict=True)):
            raise NoModel("random")
        described = [{"dtype": array.dtype.name} for array in answers[0]]
        outputs = [x.astype(np.float32) if x.dtype == ml_dtypes.bfloat16 else x for x in answers[0]]
        return InputSet([_array(x) for x in self.arguments()], outputs, described, False)

    def _answer(self, other_seed: bool = False) -> list[np.ndarray]:
        """What PyTorch computes; with another seed than the entry sets before it calls the operator."""
        import torch

        seed = torch.manual_seed
        with mock.patch("torch.manual_seed", lambda number: seed(number + other_seed)):
            torch.manual_seed(0)
            try:
                result = self.call(self.arguments())
            except Exception as error:
                raise NoModel("an error") from error
        return [_array(leaf) for leaf in torch.utils._pytree.tree_leaves(result)]


class Program:
    """A few samples as one model, which returns the results of all.

    Args:
        samples: the samples.
        recorded: for each of them, the call and PyTorch's answer.
    """

    def __init__(self, samples: Sequence[Sample], recorded: Sequence[InputSet]) -> None:
        self._samples = samples
        self.recorded = InputSet(
            [x for each in recorded for x in each.inputs],
            [x for each in recorded for x in each.outputs],
            [x for each in recorded for x in each.described],
            False,
        )

    def module(self) -> Any:
        """The ``torch.nn.Module``; its ``forward`` takes the tensors of all samples in order."""
        import torch

        samples = self._samples

        class Calls(torch.nn.Module):
            def forward(self, *tensors: Any) -> Any:
                given = iter(tensors)
                results = [sample.call([next(given) for _ in sample.inputs]) for sample in samples]
                # Flat, because torch.export does not save the named tuples that many operators return.
                leaves = tuple(torch.utils._pytree.tree_leaves(results))
                return leaves[0] if len(leaves) == 1 else leaves

        return Calls().eval()

    def arguments(self) -> tuple[Any, ...]:
        """What `module` takes."""
        return tuple(x for sample in self._samples for x in sample.arguments())

    def save_script(self, path: Path) -> None:
        """Writes the module as ``torch.jit.trace`` records it.

        Raises:
            NoModel: it cannot be traced.
        """
        import torch

        try:
            traced = torch.jit.trace(self.module(), self.arguments(), check_trace=False)
            torch.jit.save(traced, path)
        except Exception as error:
            raise NoModel("not traced") from error

    def save_exported(self, path: Path) -> None:
        """Writes the module as ``torch.export`` records it.

        Raises:
            NoModel: it cannot be exported.
        """
        import torch

        try:
            torch.export.save(torch.export.export(self.module(), self.arguments()), path)
        except Exception as error:
            raise NoModel("not exported") from error


def _array(leaf: Any) -> np.ndarray:
    import torch

    if not isinstance(leaf, torch.Tensor):
        raise NoModel("no tensors")
    if leaf.layout != torch.strided:
        raise NoModel("sparse")
    x = leaf.detach().resolve_conj().resolve_neg()
    if x.is_complex():
        x = torch.view_as_real(x)
    return x.float().numpy().astype(ml_dtypes.bfloat16) if x.dtype == torch.bfloat16 else x.numpy()


@cache
def _entries() -> dict[str, Any]:
    from torch.testing._internal.common_methods_invocations import op_db

    return {f"{entry.name}.{entry.variant_test_name}".rstrip("."): entry for entry in op_db}


def names() -> list[str]:
    """The entries of the database, by operator and variant."""
    return list(_entries())


def samples(name: str, limit: int) -> Iterator[Sample]:
    """At most `limit` samples of an entry in each dtype, as different from each other as the entry has them."""
    import torch

    entry = _entries()[name]
    if entry.name in _UNINITIALIZED:
        return
    for dtype in DTYPES:
        if getattr(torch, dtype) not in entry.dtypes:
            continue
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        generated = entry.sample_inputs("cpu", getattr(torch, dtype))
        yield from varied([Sample(i, dtype, entry.op, sample) for i, sample in enumerate(generated)], limit)


def varied(candidates: Sequence[Sample], limit: int) -> list[Sample]:
    """A choice of `limit` samples: one of each signature, spread over all of them, and more where these are too few."""
    first = {sample.signature(): sample for sample in reversed(candidates)}
    distinct = [sample for sample in candidates if sample is first[sample.signature()]]
    rest = [sample for sample in candidates if sample is not first[sample.signature()]]
    return _spread(distinct, limit) + _spread(rest, limit - len(distinct))


def _spread(items: Sequence[Sample], limit: int) -> list[Sample]:
    """At most `limit` of the items, at even distances, the first and the last among them."""
    if limit <= 0 or len(items) <= limit:
        return list(items) if limit > 0 else []
    steps = max(limit - 1, 1)
    return [items[i * (len(items) - 1) // steps] for i in range(limit)]
