"""Operators that the reference evaluator of the onnx package has not, or computes something else for.

Observed in onnx 1.23: LSTM, GRU and RNN take no notice of the lengths of sequences, nor LSTM and GRU of activations;
Scan takes first axes alone; LRN looks at as many channels as there are images; MaxPool mixes up pads that differ from
side to side; there is no MaxRoiPool. What these give here is what the operators' documentation says.
"""

from __future__ import annotations

from nxconvert.runtimes.reference_ops.recurrent import GRU, LSTM, RNN
from nxconvert.runtimes.reference_ops.scan import Scan
from nxconvert.runtimes.reference_ops.windows import LRN, MaxPool, MaxRoiPool

OPS = [GRU, LRN, LSTM, MaxPool, MaxRoiPool, RNN, Scan]
