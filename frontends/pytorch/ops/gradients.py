"""The gradients among PyTorch's core operators, for programs that compute them in ``forward``."""

from __future__ import annotations

from collections.abc import Sequence

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.adaptive import average_weights
from nxconvert.frontends.pytorch.ops.common import known, repeat_to, static_ints
from nxconvert.frontends.pytorch.ops.conv import convolve, convolve_transposed
from nxconvert.frontends.pytorch.ops.resample import counting
from nxconvert.frontends.pytorch.ops.spatial import want_space, weigh_axis
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, Numbers, Value, aten
from nxconvert.graph.dims import floordiv, product

Gradients = tuple["Value | None", "Value | None", "Value | None"]


@aten("embedding_dense_backward")
def embedding_dense_backward(
    op: Builder, grad_output: Value, indices: Value, num_weights: Int, padding_idx: Int, scale_grad_by_freq: bool
) -> Value:
    """What each row of the table gets from all places where it was looked up."""
    count, width = product(indices.dims), grad_output.dims[-1]
    place = op.reshape(op.cast(indices, DataType.INT64), [count, 1])
    updates = op.reshape(grad_output, [count, width])
    counts = op.cast(op.Not(op.Equal(place, op.dim_value(padding_idx))), updates.etype)
    updates = op.Mul(updates, counts)
    if scale_grad_by_freq:
        blank = op.expand(op.const(0, updates.etype), [num_weights, 1])
        times = op.ScatterND(blank, place, counts, reduction="add")
        updates = op.Div(updates, op.Max(op.Gather(times, op.Squeeze(place, [1]), axis=0), 1.0))
    blank = op.expand(op.const(0, updates.etype), [num_weights, width])
    return op.ScatterND(blank, place, updates, reduction="add")


# ---- averages --------------------------------------------------------------------------------------------------------


@aten("_adaptive_avg_pool2d_backward")
def adaptive_avg_pool2d_backward(op: Builder, grad_output: Value, self: Value) -> Value:
    want_space(self, 2)
    for axis in (self.rank - 2, self.rank - 1):
        weights = average_weights(op, self.dims[axis], grad_output.dims[axis], self)
        grad_output = weigh_axis(op, grad_output, axis, op.Transpose(weights, perm=[1, 0]))
    return grad_output


@aten("avg_pool2d_backward")
def avg_pool2d_backward(
    op: Builder, grad_output: Value, self: Value, kernel_size: Ints, stride: Ints, padding: Ints, ceil_mode: bool,
    count_include_pad: bool, divisor_override: Int | None,
) -> Value:  # fmt: skip
    """Windows are products of intervals, so that each axis is a product with a matrix of its own."""
    want_space(self, 2)
    kernel, pads = repeat_to(kernel_size, 2, "the kernel size"), repeat_to(padding, 2, "the padding")
    strides = repeat_to(stride, 2, "the stride") if stride else kernel
    for axis, size, step, pad in zip((self.rank - 2, self.rank - 1), kernel, strides, pads, strict=True):
        old = op.dim_value(self.dims[axis])
        start = op.Sub(op.Mul(counting(op, grad_output.dims[axis], DataType.INT64), step), pad)
        end = op.Min(op.Add(start, size), op.Add(old, pad))
        first, last = op.Max(start, 0), op.Min(end, old)
        place = op.Unsqueeze(counting(op, self.dims[axis], DataType.INT64), [1])
        weights = op.cast(op.And(op.GreaterOrEqual(place, first), op.Less(place, last)), self.etype)
        if divisor_override is None:
            counted = op.Sub(end, start) if count_include_pad else op.Sub(last, first)
            weights = op.Div(weights, op.cast(counted, self.etype))
        grad_output = weigh_axis(op, grad_output, axis, weights)
    if divisor_override is None:
        return grad_output
    return op.Div(grad_output, op.const(known(divisor_override, "the divisor"), self.etype))


# ---- convolution -----------------------------------------------------------------------------------------------------


@aten("convolution_backward")
def convolution_backward(
    op: Builder, grad_output: Value, input: Value, weight: Value, bias_sizes: Ints | None, stride: Ints, padding: Ints,
    dilation: Ints, transposed: bool, output_padding: Ints, groups: Int, output_mask: Numbers,
) -> Gradients:  # fmt: skip
    """The gradients of input, weight and bias, as far as ``output_mask`` wants them."""
    strides, pads, dilations = form = _form(weight.rank - 2, stride, padding, dilation)
    of_input = of_weight = of_bias = None
    if output_mask[0] and transposed:
        of_input = convolve(op, grad_output, weight, None, strides, pads, dilations, groups)
    elif output_mask[0]:
        axes = zip(input.dims[2:], grad_output.dims[2:], weight.dims[2:], *form, strict=True)
        rest = [size - (new - 1) * s + 2 * pad - d * (k - 1) - 1 for size, new, k, s, pad, d in axes]
        of_input = convolve_transposed(op, grad_output, weight, None, strides, pads, rest, groups, dilations)
    if output_mask[1]:
        pair = (grad_output, input) if transposed else (input, grad_output)
        of_weight = _gradient_of_kernel(op, *pair, weight, form, static_ints(groups, "the number of groups")[0])
    if output_mask[2]:
        of_bias = op.ReduceSum(grad_output, [0, *range(2, grad_output.rank)], keepdims=0)
    return of_input, of_weight, of_bias


