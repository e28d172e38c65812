"""Define the ways to compute the gradients of several losses, one short function each.

A strategy works for any scenario. Its ``forward()`` runs the networks and returns what
``backward(carry)`` needs of the graph, in most strategies the losses by name. Its ``backward``
leaves, in the ``.grad`` of each trained parameter, the gradient of the sum of all losses. The
strategy `reforward` has no forward pass outside its ``backward``. The argument ``jit`` of each
function compiles a function, or returns it unchanged where nothing is compiled.

The costs quoted are products (GEMMs) of the backward pass over two networks of three Linear layers
each with a loss after each. The very first layer needs no gradient of its input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from impl_torch import structure
from impl_torch.problem import Losses, Problem

Jit = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class Strategy:
    """Hold the two functions of a strategy, and how they may be compiled and counted.

    Attributes:
        forward: builds the graph; returns the argument of ``backward``.
        backward: leaves the gradients in ``.grad``.
        own_forward: whether ``backward`` runs the forward passes, so that they cannot be left out
            of its time.
        one_jit: whether ``forward`` is a plain function, to be compiled as a whole. Otherwise it
            calls functions that are compiled already.
        retains: whether a backward pass leaves the graph for another one (``retain_graph``), so
            that compiled code must not overwrite the saved tensors.
        hookable: whether saved-tensor hooks see what ``forward`` saves; torch.func rejects them.
        kept_tensors: returns the tensors in the argument of ``backward`` that are kept beside what
            autograd saves.
    """

    forward: Callable[[], Any]
    backward: Callable[[Any], None]
    own_forward: bool = False
    one_jit: bool = True
    retains: bool = False
    hookable: bool = True
    kept_tensors: Callable[[Any], Iterable[Tensor]] = lambda carry: ()


def summed(problem: Problem, jit: Jit) -> Strategy:
    """Run one backward pass of the summed loss: 11 products."""

    def backward(losses: Losses) -> None:
        reduce(add, losses.values()).backward()

    return Strategy(problem.losses, backward)


def multi_root(problem: Problem, jit: Jit) -> Strategy:
    """Run one backward pass from several roots: 11 products.

    The gradients are equal to those of `summed` bit for bit.
    """

    def backward(losses: Losses) -> None:
        torch.autograd.backward(list(losses.values()))

    return Strategy(problem.losses, backward)


def separate_retained(problem: Problem, jit: Jit) -> Strategy:
    """Run a backward pass for each loss over one graph that is retained: 16 products."""

    return Strategy(problem.losses, _each_retained, retains=True)


def separate_grad(problem: Problem, jit: Jit) -> Strategy:
    """Call ``autograd.grad`` for each loss over one graph and add the gradients: 16 products."""

    def backward(losses: Losses) -> None:
        last = list(losses)[-1]
        for name, loss in losses.items():
            reached = problem.reached(name)
            grads = torch.autograd.grad(loss, list(reached.values()), retain_graph=name != last)
            _add(problem, dict(zip(reached, grads, strict=True)))

    return Strategy(problem.losses, backward, retains=True)


def boundary_split(problem: Problem, jit: Jit) -> Strategy:
    """Cut the graph between the networks and walk each network once, last first: 11 products.

    The next network is run on a detached copy of a network's output, a leaf. Its backward pass
    leaves the cotangent in the ``.grad`` of the leaf. The output with this cotangent is one more
    root beside the network's own losses. Of an output of several tensors, such as a dict, each is
    cut so. The gradients are equal to those of `summed` bit for bit.
    """

    def forward() -> list[tuple[list[Tensor], list[Tensor], list[Tensor]]]:
        value, segments = problem.data["x"], []
        for i, stage in enumerate(problem.stages):
            value, losses = problem.run_stage(stage, value)
            outputs, leaves = list[Tensor](), list[Tensor]()
            if problem.gradient_crosses(i):
                value, outputs, leaves = structure.cut_off(value, stage.network)
            segments.append(([*losses.values()], outputs, leaves))
        return segments

    def backward(segments: list[tuple[list[Tensor], list[Tensor], list[Tensor]]]) -> None:
        for losses, outputs, leaves in reversed(segments):
            # a leaf has none where nothing behind used it, or only tied parameters came back
            came = [(o, leaf.grad) for o, leaf in zip(outputs, leaves, strict=True)
                    if leaf.grad is not None]  # fmt: skip
            roots = [*losses, *(output for output, _ in came)]
            cotangents = [*(None for _ in losses), *(cotangent for _, cotangent in came)]
            if roots:
                torch.autograd.backward(roots, cotangents)

    return Strategy(forward, backward)


def reforward(problem: Problem, jit: Jit) -> Strategy:
    """Run a forward and a backward pass for each loss: 25 products.

    9 of them are forward.
    """

    forwards = {name: jit(partial(problem.losses, until=name)) for name in problem.flow}

    def backward(_: None) -> None:
        for name, forward in forwards.items():
            forward()[name].backward()

    return Strategy(lambda: None, backward, own_forward=True, one_jit=False)


def batched(problem: Problem, jit: Jit) -> Strategy:
    """Pull back a batch of cotangents, one row for each loss (``is_grads_batched``): 22 products.

    Each row walks both networks, also where its cotangents are zeros.
    """

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
    """Call ``torch.func.vjp`` of the summed loss as a function of the parameters: 11 products."""

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


def checkpointed(problem: Problem, jit: Jit) -> Strategy:
    """Keep only what passes between the networks, and a backward pass for each loss: 25 products.

    Each pass computes the inside of the networks that it walks once more, 9 products in all. As a
    retained graph keeps nothing but the networks' inputs, it needs the least memory.
    """

    def forward() -> tuple[Losses, list[Tensor]]:
        value: Any = problem.data["x"]
        losses: Losses = {}
        inputs: list[Tensor] = []
        for stage in problem.stages:
            entering = stage.enter(value, problem.data)
            inputs += structure.tensors(entering)
            run = partial(problem.run_network, stage, parameters=None, among=())
            value, _ = checkpoint(run, entering, use_reentrant=False)
            own = {n: f(value, problem.data) for n, f in stage.losses.items() if n in problem.flow}
            losses |= own
        return losses, inputs

    return Strategy(
        forward,
        lambda carry: _each_retained(carry[0]),
        retains=True,
        kept_tensors=lambda carry: carry[1],
    )


def _each_retained(losses: Losses) -> None:
    """Run a backward pass for each loss over one graph, which the last one frees."""
    *earlier, last = losses.values()
    for loss in earlier:
        loss.backward(retain_graph=True)
    last.backward()


def _add(problem: Problem, grads: Mapping[str, Tensor]) -> None:
    """Add these gradients, by parameter name, to the ``.grad`` of the parameters."""
    for name, grad in grads.items():
        parameter = problem.trainable[name]
        # never in place: autograd.grad may return the same tensor for several parameters
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
        checkpointed,
    )
}
