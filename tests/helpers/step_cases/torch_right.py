"""Right training steps in PyTorch that look like mistakes: each is left alone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from cascade_bench import Case
from tests.helpers.step_cases.torch_parts import Parts, everything, norm_networks


def summed() -> Case:
    """The plain step, with weight decay on what is trained."""
    parts = Parts()
    return parts.case(parts.summed(torch.optim.AdamW(everything(parts), lr=0.1, weight_decay=0.1)))


def multi_root() -> Case:
    """One backward pass from two losses."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        torch.autograd.backward(list(parts.losses(parts.batch).values()))
        optimizer.step()

    return parts.case(step)


def micro_batches() -> Case:
    """Gradients are accumulated over four micro-batches, each with a graph of its own."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        for i in range(0, 8, 2):
            part = {name: value[i : i + 2] for name, value in parts.batch.items()}
            total: Any = sum(parts.losses(part).values())
            (total / 4).backward()
        optimizer.step()

    return parts.case(step)


def accumulation_over_steps() -> Case:
    """The optimizer steps at every eighth call, and only four are seen."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    calls = [0]

    def step() -> None:
        total: Any = sum(parts.losses(parts.batch).values())
        (total / 8).backward()
        calls[0] += 1
        if calls[0] % 8 == 0:
            optimizer.step()
            optimizer.zero_grad()

    return parts.case(step)


def players() -> Case:
    """A GAN: the discriminator's turn with detach, the generator's through the discriminator."""
    parts = Parts()
    g, d = nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    of_g, of_d = (torch.optim.Adam(n.parameters(), lr=0.1) for n in (g, d))
    x = parts.batch["x"]

    def losses(batch: Any) -> Any:
        fake = g(batch["x"])
        d_loss = d(fake.detach()).square().mean() + (d(batch["x"]) - 1).square().mean()
        return {"d": d_loss, "g": (d(fake) - 1).square().mean()}

    def step() -> None:
        of_d.zero_grad()
        (d(g(x).detach()).square().mean() + (d(x) - 1).square().mean()).backward()
        of_d.step()
        of_g.zero_grad()
        (d(g(x)) - 1).square().mean().backward()
        of_g.step()

    return Case({"g": g, "d": d}, losses, parts.batch, step=step)


def players_frozen_in_turns() -> Case:
    """A GAN whose discriminator requires no gradient but in its own turn."""
    g, d = nn.Linear(8, 8), nn.Linear(8, 1)
    of_g, of_d = (torch.optim.Adam(n.parameters(), lr=0.1) for n in (g, d))
    x = torch.randn(8, 8)
    d.requires_grad_(False)

    def losses(x: Any) -> Any:
        return {"g": (d(g(x)) - 1).square().mean()}

    def step() -> None:
        d.requires_grad_(True)
        of_d.zero_grad()
        (d(g(x).detach()).square().mean() + (d(x) - 1).square().mean()).backward()
        of_d.step()
        d.requires_grad_(False)
        of_g.zero_grad()
        losses(x)["g"].backward()
        of_g.step()

    return Case({"g": g, "d": d}, losses, x, step=step)


def gradient_penalty() -> Case:
    """A critic with a penalty on its gradient: two passes, one inside the loss."""
    critic = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(critic.parameters(), lr=0.1)

    def losses(x: Any) -> Any:
        point = x.detach().clone().requires_grad_()
        value = critic(point).sum()
        (slope,) = torch.autograd.grad(value, point, create_graph=True)
        return {"critic": value, "penalty": (slope.norm(dim=1) - 1).square().mean()}

    def step() -> None:
        optimizer.zero_grad()
        total: Any = sum(losses(batch).values())
        total.backward()
        optimizer.step()

    batch = torch.randn(8, 8)
    return Case({"critic": critic}, losses, batch, step=step)


def follower(stated: bool = False) -> Case:
    """A teacher follows the encoder by a moving average, buffers too, in train mode."""
    parts = Parts(norm_networks)
    teacher = copy.deepcopy(parts.encoder).requires_grad_(False)
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)

    def losses(batch: Any) -> Any:
        code = parts.encoder(batch["x"])
        task = F.cross_entropy(parts.head(code), batch["y"])
        return {"same": F.mse_loss(code, teacher(batch["x"])), "task": task}

    def step() -> None:
        optimizer.zero_grad()
        total: Any = sum(losses(parts.batch).values())
        total.backward()
        optimizer.step()
        with torch.no_grad():
            for old, new in zip(teacher.parameters(), parts.encoder.parameters(), strict=True):
                old.lerp_(new, 0.1)
            for old, new in zip(teacher.buffers(), parts.encoder.buffers(), strict=True):
                old.copy_(new)

    networks = {"encoder": parts.encoder, "head": parts.head, "teacher": teacher}
    frozen = ["teacher"] if stated else None
    return Case(networks, losses, parts.batch, step=step, frozen=frozen)


