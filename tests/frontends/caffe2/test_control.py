"""Branches, loops and nets within nets, held against the real Caffe2."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontends.caffe2.ops.harness import Net, Op, check_net, run_lowered

X = np.array([[1.0, -2.0, 3.0]], np.float32)


def relu(source: str, target: str) -> Op:
    return Op("Relu", [source], [target])


def scale(source: str, target: str, factor: float) -> Op:
    return Op("Scale", [source], [target], {"scale": factor})


@pytest.mark.parametrize("flag", [True, False])
class TestIf:
    def test_of_two_nets(self, flag: bool) -> None:
        branches = {"then_net": Net([relu("x", "y")]), "else_net": Net([scale("x", "y", 2.0)])}
        check_net([Op("If", ["c"], ["y"], branches)], {"c": np.array([flag]), "x": X}, ["y"])

    def test_without_declared_outputs_in_place(self, flag: bool) -> None:
        net = [scale("x", "y", -1.0), Op("If", ["c"], [], {"then_net": Net([relu("y", "y"), scale("y", "y", 3.0)])})]
        check_net(net, {"c": np.array([flag]), "x": X}, ["y"])

    def test_sizes_that_differ(self, flag: bool) -> None:
        twice = Op("Concat", ["x", "x"], ["y", "_"], {"axis": 0})
        branches = {"then_net": Net([twice]), "else_net": Net([relu("x", "y")])}
        check_net([Op("If", ["c"], ["y"], branches), relu("y", "z")], {"c": np.array([flag]), "x": X}, ["z"])

    def test_of_nets_with_branches(self, flag: bool) -> None:
        inner = Net([Op("If", ["d"], [], {"then_net": Net([scale("y", "y", 5.0)]), "else_net": Net([relu("y", "y")])})])
        net = [scale("x", "y", 1.0), Op("If", ["c"], [], {"then_net": inner})]
        for d in (True, False):
            check_net(net, {"c": np.array([flag]), "d": np.array([d]), "x": X}, ["y"])

    def test_of_a_placeholder_that_is_computed_in_a_branch(self, flag: bool) -> None:
        fill = Op("ConstantFill", [], ["y"], {"shape": [1], "value": 0.5})
        net = [fill, Op("If", ["c"], [], {"then_net": Net([scale("x", "y", 2.0)])}), scale("y", "z", 3.0)]
        if flag:
            check_net(net, {"c": np.array([flag]), "x": X}, ["z"])
        else:
            results, _ = run_lowered(net, {"c": np.array([flag]), "x": X}, ["z"])
            np.testing.assert_array_equal(results["z"], np.array([[1.5]], np.float32))

    def test_that_is_known(self, flag: bool) -> None:
        fill = Op("ConstantFill", [], ["c"], {"shape": [1], "value": flag, "dtype": 5})
        check_net(
            [
                fill,
                Op("If", ["c"], ["y"], {"then_net": Net([relu("x", "y")]), "else_net": Net([scale("x", "y", 2.0)])}),
            ],
            {"x": X},
            ["y"],
        )


ONE = Op("ConstantFill", [], ["one"], {"shape": [1], "value": 1.0})
COUNT = Op("Add", ["n", "one"], ["n"])
BELOW = Op("LT", ["n", "limit"], ["c"])
STEP = np.array([[0.5, 0.2, 0.1]], np.float32)


def number(value: float) -> np.ndarray:
    return np.array([value], np.float32)


class TestWhile:
    @pytest.mark.parametrize("limit", [0.0, 1.0, 4.0])
    def test_with_a_net_for_the_condition(self, limit: float) -> None:
        body = Net([COUNT, Op("Add", ["y", "step"], ["y"])])
        net = [ONE, scale("x", "y", 1.0), Op("While", ["c"], [], {"loop_net": body, "cond_net": Net([BELOW])})]
        feeds = {"x": X, "step": STEP, "n": number(0), "limit": number(limit), "c": np.array([True])}
        check_net(net, feeds, ["y", "n"])

    @pytest.mark.parametrize("limit", [1.0, 3.0])
    def test_that_computes_its_condition(self, limit: float) -> None:
        body = Net([COUNT, Op("Mul", ["x", "x"], ["square"]), Op("Add", ["y", "square"], ["y"]), BELOW])
        net = [ONE, scale("x", "y", 1.0), BELOW, Op("While", ["c"], ["y"], {"loop_net": body})]
        check_net(net, {"x": X, "n": number(0), "limit": number(limit)}, ["y"])

    def test_of_a_size_that_grows(self) -> None:
        body = Net([COUNT, Op("Concat", ["y", "x"], ["more", "_"], {"axis": 0}), Op("Copy", ["more"], ["y"]), BELOW])
        net = [ONE, scale("x", "y", 1.0), BELOW, Op("While", ["c"], ["y"], {"loop_net": body})]
        check_net([*net, relu("y", "z")], {"x": X, "n": number(0), "limit": number(3)}, ["z"])

    def test_with_a_branch_inside(self) -> None:
        branch = Op(
            "If", ["c"], [], {"then_net": Net([Op("Add", ["y", "step"], ["y"])]), "else_net": Net([relu("y", "y")])}
        )
        net = [ONE, scale("x", "y", 1.0), BELOW, Op("While", ["c"], [], {"loop_net": Net([COUNT, BELOW, branch])})]
        check_net(net, {"x": X, "step": STEP, "n": number(0), "limit": number(3)}, ["y", "n"])

    @pytest.mark.parametrize("limit", [5.0, 40.0])
    def test_whose_rounds_are_known(self, limit: float) -> None:
        fills = [
            Op("ConstantFill", [], [name], {"shape": [1], "value": v}) for name, v in (("n", 0.0), ("limit", limit))
        ]
        body = Net([COUNT, Op("Add", ["y", "step"], ["y"]), BELOW])
        net = [ONE, *fills, scale("x", "y", 1.0), BELOW, Op("While", ["c"], [], {"loop_net": body})]
        check_net(net, {"x": X, "step": STEP}, ["y", "n"])


class TestOnnxWhile:
    @pytest.mark.parametrize("trips", [1, 3])
    def test_carries_and_stacks(self, trips: int) -> None:
        operators = [Op("Add", ["a", "s"], ["b"]), Op("Sqr", ["b"], ["square"]), Op("Copy", ["go"], ["on"])]
        body = Net([*operators, Op("Copy", ["s"], ["same"])], ["i", "go", "a", "s"], ["on", "b", "same", "square"])
        args = {"body": body, "has_trip_count": 1, "has_cond": 0}
        loop = Op("ONNXWhile", ["trips", "c", "x", "step"], ["last", "_", "squares"], args)
        feeds = {"trips": np.array(trips, np.int64), "c": np.array([True]), "x": X, "step": STEP}
        check_net([loop], feeds, ["last", "squares"])


class TestDo:
    def test_sees_what_is_bound_under_its_own_names(self) -> None:
        inner = Net([scale("a", "local", 2.0), Op("Add", ["local", "b"], ["b"])])
        bindings = {"net": inner, "inner_blobs": ["a", "b"], "outer_blobs_idx": [0, 1]}
        net = [Op("CreateScope", [], ["ws"]), scale("y", "z", 1.0), Op("Do", ["x", "z", "ws"], ["z", "ws"], bindings)]
        check_net(net, {"x": X, "y": STEP}, ["z"])

    @pytest.mark.parametrize("limit", [1.0, 3.0])
    def test_as_the_body_of_a_loop(self, limit: float) -> None:
        inner = Net([ONE, Op("Add", ["k", "one"], ["k"]), Op("Mul", ["acc", "acc"], ["t"]), Op("Tanh", ["t"], ["acc"])])
        bindings = {"net": inner, "inner_blobs": ["k", "acc"], "outer_blobs_idx": [0, 1]}
        body = Net([Op("Do", ["n", "y", "ws"], ["n", "y", "ws"], bindings), BELOW])
        net = [
            Op("CreateScope", [], ["ws"]),
            scale("x", "y", 1.0),
            BELOW,
            Op("While", ["c", "ws"], ["y", "ws"], {"loop_net": body}),
        ]
        check_net(net, {"x": X, "n": number(0), "limit": number(limit)}, ["y", "n"])
