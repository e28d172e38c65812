"""The flow as it was found, against the flow as it is declared: which loss may change what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.scenarios.spec import Scenario, matches

BLOCKED = {"torch": "absent", "jax": "zero"}  # jax has no None once a parameter is differentiated
STRENGTH = ("absent", "zero", "value")
States = Mapping[str, Mapping[str, str]]  # loss → parameter → absent, zero or value


def mistakes(states: States, scenario: Scenario, variant: str, framework: str) -> Iterator[str]:
    """``loss → parameter: found, should be …`` for everything that stands where it should not."""
    idle = reaching_nothing(scenario, variant)
    for loss, found in states.items():
        for name, state in found.items():
            # in no framework is anything differentiated for a loss that reaches nothing
            own = allowed(scenario, variant, framework, loss, name)
            expected = STRENGTH[:1] if loss in idle else own
            if state not in expected:
                yield f"{loss} → {name}: {state}, should be {' or '.join(expected)}"


def reaching_nothing(scenario: Scenario, variant: str) -> list[str]:
    """The losses all of whose way back is frozen."""
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
    """What this loss's gradient by this parameter may be."""
    chosen = scenario.variants[variant]
    if matches(name, chosen.frozen):
        return ("absent",)
    if not matches(name, chosen.flow[loss]):
        return (BLOCKED[framework],) if framework in BLOCKED else ("absent", "zero")
    if matches(name, chosen.exact_zero):
        return ("zero",)
    return ("value", "zero") if name in scenario.zero_gradient else ("value",)


def matrix(states: States, networks: Sequence[str]) -> dict[str, dict[str, str]]:
    """Loss → network → ``value`` if any of its parameters has one, or else ``zero`` or ``absent``.

    Who may change whom, as it was found.
    """
    return {
        loss: {network: _strongest(found, network) for network in networks}
        for loss, found in states.items()
    }


def _strongest(found: Mapping[str, str], network: str) -> str:
    own = (state for name, state in found.items() if matches(name, (network,)))
    return max(own, key=STRENGTH.index, default="absent")
