"""Regions under autocast: which operators compute in the lower precision, and which in float32.

Source: the operators that have a kernel for the dispatch keys AutocastCPU and AutocastCUDA in PyTorch 2.13, by what
they do to float32 and bfloat16 arguments there; https://docs.pytorch.org/docs/stable/amp.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nxconvert.frontends.pytorch.dtypes import BY_CODE, DataType
from nxconvert.frontends.pytorch.script.machine import Machine
from nxconvert.frontends.pytorch.script.values import Box, ListCell
from nxconvert.graph.builder import Value

_LOWER = frozenset(
    ["_addmm_activation", "_convolution", "_native_multi_head_attention", "addbmm", "addmm", "baddbmm", "bmm", "conv1d",
     "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linalg_vecdot",
     "linear", "matmul", "mm", "prelu", "scaled_dot_product_attention"]
)  # fmt: skip
_LOWER_CUDA = frozenset(
    ["addmv", "addr", "chain_matmul", "convolution", "einsum", "gru_cell", "linalg_multi_dot", "lstm_cell", "mv",
     "rnn_relu_cell", "rnn_tanh_cell"]
)  # fmt: skip
_PROMOTE = frozenset(["cat", "index_copy", "stack"])
_PROMOTE_CUDA = frozenset(
    ["addcdiv", "addcmul", "atan2", "bilinear", "cross", "dot", "grid_sampler", "index_put", "scatter_add", "tensordot",
     "vdot"]
)  # fmt: skip
_FULL = frozenset(
    ["adaptive_avg_pool3d", "adaptive_max_pool3d", "avg_pool3d", "binary_cross_entropy",
     "binary_cross_entropy_with_logits", "cdist", "cosine_embedding_loss", "cross_entropy_loss", "ctc_loss",
     "fake_quantize_per_tensor_affine", "fft_fft", "fft_fft2", "fft_fftn", "fft_hfft", "fft_ifft", "fft_ifft2",
     "fft_ifftn", "fft_ihfft", "fft_irfft", "fft_irfft2", "fft_irfftn", "fft_rfft", "fft_rfft2", "fft_rfftn",
     "fractional_max_pool2d", "fractional_max_pool3d", "grid_sampler", "grid_sampler_2d", "grid_sampler_3d",
     "hinge_embedding_loss", "huber_loss", "inverse", "kl_div", "l1_loss", "linalg_cholesky", "linalg_cholesky_ex",
     "linalg_inv", "linalg_inv_ex", "linalg_matrix_rank", "linalg_qr", "linalg_solve", "linalg_tensorinv",
     "linalg_tensorsolve", "margin_ranking_loss", "max_pool3d", "max_unpool2d", "max_unpool3d", "mse_loss",
     "multi_margin_loss", "multilabel_margin_loss", "nanquantile", "nll_loss", "nll_loss2d", "pinverse",
     "poisson_nll_loss", "polar", "prod", "qr", "quantile", "reflection_pad1d", "reflection_pad2d", "replication_pad1d",
     "replication_pad2d", "replication_pad3d", "smooth_l1_loss", "soft_margin_loss", "stft", "trace",
     "triangular_solve", "triplet_margin_loss", "view_as_complex"]
)  # fmt: skip
_FULL_CUDA = frozenset(
    ["_upsample_bicubic2d_aa", "_upsample_bilinear2d_aa", "_upsample_nearest_exact1d", "_upsample_nearest_exact2d",
     "_upsample_nearest_exact3d", "acos", "asin", "binary_cross_entropy_with_logits", "cdist", "cosh",
     "cosine_embedding_loss", "cosine_similarity", "cumprod", "cumsum", "dist", "erfinv", "exp", "expm1",
     "frobenius_norm", "group_norm", "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss", "layer_norm",
     "linalg_matrix_norm", "linalg_vector_norm", "log", "log10", "log1p", "log2", "log_softmax", "logsumexp",
     "margin_ranking_loss", "mse_loss", "multi_margin_loss", "multilabel_margin_loss", "native_layer_norm", "nll_loss",
     "nll_loss2d", "norm", "nuclear_norm", "pdist", "poisson_nll_loss", "pow", "prod", "reciprocal", "renorm",
     "rms_norm", "rsqrt", "sinh", "smooth_l1_loss", "soft_margin_loss", "softmax", "softplus", "sum", "tan",
     "triplet_margin_loss", "upsample_bicubic2d", "upsample_bilinear2d", "upsample_linear1d", "upsample_nearest1d",
     "upsample_nearest2d", "upsample_nearest3d", "upsample_trilinear3d"]
)  # fmt: skip


@dataclass(frozen=True)
class Region:
    """A region under autocast.

    Attributes:
        cuda: whether the rules are those for GPUs.
        dtype: the lower precision.
    """

    cuda: bool
    dtype: DataType

    @staticmethod
    def of(device: str, code: int | None, enabled: bool) -> Region | None:
        """The region that a call of ``torch.autocast`` opens; None for one that switches autocast off."""
        cuda = device != "cpu"
        dtype = BY_CODE[code] if code is not None else DataType.FLOAT16 if cuda else DataType.BFLOAT16
        return Region(cuda, dtype) if enabled else None

    def arguments(
        self, machine: Machine, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of an operator as autocast passes them on."""
        dtype = self._dtype(machine, name, [*args, *kwargs.values()])
        if dtype is None:
            return args, dict(kwargs)
        return (
            tuple(_cast(machine, arg, dtype) for arg in args),
            {key: _cast(machine, value, dtype) for key, value in kwargs.items()},
        )

    def _dtype(self, machine: Machine, name: str, values: list[Any]) -> DataType | None:
        """What the floating point arguments of an operator are cast to; None where they stay as they are."""
        if name in _LOWER or (self.cuda and name in _LOWER_CUDA):
            return self.dtype
        if name in (_FULL_CUDA if self.cuda else _FULL):
            return DataType.FLOAT
        if name in _PROMOTE or (self.cuda and name in _PROMOTE_CUDA):
            mixed = {tensor.etype for value in values for tensor in _tensors(machine, value)}
            return DataType.FLOAT if DataType.FLOAT in mixed else None
        return None


def _tensors(machine: Machine, value: Any) -> list[Value]:
    """The floating point tensors that autocast may cast: all but doubles."""
    if isinstance(value, ListCell) and isinstance(value.content, tuple):
        return [tensor for item in value.content for tensor in _tensors(machine, item)]
    content = machine.tensor(value) if isinstance(value, Box) else None
    if not isinstance(content, Value) or content.etype == DataType.DOUBLE or not content.etype.is_floating_point():
        return []
    return [content]


def _cast(machine: Machine, value: Any, dtype: DataType) -> Any:
    if isinstance(value, ListCell) and isinstance(value.content, tuple):
        return ListCell(tuple(_cast(machine, item, dtype) for item in value.content), value.elem)
    tensors = _tensors(machine, value)
    if not isinstance(value, Box) or not tensors or tensors[0].etype == dtype:
        return value
    return Box(machine.op.cast(tensors[0], dtype))
