"""Build two networks in series, the first of which returns two arrays in one of several forms."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np


class Named(NamedTuple):
    first: Any
    second: Any


@dataclass
class Pair:
    """A plain dataclass, which JAX takes for one value until it is registered."""

    first: Any
    second: Any


@dataclass
class ModelOutput(OrderedDict):  # type: ignore[type-arg]
    """An output as Hugging Face's transformers has it: a dataclass, and a dict of its fields."""

    first: Any
    second: Any = None

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) is not None:
                self[field.name] = getattr(self, field.name)


class Opaque:
    """A class in which nobody can know where the arrays are."""

    def __init__(self, first: Any, second: Any) -> None:
        self.first, self.second = first, second


Read = Callable[[Any], tuple[Any, Any]]
# form → how two arrays are put into it, and read from it
ALL: dict[str, tuple[Callable[[Any, Any], Any], Read]] = {
    "tuple": (lambda a, b: (a, b), lambda v: (v[0], v[1])),
    "list": (lambda a, b: [a, [b]], lambda v: (v[0], v[1][0])),
    "dict": (lambda a, b: {"a": a, "b": b}, lambda v: (v["a"], v["b"])),
    "named tuple": (Named, lambda v: (v.first, v.second)),
    "dataclass": (Pair, lambda v: (v.first, v.second)),
    "model output": (ModelOutput, lambda v: (v["first"], v.second)),
    "opaque": (Opaque, lambda v: (v.first, v.second)),
    "opaque inside": (lambda a, b: (Opaque(a, b),), lambda v: (v[0].first, v[0].second)),
}
FORMS = [form for form in ALL if not form.startswith("opaque")]


def problem_of(framework: str, form: str, *, frozen: bool = False, used: int = 2) -> Any:
    """Return a problem of two stages with a loss at each; the first returns the form.

    Args:
        framework: ``torch`` or ``jax``.
        form: a key of `ALL`.
        frozen: whether the first network is frozen.
        used: how many of the two arrays the second network uses.
    """
    make, read = ALL[form]
    x = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
    build = _torch if framework == "torch" else _jax
    return build(make, read, x, frozen, used)


def _torch(make: Any, read: Read, x: Any, frozen: bool, used: int) -> Any:
    """Return the problem in torch."""
    import torch
    from torch import nn

    from impl_torch.problem import Problem, Stage

    class Front(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, value: Any) -> Any:
            return make(self.one(value).relu(), self.two(value).tanh())

    class Back(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(4, 2)

        def forward(self, value: Any) -> Any:
            return self.out(sum(read(value)[:used]))

    torch.manual_seed(0)
    both = lambda out, _: sum((part**2).mean() for part in read(out))  # noqa: E731
    stages = [
        Stage("front", Front(), {} if frozen else {"loss1": both}),
        Stage("back", Back(), {"loss2": lambda out, _: (out**2).mean()}),
    ]
    names = {s.name: [f"{s.name}.{n}" for n, _ in s.network.named_parameters()] for s in stages}
    reach = {"loss2": names["front"] + names["back"]}
    reach = reach if frozen else {"loss1": names["front"], **reach}
    held = names["front"] if frozen else []
    return Problem(stages, {"x": torch.from_numpy(x)}, reach, held)


def _jax(make: Any, read: Read, x: Any, frozen: bool, used: int) -> Any:
    """Return the problem in JAX, with a method ``inputs`` that returns what a strategy takes."""
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from impl_jax.problem import Problem, Stage

    _register(jax)

    class Front(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.one, self.two = nnx.Linear(4, 4, rngs=rngs), nnx.Linear(4, 4, rngs=rngs)

        def __call__(self, value: Any) -> Any:
            return make(jax.nn.relu(self.one(value)), jnp.tanh(self.two(value)))

    class Back(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.out = nnx.Linear(4, 2, rngs=rngs)

        def __call__(self, value: Any) -> Any:
            return self.out(jnp.asarray(sum(read(value)[:used])))

    rngs = nnx.Rngs(0)
    both = lambda out, _: sum((part**2).mean() for part in read(out))  # noqa: E731
    stages = [
        Stage("front", Front(rngs), {"loss1": both}),
        Stage("back", Back(rngs), {"loss2": lambda out, _: (out**2).mean()}),
    ]
    front = [f"front.{layer}.{leaf}" for layer in ("one", "two") for leaf in ("bias", "weight")]
    back = ["back.out.bias", "back.out.weight"]
    data = {"x": jnp.asarray(x)}
    problem: Any = Problem(stages, data, {"loss1": front, "loss2": front + back}, [])
    shapes = {"one.weight": (4, 4), "two.weight": (4, 4), "out.weight": (4, 2), "out.bias": (2,)}
    rng = np.random.default_rng(1)
    arrays = {
        name: jnp.asarray(rng.standard_normal(shapes.get(name.partition(".")[2], (4,))), "float32")
        for name in problem.names
    }
    problem.load(arrays, {})
    problem.inputs = lambda: (problem.trainable, problem.constants)
    return problem


def _register(jax: Any) -> None:
    """Have JAX see into the dataclasses above, as a user must do for a class of his own."""
    for cls in (Pair, ModelOutput):
        try:
            jax.tree_util.register_dataclass(cls, data_fields=["first", "second"], meta_fields=[])
        except ValueError:  # already registered
            return
