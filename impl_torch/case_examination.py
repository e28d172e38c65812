"""Find out what a user's case is: what its losses reach, and whether its gradients can be proven.

It runs in float64 where the case allows it. Then the gradient of the summed loss is the reference
of every strategy, and is held against central differences of the losses themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from impl_torch import layout
from impl_torch.case import OpenCase
from impl_torch.case_losses import check_gradients, check_losses, check_names
from impl_torch.case_slopes import Directions
from impl_torch.case_values import CaseError, DrawAsFloat32
from impl_torch.graph_problem import generator_states
from impl_torch.structure import why_not_cut

# directions → the facts that central differences give, and notes on them
Confirm = Callable[[Directions], tuple[dict[str, Any], list[str]]]
Gradients = dict[str, dict[str, Tensor | None]]  # loss → parameter → gradient, or None

REPEATS = {torch.float32: 1e-4, torch.float64: 1e-9}  # relative difference of two equal passes


@contextmanager
def precision(dtype: torch.dtype) -> Iterator[None]:
    """Let user code that names no dtype compute in this one, and draw what float32 draws."""
    default_dtype = torch.get_default_dtype()
    if dtype != torch.float64:
        yield
        return
    torch.set_default_dtype(torch.float64)
    try:
        with DrawAsFloat32():
            yield
    finally:
        torch.set_default_dtype(default_dtype)


class Examination:
    """Examine an open case: its losses, its flow, its gradients.

    Args:
        opened: the case, opened without facts.
        seed: of the directions of central differences.
    """

    def __init__(self, opened: OpenCase, seed: int) -> None:
        self.opened, self.problem = opened, opened.problem
        self.seed = seed
        self.notes: list[str] = []
        self.values = check_losses(opened.all_losses())
        self.drawn_from = self._libraries_drawn_from()
        self._check_repeats()
        self._choose_threads()
        opened.all_losses()
        self.moved = self.problem.moved_buffers()  # type: ignore[attr-defined]
        self.problem.reach = {name: list(self.problem.parameters) for name in self.values}
        self.everything = self._by_loss(list(self.problem.parameters))
        self.reach = {
            loss: [n for n, gradient in gradients.items() if gradient is not None]
            for loss, gradients in self.everything.items()
        }
        self._check_reach()
        check_gradients(self._of_trained(), str(opened.session.dtype).removeprefix("torch."))

    def _libraries_drawn_from(self) -> set[str]:
        """Return whose generators have moved since the last pass began: torch, numpy, python."""
        after = generator_states()
        self.problem.restore_buffers()
        seeded = generator_states()
        return {library for library, state in after.items() if state != seeded[library]}

    def _check_repeats(self) -> None:
        """Raise `CaseError` unless the same pass gives the same losses twice."""
        again = self.opened.all_losses()
        check_names(self.values, again)
        allowed = REPEATS[self.opened.session.dtype]
        for name, value in self.values.items():
            one, two = value.item(), again[name].item()
            if abs(one - two) > allowed * max(abs(one), abs(two)):
                raise CaseError(
                    f"the loss {name!r} is {one:.6g} and then {two:.6g} in the same pass: it is "
                    "random in a way that no seed holds, or the pass changes what it computes with",
                    "draw random numbers with torch's default generator, and keep no state "
                    "between two passes outside buffers",
                )

    def _choose_threads(self) -> None:
        """Go on with one thread where a pass is no faster with all of them.

        Threads wait for each other at each operation. Where other processes hold the cores, that
        takes many times as long as to work alone. Nothing is timed here, so that it is no matter.
        """
        together = _seconds(self.opened.all_losses)
        every = torch.get_num_threads()
        torch.set_num_threads(1)
        if _seconds(self.opened.all_losses) > together:
            torch.set_num_threads(every)

    def _by_loss(self, names: list[str]) -> Gradients:
        """Return loss → parameter → gradient of each loss alone, these parameters trained."""
        gradients: Gradients = {}
        for loss in self.values:
            self.problem.require_grad(names)
            losses = self.opened.all_losses()
            check_names(self.values, losses)
            value = losses[loss]
            if value.requires_grad:
                value.backward()
            self.drawn_from |= self._libraries_drawn_from()  # also in the backward pass
            gradients[loss] = {n: p.grad for n, p in self.problem.parameters.items()}
            _check_dense(loss, gradients[loss])
        self.problem.require_grad([])
        return gradients

    def _check_reach(self) -> None:
        """Raise `CaseError` where no loss reaches a network, or nothing is trained."""
        reached = {name for names in self.reach.values() for name in names}
        self.untouched = [name for name in self.problem.parameters if name not in reached]
        for network in self.opened.networks:
            own = [n for n in self.problem.parameters if n.startswith(f"{network}.")]
            tied = [n for n in self.opened.aliases if n.startswith(f"{network}.")]
            if own and not tied and not reached & set(own):
                raise CaseError(
                    f"no loss reaches the network {network!r}: the losses do not use this module, "
                    "or detach what it computes",
                    f"use the very module in the losses that the case names, or leave {network!r} "
                    "out",
                )
        trained = reached - set(self.opened.frozen)
        if not trained:
            why = "every parameter is frozen" if reached else "no loss depends on a parameter"
            if not self.problem.parameters:
                why = "no network has a parameter"
            raise CaseError(f"nothing is trained: {why}", "leave a parameter that a loss reaches")
        if self.untouched:
            self.notes.append(f"No loss reaches {_some(self.untouched)}: left out")

    def _of_trained(self) -> Gradients:
        """Return loss → parameter → gradient, without what is frozen."""
        frozen = set(self.opened.frozen)
        return {
            loss: {n: g for n, g in gradients.items() if n not in frozen}
            for loss, gradients in self.everything.items()
        }

    def gradient(self) -> dict[str, NDArray[Any]]:
        """Return the gradient of the summed loss by every parameter that a loss reaches."""
        names = [n for n in self.problem.parameters if n not in self.untouched]
        self.problem.require_grad(names)
        total = sum(self.opened.all_losses().values())
        assert isinstance(total, Tensor)
        total.backward()
        gradients = {
            n: layout.parameter_out(p.grad)
            for n, p in self.problem.parameters.items()
            if p.grad is not None
        }
        self.problem.require_grad([])
        return gradients

    def states(self) -> dict[str, dict[str, str]]:
        """Return loss → parameter → state of the gradient; ``absent`` where it is frozen."""
        frozen = set(self.opened.frozen)
        return {
            loss: {n: "absent" if n in frozen else _state(g) for n, g in gradients.items()}
            for loss, gradients in self.everything.items()
        }

    def directions(self) -> Directions:
        """Return directions through the parameters, along which gradients can be confirmed."""
        return Directions(self.opened, self.everything, self.seed)

    def networks(self) -> dict[str, dict[str, Any]]:
        """Return network → number of elements and tensors, what is frozen, what is tied."""
        described = {}
        for network, module in self.opened.networks.items():
            own = [n for n in self.problem.parameters if n.startswith(f"{network}.")]
            tied = [
                [new, old]
                for new, old in self.opened.aliases.items()
                if network in (new.partition(".")[0], old.partition(".")[0])
            ]
            described[network] = {
                "parameters": sum(self.problem.parameters[n].numel() for n in own),
                "tensors": len(own),
                "frozen": [n for n in own if n in self.opened.frozen],
                "tied": tied,
                "type": type(module).__name__,
            }
        return described


def _check_dense(loss: str, gradients: Mapping[str, Tensor | None]) -> None:
    """Raise `CaseError` for a gradient of a sparse layout: not every strategy can have one."""
    for name, gradient in gradients.items():
        if gradient is not None and gradient.layout != torch.strided:
            raise CaseError(
                f"the gradient of {loss!r} by {name} is sparse, and dense gradients are compared",
                "build the module with sparse=False here; `cascade-bench check` takes a step "
                "with sparse gradients",
            )


def _seconds(run: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _state(gradient: Tensor | None) -> str:
    """Return ``absent``, ``zero`` (every element exactly) or ``value``."""
    if gradient is None:
        return "absent"
    return "value" if bool(gradient.any()) else "zero"


def _some(names: list[str]) -> str:
    """Return the first names of a list, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def boundary_problem(opened: OpenCase) -> str | None:
    """Return why the graph cannot be cut between two networks; None where it can."""
    if opened.case.losses is not None:
        return "the case gives losses and no stages, so that there is no boundary to cut at"
    if len(opened.problem.stages) < 2:
        return "there is one stage, so that there is no boundary to cut at"
    opened.problem.restore_buffers()
    with torch.no_grad():
        outputs = opened.problem.outputs()
    reasons = (why_not_cut(outputs[s.name], s.network) for s in opened.problem.stages[:-1])
    return next((why for why in reasons if why), None)


