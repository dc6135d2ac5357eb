"""Prints how many nodes an ONNX file has, those of subgraphs and functions included: ``python count.py FILE``."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import onnx


def count(nodes: Iterable[onnx.NodeProto]) -> int:
    total = 0
    for node in nodes:
        total += 1
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                total += count(graph.node)
    return total


if __name__ == "__main__":
    model = onnx.load(sys.argv[1], load_external_data=False)
    print(count(model.graph.node) + sum(count(function.node) for function in model.functions))
