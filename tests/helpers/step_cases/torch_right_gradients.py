"""More right training steps in PyTorch: what becomes of gradients, and frozen parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from cascade_bench import Case
from tests.helpers.step_cases.torch_parts import Parts, everything, norm_networks


def clipped_gradients() -> Case:
    """Gradients are clipped once, after the only pass."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        total: Any = sum(parts.losses(parts.batch).values())
        total.backward()
        nn.utils.clip_grad_norm_(everything(parts), 1e-2)
        optimizer.step()

    return parts.case(step)


def halving_hook() -> Case:
    """A linear hook, and one pass."""
    parts = Parts()
    for parameter in parts.encoder.parameters():
        parameter.register_hook(lambda grad: grad / 2)
    return parts.case(parts.summed(torch.optim.SGD(everything(parts), lr=0.1)))


def adapters() -> Case:
    """LoRA: the base is frozen, two small matrices beside it are trained."""
    base = nn.Linear(8, 8).requires_grad_(False)
    down, up = nn.Linear(8, 2, bias=False), nn.Linear(2, 8, bias=False)
    nn.init.zeros_(up.weight)
    optimizer = torch.optim.AdamW([*down.parameters(), *up.parameters()], lr=0.1)

    def losses(x: Any) -> Any:
        return {"task": (base(x) + up(down(x)) - 1).square().mean()}

    def step(x: Any) -> None:
        optimizer.zero_grad()
        losses(x)["task"].backward()
        optimizer.step()

    networks = {"base": base, "down": down, "up": up}
    return Case(networks, losses, torch.randn(8, 8), step=step)


def checkpointed() -> Case:
    """A checkpoint that is not reentrant, and one that is, whose input requires a gradient."""
    parts = Parts()

    def losses(batch: Any) -> Any:
        code = checkpoint(parts.encoder, batch["x"], use_reentrant=False)
        return {
            "task": F.cross_entropy(checkpoint(parts.head, code, use_reentrant=True), batch["y"])
        }

    parts.losses = losses
    return parts.case(parts.summed(torch.optim.SGD(everything(parts), lr=0.1)))


def frozen_norm_in_eval() -> Case:
    """A frozen BatchNorm in eval mode; the optimizer holds what is trained."""
    parts = Parts(norm_networks)
    parts.encoder.requires_grad_(False).eval()
    return parts.case(parts.task_only(torch.optim.AdamW(parts.head.parameters(), lr=0.1)))


def frozen_and_held() -> Case:
    """A frozen network without gradients stays in an optimizer that decays."""
    parts = Parts()
    parts.encoder.requires_grad_(False)
    return parts.case(parts.task_only(torch.optim.AdamW(everything(parts), lr=0.1)))


def frozen_under_no_grad() -> Case:
    """The encoder runs under ``no_grad``, and no optimizer holds it."""
    parts = Parts()

    def losses(batch: Any) -> Any:
        with torch.no_grad():
            code = parts.encoder(batch["x"])
        return {"task": F.cross_entropy(parts.head(code), batch["y"])}

    parts.losses = losses
    return parts.case(parts.summed(torch.optim.SGD(parts.head.parameters(), lr=0.1)))


def gradient_of_the_trained() -> Case:
    """``autograd.grad`` by what is trained alone; the rest is named as frozen."""
    parts = Parts()
    optimizer = torch.optim.SGD(parts.head.parameters(), lr=0.1)

    def step() -> None:
        own = list(parts.head.parameters())
        grads = torch.autograd.grad(parts.losses(parts.batch)["task"], own)
        for parameter, grad in zip(own, grads, strict=True):
            parameter.grad = grad
        optimizer.step()

    return parts.case(step, frozen=["encoder"])


def turns() -> Case:
    """One network in the even steps, the other in the odd ones."""
    parts = Parts()
    both = [torch.optim.SGD(n.parameters(), lr=0.1) for n in (parts.encoder, parts.head)]
    calls = [0]

    def step() -> None:
        parts.zero_grad()
        total: Any = sum(parts.losses(parts.batch).values())
        total.backward()
        both[calls[0] % 2].step()
        calls[0] += 1

    return parts.case(step)


def unfreezing() -> Case:
    """The encoder is frozen at the start, and unfrozen at the second step."""
    parts = Parts()
    parts.encoder.requires_grad_(False)
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    take, calls = parts.task_only(optimizer), [0]

    def step() -> None:
        calls[0] += 1
        if calls[0] == 2:
            parts.encoder.requires_grad_(True)
        take()

    return parts.case(step)


def unused_layer() -> Case:
    """A layer of a pretrained network is used by no loss, and the optimizer holds it."""
    parts = Parts()
    parts.head = nn.ModuleDict({"used": nn.Linear(16, 4), "pooler": nn.Linear(16, 16)})
    parts.losses = lambda batch: {
        "task": F.cross_entropy(parts.head["used"](parts.encoder(batch["x"])), batch["y"])
    }
    return parts.case(parts.summed(torch.optim.AdamW(everything(parts), lr=0.1)))


