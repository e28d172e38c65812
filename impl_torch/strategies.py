"""Ways to get the gradients of several losses, one short function each, for any scenario.

A strategy returns ``forward`` and ``backward``. ``forward()`` builds what the backward pass needs,
``backward(carry)`` leaves each trained parameter's gradient of the summed loss in its ``.grad``.
``jit`` compiles a function, or hands it back where nothing is compiled.
The costs quoted are products (GEMMs) of the backward pass over two networks of three Linear
layers, the first of which needs no gradient of its input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import Any

import torch
from torch import Tensor

from impl_torch.problem import Losses, Problem

Jit = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class Strategy:
    """``own_forward``: the forward passes happen inside ``backward`` and cannot be taken out.

    ``one_jit``: its forward is a plain function, to be compiled whole. The others compile what they
    call themselves. ``retains``: some backward pass leaves the graph for another one, so a compiled
    one must not write its results over what was saved. ``hookable``: saved-tensor hooks see what
    its forward saves; torch.func refuses them.
    """

    forward: Callable[[], Any]
    backward: Callable[[Any], None]
    own_forward: bool = False
    one_jit: bool = True
    retains: bool = False
    hookable: bool = True


def summed(problem: Problem, jit: Jit) -> Strategy:
    """One backward pass of the sum: 11 products."""

    def backward(losses: Losses) -> None:
        reduce(add, losses.values()).backward()

    return Strategy(problem.losses, backward)


def multi_root(problem: Problem, jit: Jit) -> Strategy:
    """One backward pass from several roots: 11 products, equal to `summed` bit for bit."""

    def backward(losses: Losses) -> None:
        torch.autograd.backward(list(losses.values()))

    return Strategy(problem.losses, backward)


def separate_retained(problem: Problem, jit: Jit) -> Strategy:
    """A backward pass for each loss over one graph, kept until the last: 16 products."""

    def backward(losses: Losses) -> None:
        *earlier, last = losses.values()
        for loss in earlier:
            loss.backward(retain_graph=True)
        last.backward()

    return Strategy(problem.losses, backward, retains=True)


def separate_grad(problem: Problem, jit: Jit) -> Strategy:
    """``autograd.grad`` for each loss over one graph, added by hand: 16 products."""

    def backward(losses: Losses) -> None:
        last = list(losses)[-1]
        for name, loss in losses.items():
            reached = problem.reached(name)
            grads = torch.autograd.grad(loss, list(reached.values()), retain_graph=name != last)
            _add(problem, dict(zip(reached, grads, strict=True)))

    return Strategy(problem.losses, backward, retains=True)


def boundary_split(problem: Problem, jit: Jit) -> Strategy:
    """Cut between the networks, then walk each network once, last first: 11 products.

    Each network's output is detached as a leaf for the next one, whose backward pass leaves the
    cotangent there; it joins the network's own losses as one more root. Equal to `summed` bit for
    bit.
    """

    def forward() -> list[tuple[list[Tensor], Tensor | None]]:
        value, segments = problem.data["x"], []
        for i, stage in enumerate(problem.stages):
            output, losses = problem.run_stage(stage, value)
            crossed = problem.crossed(i)
            value = output.detach().requires_grad_() if crossed else output
            roots = [*losses.values(), output] if crossed else [*losses.values()]
            segments.append((roots, value if crossed else None))
        return segments

    def backward(segments: list[tuple[list[Tensor], Tensor | None]]) -> None:
        for roots, leaf in reversed(segments):
            cotangents = [None] * len(roots) if leaf is None else [None] * (len(roots) - 1)
            if roots:
                torch.autograd.backward(
                    roots, [*cotangents, *([] if leaf is None else [leaf.grad])]
                )

    return Strategy(forward, backward)


def reforward(problem: Problem, jit: Jit) -> Strategy:
    """A forward and a backward pass for each loss, nothing kept in between."""

    forwards = {name: jit(partial(problem.losses, until=name)) for name in problem.flow}

    def backward(_: None) -> None:
        for name, forward in forwards.items():
            forward()[name].backward()

    return Strategy(lambda: None, backward, own_forward=True, one_jit=False)


def batched(problem: Problem, jit: Jit) -> Strategy:
    """All losses' cotangents as one batch: 22 products, for rows of zeros are computed too."""

    def backward(losses: Losses) -> None:
        roots, names = list(losses.values()), list(problem.trainable)
        rows = torch.eye(len(roots), dtype=roots[0].dtype, device=roots[0].device)
        grads = torch.autograd.grad(
            roots,
            list(problem.trainable.values()),
            grad_outputs=list(rows.unbind(1)),
            is_grads_batched=True,
        )
        _add(problem, {n: grad.sum(0) for n, grad in zip(names, grads, strict=True)})

    return Strategy(problem.losses, backward)


def functional(problem: Problem, jit: Jit) -> Strategy:
    """``torch.func.vjp`` of the summed loss as a function of the parameters: 11 products."""

    def total(parameters: Mapping[str, Tensor]) -> Tensor:
        return reduce(add, problem.losses(parameters).values())

    def forward() -> tuple[Tensor, Callable[..., Any]]:
        detached = {name: p.detach() for name, p in problem.trainable.items()}
        value, pullback, *_ = torch.func.vjp(total, detached)
        return torch.ones_like(value), pullback

    def backward(carry: tuple[Tensor, Callable[..., Any]]) -> None:
        one, pullback = carry
        _add(problem, pullback(one)[0])

    return Strategy(forward, backward, hookable=False)


def _add(problem: Problem, grads: Mapping[str, Tensor]) -> None:
    for name, grad in grads.items():
        parameter = problem.trainable[name]
        # never in place: autograd.grad may hand one tensor to several parameters
        parameter.grad = grad if parameter.grad is None else parameter.grad + grad


STRATEGIES: dict[str, Callable[[Problem, Jit], Strategy]] = {
    f.__name__: f
    for f in (
        summed,
        multi_root,
        separate_retained,
        separate_grad,
        boundary_split,
        reforward,
        batched,
        functional,
    )
}
