"""Training steps in PyTorch with a mistake each: name → the function that builds the case."""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from cascade_bench import Case
from tests.helpers.step_cases.torch_parts import Parts, everything, norm_networks


def frozen_and_stepped() -> Case:
    """The case names the encoder as frozen; the optimizer holds it, and it gets gradients."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    return parts.case(parts.summed(optimizer), frozen=["encoder"])


def frozen_with_stale_gradient() -> Case:
    """The encoder is frozen after a step, with its gradient left."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    sum(parts.losses(parts.batch).values()).backward()
    parts.encoder.requires_grad_(False)

    def step() -> None:
        parts.head.zero_grad()
        parts.losses(parts.batch)["task"].backward()
        optimizer.step()

    return parts.case(step)


def frozen_with_zero_gradients(decay: float = 0.0) -> Case:
    """The encoder has trained, is frozen, and its gradients are set to 0, not to None."""
    parts = Parts()
    optimizer = torch.optim.AdamW(everything(parts), lr=0.1, weight_decay=decay)
    sum(parts.losses(parts.batch).values()).backward()
    optimizer.step()
    parts.encoder.requires_grad_(False)

    def step() -> None:
        optimizer.zero_grad(set_to_none=False)
        parts.losses(parts.batch)["task"].backward()
        optimizer.step()

    return parts.case(step)


def frozen_with_decay() -> Case:
    """Do as `frozen_with_zero_gradients`, with weight decay."""
    return frozen_with_zero_gradients(decay=0.1)


def frozen_by_hand() -> Case:
    """Plain gradient descent by hand goes over the frozen network too."""
    parts = Parts()

    def step() -> None:
        parts.zero_grad()
        sum(parts.losses(parts.batch).values()).backward()
        with torch.no_grad():
            for parameter in everything(parts):
                parameter -= 0.1 * parameter.grad

    return parts.case(step, frozen=["encoder"])


def frozen_batch_norm() -> Case:
    """The frozen encoder has a BatchNorm, which is left in train mode."""
    parts = Parts(norm_networks)
    parts.encoder.requires_grad_(False)
    optimizer = torch.optim.SGD(parts.head.parameters(), lr=0.1)
    return parts.case(parts.task_only(optimizer))


def frozen_spectral_norm() -> Case:
    """Spectral norm iterates in a frozen network in train mode."""
    parts = Parts()
    parts.encoder[0] = nn.utils.parametrizations.spectral_norm(parts.encoder[0])
    parts.encoder.requires_grad_(False)
    optimizer = torch.optim.SGD(parts.head.parameters(), lr=0.1)
    return parts.case(parts.task_only(optimizer))


def train_undoes_eval() -> Case:
    """``train()`` on the whole, in every step, undoes the ``eval()`` of the frozen part."""
    parts = Parts(norm_networks)
    parts.encoder.requires_grad_(False).eval()
    optimizer = torch.optim.SGD(parts.head.parameters(), lr=0.1)
    take = parts.task_only(optimizer)

    def step() -> None:
        for network in (parts.encoder, parts.head):
            network.train()
        take()

    return parts.case(step)


def not_held() -> Case:
    """The optimizer was given one network of two."""
    parts = Parts()
    return parts.case(parts.summed(torch.optim.SGD(parts.encoder.parameters(), lr=0.1)))


def optimizer_of_another_model() -> Case:
    """The optimizer was built before the head was replaced by a copy."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    parts.head = copy.deepcopy(parts.head)
    return parts.case(parts.summed(optimizer))


def cleared_before_the_step() -> Case:
    """``zero_grad`` stands between the backward pass and the step."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)

    def step() -> None:
        sum(parts.losses(parts.batch).values()).backward()
        optimizer.zero_grad()
        optimizer.step()

    return parts.case(step)


def cut_by_detach() -> Case:
    """The losses detach the code, and the optimizer holds the encoder."""
    parts = Parts()
    parts.losses = lambda batch: {
        "task": F.cross_entropy(parts.head(parts.encoder(batch["x"]).detach()), batch["y"])
    }
    return parts.case(parts.summed(torch.optim.SGD(everything(parts), lr=0.1)))


def cut_by_no_grad() -> Case:
    """The encoder runs under ``no_grad``, and the optimizer holds it."""
    parts = Parts()

    def losses(batch: Any) -> Any:
        with torch.no_grad():
            code = parts.encoder(batch["x"])
        return {"task": F.cross_entropy(parts.head(code), batch["y"])}

    parts.losses = losses
    return parts.case(parts.summed(torch.optim.SGD(everything(parts), lr=0.1)))


def cut_by_a_reentrant_checkpoint() -> Case:
    """A reentrant checkpoint has no input that requires a gradient."""
    parts = Parts()
    parts.losses = lambda batch: {
        "task": F.cross_entropy(
            parts.head(checkpoint(parts.encoder, batch["x"], use_reentrant=True)), batch["y"]
        )
    }
    return parts.case(parts.summed(torch.optim.SGD(everything(parts), lr=0.1)))


def cut_in_the_step() -> Case:
    """The losses are right, and the step detaches what it should not."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        code = parts.encoder(parts.batch["x"]).detach()
        F.cross_entropy(parts.head(code), parts.batch["y"]).backward()
        optimizer.step()

    return parts.case(step)


# name → (code, cause) of every finding, in order
WRONG: dict[Any, list[tuple[str, str]]] = {
    frozen_and_stepped: [("CB101", "gradient")],
    frozen_with_stale_gradient: [("CB101", "stale")],
    frozen_with_zero_gradients: [("CB101", "momentum")],
    frozen_with_decay: [("CB101", "decay")],
    frozen_by_hand: [("CB101", "by_hand")],
    frozen_batch_norm: [("CB102", "forward")],
    frozen_spectral_norm: [("CB102", "forward")],
    train_undoes_eval: [("CB102", "forward")],
    not_held: [("CB201", "not_held")],
    optimizer_of_another_model: [("CB201", "another")],
    cleared_before_the_step: [("CB201", "cleared")],
    cut_by_detach: [("CB202", "detach")],
    cut_by_no_grad: [("CB202", "no_grad")],
    cut_by_a_reentrant_checkpoint: [("CB202", "checkpoint")],
    cut_in_the_step: [("CB202", "step")],
}
