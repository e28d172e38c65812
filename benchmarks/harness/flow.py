"""The flow as it was found, against the flow as it is declared: which loss may change what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmarks.scenarios.spec import Scenario, matches

BLOCKED = {"torch": "absent", "jax": "zero"}  # jax has no None once a parameter is differentiated
States = Mapping[str, Mapping[str, str]]  # loss → parameter → absent, zero or value


def mistakes(states: States, scenario: Scenario, variant: str, framework: str) -> Iterator[str]:
    """``loss → parameter: found, should be …`` for everything that stands where it should not."""
    for loss, found in states.items():
        for name, state in found.items():
            expected = allowed(scenario, variant, framework, loss, name)
            if state not in expected:
                yield f"{loss} → {name}: {state}, should be {' or '.join(expected)}"


def allowed(
    scenario: Scenario, variant: str, framework: str, loss: str, name: str
) -> tuple[str, ...]:
    """What this loss's gradient by this parameter may be."""
    chosen = scenario.variants[variant]
    if matches(name, chosen.frozen):
        return ("absent",)
    if not matches(name, chosen.flow[loss]):
        return (BLOCKED[framework],)
    if matches(name, chosen.exact_zero):
        return ("zero",)
    return ("value", "zero") if name in scenario.zero_gradient else ("value",)
