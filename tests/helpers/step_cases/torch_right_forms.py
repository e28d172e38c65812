"""Right training steps in PyTorch whose calls, networks or losses have a less usual form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from cascade_bench import Case, Stage
from tests.helpers.step_cases.torch_parts import Parts, everything


def penalty_by_name() -> Case:
    """A gradient penalty, and a pass, whose calls name their arguments."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        x = parts.batch["x"].clone().requires_grad_()
        out = parts.head(parts.encoder(x))
        (slope,) = torch.autograd.grad(outputs=out.sum(), inputs=x, create_graph=True)
        total: Any = sum(parts.losses(parts.batch).values())
        torch.autograd.backward(tensors=total + (slope.norm() - 1).square())
        optimizer.step()

    return parts.case(step)


def unscaled_by_name() -> Case:
    """A loss scale that is taken off by a call that names its argument."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def step() -> None:
        optimizer.zero_grad()
        total: Any = sum(parts.losses(parts.batch).values())
        scaler.scale(total).backward()
        scaler.unscale_(optimizer=optimizer)
        nn.utils.clip_grad_norm_(everything(parts), 1.0)
        scaler.step(optimizer)
        scaler.update()

    return parts.case(step)


def frozen_in_front_of_a_lazy_layer() -> Case:
    """Stages, of which the first requires no gradient and the second is still without a shape."""
    encoder, head = nn.Linear(8, 16).requires_grad_(False), nn.LazyLinear(4)
    x = torch.randn(8, 8)
    optimizers: list[torch.optim.Optimizer] = []

    def step() -> None:
        out = head(encoder(x))
        optimizers[:] = optimizers or [torch.optim.SGD(head.parameters(), lr=0.1)]
        optimizers[0].zero_grad()
        out.square().mean().backward()
        optimizers[0].step()

    stages = [Stage("encoder", {}), Stage("head", {"task": lambda out, _: out.square().mean()})]
    return Case({"encoder": encoder, "head": head}, batch=x, stages=stages, step=step)


def unused_layer_behind_an_encoder_in_eval() -> Case:
    """A layer that no loss uses, behind attention that takes another path under ``no_grad``."""
    encoder = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    head = nn.ModuleDict({"used": nn.Linear(16, 4), "pooler": nn.Linear(16, 16)})
    x = torch.randn(6, 5, 16)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.1)

    def losses(x: Any) -> Any:
        parts = head["used"](encoder(x)).square().mean((0, 1))
        return {f"part{i}": part for i, part in enumerate(parts)}

    def step() -> None:
        optimizer.zero_grad()
        total: Any = sum(losses(x).values())
        total.backward()
        optimizer.step()

    return Case({"encoder": encoder, "head": head}, losses, x, step=step)


def unused_layer_beside_a_penalty() -> Case:
    """A layer that no loss uses, and a loss that differentiates the network itself."""
    parts = Parts()
    parts.head = nn.ModuleDict({"used": nn.Linear(16, 4), "pooler": nn.Linear(16, 16)})

    def losses(batch: Any) -> Any:
        x = batch["x"].clone().requires_grad_()
        out = parts.head["used"](parts.encoder(x))
        (slope,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        return {"task": F.cross_entropy(out, batch["y"]) + slope.square().mean()}

    parts.losses = losses
    return parts.case(parts.summed(torch.optim.AdamW(everything(parts), lr=0.1)))


def sparse_gradients() -> Case:
    """The gradient of an embedding is sparse, and SparseAdam steps it."""
    embedding, head = nn.EmbeddingBag(50, 8, sparse=True, mode="sum"), nn.Linear(8, 4)
    batch = {"words": torch.randint(50, (8, 3)), "y": torch.randint(4, (8,))}
    sparse = torch.optim.SparseAdam(list(embedding.parameters()))
    optimizer = torch.optim.Adam(head.parameters())

    def losses(batch: Any) -> dict[str, Any]:
        code = embedding(batch["words"])
        return {"code": code.square().mean(), "task": F.cross_entropy(head(code), batch["y"])}

    def step() -> None:
        sparse.zero_grad()
        optimizer.zero_grad()
        total: Any = sum(losses(batch).values())
        total.backward()
        sparse.step()
        optimizer.step()

    return Case({"embedding": embedding, "head": head}, losses, batch, step=step)


def sparse_gradients_of_each_loss() -> Case:
    """The same, a gradient taken for each loss, which is scaled before they are added."""
    embedding = nn.Embedding(50, 8, sparse=True)
    batch = torch.randint(50, (8,))
    optimizer = torch.optim.SGD(embedding.parameters(), lr=0.1)

    def losses(batch: Any) -> dict[str, Any]:
        code = embedding(batch)
        return {"size": code.square().mean(), "sum": code.mean()}

    def step() -> None:
        optimizer.zero_grad()
        first, second = losses(batch).values()
        first.backward(retain_graph=True)
        gradient: Any = embedding.weight.grad
        embedding.weight.grad = 0.5 * gradient
        second.backward()
        optimizer.step()

    return Case({"embedding": embedding}, losses, batch, step=step)


def cleared_behind_the_step() -> Case:
    """Gradients are set to 0, and stay there, after the optimizer has stepped."""
    parts = Parts()
    optimizer = torch.optim.Adam(everything(parts))

    def step() -> None:
        total: Any = sum(parts.losses(parts.batch).values())
        total.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    return parts.case(step)


def cleared_between_forward_and_backward() -> Case:
    """The gradient of each parameter is dropped by hand, in front of the backward pass."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)

    def step() -> None:
        total: Any = sum(parts.losses(parts.batch).values())
        parts.zero_grad()
        total.backward()
        optimizer.step()

    return parts.case(step)


