"""Name the parameters of a layer, with their shapes and how widely they are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """Describe a tensor in torch's layout, drawn uniformly from centre ± bound.

    ``draw_as`` replaces the tensor's own name as a seed of the drawing, so that two scenarios can
    start from the same weights.
    """

    shape: tuple[int, ...]
    bound: float
    draw_as: str | None = None
    centre: float = 0.0


Parameters = dict[str, Parameter]


def linear(name: str, inputs: int, outputs: int, *, relu: bool, bias: bool = True) -> Parameters:
    """Return weight [outputs, inputs] and bias [outputs] of a Linear layer.

    With ``relu`` the weights are drawn for a layer that a ReLU follows: wider by √2. Without
    ``bias`` the layer has none.
    """
    layer = _layer(name, (outputs, inputs), inputs, outputs, relu)
    return layer if bias else {f"{name}.weight": layer[f"{name}.weight"]}


def conv(
    name: str, inputs: int, outputs: int, kernel: tuple[int, ...], *, relu: bool, bias: bool = True
) -> Parameters:
    """Return weight [outputs, inputs, *kernel] and bias [outputs] of a convolution.

    With ``relu`` the weights are drawn for a layer that a ReLU follows: wider by √2.
    """
    fan_in = inputs * math.prod(kernel)
    layer = _layer(name, (outputs, inputs, *kernel), fan_in, outputs, relu)
    return layer if bias else {f"{name}.weight": layer[f"{name}.weight"]}


def conv_transpose(
    name: str, inputs: int, outputs: int, kernel: tuple[int, ...], *, relu: bool
) -> Parameters:
    """Return weight [inputs, outputs, *kernel] and bias [outputs] of a transposed convolution.

    With ``relu`` the weights are drawn for a layer that a ReLU follows: wider by √2.
    """
    return _layer(name, (inputs, outputs, *kernel), inputs * math.prod(kernel), outputs, relu)


def _layer(name: str, shape: tuple[int, ...], fan_in: int, outputs: int, relu: bool) -> Parameters:
    """Return weight and bias of a layer, with the bounds that they are drawn within.

    Args:
        name: of the layer.
        shape: of the weight.
        fan_in: number of inputs that each output is a sum over.
        outputs: length of the bias.
        relu: whether a ReLU follows.
    """
    # a uniform draw on ±b has variance b²/3, which has to be gain²/fan_in; the gain is √2 before a
    # ReLU, else 1 (He et al. 2015)
    bound = math.sqrt(3.0 * (2.0 if relu else 1.0) / fan_in)
    return {
        f"{name}.weight": Parameter(shape, bound),
        f"{name}.bias": Parameter((outputs,), 1.0 / math.sqrt(fan_in)),
    }


def embedding(name: str, entries: int, width: int) -> Parameters:
    """Return the table [entries, width] of an embedding, whose rows are about 1 long."""
    return {f"{name}.weight": Parameter((entries, width), math.sqrt(3.0 / width))}


def layer_norm(name: str, width: int) -> Parameters:
    """Return scale and shift [width] of a LayerNorm, drawn around 1 and 0."""
    return batch_norm(name, width)


def batch_norm(name: str, channels: int) -> Parameters:
    """Return scale and shift [channels] of a BatchNorm, drawn around 1 and 0."""
    return {
        f"{name}.weight": Parameter((channels,), 0.2, centre=1.0),
        f"{name}.bias": Parameter((channels,), 0.2),
    }


def batch_statistics(name: str, channels: int) -> Parameters:
    """Return running mean and variance [channels] of a BatchNorm, drawn around 0 and 1."""
    return {
        f"{name}.running_mean": Parameter((channels,), 0.2),
        f"{name}.running_var": Parameter((channels,), 0.3, centre=1.0),
    }