def projected_gradients() -> Case:
    """Each loss's own gradient is wanted: they are compared and projected before they are added."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    own = list(parts.encoder.parameters())

    def step() -> None:
        optimizer.zero_grad()
        losses = parts.losses(parts.batch)
        one = torch.autograd.grad(losses["code"], own, retain_graph=True)
        losses["task"].backward()
        for parameter, extra in zip(own, one, strict=True):
            overlap = (parameter.grad * extra).sum().clamp(max=0) / extra.square().sum()
            parameter.grad = parameter.grad - overlap * extra + extra
        optimizer.step()

    return parts.case(step)


def gradients_taken_apart() -> Case:
    """Each pass's gradients are moved out of ``.grad`` before the next one."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)

    def step() -> None:
        losses, kept = parts.losses(parts.batch), []
        for i, loss in enumerate(losses.values()):
            optimizer.zero_grad()
            loss.backward(retain_graph=i == 0)
            kept.append([p.grad for p in everything(parts)])
        for parameter, *grads in zip(everything(parts), *kept, strict=True):
            known = [grad / (grad.norm() + 1e-6) for grad in grads if grad is not None]
            parameter.grad = torch.stack(known).sum(0)
        optimizer.step()

    return parts.case(step)


def shared_encoder_with_two_optimizers() -> Case:
    """Two optimizers hold the encoder; each steps by a gradient of its own."""
    parts = Parts()
    one = torch.optim.SGD(parts.encoder.parameters(), lr=0.1)
    other = torch.optim.SGD(everything(parts), lr=0.1)

    def step() -> None:
        for optimizer, name in ((one, "code"), (other, "task")):
            parts.zero_grad()
            parts.losses(parts.batch)[name].backward()
            optimizer.step()

    return parts.case(step)


def step_in_the_only_backward_pass() -> Case:
    """A hook steps each parameter inside the backward pass, of which there is one."""
    parts = Parts()
    for parameter in everything(parts):
        optimizer = torch.optim.SGD([parameter], lr=0.1)

        def hook(_: Any, optimizer: Any = optimizer) -> None:
            optimizer.step()
            optimizer.zero_grad()

        parameter.register_post_accumulate_grad_hook(hook)

    def step() -> None:
        total: Any = sum(parts.losses(parts.batch).values())
        total.backward()

    return parts.case(step)


class _Lookahead(torch.optim.Optimizer):
    """Step an optimizer, and go half of the way back after each step."""

    def __init__(self, inner: torch.optim.Optimizer) -> None:
        self.inner = inner
        super().__init__([p for g in inner.param_groups for p in g["params"]], {"lr": 0.1})
        self.slow = [p.detach().clone() for p in self.param_groups[0]["params"]]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.inner.step()
        for parameter, slow in zip(self.param_groups[0]["params"], self.slow, strict=True):
            slow.lerp_(parameter, 0.5)
            parameter.copy_(slow)


def lookahead() -> Case:
    """An optimizer that wraps another and moves its parameters again."""
    parts = Parts()
    inner = torch.optim.SGD(everything(parts), lr=0.1)
    return parts.case(parts.summed(_Lookahead(inner)))


def sharpness_aware() -> Case:
    """Two passes and a move between them, then one step from where it began."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)

    def total() -> Any:
        return sum(parts.losses(parts.batch).values())

    def step() -> None:
        optimizer.zero_grad()
        total().backward()
        moves = [1e-2 * p.grad for p in everything(parts)]
        with torch.no_grad():
            for parameter, move in zip(everything(parts), moves, strict=True):
                parameter.add_(move)
        optimizer.zero_grad()
        total().backward()
        with torch.no_grad():
            for parameter, move in zip(everything(parts), moves, strict=True):
                parameter.sub_(move)
        optimizer.step()

    return parts.case(step)


def closure() -> Case:
    """LBFGS runs the passes inside its step."""
    parts = Parts()
    optimizer = torch.optim.LBFGS(everything(parts), lr=0.1, max_iter=3)

    def evaluate() -> Any:
        optimizer.zero_grad()
        total: Any = sum(parts.losses(parts.batch).values())
        total.backward()
        return total

    def step() -> None:
        optimizer.step(evaluate)

    return parts.case(step)


# name → codes of the mistakes that it looks like
RIGHT: dict[Callable[[], Case], tuple[str, ...]] = {
    clipped_gradients: ("CB303",),
    halving_hook: ("CB303",),
    adapters: ("CB301",),
    checkpointed: ("CB202",),
    frozen_norm_in_eval: ("CB102",),
    frozen_and_held: ("CB101",),
    frozen_under_no_grad: ("CB301",),
    gradient_of_the_trained: ("CB301",),
    turns: ("CB201",),
    unfreezing: ("CB101",),
    unused_layer: ("CB201", "CB202"),
    projected_gradients: ("CB302",),
    gradients_taken_apart: ("CB302",),
    shared_encoder_with_two_optimizers: ("CB203",),
    step_in_the_only_backward_pass: ("CB203",),
    lookahead: ("CB203",),
    sharpness_aware: ("CB302",),
    closure: ("CB302", "CB204"),
}
