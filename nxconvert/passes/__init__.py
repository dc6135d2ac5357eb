"""Passes over the shared graph: graph in, the same graph back, simpler or for another operator set.

A pass is an `onnx_ir.passes.InPlacePass` whose docstring is its rules. None of them reads weights: what a weight
becomes is computed when the file is written. Every pass keeps the graph's inputs and outputs with their names, the
names of parameters, and each node's origin.

    optimize(model)            # what every conversion does
    convert_opset(model, 17)   # what a backend does for the user who asks for it
"""

from __future__ import annotations

import onnx_ir as ir

from nxconvert.passes.cleanup import (
    EliminateIdentities,
    LiftConstants,
    MergeEqualInitializers,
    MergeEqualNodes,
    RemoveUnused,
)
from nxconvert.passes.expands import DropExpands
from nxconvert.passes.folding import FoldConstants
from nxconvert.passes.fusion import (
    BiasIntoLayerNormalization,
    FoldAffineIntoWeights,
    MatMulToGemm,
    PadIntoWindow,
    TransposeWeights,
)
from nxconvert.passes.gelu import RecognizeGelu
from nxconvert.passes.masks import DropIdleMasks
from nxconvert.passes.operands import FoldOperandScalesIntoWeights
from nxconvert.passes.opset import NEWEST_OPSET, OLDEST_OPSET, convert_opset
from nxconvert.passes.pixels import RecognizePixelShuffles
from nxconvert.passes.quantized import UnsignedActivations, UnsignedWeights, WidenLoneWeights
from nxconvert.passes.reductions import ComposeReductions, FitReducedAxes, SumsOfSquares
from nxconvert.passes.rewriting import NodePass, Sweep
from nxconvert.passes.rows import FlattenRows
from nxconvert.passes.scales import FoldScalesIntoWeights
from nxconvert.passes.simplify import (
    ComposeCasts,
    ComposeIntegers,
    ComposeReshapes,
    ComposeSlices,
    ComposeSqueezes,
    ComposeTransposes,
    DivideByReciprocals,
    ProductsWithVectors,
    SpellOutPads,
)
from nxconvert.passes.transposes import DropTransposes

__all__ = [
    "NEWEST_OPSET",
    "OLDEST_OPSET",
    "BiasIntoLayerNormalization",
    "ComposeCasts",
    "ComposeIntegers",
    "ComposeReductions",
    "ComposeReshapes",
    "ComposeSlices",
    "ComposeSqueezes",
    "ComposeTransposes",
    "DivideByReciprocals",
    "DropExpands",
    "DropIdleMasks",
    "DropTransposes",
    "EliminateIdentities",
    "FitReducedAxes",
    "FlattenRows",
    "FoldAffineIntoWeights",
    "FoldConstants",
    "FoldOperandScalesIntoWeights",
    "FoldScalesIntoWeights",
    "LiftConstants",
    "MatMulToGemm",
    "MergeEqualInitializers",
    "MergeEqualNodes",
    "NodePass",
    "PadIntoWindow",
    "ProductsWithVectors",
    "RecognizeGelu",
    "RecognizePixelShuffles",
    "RemoveUnused",
    "SpellOutPads",
    "SumsOfSquares",
    "Sweep",
    "TransposeWeights",
    "UnsignedActivations",
    "UnsignedWeights",
    "WidenLoneWeights",
    "convert_opset",
    "default_passes",
    "optimize",
]


def default_passes() -> list[ir.passes.PassBase]:
    """What every conversion runs, in order."""
    simplifications = [
        EliminateIdentities(),
        ComposeTransposes(),
        ProductsWithVectors(),
        ComposeReshapes(),
        ComposeSqueezes(),
        ComposeReductions(),
        SumsOfSquares(),
        FitReducedAxes(),
        ComposeSlices(),
        SpellOutPads(),
        ComposeCasts(),
        ComposeIntegers(),
        DropExpands(),
        DivideByReciprocals(),
    ]
    return [
        RemoveUnused(),
        LiftConstants(),
        ir.passes.PassManager([Sweep(simplifications), MergeEqualInitializers(), MergeEqualNodes()], steps=4),
        DropTransposes(),
        Sweep([EliminateIdentities(), ComposeTransposes()]),
        RecognizeGelu(),
        RecognizePixelShuffles(),
        FlattenRows(),
        Sweep([PadIntoWindow(), MatMulToGemm()]),  # a Gemm takes a weight as it is: before weights are transposed
        Sweep(
            [
                FoldConstants(),
                DropIdleMasks(),
                TransposeWeights(),
                FoldAffineIntoWeights(),
                FoldScalesIntoWeights(),
                FoldOperandScalesIntoWeights(),
                BiasIntoLayerNormalization(),
                WidenLoneWeights(),
                UnsignedActivations(),
                UnsignedWeights(),
            ]
        ),
        RemoveUnused(),
    ]


def optimize(model: ir.Model) -> ir.Model:
    """Runs `default_passes` over `model`, in place, and returns it."""
    for one in default_passes():
        one(model)
    return model
