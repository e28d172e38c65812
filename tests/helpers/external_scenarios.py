"""Write a small external scenario, spec and parts, to files; a test can break it in one place."""

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

# for the fake framework of tests/fakes, which builds nothing: the code alone is what counts
FAKE = """
import os
import sys


def NAME(*, width):
    CODE
    return []
"""

Change = tuple[str, str]  # a text of the file, and the text that replaces it


def filled_in(text: str, name: str, change: Change | None) -> str:
    """Return the text for a scenario of this name, with the change applied to it."""
    text = text.replace("NAME", name).lstrip()
    if change:
        assert change[0] in text, f"{change[0]!r} is no longer in the text"
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
    """Write spec and parts of a scenario into the folder and return the spec's path.

    ``spec``, ``torch`` and ``jax`` are changes of the three files; ``parts`` names the frameworks
    whose file is written.
    """
    file = folder / f"{name}.py"
    file.write_text(filled_in(SPEC, name, spec))
    for part, text, change in (("torch", TORCH, torch), ("jax", JAX, jax)):
        if part in parts:
            (folder / f"{name}_{part}.py").write_text(filled_in(text, name, change))
    return file


def write_fake(folder: Path, name: str, *, code: str = "pass", at_import: str = "") -> Path:
    """Write a scenario for the fake framework into the folder and return the spec's path.

    Args:
        folder: of the files.
        name: of the scenario.
        code: lines that run whenever the networks are built.
        at_import: lines that run when the part is imported.
    """
    file = write(folder, name, parts=())
    body = FAKE.replace("NAME", name).replace("CODE", code.strip().replace("\n", "\n    "))
    (folder / f"{name}_fake.py").write_text(f"{at_import.strip()}\n{body}")
    (folder / f"{name}_torch.py").touch()  # a part for one framework there must be
    return file
