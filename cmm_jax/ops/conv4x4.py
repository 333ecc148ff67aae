"""Convolutions of size 4, stride 2 and padding 1, and their transposes.

Every strided layer of the networks is one of them (section 4.1). They run
through XLA's own operators, except on a CPU, where XLA is slow at them and
`conv4x4_cpu` replaces them. The platform that a program is compiled for
decides, not the one on which it is traced, so an exported program holds both
implementations.

The environment variable CMM_JAX_CONVOLUTIONS, "xla" or "cpu", forces one
implementation on every platform. It is read when a program is traced.
"""

import functools
import os
from collections.abc import Callable
from typing import Literal

import jax
from jax import lax
from jaxtyping import Array, Float

from cmm_jax.ops import conv4x4_cpu, conv4x4_cpu_3d, conv4x4_xla

Implementation = Literal["xla", "cpu"]

ENVIRONMENT_VARIABLE = "CMM_JAX_CONVOLUTIONS"

_Conv = Callable[[jax.Array, jax.Array], jax.Array]


def conv(
  x: Float[Array, "b *extent c"],
  kernel: Float[Array, "*size c o"],
  implementation: Implementation | None = None,
) -> Float[Array, "b *half_extent o"]:
  """Convolves with a 4x4 kernel at stride 2: halves every spatial axis.

  Args:
    x: images [b h w c] or videos [b t h w c] of even extents.
    kernel: [4 4 c o], or [4 4 4 c o] for videos.
    implementation: None for the platform's.

  Raises:
    ValueError: CMM_JAX_CONVOLUTIONS names no implementation.
  """
  cpu = conv4x4_cpu.conv if x.ndim == 4 else conv4x4_cpu_3d.conv
  return _choose(cpu, conv4x4_xla.conv, implementation)(x, kernel)


def conv_transpose(
  x: Float[Array, "b *extent o"],
  kernel: Float[Array, "*size c o"],
  implementation: Implementation | None = None,
) -> Float[Array, "b *double_extent c"]:
  """Transposes `conv`: doubles every spatial axis.

  Args:
    x: images [b h w o] or videos [b t h w o].
    kernel: that of the convolution it transposes, [4 4 c o] or [4 4 4 c o]:
      inputs come last. PyTorch's `ConvTranspose2d.weight`, transposed by
      (2, 3, 1, 0).
    implementation: None for the platform's.

  Raises:
    ValueError: CMM_JAX_CONVOLUTIONS names no implementation.
  """
  cpu = (
    conv4x4_cpu.conv_transpose if x.ndim == 4 else conv4x4_cpu_3d.conv_transpose
  )
  return _choose(cpu, conv4x4_xla.conv_transpose, implementation)(x, kernel)


def _choose(
  cpu: _Conv, xla: _Conv, implementation: Implementation | None
) -> _Conv:
  chosen = implementation or os.environ.get(ENVIRONMENT_VARIABLE)
  if not chosen:
    return _by_platform(cpu, xla)
  if chosen not in ("xla", "cpu"):
    raise ValueError(
      f'{ENVIRONMENT_VARIABLE} is {chosen!r}; set it to "xla" or "cpu", or '
      "unset it to use the platform's own implementation."
    )
  return cpu if chosen == "cpu" else xla


@functools.cache
def _by_platform(cpu: _Conv, xla: _Conv) -> _Conv:
  """Leaves the choice to the platform, forward and backward.

  Autodiff of `platform_dependent` would keep the residuals of both branches.
  Both are linear in the input and in the kernel, so these two suffice.
  """

  @jax.custom_vjp
  def apply(x, kernel):
    return lax.platform_dependent(x, kernel, cpu=cpu, default=xla)

  def forward(x, kernel):
    return apply(x, kernel), (x, kernel)

  def vjp(implementation, x, kernel, gradient):
    return jax.vjp(implementation, x, kernel)[1](gradient)

  def backward(residuals, gradient):
    return lax.platform_dependent(
      *residuals,
      gradient,
      cpu=functools.partial(vjp, cpu),
      default=functools.partial(vjp, xla),
    )

  apply.defvjp(forward, backward)
  return apply