def _form(space: int, stride: Ints, padding: Ints, dilation: Ints) -> tuple[Ints, Ints, Ints]:
    """Strides, pads and dilations of all axes."""
    strides = repeat_to(stride, space, "the stride")
    pads, dilations = repeat_to(padding, space, "the padding"), repeat_to(dilation, space, "the dilation")
    return [*strides], [*pads], [*dilations]


def _gradient_of_kernel(
    op: Builder, x: Value, y: Value, weight: Value, form: tuple[Ints, Ints, Ints], groups: int
) -> Value:
    """Each element of the kernel has seen ``x`` at a distance of its own from ``y``: a convolution of one by the other.

    Batch and channels change places, strides and dilations too.
    """
    strides, pads, dilations = form
    batch, channels, *sizes = x.dims
    inner = floordiv(channels, groups)
    grouped = op.reshape(x, [batch, groups, inner, *sizes])
    turned = op.Transpose(grouped, perm=[2, 1, 0, *range(3, grouped.rank)])
    swapped = [1, 0, *range(2, x.rank)]
    rows = op.reshape(turned, [inner, groups * batch, *sizes])
    seen = convolve(op, rows, op.Transpose(y, perm=swapped), None, dilations, pads, strides, groups)
    axes = list(range(2, x.rank))
    # The last stride may leave room for more places than the kernel has.
    kernel = op.Slice(seen, [0] * len(axes), op.dims_tensor(list(weight.dims[2:])), axes)
    return op.Transpose(kernel, perm=swapped)


# ---- normalization ---------------------------------------------------------------------------------------------------


def _gradient_of_normalized(op: Builder, grad: Value, normalized: Value, rstd: Value, axes: Sequence[int]) -> Value:
    """The gradient of what was normalized over ``axes``, given that of the result."""
    shared = op.ReduceMean(grad, list(axes), keepdims=1)
    along = op.Mul(normalized, op.ReduceMean(op.Mul(grad, normalized), list(axes), keepdims=1))
    return op.Mul(rstd, op.Sub(op.Sub(grad, shared), along))


def _summed(op: Builder, x: Value, axes: list[int]) -> Value:
    return op.ReduceSum(x, axes, keepdims=0) if axes else x


@aten("native_layer_norm_backward")
def native_layer_norm_backward(
    op: Builder, grad_out: Value, input: Value, normalized_shape: Ints, mean: Value, rstd: Value, weight: Value | None,
    bias: Value | None, output_mask: Numbers,
) -> Gradients:  # fmt: skip
    """The gradients of input, weight and bias, as far as ``output_mask`` wants them."""
    first = input.rank - len(normalized_shape)
    outer, axes = list(range(first)), list(range(first, input.rank))
    normalized = op.Mul(op.Sub(input, mean), rstd)
    grad = grad_out if weight is None else op.Mul(grad_out, weight)
    return (
        _gradient_of_normalized(op, grad, normalized, rstd, axes) if output_mask[0] else None,
        _summed(op, op.Mul(grad_out, normalized), outer) if output_mask[1] else None,
        _summed(op, grad_out, outer) if output_mask[2] else None,
    )


@aten("native_group_norm_backward")
def native_group_norm_backward(
    op: Builder, grad_out: Value, input: Value, mean: Value, rstd: Value, weight: Value | None, N: Int, C: Int,
    HxW: Int, group: Int, output_mask: Numbers,
) -> Gradients:  # fmt: skip
    """The gradients of input, weight and bias, as far as ``output_mask`` wants them."""
    dims = [N, group, floordiv(C, group), HxW]
    x, grad = op.reshape(input, dims), op.reshape(grad_out, dims)
    mean, rstd = (op.Unsqueeze(op.reshape(value, [N, group]), [2, 3]) for value in (mean, rstd))
    normalized = op.Mul(op.Sub(x, mean), rstd)
    weighted = grad if weight is None else op.Mul(grad, op.reshape(weight, [*dims[1:3], 1]))
    of_input = _gradient_of_normalized(op, weighted, normalized, rstd, [2, 3]) if output_mask[0] else None
    return (
        None if of_input is None else op.reshape(of_input, input.dims),
        op.reshape(_summed(op, op.Mul(grad, normalized), [0, 3]), [C]) if output_mask[1] else None,
        op.reshape(_summed(op, grad, [0, 3]), [C]) if output_mask[2] else None,
    )
