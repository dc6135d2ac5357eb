"""Operators that take graphs: branches, loops, scans, and regions in which something is switched on or off.

Source: ``torch/_higher_order_ops``; what is returned is a tuple, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nxconvert.formats.torch_export import Graph
from nxconvert.frontends.pytorch.export.autocast import Region
from nxconvert.frontends.pytorch.script import branches
from nxconvert.frontends.pytorch.script.frames import Frame
from nxconvert.frontends.pytorch.script.loops import Loop
from nxconvert.frontends.pytorch.script.values import Box, ListCell
from nxconvert.frontends.pytorch.table import Scalar
from nxconvert.graph.dims import Int

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.export.runner import Runner


def _items(values: Any) -> tuple[Any, ...]:
    """The operands that a list or a tuple holds."""
    content = values.content if isinstance(values, ListCell) else values
    return () if content is None else tuple(content)


def cond(run: Runner, condition: Any, then: Graph, otherwise: Graph, operands: Any = ()) -> Any:
    """``torch.cond``: one of two graphs, on the same operands."""
    given = _items(operands)
    decided = run.truth(condition)
    if isinstance(decided, bool):
        return tuple(run.run_graph(then if decided else otherwise, given))
    return branches.choose(
        run,
        decided.value,
        lambda: tuple(run.run_graph(then, given)),
        lambda: tuple(run.run_graph(otherwise, given)),
    )


def while_loop(run: Runner, condition: Graph, body: Graph, carried: Any, additional: Any = ()) -> Any:
    """``torch.while_loop``: the body, as long as the condition holds."""
    names, frame, rest = _carry("carried", _items(carried)), Frame("", {}), _items(additional)
    frame.variables.update(zip(names, _items(carried), strict=True))

    def one_round(_: Int, local: Frame) -> None:
        results = run.run_graph(body, [*(local.variables[name] for name in names), *rest])
        local.variables.update(zip(names, results, strict=True))

    def test(local: Frame) -> bool | Scalar:
        return run.truth(run.run_graph(condition, [*(local.variables[name] for name in names), *rest])[0])

    Loop(run, frame, names, one_round, test=test).emit()
    return tuple(frame.variables[name] for name in names)


def scan(run: Runner, combine: Graph, init: Any, xs: Any, additional: Any = ()) -> Any:
    """``scan``: the carry goes through all rows of ``xs``, what each step gives besides is stacked."""
    names, rows, rest = _carry("carry", _items(init)), _items(xs), _items(additional)
    frame = Frame("", dict(zip(names, _items(init), strict=True)))
    collected = [ListCell(()) for _ in combine.outputs[len(names) :]]
    frame.variables.update((f"collected{i}", cell) for i, cell in enumerate(collected))

    def one_round(i: Int, local: Frame) -> None:
        current = [run.invoke("select", x, 0, i) for x in rows]
        results = run.run_graph(combine, [*(local.variables[name] for name in names), *current, *rest])
        local.variables.update(zip(names, results, strict=False))
        for cell, item in zip(collected, results[len(names) :], strict=True):
            run.invoke("append", cell, item)

    _count(run, frame, names, rows[0], one_round)
    return (*(frame.variables[name] for name in names), *(run.invoke("stack", cell, 0) for cell in collected))


def map_rows(run: Runner, function: Graph, xs: Any, additional: Any = ()) -> Any:
    """``map``: a graph of each row of ``xs``, the results stacked."""
    return scan(run, function, (), xs, additional)


def associative_scan(run: Runner, combine: Graph, xs: Any, additional: Any = ()) -> Any:
    """``associative_scan``: all partial results of combining the rows of ``xs`` from the first one on."""
    rows, rest = _items(xs), _items(additional)
    names = _carry("carry", rows)
    first = [run.invoke("select", x, 0, 0) for x in rows]
    frame = Frame("", dict(zip(names, first, strict=True)))
    collected = [ListCell(()) for _ in rows]
    frame.variables.update((f"collected{i}", cell) for i, cell in enumerate(collected))
    later = [run.invoke("narrow", x, 0, 1, run.invoke("size", x, 0) - 1) for x in rows]

    def one_round(i: Int, local: Frame) -> None:
        current = [run.invoke("select", x, 0, i) for x in later]
        results = run.run_graph(combine, [*(local.variables[name] for name in names), *current, *rest])
        local.variables.update(zip(names, results, strict=True))
        for cell, item in zip(collected, results, strict=True):
            run.invoke("append", cell, item)

    _count(run, frame, names, later[0], one_round)
    heads = [run.invoke("unsqueeze", x, 0) for x in first]
    tails = [run.invoke("stack", cell, 0) for cell in collected]
    return tuple(
        run.invoke("cat", ListCell((head, tail), "Tensor"), 0) for head, tail in zip(heads, tails, strict=True)
    )


def _carry(hint: str, items: tuple[Any, ...]) -> list[str]:
    return [f"{hint}{i}" for i in range(len(items))]


def _count(run: Runner, frame: Frame, names: list[str], rows: Box, one_round: Callable[[Int, Frame], None]) -> None:
    """Runs a body once for each row."""
    rounds = run.invoke("size", rows, 0)
    Loop(run, frame, names, one_round, trips=run.op.dim_value(rounds), rounds=rounds).emit()


def _inline(run: Runner, graph: Graph, *operands: Any, **_: Any) -> Any:
    return tuple(run.run_graph(graph, operands))


def _grad_enabled(run: Runner, _: bool, graph: Graph, *operands: Any) -> Any:
    return _inline(run, graph, *operands)


def _autocast(run: Runner, device: str, dtype: int | None, enabled: bool, _: Any, graph: Graph, *operands: Any) -> Any:
    with run.under(Region.of(device, dtype, enabled)):
        return _inline(run, graph, *operands)


def _with_list(run: Runner, graph: Graph, operands: Any = (), *_: Any, **__: Any) -> Any:
    return _inline(run, graph, *_items(operands))


def _named_graph(run: Runner, graph: Graph, _: Any, *operands: Any) -> Any:
    return _inline(run, graph, *operands)


HIGHER_ORDER: Mapping[str, Callable[..., Any]] = {
    "cond": cond,
    "while_loop": while_loop,
    "scan": scan,
    "map_impl": map_rows,
    "map": map_rows,
    "associative_scan": associative_scan,
    "wrap_with_set_grad_enabled": _grad_enabled,
    "wrap_with_autocast": _autocast,
    "wrap": _inline,
    "checkpoint": _inline,
    "tag_activation_checkpoint": _inline,
    "wrap_activation_checkpoint": _inline,
    "hints_wrapper": _with_list,
    "strict_mode": _with_list,
    "run_const_graph": _with_list,
    "invoke_subgraph": _named_graph,
}
"""What each operator does to a runner, given the graphs and the operands."""
