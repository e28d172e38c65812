"""A user's repository with a case: a package in ``src``, and networks that a test changes."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.git_repositories import git

MODEL = "src/mine/model.py"
TORCH_MODEL = """\
import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(256, 256)

    def forward(self, x):
        # the code of x
        return torch.tanh(self.linear(x))
"""
TORCH_CASE = """\
import torch
from torch import nn
from cascade_bench import Case
from mine.model import Encoder


def make():
    encoder, head = Encoder(), nn.Linear(256, 10)
    batch = {"x": torch.randn(128, 256), "y": torch.randint(10, (128,))}

    def losses(batch):
        z = encoder(batch["x"])
        return {"code": z.square().mean(), "task": nn.functional.cross_entropy(head(z), batch["y"])}

    return Case({"encoder": encoder, "head": head}, losses, batch)
"""
JAX_MODEL = """\
import jax.numpy as jnp
from flax import nnx


class Encoder(nnx.Module):
    def __init__(self):
        self.linear = nnx.Linear(32, 32, rngs=nnx.Rngs(0))

    def __call__(self, x):
        # the code of x
        return jnp.tanh(self.linear(x))


def head(parameters, z):
    return z @ parameters["w"]
"""
JAX_CASE = """\
import jax
import jax.numpy as jnp
from cascade_bench import Case
from mine.model import Encoder, head


def make():
    networks = {"encoder": Encoder(), "head": {"w": jnp.eye(32)}}
    batch = {"x": jax.random.normal(jax.random.key(1), (16, 32))}

    def losses(networks, batch):
        z = networks["encoder"](batch["x"])
        return {"code": jnp.square(z).mean(), "task": head(networks["head"], z).mean()}

    return Case(networks, losses, batch, frozen=["encoder"])
"""
FILES = {"torch": (TORCH_MODEL, TORCH_CASE), "jax": (JAX_MODEL, JAX_CASE)}


def case_repository(folder: Path, framework: str = "torch", *, flat: bool = False) -> Path:
    """Make a repository with a case ``bench/my_case.py``, all committed as tag ``v1``.

    Args:
        folder: of the repository, which is made.
        framework: of the case.
        flat: whether the package stands at the top instead of in ``src``.
    """
    model, case = FILES[framework]
    place = folder / (MODEL.removeprefix("src/") if flat else MODEL)
    place.parent.mkdir(parents=True)
    (folder / "bench").mkdir()
    (place.parent / "__init__.py").touch()
    place.write_text(model)
    (folder / "bench" / "my_case.py").write_text(case)
    git(folder, "init", "-q", "-b", "main")
    commit(folder)
    git(folder, "tag", "v1")
    return folder


def commit(folder: Path) -> None:
    """Commit all that there is."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all that there is")


def change(folder: Path, old: str, new: str, file: str = MODEL) -> None:
    """Replace a text that stands in a file once."""
    source = (folder / file).read_text()
    assert source.count(old) == 1
    (folder / file).write_text(source.replace(old, new))
