"""The cases of `caffe2_extra.py` of ragged and compressed data. Runs under Python 3.6."""

import numpy as np


def make(c):
    segments(c)
    features(c)
    quantized_rows(c)
    codes(c)


def segments(c):
    sorted_ids, ids = np.array([0, 0, 1, 2, 2, 2], np.int32), np.array([2, 0, 2, 4, 0, 2], np.int32)
    lengths, rows = np.array([2, 0, 1, 3], np.int32), np.array([3, 1, 0, 0, 3, 2], np.int64)
    for data in (c.f(6, 3), c.f(6), c.f(6, 2, 2)):
        c.op("SortedSegmentWeightedSum", data, c.f(6), sorted_ids)
        c.op("UnsortedSegmentWeightedSum", data, c.f(6), ids)
        c.op("UnsortedSegmentWeightedSum", data, c.f(6), ids, num_segments=7)
        c.op("LengthsWeightedSum", data, c.f(6), lengths)
        for kind in ("LengthsSum", "LengthsMean", "LengthsMax"):
            c.op(kind, data, lengths)
        for kind in ("Sum", "Mean"):
            c.op("SortedSegment" + kind, data, sorted_ids)
            c.op("UnsortedSegment" + kind, data, ids)
            c.op("UnsortedSegment" + kind, data, ids, num_segments=6)
        for kind in ("Sum", "Mean", "Max", "LogSumExp", "LogMeanExp"):
            c.op("SortedSegmentRange" + kind, data, np.array([0, 0, 1, 2, 2, 2], np.int32))
    for data in (c.f(4, 3), c.f(4), c.f(4, 2, 2)):
        for index in (rows, rows.astype(np.int32)):
            c.op("SparseSortedSegmentWeightedSum", data, c.f(6), index, sorted_ids)
            c.op("SparseUnsortedSegmentWeightedSum", data, c.f(6), index, ids)
            c.op("SparseLengthsWeightedSum", data, c.f(6), index, lengths)
            c.op("SparseLengthsPositionalWeightedSum", data, c.f(3), index, lengths)
            for kind in ("Sum", "Mean"):
                c.op("SparseLengths" + kind, data, index, lengths)
                c.op("SparseSortedSegment" + kind, data, index, sorted_ids)
                c.op("SparseUnsortedSegment" + kind, data, index, ids)
    c.op("SparseLengthsSum", c.f(4, 3), np.array([], np.int64), np.array([0, 0], np.int32))
    c.op("SparseLengthsSum", c.f(4, 3), rows, np.array([], np.int32))
    c.op("SparseLengthsSum", c.f(4, 3).astype(np.float16), rows, lengths)
    c.op("LengthsSum", c.f(0, 3), np.array([0, 0, 0], np.int32))
    c.op("LengthsMean", c.f(0, 3), np.array([0, 0], np.int32))
    for values in ([3, 3], [2], [1, 1, 1, 1], [0, 0]):
        c.op("LengthsToShape", np.array(values, np.int32))
    for kind in ("LengthsToRanges", "LengthsToSegmentIds"):
        c.op(kind, lengths)
        c.op(kind, np.array([], np.int32))
    c.op("LengthsRangeFill", lengths)
    c.op("LengthsToWeights", lengths, power=0.5)
    c.op("LengthsToWeights", lengths, power=2.0)
    for kind in ("SegmentIdsToLengths", "SegmentIdsToRanges"):
        c.op(kind, np.array([0, 0, 2], np.int32))
        c.op(kind, np.array([1, 1, 3], np.int64))
        c.op(kind, np.array([0, 0, 2], np.int32), c.f(5, 2))
        c.op(kind, np.array([], np.int32))
    c.op("LengthsTile", c.f(4, 3), lengths)
    c.op("LengthsTile", c.i(9, 4), lengths)
    c.op("LengthsGather", c.f(6, 2), lengths, np.array([3, 0, 1], np.int32))
    c.op("LengthsPad", c.f(6, 2), np.array([1, 2, 3], np.int32), target_length=4, padding_value=-1.5)
    c.op("LengthsTopK", c.f(6), lengths, k=2, outputs=2)
    c.op("PackSegments", lengths, c.f(6, 2))
    c.op("PackSegments", lengths, c.f(6, 2), max_length=5, pad_minf=True)
    c.op("PackSegments", lengths, c.f(6, 2), return_presence_mask=True, outputs=2)
    c.op("PackSegments", lengths, c.i(9, 6, dtype=np.int64))
    c.op("PackSegments", lengths, np.array([b"a", b"b", b"c", b"d", b"e", b"f"]))
    c.op("UnpackSegments", lengths, c.f(4, 3, 2))
    c.op("UnpackSegments", np.array([2, 0, 1], np.int64), c.f(3, 4), max_length=4)
    for arguments in ({}, {"padding_width": 2}, {"padding_width": 1, "end_padding_width": 2}):
        c.op("AddPadding", c.f(6, 2), lengths, outputs=2, **arguments)
        c.op("AddPadding", c.f(6, 2), lengths, c.f(2), outputs=2, **arguments)
        c.op("AddPadding", c.f(6, 2), **arguments)
        padded = np.array([4, 5], np.int32)
        c.op("RemovePadding", c.f(9, 2), padded, outputs=2, **arguments)
        c.op("RemovePadding", c.f(9, 2), **arguments)
        c.op("GatherPadding", c.f(9, 2), padded, **arguments)
    c.op("AddPadding", c.f(6, 2), lengths, c.f(2), c.f(2), outputs=2, padding_width=1)
    for sizes in ([2, 0, 1], [0, 0], [1, 2, 3], [0, 3]):
        total = sum(sizes)
        features_ = c.i(9, total, low=1), c.i(9, total, 2, low=1, dtype=np.int64)
        c.op("PadEmptySamples", np.array(sizes, np.int32), *features_, outputs=3)
    c.op("PadEmptySamples", np.array([1, 0, 2], np.int32))
    c.op("ReversePackedSegs", c.f(4, 3, 2), np.array([1, 4, 0], np.int32))
    for size in ((4, 3, 2), (3, 2, 1), (2, 1, 5)):
        limits = c.i(size[0] + 1, size[1])
        c.op("VariableLengthSequencePadding", c.f(*size), limits, inplace=True)
    c.op("VariableLengthSequencePadding", c.f(3, 2, 2), np.array([3, 3], np.int32), inplace=True)
    c.op("PackRNNSequence", c.f(6, 2), lengths)
    c.op("UnpackRNNSequence", c.f(3, 4, 2), lengths)
    c.op("GatherRanges", c.f(6), np.array([[[0, 1], [2, 2]], [[4, 1], [1, 0]]], np.int32), outputs=2)
    c.op("GatherRangesToDense", c.f(6), np.array([[[0, 2], [2, 2]], [[4, 2], [0, 0]]], np.int32), lengths=[2, 2],
         outputs=2)  # fmt: skip


