"""Compare which loss changes which parameters with what a scenario declares.

A worker reports for each loss and parameter the state of the gradient: ``absent`` (no gradient at
all), ``zero`` (every element exactly 0) or ``value``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.scenarios.spec import Scenario, matches

# The state of a gradient that something in the graph cuts off, such as detach or stop_gradient. JAX
# has no None for a parameter that it differentiates by.
BLOCKED = {"torch": "absent", "jax": "zero"}
STRENGTH = ("absent", "zero", "value")  # weakest first
States = Mapping[str, Mapping[str, str]]  # loss → parameter → absent, zero or value


def mistakes(states: States, scenario: Scenario, variant: str, framework: str) -> Iterator[str]:
    """Yield a message for each gradient that is not in the state that the scenario declares.

    It reads ``loss → parameter: state, should be …``.

    Args:
        states: loss → parameter → state, as a worker reports it.
        scenario: with the flow that it declares.
        variant: of the scenario.
        framework: of the worker.
    """
    idle = reaching_nothing(scenario, variant)
    for loss, by_parameter in states.items():
        for name, state in by_parameter.items():
            # a loss that reaches no trained parameter is differentiated in no framework
            expected = (
                ("absent",) if loss in idle else allowed(scenario, variant, framework, loss, name)
            )
            if state not in expected:
                yield f"{loss} → {name}: {state}, should be {' or '.join(expected)}"


def reaching_nothing(scenario: Scenario, variant: str) -> list[str]:
    """Return the losses that depend on frozen parameters alone."""
    chosen = scenario.variants[variant]
    names = scenario.parameters_of(variant, next(iter(scenario.sizes)))
    trained = [name for name in names if not matches(name, chosen.frozen)]
    return [
        loss
        for loss, reached in chosen.flow.items()
        if not any(matches(name, reached) for name in trained)
    ]


def allowed(
    scenario: Scenario, variant: str, framework: str, loss: str, name: str
) -> tuple[str, ...]:
    """Return the states that the gradient of a loss by one parameter may have."""
    chosen = scenario.variants[variant]
    if matches(name, chosen.frozen):
        return ("absent",)
    if not matches(name, chosen.flow[loss]):
        return (BLOCKED[framework],) if framework in BLOCKED else ("absent", "zero")
    if matches(name, chosen.exact_zero):
        return ("zero",)
    return ("value", "zero") if name in scenario.zero_gradient else ("value",)


def matrix(states: States, networks: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return loss → network → the strongest state of the gradients by the network's parameters.

    A network in which any parameter has a value can be changed by the loss.

    Args:
        states: loss → parameter → state.
        networks: names.
    """
    return {
        loss: {network: _strongest(by_parameter, network) for network in networks}
        for loss, by_parameter in states.items()
    }


def of_case(states: States, networks: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Return what `matrix` does for a user's case, in which networks may share tensors.

    A tied tensor has the same flow under each of its names.

    Args:
        states: loss → parameter → state, each tensor under its first name.
        networks: name → what is known of it, ``tied`` among it: pairs of another and the first
            name.
    """
    pairs = [pair for one in networks.values() for pair in one.get("tied", ())]
    complete = {
        loss: {**own, **{other: own[first] for other, first in pairs if first in own}}
        for loss, own in states.items()
    }
    return matrix(complete, list(networks))


def _strongest(by_parameter: Mapping[str, str], network: str) -> str:
    """Return the strongest state among a network's parameters; ``absent`` where it has none.

    Args:
        by_parameter: parameter → state of its gradient.
        network: name.
    """
    own = (state for name, state in by_parameter.items() if matches(name, (network,)))
    return max(own, key=STRENGTH.index, default="absent")
