"""The cases of `caffe2_extra.py` with messages and nets as arguments. Runs under Python 3.6."""

import numpy as np


def make(c):
    trees(c)
    control(c)


def trees(c):
    """Hierarchical softmax: the tree is a serialized message, an argument."""
    from caffe2.proto import hsm_pb2

    tree = hsm_pb2.TreeProto()
    tree.root_node.name = "root"
    tree.root_node.offset, places = 0, 4
    tree.root_node.word_ids.extend([10, 11])
    for index in range(2):
        child = tree.root_node.children.add()
        child.name, child.offset = "child%d" % index, places
        child.word_ids.extend([3 * index, 3 * index + 1, 3 * index + 2])
        places += 3
    for rows, beam, top in ((3, 0.5, 2), (1, 0.1, 5), (4, 2.0, 3), (2, 100.0, 8)):
        c.op("HSoftmaxSearch", c.f(rows, 5), c.f(places, 5), c.f(places), tree=tree.SerializeToString(), beam=beam,
             topN=top, outputs=2)  # fmt: skip


def control(c):
    """Nets with branches and loops, as networks of their own as arguments."""
    from caffe2.proto import caffe2_pb2
    from caffe2.python import core

    def net(name, ops, inputs, outputs):
        made = caffe2_pb2.NetDef(name=name)
        made.op.extend(ops)
        made.external_input.extend(inputs)
        made.external_output.extend(outputs)
        return made

    double = net("double", [core.CreateOperator("Scale", ["X"], ["Y"], scale=2.0)], ["X"], ["Y"])
    negate = net("negate", [core.CreateOperator("Negative", ["X"], ["Y"])], ["X"], ["Y"])
    for flag in (True, False):
        branches = core.CreateOperator("If", ["C", "X"], ["Y"], then_net=double, else_net=negate)
        c.net("If", [branches], {"C": np.array([flag]), "X": c.f(2, 3)})
        start = core.CreateOperator("Copy", ["X"], ["Y"])
        lonely = core.CreateOperator("If", ["C", "Y"], ["Y"], then_net=net(
            "more", [core.CreateOperator("Sqr", ["Y"], ["Y"])], ["Y"], ["Y"]))  # fmt: skip
        c.net("If", [start, lonely], {"X": c.f(2, 3), "C": np.array([flag])})
    for limit in (0, 1, 2, 5):
        body = net(
            "body",
            [
                core.CreateOperator("Add", ["n", "one"], ["n"]),
                core.CreateOperator("Mul", ["acc", "X"], ["acc"]),
                core.CreateOperator("LT", ["n", "limit"], ["go"]),
            ],
            ["n", "one", "acc", "X", "limit"],
            ["n", "acc", "go"],
        )
        ops = [
            core.CreateOperator("ConstantFill", [], ["n"], shape=[1], value=0, dtype=2),
            core.CreateOperator("ConstantFill", [], ["one"], shape=[1], value=1, dtype=2),
            core.CreateOperator("ConstantFill", ["X"], ["acc"], value=1.0),
            core.CreateOperator("LT", ["n", "limit"], ["go"]),
            core.CreateOperator("While", ["go", "n", "one", "acc", "X", "limit"], ["n", "acc", "go"], loop_net=body),
        ]
        c.net("While", ops, {"X": c.f(2, 2), "limit": np.array([limit], np.int32)})
    inner = net("inner", [core.CreateOperator("Sqr", ["a"], ["b"]), core.CreateOperator("Add", ["b", "a"], ["b"])],
                ["a"], ["b"])  # fmt: skip
    scope = core.CreateOperator("CreateScope", [], ["scope"])
    do = core.CreateOperator("Do", ["X", "scope"], ["Y", "scope"], net=inner, inner_blobs=["a", "b"],
                             outer_blobs_idx=[0, 1])  # fmt: skip
    for size in ((2, 3), (4,), (0, 2)):
        c.net("Do", [scope, do], {"X": c.f(*size)})
    again = core.CreateOperator("Do", ["Y", "scope2"], ["Z", "scope2"], net=inner, inner_blobs=["a", "b"],
                                outer_blobs_idx=[0, 1])  # fmt: skip
    scopes = [scope, core.CreateOperator("CreateScope", [], ["scope2"])]
    c.net("Do", scopes + [do, again], {"X": c.f(3)})
    trip = net(
        "trip",
        [
            core.CreateOperator("Add", ["v", "w"], ["v_next"]),
            core.CreateOperator("Copy", ["w"], ["w_next"]),
            core.CreateOperator("Copy", ["c"], ["c_next"]),
        ],
        ["i", "c", "v", "w"],
        ["c_next", "v_next", "w_next"],
    )
    for count in (0, 1, 4):
        loop = core.CreateOperator("ONNXWhile", ["count", "cond", "v0", "w0"], ["Y", "Z"], body=trip, has_cond=True,
                                   has_trip_count=True, save_scopes=0, disable_scopes=False)  # fmt: skip
        inputs = {"count": np.array(count, np.int64), "cond": np.array(True), "v0": c.f(2), "w0": c.f(2)}
        c.net("ONNXWhile", [loop], inputs)
