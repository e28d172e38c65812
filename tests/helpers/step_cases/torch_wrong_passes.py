"""Training steps in PyTorch with a mistake in their passes, moves, costs or precision."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from cascade_bench import Case
from tests.helpers.step_cases.torch_parts import Parts, clipped, everything


def two_optimizers() -> Case:
    """Both optimizers hold the encoder, and step after one backward pass."""
    parts = Parts()
    one = torch.optim.SGD(everything(parts), lr=0.1)
    other = torch.optim.SGD(parts.encoder.parameters(), lr=0.1)

    def step() -> None:
        one.zero_grad()
        sum(parts.losses(parts.batch).values()).backward()
        one.step()
        other.step()

    return parts.case(step)


def tied_weights_in_two_optimizers() -> Case:
    """Encoder and head share a layer, and each has an optimizer."""
    parts = Parts()
    parts.head = nn.Sequential(parts.encoder[2], nn.ReLU(), nn.Linear(16, 4))
    both = [torch.optim.SGD(n.parameters(), lr=0.1) for n in (parts.encoder, parts.head)]

    def step() -> None:
        parts.zero_grad()
        sum(parts.losses(parts.batch).values()).backward()
        for optimizer in both:
            optimizer.step()

    return parts.case(step)


def step_in_the_backward_pass() -> Case:
    """A hook steps each parameter as soon as it has a gradient; there are two backward passes."""
    parts = Parts()
    for parameter in everything(parts):
        optimizer = torch.optim.SGD([parameter], lr=0.1)

        def hook(_: Any, optimizer: Any = optimizer) -> None:
            optimizer.step()
            optimizer.zero_grad()

        parameter.register_post_accumulate_grad_hook(hook)

    def step() -> None:
        for name in ("code", "task"):
            parts.losses(parts.batch)[name].backward()

    return parts.case(step)


def frozen_by_the_optimizer_alone() -> Case:
    """The encoder is left out of the optimizer, and still gets gradients."""
    parts = Parts()
    optimizer = torch.optim.SGD(parts.head.parameters(), lr=0.1)

    def step() -> None:
        parts.zero_grad()
        parts.losses(parts.batch)["task"].backward()
        optimizer.step()

    return parts.case(step, frozen=["encoder"])


def frozen_and_cleared() -> Case:
    """The frozen part's gradients are dropped in every step, after they were computed."""
    parts = Parts()
    optimizer = torch.optim.AdamW(everything(parts), lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        parts.losses(parts.batch)["task"].backward()
        for parameter in parts.encoder.parameters():
            parameter.grad = None
        optimizer.step()

    return parts.case(step, frozen=["encoder"])


def separate_passes() -> Case:
    """A backward pass for each loss, through one graph."""
    parts = Parts()
    return parts.case(parts.separate(torch.optim.Adam(everything(parts))))


def separate_passes_of_heads() -> Case:
    """Three losses of three heads on one encoder, in a loop."""
    parts = Parts()
    heads = nn.ModuleList(nn.Linear(16, 4) for _ in range(3))
    parts.head = heads

    def losses(batch: Any) -> Any:
        code = parts.encoder(batch["x"])
        return {f"head{i}": F.cross_entropy(head(code), batch["y"]) for i, head in enumerate(heads)}

    parts.losses = losses
    return parts.case(parts.separate(torch.optim.SGD(everything(parts), lr=0.1)))


def separate_passes_with_dropout() -> Case:
    """Do as `separate_passes`, with random masks: run as one, they are the same masks."""
    parts = Parts()
    parts.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(16, 4))
    return parts.case(parts.separate(torch.optim.Adam(everything(parts))))


def separate_passes_behind_a_penalty() -> Case:
    """A gradient is taken inside the loss, and then there are two passes through one graph."""
    parts = Parts()

    def losses(batch: Any) -> Any:
        x = batch["x"].clone().requires_grad_()
        code = parts.encoder(x)
        (slope,) = torch.autograd.grad(code.sum(), x, create_graph=True)
        task = F.cross_entropy(parts.head(code), batch["y"])
        return {"code": code.square().mean() + slope.square().mean(), "task": task}

    parts.losses = losses
    return parts.case(parts.separate(torch.optim.Adam(everything(parts))))


def clipping_hook() -> Case:
    """A hook clips the gradient of every pass, and there are two."""
    parts = Parts()
    for parameter in parts.encoder.parameters():
        parameter.register_hook(lambda grad: grad * (1e-2 / (grad.norm() + 1e-12)))
    return parts.case(parts.separate(torch.optim.SGD(everything(parts), lr=0.1)))


def clipping_hook_after_a_warm_up() -> Case:
    """Do as `clipping_hook`, after a first step by one loss alone."""
    parts = Parts()
    for parameter in parts.encoder.parameters():
        parameter.register_hook(lambda grad: grad * (1e-2 / (grad.norm() + 1e-12)))
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    steps = [parts.task_only(optimizer), parts.separate(optimizer)]

    def step() -> None:
        (steps.pop(0) if len(steps) > 1 else steps[0])()

    return parts.case(step)


def clipping_at_the_boundary() -> Case:
    """The gradient is clipped where it enters the encoder, in each of two passes."""
    parts = Parts()

    def losses(batch: Any) -> Any:
        code = clipped(parts.encoder(batch["x"]))
        task = F.cross_entropy(parts.head(code), batch["y"])
        return {"code": code.square().mean(), "task": task}

    parts.losses = losses
    return parts.case(parts.separate(torch.optim.SGD(everything(parts), lr=0.1)))


