"""How operators that know nothing of complex tensors work on them: on both parts alike, on magnitudes, as products."""

from __future__ import annotations

from typing import Any

from nxconvert.frontends.pytorch.compound import ComplexValue, Lower, Rule, leaves
from nxconvert.frontends.pytorch.dtypes import CODES, is_float
from nxconvert.frontends.pytorch.ops import complex as cx
from nxconvert.frontends.pytorch.ops.common import call, promote
from nxconvert.frontends.pytorch.ops.complex_math import truth
from nxconvert.frontends.pytorch.table import Builder, Complex, ComplexDType, LoweringError, Value, aten

# ---- on both parts ---------------------------------------------------------------------------------------------------


def _combined(real: Any, imag: Any) -> Any:
    """The results of an operator on both parts, as complex tensors; what is no float is the same for both."""
    if isinstance(real, (list, tuple)):
        return type(real)(_combined(*pair) for pair in zip(real, imag, strict=True))
    return ComplexValue(real, imag) if isinstance(real, Value) and is_float(real.etype) else real


def _part(x: Any, name: str) -> Any:
    if isinstance(x, (list, tuple)):
        return type(x)(_part(item, name) for item in x)
    return getattr(x, name) if isinstance(x, ComplexValue) else x


def partwise(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Operators that move elements or add them up work on both parts alike."""
    results = []
    for name in ("real", "imag"):
        options = {key: _part(value, name) for key, value in kwargs.items()}
        results.append(lower(op, [_part(value, name) for value in args], options))
    return _combined(*results)


def _moving(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The same where one tensor is moved; what else there is must be real."""
    first, *rest = args
    if not isinstance(first, ComplexValue) or any(
        isinstance(x, ComplexValue) for x in leaves([*rest, *kwargs.values()])
    ):
        raise LoweringError("complex numbers in an argument other than the first")
    return partwise(op, lower, args, kwargs)


def _listed(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Tensors that are moved alike; real ones stay real."""
    results = partwise(op, lower, args, kwargs)
    if not isinstance(args[0], (list, tuple)):
        return results
    pairs = zip(args[0], results, strict=True)
    return type(results)(y if isinstance(x, ComplexValue) else y.real for x, y in pairs)


def _integral(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Trapezoids: products of heights and, where the places are given, their distances."""
    places = kwargs.get("x", args[1] if len(args) > 1 else None)
    if not isinstance(places, (ComplexValue, Value)):
        return _moving(op, lower, args, kwargs)
    rest, options = args[2:], {key: value for key, value in kwargs.items() if key != "x"}
    return cx.product(op, args[0], places, lambda y, x: lower(op, [y, x, *rest], options))


def _like_another(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Operators that give their first operand the shape of another one."""
    first, *others = args
    options = {key: _part(value, "real") for key, value in kwargs.items()}
    rest = [_part(x, "real") for x in others]
    return (
        partwise(op, lower, [first, *rest], options)
        if isinstance(first, ComplexValue)
        else lower(op, [first, *rest], options)
    )


def _joining(*operands: int) -> Rule:
    """Operators that join tensors, or put one into another: what is real among them becomes complex first.

    Args:
        operands: the positions of the arguments that are joined.
    """

    def rule(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
        joined = list(leaves([x for i, x in enumerate(args) if i in operands]))
        reals = [x.real if isinstance(x, ComplexValue) else x for x in joined if isinstance(x, (ComplexValue, Value))]
        dtype = promote(op, *reals, to_float=True)[0].etype

        def widened(x: Any) -> Any:
            if isinstance(x, (list, tuple)):
                return type(x)(widened(item) for item in x)
            return None if x is None else cx.as_complex(op, x, dtype)

        changed = [widened(x) if i in operands else x for i, x in enumerate(args)]
        return partwise(op, lower, changed, kwargs)

    return rule


def _filling(position: int, name: str = "value") -> Rule:
    """Operators that fill up with a number, whose imaginary part is that of the number."""

    def rule(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
        given = [i for i in (position, name) if i in kwargs or (isinstance(i, int) and i < len(args))]
        results = []
        for part in ("real", "imag"):
            positional, options = [_part(x, part) for x in args], dict(kwargs)
            for key in given:
                place: Any = positional if isinstance(key, int) else options
                if isinstance(place[key], (int, float, complex)):
                    place[key] = float(getattr(place[key], part))
            results.append(lower(op, positional, options))
        return _combined(*results)

    return rule


_MOVING = """
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d alias alias_copy as_strided as_strided_copy
    avg_pool1d avg_pool2d avg_pool3d broadcast_to cartesian_prod
    channel_shuffle chunk clone col2im combinations contiguous cumsum detach detach_copy diag
    diag_embed diagflat diagonal diagonal_copy dropout dsplit expand expand_copy feature_alpha_dropout
    feature_dropout flatten flip fliplr flipud gather gradient hsplit im2col index index_select lift_fresh
    lift_fresh_copy linalg_diagonal mT masked_select mean movedim moveaxis narrow narrow_copy
    native_channel_shuffle neg numpy_T permute permute_copy pixel_shuffle pixel_unshuffle positive ravel
    reflection_pad1d reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d replication_pad2d
    replication_pad3d reshape resolve_conj resolve_neg roll rot90 select select_copy slice slice_copy split split_copy
    split_with_sizes split_with_sizes_copy squeeze squeeze_copy sum sum_to_size swapaxes swapdims t t_copy take
    take_along_dim tensor_split tile trace transpose transpose_copy tril triu unbind unbind_copy
    unflatten unfold unfold_copy unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze unsqueeze_copy view
    view_copy vsplit zero zeros_like empty_like _unsafe_view _reshape_alias _pad_circular
"""
# By the positions of what is joined.
_JOINING: dict[tuple[int, ...], str] = {
    (
        0,
    ): "block_diag cartesian_prod cat column_stack concat concatenate dstack hstack row_stack stack vstack _chunk_cat",
    (0, 1): "copy fill as_strided_scatter diagonal_scatter select_scatter slice_scatter",
    (0, 2): "index_put masked_fill masked_scatter put",
    (0, 3): "index_add index_copy index_fill scatter scatter_add",
    (0, 3, 4): "diff",
    (1, 2): "where",
}


# ---- as real numbers -------------------------------------------------------------------------------------------------


def on_magnitude(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Norms are those of the magnitudes."""
    options = {key: value for key, value in kwargs.items() if key != "dtype"}
    return lower(op, [cx.magnitude(op, x) if isinstance(x, ComplexValue) else x for x in args], options)


def _on_truth(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Questions about what is not 0."""
    return lower(op, [truth(op, x) if isinstance(x, ComplexValue) else x for x in args], kwargs)


def _variance(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The variance of complex numbers is the sum of those of their parts."""
    real, imag = (lower(op, [_part(args[0], name), *args[1:]], kwargs) for name in ("real", "imag"))
    if isinstance(real, tuple):
        return op.Add(real[0], imag[0]), ComplexValue(real[1], imag[1])
    return op.Add(real, imag)


def _deviation(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    real, imag = (lower(op, [_part(args[0], name), *args[1:]], kwargs) for name in ("real", "imag"))
    if isinstance(real, tuple):
        return cx.magnitude(op, ComplexValue(real[0], imag[0])), ComplexValue(real[1], imag[1])
    return cx.magnitude(op, ComplexValue(real, imag))


_TRUTH = (
    "all any argwhere count_nonzero logical_and logical_not logical_or logical_xor nonzero nonzero_numpy nonzero_static"
)


# ---- products --------------------------------------------------------------------------------------------------------


def _bilinear(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Operators that are linear in each of their first two operands."""
    a, b, *rest = args
    return cx.product(op, a, b, lambda x, y: lower(op, [x, y, *rest], kwargs))


def _with_bias(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The same with something third, real or complex, that is added to the product."""
    a, b, *rest = args
    bias = rest[0] if rest else kwargs.get("bias")
    rest, options = rest[1:], {key: value for key, value in kwargs.items() if key != "bias"}
    if bias is None:
        return cx.product(op, a, b, lambda x, y: lower(op, [x, y, None, *rest], options))
    # A bias belongs to one of the products that a part is made of: to the one without it, the other is added.
    a, b, bias = (cx.as_complex(op, x) for x in (a, b, bias))

    def multiply(x: Value, y: Value, bias: Value | None = None) -> Value:
        result: Value = lower(op, [x, y, bias, *rest], options)
        return result

    real = op.Sub(multiply(a.real, b.real, bias.real), multiply(a.imag, b.imag))
    return ComplexValue(real, op.Add(multiply(a.real, b.imag, bias.imag), multiply(a.imag, b.real)))


def _einsum(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A product of two tensors at most is bilinear."""
    equation, tensors, *rest = args
    if len(tensors) == 1:
        return partwise(op, lower, args, kwargs)
    if len(tensors) > 2:
        raise LoweringError("a product of more than two tensors of which some are complex")
    a, b = tensors
    return cx.product(op, a, b, lambda x, y: lower(op, [equation, [x, y], *rest], kwargs))


def _adjoint(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return cx.conj(op, partwise(op, lower, args, kwargs))


_BILINEAR = "matmul mm bmm mv dot outer inner ger kron tensordot cross linalg_cross"
_WITH_BIAS = """
    linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution _convolution
"""


# ---- dtypes ----------------------------------------------------------------------------------------------------------


_BOOL = 11


def _type_as(op: Builder, x: Any, other: Value | Complex) -> Any:
    if isinstance(other, ComplexValue):
        return cx.as_complex(op, x, other.etype)
    return converted(op, x, CODES[other.etype])


@aten("to", "_to_copy")
def converted(op: Builder, self: Complex, *args: Any, **kwargs: Any) -> Any:
    """``to``: another complex dtype, or none; a real one drops the imaginary part, bool asks for what is not 0."""
    codes = [x for x in args if isinstance(x, int) and not isinstance(x, bool)]
    code = kwargs.get("dtype", codes[0] if codes else None)
    z = cx.as_complex(op, self)
    if any(isinstance(x, (ComplexValue, Value)) for x in args):
        return _type_as(op, z, args[0])
    if code is None:
        return z
    if code in cx.PARTS:
        return cx.as_complex(op, z, cx.PARTS[code])
    return call(op, "to", truth(op, z) if code == _BOOL else z.real, code)


@aten("type_as")
def type_as(op: Builder, self: Complex, other: Value | Complex) -> Any:
    return _type_as(op, self, other)


@aten("type_as")
def type_as_complex(op: Builder, self: Value, other: Complex) -> Any:
    return _type_as(op, self, other)


def _register_conversion(name: str) -> None:
    @aten(name)
    def converting(op: Builder, self: Value | Complex, *rest: Any, dtype: ComplexDType, **options: Any) -> Any:
        """The operator on what is converted first."""
        return call(op, name, cx.as_complex(op, self, cx.PARTS[dtype]), *rest, **options)


for _name in ("sum", "mean", "cumsum", "prod", "cumprod"):
    _register_conversion(_name)


ComplexValue.rules.update(
    {
        **dict.fromkeys(_MOVING.split(), _moving),
        **dict.fromkeys(("broadcast_tensors", "meshgrid", "atleast_1d", "atleast_2d", "atleast_3d"), _listed),
        **dict.fromkeys(("trapezoid", "trapz", "cumulative_trapezoid"), _integral),
        **{name: _joining(*positions) for positions, names in _JOINING.items() for name in names.split()},
        **dict.fromkeys(("expand_as", "view_as", "reshape_as"), _like_another),
        "constant_pad_nd": _filling(2),
        **dict.fromkeys(("pad", "_pad_enum"), _filling(3)),
        "_unsafe_masked_index": _filling(3, "fill"),
        "linalg_vector_norm": on_magnitude,
        **dict.fromkeys(_TRUTH.split(), _on_truth),
        **dict.fromkeys(("var", "var_mean"), _variance),
        **dict.fromkeys(("std", "std_mean"), _deviation),
        **dict.fromkeys(_BILINEAR.split(), _bilinear),
        **dict.fromkeys(_WITH_BIAS.split(), _with_bias),
        **dict.fromkeys(("mH", "adjoint", "matrix_H"), _adjoint),
        "einsum": _einsum,
    }
)