def follower_named_as_frozen() -> Case:
    """Do as `follower`, and the case names the teacher as not trained."""
    return follower(stated=True)


def tied_embedding() -> Case:
    """Embedding and output layer share their weight, in one optimizer."""
    embedding, head = nn.Embedding(16, 8), nn.Linear(8, 16, bias=False)
    head.weight = embedding.weight
    optimizer = torch.optim.AdamW({*embedding.parameters(), *head.parameters()}, lr=0.1)
    batch = torch.randint(16, (8,))

    def losses(batch: Any) -> Any:
        return {"next": F.cross_entropy(head(embedding(batch)), batch.roll(1))}

    def step(batch: Any) -> None:
        optimizer.zero_grad()
        losses(batch)["next"].backward()
        optimizer.step()

    return Case({"embedding": embedding, "head": head}, losses, batch, step=step)


def warm_up() -> Case:
    """The schedule is at rate 0 for the first hundred steps."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 0.0 if n < 100 else 1.0)
    take = parts.summed(optimizer)

    def step() -> None:
        take()
        schedule.step()

    return parts.case(step)


def dropout() -> Case:
    """Dropout in both networks, and a layer that is left out now and then."""
    parts = Parts()
    parts.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(16, 4))
    return parts.case(parts.summed(torch.optim.Adam(everything(parts), lr=0.1)))


def scaled() -> Case:
    """GradScaler as it is meant: unscale, clip, step, update."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            total: Any = sum(parts.losses(parts.batch).values())
        scaler.scale(total).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(everything(parts), 1e-2)
        scaler.step(optimizer)
        scaler.update()

    return parts.case(step)


def scaled_and_averaged() -> Case:
    """Scaled gradients are divided by the number of micro-batches before they are unscaled."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def step() -> None:
        optimizer.zero_grad()
        for _ in range(2):
            total: Any = sum(parts.losses(parts.batch).values())
            scaler.scale(total).backward()
        for parameter in everything(parts):
            parameter.grad /= 2
        scaler.step(optimizer)
        scaler.update()

    return parts.case(step)


def overflowing_scale() -> Case:
    """The first scales overflow, and GradScaler skips these steps, as it should."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, backoff_factor=2.0**-30)

    def step() -> None:
        optimizer.zero_grad()
        total: Any = sum(parts.losses(parts.batch).values())
        scaler.scale(total * 1e6).backward()
        scaler.step(optimizer)
        scaler.update()

    return parts.case(step)


class OwnRate(torch.optim.Optimizer):
    """Set the learning rate in each step, so that the group's is None, as Adafactor does."""

    def __init__(self, parameters: Any, rate: Any = None) -> None:
        super().__init__(parameters, {"lr": rate, "weight_decay": None})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move against the sign of each gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(0.01 * parameter.grad.sign())


def rate_of_its_own() -> Case:
    """The optimizer's learning rate is None in its groups."""
    parts = Parts()
    return parts.case(parts.summed(OwnRate(everything(parts))))


def rate_by_function() -> Case:
    """The optimizer's learning rate is a function in its groups."""
    parts = Parts()
    return parts.case(parts.summed(OwnRate(everything(parts), rate=lambda step: 0.1 / step)))


def constructor_that_failed() -> Case:
    """Another optimizer was tried first, which does not run here; what it left is still alive."""
    parts = Parts()
    left: Any = OwnRate.__new__(OwnRate)
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)

    def step() -> None:
        assert left is not optimizer
        optimizer.zero_grad()
        total: Any = sum(parts.losses(parts.batch).values())
        total.backward()
        optimizer.step()

    return parts.case(step)


# name → codes of the mistakes that it looks like
RIGHT: dict[Callable[[], Case], tuple[str, ...]] = {
    summed: (),
    multi_root: ("CB302",),
    micro_batches: ("CB302", "CB204"),
    accumulation_over_steps: ("CB201", "CB204"),
    players: ("CB301", "CB302", "CB204"),
    players_frozen_in_turns: ("CB101",),
    gradient_penalty: ("CB302",),
    follower: ("CB102",),
    follower_named_as_frozen: ("CB101", "CB102"),
    tied_embedding: ("CB203",),
    warm_up: ("CB201",),
    dropout: ("CB303",),
    scaled: ("CB403",),
    scaled_and_averaged: ("CB403",),
    overflowing_scale: ("CB401",),
    rate_of_its_own: ("CB201",),
    rate_by_function: ("CB201",),
    constructor_that_failed: ("CB203",),
}
