"""Small scenarios of a user's own, written to files: one that is right, and what to break in it."""

from __future__ import annotations

from pathlib import Path

SPEC = """
import numpy as np

from benchmarks.scenarios.spec import Optimizer, Scenario, Variant, linear


def parameters(*, width, **_):
    return {
        **linear("net1.linear", width, width, relu=False),
        **linear("net2.linear", width, width, relu=False),
    }


def data(rng, *, batch, width):
    shape = (batch, width)
    return {name: rng.standard_normal(shape) for name in ("x", "target1", "target2")}


BOTH = ("net1", "net2")
NAME = Scenario(
    name="NAME",
    summary="two Linear layers",
    sizes={"seed": {"batch": 2, "width": 3}},
    structure=("width",),
    parameters=parameters,
    data=data,
    variants={"-": Variant(networks=BOTH, flow={"loss1": ("net1",), "loss2": BOTH})},
    optimizer=Optimizer("adam", {"lr": 1e-3}),
)
SCENARIOS = (NAME,)
"""

TORCH = """
import torch.nn.functional as F
from torch import nn

from impl_torch.problem import Stage, against, cut


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        return self.linear(x)


def NAME(*, width):
    return [
        Stage("net1", Net(width), {"loss1": against("target1", F.mse_loss)}),
        Stage("net2", Net(width), {"loss2": against("target2", F.mse_loss)}),
    ]
"""

JAX = """
import jax.numpy as jnp
from flax import nnx

from impl_jax.problem import Stage, against, cut


class Net(nnx.Module):
    def __init__(self, width, rngs):
        self.linear = nnx.Linear(width, width, rngs=rngs)

    def __call__(self, x):
        return self.linear(x)


def squared_error(output, target):
    return jnp.square(output - target)


def NAME(*, width, rngs):
    return [
        Stage("net1", Net(width, rngs), {"loss1": against("target1", squared_error)}),
        Stage("net2", Net(width, rngs), {"loss2": against("target2", squared_error)}),
    ]
"""

Change = tuple[str, str]  # what stands there, and what is put in its place


def changed(text: str, name: str, change: Change | None) -> str:
    """The text for a scenario of this name, once changed; what is changed must stand there."""
    text = text.replace("NAME", name).lstrip()
    if change:
        assert change[0] in text, f"{change[0]!r} no longer stands there"
        text = text.replace(*change)
    return text


def write(
    folder: Path,
    name: str,
    *,
    spec: Change | None = None,
    torch: Change | None = None,
    jax: Change | None = None,
    parts: tuple[str, ...] = ("torch",),
) -> Path:
    """Spec and parts of a scenario into the folder; returns the spec's path."""
    file = folder / f"{name}.py"
    file.write_text(changed(SPEC, name, spec))
    for part, text, change in (("torch", TORCH, torch), ("jax", JAX, jax)):
        if part in parts:
            (folder / f"{name}_{part}.py").write_text(changed(text, name, change))
    return file