def zero_weight(weight: Any = 0.0) -> Case:
    """The task's loss is multiplied by 0."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        losses = parts.losses(parts.batch)
        (losses["code"] + weight * losses["task"]).backward()
        optimizer.step()

    return parts.case(step)


def zero_weight_in_a_tensor() -> Case:
    """Do as `zero_weight`, the weight being a tensor."""
    return zero_weight(torch.zeros(()))


def nan_from_a_loss() -> Case:
    """The gradient of a square root at 0 is infinite, and times 0 NaN."""
    parts = Parts()

    def losses(batch: Any) -> Any:
        code = parts.encoder(batch["x"])
        task = F.cross_entropy(parts.head(code), batch["y"])
        return {"code": (code - code).square().sum().sqrt(), "task": task}

    parts.losses = losses
    return parts.case(parts.summed(torch.optim.SGD(everything(parts), lr=0.1)))


def diverging() -> Case:
    """The learning rate is so high that the third step overflows."""
    parts = Parts()
    return parts.case(parts.summed(torch.optim.SGD(everything(parts), lr=1e25)))


def steps_in_one_autocast_region() -> Case:
    """Two steps inside one region: the second forward pass uses the cast of the old weights."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            for _ in range(2):
                optimizer.zero_grad()
                sum(parts.losses(parts.batch).values()).backward()
                optimizer.step()

    return parts.case(step)


def players_in_one_autocast_region() -> Case:
    """The head steps, and then the encoder trains through it, in the same region."""
    parts = Parts()
    head = torch.optim.SGD(parts.head.parameters(), lr=0.1)
    encoder = torch.optim.SGD(parts.encoder.parameters(), lr=0.1)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            for optimizer in (head, encoder):
                parts.zero_grad()
                parts.losses(parts.batch)["task"].backward()
                optimizer.step()

    return parts.case(step)


def clipped_before_unscaling(by_value: bool = False, parts: Parts | None = None) -> Case:
    """Gradients are clipped while they still hold the loss scale."""
    parts = parts or Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def step() -> None:
        optimizer.zero_grad()
        scaler.scale(sum(parts.losses(parts.batch).values())).backward()
        if by_value:
            nn.utils.clip_grad_value_(everything(parts), 0.1)
        else:
            nn.utils.clip_grad_norm_(everything(parts), 1.0)
        scaler.step(optimizer)
        scaler.update()

    return parts.case(step)


def clipped_beside_an_empty_parameter() -> Case:
    """Do as `clipped_before_unscaling`, with a parameter that has no elements."""
    parts = Parts()
    none = parts.head.none = nn.Parameter(torch.zeros(0))
    plain = parts.losses
    parts.losses = lambda batch: {**plain(batch), "none": none.sum()}
    return clipped_before_unscaling(parts=parts)


def clipped_by_value_before_unscaling() -> Case:
    """Do as `clipped_before_unscaling`, each element by itself."""
    return clipped_before_unscaling(by_value=True)


def never_cleared() -> Case:
    """Nothing clears the gradients, and they pile up."""
    parts = Parts()
    optimizer = torch.optim.Adam(everything(parts))

    def step() -> None:
        sum(parts.losses(parts.batch).values()).backward()
        optimizer.step()

    return parts.case(step)


def never_cleared_and_clipped() -> Case:
    """The same with clipping in front of the step, and micro-batches."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)

    def step() -> None:
        for i in (0, 4):
            part = {name: value[i : i + 4] for name, value in parts.batch.items()}
            sum(parts.losses(part).values()).backward()
        nn.utils.clip_grad_norm_(everything(parts), 0.1)
        optimizer.step()

    return parts.case(step)


# name → (code, cause) of every finding, in order
WRONG: dict[Any, list[tuple[str, str]]] = {
    two_optimizers: [("CB203", "optimizers")],
    tied_weights_in_two_optimizers: [("CB203", "optimizers")],
    step_in_the_backward_pass: [("CB203", "hook")],
    never_cleared: [("CB204", "piled")],
    never_cleared_and_clipped: [("CB204", "piled")],
    frozen_by_the_optimizer_alone: [("CB301", "frozen")],
    frozen_and_cleared: [("CB301", "frozen")],
    separate_passes: [("CB302", "separate")],
    separate_passes_of_heads: [("CB302", "separate")],
    separate_passes_with_dropout: [("CB302", "separate")],
    separate_passes_behind_a_penalty: [("CB302", "separate")],
    clipping_hook: [("CB303", "hook")],
    clipping_hook_after_a_warm_up: [("CB303", "hook")],
    clipping_at_the_boundary: [("CB303", "hook")],
    zero_weight: [("CB304", "zero")],
    zero_weight_in_a_tensor: [("CB304", "zero")],
    nan_from_a_loss: [("CB401", "nonfinite")],
    diverging: [("CB401", "nonfinite")],
    steps_in_one_autocast_region: [("CB402", "cached")],
    players_in_one_autocast_region: [("CB402", "cached")],
    clipped_before_unscaling: [("CB403", "scaled")],
    clipped_by_value_before_unscaling: [("CB403", "scaled")],
    clipped_beside_an_empty_parameter: [("CB403", "scaled")],
}
