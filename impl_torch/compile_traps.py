"""Demonstrate the traps of compiled backward passes in PyTorch.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_backward_traps.py`` judges them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impl_torch import compiling, program, recipes, runtime, strategies
from impl_torch.backward_traps import _grad, _grads, _raised, _relative_error
from impl_torch.problem import Problem, Stage, against

SHALLOW = 1  # layers, where kernels are compiled: the fewer, the quicker
Losses = Callable[[Tensor], tuple[Tensor, Tensor]]


def retained_second_backward_when_compiled() -> dict[str, Any]:
    """Run a compiled backward pass with ``retain_graph`` after a normal one, and as the first one.

    A normal backward pass is compiled to code that may overwrite the saved tensors (donated
    buffers), and that code then refuses to retain the graph. A backward pass that is compiled for a
    retained graph leaves the saved tensors alone, and so does any with ``donated_buffer=False``.
    AOTAutograd decides this in front of every backend, so no code has to be generated here.
    """
    results = {}
    for first in ("normal", "retained", "normal_not_donated"):
        _forget()
        net1, net2, x = _two_networks()
        losses = torch.compile(_two_losses(net1, net2), backend="aot_eager")
        with _donating(first != "normal_not_donated"):
            if first != "retained":
                sum(losses(x)).backward()  # type: ignore[union-attr]
            one, other = losses(x)
            one_raised = _raised(partial(one.backward, retain_graph=True))
            other_raised = None if one_raised else _raised(other.backward)
        results[first] = {"retained_raised": one_raised, "last_raised": other_raised}
    return results


def compile_cache_shared_by_two_settings() -> dict[str, Any]:
    """Inductor stores the kernels of a backward pass under a key without ``donated_buffer``.

    With that setting on, they may overwrite the saved tensors. A later run with the setting off
    finds them in the cache, and its second retained backward pass reads overwritten tensors. The
    relative error is that of all gradients of net2.
    """
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        _summed_and_donated(folder)
        for second, tag in (("same_cache", ""), ("cache_keyed_by_the_setting", "not donated")):
            with torch.compiler.config.patch(cache_key_tag=tag):  # type: ignore[attr-defined]
                results[second] = _retained_twice(folder)
    return results


def one_loss_of_a_compiled_graph() -> dict[str, Any]:
    """The backward pass of one compiled graph returns a gradient for every input: zeros, not None.

    So the optimizer also steps a parameter that the loss does not reach, by the momentum of an
    earlier step. ``net2_moved`` is its largest change in a step of loss1, after a step of both.
    """
    results = {}
    for way in ("eager", "one_graph", "a_graph_for_each_network"):
        _forget()
        net1, net2, x = _two_networks()
        if way == "a_graph_for_each_network":
            net1.compile(backend="aot_eager")
            net2.compile(backend="aot_eager")
        losses = _two_losses(net1, net2)
        if way == "one_graph":
            losses = torch.compile(losses, backend="aot_eager")
        optimizer = torch.optim.Adam([*net1.parameters(), *net2.parameters()], lr=0.1)
        sum(losses(x)).backward()  # type: ignore[union-attr]
        optimizer.step()
        optimizer.zero_grad()
        weight = next(net2.parameters())
        before = weight.detach().clone()
        losses(x)[0].backward()
        gradient = "None" if weight.grad is None else f"{_grad(weight).abs().max().item():g}"
        optimizer.step()
        moved = (weight - before).abs().max().item()
        results[way] = {"net2_gradient": gradient, "net2_moved": moved}
    return results


def products_of_two_retained_passes() -> dict[str, dict[str, float]]:
    """Count the products (GEMMs) of one and of two backward passes in each mode.

    The networks are two of three Linear layers each. The compiled backward pass of one graph runs
    as a whole for each loss and multiplies zeros too. With a graph for each network, loss1's pass
    leaves out net2.
    """
    product = 2 * 4 * 8 * 8  # FLOPs
    problem = _problem()
    results: dict[str, dict[str, float]] = {}
    for mode, make in compiling.MODES.items():
        results[mode] = {}
        for strategy in (strategies.summed, strategies.separate_retained):
            with tempfile.TemporaryDirectory() as folder:
                compiler = make(folder)
                view = compiler.problem(problem)
                recipe = recipes.from_strategy(view, strategy(view, compiler.jit))
                flops = program.Backward(problem, recipe, compiler).flops()
            results[mode][strategy.__name__] = flops / product
    return results


def _problem() -> Problem:
    """Return the two networks with their losses as a problem, as those of the scenarios."""
    net1, net2, x = _two_networks()
    losses = [{f"loss{i}": against("ones", F.mse_loss)} for i in (1, 2)]
    stages = [Stage("net1", net1, losses[0]), Stage("net2", net2, losses[1])]
    names = {s.name: [f"{s.name}.{n}" for n, _ in s.network.named_parameters()] for s in stages}
    reach = {"loss1": names["net1"], "loss2": names["net1"] + names["net2"]}
    return Problem(stages, {"x": x, "ones": torch.ones_like(x)}, reach, [])


def _two_networks(depth: int = 3) -> tuple[nn.Module, nn.Module, Tensor]:
    """Return net1 and net2 of ``depth`` layers each, and a batch of inputs."""
    torch.manual_seed(0)
    return _stack(depth), _stack(depth), torch.randn(4, 8)


def _stack(depth: int) -> nn.Module:
    """Return Linear(8 → 8) and ReLU, ``depth`` times in series."""
    layers = [layer for _ in range(depth) for layer in (nn.Linear(8, 8), nn.ReLU())]
    return nn.Sequential(*layers)


def _two_losses(net1: Any, net2: Any) -> Losses:
    """Return a function of the inputs that runs both networks and returns the loss of each."""

    def losses(x: Tensor) -> tuple[Tensor, Tensor]:
        between = net1(x)
        ones = torch.ones_like(between)
        return F.mse_loss(between, ones), F.mse_loss(net2(between), ones)

    return losses


def _summed_and_donated(folder: str) -> None:
    """Compile one backward pass of the summed loss into the folder, as an earlier run would."""
    net1, net2, x = _two_networks(SHALLOW)
    with _donating(True), _CompilingInto(folder):
        sum(torch.compile(_two_losses(net1, net2))(x)).backward()  # type: ignore[union-attr]


def _retained_twice(folder: str) -> dict[str, Any]:
    """Run two backward passes over one retained graph, compiled into the folder.

    Return ``raised``, the error of the second one or None, and ``relative_error`` of net2's
    gradients.
    """
    net1, net2, x = _two_networks(SHALLOW)
    losses = _two_losses(net1, net2)
    sum(losses(x)).backward()  # type: ignore[union-attr]
    true = _grads(net2)
    net1.zero_grad()
    net2.zero_grad()
    with _donating(False), _CompilingInto(folder):
        one, other = torch.compile(losses)(x)
        one.backward(retain_graph=True)
        raised = _raised(other.backward)
    return {"raised": raised, "relative_error": _relative_error(_grads(net2), true)}


def _donating(donate: bool) -> Any:
    """Return a context in which compiled backward passes may overwrite saved tensors, or not."""
    import torch._functorch.config

    return torch._functorch.config.patch(donated_buffer=donate)


class _CompilingInto:
    """Compile as a new process would, which has nothing in its caches but the folder."""

    def __init__(self, folder: str) -> None:
        runtime.check_compiler(torch.device("cpu"))
        self.folder = folder

    def __enter__(self) -> None:
        from torch._inductor.utils import clear_caches

        _forget()
        clear_caches()
        self.before = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = self.folder

    def __exit__(self, *_: object) -> None:
        if self.before is None:
            del os.environ["TORCHINDUCTOR_CACHE_DIR"]
        else:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = self.before


def _forget() -> None:
    """Drop all that Dynamo has compiled and stored with the code, which is compiled again here."""
    torch._dynamo.reset()