def features(c):
    presence = np.array([True, False, True])
    for ids in ([11, 12], [7, 3], [1, 2]):
        c.op("MergeSingleScalarFeatureTensors", c.f(3), presence, c.f(3), c.b(3), feature_ids=ids, outputs=3)
        c.op("MergeSingleListFeatureTensors", np.array([2, 0, 1], np.int32), c.i(9, 3), presence,
             np.array([1, 1, 1], np.int32), c.i(9, 3), c.b(3), feature_ids=ids, outputs=4)  # fmt: skip
        c.op("MergeSingleMapFeatureTensors", np.array([2, 0, 1], np.int32), c.i(9, 3, dtype=np.int64), c.f(3), presence,
             np.array([1, 1, 1], np.int32), c.i(9, 3, dtype=np.int64), c.f(3), c.b(3), feature_ids=ids,
             outputs=5)  # fmt: skip
    c.op("MergeSingleScalarFeatureTensors", c.i(9, 3), presence, feature_ids=[4], outputs=3)
    c.op("MergeSingleListFeatureTensors", np.array([2, 0, 1], np.int32), c.f(3), presence, feature_ids=[4], outputs=4)
    for first, second in (
        ([1, 0, 2], [0, 1, 1]), ([1, 1, 1], [2, 0, 1]), ([0, 0, 0], [1, 1, 1]), ([3, 0, 0], [0, 0, 1]),
    ):  # fmt: skip
        pairs = []
        for lengths in (first, second):
            total = sum(lengths)
            sizes = c.i(3, total)
            pairs.append((np.array(lengths, np.int32), c.i(99, total, dtype=np.int64), sizes, int(sizes.sum())))
        flat = [item for lengths, keys, _, _ in pairs for item in (lengths, keys, c.f(len(keys)))]
        c.op("MergeMultiScalarFeatureTensors", *flat, outputs=3)
        flat = [item for lengths, keys, sizes, total in pairs for item in (lengths, keys, sizes, c.i(9, total))]
        c.op("MergeMultiListFeatureTensors", *flat, outputs=4)
        flat = [
            item
            for lengths, keys, sizes, total in pairs
            for item in (lengths, keys, sizes, c.i(9, total, dtype=np.int64), c.f(total))
        ]
        c.op("MergeMultiMapFeatureTensors", *flat, outputs=5)
    c.op("MergeIdLists", np.array([2, 1], np.int32), c.i(9, 3, dtype=np.int64), np.array([1, 1], np.int32),
         c.i(9, 2, dtype=np.int64), outputs=2)  # fmt: skip
    c.op("KeySplit", c.i(3, 6, dtype=np.int64), categorical_limit=4, outputs=4)


