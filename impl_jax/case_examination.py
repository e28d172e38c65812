"""Find out what a user's case is: what its losses reach, and whether its gradients can be proven.

It runs in float64 where the case allows it. Then the gradient of the summed loss is the reference
of every strategy, and is held against central differences of the losses themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.interpreters import partial_eval
from numpy.typing import NDArray

from impl_jax import layout
from impl_jax.case import OpenCase
from impl_jax.case_losses import check_finite, check_gradients, check_losses, check_names
from impl_jax.case_slopes import Directions
from impl_jax.case_values import CaseError, DrawAsFloat32, digest
from impl_jax.graph_problem import GraphProblem, seed_everything
from impl_jax.structure import why_not_cut

# directions → the facts that central differences give, and notes on them
Confirm = Callable[[Directions], tuple[dict[str, Any], list[str]]]
Gradients = dict[str, dict[str, Array | None]]  # loss → parameter → gradient, or None

REPEATS = {"float32": 1e-4, "float64": 1e-9}  # relative difference of two equal passes


@contextmanager
def precision(dtype: Any) -> Iterator[None]:
    """Let user code draw what it draws in float32, also where it computes in float64."""
    if jnp.dtype(dtype) != jnp.float64:
        yield
        return
    with DrawAsFloat32():
        yield


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
        self.start, self.constants = self.problem.parameters, self.problem.constants
        self.problem.load(self.start, {})
        check_losses(self._shapes())
        self._compiled = jax.jit(opened.all_losses)
        self.values = self._values(self.start)
        check_finite(self.values)
        self._check_repeats()
        self.moved = self._moved()
        self.everything = self._by_loss()
        self.reach = {
            loss: [n for n, gradient in gradients.items() if gradient is not None]
            for loss, gradients in self.everything.items()
        }
        self._check_reach()
        check_gradients(self._of_trained(), jnp.dtype(opened.session.dtype).name)

    def _shapes(self) -> Any:
        """Return the losses as shapes, without computing them."""
        seed_everything(self.seed)
        return jax.eval_shape(self.opened.all_losses, self.start, self.constants)

    def _values(self, parameters: Mapping[str, Array]) -> dict[str, float]:
        """Return the value of every loss at these parameters."""
        seed_everything(self.seed)
        values = self._compiled(dict(parameters), self.constants)
        return {name: float(value) for name, value in values.items()}

    def _check_repeats(self) -> None:
        """Raise `CaseError` unless the same pass, traced anew, gives the same losses."""
        if self._traced() == self._traced():  # the same program, with the same constants in it
            return
        seed_everything(self.seed)
        anew = jax.jit(lambda *arguments: self.opened.all_losses(*arguments))
        again = anew(self.start, self.constants)
        check_names(self.values, again)
        allowed = REPEATS[jnp.dtype(self.opened.session.dtype).name]
        for name, one in self.values.items():
            two = float(again[name])
            if abs(one - two) > allowed * max(abs(one), abs(two)):
                raise CaseError(
                    f"the loss {name!r} is {one:.6g} and then {two:.6g} in the same pass: it is "
                    "random in a way that no seed holds, or the pass changes what it computes with",
                    "draw random numbers with a key that the batch or a network holds, and keep no "
                    "state between two passes",
                )

    def _traced(self) -> tuple[str, list[str]]:
        """Return the program of all losses as a text, and a hash of each constant in it."""
        seed_everything(self.seed)
        # a new function each time: JAX keeps what it has traced
        traced = jax.make_jaxpr(lambda *arguments: self.opened.all_losses(*arguments))(
            self.start, self.constants
        )
        return str(traced.jaxpr), [digest(jnp.asarray(one)) for one in traced.consts]

    def _moved(self) -> list[str]:
        """Return the names of arrays that a forward pass changes, random streams left out."""
        networks = self.opened.networks
        names = [
            n
            for network in networks.values()
            if network.is_module
            for n, array in network.rest.items()
            if not jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
            and jnp.issubdtype(array.dtype, jnp.floating)
        ]
        if not names:
            return []

        def after(parameters: Any, constants: Any) -> dict[str, Array]:
            buffers = {n: constants["rest"][n] for n in names}
            constants = {**constants, "buffers": buffers}
            return self.problem.forward(parameters, constants, among=list(self.values))[1]

        new_buffers = jax.jit(after)(self.start, self.constants)
        return [n for n in names if digest(new_buffers[n]) != digest(self.constants["rest"][n])]

    def _by_loss(self) -> Gradients:
        """Return loss → parameter → gradient of each loss alone; None where it is not used."""
        gradients: Gradients = {}
        for loss in self.values:
            seed_everything(self.seed)

            def value(parameters: Any, constants: Any, loss: str = loss) -> Array:
                losses = self.opened.all_losses(parameters, constants)
                check_names(self.values, losses)
                return losses[loss]

            used = _used(value, self.start, self.constants)
            grads = jax.jit(jax.grad(value))(self.start, self.constants)
            gradients[loss] = {n: grads[n] if n in used else None for n in self.problem.names}
        return gradients

    def _check_reach(self) -> None:
        """Raise `CaseError` where no loss reaches a network, or nothing is trained."""
        reached = {name for names in self.reach.values() for name in names}
        self.untouched = [name for name in self.problem.names if name not in reached]
        for network in self.opened.networks:
            own = [n for n in self.problem.names if _belongs(n, network)]
            if not reached & set(own):
                raise CaseError(
                    f"no loss reaches the network {network!r}: the losses do not use it",
                    f"use networks[{network!r}] in the losses, or leave {network!r} out",
                )
        if not reached - set(self.opened.frozen):
            raise CaseError(
                "nothing is trained: every parameter is frozen",
                "leave a parameter that a loss reaches",
            )
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
        """Return the gradient of the summed loss by every parameter.

        It is the sum of the gradients of all losses. It is 0 by a parameter that no loss reaches:
        whoever differentiates by everything gets zeros there.
        """
        total: dict[str, Any] = {n: jnp.zeros_like(a) for n, a in self.start.items()}
        for gradients in self.everything.values():
            for name, gradient in gradients.items():
                if gradient is not None:
                    total[name] = total[name] + gradient
        return {n: layout.parameter_out(array) for n, array in total.items()}

    def states(self) -> dict[str, dict[str, str]]:
        """Return loss → parameter → state of the gradient; ``absent`` where it is frozen."""
        frozen = set(self.opened.frozen)
        return {
            loss: {n: "absent" if n in frozen else _state(g) for n, g in gradients.items()}
            for loss, gradients in self.everything.items()
        }

    def directions(self) -> Directions:
        """Return directions through the parameters, along which gradients can be confirmed."""
        return Directions(self.opened, self.everything, self.seed, self._values)

    def networks(self) -> dict[str, dict[str, Any]]:
        """Return network → number of elements and tensors, what is frozen, what is tied."""
        return {
            name: {
                "parameters": sum(array.size for array in network.parameters.values()),
                "tensors": len(network.parameters),
                "frozen": [n for n in network.parameters if n in self.opened.frozen],
                "tied": [],
                "type": type(network.network).__name__,
            }
            for name, network in self.opened.networks.items()
        }


def _used(value: Any, parameters: Mapping[str, Array], constants: Any) -> set[str]:
    """Return the names of the parameters that a function (parameters, constants) computes with."""
    jaxpr = jax.make_jaxpr(value)(dict(parameters), constants).jaxpr
    _, used = partial_eval.dce_jaxpr(jaxpr, [True])
    names = sorted(parameters)  # the order in which a dictionary is flattened
    return {name for name, one in zip(names, used, strict=False) if one}


def _belongs(name: str, network: str) -> bool:
    """Return whether a parameter is one of a network's."""
    return name == network or name.startswith(f"{network}.")


