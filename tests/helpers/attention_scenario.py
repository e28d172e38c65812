"""Write an attention with packed projections to files, in both frameworks.

The third of its packed bias that belongs to the keys has a gradient that is 0 by mathematics, and
its data is of shape [batch, tokens, width], which no framework turns.
"""

from __future__ import annotations

from pathlib import Path

from tests.helpers.external_scenarios import Change, filled_in

SPEC = """
from benchmarks.scenarios.spec import Optimizer, Scenario, Variant, linear


def parameters(*, width, **_):
    return {
        name: parameter
        for net in ("front", "back")
        for layer, outputs in (("packed", 3 * width), ("out", width))
        for name, parameter in linear(f"{net}.{layer}", width, outputs, relu=False).items()
    }


def data(rng, *, batch, tokens, width):
    shape = (batch, tokens, width)
    return {name: rng.standard_normal(shape) for name in ("x", "target1", "target2")}


BOTH = ("front", "back")
FLOW = {"loss1": ("front",), "loss2": BOTH}
NAME = Scenario(
    name="NAME",
    summary="two layers of attention with packed projections",
    sizes={"seed": {"batch": 2, "tokens": 5, "width": 8}},
    structure=("width",),
    parameters=parameters,
    data=data,
    variants={
        "whole": Variant(networks=BOTH, flow=FLOW),
        "frozen_front": Variant(networks=BOTH, flow=FLOW, frozen=("front",)),
    },
    optimizer=Optimizer("adamw", {"lr": 1e-3}),
    layouts=dict.fromkeys(("x", "target1", "target2", *BOTH), "sequence"),
)
SCENARIOS = (NAME,)
"""

TORCH = """
import torch.nn.functional as F
from torch import nn

from impl_torch.problem import Stage, against


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.packed = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        query, key, value = self.packed(x).chunk(3, dim=-1)
        weights = (query @ key.transpose(1, 2) / x.shape[-1] ** 0.5).softmax(-1)
        return self.out(weights @ value)


def NAME(*, width):
    return [
        Stage("front", Attention(width), {"loss1": against("target1", F.mse_loss)}),
        Stage("back", Attention(width), {"loss2": against("target2", F.mse_loss)}),
    ]
"""

JAX = """
import jax
import jax.numpy as jnp
from flax import nnx

from impl_jax.problem import Stage, against


class Attention(nnx.Module):
    def __init__(self, width, rngs):
        self.packed = nnx.Linear(width, 3 * width, rngs=rngs)
        self.out = nnx.Linear(width, width, rngs=rngs)

    def __call__(self, x):
        query, key, value = jnp.split(self.packed(x), 3, axis=-1)
        scores = query @ jnp.swapaxes(key, 1, 2) / x.shape[-1] ** 0.5
        return self.out(jax.nn.softmax(scores) @ value)


def squared_error(output, target):
    return jnp.square(output - target)


def NAME(*, width, rngs):
    return [
        Stage("front", Attention(width, rngs), {"loss1": against("target1", squared_error)}),
        Stage("back", Attention(width, rngs), {"loss2": against("target2", squared_error)}),
    ]
"""


def write(
    folder: Path, name: str, *, spec: Change | None = None, torch: Change | None = None
) -> Path:
    """Write spec and both parts of the attention into the folder, and return the spec's path."""
    file = folder / f"{name}.py"
    file.write_text(filled_in(SPEC, name, spec))
    (folder / f"{name}_torch.py").write_text(filled_in(TORCH, name, torch))
    (folder / f"{name}_jax.py").write_text(filled_in(JAX, name, None))
    return file