def step(opened: OpenCase, kind: str, facts: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return ``start/…`` and ``updated/…``, parameters and buffers before and after one step.

    Args:
        opened: the case that was examined.
        kind: ``backward``, or ``freeze``, whose reference freezes nothing.
        facts: the result of the examination.
    """
    opened.problem.restore_buffers()
    problem = OpenCase(opened.session, opened.case, opened.seed, facts)
    program = problem.program(kind, "unfrozen" if kind == "freeze" else "summed", "step")
    program.reset()
    start = {f"start/{n}": array for n, array in program.updates().items()}
    program.wait(program.run(program.prepare()))
    updated = {f"updated/{n}": array for n, array in program.updates().items()}
    program.reset()  # the next reference starts from the same weights
    return start | updated


def examine(
    opened: OpenCase, seed: int, confirm: Confirm
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Examine a case that was opened without facts; see `Examination`.

    Args:
        opened: the case.
        seed: of the directions of central differences.
        confirm: holds the gradients to central differences.

    Returns:
        Facts as JSON data, and the gradient of the summed loss by parameter.
    """
    threads = torch.get_num_threads()
    try:
        return _examined(opened, Examination(opened, seed), confirm)
    finally:
        torch.set_num_threads(threads)


def _examined(
    opened: OpenCase, examination: Examination, confirm: Confirm
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what an examination has found, see `examine`."""
    if opened.aliases:
        pairs = [f"{new} is {old}" for new, old in opened.aliases.items()]
        examination.notes.append(f"Tied weights, trained and frozen together: {_some(pairs)}")
    if examination.drawn_from:
        examination.notes.append("Random numbers are drawn from the same seed before each pass")
    for kind in opened.unlisted():
        examination.notes.append(
            f"The losses use a {kind} that the case does not name: not compared"
        )
    slopes, notes = confirm(examination.directions())
    return {
        "networks": examination.networks(),
        "losses": list(examination.values),
        "values": {n: v.item() for n, v in examination.values.items()},
        "reach": examination.reach,
        "states": examination.states(),
        "frozen": opened.frozen,
        "untouched": examination.untouched,
        "moved": examination.moved,
        "random": "torch" in examination.drawn_from,
        "draws": bool(examination.drawn_from),
        "series": boundary_problem(opened),
        "notes": [*examination.notes, *notes],
        "expected": {k: dict(v) for k, v in (opened.case.expect_flow or {}).items()},
        "device": str(next(iter(opened.problem.parameters.values())).device),
        **slopes,
    }, examination.gradient()
