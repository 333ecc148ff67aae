"""Counts parameters of modules, and the numbers they should have."""

import jax


def shapes_of(module, *inputs):
  """The shapes of a module's variables, without allocating them."""
  return jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs))


def num_parameters(module, *inputs):
  leaves = jax.tree.leaves(shapes_of(module, *inputs)["params"])
  return sum(leaf.size for leaf in leaves)


def conv(inputs, outputs, bias=False, norm=False):
  """A 4x4 kernel, its bias, and the scale and bias of its BatchNorm."""
  return 16 * inputs * outputs + bias * outputs + norm * 2 * outputs


def lstm(inputs, hidden):
  """Four gates: input kernels without biases, recurrent kernels with them."""
  return 4 * hidden * (inputs + hidden) + 4 * hidden