def quantized_rows(c):
    from caffe2.python import core, workspace

    for size in ((3, 4), (1, 8), (5, 3), (2, 16)):
        c.op("FloatToRowwiseQuantized8Bits", c.f(*size), outputs=2)
        c.op("FloatToFused8BitRowwiseQuantized", c.f(*size))
        c.op("HalfFloatToFused8BitRowwiseQuantized", c.f(*size).astype(np.float16))
        c.op("Rowwise8BitQuantizedToFloat", c.i(256, *size, dtype=np.uint8), c.f(size[0], 2))
        rows = c.i(256, size[0], size[1] + 8, dtype=np.uint8)
        rows[:, -8:] = c.p(size[0], 2).view(np.uint8)
        for kind in ("Fused8BitRowwiseQuantizedToFloat", "Fused8BitRowwiseQuantizedToHalfFloat"):
            c.op(kind, rows)
        c.op("GatherFused8BitRowwise", rows, c.i(size[0], 4))
        c.op("GatherFused8BitRowwise", rows, c.i(size[0], 3, dtype=np.int64))
        lengths, index = np.array([2, 0, 2], np.int32), c.i(size[0], 4, dtype=np.int64)
        c.op("SparseLengthsSumFused8BitRowwise", rows, index, lengths)
        c.op("SparseLengthsMeanFused8BitRowwise", rows, index, lengths)
        c.op("SparseLengthsWeightedSumFused8BitRowwise", rows, c.f(4), index, lengths)
        bytes_, scales = c.i(256, *size, dtype=np.uint8), c.p(size[0], 2)
        for kind in ("SparseLengthsSum8BitsRowwise", "SparseLengthsMean8BitsRowwise"):
            c.op(kind, bytes_, index, lengths, scales)
        for kind in ("SparseLengthsWeightedSum8BitsRowwise", "SparseLengthsWeightedMean8BitsRowwise"):
            c.op(kind, bytes_, c.f(4), index, lengths, scales)
        for width in (1, 2, 4, 8):
            kind = "FloatToFusedRandRowwiseQuantized"
            workspace.FeedBlob("X", c.f(*size))
            workspace.RunOperatorOnce(core.CreateOperator(kind, ["X"], ["Q"], bitwidth=width, random=False))
            c.op("FusedRandRowwiseQuantizedToFloat", workspace.FetchBlob("Q"))
    for shape in ([6], [2, 3], [1, 4], [3, 2, 1]):
        c.op("ByteWeightDequant", c.i(256, int(np.prod(shape)), dtype=np.uint8), shape=shape, min=-1.5, max=2.0)
    c.op("ByteWeightDequant", c.i(256, 4, dtype=np.uint8), shape=[2, 2])
    for dtype in (np.uint8, np.uint16, np.int32):
        c.op("QuantDecode", c.f(16), c.i(16, 3, 4).astype(dtype))
        c.op("QuantDecode", c.f(16), c.i(16, 5).astype(dtype), c.i(16, 2, 2).astype(np.uint8), outputs=2)


def codes(c):
    c.op("QuantDecode", c.f(4), c.i(4, 0, 2).astype(np.uint8))
    c.op("CTCGreedyDecoder", c.p(5, 2, 4), outputs=2)
    c.op("CTCGreedyDecoder", c.p(5, 2, 4), np.array([5, 3], np.int32), outputs=2, merge_repeated=False)
    c.op("ViterbiPath", c.f(5, 3), c.f(3, 3))
    c.op("NGramFromCategorical", c.i(4, 3, 4).astype(np.float32), col_ids=[0, 2], categorical_limits=[4, 4],
         vals=[0, 1, 2, 3, 0, 1, 2, 3])  # fmt: skip
    c.op("BatchBucketOneHot", c.f(3, 2), np.array([2, 1], np.int32), np.array([0.0, 1.0, 0.5], np.float32))
    c.op("SegmentOneHot", np.array([2, 0, 1], np.int32), c.i(5, 3, dtype=np.int64), np.array([5], np.int64))