def _state(gradient: Array | None) -> str:
    """Return ``absent``, ``zero`` (every element exactly) or ``value``."""
    if gradient is None:
        return "absent"
    return "value" if bool(jnp.any(gradient)) else "zero"


def _some(names: list[str]) -> str:
    """Return the first names of a list, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def boundary_problem(opened: OpenCase) -> str | None:
    """Return why the graph cannot be cut between two networks; None where it can."""
    if isinstance(opened.problem, GraphProblem):
        return "the case gives losses and no stages, so that there is no boundary to cut at"
    if len(opened.problem.stages) < 2:
        return "there is one stage, so that there is no boundary to cut at"
    problem, reasons = opened.problem, list[str | None]()

    def look() -> None:
        outputs = problem.outputs(problem.trainable, problem.constants)
        for stage in problem.stages[:-1]:
            reasons.append(why_not_cut(outputs[stage.name], problem.network_of(stage)))

    jax.eval_shape(look)  # runs no operation, so that nothing is compiled for it
    return next((why for why in reasons if why), None)


def step(opened: OpenCase, kind: str, facts: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return ``start/…`` and ``updated/…``, parameters and buffers before and after one step.

    Args:
        opened: the case that was examined.
        kind: ``backward``, or ``freeze``, whose reference freezes nothing.
        facts: the result of the examination.
    """
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
    examination = Examination(opened, seed)
    keyed = any(
        isinstance(variable, nnx.RngState)
        for network in opened.networks.values()
        if network.is_module
        for _, variable in nnx.to_flat_state(nnx.state(network.network))
    )
    if keyed:
        examination.notes.append(
            "Every pass starts from the same state of the networks' random streams"
        )
    slopes, notes = confirm(examination.directions())
    return {
        "networks": examination.networks(),
        "losses": list(examination.values),
        "values": examination.values,
        "reach": examination.reach,
        "states": examination.states(),
        "frozen": opened.frozen,
        "untouched": examination.untouched,
        "moved": examination.moved,
        "random": keyed,
        "draws": keyed,
        "series": boundary_problem(opened),
        "notes": [*examination.notes, *notes],
        "expected": {k: dict(v) for k, v in (opened.case.expect_flow or {}).items()},
        "device": str(opened.session.device.platform),
        **slopes,
    }, examination.gradient()