def gradients_set_by_hand() -> Case:
    """Gradients are results of a function, and replace the old ones."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)

    def step() -> None:
        total: Any = sum(parts.losses(parts.batch).values())
        grads = torch.autograd.grad(total, everything(parts))
        for parameter, grad in zip(everything(parts), grads, strict=True):
            parameter.grad = grad
        optimizer.step()

    return parts.case(step)


def players_cleared_in_front_of_their_own_pass() -> Case:
    """The pass of one player leaves gradients in the other, which clears them before its own."""
    parts = Parts()
    optimizers = [torch.optim.Adam(one.parameters()) for one in (parts.encoder, parts.head)]

    def step() -> None:
        for optimizer in optimizers:
            optimizer.zero_grad()
            parts.losses(parts.batch)["task"].backward()
            optimizer.step()

    return parts.case(step)


def lbfgs() -> Case:
    """LBFGS clears the gradients in its closure, several times in a step."""
    parts = Parts()
    optimizer = torch.optim.LBFGS(everything(parts), max_iter=3)

    def closure() -> Any:
        optimizer.zero_grad()
        total: Any = sum(parts.losses(parts.batch).values())
        total.backward()
        return total

    return parts.case(lambda: optimizer.step(closure))


# name → codes of the mistakes that it looks like
RIGHT: dict[Callable[[], Case], tuple[str, ...]] = {
    penalty_by_name: ("CB302",),
    unscaled_by_name: ("CB403",),
    frozen_in_front_of_a_lazy_layer: ("CB201", "CB301"),
    unused_layer_behind_an_encoder_in_eval: ("CB202",),
    cleared_behind_the_step: ("CB204", "CB201"),
    cleared_between_forward_and_backward: ("CB204",),
    gradients_set_by_hand: ("CB204",),
    players_cleared_in_front_of_their_own_pass: ("CB204",),
    lbfgs: ("CB204",),
    sparse_gradients: ("CB201", "CB302"),
    sparse_gradients_of_each_loss: ("CB302",),
    unused_layer_beside_a_penalty: ("CB202",),
}
