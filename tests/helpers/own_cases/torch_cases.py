"""Cases in torch as users write them: right ones, and some that cannot be run."""

from __future__ import annotations

import os
import random
import sys
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from cascade_bench import Case, Stage


@dataclass
class Batch:
    """A batch as a dataclass, with whole numbers in it."""

    tokens: torch.Tensor
    targets: tuple[torch.Tensor, ...]


def regular():
    """Batch normalisation and Dropout in training, a dictionary, two losses."""
    encoder = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.3))
    head = nn.Linear(16, 4)
    batch = {"x": torch.randn(12, 8), "y": torch.randint(4, (12,))}

    def losses(batch):
        z = encoder(batch["x"])
        return {"code": z.square().mean(), "task": F.cross_entropy(head(z), batch["y"])}

    return Case({"encoder": encoder, "head": head}, losses, batch)


def frozen():
    """The encoder frozen, an optimizer of the user's."""
    case = regular()
    return Case(
        case.networks,
        case.losses,
        case.batch,
        frozen=["encoder"],
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    )


def tied_transformer():
    """`nn.Transformer` layers, an embedding tied to the output, noise drawn inside, tuples."""
    embedding = nn.Embedding(11, 8)
    body = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)
    head = nn.Linear(8, 11, bias=False)
    head.weight = embedding.weight
    tokens = torch.randint(11, (3, 5))
    batch = Batch(tokens, (tokens.roll(1, 1),))

    def losses(batch):
        z = body(embedding(batch.tokens))
        noisy = z + 0.1 * torch.randn_like(z)
        scores = head(noisy).flatten(0, 1)
        return {
            "task": F.cross_entropy(scores, batch.targets[0].flatten()),
            "size": z.square().mean(),
        }

    return Case({"embedding": embedding, "body": body, "head": head}, losses, batch)


def stages():
    """Two networks in series, the first frozen."""
    first, second = nn.Linear(8, 16), nn.Linear(16, 4)
    batch = {"x": torch.randn(6, 8), "y": torch.randn(6, 4)}
    return Case(
        {"first": first, "second": second},
        batch=batch,
        frozen=["first"],
        stages=[
            Stage("first", {"code": lambda z, batch: z.square().mean()}),
            Stage(
                "second",
                {"task": lambda o, batch: (o - batch["y"]).square().mean()},
                inputs=lambda z, batch: batch["x"] if z is None else z.tanh(),
            ),
        ],
    )


class _Several(nn.Module):
    """A network whose output is of a form that `make` gives it."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.layer, self.make = nn.Linear(8, 16), make

    def forward(self, x: torch.Tensor) -> Any:
        z = self.layer(x)
        return self.make(z.tanh(), z)


def _series(make: Any, read: Any) -> Case:
    """Return a case of two networks, the first of which returns two tensors in one value."""
    first, second = _Several(make), nn.Linear(16, 4)
    batch = torch.randn(6, 8)
    return Case(
        {"first": first, "second": second},
        batch=batch,
        stages=[
            Stage("first", {"code": lambda out, batch: read(out)[1].square().mean()}),
            Stage(
                "second",
                {"task": lambda out, batch: out.square().mean()},
                inputs=lambda out, batch: batch if out is None else read(out)[0],
            ),
        ],
    )


def several():
    """A dictionary between two networks, as models of other packages return it."""
    return _series(lambda a, b: {"a": a, "rest": (b, None)}, lambda out: (out["a"], out["rest"][0]))


class Opaque:
    """A class in which nobody can know where the tensors are."""

    def __init__(self, a: Any, b: Any) -> None:
        self.a, self.b = a, b


def opaque():
    """An output in which no tensors can be found, between two networks."""
    return _series(Opaque, lambda out: (out.a, out.b))


def cut():
    """The head's loss does not reach the encoder, on which it depends."""
    encoder, head = nn.Linear(8, 16), nn.Linear(16, 4)

    def losses(x):
        z = encoder(x)
        return {"code": z.square().mean(), "task": head(z.detach()).square().mean()}

    return Case({"encoder": encoder, "head": head}, losses, torch.randn(6, 8))


class _Straight(torch.autograd.Function):
    """A gradient that is not the slope: that of the identity, for sin."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.sin()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad


def replaced():
    """A backward pass that is not the derivative of the forward pass."""
    net = nn.Linear(8, 4)
    return Case({"net": net}, lambda x: {"task": _Straight.apply(net(x)).sum()}, torch.randn(6, 8))


def only_float32():
    """A pass that refuses float64."""
    net = nn.Linear(8, 4)

    def losses(x):
        if x.dtype != torch.float32:
            raise TypeError("the kernel is of float32")
        return {"task": net(x).square().mean(), "sum": net(x).sum()}

    return Case({"net": net}, losses, torch.randn(6, 8))


def _bad(losses: Any, **more: Any) -> Case:
    """Return a case of one Linear layer with these losses."""
    net = nn.Linear(4, 4)
    return Case({"net": net}, lambda x: losses(net(x)), torch.ones(2, 4), **more)


def no_case():
    return 3


def vector():
    return _bad(lambda out: {"task": out})


def nan():
    return _bad(lambda out: {"task": out.sum() * float("nan")})


def number():
    return _bad(lambda out: {"task": out.sum().item()})


def bare():
    return _bad(lambda out: out.sum())


def wrong_name():
    return _bad(lambda out: {"task": out.sum()}, frozen=["net.wieght"])


def all_frozen():
    return _bad(lambda out: {"task": out.sum()}, frozen=["net"])


def apart():
    case = _bad(lambda out: {"task": out.sum()})
    return Case({**case.networks, "other": nn.Linear(2, 2)}, case.losses, case.batch)


def twice():
    case = _bad(lambda out: {"task": out.sum()})
    return Case({**case.networks, "again": case.networks["net"]}, case.losses, case.batch)


def unheld():
    system = random.SystemRandom()
    return _bad(lambda out: {"task": out.sum() * system.random()})


def ends():
    sys.exit(3)


def asks():
    return input("which?")


def of_this_process():
    net = nn.Linear(4, 4)
    batch = torch.full((2, 4), float(os.getpid()))
    return Case({"net": net}, lambda x: {"task": net(x).square().mean()}, batch)


no_function = 3


def no_parameters():
    net = nn.ReLU()
    return Case({"net": net}, lambda x: {"task": net(x).sum()}, torch.ones(2, 4))


def on_a_gpu():
    return _bad(lambda out: {"task": out.to("cuda").sum()})


def prints_and_forks():
    """Print, and leave a process behind: neither is an answer of the worker's."""
    print("a line\n" * 3)
    if os.fork() == 0:
        print("a line of a child")
        os._exit(0)

    def losses(out):
        print("a line", flush=True)
        return {"task": out.square().sum()}

    return _bad(losses)


def vanishes():
    os._exit(7)


def hangs():
    while True:
        pass
